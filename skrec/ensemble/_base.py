"""What voting and stacking share: members by name, and the weighted sum of their scores."""

from numbers import Integral

import numpy as np
from sklearn.utils import Bunch, get_tags
from sklearn.utils.validation import check_is_fitted

from skrec.base import RatingMixin
from skrec.ensemble._members import (
    check_fitted_member,
    fit_members,
    is_frozen,
    pair_states,
    rate_pairs,
    reads_reviews,
    recommender_tags,
    score_member,
)
from skrec.ensemble._normalization import normalize_rows
from skrec.metrics._predictions import final_estimator
from skrec.utils._compat import BaseComposition, StrOptions
from skrec.utils._docstrings import complete_verbs
from skrec.utils._entry_splits import is_interactions
from skrec.utils._validation import check_interactions


@complete_verbs
class EnsembleMixin(RatingMixin, BaseComposition):
    """Members by name, whose scores are brought onto one scale, weighted and added.

    The ensemble writes ``_fit``, which sets ``estimators_`` and ``weights_`` by ``_keep``.

    Parameters
    ----------
    estimators : list of (str, estimator)
        The members by name: recommenders, and Pipelines or searches that end in one; clones of
        them are fitted. ``set_params(name="drop")`` leaves one out. One that is fitted already
        stays so in scikit-learn's :class:`~sklearn.frozen.FrozenEstimator`.
    normalize : {"auto", "zscore", "rank", "minmax"} or None
        How the scores of a row are brought onto one scale, over all items. "zscore": mean 0 and
        standard deviation 1. "rank": from 0 for the last item to 1 for the first, in equal steps,
        items of the same score at the mean of theirs. "minmax": from 0 to 1. None: they are added
        as they are. "auto": None where all members predict ratings, and the ensemble is to do so
        too, and otherwise "zscore".
    clip : bool
        Whether ``predict`` keeps to the range of the ratings. ``recommend`` ranks by the values
        before clipping. Where the ensemble predicts no ratings, there is nothing to clip.
    n_jobs : int
        Number of members that are fitted at a time, each in a process; and of threads that score
        blocks of users. None means one member after the other, each with the threads that it has
        by itself, and scores on all cores.
    verbose : bool
        Whether to show the progress of ``fit``.

    Attributes
    ----------
    estimators_ : list of estimator
        The fitted members, without dropped ones.
    named_estimators_ : Bunch
        The same by name; "drop" under the name of a dropped one.
    weights_ : ndarray of shape (n_members,)
        Of `estimators_`; their sum is 1.
    rating_range_ : tuple of (float, float)
        Smallest and largest rating that a member can answer with. Only where the ensemble
        predicts ratings.
    rating_unit_ : float
        1, as the members answer in ratings. Only where the ensemble predicts ratings.
    """

    _no_update = "its members would have to be updated, each in its own way"
    _warns_of_ratings = False  # members do, of the rows that they get at the end of a Pipeline

    _ensemble_constraints: dict = {
        "estimators": [list],
        "normalize": [StrOptions({"auto", "zscore", "rank", "minmax"}), None],
        "clip": ["boolean"],
        "n_jobs": [Integral, None],
        "verbose": ["boolean"],
    }

    def get_params(self, deep=True):
        """Get the parameters of the ensemble, and with `deep` the members and theirs.

        Parameters
        ----------
        deep : bool, default=True
            Whether to list the members by name, and their parameters as ``name__parameter``.

        Returns
        -------
        params : dict
            Values by name.
        """
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params):
        """Set parameters of the ensemble, or of members as ``name__parameter``.

        Parameters
        ----------
        **params : dict
            A member's name sets another estimator in its place, or leaves it out with "drop".

        Returns
        -------
        self : estimator
        """
        self._set_params("estimators", **params)
        return self

    def predict(self, X, *, reviews=None):
        """Score every item for every user.

        Returns
        -------
        scores : ndarray of shape (n_users, n_items)
            Larger is better; ratings where the ensemble predicts them. Where a single member has
            a weight above 0, its scores as they are.
        """
        return super().predict(X, reviews=reviews)

    @property
    def named_estimators_(self):
        """The fitted members by name; "drop" under the name of a dropped one."""
        check_is_fitted(self)
        fitted = dict(zip(self._kept, self.estimators_, strict=True))
        return Bunch(**{name: fitted.get(name, "drop") for name in self._names})

    @property
    def _members(self):
        """Pairs of a name and a member that is not dropped, as far as they are such pairs."""
        pairs = self.estimators if isinstance(self.estimators, list) else []
        pairs = [pair for pair in pairs if isinstance(pair, tuple | list) and len(pair) == 2]
        return [(name, member) for name, member in pairs if not isinstance(member, str | type)]

    @property
    def _predicts_ratings(self):
        # As it was fitted, if it was: parameters may have been changed since.
        return getattr(self, "_sums_ratings", self._may_sum_ratings())

    def _may_sum_ratings(self):
        """Whether the parameters say that ratings are added to ratings."""
        return self.normalize in ("auto", None) and all(
            recommender_tags(member).predicts_ratings for _, member in self._members
        )

    def _check_training(self, X, reset):
        self._check_estimators()
        rows = check_interactions(X, estimator=self, reset=reset)
        for name, member in self._members:
            if self._is_fitted_before(member):
                ids = getattr(self, "feature_names_in_", None)
                check_fitted_member(name, member, rows, ids)
        self._sums_ratings = self._may_sum_ratings()
        self._how = self.normalize
        if self.normalize == "auto":
            self._how = None if self._sums_ratings else "zscore"
        for earlier in ("rating_unit_", "rating_range_"):
            vars(self).pop(earlier, None)
        if self._sums_ratings:
            self.rating_unit_ = 1.0
            ends = (rows.data.min(), rows.data.max()) if rows.nnz else (0, 0)
            self.rating_range_ = tuple(map(float, ends))
        # Interactions as they are, for members that read ids or times.
        return X if is_interactions(X) else rows

    def _check_estimators(self):
        pairs = self.estimators
        if not pairs or not all(
            isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str)
            for pair in pairs
        ):
            raise ValueError(
                "estimators must be a non-empty list of (name, estimator) pairs, for example "
                f"[('ease', EASE()), ('knn', ItemKNN())], got {pairs!r}."
            )
        self._validate_names([name for name, _ in pairs])
        for name, member in pairs:
            has_verbs = hasattr(member, "fit") and hasattr(member, "predict")
            if not (isinstance(member, str) and member == "drop") and (
                isinstance(member, type) or not has_verbs
            ):
                raise TypeError(
                    f"The member {name!r} must be an estimator with fit and predict, or 'drop', "
                    f"got {member!r}."
                )
        if not self._members:
            raise ValueError(
                f"All estimators are dropped, {[name for name, _ in pairs]}: leave at least one."
            )

    def _is_fitted_before(self, member):
        return is_frozen(member)

    def _fit_members(self, X, reviews):
        options = {"n_jobs": self.n_jobs, "verbose": self.verbose, "desc": type(self).__name__}
        return fit_members(self._members, X, reviews, **options)

    def _keep(self, fitted, weights):
        """Set what a fit has come to: fitted members, and weights, not all of them 0."""
        self.estimators_ = fitted
        self._names = [name for name, _ in self.estimators]
        self._kept = [name for name, _ in self._members]
        weights = weights / weights.max()  # before their sum, which may overflow
        self.weights_ = weights / weights.sum()
        if self._sums_ratings:
            ranges = [getattr(final_estimator(one), "rating_range_", None) for one in fitted]
            if None not in ranges:
                lows, highs = zip(*ranges, strict=True)
                self.rating_range_ = min(lows), max(highs)

    def _read_reviews(self, reviews):
        return reviews

    def _score_rows(self, X, reviews=None):
        counted = np.flatnonzero(self.weights_)
        if len(counted) == 1:  # no rounding can make ties of what it ranks
            return score_member(self.estimators_[counted[0]], X, reviews)
        total = None
        for member in counted:
            scores = score_member(self.estimators_[member], X, reviews)
            scores = normalize_rows(scores, self._how)
            scores *= self.weights_[member]
            total = scores if total is None else total + scores
        return total

    def _user_states(self, X, reviews=None):
        counted = np.flatnonzero(self.weights_)
        return [pair_states(self.estimators_[member], X, reviews) for member in counted]

    def _score_pairs(self, states, users, items):
        counted = np.flatnonzero(self.weights_)
        return sum(
            self.weights_[member] * rate_pairs(self.estimators_[member], state, users, items)
            for member, state in zip(counted, states, strict=True)
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        members = [member for _, member in self._members]
        ours = tags.recommender_tags
        ours.personalized = any(recommender_tags(member).personalized for member in members)
        ours.reads_reviews = any(reads_reviews(member) for member in members)
        tags.non_deterministic = any(get_tags(member).non_deterministic for member in members)
        tags.input_tags.positive_only = any(
            get_tags(final_estimator(member)).input_tags.positive_only for member in members
        )
        return tags
