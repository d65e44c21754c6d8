"""Ensembles whose members count as much as the caller says."""

import numpy as np

from skrec.base import BaseRecommender
from skrec.ensemble._base import EnsembleMixin
from skrec.ensemble._members import check_weights


class VotingRecommender(EnsembleMixin, BaseRecommender):
    r"""Weighted sum of the scores of several recommenders, each brought onto one scale.

    With :math:`s_m(x)` the scores that member `m` has for a user's row `x`, the ensemble ranks by

    .. math::
        \sum_m w_m\, \frac{s_m(x) - \operatorname{mean} s_m(x)}{\operatorname{std} s_m(x)}

    with mean and standard deviation over all items (``normalize="zscore"``). Models that err in
    different ways correct each other, so that the sum often ranks better than the best of them.

    Parameters
    ----------
    weights : array-like of shape (n_estimators,)
        What each member counts, not negative; those of dropped ones are not read. None means the
        same for all. A member of weight 0 is fitted, but never asked for scores.

    See Also
    --------
    StackingRecommender : Learns the weights from held-out users.

    Notes
    -----
    A row's answer depends on that row alone. Scores are computed, scaled and added in blocks of
    users, so that memory never holds the users x items scores of a member.

    Where all members predict ratings and `normalize` is "auto" or None, the answer is their
    weighted mean, a rating: ``score`` is then minus the RMSE, and
    :class:`~skrec.RatingRegressor` takes the ensemble. Otherwise the answer ranks, and ratings
    count by where they stand among a user's.

    Members in a search are fitted again for each setting of weights; frozen ones are not, so
    that a search over weights alone costs no more than scores:
    ``GridSearchCV(VotingRecommender([("a", FrozenEstimator(a)), ...]), {"weights": [...]})``
    on users that they were not fitted on.

    Weights of users (``sample_weight``) are not handed on, and members of other libraries have to
    bear calls of ``predict`` from several threads, or ``n_jobs=1``.

    There is no ``explain``: what an item of the history adds to a sum that is scaled by the row
    depends on the rest of the row.

    Examples
    --------
    >>> from skrec import EASE, ItemKNN, VotingRecommender
    >>> X = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]]
    >>> model = VotingRecommender([("ease", EASE(l2=1)), ("knn", ItemKNN())], weights=[2, 1])
    >>> model.fit(X).recommend([[1, 0, 0, 0]], k=3)
    array([[1, 2, 3]])
    >>> model.set_params(ease__l2=5, knn="drop").fit(X).weights_
    array([1.])
    """

    _parameter_constraints: dict = {
        **EnsembleMixin._ensemble_constraints,
        "weights": ["array-like", None],
    }

    def __init__(
        self, estimators, *, weights=None, normalize="auto", clip=True, n_jobs=None, verbose=False
    ):
        self.estimators = estimators
        self.weights = weights
        self.normalize = normalize
        self.clip = clip
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _check_estimators(self):
        super()._check_estimators()
        if not self._used_weights().any():
            raise ValueError(
                f"weights must be positive for at least one estimator that is not dropped, got "
                f"{self.weights!r}."
            )

    def _used_weights(self):
        weights = check_weights(self.weights, len(self.estimators))
        dropped = [isinstance(member, str) for _, member in self.estimators]
        return weights[~np.array(dropped)]

    def _fit(self, X, reviews=None):
        self._keep(self._fit_members(X, reviews), self._used_weights())
