"""The numbers behind the pictures, and that the pictures show them."""

import sys

import numpy as np
import pytest
from draws import check_means, check_variances
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.model_selection import GridSearchCV

from skrec import BiasBaseline, RatingRegressor
from skrec.inspection import (
    ErrorByHistoryDisplay,
    RatingCalibrationDisplay,
    RatingPredictionDisplay,
)

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def nothing_on_screen():
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture
def ratings():
    """Pairs, of which the users 0, 1, 2, ... have the more ratings; and ratings from 1 to 5."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(30), np.arange(1, 31))
    return np.c_[users, rng.integers(0, 25, len(users))], rng.integers(1, 6, len(users))


def test_predictions_by_true_rating():
    rng = np.random.default_rng(0)
    y_true = rng.choice([0.5, 3.0, 5.0], 500)
    y_pred = y_true + rng.normal(size=500)
    display = RatingPredictionDisplay.from_predictions(y_true, y_pred)
    assert_array_equal(display.ratings, [0.5, 3.0, 5.0])
    for row, rating in enumerate(display.ratings):
        mine = y_pred[y_true == rating]
        assert display.counts[row] == len(mine)
        assert display.means[row] == pytest.approx(mine.mean())
        assert_allclose(display.quantiles[row], np.percentile(mine, [5, 25, 50, 75, 95]))
    medians = [line.get_ydata()[0] for line in display.boxes_["medians"]]
    assert_allclose(medians, display.quantiles[:, 2])
    means = [line.get_xydata()[0] for line in display.boxes_["means"]]
    assert_allclose(means, np.c_[display.ratings, display.means])
    assert_array_equal(*display.line_.get_data())
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == ["0.5", "3", "5"]


def test_one_rating_has_a_picture_too():
    display = RatingPredictionDisplay.from_predictions([3, 3], [2, 4])
    assert_array_equal(display.means, [3.0])


def test_predictions_of_an_estimator(ratings):
    model = RatingRegressor().fit(*ratings)
    display = RatingPredictionDisplay.from_estimator(model, *ratings)
    expected = RatingPredictionDisplay.from_predictions(ratings[1], model.predict(ratings[0]))
    assert_array_equal(display.quantiles, expected.quantiles)


def test_error_in_bins_that_double():
    n_known = np.array([0, 0, 0, 1, 2, 3, 4, 7, 7, 8, 15, 64])
    error = np.array([1, 1, 4, 2, 0, 2, 1, 2, 3, 0, 0, 5.0])
    display = ErrorByHistoryDisplay.from_predictions(3 + error, np.full(12, 3), n_known)
    assert_array_equal(display.bins, [[0, 0], [1, 1], [2, 3], [4, 7], [8, 15], [64, 64]])
    assert_array_equal(display.counts, [3, 1, 2, 3, 2, 1])
    assert_allclose(display.rmse, np.sqrt([6, 4, 2, 14 / 3, 0, 25]))
    squared = np.array([1, 1, 16])
    expected = squared.std(ddof=1) / np.sqrt(3) / (2 * np.sqrt(6))
    assert display.standard_error[0] == pytest.approx(expected)
    assert_array_equal(np.isnan(display.standard_error), [0, 1, 0, 0, 0, 1])
    assert display.standard_error[4] == 0
    assert_allclose(display.line_.get_ydata(), display.rmse)
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == ["0", "1", "2-3", "4-7", "8-15", "64"]


def test_error_in_bins_of_equal_size():
    rng = np.random.default_rng(0)
    n_known, y_true = rng.integers(0, 1000, 900), rng.normal(size=900)
    display = ErrorByHistoryDisplay.from_predictions(y_true, np.zeros(900), n_known, bins=4)
    assert_allclose(display.counts, 225, atol=3)
    assert display.bins[0, 0] == n_known.min()
    assert display.bins[-1, 1] == n_known.max()
    assert (display.bins[1:, 0] > display.bins[:-1, 1]).all()
    for (low, high), count, rmse in zip(display.bins, display.counts, display.rmse, strict=True):
        mine = (n_known >= low) & (n_known <= high)
        assert mine.sum() == count
        assert rmse == pytest.approx(np.sqrt(np.mean(y_true[mine] ** 2)))
    ties = ErrorByHistoryDisplay.from_predictions([1, 2, 3], [1, 1, 1], [5, 5, 5], bins=4)
    assert_array_equal(ties.bins, [[5, 5]])


def test_standard_error_of_the_rmse_is_its_spread():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(200), 400)
    errors = rng.normal(size=len(group))
    display = ErrorByHistoryDisplay.from_predictions(errors, 0 * errors, group, bins=200)
    check_means(display.standard_error, 1 / np.sqrt(2 * 400))
    check_variances(display.rmse, 1 / (2 * 400))


@pytest.mark.parametrize("by, column", [("user", 0), ("item", 1)])
def test_error_by_the_history_of_an_estimator(ratings, by, column):
    pairs, y = ratings
    train, test = pairs[::2], np.vstack([pairs[1::2], [[99, 99]]])
    y_test = [*y[1::2], 3]
    model = RatingRegressor().fit(train, y[::2])
    merged = np.unique(train, axis=0)  # as `model` counts an average as one rating
    n_known = (test[:, [column]] == merged[:, column]).sum(axis=1)
    expected = ErrorByHistoryDisplay.from_predictions(y_test, model.predict(test), n_known)
    assert expected.bins[0, 0] == 0
    display = ErrorByHistoryDisplay.from_estimator(model, test, y_test, by=by)
    assert_array_equal(display.bins, expected.bins)
    assert_array_equal(display.rmse, expected.rmse)
    assert by in display.ax_.get_xlabel()
    dummy = DummyRegressor().fit(train, y[::2])
    display = ErrorByHistoryDisplay.from_estimator(dummy, test, y_test, by=by, X_train=merged)
    assert_array_equal(display.bins, expected.bins)
    with pytest.raises(ValueError, match="got DummyRegressor: pass the training pairs as X_train"):
        ErrorByHistoryDisplay.from_estimator(dummy, test, y_test, by=by)
    search = GridSearchCV(RatingRegressor(BiasBaseline()), {"estimator__l2_user": [1.0]}, cv=2)
    search.fit(train, y[::2])
    display = ErrorByHistoryDisplay.from_estimator(search, test, y_test, by=by)
    assert_array_equal(display.bins, expected.bins)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_coverage_of_normal_errors(factor):
    from scipy.stats import norm

    rng = np.random.default_rng(0)
    y_pred, std = rng.normal(size=50_000), rng.uniform(0.5, 2, 50_000)
    y_true = rng.normal(y_pred, std)
    display = RatingCalibrationDisplay.from_predictions(y_true, y_pred, factor * std)
    assert_allclose(display.levels, np.arange(1, 20) / 20)
    half_width = factor * norm.ppf((1 + display.levels) / 2)
    expected = 2 * norm.cdf(half_width) - 1
    error = np.sqrt(expected * (1 - expected) / len(y_true))
    assert (np.abs(display.coverage - expected) < 5 * error).all()
    error = np.sqrt((1 - 2 / np.pi) / len(y_true)) / factor
    assert abs(display.mean_abs_z - np.sqrt(2 / np.pi) / factor) < 5 * error
    assert_array_equal(display.line_.get_ydata(), display.coverage)
    assert f"{display.mean_abs_z:.2f}" in display.ax_.get_legend().get_texts()[1].get_text()


def test_coverage_by_hand():
    display = RatingCalibrationDisplay.from_predictions(
        [3, 3, 3, 3], [3, 4, 1, 3.5], [1, 1, 1, 0.5], levels=[0.9, 0.5, 0.99]
    )
    assert_array_equal(display.levels, [0.5, 0.9, 0.99])
    assert_array_equal(display.coverage, [0.25, 0.75, 1.0])  # |z| are 0, 1, 2, 1
    assert display.mean_abs_z == 1.0


def test_calibration_of_an_estimator():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2)), rng.normal(size=40)
    model = BayesianRidge(max_iter=50).fit(X, y)
    display = RatingCalibrationDisplay.from_estimator(model, X, y)
    expected = RatingCalibrationDisplay.from_predictions(y, *model.predict(X, return_std=True))
    assert_array_equal(display.coverage, expected.coverage)
    search = GridSearchCV(BayesianRidge(), {"max_iter": [50]}, cv=2).fit(X, y)
    display = RatingCalibrationDisplay.from_estimator(search, X, y)
    assert_array_equal(display.coverage, expected.coverage)
    with pytest.raises(ValueError, match="which Ridge does not have"):
        RatingCalibrationDisplay.from_estimator(Ridge().fit(X, y), X, y)
    pairs, y = [[0, 0], [1, 1]], [1, 2]
    with pytest.raises(ValueError, match="BiasBaseline has none"):
        RatingCalibrationDisplay.from_estimator(
            RatingRegressor(BiasBaseline()).fit(pairs, y), pairs, y
        )


@pytest.mark.parametrize(
    "from_predictions",
    [
        RatingPredictionDisplay.from_predictions,
        lambda *columns, **options: ErrorByHistoryDisplay.from_predictions(
            *columns, np.arange(len(columns[0])), **options
        ),
        lambda *columns, **options: RatingCalibrationDisplay.from_predictions(
            *columns, np.ones(len(columns[0])), **options
        ),
    ],
)
def test_axes_and_wrong_columns(from_predictions):
    figure, ax = plt.subplots()
    display = from_predictions([1, 2, 5], [1.5, 3, 4], ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert display.plot() is display
    assert display.figure_ is not figure
    figure.canvas.draw()
    for y_true, y_pred, message in [
        ([1, np.nan], [1, 2], "y_true contains NaN"),
        ([1, 2], [1, np.inf], "y_pred contains infinity"),
        ([1, 2], [1, 2, 3], "inconsistent numbers"),
        ([], [], "are empty"),
    ]:
        with pytest.raises(ValueError, match=message):
            from_predictions(y_true, y_pred)


def test_wrong_options(ratings):
    with pytest.raises(ValueError, match="at most 50 different values, got 60"):
        RatingPredictionDisplay.from_predictions(np.arange(60), np.zeros(60))
    by_history = ErrorByHistoryDisplay.from_predictions
    for bins in (0, 2.5, "sqrt", True):
        with pytest.raises(ValueError, match="bins must be 'log' or a number"):
            by_history([1], [2], [3], bins=bins)
    for n_known in ([-1], [2.5]):
        with pytest.raises(ValueError, match="whole and not negative"):
            by_history([1], [2], n_known)
    with pytest.raises(ValueError, match="by must be 'user' or 'item', got 'movie'"):
        ErrorByHistoryDisplay.from_estimator(None, *ratings, by="movie")
    calibration = RatingCalibrationDisplay.from_predictions
    with pytest.raises(ValueError, match="y_std must be positive, got 0 at row 1"):
        calibration([1, 2], [1, 2], [1, 0])
    for levels in ([0.5, 1.0], [0.0], []):
        with pytest.raises(ValueError, match="levels must lie between 0 and 1"):
            calibration([1, 2], [1, 2], [1, 1], levels=levels)


def test_matplotlib_is_asked_for_before_any_work(ratings, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for display in (RatingPredictionDisplay, ErrorByHistoryDisplay, RatingCalibrationDisplay):
        with pytest.raises(ImportError, match=f"{display.__name__}.from_estimator requires matpl"):
            display.from_estimator(None, *ratings)
