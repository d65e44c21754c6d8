"""The checks of rating models notice what is wrong."""

import numpy as np
import pytest

from skrec import BiasBaseline
from skrec.base._ratings import UncertainRatingMixin, check_rating_scale, rating_unit
from skrec.utils import estimator_checks as checks


class NoScale(BiasBaseline):
    def _check_ratings(self, X, reset):
        self.rating_scale, declared = None, self.rating_scale
        X = super()._check_ratings(X, reset)
        self.rating_scale = declared
        self.rating_range_ = declared or self.rating_range_
        return X


class NeverClips(BiasBaseline):
    def _as_answers(self, ratings):
        return ratings


class HasAUnit(BiasBaseline):
    def _score_rows(self, X):
        return super()._score_rows(X) + 0.1 / self.rating_unit_


class ClipsNoRecommendations(BiasBaseline):
    def recommend(self, *args, **options):
        known, self.rating_range_ = self.rating_range_, (-np.inf, np.inf)
        answer = super().recommend(*args, **options)
        self.rating_range_ = known
        return answer


class OtherPairs(BiasBaseline):
    def _score_pairs(self, states, users, items):
        return super()._score_pairs(states, users, items[::-1])


class Uncertain(UncertainRatingMixin, BiasBaseline):
    def _score_rows_std(self, X):
        return self._score_rows(X), np.full(X.shape, self._std(X))

    def _score_pairs_std(self, states, users, items):
        return self._score_pairs(states, users, items), np.full(len(users), 1.0)

    def _std(self, X):
        return 1.0


class NoDoubt(Uncertain):
    def _std(self, X):
        return 0.0


class DoubtOfTheBatch(Uncertain):
    def _std(self, X):
        return 1.0 + X.data[0]


class DoubtOfPairs(Uncertain):
    def _score_pairs_std(self, states, users, items):
        return self._score_pairs(states, users, items), np.full(len(users), 2.0)


@pytest.mark.parametrize(
    "model, check",
    [
        (NoScale(), checks.check_rating_scale),
        (NeverClips(), checks.check_clip),
        (HasAUnit(), checks.check_rating_units),
        (ClipsNoRecommendations(), checks.check_recommended_scores),
        (OtherPairs(), checks.check_pairs_agree),
        (NoDoubt(), checks.check_return_std),
        (DoubtOfTheBatch(), checks.check_return_std),
        (DoubtOfPairs(), checks.check_pairs_agree),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_a_broken_model_is_found_out(model, check):
    check(Uncertain())
    with pytest.raises(AssertionError):
        check(model)


@pytest.mark.parametrize(
    "scale", [(5, 1), (1, 1), (1, 2, 3), (1, np.inf), ("1", "5"), (np.nan, 5)]
)
def test_no_rating_scale(scale):
    with pytest.raises(ValueError, match="rating_scale must be two finite numbers"):
        check_rating_scale(scale)


class LastDigits(BiasBaseline):
    """Scores that rise by the last digit of what lies below 1 from one item to the next."""

    def _score_rows(self, X):
        steps = np.arange(X.shape[1], 0, -1, dtype=np.float32) * np.finfo(np.float32).epsneg
        return np.tile(1 - steps, (X.shape[0], 1))


def test_what_differs_in_units_and_not_in_ratings_is_a_tie():
    X = np.arange(40).reshape(4, 10) % 5 + 1.0
    model = LastDigits(clip=False).fit(X)
    ratings = model.predict(X)[0]
    assert ratings.dtype == np.float32
    assert len(np.unique(ratings)) < len(ratings)
    indices, scores = model.recommend(X, k=10, exclude_seen=False, return_scores=True)
    np.testing.assert_array_equal(indices[0], np.argsort(-ratings, kind="stable"))
    np.testing.assert_array_equal(scores[0], ratings[indices[0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_unit_is_the_deviation_or_where_there_is_none_the_size(dtype):
    ratings = np.array([1, 2, 2, 5], dtype=dtype)
    assert rating_unit(ratings) == pytest.approx(ratings.std(), rel=1e-6)
    assert rating_unit(1000 + ratings) == pytest.approx(ratings.std(), rel=1e-4)
    assert rating_unit(np.full(4, 5, dtype=dtype)) == 5
    assert rating_unit(np.zeros(3, dtype=dtype)) == rating_unit(ratings[:0]) == 1
    assert rating_unit(1e300 * ratings.astype(np.float64)) == pytest.approx(1.5e300, rel=1e-6)
