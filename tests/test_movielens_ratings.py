"""Errors on MovieLens by the published protocols: random tenths of 1M, official folds of 100K."""

import numpy as np
import pytest
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import PredefinedSplit, cross_val_score, train_test_split

from skrec import PMF, VAEBMF, AutoRec, BayesianPMF, DeepLatentFactor, RatingRegressor
from skrec.datasets import fetch_movielens

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tenth_of_1m(shared_data):
    """Training pairs, test pairs, training ratings, test ratings."""
    X = fetch_movielens("1m", data_home=shared_data, download_if_missing=False).X.tocoo()
    return train_test_split(np.column_stack(X.coords), X.data, test_size=0.1, random_state=0)


@pytest.fixture(scope="module")
def folds_of_100k(shared_data):
    """Pairs, ratings, and the official folds."""
    tests = [np.loadtxt(shared_data / "ml-100k" / f"u{n}.test", dtype=int) for n in range(1, 6)]
    table = np.vstack(tests)
    folds = PredefinedSplit(np.repeat(range(5), [len(test) for test in tests]))
    return table[:, :2], table[:, 2], folds


@pytest.mark.parametrize(
    ("model", "largest"),
    [(PMF(random_state=0), 0.846), (BayesianPMF(n_samples=30, random_state=0), 0.838)],
    ids=["PMF", "BayesianPMF"],
)
def test_errors_and_intervals_on_1m(tenth_of_1m, model, largest):
    train, test, y_train, y_test = tenth_of_1m
    rated, std = RatingRegressor(model).fit(train, y_train).predict(test, return_std=True)
    assert root_mean_squared_error(y_test, rated) < largest
    assert 0.87 < (np.abs(y_test - rated) < 1.645 * std).mean() < 0.93


@pytest.mark.parametrize(
    ("model", "largest"),
    [
        (PMF(random_state=0), 0.915),
        (BayesianPMF(8, n_samples=30, random_state=0), 0.908),
        (AutoRec(random_state=0), 0.9),
    ],
    ids=["PMF", "BayesianPMF", "AutoRec"],
)
def test_errors_on_the_folds_of_100k(folds_of_100k, model, largest):
    pairs, ratings, folds = folds_of_100k
    scoring = "neg_root_mean_squared_error"
    scores = cross_val_score(RatingRegressor(model), pairs, ratings, cv=folds, scoring=scoring)
    assert -scores.mean() < largest


@pytest.mark.parametrize(
    ("model", "largest"),
    [
        (DeepLatentFactor(variational=False, random_state=0), 0.927),
        (DeepLatentFactor(variational=True, random_state=0), 0.969),
        (VAEBMF(random_state=0), 0.9),
    ],
    ids=["DeepLatentFactor", "variational", "VAEBMF"],
)
def test_errors_of_slower_models_on_a_fold_of_100k(folds_of_100k, model, largest):
    """Of deep latent factors, what the paper has on average; this fold lies near the average."""
    pairs, ratings, folds = folds_of_100k
    train, test = list(folds.split())[3]
    rated = RatingRegressor(model).fit(pairs[train], ratings[train]).predict(pairs[test])
    assert root_mean_squared_error(ratings[test], rated) < largest
