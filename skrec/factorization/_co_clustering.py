"""Co-clustering of users and items."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from skrec.base import BaseRecommender, RatingMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.factorization._co_clusters import (
    assign,
    co_cluster,
    learn_offsets,
    one_hot,
    soften,
)
from skrec.solvers._pair_products import pair_products
from skrec.utils._compat import Interval, StrOptions
from skrec.utils._memory import check_memory


class CoClustering(RatingMixin, BaseRecommender):
    r"""Ratings from means of users and of items, and of clusters of both.

    With the means :math:`\mu_u, \mu_i` of a user and an item, :math:`\mu_g, \mu_h` of their
    clusters, and :math:`\mu_{gh}` of what users of the one give to items of the other,

    .. math::
        \hat r_{ui} = \mu_{gh} + (\mu_u - \mu_g) + (\mu_i - \mu_h)

    Users, then items, are assigned to the cluster of least squared error, from random clusters on,
    until none moves. From there, with ``assignment="soft"``, each has a share in each cluster, its
    probability in a mixture of normal distributions around offsets of users and items, and a
    rating is the average over clusters. A user to predict for, known or new, is assigned by the
    row.

    Parameters
    ----------
    n_user_clusters : int
        Number of clusters of users.
    n_item_clusters : int
        Number of clusters of items.
    assignment : {"soft", "hard"}
        "hard": to one cluster, as in the paper and, with ``shrinkage=0``, in Surprise. It takes
        the noise of few ratings for a cluster, and predicts worse.
    shrinkage : float
        Number of ratings without a deviation that are added to those of each user and each item,
        and to those between two soft clusters.
    n_init : int
        Number of random starts. The clusters of least squared error are kept.
    max_iter : int
        Most sweeps over users and items from each start, and again with soft clusters.
    random_state : int, RandomState instance or None, default=None
        Controls the clusters that each start begins with.

    Attributes
    ----------
    mean_ : float
        Mean of all ratings.
    item_means_ : ndarray of shape (n_items,)
        Mean of each item, shrunk; with soft clusters beside the users' offsets.
    item_clusters_ : ndarray of shape (n_items, n_item_clusters)
        Share of each item in each cluster; 0 for items without ratings.
    cluster_effects_ : ndarray of shape (n_user_clusters, n_item_clusters)
        What ratings between two clusters are above the sum of the means.
    loss_curve_ : list of float
        Mean squared error of the training ratings after each sweep, and with soft clusters the
        average of it over the shares, which is above that of their predictions. The averages of
        hard clusters may raise it.
    n_iter_ : int
        Number of sweeps from the start that is kept, those with soft clusters included.

    See Also
    --------
    BiasBaseline : The offsets, without clusters.
    PMF : Factors in place of clusters, and the better prediction.

    Notes
    -----
    A user without ratings is predicted the items' means, an item without ratings the user's.
    :func:`skrec.update` fits again.

    References
    ----------
    .. [1] T. George and S. Merugu, "A Scalable Collaborative Filtering Framework Based on
       Co-Clustering", ICDM 2005. :doi:`10.1109/ICDM.2005.14`

    Examples
    --------
    >>> from skrec import CoClustering
    >>> X = [[5, 5, 1, 0], [5, 0, 1, 1], [1, 1, 0, 5], [0, 1, 5, 5]]
    >>> model = CoClustering(2, 2, shrinkage=1, n_init=10, random_state=0).fit(X)
    >>> model.predict([[5, 0, 1, 0]]).round(1)
    array([[4.8, 3.5, 1.2, 2.5]])
    """

    _parameter_constraints: dict = {
        "n_user_clusters": [Interval(Integral, 1, None, closed="left")],
        "n_item_clusters": [Interval(Integral, 1, None, closed="left")],
        "assignment": [StrOptions({"soft", "hard"})],
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
        assignment="soft",
        shrinkage=5.0,
        n_init=5,
        max_iter=20,
        clip=True,
        rating_scale=None,
        random_state=None,
    ):
        self.n_user_clusters = n_user_clusters
        self.n_item_clusters = n_item_clusters
        self.assignment = assignment
        self.shrinkage = shrinkage
        self.n_init = n_init
        self.max_iter = max_iter
        self.clip = clip
        self.rating_scale = rating_scale
        self.random_state = random_state

    def _fit(self, X):
        rng = check_random_state(self.random_state)
        n_clusters = self.n_user_clusters, self.n_item_clusters
        check_memory(
            # Shares, errors and sums of both sides, and the means between clusters.
            24 * (X.shape[0] + X.shape[1] + max(n_clusters)) * max(n_clusters),
            f"CoClustering with {n_clusters[0]} x {n_clusters[1]} clusters of {X.shape[0]} users "
            f"x {X.shape[1]} items",
            "use fewer clusters",
        )
        X = X.astype(np.float64)
        # As it was in this fit: a parameter that is set later waits for the next one.
        self._offsets = learn_offsets(X, float(self.shrinkage), self.assignment == "soft")
        _, residuals = self._offsets.of(X)
        found = min(
            (self._find_clusters(X, residuals, rng) for _ in range(self.n_init)),
            key=lambda one: one.losses[-1],
        )
        is_rated = np.bincount(X.indices, minlength=X.shape[1]) > 0
        self.item_clusters_ = found.items * is_rated[:, None]
        self._effects, self._variance = found.effects, found.variance
        self.n_iter_ = len(found.losses)
        self.loss_curve_ = [
            float(self._in_squared_ratings(loss / max(X.nnz, 1))) for loss in found.losses
        ]

    def _find_clusters(self, X, residuals, rng):
        """Learn from one random start."""
        shape = self.n_user_clusters, self.n_item_clusters
        start = [one_hot(rng.randint(k, size=n), k) for k, n in zip(shape, X.shape, strict=True)]
        users, found = co_cluster(X, residuals, *start, self.max_iter)
        if self.assignment == "hard":
            return found
        return soften(residuals, users, found, self._offsets.shrinkage, self.max_iter)

    mean_ = property(lambda self: self._in_ratings(self._offsets.mean))
    item_means_ = property(lambda self: self._in_ratings(self._offsets.items))
    cluster_effects_ = property(lambda self: self._in_ratings(self._effects))

    def _user_states(self, X):
        """What each user's ratings deviate by, from the mean and in each cluster of items."""
        above, residuals = self._offsets.of(X.astype(np.float64))
        shares, _ = assign(residuals, self.item_clusters_, self._effects, self._variance)
        shares[np.diff(X.indptr) == 0] = 0
        return above, shares @ self._effects

    def _score_rows(self, X):
        above, effects = self._user_states(X)
        scores = effects @ self.item_clusters_.T + above[:, None] + self._offsets.items
        return scores.astype(X.dtype)

    def _score_pairs(self, states, users, items):
        above, effects = states
        products = pair_products(effects, self.item_clusters_, users, items)
        return products + above[users] + self._offsets.items[items]
