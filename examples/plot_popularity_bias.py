"""
Accuracy, coverage and novelty
==============================

The most accurate model is not always the one to ship. A large ``l2`` makes EASE distrust all but
the popular items; a small one reaches deeper into the catalogue. Coverage (the share of the
catalogue that is recommended to anybody) and novelty (how few users have a recommended item) say
what accuracy does not.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import KFold, cross_validate

from skrec import EASE, Popularity
from skrec.datasets import load_movielens_small
from skrec.metrics import ranking_scorer

likes = load_movielens_small().binarize(3.5).filter(min_users_per_item=5, min_items_per_user=5)
scoring = ranking_scorer(["ndcg@20", "coverage@20", "novelty@20"])
cv = KFold(5, shuffle=True, random_state=0)


def evaluate(model):
    scores = cross_validate(model, likes.X, cv=cv, scoring=scoring)
    return [scores[f"test_{name}"].mean() for name in scoring.metrics]


penalties = [5, 20, 100, 500, 2000, 10000]
ease = np.array([evaluate(EASE(l2=l2)) for l2 in penalties])
popularity = evaluate(Popularity())
for l2, (accuracy, coverage, novelty) in zip(penalties, ease, strict=True):
    print(f"l2={l2:<6} NDCG {accuracy:.3f}  coverage {coverage:.3f}  novelty {novelty:.2f}")

# %%
# Up is more accurate, right is a wider choice. Everything on the falling part of the curve is a
# fair trade; a point below and left of another is dominated by it.
plt.style.use("tableau-colorblind10")
fig, axes = plt.subplots(1, 2, figsize=(8, 4.5), sharey=True, layout="constrained")
labels = ["coverage@20 (share of the catalogue)", "novelty@20 (bits)"]
for column, (ax, label) in enumerate(zip(axes, labels, strict=True), start=1):
    ax.plot(ease[:, column], ease[:, 0], "o-", color="C0", label="EASE")
    ax.plot(popularity[column], popularity[0], "s", color="C1", label="Popularity")
    for l2, point in zip(penalties, ease, strict=True):
        side = {"xytext": (7, 2)} if l2 < 100 else {"xytext": (-7, 2), "ha": "right"}
        at = (point[column], point[0])
        ax.annotate(f"l2={l2}", at, textcoords="offset points", fontsize=8, **side)
    ax.margins(x=0.2)
    ax.set_xlabel(label)
    ax.grid(alpha=0.3)
axes[0].set_ylabel("NDCG@20 on unseen users")
axes[0].legend(loc="lower right")
plt.show()
