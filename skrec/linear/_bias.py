"""Rating prediction from user and item offsets."""

from numbers import Real

import numpy as np

from skrec.base import BaseRecommender, RatingMixin, SampleWeightMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.solvers._offsets import fit_offsets, with_data
from skrec.utils._compat import Interval


class BiasBaseline(RatingMixin, SampleWeightMixin, BaseRecommender):
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

    Attributes
    ----------
    mean_ : float
        Mean of the ratings.
    item_offsets_ : ndarray of shape (n_items,)
        0 for items without ratings.

    See Also
    --------
    Popularity : The calibration row for rankings.

    Notes
    -----
    The users' offsets are eliminated, which leaves one sparse positive definite system for the
    items', solved by conjugate gradients. There is no ``partial_fit``: the system of the users so
    far is an items x items matrix, which takes more memory than a fit takes time.
    :func:`skrec.update` fits again.

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

    _no_update = None

    def __init__(self, l2_user=15.0, l2_item=10.0, *, clip=True, rating_scale=None):
        self.l2_user = l2_user
        self.l2_item = l2_item
        self.clip = clip
        self.rating_scale = rating_scale

    def _fit(self, X, sample_weight):
        self._mean, self._item_offsets = fit_offsets(X, self.l2_user, self.l2_item, sample_weight)
        self._user_penalty = float(self.l2_user)
        self.mean_ = self._in_ratings(self._mean)
        self.item_offsets_ = self._in_ratings(self._item_offsets)

    def _update(self, change):
        self.fit(change.rows, sample_weight=change.sample_weight)

    def _score_rows(self, X):
        return self._user_states(X)[:, None] + (self._mean + self._item_offsets)

    def _user_states(self, X):
        """Offset of each user."""
        residual = X.data - self._mean - self._item_offsets[X.indices]
        return with_data(X, residual).sum(axis=1) / (np.diff(X.indptr) + self._user_penalty)

    def _score_pairs(self, states, users, items):
        return states[users] + (self._mean + self._item_offsets)[items]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.recommender_tags.personalized = False
        return tags
