"""SlopeOne: mean deviations between the ratings of two items."""

from numbers import Integral, Real

import numpy as np
from scipy import sparse

from skrec.base import AdditiveMixin, BaseRecommender, RatingMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.neighbors._deviations import add_users, rate_pairs, rate_rows
from skrec.utils._blocks import effective_n_threads
from skrec.utils._compat import Interval


class SlopeOne(RatingMixin, AdditiveMixin, BaseRecommender):
    r"""Ratings from the mean deviations between pairs of items.

    Item `i` is rated above item `j` by :math:`d_{ij} = \sum_{u} (r_{ui} - r_{uj}) / (n_{ij} + s)`,
    over the :math:`n_{ij}` users who have rated both, with the shrinkage `s`. A rating is what the
    user's other ratings and these deviations say on average,

    .. math::
        \hat r_{ui} = \frac{\sum_{j} w_{ij} (r_{uj} + d_{ij})}{\sum_{j} w_{ij}}

    over the user's items that have common users with `i`, with the weights
    :math:`w_{ij} = n_{ij}`. With ``weighted=False``, items count alike, and the mean of all of the
    user's ratings stands for :math:`r_{uj}`. That is the first scheme of the paper, and with
    ``shrinkage=0`` the algorithm of the library Surprise; the weights are its second.

    Parameters
    ----------
    weighted : bool
        Whether deviations count in proportion to the users that they come from.
    shrinkage : float
        Users who rate two items alike, added to those who have rated both.
    n_jobs : int, default=None
        Number of threads; None means all cores, and -1 too.

    Attributes
    ----------
    deviations_ : csr_array of shape (n_items, n_items)
        How much higher the item of the row is rated than that of the column, in units of ratings.
        What is not stored has no common users; zeros are stored.
    support_ : csr_array of shape (n_items, n_items)
        Number, or weight, of the common users. The same entries are stored.
    item_means_ : ndarray of shape (n_items,)
        Mean rating of each item, which a user without ratings is predicted; the mean of all
        ratings for an item that has none.

    See Also
    --------
    BiasBaseline : One deviation for each item, and as a rule the better prediction.

    Notes
    -----
    Deviations are kept for the pairs of items with common users: 12 bytes each in single
    precision, 20 in double. Where no item of a row has common users with an item, the prediction
    is the mean of the row.

    Sums over users add up, so ``partial_fit`` is exact. :func:`skrec.update` fits again.

    References
    ----------
    .. [1] D. Lemire and A. Maclachlan, "Slope One Predictors for Online Rating-Based
       Collaborative Filtering", SDM 2005. :doi:`10.1137/1.9781611972757.43`

    Examples
    --------
    >>> from skrec import SlopeOne
    >>> model = SlopeOne(shrinkage=0).fit([[5, 3, 2], [3, 4, 0], [0, 2, 5]])
    >>> model.predict([[0, 2, 5]]).round(2)
    array([[4.33, 2.67, 4.  ]])
    """

    _parameter_constraints: dict = {
        "weighted": ["boolean"],
        "shrinkage": [Interval(Real, 0, None, closed="left")],
        **RATING_CONSTRAINTS,
        "n_jobs": [Integral, None],
    }

    _no_update = None

    def __init__(self, *, weighted=True, shrinkage=1.0, clip=True, rating_scale=None, n_jobs=None):
        self.weighted = weighted
        self.shrinkage = shrinkage
        self.clip = clip
        self.rating_scale = rating_scale
        self.n_jobs = n_jobs

    def _fit(self, X, sample_weight):
        # As they were in this fit: a parameter that is set later waits for the next one.
        self._is_weighted, self._shrinkage = bool(self.weighted), float(self.shrinkage)
        none = np.zeros(1, np.int32), np.empty(0, np.int32), *np.empty((2, 0), X.dtype)
        self._table, self._item_sums = none, np.zeros((2, X.shape[1]))
        self._add(X, sample_weight)

    def _add(self, X, sample_weight):
        weights = np.ones(X.shape[0])
        if sample_weight is not None:
            weights = sample_weight.astype(np.float64)
        n_threads = effective_n_threads(self.n_jobs)
        self._table = add_users(self._table, X, weights, self._shrinkage, n_threads)
        observed = sparse.csr_array((np.ones(X.nnz), X.indices, X.indptr), shape=X.shape)
        self._item_sums = self._item_sums + [X.T @ weights, observed.T @ weights]
        sums, counts = self._item_sums
        mean = sums.sum() / max(counts.sum(), np.finfo(float).tiny)
        self._item_means = np.divide(sums, counts, out=np.full(len(sums), mean), where=counts > 0)

    @property
    def item_means_(self):
        return self._in_ratings(self._item_means)

    @property
    def deviations_(self):
        return self._as_matrix(self._in_ratings(self._table[2]))

    @property
    def support_(self):
        return self._as_matrix(self._table[3].copy())

    def _as_matrix(self, values):
        indptr, indices = (part.copy() for part in self._table[:2])
        return sparse.csr_array((values, indices, indptr), shape=(self.n_features_in_,) * 2)

    def _score_rows(self, X):
        scores = np.tile(self._item_means.astype(self._table[2].dtype), (X.shape[0], 1))
        rate_rows((X.indptr, X.indices, X.data), self._table, self._is_weighted, scores)
        return scores

    def _score_pairs(self, states, users, items):
        scores = self._item_means[items].astype(self._table[2].dtype)
        rows = states.indptr, states.indices, states.data
        n_threads = effective_n_threads(self.n_jobs)
        rate_pairs(users, items, rows, self._table, self._is_weighted, scores, n_threads)
        return scores
