"""Rating prediction from user and item offsets."""

import warnings
from numbers import Real

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval

from skrec._ratings import RATING_CONSTRAINTS, RatingMixin
from skrec.base import BaseRecommender
from skrec.utils._validation import check_sample_weight, keep_state_on_error


class BiasBaseline(RatingMixin, BaseRecommender):
    r"""Global mean plus a user offset and an item offset, both shrunk by ridge penalties.

    With :math:`\mu` the mean of all ratings, the offsets minimise

    .. math::
        \sum_{(u,i)} (r_{ui} - \mu - b_u - b_i)^2
        + \lambda_\text{user} \sum_u b_u^2 + \lambda_\text{item} \sum_i b_i^2

    over the observed entries. The items' offsets are learned; a user's is the exact minimiser
    given the user's row, so training users and new ones are treated alike. As a ranking it is
    the same list for everybody. A calibration row for rating prediction: most of what can be
    predicted about a rating is in these offsets.

    Parameters
    ----------
    l2_user : float, default=15.0
        Penalty on a user's offset, in units of ratings.
    l2_item : float, default=10.0
        Penalty on an item's offset, in units of ratings.
    clip : bool, default=True
        Whether ``predict`` keeps to the range of the ratings seen in ``fit``. ``recommend`` ranks
        by the values before clipping.
    rating_scale : tuple of (float, float), default=None
        Lowest and highest possible rating. Others are an error in ``fit``. None means the range
        of the ratings seen in ``fit``.

    Attributes
    ----------
    mean_ : float
        Mean of the ratings.
    item_offsets_ : ndarray of shape (n_items,)
        0 for items without ratings.
    rating_unit_ : float
        Standard deviation of the ratings, in units of which the offsets are computed.
    rating_range_ : tuple of (float, float)
        `rating_scale`, or the smallest and largest rating seen in ``fit``.
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_items,)
        Names of the items, if `X` had string column names.

    See Also
    --------
    Popularity : The calibration row for rankings.

    Notes
    -----
    The users' offsets are eliminated, which leaves one sparse positive definite system for the
    items', solved by conjugate gradients.

    References
    ----------
    .. [1] Y. Koren, "Factor in the Neighbors: Scalable and Accurate Collaborative Filtering",
       ACM TKDD 4(1), 2010. :doi:`10.1145/1644873.1644874`

    Examples
    --------
    >>> from skrec import BiasBaseline
    >>> model = BiasBaseline(l2_user=1, l2_item=1).fit([[5, 4, 0], [0, 3, 1]])
    >>> model.predict([[5, 0, 0], [1, 0, 0]]).round(2)
    array([[4.42, 4.01, 3.02],
           [2.42, 2.01, 1.02]])
    """

    _parameter_constraints: dict = {
        "l2_user": [Interval(Real, 0, None, closed="neither")],
        "l2_item": [Interval(Real, 0, None, closed="neither")],
        **RATING_CONSTRAINTS,
    }

    def __init__(self, l2_user=15.0, l2_item=10.0, *, clip=True, rating_scale=None):
        self.l2_user = l2_user
        self.l2_item = l2_item
        self.clip = clip
        self.rating_scale = rating_scale

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, reviews=None, sample_weight=None):
        """Learn the mean and the items' offsets.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user. Stored entries (dense input: the non-zeros) are the ratings.
        y : object, default=None
            Ignored, present for API consistency.
        reviews : object, default=None
            Ignored: this model reads no text.
        sample_weight : array-like of shape (n_users,), default=None
            Non-negative weight of each user; None means 1.

        Returns
        -------
        self : BiasBaseline
            The fitted estimator.
        """
        with keep_state_on_error(self):
            X = self._check_ratings(X).astype(np.float64, copy=False)
            weight = check_sample_weight(sample_weight, X)
            total = np.repeat(weight, np.diff(X.indptr)).sum()
            self._mean = float(weight @ X.sum(axis=1) / total) if total > 0 else 0.0
            self._item_offsets = _item_offsets(
                _with_data(X, X.data - self._mean),
                weight,
                float(self.l2_user),
                float(self.l2_item),
            )
            self.mean_ = self._in_ratings(self._mean)
            self.item_offsets_ = self._in_ratings(self._item_offsets)
        return self

    def _score_rows(self, X):
        return self._user_states(X)[:, None] + (self._mean + self._item_offsets)

    def _user_states(self, X):
        """Offset of each user."""
        residual = X.data - self._mean - self._item_offsets[X.indices]
        return _with_data(X, residual).sum(axis=1) / (np.diff(X.indptr) + float(self.l2_user))

    def _score_pairs(self, states, users, items):
        return states[users] + (self._mean + self._item_offsets)[items]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.recommender_tags.personalized = False
        return tags


def _with_data(X, data):
    return sparse.csr_array((data, X.indices, X.indptr), shape=X.shape)


def _item_offsets(centered, weight, l2_user, l2_item):
    """Minimise over both offsets and return the items'.

    Parameters
    ----------
    centered : csr_array of shape (n_users, n_items)
        Ratings less their mean.
    weight : ndarray of shape (n_users,)
    l2_user, l2_item : float

    Returns
    -------
    item_offsets : ndarray of shape (n_items,)
    """
    observed = _with_data(centered, np.ones_like(centered.data))
    observed_by_items = observed.T.tocsr()
    shrunk_weight = weight / (np.diff(centered.indptr) + l2_user)
    diagonal = observed_by_items @ weight + l2_item

    def reduced(offsets):
        return diagonal * offsets - observed_by_items @ (shrunk_weight * (observed @ offsets))

    target = centered.T @ weight - observed_by_items @ (shrunk_weight * centered.sum(axis=1))
    shape = (len(diagonal), len(diagonal))
    offsets, not_converged = cg(
        LinearOperator(shape, matvec=reduced, dtype=np.float64),
        target,
        rtol=1e-12,
        M=LinearOperator(shape, matvec=lambda offsets: offsets / diagonal, dtype=np.float64),
    )
    if not_converged:
        warnings.warn(
            f"The item offsets did not converge in {not_converged} iterations: use larger l2_user "
            "and l2_item.",
            ConvergenceWarning,
            stacklevel=3,
        )
    return offsets


def less_offsets(X, offsets):
    """Ratings less the offsets of all, of items, and of the users that fit them best.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    offsets : tuple of (mean, item_offsets, l2)
        The last is the penalty on a user's offset.

    Returns
    -------
    residual : csr_array of shape (n_users, n_items)
    user_offsets : ndarray of shape (n_users,)
    """
    mean, item_offsets, l2 = offsets
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    residual = X.data.astype(np.float64) - mean - item_offsets[X.indices]
    sums = np.bincount(rows, residual, minlength=X.shape[0])
    user_offsets = sums / (np.diff(X.indptr) + float(l2))
    residual = residual - user_offsets[rows]
    return sparse.csr_array((residual, X.indices, X.indptr), shape=X.shape), user_offsets
