"""
A pipeline on a data frame
==========================

From which star on is a rating a like? The threshold of a ``Binarizer`` in front of the model is a
parameter like any other: search it together with the model's own.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer

from skrec import EASE
from skrec.datasets import load_movielens_small
from skrec.metrics import ranking_scorer

# %%
# A wide frame has a row for each user and a column for each movie; 0 stands for no rating.
ratings = load_movielens_small().filter(min_users_per_item=20)
frame = pd.DataFrame(ratings.X.toarray(), index=ratings.user_ids, columns=ratings.item_names)
print(frame.iloc[:4, :3])

# %%
# The hidden ratings are hidden from the pipeline as a whole, before the threshold. What counts as
# found must not depend on it: ``relevance=4``, whatever the model was trained on.
grid = {"binarizer__threshold": [0, 2.5, 3.5, 4.5], "ease__l2": [50, 150, 500, 1500]}
search = GridSearchCV(
    make_pipeline(Binarizer(), EASE()),
    grid,
    scoring=ranking_scorer("ndcg@100", relevance=4),
    cv=KFold(3, shuffle=True, random_state=0),
)
search.fit(frame)
print("best:", search.best_params_)

# %%
# ``predict`` of the pipeline returns a column for each movie. Set those that a user has rated
# aside, whatever the stars, and sort the rest.
users = frame.loc[[37, 414]]
scores = pd.DataFrame(search.predict(users), index=users.index, columns=users.columns)
for user, row in scores.mask(users > 0).iterrows():
    print(f"user {user}: {'; '.join(row.nlargest(3).index)}")

# %%
results = search.cv_results_["mean_test_score"].reshape(4, 4)
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
image = ax.imshow(results, cmap="cividis", aspect="auto")
ax.set_xticks(range(4), grid["ease__l2"])
ax.set_yticks(range(4), ["every rating", "above 2.5", "above 3.5", "above 4.5"])
ax.set_xlabel("l2 of EASE")
ax.set_ylabel("what counts as a like in training")
middle = np.mean([results.min(), results.max()])
for (line, column), value in np.ndenumerate(results):
    color = "black" if value > middle else "white"
    ax.text(column, line, f"{value:.3f}", ha="center", va="center", color=color)
fig.colorbar(image, label="NDCG@100 on unseen users")
plt.show()
