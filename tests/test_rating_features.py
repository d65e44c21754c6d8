"""RatingRegressor: features of users and items that come in tables with ids."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from skrec import BaseRecommender, BiasBaseline, RatingRegressor
from skrec.base._ratings import RatingMixin


class ReadsFeatures(RatingMixin, BaseRecommender):
    """Rates by the product of a user's features and an item's."""

    def __init__(self, item_features=None, *, clip=False, rating_scale=None):
        self.item_features = item_features
        self.clip = clip
        self.rating_scale = rating_scale

    def fit(self, X, y=None, *, reviews=None, user_features=None):
        self.ratings_ = self._in_ratings(self._check_ratings(X))
        self.user_features_ = user_features
        return self

    def _user_states(self, X, user_features=None):
        assert user_features.shape[0] == X.shape[0]
        return as_array(user_features)

    def _score_pairs(self, states, users, items):
        of_items = as_array(self.item_features)[items]
        return (states[users] * of_items).sum(axis=1) / self.rating_unit_


class ReadsItems(RatingMixin, BaseRecommender):
    """Rates by the first feature of an item, where the user has rated anything."""

    def __init__(self, item_features=None, *, power=1.0, clip=False, rating_scale=None):
        self.item_features = item_features
        self.power = power
        self.clip = clip
        self.rating_scale = rating_scale

    def _fit(self, X):
        assert self.item_features.shape[0] == X.shape[1]
        self._size = as_array(self.item_features)[:, 0] ** self.power

    def _score_rows(self, X):
        has_rated = np.diff(X.indptr) > 0
        return has_rated[:, None] * self._size / self.rating_unit_


def as_array(matrix):
    return matrix.toarray() if sparse.issparse(matrix) else matrix


PAIRS = pd.DataFrame({"user": list("aabbc"), "item": [10, 30, 10, 20, 30]})
RATINGS = [1.0, 2.0, 3.0, 4.0, 5.0]
USERS = pd.DataFrame({"x": [1.0, 2.0, 3.0], "user": ["b", "d", "a"], "y": [4, 5, 6]})
ITEMS = pd.DataFrame({"item": [20, 15, 10], "p": [7, 8, 9], "q": [True, False, True]})

# c and 30 are in no table; d and 15 have no ratings; e and 50 are unknown to everybody.
USER_ROWS = {"a": [3, 6], "b": [1, 4], "c": [0, 0], "d": [2, 5], "e": [0, 0]}
ITEM_ROWS = {10: [9, 1], 15: [8, 0], 20: [7, 1], 30: [0, 0], 50: [0, 0]}

FORMS = {
    "pandas": lambda table, key: table,
    "polars": lambda table, key: pl.from_pandas(table),
    "pyarrow": lambda table, key: pa.Table.from_pandas(table),
    "index": lambda table, key: table.set_index(key),
    "nameless index": lambda table, key: table.set_index(key).rename_axis(None),
    "sparse frame": lambda table, key: table.set_index(key).astype(pd.SparseDtype(float, 0)),
    "array": lambda table, key: (table[key].to_numpy(), table.drop(columns=key).to_numpy(float)),
    "lists": lambda table, key: (table[key].tolist(), table.drop(columns=key).values.tolist()),
    "matrix": lambda table, key: (
        table[key],
        sparse.coo_matrix(table.drop(columns=key).to_numpy(float)),
    ),
    "frame beside": lambda table, key: (table[key], table.drop(columns=key)),
}


def asked(*pairs):
    return pd.DataFrame(pairs, columns=["user", "item"])


def fitted(form="pandas", estimator=None):
    features = {
        "user_features": FORMS[form](USERS, "user"),
        "item_features": FORMS[form](ITEMS, "item"),
    }
    return RatingRegressor(estimator or ReadsFeatures(), **features).fit(PAIRS, RATINGS)


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_found_by_their_ids(form):
    model = fitted(form)
    assert model.user_ids_.tolist() == ["a", "b", "c", "d"]
    assert model.item_ids_.tolist() == [10, 15, 20, 30]
    assert model.n_user_ratings_.tolist() == [2, 2, 1, 0]
    assert model.n_item_ratings_.tolist() == [2, 0, 1, 2]
    inner = model.estimator_
    assert inner.ratings_.toarray() == pytest.approx(
        np.array([[1, 0, 0, 2, 0], [3, 0, 4, 0, 0], [0, 0, 0, 5, 0], [0, 0, 0, 0, 0]])
    )
    assert_array_equal(as_array(inner.item_features), list(ITEM_ROWS.values()))
    assert_array_equal(as_array(inner.user_features_), list(USER_ROWS.values())[:-1])
    assert sparse.issparse(inner.item_features) == (form in ("matrix", "sparse frame"))
    pairs = [(user, item) for user in USER_ROWS for item in ITEM_ROWS]
    expected = [np.dot(USER_ROWS[user], ITEM_ROWS[item]) for user, item in pairs]
    assert_allclose(model.predict(asked(*pairs)), expected)
    assert model.estimator.item_features is None


def test_recommend_by_features():
    found = fitted().recommend(["a", "d", "e"], k=2, exclude_seen=False)
    assert found["item"].tolist() == [10, 20, 10, 20, 10, 15]
    assert_allclose(found["score"], [33, 27, 23, 19, 0, 0])
    assert fitted().recommend(["a"], k=3)["item"].tolist() == [20, 15]


def test_features_of_items_alone():
    model = RatingRegressor(ReadsItems(), item_features=ITEMS).fit(PAIRS, RATINGS)
    assert model.user_ids_.tolist() == ["a", "b", "c"]
    assert_allclose(model.predict(asked(("a", 15), ("c", 20), ("z", 15), ("a", 50))), [8, 7, 0, 0])
    found = model.recommend(["c"], k=4)
    assert found["item"].tolist() == [10, 15, 20]
    assert_allclose(found["score"], [9, 8, 7])


def test_cross_validation_and_searches():
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(0, [15, 12], size=(120, 2)), axis=0)
    sizes = rng.normal(size=12)
    model = RatingRegressor(ReadsItems(), item_features=(np.arange(12), sizes[:, None]))
    folds = KFold(5, shuffle=True, random_state=0)
    got = cross_val_predict(model, pairs, rng.integers(1, 6, len(pairs)), cv=folds)
    assert_allclose(got, sizes[pairs[:, 1]])
    search = GridSearchCV(model, {"estimator__power": [1, 2]}, cv=folds)
    search.fit(pairs, sizes[pairs[:, 1]] ** 2)
    assert search.best_params_ == {"estimator__power": 2}
    assert_allclose(search.predict([[3, 5]]), sizes[5] ** 2)


@pytest.mark.parametrize("form", FORMS)
def test_clone_and_pickle(form):
    model = fitted(form)
    again = clone(model).fit(PAIRS, RATINGS)
    assert_array_equal(again.predict(PAIRS), model.predict(PAIRS))
    stored = pickle.loads(pickle.dumps(model))
    assert_array_equal(stored.predict(PAIRS), model.predict(PAIRS))
    assert isinstance(stored.user_features, tuple)
    assert_array_equal(stored.fit(PAIRS, RATINGS).predict(PAIRS), model.predict(PAIRS))
    assert_array_equal(clone(stored).fit(PAIRS, RATINGS).predict(PAIRS), model.predict(PAIRS))


def test_pickles_need_no_frame():
    pairs = PAIRS.assign(user=PAIRS["user"].map(ord)).to_numpy()
    users = USERS.assign(user=USERS["user"].map(ord))
    for container in (lambda table: table, pl.from_pandas):
        features = {"user_features": container(users), "item_features": container(ITEMS)}
        model = RatingRegressor(ReadsFeatures(), **features).fit(pairs, RATINGS)
        assert b"pandas" not in pickle.dumps(model)
        assert b"polars" not in pickle.dumps(model)
    model.set_params(item_features=ITEMS.drop(columns="item"))  # refused in the next fit
    assert isinstance(pickle.loads(pickle.dumps(model)).item_features, pd.DataFrame)


def test_an_unfitted_copy_keeps_the_frame():
    model = RatingRegressor(ReadsItems(), item_features=ITEMS)
    assert pickle.loads(pickle.dumps(model)).item_features.equals(ITEMS)


def test_ids_of_other_types_that_are_equal():
    model = RatingRegressor(ReadsItems(), item_features=ITEMS.astype({"item": float}))
    model.fit(PAIRS, RATINGS)
    assert model.item_ids_.dtype == np.int64
    assert_allclose(model.predict(asked(("a", 15))), 8)
    dates = PAIRS.assign(item=pd.to_datetime(PAIRS["item"], unit="D").astype("M8[s]"))
    days = ITEMS.assign(item=pd.to_datetime(ITEMS["item"], unit="D").astype("M8[ms]"))
    model = RatingRegressor(ReadsItems(), item_features=days).fit(dates, RATINGS)
    assert_allclose(model.predict(dates), [9, 0, 9, 7, 0])


def items(**changes):
    return ITEMS.assign(**changes)


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (ITEMS.drop(columns="item"), ValueError, "a column 'item' of ids.*'p', 'q'.*rename_axis"),
        (pl.DataFrame({"p": [1, 2]}), ValueError, r"a column 'item' of ids.*\['p'\] alone"),
        (np.ones((3, 2)), TypeError, r"say whose its rows are, got ndarray of shape \(3, 2\)"),
        (sparse.eye_array(3).tocsr(), TypeError, "say whose its rows are, got csr_array"),
        ([[1, 2], [3, 4]], TypeError, "say whose its rows are, got list: give a data frame"),
        (([10, 20], np.ones((3, 2))), ValueError, "a row for each id, got 2 ids and 3 rows"),
        (([10, 20], np.ones(2)), ValueError, r"row for each item and a column.*shape \(2,\)"),
        (([10, 20], [["x"], ["y"]]), ValueError, "must be numbers.*'x'.*OneHotEncoder"),
        (items(item=[20, 20, 10]), ValueError, "item ids of item_features must be distinct.*20"),
        (items(item=[20, None, 10]), ValueError, "item ids of item_features must be finite"),
        (items(p=["x", "y", "z"]), ValueError, "'p' of item_features must hold numbers.*one-hot"),
        (items(p=[1, None, 2]), ValueError, "'p' of item_features has 1 missing values"),
        (items(p=[1, np.inf, 2]), ValueError, "item_features must be finite, but 1 of its"),
        (ITEMS[["item"]], ValueError, "row for each item and a column for each feature"),
        (
            items(item=["u", "v", "w"]),
            ValueError,
            "no item id of X is in item_features.*such as 10, those",
        ),
        (items(item=[1, 2, 3]), ValueError, "none of its 3 ids, such as 1, .*such as 10"),
        (items(item=[[1], [2], [3]]), TypeError, "must be hashable"),
        ("items.csv", TypeError, "say whose its rows are, got str: give a data frame"),
    ],
)
def test_wrong_tables(table, error, message):
    model = RatingRegressor(ReadsItems(), item_features=ITEMS).fit(PAIRS, RATINGS)
    expected = model.predict(PAIRS)
    with pytest.raises(error, match=message):
        model.set_params(item_features=table).fit(PAIRS, RATINGS)
    assert_array_equal(model.predict(PAIRS), expected)


def test_wrong_table_of_users():
    model = RatingRegressor(ReadsFeatures(), user_features=ITEMS)
    with pytest.raises(ValueError, match="user_features must have a column 'user' of ids"):
        model.fit(PAIRS, RATINGS)


def test_row_numbers_are_ids_where_the_index_says_so():
    table = pd.DataFrame({"p": [1.0, 2.0]})
    pairs = [[0, 0], [0, 1], [1, 0]]
    with pytest.raises(ValueError, match="more than row numbers"):
        RatingRegressor(ReadsItems(), item_features=table).fit(pairs, [1, 2, 3])
    model = RatingRegressor(ReadsItems(), item_features=table.rename_axis("film"))
    assert_allclose(model.fit(pairs, [1, 2, 3]).predict(pairs), [1, 2, 1])


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (BiasBaseline(), "{} needs a model that reads them, but BiasBaseline has no such"),
        (make_pipeline(BiasBaseline()), "{} needs a model that reads them, but BiasBaseline"),
        (make_pipeline(ReadsFeatures()), "{} do not reach ReadsFeatures inside Pipeline"),
        (FrozenEstimator(ReadsFeatures()), "{} do not reach ReadsFeatures inside Frozen"),
        (
            GridSearchCV(ReadsFeatures(), {"clip": [True, False]}),
            "{} do not reach ReadsFeatures inside GridSearchCV.*around that",
        ),
    ],
)
@pytest.mark.parametrize("name", ["user_features", "item_features"])
def test_models_that_get_no_features(name, estimator, message):
    model = RatingRegressor(estimator, **{name: USERS if name == "user_features" else ITEMS})
    with pytest.raises(ValueError, match=message.format(name)):
        model.fit(PAIRS, RATINGS)


@pytest.mark.parametrize("wrap", [lambda model: model, make_pipeline])
def test_features_without_ids_in_the_model(wrap):
    estimator = wrap(ReadsItems(np.ones((3, 1))))
    with pytest.raises(ValueError, match=r"give item_features=\(ids, features\) to RatingRegr"):
        RatingRegressor(estimator).fit(PAIRS, RATINGS)
