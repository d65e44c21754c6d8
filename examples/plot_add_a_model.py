"""
Add a model: item neighbours
============================

A complete new estimator: an item scores the sum of its cosine similarities to the items of the
user's history, counted over its nearest neighbours. :doc:`/add_a_model` walks through it.
"""

from numbers import Integral

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.estimator_checks import check_estimator

from skrec import EASE, BaseRecommender, Popularity
from skrec.datasets import load_movielens_small
from skrec.model_selection import compare_recommenders
from skrec.utils import check_interactions, keep_state_on_error
from skrec.utils.estimator_checks import check_recommender

# %%
# The mathematics is a function of arrays, the class the contract around it.


class ItemKNN(BaseRecommender):
    """Sum of the cosine similarities to the items of the user's history."""

    _parameter_constraints: dict = {"n_neighbors": [Interval(Integral, 1, None, closed="left")]}

    def __init__(self, n_neighbors=50):
        self.n_neighbors = n_neighbors

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, reviews=None):
        with keep_state_on_error(self):
            X = check_interactions(X, estimator=self, reset=True)
            self.similarity_ = nearest_cosines(X, self.n_neighbors)
        return self

    def _score_rows(self, X):
        return X @ self.similarity_


def nearest_cosines(X, n_neighbors):
    """Cosines with each item's nearest items, and with ties of the last."""
    gram = (X.T @ X).toarray()
    norms = np.sqrt(np.maximum(gram.diagonal(), np.finfo(X.dtype).tiny))
    cosines = gram / np.outer(norms, norms)
    np.fill_diagonal(cosines, 0)
    furthest = np.sort(cosines, axis=0)[-min(n_neighbors, len(cosines))]
    return np.where(cosines >= furthest, cosines, 0)


# %%
# Both check suites pass. Two of scikit-learn's checks insist on a ``predict`` with one column; a
# recommender's has a column for each item.
expected = dict.fromkeys(
    ["check_estimator_sparse_array", "check_estimator_sparse_matrix"],
    "insists on a one-dimensional predict",
)
check_estimator(ItemKNN(), expected_failed_checks=expected, on_skip=None)
check_recommender(ItemKNN())
check_recommender(ItemKNN(n_neighbors=4))

# %%
# And it is a model like the others.
likes = load_movielens_small().binarize(3.5).filter(min_users_per_item=5, min_items_per_user=5)
models = {f"{k} neighbours": ItemKNN(k) for k in (5, 20, 100, 500)}
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
