"""Co-clustering of users and items."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from skrec.base import BaseRecommender, RatingMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.factorization._co_clusters import (
    co_cluster,
    less_means,
    shrunk_means,
    squared_errors,
)
from skrec.utils._compat import Interval


class CoClustering(RatingMixin, BaseRecommender):
    r"""Ratings from the means of a user and of an item, and of clusters of both.

    With :math:`\mu_u` and :math:`\mu_i` the mean ratings of a user and of an item,
    :math:`\mu_{g}` and :math:`\mu_{h}` those of their clusters `g` and `h`, and :math:`\mu_{gh}`
    that of the ratings by users of the one of items of the other,

    .. math::
        \hat r_{ui} = \mu_{gh} + (\mu_u - \mu_g) + (\mu_i - \mu_h)

    Users, then items, are assigned to the cluster of least squared error, from random clusters on,
    until none moves. The cluster of a user to predict for, known or new, is the best one given the
    user's row.

    Parameters
    ----------
    n_user_clusters : int
        Number of clusters of users.
    n_item_clusters : int
        Number of clusters of items.
    shrinkage : float
        Number of ratings at the mean of all that are added to those of each user and each item. 0:
        the paper's plain means, as in the library Surprise.
    n_init : int
        Number of random starts, of which that of the least squared error is kept.
    max_iter : int
        Number of sweeps over users and items of each start.
    random_state : int, RandomState instance or None, default=None
        Controls the clusters that each start begins with. Nothing else is random.

    Attributes
    ----------
    mean_ : float
        Mean of the ratings.
    item_means_ : ndarray of shape (n_items,)
        Shrunk mean rating of each item.
    item_clusters_ : ndarray of int of shape (n_items,)
        -1 for items without ratings.
    cluster_effects_ : ndarray of shape (n_user_clusters, n_item_clusters)
        What ratings between two clusters are above the sum of the other effects,
        :math:`\mu_{gh} - \mu_g - \mu_h + \mu`.
    loss_curve_ : list of float
        Mean squared error on the training ratings after each sweep of the start that is kept, in
        squares of ratings. Averages that follow the assignments may raise it.
    n_iter_ : int
        Number of sweeps of that start.

    See Also
    --------
    BiasBaseline : The means alone, estimated together.
    PMF : Factors in place of clusters, and the better prediction.

    Notes
    -----
    A user without ratings is predicted the items' means; an item without ratings the user's.
    :func:`skrec.update` fits again.

    References
    ----------
    .. [1] T. George and S. Merugu, "A Scalable Collaborative Filtering Framework Based on
       Co-Clustering", ICDM 2005. :doi:`10.1109/ICDM.2005.14`

    Examples
    --------
    >>> from skrec import CoClustering
    >>> X = [[5, 5, 1, 0], [5, 0, 1, 1], [1, 1, 0, 5], [0, 1, 5, 5]]
    >>> model = CoClustering(2, 2, shrinkage=0, random_state=0).fit(X)
    >>> model.predict([[5, 0, 1, 0]]).round(1)
    array([[5. , 4.3, 1. , 1.7]])
    """

    _parameter_constraints: dict = {
        "n_user_clusters": [Interval(Integral, 1, None, closed="left")],
        "n_item_clusters": [Interval(Integral, 1, None, closed="left")],
        "shrinkage": [Interval(Real, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        **RATING_CONSTRAINTS,
        "random_state": ["random_state"],
    }

    _no_update = None

    def __init__(
        self,
        n_user_clusters=3,
        n_item_clusters=3,
        *,
        shrinkage=5.0,
        n_init=10,
        max_iter=20,
        clip=True,
        rating_scale=None,
        random_state=None,
    ):
        self.n_user_clusters = n_user_clusters
        self.n_item_clusters = n_item_clusters
        self.shrinkage = shrinkage
        self.n_init = n_init
        self.max_iter = max_iter
        self.clip = clip
        self.rating_scale = rating_scale
        self.random_state = random_state

    def _fit(self, X):
        rng = check_random_state(self.random_state)
        X = X.astype(np.float64)
        is_rated = np.bincount(X.indices, minlength=X.shape[1]) > 0
        self._mean = float(X.data.mean()) if X.nnz else 0.0
        # As it was in this fit: a parameter that is set later waits for the next one.
        self._added = float(self.shrinkage)
        self._item_means = shrunk_means(X.T.tocsr(), self._mean, self._added)
        _, residuals = self._less_means(X)
        shape = self.n_user_clusters, self.n_item_clusters
        starts = (
            [rng.randint(k, size=n) for k, n in zip(shape, X.shape, strict=True)]
            for _ in range(self.n_init)
        )
        found = min(
            (co_cluster(X, residuals, *start, shape, self.max_iter) for start in starts),
            key=lambda one: one.losses[-1],
        )
        self.item_clusters_ = np.where(is_rated, found.item_clusters, -1)
        # The last row and the last column are those of users and items without ratings.
        self._effects = np.pad(found.effects, (0, 1))
        self.n_iter_ = len(found.losses)
        losses = [self._in_squared_ratings(loss / max(X.nnz, 1)) for loss in found.losses]
        self.loss_curve_ = losses

    mean_ = property(lambda self: self._in_ratings(self._mean))
    item_means_ = property(lambda self: self._in_ratings(self._item_means))
    cluster_effects_ = property(lambda self: self._in_ratings(self._effects[:-1, :-1]))

    def _less_means(self, X):
        means = shrunk_means(X, self._mean, self._added)
        return means, less_means(X, self._mean, means, self._item_means)

    def _user_states(self, X):
        """How each user's mean deviates, and the cluster."""
        means, residuals = self._less_means(X.astype(np.float64))
        errors = squared_errors(residuals, self.item_clusters_, self._effects[:-1])
        is_empty = np.diff(X.indptr) == 0
        return means - self._mean, np.where(is_empty, -1, errors.argmin(axis=1))

    def _score_rows(self, X):
        deviations, clusters = self._user_states(X)
        effects = self._effects[clusters][:, self.item_clusters_]
        return (effects + deviations[:, None] + self._item_means).astype(X.dtype)

    def _score_pairs(self, states, users, items):
        deviations, clusters = states
        effects = self._effects[clusters[users], self.item_clusters_[items]]
        return effects + deviations[users] + self._item_means[items]
