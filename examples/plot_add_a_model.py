"""
Add a model: log-likelihood ratios
==================================

A complete new estimator: an item scores the sum of its log-likelihood ratios with the items of the
user's history, of those that are met with it more often than by chance. :doc:`/add_a_model` walks
through it.
"""

from numbers import Integral

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import xlogy
from sklearn.utils.estimator_checks import check_estimator

from skrec import EASE, BaseRecommender, Popularity
from skrec.base import ItemWeightsMixin
from skrec.datasets import load_movielens_small
from skrec.model_selection import compare_recommenders
from skrec.utils.estimator_checks import check_recommender

# %%
# The mathematics is a function of arrays, the class the contract around it.


class RatioKNN(ItemWeightsMixin, BaseRecommender):
    """Sum of the log-likelihood ratios with the items of the user's history.

    Parameters
    ----------
    n_neighbors : int
        Number of items from which an item is predicted.
    """

    _parameter_constraints: dict = {"n_neighbors": [Integral]}

    def __init__(self, n_neighbors=50):
        self.n_neighbors = n_neighbors

    def _fit(self, X):
        if self.n_neighbors < 1:
            raise ValueError(f"n_neighbors must be at least 1, got {self.n_neighbors}.")
        chosen = X.astype(bool).astype(float)
        ratios = likelihood_ratios((chosen.T @ chosen).toarray(), X.shape[0])
        furthest = np.sort(ratios, axis=0)[-min(self.n_neighbors, len(ratios))]
        self.coef_ = np.where(ratios >= furthest, ratios, 0)  # with ties of the last


def likelihood_ratios(both, n_users):
    """How unlikely it is that two items meet so often by chance (Dunning, 1993).

    `both` counts the users of two items, and on the diagonal those of one.
    """
    first, second = both.diagonal()[:, None], both.diagonal()
    expected = first * second / n_users
    table = [both, first - both, second - both, n_users - first - second + both]
    margins = [first, n_users - first, second, n_users - second]
    information = sum(xlogy(n, n) for n in table) - sum(xlogy(n, n) for n in margins)
    ratios = np.where(both > expected, information + xlogy(n_users, n_users), 0)
    np.fill_diagonal(ratios, 0)
    return 2 * np.maximum(ratios, 0)


# %%
# Both check suites pass. Two of scikit-learn's checks insist on a ``predict`` with one column; a
# recommender's has a column for each item.
expected = dict.fromkeys(
    ["check_estimator_sparse_array", "check_estimator_sparse_matrix"],
    "insists on a one-dimensional predict",
)
check_estimator(RatioKNN(), expected_failed_checks=expected, on_skip=None)
check_recommender(RatioKNN())
check_recommender(RatioKNN(n_neighbors=4))

# %%
# And it is a model like the others. What it did not write, the mixin does: scores are the sums of
# items' weights over the history, which gives similar items and explanations as well.
likes = load_movielens_small().binarize(3.5).filter(min_users_per_item=5, min_items_per_user=5)
most_liked = np.argmax(np.diff(likes.X.tocsc().indptr))
similar = RatioKNN().fit(likes.X).similar_items([most_liked], k=4)[0]
print(f"Nearest to {likes.item_names[most_liked]}:", *likes.item_names[similar], sep="\n  ")

# %%
models = {f"{k} neighbours": RatioKNN(k) for k in (5, 20, 100, 500)}
models |= {"Popularity": Popularity(), "EASE": EASE(l2=150)}
table = compare_recommenders(models, likes.X, cv=3)
print(table)

# %%
plt.style.use("tableau-colorblind10")
fig, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
rows = np.flatnonzero(table["metric"] == "ndcg@100")[::-1]
ax.errorbar(
    table["mean"][rows],
    table["model"][rows],
    xerr=table["standard_error"][rows],
    fmt="o",
    capsize=4,
)
ax.set_xlabel("NDCG@100 on unseen users (mean ± standard error)")
ax.set_xlim(left=0)
ax.grid(axis="x", alpha=0.3)
plt.show()
