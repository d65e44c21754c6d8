"""Rating prediction from user and item offsets."""

from numbers import Real

import numpy as np
from sklearn.base import _fit_context

from skrec.base import BaseRecommender
from skrec.base._ratings import RATING_CONSTRAINTS, RatingMixin
from skrec.solvers._offsets import fit_offsets, with_data
from skrec.utils._compat import Interval
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
            X = self._check_ratings(X)
            weight = check_sample_weight(sample_weight, X).astype(np.float64)
            self._mean, self._item_offsets = fit_offsets(X, self.l2_user, self.l2_item, weight)
            self.mean_ = self._in_ratings(self._mean)
            self.item_offsets_ = self._in_ratings(self._item_offsets)
        return self

    def _score_rows(self, X):
        return self._user_states(X)[:, None] + (self._mean + self._item_offsets)

    def _user_states(self, X):
        """Offset of each user."""
        residual = X.data - self._mean - self._item_offsets[X.indices]
        return with_data(X, residual).sum(axis=1) / (np.diff(X.indptr) + float(self.l2_user))

    def _score_pairs(self, states, users, items):
        return states[users] + (self._mean + self._item_offsets)[items]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.recommender_tags.personalized = False
        return tags
