"""RatingKNN: ratings from the nearest users, or items."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils.metaestimators import available_if

from skrec.base import BaseRecommender, RatingMixin, SimilarItemsMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.neighbors._rating_centers import Center
from skrec.solvers._offsets import fit_offsets, less_offsets, with_data
from skrec.solvers._rating_neighbors import (
    KINDS,
    Rule,
    all_rows,
    neighbor_means,
    pairs_by_group,
    similarities,
)
from skrec.utils._blocks import effective_n_threads, map_blocks
from skrec.utils._compat import Interval, StrOptions
from skrec.utils._memory import check_memory
from skrec.utils._pair_blocks import blocks_of_pairs


class RatingKNN(RatingMixin, SimilarItemsMixin, BaseRecommender):
    r"""Ratings from the nearest neighbours."""

    _parameter_constraints: dict = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "based_on": [StrOptions({"user", "item"})],
        "similarity": [StrOptions(set(KINDS))],
        "center": [StrOptions({"none", "mean", "zscore", "baseline"})],
        "min_neighbors": [Interval(Integral, 1, None, closed="left")],
        "min_support": [Interval(Integral, 1, None, closed="left")],
        "shrinkage": [Interval(Real, 0, None, closed="left"), None],
        "msd_scale": [Interval(Real, 0, None, closed="neither"), None],
        "l2_user": [Interval(Real, 0, None, closed="neither")],
        "l2_item": [Interval(Real, 0, None, closed="neither")],
        **RATING_CONSTRAINTS,
        "n_jobs": [Integral, None],
    }

    _no_update = None

    def __init__(
        self,
        n_neighbors=40,
        *,
        based_on="item",
        similarity="pearson_baseline",
        center="baseline",
        min_neighbors=1,
        min_support=1,
        shrinkage=None,
        msd_scale=None,
        l2_user=15.0,
        l2_item=10.0,
        clip=True,
        rating_scale=None,
        n_jobs=None,
    ):
        self.n_neighbors = n_neighbors
        self.based_on = based_on
        self.similarity = similarity
        self.center = center
        self.min_neighbors = min_neighbors
        self.min_support = min_support
        self.shrinkage = shrinkage
        self.msd_scale = msd_scale
        self.l2_user = l2_user
        self.l2_item = l2_item
        self.clip = clip
        self.rating_scale = rating_scale
        self.n_jobs = n_jobs

    def _check_training(self, X, reset):
        if self.min_neighbors > self.n_neighbors:
            raise ValueError(
                f"min_neighbors={self.min_neighbors} must not exceed n_neighbors="
                f"{self.n_neighbors}, of which no more are taken: use a smaller one."
            )
        if self.msd_scale is not None and self.similarity != "msd":
            raise ValueError(
                f"msd_scale={self.msd_scale} has no meaning with similarity={self.similarity!r}: "
                "leave it None, or use similarity='msd'."
            )
        return super()._check_training(X, reset)

    def _in_units(self, X):
        # In single precision, similarities that are equal would be told apart by rounding.
        return super()._in_units(X.astype(np.float64))

    def _fit(self, X):
        offsets = None
        if "baseline" in (self.center, *self.similarity.split("_")):
            offsets = (*fit_offsets(X, self.l2_user, self.l2_item), self.l2_user)
        # As they were in this fit: a parameter that is set later waits for the next one.
        self._of_users = self.based_on == "user"
        self._center = Center(self.center, self._of_users, X, offsets)
        self._compares = self.similarity
        self._rule = self._comparison()
        self._taken = self.n_neighbors, self.min_neighbors
        compared = self._compared(X)
        if self._of_users:
            self._compared_by_item = compared.T.tocsr()
            self._known = self._center.deviations(X).T.tocsr()
        else:
            items = compared.T.tocsr()
            n_bytes = 24 * most_similarities(items, compared)
            check_memory(n_bytes, "similarities", "fix")
            self._known = similarities(
                items, compared, self._rule, effective_n_threads(self.n_jobs)
            )

    def _comparison(self):
        is_shrunk = self.similarity == "pearson_baseline"
        shrinkage = self.shrinkage
        if shrinkage is None:
            shrinkage = 100 if is_shrunk else 0
        scale = 1.0 if self.msd_scale is None else self.msd_scale / self.rating_unit_
        return Rule(KINDS[self.similarity], scale, max(self.min_support, 1 + is_shrunk), shrinkage)

    def _compared(self, X):
        """What similarities are computed of."""
        if self._compares == "pearson_baseline":
            return less_offsets(X, self._center.offsets)[0]
        return with_data(X, X.data - self._center.mean) if self._compares == "pearson" else X

    def _score_rows(self, X):
        n_users, n_items = X.shape
        if self._of_users:
            near, known = self._similar_users(X), self._known
            shape = n_users, n_items
        else:
            near, known = self._known, self._center.deviations(X)
            shape = n_items, n_users
        means = neighbor_means(near, known, all_rows(*shape), *self._taken).reshape(shape)
        means = means if self._of_users else means.T
        users, scales = self._center.users(X)
        means = means * scales[:, None]
        means *= self._center.item_scales
        means += users[:, None]
        means += self._center.items
        return means

    def _similar_users(self, X):
        return similarities(self._compared(X), self._compared_by_item, self._rule)

    def _score_pairs(self, states, users, items):
        asked, users = np.unique(users, return_inverse=True)
        X = states[asked]
        if self._of_users:
            left, groups, rows, known = X, users, items, self._known
        else:
            left, groups, rows, known = self._known, items, users, self._center.deviations(X)
        means = np.empty(len(users))

        def rate(block):
            near, pairs, positions = block
            if self._of_users:
                near = self._similar_users(near)
            asked = pairs_by_group(positions, rows[pairs], near.shape[0])
            means[pairs] = neighbor_means(near, known, asked, *self._taken)

        n_threads = effective_n_threads(self.n_jobs)
        map_blocks(rate, blocks_of_pairs(left, groups, 12 * known.shape[1], n_threads), n_threads)
        centers, scales = self._center.users(X)
        means *= scales[users] * self._center.item_scales[items]
        return means + centers[users] + self._center.items[items]

    def _similarities(self, items):
        return self._known[items].toarray()


def most_similarities(items, users):
    """Upper bound of the number of pairs of items which somebody has rated both."""
    lengths = np.diff(users.indptr).astype(np.float64)
    n_shared = np.add.reduceat(np.append(lengths[items.indices], 0), items.indptr[:-1])
    return float(np.minimum(n_shared, items.shape[0]).sum())
