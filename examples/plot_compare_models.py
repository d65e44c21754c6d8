"""
Compare models on unseen users
==============================

Which model finds what a new user likes? Five-fold cross-validation over *users*: every user is a
test user once, and is never in the training data of the model that serves them. Of each test
user's ratings a fifth is hidden; a hidden rating of at least 4 is what the model has to find.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer

from skrec import EASE, BiasBaseline, Popularity
from skrec.datasets import load_movielens_small
from skrec.metrics import ranking_scorer
from skrec.model_selection import compare_recommenders

# %%
# All models get the same matrix of star ratings, so that the same ratings are hidden from each.
# ``Binarizer`` turns it into likes for the models that learn from them.
X = load_movielens_small().filter(min_users_per_item=5).X


def of_likes(model):
    return make_pipeline(Binarizer(threshold=3.5), model)


models = {
    "BiasBaseline": BiasBaseline(),
    "Popularity": of_likes(Popularity()),
    "EASE, default": of_likes(EASE()),
    "EASE, l2=150": of_likes(EASE(l2=150)),
    "EASE, l2=100, dropout=0.33": of_likes(EASE(l2=100, dropout=0.33)),
}
scoring = ranking_scorer(["ndcg@100", "recall@20"], relevance=4)
table = compare_recommenders(models, X, scoring=scoring)
print(table)

# %%
# The bars are standard errors over the test users. They say how far the mean of *one* model may
# be off, and all models are off together, since they meet the same users: for the difference of
# two models, read the paired test in the table instead (``p value``, against the best model).
plt.style.use("tableau-colorblind10")
fig, axes = plt.subplots(1, 2, figsize=(7, 4), sharey=True, layout="constrained")
for ax, metric, color in zip(axes, ["ndcg@100", "recall@20"], ["C0", "C1"], strict=True):
    of_metric = table["metric"] == metric
    rows = [np.flatnonzero(of_metric & (table["model"] == name))[0] for name in models]
    ax.errorbar(
        table["mean"][rows],
        list(models),
        xerr=table["standard_error"][rows],
        fmt="o",
        capsize=4,
        color=color,
    )
    ax.set_xlabel(metric.replace("ndcg", "NDCG"))
    ax.set_xlim(left=0)
    ax.grid(axis="x", alpha=0.3)
fig.supxlabel("mean over unseen users ± standard error", fontsize="medium")
plt.show()
