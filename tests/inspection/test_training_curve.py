"""The curves of training, of models with epochs, with sweeps, and with parts of sweeps."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline

from skrec import EASE, IALS, MultVAE, RatingRegressor, SVDpp
from skrec.inspection import TrainingCurveDisplay

plt = pytest.importorskip("matplotlib.pyplot")
OPTIONS = {"batch_size": 30, "random_state": 0, "early_stopping": True}


@pytest.fixture(autouse=True)
def nothing_on_screen():
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def X():
    return (np.random.default_rng(0).random((60, 12)) < 0.4).astype(float)


@pytest.fixture(scope="module")
def vae(X):
    return MultVAE(4, hidden_layer_sizes=(), max_iter=5, learning_rate=0.05, **OPTIONS).fit(X)


def test_scores_and_what_was_kept(vae):
    display = TrainingCurveDisplay.from_estimator(vae)
    assert_array_equal(display.line_.get_data(), [range(1, 6), vae.validation_scores_])
    best = vae.best_iteration_
    assert_array_equal(display.best_.get_xydata(), [[best, max(vae.validation_scores_)]])
    assert display.ax_.get_ylabel() == "NDCG@100 of what was held out"
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["MultVAE"]


def test_losses_and_what_was_kept(vae):
    display = TrainingCurveDisplay.from_estimator(vae, curve="loss")
    assert_array_equal(display.line_.get_ydata(), vae.loss_curve_)
    best = vae.best_iteration_
    assert_array_equal(display.best_.get_xydata(), [[best, vae.loss_curve_[best - 1]]])
    assert display.ax_.get_ylabel() == "Training loss"


def test_several_models_in_one_picture(vae, X):
    first = TrainingCurveDisplay.from_estimator(vae, name="a network")
    ials = IALS(4, max_iter=3, early_stopping=True, random_state=0).fit(X)
    second = TrainingCurveDisplay.from_estimator(ials, name="factors", ax=first.ax_)
    assert second.figure_ is first.figure_
    assert_array_equal(second.line_.get_ydata(), ials.validation_scores_)
    names = [text.get_text() for text in first.ax_.get_legend().get_texts()]
    assert names == ["a network", "factors"]
    assert second.line_.get_color() != first.line_.get_color() == first.best_.get_color()


def test_parts_of_sweeps_have_fractions(X):
    model = SVDpp(2, max_iter=4, tol=0, random_state=0).fit(1 + 4 * X)
    display = TrainingCurveDisplay.from_estimator(model)
    assert_allclose(display.iterations, np.arange(1, 13) / 3)
    assert_array_equal(display.values, model.loss_curve_)
    assert display.best_ is None


def test_what_training_started_from_has_no_dot(vae):
    display = TrainingCurveDisplay(iterations=[1, 2], values=[0.2, 0.1], best_iteration=0).plot()
    assert display.best_ is None
    assert display.ax_.get_legend() is None


def test_models_inside_others(vae, X):
    expected = vae.validation_scores_
    search = GridSearchCV(vae, {"beta": [vae.beta]}, cv=2).fit(X)
    assert_array_equal(TrainingCurveDisplay.from_estimator(search).values, expected)
    pipeline = make_pipeline(TfidfTransformer(use_idf=False, norm=None), vae).fit(X)
    assert_array_equal(TrainingCurveDisplay.from_estimator(pipeline).values, expected)
    pairs, ratings = np.transpose(X.nonzero()), 1 + np.arange(int(X.sum())) % 5
    regressor = RatingRegressor(SVDpp(2, max_iter=2, random_state=0)).fit(pairs, ratings)
    display = TrainingCurveDisplay.from_estimator(regressor)
    assert_array_equal(display.values, regressor.estimator_.loss_curve_)
    assert display.name == "SVDpp"
    mlp = MLPRegressor(
        hidden_layer_sizes=(2,), max_iter=20, early_stopping=True, tol=1, random_state=0
    )
    display = TrainingCurveDisplay.from_estimator(mlp.fit(X, X[:, 0]))
    assert display.ax_.get_ylabel() == "Validation score"


def test_ratings_have_another_score(X):
    model = MultVAE(4, hidden_layer_sizes=(), likelihood="gaussian", max_iter=2, **OPTIONS)
    display = TrainingCurveDisplay.from_estimator(model.fit(X))
    assert display.ax_.get_ylabel() == "Minus RMSE of what was held out"


def test_what_cannot_be_shown_is_named(X):
    with pytest.raises(ValueError, match="EASE has no loss_curve_ to show"):
        TrainingCurveDisplay.from_estimator(EASE().fit(X))
    ials = IALS(2, max_iter=2, random_state=0, early_stopping=False).fit(X)
    assert TrainingCurveDisplay.from_estimator(ials).ax_.get_ylabel() == "Training loss"
    with pytest.raises(ValueError, match="'score' needs validation_scores_, which IALS does not"):
        TrainingCurveDisplay.from_estimator(ials, curve="score")
    with pytest.raises(ValueError, match="curve must be one of .* got 'scores'"):
        TrainingCurveDisplay.from_estimator(ials, curve="scores")
