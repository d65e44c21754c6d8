"""RatingRegressor in scikit-learn's folds, searches, curves and pickles."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    PredefinedSplit,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import make_pipeline

from skrec import (
    PMF,
    VAEBMF,
    AutoRec,
    BayesianPMF,
    BiasBaseline,
    DeepLatentFactor,
    DeepLTRS,
    MultVAE,
    RatingRegressor,
)
from skrec.datasets import load_movielens_small

FOLDS = KFold(5, shuffle=True, random_state=0)


@pytest.fixture(scope="module")
def movielens():
    ratings = load_movielens_small()
    users, items = ratings.X.tocoo().coords
    frame = pd.DataFrame({"user": ratings.user_ids[users], "movie": ratings.item_ids[items]})
    return frame, ratings.X.data.astype(float)


def test_cross_validate(movielens):
    scores = cross_validate(
        RatingRegressor(BiasBaseline()),
        *movielens,
        cv=FOLDS,
        scoring=["neg_root_mean_squared_error", "neg_mean_absolute_error"],
    )
    users, items = load_movielens_small().X.tocoo().coords
    ratings = movielens[1]
    errors = []
    for train, test in FOLDS.split(ratings):
        X = sparse.csr_array((ratings[train], (users[train], items[train])))
        X.resize(users.max() + 1, items.max() + 1)
        predicted = BiasBaseline().fit(X).predict(X)[users[test], items[test]]
        errors.append(ratings[test] - predicted)
    rmse = [np.sqrt(np.mean(error**2)) for error in errors]
    assert_allclose(-scores["test_neg_root_mean_squared_error"], rmse, rtol=1e-4)
    mae = [np.mean(np.abs(error)) for error in errors]
    assert_allclose(-scores["test_neg_mean_absolute_error"], mae, rtol=1e-4)


def test_grid_search(movielens):
    search = GridSearchCV(
        RatingRegressor(BiasBaseline()),
        {"estimator__l2_user": [0.01, 5.0], "duplicates": ["error"]},
        cv=KFold(3, shuffle=True, random_state=0),
        scoring="neg_root_mean_squared_error",
    ).fit(*movielens)
    assert search.best_params_ == {"estimator__l2_user": 5.0, "duplicates": "error"}
    assert search.best_estimator_.estimator_.l2_user == 5.0
    assert search.predict(movielens[0]).shape == movielens[1].shape


def test_learning_curve(movielens):
    sizes, _, scores = learning_curve(
        RatingRegressor(BiasBaseline()),
        *movielens,
        cv=KFold(2, shuffle=True, random_state=0),
        train_sizes=[0.05, 0.3, 1.0],
        scoring="neg_root_mean_squared_error",
    )
    assert (np.diff(scores.mean(axis=1)) > 0).all()
    assert sizes[-1] == len(movielens[1]) // 2


def test_predefined_split(movielens):
    pairs, ratings = movielens
    fold = np.random.default_rng(0).integers(-1, 2, len(ratings))
    model = RatingRegressor(BiasBaseline())
    scores = cross_val_score(model, pairs, ratings, cv=PredefinedSplit(fold))
    expected = [
        model.fit(pairs[fold != k], ratings[fold != k]).score(pairs[fold == k], ratings[fold == k])
        for k in (0, 1)
    ]
    assert_array_equal(scores, expected)


def test_order_clones_and_pickles(movielens):
    pairs, ratings = movielens
    model = RatingRegressor(BiasBaseline(l2_user=3)).fit(pairs, ratings)
    expected = model.predict(pairs)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(pairs), expected)
    assert len(pickle.dumps(model)) < 8e5  # offsets and who has rated what, not the ratings
    order = np.random.default_rng(0).permutation(len(ratings))
    shuffled = clone(model).fit(pairs.iloc[order], ratings[order])
    assert shuffled.get_params()["estimator__l2_user"] == 3
    assert_allclose(shuffled.predict(pairs), expected)


SMALL = {"max_iter": 2, "random_state": 0}
GIVES_STATES = [
    BiasBaseline(),
    AutoRec(4, **SMALL),
    AutoRec(4, based_on="user", **SMALL),
    VAEBMF(4, hidden_layer_sizes=(8,), **SMALL),
    DeepLatentFactor(4, hidden_layer_sizes=(8,), **SMALL),
    DeepLTRS(2, n_topics=2, hidden_layer_sizes=(8,), **SMALL),
    GridSearchCV(BiasBaseline(), {"l2_user": [1.0, 10.0]}, cv=2),
]
GETS_ROWS = [
    PMF(4, random_state=0),
    BayesianPMF(4, random_state=0),
    MultVAE(4, hidden_layer_sizes=(8,), likelihood="gaussian", **SMALL),
    make_pipeline(BiasBaseline()),
]


@pytest.mark.parametrize("model", [*GIVES_STATES, *GETS_ROWS])
def test_pickles_hold_ratings_only_where_that_is_said(model):
    rng = np.random.default_rng(0)
    users, items = np.divmod(np.sort(rng.permutation(20 * 15)[:150]), 15)
    ratings = rng.uniform(1, 5, 150).astype(np.float32)
    fitted = RatingRegressor(model).fit(np.c_[users, items], ratings)
    unit = getattr(fitted.estimator_, "rating_unit_", 1.0)
    kept = [(ratings / np.float64(unit)).astype(dtype).tobytes() for dtype in ("f4", "f8")]
    pickled = pickle.dumps(fitted)
    assert any(array in pickled for array in kept) == (model in GETS_ROWS)
