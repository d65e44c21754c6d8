"""Interactions as the X of models and searches: cut, found by id, merged, and never changed."""

import contextlib
import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from interactions_sample import equal, sample
from scipy.sparse import csr_array, issparse, vstack
from sklearn.base import clone
from sklearn.preprocessing import Binarizer

from skrec import EASE, Interactions, Reviews
from skrec._model_table import MODELS

FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}

ratings = pytest.fixture(sample, name="ratings")


# --- A users x items matrix with ids ----------------------------------------------------------


def test_is_a_csr_array_whose_results_are_plain(ratings):
    assert isinstance(ratings, csr_array) and isinstance(ratings, Interactions)
    plain = csr_array(ratings)
    for result in (
        ratings > 1,
        ratings + plain,
        ratings.copy(),
        ratings.T,
        ratings @ plain.T,
        ratings.astype(float),
        ratings.multiply(2),
        ratings.X,
        vstack([ratings, ratings]),
        Binarizer().fit_transform(ratings),
    ):
        assert issparse(result) and not isinstance(result, Interactions)
    np.testing.assert_array_equal((ratings + plain).toarray(), 2 * plain.toarray())
    assert ratings.sum() == plain.sum() and ratings.max() == plain.max()


def test_nothing_changes_it_in_place(ratings):
    before = copy.deepcopy(ratings)
    for change in (
        lambda: ratings.__setitem__((0, 0), 9),
        lambda: setattr(ratings, "user_ids", np.arange(3)),
        lambda: ratings.eliminate_zeros(),
        lambda: ratings.__imul__(2),
    ):
        with contextlib.suppress(AttributeError, TypeError, ValueError):
            change()
        assert equal(ratings, before)


@pytest.mark.parametrize(
    "rows", [1, -1, slice(1, None), [2, 0], np.array([True, False, True]), [], np.array([1, 1])]
)
def test_rows_take_all_that_belongs_to_them(rows):
    data = Interactions.from_arrays(
        [1, 1, 2, 3, 3],
        ["a", "b", "b", "a", "c"],
        [1, 2, 3, 4, 5],
        timestamps=[10, 20, 30, 40, 50],
        reviews=list("vwxyz"),
        item_names={"a": "A"},
        backend="polars",
    )
    part = data[rows]
    lines = (
        [np.arange(3)[rows]]
        if np.ndim(rows) == 0 and not isinstance(rows, slice)
        else (
            np.arange(3)[rows if len(np.shape(rows)) == 0 or len(rows) else slice(0, 0)].tolist()
        )
    )
    assert isinstance(part, Interactions)
    assert part.user_ids.tolist() == data.user_ids[lines].tolist()
    np.testing.assert_array_equal(part.toarray(), data.toarray()[lines])
    np.testing.assert_array_equal(part.timestamps, 10 * part.data)
    assert "".join(part.reviews) == "".join("vwxyz"[int(value) - 1] for value in part.data)
    assert (part.item_names.tolist(), part.backend) == (["A", "b", "c"], "polars")
    assert equal(pickle.loads(pickle.dumps(part)), part)


def test_columns_take_all_that_belongs_to_them():
    data = Interactions.from_arrays(
        [1, 1, 2], ["a", "b", "c"], [1, 2, 3], timestamps=[10, 20, 30], item_names={"c": "C"}
    )
    part = data[:, data.columns(["c", "a"])]
    assert part.toarray().tolist() == [[0, 1], [3, 0]]
    assert part.timestamps.tolist() == [10, 30]
    assert (part.item_ids.tolist(), part.item_names.tolist()) == (["c", "a"], ["C", "a"])
    assert data[1, 2] == 3
    assert data[[0, 1], [1, 2]].tolist() == [2, 3]
    assert data[data.rows([1, 2]), data.columns(["b", "c"])].tolist() == [2, 3]
    assert data[0:2, [2, 0]].toarray().tolist() == [[0, 1], [3, 0]]
    assert data[np.ix_([0, 1], [2, 0])].toarray().tolist() == [[0, 1], [3, 0]]
    assert data[data.nonzero()].tolist() == [1, 2, 3]
    assert not isinstance(data[data > 1], Interactions)
    with pytest.raises(ValueError, match="distinct"):
        data[:, [0, 0]]


def test_ids_do_not_cut_rows():
    data = Interactions.from_arrays(["ann", "bob"], ["tea", "tea"])
    with pytest.raises(TypeError, match=r"\.rows\(user_ids\)"):
        data[["ann"]]
    for key in ("ann", (slice(None), "tea"), ("ann", "tea")):
        with pytest.raises(TypeError, match=r"\.rows\(user_ids\)"):
            data[key]


@pytest.mark.parametrize("ids", [["ann", "bob", "cid"], [7, 3, 9], ["ann", 3, 4.5]])
def test_rows_and_columns_of_ids(ids):
    data = Interactions.from_arrays(ids, ids[::-1])
    assert data.user_ids[data.rows(ids)].tolist() == ids
    assert data.item_ids[data.columns(ids)].tolist() == ids
    assert data.rows(ids[1]).tolist() == [data.user_ids.tolist().index(ids[1])]
    assert data.rows([]).tolist() == []
    with pytest.raises(ValueError, match="user ids must be among .* 1 of 2 are not"):
        data.rows([ids[0], 77 if isinstance(ids[0], int) else "dan"])
    with pytest.raises(ValueError, match="item id"):
        data.columns("dan")


def test_reindex():
    data = Interactions.from_arrays(
        ["u", "u", "v"],
        ["a", "b", "a"],
        [1, 2, 3],
        timestamps=[10, 20, 30],
        reviews=list("xyz"),
        item_names={"b": "B"},
    )
    found = data.reindex(["c", "b", "a"])
    assert found.toarray().tolist() == [[0, 2, 1], [0, 0, 3]]
    assert (found.timestamps.tolist(), found.reviews.tolist()) == ([20, 10, 30], ["y", "x", "z"])
    assert found.item_names.tolist() == ["c", "B", "a"]
    assert equal(data.reindex(data.item_ids), data)
    assert data.reindex(["c"]).nnz == 0
    with pytest.raises(ValueError, match="distinct"):
        data.reindex(["a", "a"])


def test_update_is_the_table_of_both():
    rng = np.random.default_rng(0)
    tables = [rng.integers(0, 12, (60, 2)) + shift for shift in ([0, 100], [4, 103])]
    parts = [
        Interactions.from_arrays(
            *table.T, np.arange(60), timestamps=np.arange(60), duplicates="last"
        )
        for table in tables
    ]
    merged = parts[0].update(parts[1])
    by_hand = {}
    for part in parts:
        frame = part.to_frame("pandas")
        by_hand.update(zip(zip(frame.user, frame.item, strict=True), frame.value, strict=True))
    found = merged.to_frame("pandas")
    assert dict(zip(zip(found.user, found.item, strict=True), found.value, strict=True)) == by_hand
    np.testing.assert_array_equal(found.timestamp, found.value)
    n_users, n_items = parts[0].shape
    assert merged.user_ids[:n_users].tolist() == parts[0].user_ids.tolist()
    assert merged.item_ids[:n_items].tolist() == parts[0].item_ids.tolist()
    assert len(merged.user_ids) > n_users and len(merged.item_ids) > n_items


def test_update_refuses_what_it_cannot_merge(ratings):
    plain = Interactions.from_arrays([1], [1])
    with pytest.raises(TypeError, match="must be Interactions, got csr_array"):
        plain.update(plain.X)
    timed = Interactions.from_arrays([1], [1], timestamps=[3])
    with pytest.raises(ValueError, match="the new interactions have timestamps, the old"):
        plain.update(timed)
    with pytest.raises(ValueError, match="the old interactions have timestamps, the new"):
        timed.update(plain)
    dated = Interactions.from_arrays([1], [1], timestamps=np.array(["2026-11-30"], "M8[D]"))
    with pytest.raises(
        ValueError, match="old interactions are numbers, those of the new ones dat"
    ):
        timed.update(dated)
    with pytest.raises(ValueError, match="no new user id is in the old ones"):
        plain.update(Interactions.from_arrays(["ann"], [1]))


@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_comes_back_in_the_users_library(frame):
    columns = {"user": ["b", "a"], "item": [5, 7], "value": [1.5, 2.0], "timestamp": [1, 2]}
    table = FRAMES[frame]({**columns, "review": ["fine", ""]})
    data = Interactions.from_frame(
        table, value="value", timestamp="timestamp", review="review", item_names={5: "five"}
    )
    assert data.backend == frame and data[:1].backend == frame
    back = data.to_frame()
    assert type(back) is type(table)
    again = Interactions.from_frame(
        back, value="value", timestamp="timestamp", review="review", item_names={5: "five"}
    )
    assert equal(again, data)
    assert list(data.to_frame("pandas").title) == ["7", "five"]


def test_html_tells_what_matters(ratings):
    page = ratings._repr_html_()
    for fact in ("users", "items", "entries", "titles", "timestamps", "reviews"):
        assert f">{fact}</th>" in page
    strange = Interactions.from_arrays(["<b>"], ["x"])._repr_html_()
    assert "&lt;b&gt;" in strange and "all 1" in strange


# --- Models take it as X -----------------------------------------------------------------------


def test_models_learn_names_from_it_and_refuse_others():
    data = Interactions.from_arrays([1, 1, 2, 3, 3], [10, 20, 20, 30, 10])
    model = EASE(l2=1).fit(data)
    assert model.feature_names_in_.tolist() == [10, 20, 30]
    np.testing.assert_array_equal(model.predict(data), EASE(l2=1).fit(data.X).predict(data.X))
    np.testing.assert_array_equal(model.recommend(data[[0]]), model.recommend(data)[:1])
    with pytest.raises(ValueError, match=r"others, or another order: take X\.reindex"):
        model.predict(data.reindex([30, 20, 10]))
    with pytest.raises(ValueError, match="40, which is not among them"):
        model.predict(data.reindex([10, 20, 40]))
    np.testing.assert_array_equal(
        model.predict(data.reindex([30, 20, 10]).reindex(model.feature_names_in_)),
        model.predict(data),
    )
    model.predict(data.X)  # numbers are no feature names, of which scikit-learn would warn
    texts = Interactions(data.X, data.user_ids, ["a", "b", "c"])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        EASE(l2=1).fit(texts).predict(data.X)
    assert not hasattr(model.fit(data.X), "feature_names_in_")
    assert model.predict(data).shape == data.shape


def test_a_frame_with_numbers_for_columns_brings_them_as_ids():
    frame = pd.DataFrame([[1, 0, 1], [0, 1, 1], [1, 1, 0]], columns=[10, 20, 30])
    model = EASE(l2=1).fit(frame)
    assert model.feature_names_in_.tolist() == [10, 20, 30]
    np.testing.assert_array_equal(model.predict(frame), model.predict(frame.to_numpy()))
    with pytest.raises(ValueError, match="others, or another order"):
        model.predict(frame[[30, 20, 10]])
    with pytest.raises(ValueError, match="40, which is not among them"):
        model.predict(frame.rename(columns={30: 40}))
    assert not hasattr(EASE(l2=1).fit(pd.DataFrame(frame.to_numpy())), "feature_names_in_")


def test_its_reviews_are_read():
    words = ["good", "bad", "fine"]
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((30, 8)) < 0.5)
    data = Interactions.from_arrays(
        users, items, rng.integers(1, 6, len(users)), reviews=rng.choice(words, len(users))
    )
    small = MODELS["DeepLTRS"].instance(max_iter=2)
    model = clone(small).fit(data)
    assert sorted(model.vocabulary_) == sorted(words)
    reviews = Reviews.from_interactions(data)
    by_hand = clone(model).fit(data.X, reviews=reviews)
    np.testing.assert_array_equal(
        model.predict(data[:4]), by_hand.predict(data.X[:4], reviews=reviews[:4])
    )
