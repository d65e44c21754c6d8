"""SlopeOne: its formula with loops; ratings that it recovers; what partial_fit and weights add."""

import numpy as np
import pytest
from scipy import sparse
from surprise_answers import surprise_answers

from skrec import RatingRegressor, SlopeOne


def ratings(seed=0, shape=(30, 12), density=0.3):
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < density) * rng.integers(1, 6, shape).astype(float)


def prediction_by_hand(X, row, item, weighted, shrinkage, weights=None):
    weights = np.ones(len(X)) if weights is None else weights
    total = share = 0.0
    for other in np.flatnonzero(row):
        both = (X[:, item] > 0) & (X[:, other] > 0) & (weights > 0)
        if not both.any():
            continue
        n = weights[both].sum()
        deviation = weights[both] @ (X[both, item] - X[both, other]) / (n + shrinkage)
        total += n * (row[other] + deviation) if weighted else deviation
        share += n if weighted else 1
    mean = row[row > 0].mean()
    if share == 0:
        return mean
    return total / share if weighted else mean + total / share


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("shrinkage", [0.0, 1.5])
def test_formula(weighted, shrinkage):
    X, rows = ratings(), ratings(1, (7, 12))
    rows[0, :11] = 0
    rows[0, 11] = 3
    X[:, 11] = 0
    X[3] = 0
    X[3, 11] = 2  # nobody has rated it beside another one
    rows[(rows == 0).all(axis=1), 0] = 4
    model = SlopeOne(weighted=weighted, shrinkage=shrinkage, clip=False).fit(X)
    expected = [
        [prediction_by_hand(X, row, item, weighted, shrinkage) for item in range(12)]
        for row in rows
    ]
    np.testing.assert_allclose(model.predict(rows), expected, rtol=1e-12)


def test_surprise_says_the_same():
    """What it does in other ways: it cuts off fractions of ratings, which here have none, and
    predicts the mean of all ratings where it does not know a user or an item.
    """
    answers = surprise_answers()
    X = np.array(answers["X"], float)
    model = SlopeOne(weighted=False, shrinkage=0, clip=False).fit(X)
    np.testing.assert_allclose(model.predict(X), answers["slope_one"], atol=2e-6)


def test_deviations_and_support():
    X = np.array([[5.0, 3, 2], [3, 4, 0], [0, 2, 5]])
    model = SlopeOne(shrinkage=0).fit(X)
    np.testing.assert_allclose(
        model.deviations_.toarray(), [[0, 0.5, 3], [-0.5, 0, -1], [-3, 1, 0]], atol=1e-15
    )
    np.testing.assert_array_equal(model.support_.toarray(), [[2, 2, 1], [2, 3, 2], [1, 2, 2]])
    assert model.deviations_.nnz == 9  # a deviation of zero is one
    np.testing.assert_allclose(model.item_means_, [4, 3, 3.5])


@pytest.mark.parametrize("weighted", [True, False])
def test_ratings_that_are_an_offset_of_the_user_and_one_of_the_item_are_recovered(weighted):
    rng = np.random.default_rng(3)
    complete = rng.normal(size=(20, 1)) + rng.normal(size=9)
    X = sparse.csr_array(np.where(rng.random((20, 9)) < 0.6, complete, 0))
    assert np.diff(X.indptr).min() > 0
    predicted = SlopeOne(weighted=weighted, shrinkage=0, clip=False).fit(X).predict(X)
    expected = complete
    if not weighted:  # the mean is that of all of the row, deviations are those of items met
        met = (X != 0).T.astype(float) @ (X != 0).astype(float)
        assert (met.toarray() > 0).all()
    np.testing.assert_allclose(predicted, expected, atol=1e-12)


def test_an_unknown_item_gets_the_mean_of_the_row_and_an_empty_row_that_of_the_items():
    X = ratings(4)
    X[:, 5] = 0
    row = np.zeros((2, 12))
    row[1, [2, 3]] = 4, 1
    empty, other = SlopeOne().fit(X).predict(row)
    assert other[5] == pytest.approx(2.5)
    has_any = np.arange(12) != 5
    means = X.sum(axis=0)[has_any] / (X > 0).sum(axis=0)[has_any]
    np.testing.assert_allclose(empty[has_any], means)
    assert empty[5] == pytest.approx(X.sum() / (X > 0).sum())


def test_weights_are_repetitions_and_those_of_nought_are_left_out():
    X = ratings(5)
    weights = np.random.default_rng(5).integers(0, 4, len(X))
    weighted = SlopeOne().fit(X, sample_weight=weights)
    repeated = SlopeOne().fit(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6)
    assert weighted.support_.nnz == repeated.support_.nnz
    with pytest.raises(ValueError, match=r"sample_weight.*divide all weights"):
        SlopeOne().fit(X.astype(np.float32), sample_weight=np.full(len(X), 1e38))


def test_partial_fit_keeps_to_the_shrinkage_of_the_fit():
    X = ratings(6)
    model = SlopeOne(shrinkage=2.0).fit(X[:10]).set_params(shrinkage=9.0).partial_fit(X[10:])
    expected = SlopeOne(shrinkage=2.0).fit(X)
    np.testing.assert_allclose(
        model.deviations_.toarray(), expected.deviations_.toarray(), atol=1e-12
    )
    np.testing.assert_array_equal(model.support_.toarray(), expected.support_.toarray())


def test_single_pairs_in_any_order_are_those_of_the_rows():
    X = ratings(7, (60, 12))
    users, items = np.nonzero(X)
    regressor = RatingRegressor(SlopeOne(n_jobs=2)).fit(np.c_[users, items], X[users, items])
    order = np.random.default_rng(0).permutation(60 * 12)
    asked = np.c_[order // 12, order % 12]
    rated = SlopeOne().fit(X.astype(np.float32)).predict(X.astype(np.float32))
    known = X.any(axis=1)[asked[:, 0]]
    np.testing.assert_allclose(
        regressor.predict(asked)[known], rated[asked[:, 0], asked[:, 1]][known], rtol=1e-5
    )


def test_one_rating_and_constant_ratings():
    one = np.zeros((3, 4))
    one[1, 2] = 4
    np.testing.assert_allclose(SlopeOne().fit(one).predict(one), 4)
    constant = 3.0 * (ratings(8) > 0)
    np.testing.assert_allclose(SlopeOne().fit(constant).predict(constant), 3)


def test_wrong_input():
    X = ratings()
    with pytest.raises(ValueError, match="shrinkage"):
        SlopeOne(shrinkage=-1).fit(X)
    with pytest.raises(ValueError, match="weighted"):
        SlopeOne(weighted="yes").fit(X)


def test_too_many_deviations_are_refused(monkeypatch):
    monkeypatch.setattr("skrec.utils._memory.available_memory", lambda: 100)
    with pytest.raises(MemoryError, match=r"deviations.*min_users_per_item"):
        SlopeOne().fit(ratings())
