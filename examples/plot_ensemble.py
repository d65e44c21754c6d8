"""
An ensemble and its members
===========================

Two or three models of different kinds, their scores brought onto one scale and added, often rank
better than the best of them. Whether they do is seen on users that neither the members nor the
weights have been learned from.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from skrec import EASE, GraphFilter, ItemKNN, StackingRecommender, VotingRecommender
from skrec.datasets import load_movielens_small
from skrec.metrics import ranking_scorer, standard_error

likes = load_movielens_small().binarize(3.5).filter(min_users_per_item=5, min_items_per_user=5)
train, test = train_test_split(likes.X, test_size=0.3, random_state=0)

# %%
# Voting takes weights as they are given, here the same for all. Stacking holds users of the
# training data out to learn them.
members = [("EASE", EASE(l2=200)), ("graph filter", GraphFilter(50)), ("item kNN", ItemKNN())]
models = dict(members)
models["voting"] = VotingRecommender(members)
models["stacking"] = StackingRecommender(members, cv=5, random_state=0)
for model in models.values():
    model.fit(train)
weights = dict(zip(dict(members), models["stacking"].weights_.round(2).tolist(), strict=True))
print("learned weights:", weights)

# %%
# The same users and the same hidden entries for all of them, so that differences are paired: the
# bars are standard errors of the difference to EASE.
scorer = ranking_scorer("ndcg@100")
values = {name: scorer.per_user(model, test)["ndcg@100"] for name, model in models.items()}
for name, ndcg in values.items():
    print(f"{name:13} NDCG@100 {np.nanmean(ndcg):.4f}")

plt.style.use("tableau-colorblind10")
fig, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
for place, (name, ndcg) in enumerate(values.items()):
    difference = ndcg - values["EASE"]
    color = "C1" if name in ("voting", "stacking") else "C0"
    error = standard_error(difference)
    ax.errorbar(np.nanmean(difference), place, xerr=error, fmt="o", color=color, capsize=4)
ax.axvline(0, color="gray", linewidth=1)
ax.set_yticks(range(len(values)), list(values))
ax.invert_yaxis()
ax.set_xlabel("difference to EASE in NDCG@100 on unseen users")
plt.show()

# %%
# Members' parameters are parameters of the ensemble, and a member can be left out.
smaller = VotingRecommender(members).set_params(**{"item kNN": "drop", "EASE__l2": 100})
print(f"without item kNN: {scorer(smaller.fit(train), test):.4f}")
