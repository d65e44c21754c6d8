"""Co-clustering of users and items."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from skrec.base import BaseRecommender, RatingMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.factorization._co_clusters import (
    assign,
    co_cluster,
    deviations,
    soften,
)
from skrec.solvers._offsets import fit_offsets, with_data
from skrec.solvers._pair_products import pair_products
from skrec.utils._compat import Interval, StrOptions


class CoClustering(RatingMixin, BaseRecommender):
    r"""Ratings from the means of a user and of an item, and of clusters of both.

    With :math:`\mu_u` and :math:`\mu_i` the mean ratings of a user and of an item,
    :math:`\mu_{g}` and :math:`\mu_{h}` those of their clusters `g` and `h`, and :math:`\mu_{gh}`
    that of the ratings by users of the one of items of the other,

    .. math::
        \hat r_{ui} = \mu_{gh} + (\mu_u - \mu_g) + (\mu_i - \mu_h)

    Users, then items, are assigned to the cluster of least squared error, from random clusters on,
    until none moves. From there, with ``assignment="soft"``, they have a share in each cluster, as
    in a mixture of normal distributions: its probability given the ratings. A rating is then the
    average over the clusters. The shares of a user to predict for, known or new, are those given
    the user's row.

    Parameters
    ----------
    n_user_clusters : int
        Number of clusters of users.
    n_item_clusters : int
        Number of clusters of items.
    assignment : {"soft", "hard"}
        "hard": to one cluster, which is the paper's and, with ``shrinkage=0``, that of the
        library Surprise. It takes the noise of few ratings for a cluster, and predicts worse.
    shrinkage : float
        Number of ratings at the mean of all that are added to those of each user and each item,
        and of ratings without an effect to those between two soft clusters.
    n_init : int
        Number of random starts with hard clusters, of which the one of least squared error is
        kept.
    max_iter : int
        Number of sweeps over users and items of each start, and with soft clusters after it.
    random_state : int, RandomState instance or None, default=None
        Controls the clusters that each start begins with. Nothing else is random.

    Attributes
    ----------
    mean_ : float
        Mean of all ratings.
    item_means_ : ndarray of shape (n_items,)
        Shrunk mean rating of each item.
    item_clusters_ : ndarray of shape (n_items, n_item_clusters)
        Share of each item in each cluster; 0 for items without ratings.
    cluster_effects_ : ndarray of shape (n_user_clusters, n_item_clusters)
        What ratings between two clusters are above the sum of the other effects,
        :math:`\mu_{gh} - \mu_g - \mu_h + \mu`.
    loss_curve_ : list of float
        Mean squared error on the training ratings after each sweep, in squares of ratings. The
        averages of hard clusters may raise it.
    n_iter_ : int
        Number of sweeps of the start that is kept, and after it.

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
        X = X.astype(np.float64)
        is_soft, shrinkage = self.assignment == "soft", float(self.shrinkage)
        if is_soft and shrinkage == 0:
            raise ValueError(
                "shrinkage must be above 0 with assignment='soft', got 0: make it larger, or use "
                "assignment='hard'."
            )
        self._mean = float(X.data.mean()) if X.nnz else 0.0
        self._reference = np.full(X.shape[1], self._mean)
        if is_soft:
            _, offsets = fit_offsets(X, shrinkage, shrinkage)
            self._reference = self._item_means = self._mean + offsets
        else:
            of_all = np.full(X.shape[0], self._mean)
            self._item_means = self._mean + deviations(X.T.tocsr(), of_all, shrinkage)
        # As it was in this fit: a parameter that is set later waits for the next one.
        self._added = shrinkage
        _, residuals = self._less_means(X)
        shape = self.n_user_clusters, self.n_item_clusters
        starts = (
            [np.eye(k)[rng.randint(k, size=n)] for k, n in zip(shape, X.shape, strict=True)]
            for _ in range(self.n_init)
        )
        users, found = min(
            (co_cluster(X, residuals, *start, self.max_iter) for start in starts),
            key=lambda one: one[1].losses[-1],
        )
        if is_soft:
            found = soften(residuals, users, found, shrinkage, self.max_iter)
        is_rated = np.bincount(X.indices, minlength=X.shape[1]) > 0
        self.item_clusters_ = found.items * is_rated[:, None]
        self._effects, self._variance = found.effects, found.variance
        self.n_iter_ = len(found.losses)
        self.loss_curve_ = [
            float(self._in_squared_ratings(loss / max(X.nnz, 1))) for loss in found.losses
        ]

    mean_ = property(lambda self: self._in_ratings(self._mean))
    item_means_ = property(lambda self: self._in_ratings(self._item_means))
    cluster_effects_ = property(lambda self: self._in_ratings(self._effects))

    def _less_means(self, X):
        """Deviation of each user's mean, and what is left of the ratings."""
        above = deviations(X, self._reference, self._added)
        means = np.repeat(above, np.diff(X.indptr)) + self._item_means[X.indices]
        return above, with_data(X, X.data - means)

    def _user_states(self, X):
        """What each user's ratings deviate by, from the mean and in each cluster of items."""
        above, residuals = self._less_means(X.astype(np.float64))
        shares, _ = assign(residuals, self.item_clusters_, self._effects, self._variance)
        shares[np.diff(X.indptr) == 0] = 0
        return above, shares @ self._effects

    def _score_rows(self, X):
        above, effects = self._user_states(X)
        scores = effects @ self.item_clusters_.T + above[:, None] + self._item_means
        return scores.astype(X.dtype)

    def _score_pairs(self, states, users, items):
        above, effects = states
        products = pair_products(effects, self.item_clusters_, users, items)
        return products + above[users] + self._item_means[items]
