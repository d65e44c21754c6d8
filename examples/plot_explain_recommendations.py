"""
Explain recommendations
=======================

A score of EASE is a sum over the user's history: :meth:`~skrec.EASE.explain` takes it apart.
"""

import matplotlib.pyplot as plt
import numpy as np

from skrec import EASE
from skrec.datasets import load_movielens_small

# %%
# One user is left out of the training data: explanations, like recommendations, need only the
# user's row.
likes = load_movielens_small().binarize(3.5).filter(min_users_per_item=10, min_items_per_user=5)
user = np.flatnonzero(likes.user_ids == 37)[0]
row = likes.X[[user]]
others = np.delete(np.arange(likes.X.shape[0]), user)

model = EASE(l2=200).fit(likes.X[others])
top = model.recommend(row, k=8)
(contributions,) = model.explain(row, top)

# %%
# The rows of ``contributions`` add up to the scores of ``predict``.
scores = model.predict(row)[0, top[0]]
assert np.allclose(contributions.sum(axis=1), scores, atol=1e-5)

history = row.indices
history = history[np.argsort(-contributions.sum(axis=0)[history])]
parts = contributions.toarray()[:, history]
for item, score, part in zip(top[0], scores, parts, strict=True):
    print(f"{score:.2f}  {likes.item_names[item]}: {likes.item_names[history[part.argmax()]]}")

# %%
# Each line of the picture is a recommendation, each column a movie that the user likes. Dark
# orange speaks for the recommendation, purple against it.
limit = np.abs(parts).max()
fig, ax = plt.subplots(figsize=(9, 6), layout="constrained")
image = ax.imshow(parts, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto")
ax.set_xticks(range(len(history)), likes.item_names[history], rotation=60, ha="right", fontsize=8)
ax.set_yticks(
    range(len(top[0])),
    [f"{likes.item_names[item]}  {score:.2f}" for item, score in zip(top[0], scores, strict=True)],
)
ax.set_xlabel("liked by the user")
ax.set_ylabel("recommended, with its score")
fig.colorbar(image, label="contribution to the score")
plt.show()
