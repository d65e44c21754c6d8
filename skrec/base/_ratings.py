"""What estimators that predict ratings share: the range of ratings, single pairs, uncertainty."""

import sys
from numbers import Real

import numpy as np
from scipy import sparse

from skrec.utils._blocks import (
    distinct_rows,
    effective_n_threads,
    map_blocks,
    row_blocks,
    score_block,
)
from skrec.utils._docstrings import complete_verbs
from skrec.utils._pair_blocks import score_pairs
from skrec.utils._validation import (
    check_finite_answers,
    check_flag,
    check_interactions,
)

# Noise that is estimated is kept above this, so that a standard deviation is never zero.
SMALLEST_NOISE = 1e-6

# With units between these, float32 holds the ratings that are to be expected.
SINGLE_UNITS = 1e6 * float(np.finfo(np.float32).tiny), 1e-6 * float(np.finfo(np.float32).max)
# A smaller part of the largest rating may be float32's rounding, and no deviation.
SMALLEST_DEVIATION = 1e-5

RATING_CONSTRAINTS = {"clip": ["boolean"], "rating_scale": ["array-like", None]}


@complete_verbs
class RatingMixin:
    """Predictions in units of ratings, clipped to their range.

    ``_fit`` gets ratings in their own standard deviation as the unit: so penalties, step sizes,
    priors and initial weights mean the same on one to five stars and on percents. Everything below
    the public methods is in that unit, which is put on and taken off here alone;
    ``_in_ratings`` does so for fitted attributes.

    The estimator has the parameters ``clip`` and ``rating_scale``. It writes ``_score_rows``, as
    for every recommender; where single ratings cost less than whole rows, also ``_user_states``
    and ``_score_pairs``.

    Parameters
    ----------
    clip : bool
        Whether ``predict`` keeps to the range of the ratings. ``recommend`` ranks by the values
        before clipping.
    rating_scale : tuple of (float, float)
        Lowest and highest possible rating. Others are an error in ``fit``. None means the range
        of the ratings seen in ``fit``.

    Attributes
    ----------
    rating_unit_ : float
        Standard deviation of the ratings, the unit of embeddings, penalties and losses.
    rating_range_ : tuple of (float, float)
        `rating_scale`, or the smallest and largest rating seen in ``fit``.
    """

    clip = True
    rating_scale = None
    _predicts_ratings = True

    def predict(self, X, *, reviews=None):
        """Predict every user's rating of every item.

        Returns
        -------
        ratings : ndarray of shape (n_users, n_items)
        """
        return super().predict(X, reviews=reviews)

    def _check_training(self, X, reset):
        return self._check_ratings(X, reset)

    def _check_ratings(self, X, reset=True):
        """Validate training ratings, set their range and unit, and return them in that unit.

        With ``reset=False``, where training goes on, the unit stays and the range only grows.
        """
        X = check_interactions(X, estimator=self, reset=reset)
        earlier = () if reset else getattr(self, "rating_range_", ())
        seen = np.append(X.data, earlier).astype(np.float64)
        range_ = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)
        if self.rating_scale is not None:
            range_ = check_rating_scale(self.rating_scale)
            _check_within(X, *range_)
        self.rating_range_ = range_
        if reset or not hasattr(self, "rating_unit_"):
            self.rating_unit_ = rating_unit(X.data)
        return self._in_units(X)

    def _forget_ratings(self):
        """Drop what an earlier fit has learned of ratings, where now choices are learned from."""
        for name in ("mean_", "rating_unit_", "rating_range_"):
            vars(self).pop(name, None)

    def _check_rows(self, X):
        X = super()._check_rows(X)
        if not self._predicts_ratings:
            return X
        if self.rating_scale is not None:
            _check_within(X, *check_rating_scale(self.rating_scale))
        return self._in_units(X)

    def _in_units(self, X):
        """A matrix of ratings, each divided by the unit."""
        data = (X.data / np.float64(self.rating_unit_)).astype(X.dtype)
        return sparse.csr_array((data, X.indices, X.indptr), shape=X.shape)

    def _in_ratings(self, values):
        """Values of the unit, as ratings; in single precision where that holds all of them."""
        return values * self._unit_for(values)

    def _unit_for(self, values):
        is_single = getattr(values, "dtype", None) == np.float32
        low, high = SINGLE_UNITS
        number = np.float32 if is_single and low < self.rating_unit_ < high else np.float64
        return number(self.rating_unit_)

    def _in_squared_ratings(self, variances):
        """Variances in squares of the unit, as those of ratings; infinite beyond floats."""
        with np.errstate(over="ignore"):
            return self._in_ratings(self._in_ratings(variances))

    def _finite_scores(self, X, *read):
        # In ratings before they are ranked: rounding may make ties of what differs in units.
        return self._as_ratings(super()._finite_scores(X, *read))

    def _as_ratings(self, scores):
        """Scores of a block or of pairs, which are no longer needed, as ratings."""
        if not self._predicts_ratings:
            return scores
        unit = self._unit_for(scores)
        fits = scores.dtype == np.result_type(scores, unit)
        return np.multiply(scores, unit, out=scores if fits else None)

    def _as_answers(self, ratings):
        if not self._predicts_ratings or not self.clip:
            return ratings
        return np.clip(ratings, *self.rating_range_, out=ratings)

    def _user_states(self, X):
        """What single ratings of each user are predicted from; for row i at position i."""
        return X

    def _score_pairs(self, states, users, items):
        """Rating of an item by a user, for each pair of positions; an array of (n_pairs,)."""
        return score_pairs(self._score_rows, states, users, items, getattr(self, "n_jobs", None))

    def _pair_states(self, X, **reviews):
        """What `_rate_pairs` rates the pairs of validated users from."""
        return self._user_states(self._in_units(X), **reviews)

    def _rate_pairs(self, states, users, items):
        with np.errstate(over="ignore", invalid="ignore"):
            ratings = self._score_pairs(states, users, items)
        check_finite_answers(self, ratings)
        return self._as_answers(self._as_ratings(ratings))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.recommender_tags.predicts_ratings = self._predicts_ratings
        tags.recommender_tags.rates_pairs = self._predicts_ratings
        return tags


@complete_verbs
class UncertainRatingMixin(RatingMixin):
    """Predictions of ratings with a standard deviation.

    The estimator writes ``_score_rows_std(X)`` and ``_score_pairs_std(states, users, items)``
    beside the methods without ``_std``; they return the mean and the standard deviation.
    """

    def predict(self, X, *, reviews=None, return_std=False):
        """Predict every user's rating of every item.

        Returns
        -------
        ratings : ndarray of shape (n_users, n_items)
        std : ndarray of shape (n_users, n_items)
            Only if ``return_std=True``: of the rating itself, noise included, before clipping.
        """
        if not check_flag(return_std, "return_std"):
            return super().predict(X, reviews=reviews)
        X, read, positions = distinct_rows(*self._check_input(X, reviews))
        n_threads = effective_n_threads(getattr(self, "n_jobs", None))
        blocks = row_blocks(X.shape[0], 32 * X.shape[1], n_threads)
        answers = map_blocks(
            lambda block: score_block(self._finite_scores_std, block, X, read), blocks, n_threads
        )
        ratings, std = (np.concatenate(parts) for parts in zip(*answers, strict=True))
        if positions is not None:
            ratings, std = ratings[positions], std[positions]
        return self._as_answers(ratings), std

    def _finite_scores_std(self, X, *read):
        with np.errstate(over="ignore", invalid="ignore"):
            ratings, std = self._score_rows_std(X, *read)
        check_finite_answers(self, ratings, std)
        return self._as_ratings(ratings), self._in_ratings(std)

    def _rate_pairs(self, states, users, items, return_std=False):
        if not return_std:
            return super()._rate_pairs(states, users, items)
        with np.errstate(over="ignore", invalid="ignore"):
            ratings, std = self._score_pairs_std(states, users, items)
        check_finite_answers(self, ratings, std)
        return self._as_answers(self._as_ratings(ratings)), self._in_ratings(std)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.recommender_tags.predicts_std = True
        return tags


def rating_unit(ratings):
    """Standard deviation of ratings; of ratings that are all the same, their size.

    Parameters
    ----------
    ratings : ndarray of shape (n_ratings,)

    Returns
    -------
    unit : float
        Positive.
    """
    largest = float(np.abs(ratings).max(initial=0))
    if largest < np.finfo(np.float64).tiny:
        return 1.0
    deviation = float((ratings / np.float64(largest)).std())
    return largest * deviation if deviation > SMALLEST_DEVIATION else largest


def _check_within(X, low, high):
    """Raise an error where a rating lies outside a declared scale."""
    # In the precision of the ratings: the nearest float32 to 0.3 is above 0.3.
    is_outside = (X.data < X.dtype.type(low)) | (X.data > X.dtype.type(high))
    if is_outside.any():
        raise ValueError(
            f"Ratings in X must lie within rating_scale=({low:g}, {high:g}), got "
            f"{X.data[is_outside][0]:g}: correct the entry, or give the scale that the ratings "
            "have."
        )


def check_rating_scale(scale):
    """Validate a declared scale and return its ends as floats."""
    ends = list(scale)
    if len(ends) == 2 and all(isinstance(end, Real) for end in ends):
        ends = [float(end) if abs(end) <= sys.float_info.max else np.inf for end in ends]
    if (
        len(ends) != 2
        or not all(isinstance(end, Real) and np.isfinite(end) for end in ends)
        or not ends[0] < ends[1]
    ):
        raise ValueError(
            f"rating_scale must be two finite numbers, the lowest rating and the highest, got "
            f"{scale!r}: give for example (1, 5), or None for the range seen in fit."
        )
    return float(ends[0]), float(ends[1])
