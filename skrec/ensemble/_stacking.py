"""Ensembles that learn what their members count."""

import numpy as np

from skrec.base import BaseRecommender
from skrec.ensemble._base import EnsembleMixin
from skrec.ensemble._held_out import (
    check_list_metric,
    held_out_parts,
    list_weights,
    rating_weights,
)
from skrec.utils._compat import StrOptions


class StackingRecommender(EnsembleMixin, BaseRecommender):
    """Weighted sum of the scores of several recommenders, with weights learned in ``fit``.

    Some of the training users are held out, and a fifth of each one's entries is hidden. Members
    fitted on the other users score them, and the weights are chosen that bring the hidden entries
    to the top. Then all members are fitted on all users. The answers are those of
    :class:`VotingRecommender` with these weights.

    Parameters
    ----------
    cv : int, splitter, iterable of (train, test) or "prefit", default=None
        How users are held out to learn the weights. None: a fifth of them, at most 5000, once, so
        that each member is fitted twice. An int means so many folds, drawn: all users are held
        out in turn, and members fitted once more than that. "prefit": members are fitted already,
        and weights are learned on the users that ``fit`` gets, which have to be others, as they
        have to be where a member is frozen.
    metric : str, default="auto"
        What the weights are to raise: a metric of
        :func:`~skrec.metrics.ranking_scorer` that has a value for each user, such as "ndcg@10",
        or "neg_rmse" where all members predict ratings. "auto": the metric of ``score``, which is
        "neg_rmse" there, and otherwise "ndcg@100". With a metric of lists, members that predict
        ratings become an ensemble that ranks.
    random_state : int, RandomState instance or None, default=None
        Controls which users and entries are held out. Pass an int for reproducible weights.
        Members have their own.

    Attributes
    ----------
    validation_score_ : float
        The metric of the ensemble on the held-out users, from members that were fitted without
        them. As the weights were chosen by it, it is a little too high.
    member_scores_ : ndarray of shape (n_members,)
        The same for each member alone.

    See Also
    --------
    VotingRecommender : Takes the weights as they are given.

    Notes
    -----
    For a ranking metric, members get one vote after the other, up to 20: always the one with which
    the mean of the held-out users is largest then (ensemble selection [3]_). The best mixture on
    the way is taken; members that do not help get no weight. The more members, the more the
    choice follows these users' chance: a few good ones of different kinds do best. Of each of the
    users, each member's best items are kept (five times the cut-off of the metric, at least 200)
    and the hidden ones: memory for users x kept items x members numbers.

    For ratings, the weights minimise the squared error of the hidden ones, by non-negative least
    squares with a sum of 1.

    References
    ----------
    .. [1] D. H. Wolpert, "Stacked generalization", Neural Networks 5(2), 1992.
       :doi:`10.1016/S0893-6080(05)80023-1`
    .. [2] L. Breiman, "Stacked regressions", Machine Learning 24, 1996. :doi:`10.1007/BF00117832`
    .. [3] R. Caruana, A. Niculescu-Mizil, G. Crew and A. Ksikes, "Ensemble Selection from
       Libraries of Models", ICML 2004. :doi:`10.1145/1015330.1015432`

    Examples
    --------
    >>> from skrec import EASE, Popularity, StackingRecommender
    >>> from skrec.datasets import load_movielens_small
    >>> X = load_movielens_small().binarize(3.5).filter(min_users_per_item=10).X
    >>> members = [("ease", EASE(l2=100)), ("popularity", Popularity())]
    >>> model = StackingRecommender(members, random_state=0).fit(X)
    >>> bool(model.weights_[0] > model.weights_[1])
    True
    """

    _parameter_constraints: dict = {
        **EnsembleMixin._ensemble_constraints,
        "cv": ["cv_object", StrOptions({"prefit"})],
        "metric": [str],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimators,
        *,
        cv=None,
        metric="auto",
        normalize="auto",
        clip=True,
        n_jobs=None,
        random_state=None,
        verbose=False,
    ):
        self.estimators = estimators
        self.cv = cv
        self.metric = metric
        self.normalize = normalize
        self.clip = clip
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _may_sum_ratings(self):
        return super()._may_sum_ratings() and self.metric in ("auto", "neg_rmse")

    def _check_estimators(self):
        super()._check_estimators()
        if self.metric == "neg_rmse" and not self._may_sum_ratings():
            raise ValueError(
                "metric='neg_rmse' needs members that all predict ratings, and normalize='auto' "
                "or None: leave the others out, or choose a metric of lists, such as 'ndcg@100'."
            )
        if not self._may_sum_ratings():
            check_list_metric(self._list_metric())

    def _list_metric(self):
        return "ndcg@100" if self.metric == "auto" else self.metric

    def _is_fitted_before(self, member):
        return self.cv == "prefit" or super()._is_fitted_before(member)

    def _fit(self, X, reviews=None):
        parts = held_out_parts(self._fit_members, X, reviews, self.cv, self.random_state)
        if self._sums_ratings:
            weights, score_of = rating_weights(parts, n_jobs=self.n_jobs)
        else:
            weights, score_of = list_weights(parts, self._list_metric(), self._how, self.n_jobs)
        self.validation_score_ = float(score_of(weights))
        self.member_scores_ = np.array([score_of(alone) for alone in np.eye(len(weights))])
        self._keep(self._fit_members(X, reviews), weights)

    def _fit_members(self, *data):
        if self.cv == "prefit":
            return [member for _, member in self._members]
        return super()._fit_members(*data)
