"""Interactions: from tables to a matrix, and back."""

import copy
import datetime
import pickle
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from interactions_sample import equal, sample
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, MaxAbsScaler, normalize

from skrec import Interactions

FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}

ratings = pytest.fixture(sample, name="ratings")

# user, item, value, timestamp, review: the pair (1, "a") three times, (2, "b") twice.
ROWS = [
    (2, "b", 3.0, 50, "2b first"),
    (1, "a", 1.0, 30, "1a first"),
    (1, "a", 5.0, 10, "1a second"),
    (1, "b", 2.0, 20, "1b"),
    (2, "b", 3.0, 40, "2b second"),
    (1, "a", 4.0, 20, "1a third"),
]
COLUMNS = dict(
    zip(("user", "item", "value", "timestamp", "review"), zip(*ROWS, strict=True), strict=True)
)


# --- Construction --------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", FRAMES)
def test_from_frame_by_hand(frame):
    table = FRAMES[frame](
        {
            "who": ["bob", "ann", "bob", "cy"],
            "what": [7, 3, 3, 9],
            "stars": [4.0, 5.0, 2.5, 1.0],
            "when": [40, 10, 30, 20],
            "text": ["good", "great", None, "bad"],
        }
    )
    found = Interactions.from_frame(
        table,
        user="who",
        item="what",
        value="stars",
        timestamp="when",
        review="text",
        item_names={3: "three", 7: "seven"},
    )
    np.testing.assert_array_equal(found.X.toarray(), [[5, 0, 0], [2.5, 4, 0], [0, 0, 1]])
    assert isinstance(found.X, sp.csr_array)
    assert found.X.dtype == np.float32
    assert found.X.indices.dtype == found.X.indptr.dtype == np.int32
    assert found.X.has_canonical_format
    assert found.user_ids.tolist() == ["ann", "bob", "cy"]
    assert found.item_ids.tolist() == [3, 7, 9]
    assert found.item_ids.dtype == np.int64
    assert found.item_names.tolist() == ["three", "seven", "9"]
    assert found.timestamps.tolist() == [10, 30, 40, 20]
    assert found.reviews.tolist() == ["great", "", "good", "bad"]
    assert repr(found) == "Interactions(3 users x 3 items, 4 entries, density 44.44%)"


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("duplicates", ["last", "max", "sum", "mean"])
def test_frames_and_arrays_agree(frame, duplicates):
    review = {"review": "review"} if duplicates in ("last", "max") else {}
    found = Interactions.from_frame(
        FRAMES[frame](COLUMNS),
        value="value",
        timestamp="timestamp",
        duplicates=duplicates,
        **review,
    )
    expected = Interactions.from_arrays(
        COLUMNS["user"],
        COLUMNS["item"],
        COLUMNS["value"],
        timestamps=COLUMNS["timestamp"],
        reviews=COLUMNS["review"] if review else None,
        duplicates=duplicates,
    )
    assert equal(found, expected)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(
    "moments",
    [
        [datetime.datetime(2020, 1, 2, 3), datetime.datetime(1999, 1, 1)],
        [
            datetime.datetime(2020, 1, 2, 3, tzinfo=datetime.UTC),
            datetime.datetime(1999, 1, 1, tzinfo=datetime.UTC),
        ],
    ],
    ids=["naive", "utc"],
)
def test_datetimes(frame, moments):
    table = FRAMES[frame]({"user": [2, 1], "item": [1, 1], "when": moments})
    found = Interactions.from_frame(table, timestamp="when").timestamps
    assert found.dtype.kind == "M"
    np.testing.assert_array_equal(
        found, np.array(["1999-01-01T00", "2020-01-02T03"], dtype="datetime64[us]")
    )


@pytest.mark.parametrize("frame", FRAMES)
def test_dates_of_a_table(frame):
    days = [datetime.date(2020, 1, 2), datetime.date(1999, 1, 1)]
    table = FRAMES[frame]({"user": [2, 1], "item": [1, 1], "when": days})
    found = Interactions.from_frame(table, timestamp="when").timestamps
    np.testing.assert_array_equal(found, np.array(days[::-1], dtype="M8[D]"))


NOON = datetime.datetime(2020, 1, 2, 12)
EAST = datetime.timezone(datetime.timedelta(hours=2))


@pytest.mark.parametrize("kind", [list, lambda values: np.array(values, dtype=object), pd.Series])
@pytest.mark.parametrize(
    ("moments", "expected", "dtype"),
    [
        ([NOON.date(), datetime.date.min], ["2020-01-02", "0001-01-01"], "M8[D]"),
        ([NOON, datetime.datetime.max], ["2020-01-02T12", str(datetime.datetime.max)], "M8[us]"),
        ([NOON, NOON.date()], ["2020-01-02T12", "2020-01-02"], "M8[us]"),
        (
            [NOON.replace(tzinfo=EAST), NOON.replace(tzinfo=datetime.UTC)],
            ["2020-01-02T10", "2020-01-02T12"],
            "M8[us]",
        ),
        (
            [pd.Timestamp("2020-01-02T12:00:00.000000001", tz=EAST), pd.Timestamp(1, tz="UTC")],
            ["2020-01-02T10:00:00.000000001", "1970-01-01T00:00:00.000000001"],
            "M8[ns]",
        ),
        ([np.datetime64("2020"), NOON.date()], ["2020-01-01", "2020-01-02"], "M8[D]"),
    ],
)
def test_datetimes_of_python(kind, moments, expected, dtype):
    timestamps = kind(moments)
    found = Interactions.from_arrays([0, 1], [0, 0], timestamps=timestamps).timestamps
    np.testing.assert_array_equal(found, np.array(expected, dtype=dtype))
    assert found.dtype.kind == "M"
    if kind is not pd.Series:
        assert found.dtype == dtype
    of_fields = Interactions(sp.csr_array([[1.0], [2.0]]), [0, 1], [0], timestamps=timestamps)
    np.testing.assert_array_equal(of_fields.timestamps, found)


def test_the_latest_of_datetimes_of_python():
    moments = [NOON, NOON.replace(hour=13), NOON.replace(hour=11)]
    found = Interactions.from_arrays(
        [0, 0, 0], [0, 0, 0], [1, 2, 3], timestamps=moments, duplicates="last"
    )
    assert found.X.data.tolist() == [2]
    assert found.timestamps.tolist() == [moments[1]]


def test_timestamps_that_are_objects_of_numbers():
    numbers = np.array([3, 2], dtype=object)
    found = Interactions.from_arrays([0, 1], [0, 0], timestamps=numbers).timestamps
    assert found.tolist() == [3, 2] and found.dtype == np.int64


@pytest.mark.parametrize(
    ("moments", "message"),
    [
        ([NOON, None], "null, but 1 of 2 are, the first at row 1"),
        ([pd.NaT, NOON], "null, but 1 of 2 are, the first at row 0"),
        ([None, None], "null, but 2 of 2"),
        ([3, None], "null, but 1 of 2 are, the first at row 1"),
        ([NOON, NOON.replace(tzinfo=EAST)], "must all have a time zone or none"),
        ([NOON, 3], "must be numbers or datetimes"),
        ([NOON, "2020-01-02"], "must be numbers or datetimes"),
        ([datetime.time(3), datetime.time(4)], "must be numbers or datetimes"),
        ([datetime.timedelta(3)] * 2, "must be numbers or datetimes"),
    ],
)
def test_objects_that_are_no_timestamps(moments, message):
    with pytest.raises(ValueError, match=f"timestamps .*{message}"):
        Interactions.from_arrays([0, 1], [0, 0], timestamps=moments)


@pytest.mark.parametrize(
    "users",
    [
        pd.Series(["y", "x", "y"], dtype="category"),
        pd.Series(["y", "x", "y"], dtype="object"),
        pd.Series(["y", "x", "y"], dtype="str"),
        pl.Series(["y", "x", "y"], dtype=pl.Categorical),
        np.array(["y", "x", "y"]),
        ["y", "x", "y"],
    ],
    ids=["category", "object", "str", "polars", "numpy", "list"],
)
def test_kinds_of_string_ids(users):
    found = Interactions.from_arrays(users, [1, 1, 2])
    assert found.user_ids.dtype == object
    assert found.user_ids.tolist() == ["x", "y"]
    assert all(type(user) is str for user in found.user_ids)
    np.testing.assert_array_equal(found.X.toarray(), [[1, 0], [1, 1]])


@pytest.mark.parametrize(
    ("ids", "distinct", "dtype"),
    [
        ([3, -1, 3, 2], [-1, 2, 3], np.int64),
        (np.array([3, 1, 3, 2], dtype=np.uint8), [1, 2, 3], np.int64),
        (np.array([127, -128, 127, 2], dtype=np.int8), [-128, 2, 127], np.int64),
        ([2**62, -(2**62), 2**62, 0], [-(2**62), 0, 2**62], np.int64),
        (np.array([2**64 - 1, 5, 2**64 - 1, 7], np.uint64), [5, 7, 2**64 - 1], np.uint64),
        ([2**70, 1, 2**70, 3], [1, 3, 2**70], object),
        ([0.5, -1.0, 0.5, 2.0], [-1.0, 0.5, 2.0], np.float64),
        (["b", "a", "b", "ü"], ["a", "b", "ü"], object),
        (["b", 10, "b", 2], [2, 10, "b"], object),
        ([2, "b", 2, (1, 2)], [2, "b", (1, 2)], object),
        (pd.to_datetime(["2021", "2020", "2021", "2022"]), None, "datetime64"),
    ],
)
def test_ids_of_any_kind(ids, distinct, dtype):
    if isinstance(ids, list) and (1, 2) in ids:
        ids = np.fromiter(ids, dtype=object, count=4)
    found = Interactions.from_arrays(ids, [0, 0, 1, 0], [1, 2, 3, 4])
    if distinct is None:
        assert found.user_ids.dtype.kind == "M"
        assert (np.diff(found.user_ids) > np.timedelta64(0)).all()
    else:
        assert found.user_ids.dtype == dtype
        assert found.user_ids.tolist() == distinct
    for row, column, value in [(0, 0, 1), (1, 0, 2), (2, 1, 3), (3, 0, 4)]:
        user = list(found.user_ids).index(np.asarray(ids, dtype=found.user_ids.dtype)[row])
        assert found.X[user, column] == value


def test_a_row_without_value_counts_one():
    found = Interactions.from_arrays([5, 5, 5], [1, 2, 1], duplicates="sum")
    assert found.X.toarray().tolist() == [[2, 1]]


def test_explicit_zeros_are_observations(ratings):
    assert ratings.X.nnz == 6
    assert ratings.X[1, 0] == 0


@pytest.mark.parametrize(
    "values",
    [[1, 2], np.array([1, 2], np.uint8), [Decimal(1), Decimal(2)], np.array([1, 2], object)],
)
def test_values_of_any_number_type(values):
    found = Interactions.from_arrays([0, 1], [0, 0], values)
    assert found.X.data.tolist() == [1, 2]
    assert Interactions.from_arrays([0, 1], [0, 0], [True, False]).X.data.tolist() == [1, 0]


def test_int_column_labels_of_pandas():
    table = pd.DataFrame([[1, 5], [2, 5]])
    assert Interactions.from_frame(table, user=0, item=1).X.toarray().tolist() == [[1], [1]]


def test_matches_scipy_on_a_random_table():
    rng = np.random.default_rng(0)
    users, items = rng.integers(50, size=2000), rng.integers(1000, 1040, size=2000)
    values = rng.random(2000)
    found = Interactions.from_arrays(users, items, values, duplicates="sum")
    dense = np.zeros((50, 40))
    np.add.at(dense, (users, items - 1000), values)
    np.testing.assert_allclose(found.X.toarray(), dense, rtol=1e-6)
    np.testing.assert_array_equal(found.user_ids, np.arange(50))
    np.testing.assert_array_equal(found.item_ids, np.arange(1000, 1040))


# --- Duplicates ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("duplicates", "with_timestamps", "values", "reviews", "timestamps"),
    [
        # entries in order: (1, a), (1, b), (2, b)
        ("last", True, [1, 2, 3], ["1a first", "1b", "2b first"], [30, 20, 50]),
        ("last", False, [4, 2, 3], ["1a third", "1b", "2b second"], None),
        ("max", True, [5, 2, 3], ["1a second", "1b", "2b first"], [10, 20, 50]),
        ("max", False, [5, 2, 3], ["1a second", "1b", "2b second"], None),
        ("sum", True, [10, 2, 6], None, [30, 20, 50]),
        ("sum", False, [10, 2, 6], None, None),
        ("mean", True, [10 / 3, 2, 3], None, [30, 20, 50]),
        ("mean", False, [10 / 3, 2, 3], None, None),
    ],
)
def test_duplicates_by_hand(duplicates, with_timestamps, values, reviews, timestamps):
    found = Interactions.from_arrays(
        COLUMNS["user"],
        COLUMNS["item"],
        COLUMNS["value"],
        timestamps=COLUMNS["timestamp"] if with_timestamps else None,
        reviews=COLUMNS["review"] if reviews else None,
        duplicates=duplicates,
    )
    assert found.X.indptr.tolist() == [0, 2, 3]
    assert found.X.indices.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(found.X.data, np.array(values, dtype=np.float32))
    assert (None if found.reviews is None else found.reviews.tolist()) == reviews
    assert (None if found.timestamps is None else found.timestamps.tolist()) == timestamps


def test_equal_timestamps_leave_the_last_row():
    found = Interactions.from_arrays(
        [0, 0, 0], [0, 0, 0], [1, 2, 3], timestamps=[9, 9, 1], duplicates="last"
    )
    assert found.X.data.tolist() == [2]


@pytest.mark.parametrize("duplicates", ["sum", "mean", "last", "max"])
def test_latest_of_datetimes(duplicates):
    days = np.array(["2020-01-02", "2020-01-03", "2020-01-01"], dtype="datetime64[D]")
    found = Interactions.from_arrays(
        [0, 0, 0], [0, 0, 0], [1, 9, 3], timestamps=days, duplicates=duplicates
    )
    assert found.timestamps.tolist() == [datetime.date(2020, 1, 3)]


def test_refused_duplicates():
    with pytest.raises(ValueError) as error:
        Interactions.from_arrays(COLUMNS["user"], COLUMNS["item"])
    message = str(error.value)
    assert "2 pairs of user and item have several rows" in message
    assert "first of them user 1 and item a;" in message
    for rule in ("last", "sum", "mean", "max"):
        assert f"'{rule}'" in message


def test_dropped_items_are_no_duplicates():
    with pytest.warns(UserWarning, match="2 of 3 rows .* such as 'x'"):
        found = Interactions.from_arrays([0, 0, 0], ["x", "x", "y"], item_ids=["y"])
    assert found.X.toarray().tolist() == [[1]]


# --- A given vocabulary --------------------------------------------------------------------------


@pytest.mark.parametrize("frame", FRAMES)
def test_vocabulary(frame):
    table = FRAMES[frame]({"user": [1, 1, 2, 3], "item": ["b", "new", "new", "a"]})
    with pytest.warns(UserWarning, match="2 of 4 rows .* dropped.*reindex"):
        found = Interactions.from_frame(table, item_ids=["c", "b", "a"], item_names={"a": "A"})
    assert found.item_ids.tolist() == ["c", "b", "a"]
    assert found.item_names.tolist() == ["c", "b", "A"]
    assert found.user_ids.tolist() == [1, 2, 3]
    # user 2 has only items that the vocabulary lacks, and keeps an empty row
    assert found.X.toarray().tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert found.X.has_canonical_format


def test_vocabulary_carries_timestamps_and_reviews():
    with pytest.warns(UserWarning, match="dropped"):
        found = Interactions.from_arrays(
            [1, 1, 2],
            [9, 8, 9],
            [3, 4, 5],
            timestamps=[1, 2, 3],
            reviews=["x", "y", "z"],
            item_ids=np.array([9, 7]),
        )
    assert found.X.toarray().tolist() == [[3, 0], [5, 0]]
    assert found.timestamps.tolist() == [1, 3]
    assert found.reviews.tolist() == ["x", "z"]


def test_vocabulary_of_dates_in_another_unit():
    days = np.array(["2021-01-01", "2020-01-01", "2020-01-03"], "M8[ns]")
    with pytest.warns(UserWarning, match="dropped"):
        found = Interactions.from_arrays([1, 2, 3], days, item_ids=days[:2].astype("M8[D]"))
    assert found.X.toarray().tolist() == [[1, 0], [0, 1], [0, 0]]


def test_own_vocabulary_changes_nothing(ratings):
    rows = np.repeat(ratings.user_ids, np.diff(ratings.X.indptr))
    again = Interactions.from_arrays(
        rows, ratings.item_ids[ratings.X.indices], ratings.X.data, item_ids=ratings.item_ids
    )
    np.testing.assert_array_equal(again.X.toarray(), ratings.X.toarray())


@pytest.mark.parametrize("duplicates", ["error", "last", "max", "sum", "mean"])
def test_only_unknown_items(duplicates):
    with pytest.warns(UserWarning, match="1 of 1 rows"):
        found = Interactions.from_arrays(
            ["u"], ["new"], item_ids=["a", "b"], duplicates=duplicates
        )
    assert found.X.shape == (1, 2)
    assert found.X.nnz == 0


# --- Wrong input ---------------------------------------------------------------------------------

TABLE = {"user": [1, 2], "item": ["a", "b"], "stars": [1.0, 2.0]}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({}, {"user": "uid"}, r"column 'uid' .* \['user', 'item', 'stars'\]; .* user="),
        ({}, {"item": "iid"}, r"column 'iid' .* item="),
        ({}, {"value": "rating"}, r"column 'rating' .* value="),
        ({}, {"review": "text"}, r"column 'text' .* review="),
        ({}, {"timestamp": "t"}, r"column 't' .* timestamp="),
        ({"user": ["x", None]}, {}, r"user ids must not be null, but 1 of 2 .* at row 1; drop"),
        ({"user": [None, 3]}, {}, r"user ids must not be null, but 1 of 2 .* at row 0"),
        ({"item": [None, None]}, {}, r"item ids must not be null, but 2 of 2"),
        ({"stars": ["1", "2"]}, {"value": "stars"}, r"values must be numbers.*'1'.*convert"),
        ({"stars": [1.0, None]}, {"value": "stars"}, r"finite.* 1 of 2 .*row 1: nan"),
        ({"stars": [float("inf"), 1]}, {"value": "stars"}, r"finite.* 1 of 2 .*row 0: inf"),
        ({"stars": [1.0, 1e300]}, {"value": "stars"}, r"finite in float32.*row 1: 1e\+300"),
        ({"stars": [1.0, None]}, {"timestamp": "stars"}, r"timestamps must not be null.*row 1"),
        ({}, {"timestamp": "item"}, r"timestamps must be numbers or datetimes"),
        ({}, {"review": "stars"}, r"reviews must be strings, got 1.0 of type float at row 0"),
    ],
)
def test_wrong_frame(frame, changes, arguments, message):
    table = FRAMES[frame](TABLE | changes)
    with pytest.raises(ValueError, match=message):
        Interactions.from_frame(table, **arguments)


@pytest.mark.parametrize("df", [np.zeros((2, 2)), {"user": [1]}, pl.LazyFrame(TABLE)])
def test_not_a_frame(df):
    with pytest.raises(TypeError, match=r"eager data frame .* got .*(ndarray|dict|LazyFrame)"):
        Interactions.from_frame(df)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(users=[], items=[]), ValueError, "no rows"),
        (dict(users=[1], items=[1, 2]), ValueError, r"items must .* shape \(1,\), got shape \(2,"),
        (dict(values=[1]), ValueError, r"values must .* shape \(2,\), got shape \(1,\)"),
        (dict(values=[[1, np.nan]]), ValueError, r"values must be finite"),
        (dict(values=[[1, 2]]), ValueError, r"values must be one-dimensional"),
        (dict(values=[]), ValueError, r"values must be one-dimensional"),
        (dict(values=[None, "x"]), ValueError, r"values must be numbers.*None"),
        (dict(values=[None, object()]), ValueError, r"values must be numbers"),
        (dict(timestamps=[1, 2, 3]), ValueError, "timestamps must be one-dim"),
        (dict(timestamps=["x", "y"]), ValueError, "timestamps must be numbers or datetimes"),
        (dict(timestamps=np.array(["NaT", "2020"], "M8[D]")), ValueError, "null.* 1 of 2.*row 0"),
        (dict(reviews=["x"]), ValueError, "reviews must be one-dimensional"),
        (dict(reviews=["x", 3]), ValueError, "reviews must be strings, got 3 .* row 1"),
        (dict(users=[[1, 2], [3, 4]]), ValueError, r"user ids must be one-dim.* \(2, 2\)"),
        (dict(users=[{}, {}]), ValueError, "user ids must be hashable"),
        (dict(users=[1, None]), ValueError, "user ids must not be null"),
        (dict(users=[1, np.nan]), ValueError, "user ids must not be null"),
        (dict(users=["a", np.nan]), ValueError, "user ids must not be null, but 1 of 2"),
        (dict(users=["a", pd.NA]), ValueError, "user ids must not be null, but 1 of 2"),
        (dict(items=["a", pd.NaT]), ValueError, "item ids must not be null, but 1 of 2"),
        (dict(items=np.array(["NaT", 2], "M8[D]")), ValueError, "item ids must not be null"),
        (dict(duplicates="first"), ValueError, r"\['error', 'last', .*got 'first'.*latest"),
        (dict(duplicates="sum", reviews=["x", "y"]), ValueError, "'sum'.*reviews.*'last'"),
        (dict(duplicates="mean", reviews=["x", "y"]), ValueError, "'mean'.*reviews"),
        (dict(item_ids=["a", "a"]), ValueError, "item_ids must be distinct, but 'a' is repeated"),
        (dict(item_ids=["a", None]), ValueError, "item_ids must not be null"),
        (dict(item_ids=[1, 2]), ValueError, r"no item .* of type \['str'\].* \['int'\]; convert"),
        (dict(item_ids=[]), ValueError, "no item of the table is in item_ids"),
        (dict(items=[1, 2], item_ids=np.zeros(0, int)), ValueError, "no item of the table is in"),
        (dict(item_names=["A", "B"]), TypeError, "item_names must map .* got list; pass a dict"),
    ],
)
def test_wrong_arrays(arguments, error, message):
    arguments = {"users": [1, 2], "items": ["a", "b"]} | arguments
    with pytest.raises(error, match=message):
        Interactions.from_arrays(**arguments)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"X": np.eye(2)}, TypeError, "X must be a scipy sparse array or matrix, got ndarray"),
        ({"X": sp.csr_array((2, 3))}, ValueError, r"item_ids must .* column of X.*\(3,\)"),
        ({"X": sp.csr_array((3, 2))}, ValueError, r"user_ids must .* row of X.*\(3,\)"),
        ({"X": sp.eye_array(2) * np.inf}, ValueError, "values must be finite"),
        ({"user_ids": [4, 4]}, ValueError, "user_ids must be distinct, but 4 is repeated"),
        ({"item_ids": [4, 4]}, ValueError, "item_ids must be distinct"),
        ({"item_names": ["a"]}, ValueError, "item_names must .* column of X"),
        ({"timestamps": [1]}, ValueError, "timestamps must .* stored entry of X"),
        ({"reviews": ["x"]}, ValueError, "reviews must .* stored entry of X"),
        (
            {"X": sp.csr_array(([1.0, 1.0], [1, 0], [0, 2, 2]), shape=(2, 2))},
            ValueError,
            r"ascending column indices.*sum_duplicates\(\)",
        ),
        (
            {"X": sp.csr_array(([1.0, 1.0], [1, 1], [0, 2, 2]), shape=(2, 2))},
            ValueError,
            "without duplicates",
        ),
    ],
)
def test_wrong_constructor_arguments(changes, error, message):
    arguments = {"X": sp.eye_array(2), "user_ids": [0, 1], "item_ids": ["a", "b"]}
    with pytest.raises(error, match=message):
        Interactions(**(arguments | changes))


def test_constructor_shares_nothing_with_the_callers_arrays():
    X, ids = sp.eye_array(2, dtype=np.float32).tocsr(), np.arange(2)
    made = Interactions(X, ids, ids)
    X.data[0] = 5
    X.indices[0] = 1
    ids[0] = 7
    np.testing.assert_array_equal(made.X.toarray(), np.eye(2))
    np.testing.assert_array_equal(made.user_ids, [0, 1])


# --- Immutability, copies, use in scikit-learn ---------------------------------------------------

ARRAYS = ("user_ids", "item_ids", "item_names", "timestamps", "reviews")


@pytest.mark.parametrize(
    "clone",
    [lambda x: x, lambda x: pickle.loads(pickle.dumps(x)), copy.copy, copy.deepcopy],
    ids=["itself", "pickle", "copy", "deepcopy"],
)
def test_immutable(ratings, clone):
    found = clone(ratings)
    assert equal(found, ratings)
    with pytest.raises(AttributeError, match="cannot be changed"):
        found.X = None
    for name in ARRAYS:
        with pytest.raises(ValueError, match="read-only"):
            getattr(found, name)[0] = getattr(found, name)[1]
    for name in ("data", "indices", "indptr"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(found.X, name)[0] = 1
    assert found.X.copy().data.flags.writeable


def test_scikit_learn_takes_the_read_only_matrix():
    rng = np.random.default_rng(0)
    X = Interactions.from_arrays(
        np.arange(600) // 12, rng.permuted(np.tile(np.arange(30), (50, 1)), axis=1)[:, :12].ravel()
    ).X
    TruncatedSVD(3, random_state=0).fit(X)
    KMeans(2, n_init=1, random_state=0).fit(X)
    NearestNeighbors().fit(X).kneighbors(X[:3])
    steps = make_pipeline(Binarizer(threshold=0.5), TfidfTransformer(), MaxAbsScaler())
    assert steps.fit_transform(X).shape == X.shape
    assert normalize(X).shape == X.shape
    assert (X.T @ X).diagonal().sum() == X.nnz


# --- Filters -------------------------------------------------------------------------------------


def brute_force_filter(interactions, min_users, min_items, until_stable):
    """Sets of user ids, item ids and entries that are left, by plain loops."""
    X = interactions.X.tocoo()
    entries = {
        (interactions.user_ids[u], interactions.item_ids[i])
        for u, i in zip(*X.coords, strict=True)
    }
    users, items = set(interactions.user_ids), set(interactions.item_ids)
    while True:
        before = len(users), len(items)
        items = {i for i in items if sum(entry[1] == i for entry in entries) >= min_users}
        entries = {entry for entry in entries if entry[1] in items}
        users = {u for u in users if sum(entry[0] == u for entry in entries) >= min_items}
        entries = {entry for entry in entries if entry[0] in users}
        if not until_stable or before == (len(users), len(items)):
            return users, items, entries


@pytest.mark.parametrize("until_stable", [False, True])
@pytest.mark.parametrize("least", [(0, 0), (1, 0), (4, 0), (0, 4), (3, 3), (4, 5), (9, 9)])
@pytest.mark.parametrize("seed", range(3))
def test_filter_against_loops(seed, least, until_stable):
    rng = np.random.default_rng(seed)
    rows, cols = np.nonzero(rng.random((20, 15)) < rng.random(15) * 0.6)
    values = np.arange(len(rows)) + 1.0
    interactions = Interactions.from_arrays(
        rows,
        cols,
        values,
        timestamps=values.astype(int),
        reviews=values.astype(str),
        item_names={i: f"item {i}" for i in range(15)},
    )
    found = interactions.filter(
        min_users_per_item=least[0], min_items_per_user=least[1], until_stable=until_stable
    )
    users, items, entries = brute_force_filter(interactions, *least, until_stable)
    assert found.user_ids.tolist() == sorted(users)
    assert found.item_ids.tolist() == sorted(items)
    assert found.item_names.tolist() == [f"item {i}" for i in sorted(items)]
    X = found.X.tocoo()
    kept = {(found.user_ids[u], found.item_ids[i]) for u, i in zip(*X.coords, strict=True)}
    assert kept == entries
    value_of = {(u, i): value for u, i, value in zip(rows, cols, values, strict=True)}
    assert found.X.data.tolist() == [value_of[entry] for entry in sorted(entries)]
    assert found.timestamps.tolist() == found.X.data.tolist()
    assert found.reviews.tolist() == [str(value) for value in found.X.data.astype(float)]
    assert found.X.has_canonical_format


def test_filter_once_and_to_a_fixed_point():
    # A chain: item 2 loses user 1, who then has one item, and so on down to nothing.
    chain = Interactions.from_arrays([0, 0, 1, 1, 2], [0, 1, 1, 2, 2])
    once = chain.filter(min_users_per_item=2, min_items_per_user=2)
    assert (once.user_ids.tolist(), once.item_ids.tolist()) == ([1], [1, 2])
    stable = chain.filter(min_users_per_item=2, min_items_per_user=2, until_stable=True)
    assert stable.X.shape == (0, 0)
    assert repr(stable) == "Interactions(0 users x 0 items, 0 entries, density 0.00%)"


def test_filter_leaves_the_original_alone(ratings):
    before = pickle.loads(pickle.dumps(ratings))
    assert ratings.filter(min_users_per_item=3).item_ids.size == 0
    assert equal(ratings, before)
    assert equal(ratings.filter(), before)


@pytest.mark.parametrize("name", ["min_users_per_item", "min_items_per_user"])
@pytest.mark.parametrize("least", [-1, 1.5, "2", None])
def test_wrong_filter(ratings, name, least):
    message = re.escape(f"{name} must be an int of at least 0, got {least!r}")
    with pytest.raises(ValueError, match=message):
        ratings.filter(**{name: least})


@pytest.mark.parametrize("threshold", [-1, 0, 1, 3.5, 4, 9])
def test_binarize_as_scikit_learn_does(threshold):
    rng = np.random.default_rng(0)
    rows, cols = np.nonzero(rng.random((9, 7)) < 0.5)
    values = rng.integers(1, 11, size=len(rows)) / 2
    ratings = Interactions.from_arrays(rows, cols, values, timestamps=np.arange(len(rows)))
    found = ratings.binarize(threshold)
    if threshold >= 0:
        expected = Binarizer(threshold=threshold).fit_transform(ratings.X)
        np.testing.assert_array_equal(found.X.toarray(), expected.toarray())
    else:
        assert found.X.nnz == ratings.X.nnz
    assert (found.X.data == 1).all()
    np.testing.assert_array_equal(found.timestamps, np.flatnonzero(values > threshold))
    np.testing.assert_array_equal(found.user_ids, ratings.user_ids)
    np.testing.assert_array_equal(found.item_ids, ratings.item_ids)


def test_binarize_carries_reviews_and_names(ratings):
    found = ratings.binarize(3)
    assert found.X.toarray().tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 1]]
    assert found.reviews.tolist() == ["a", "", "f"]
    assert found.item_names.tolist() == ["ten", "twenty", "30"]
    with pytest.raises(TypeError, match="threshold must be a number, got '3'"):
        ratings.binarize("3")


# --- Decoding ------------------------------------------------------------------------------------


def test_decode(ratings):
    found = ratings.decode(np.array([[2, 0], [1, -1]]))
    assert found.dtype == object
    assert found.tolist() == [[30, 10], [20, None]]
    assert all(type(item) is int for item in found.ravel()[:3])
    assert ratings.decode([]).tolist() == []
    assert ratings.decode(np.empty((0, 3), dtype=int)).shape == (0, 3)
    assert ratings.decode(1).shape == ()
    assert ratings.decode(1).item() == 20
    assert ratings.decode(np.zeros((2, 1, 3), dtype=np.uint8)).shape == (2, 1, 3)
    words = Interactions.from_arrays([0, 0], ["tea", "jam"])
    assert words.decode([-1, 1, 0]).tolist() == [None, "tea", "jam"]


@pytest.mark.parametrize(
    ("items", "error", "message"),
    [
        ([0, 3], ValueError, r"between 0 and 2, or be -1 .* from 0 to 3"),
        ([-2, 1], ValueError, r"from -2 to 1"),
        ([0.0, 1.0], TypeError, "integer column indices, got dtype float64"),
        ([[True]], TypeError, "got dtype bool"),
    ],
)
def test_wrong_decode(ratings, items, error, message):
    with pytest.raises(error, match=message):
        ratings.decode(items)


def test_more_pairs_than_32_bits_hold():
    n = 70_000
    found = Interactions.from_arrays([n - 1, *range(n)], [0, *range(n)], range(n + 1))
    assert found.X.shape == (n, n)
    assert found.X.nnz == n + 1
    assert found.X[n - 1, 0] == 0
    assert found.X[n - 1, n - 1] == n
    np.testing.assert_array_equal(found.X.diagonal()[1:], np.arange(2, n + 1))


def test_binarize_takes_infinite_thresholds_and_names_what_no_float_can_hold():
    ratings = Interactions.from_arrays([0, 0, 1], [0, 1, 1], [4.0, 3.5, 5.0])
    assert ratings.binarize(-np.inf).X.nnz == 3
    assert ratings.binarize(np.inf).X.nnz == 0
    with pytest.raises(ValueError, match="threshold must be a number that a float can hold"):
        ratings.binarize(10**400)
