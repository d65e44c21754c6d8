"""Successive halving over epochs and sweeps, with our scorers and splitters."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV, cross_val_score

from skrec import IALS, PMF, MultVAE, RatingRegressor
from skrec.metrics import ranking_scorer
from skrec.model_selection import StrongGeneralizationSplit

SCORING = ranking_scorer("ndcg@5")
SPLIT = StrongGeneralizationSplit(n_validation=0, n_test=0.3, random_state=0)


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    taste = np.repeat(np.eye(3), 5, axis=1)[rng.integers(0, 3, 60)]
    return (rng.random(taste.shape) < 0.1 + 0.5 * taste) * 1.0


def vae(**options):
    options = {"batch_size": 60, "learning_rate": 0.01, "random_state": 0, **options}
    return MultVAE(3, hidden_layer_sizes=(), **options)


def halve(model, grid, resource="max_iter", **options):
    options = {"min_resources": 2, "max_resources": 4, "factor": 2, "random_state": 0, **options}
    return HalvingGridSearchCV(model, grid, resource=resource, **options)


@pytest.mark.parametrize(
    ("model", "name", "values"),
    [
        (vae(early_stopping=False), "dropout", [0.1, 0.4, 0.7]),
        (IALS(3, tol=0, random_state=0), "l2", [0.01, 0.1, 1.0]),
    ],
    ids=["epochs", "sweeps"],
)
def test_each_rung_trains_for_its_number_of_iterations(model, name, values, X):
    search = halve(model, {name: values}, cv=SPLIT, scoring=SCORING).fit(X)
    results = search.cv_results_
    assert list(results["n_resources"]) == [2] * 3 + [4] * 2
    for value, max_iter, score in zip(
        results[f"param_{name}"], results["n_resources"], results["mean_test_score"], strict=True
    ):
        alone = model.set_params(**{name: value}, max_iter=max_iter)
        assert_allclose(cross_val_score(alone, X, cv=SPLIT, scoring=SCORING).mean(), score)
    assert search.best_estimator_.n_iter_ == 4


def test_warm_start_changes_nothing_as_searches_fit_clones(X):
    def scores(warm_start):
        model = vae(early_stopping=False, warm_start=warm_start)
        grid = {"beta": [0.0, 1.0]}
        return halve(model, grid, cv=SPLIT, scoring=SCORING).fit(X).cv_results_["mean_test_score"]

    assert_allclose(scores(True), scores(False))


def test_with_early_stopping_max_iter_is_a_bound(X):
    model = vae(early_stopping=True, n_iter_no_change=1, learning_rate=0.1)
    search = halve(model, {"beta": [0.0, 0.3]}, cv=SPLIT, scoring=SCORING, max_resources=64)
    search.set_params(min_resources=32).fit(X)
    assert search.best_estimator_.n_iter_ < 32
    results = search.cv_results_
    assert list(results["n_resources"]) == [32, 32, 64]
    winner = [params["beta"] == search.best_params_["beta"] for params in results["params"]]
    first, last = results["mean_test_score"][winner]
    assert first == last  # it had stopped before the smaller bound


def test_rating_models_are_halved_through_their_regressor():
    rng = np.random.default_rng(0)
    pairs, ratings = rng.integers(0, 12, (150, 2)), rng.integers(1, 6, 150)
    model = RatingRegressor(PMF(2, tol=0, random_state=0))
    grid = {"estimator__l2": [1.0, 10.0]}
    scoring = "neg_root_mean_squared_error"
    search = halve(model, grid, "estimator__max_iter", cv=2, scoring=scoring)
    search.fit(pairs, ratings)
    assert list(search.cv_results_["n_resources"]) == [2, 2, 4]
    assert search.best_estimator_.estimator_.n_iter_ == 4
