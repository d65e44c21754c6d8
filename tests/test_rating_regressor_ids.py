"""Ids that RatingRegressor finds again, does not know, or refuses."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skrec import BiasBaseline, RatingRegressor
from skrec.utils._columns import encode, locate

DAYS = np.array(["2020-02-01", "2020-01-01"], "M8[D]")


def test_dates_in_another_unit():
    frame, ratings = pd.DataFrame({"user": DAYS, "item": ["a", "b"]}), [1, 2]
    for kept, asked in [("us", "ns"), ("ns", "us"), ("s", "ns"), ("ns", "s")]:
        model = RatingRegressor(BiasBaseline()).fit(frame.astype({"user": f"M8[{kept}]"}), ratings)
        known = model.predict(frame.astype({"user": f"M8[{kept}]"}))
        same = frame.astype({"user": f"M8[{asked}]"})
        assert_array_equal(model.predict(same), known)
        between = same.assign(user=same["user"].to_numpy() + np.timedelta64(1, asked))
        unknown = frame.assign(user=np.datetime64("1900-01-01").astype(f"M8[{kept}]"))
        assert_array_equal(model.predict(between), model.predict(unknown))
    # What a unit cannot hold is unknown: in nanoseconds this date would come round to 1815.
    days = np.array(["1815-03-31T05:56:08.066277376"], "M8[ns]")
    assert locate(np.array(["9999-01-01"], "M8[D]"), days) == 1


@pytest.mark.parametrize(
    "fitted, asked, kinds",
    [
        ([1, 2], ["1", "2"], r"\['str'\].*\['int'\]"),
        (["1", "2"], [1, 2.5], r"\['float'\].*\['str'\]"),
        ([1.5, 2], ["1.5"], r"\['str'\].*\['float'\]"),
        (DAYS.astype("M8[ns]"), [pd.Timestamp(DAYS[0])], "Timestamp.*datetime64.*"),
        (DAYS, ["2020-01-01"], "'str'.*datetime64.*"),
        ([("a", 1), ("a", 2)], ["a"], r"\['str'\].*\['tuple'\]"),
    ],
)
@pytest.mark.parametrize("column", ["user", "item"])
def test_ids_that_cannot_be_those_of_training(fitted, asked, kinds, column):
    turn = 1 if column == "user" else -1
    train = pd.DataFrame({column: fitted, "other": 0}).iloc[:, ::turn]
    model = RatingRegressor(BiasBaseline()).fit(train.set_axis([0, 1], axis=1), [1, 2])
    wrong = [[value, 0][::turn] for value in asked]
    with pytest.raises(ValueError, match=rf"no {column} id of X .*training.*{kinds}; convert"):
        model.predict(wrong)


@pytest.mark.parametrize(
    "fitted, asked",
    [
        ([1, 2], [0.5]),
        (["a", "b"], ["c"]),
        ([("a", 1), ("b", 2)], [("c", 3)]),
        ([("a", 1), ("b", 2)], [frozenset("a")]),  # their types say nothing
        ([1, "a"], ["b"]),
        ([1, 2], ["1", 2]),  # some are known
        (DAYS, np.array(["2022-01-01"], "M8[ns]")),
    ],
)
def test_ids_that_are_all_unknown(fitted, asked):
    model = RatingRegressor(BiasBaseline())
    model.fit(pd.DataFrame({"user": fitted, "item": [3, 4]}), [1, 2])
    rating = model.predict(pd.DataFrame({"user": asked, "item": 3}))[0]
    column = np.searchsorted(model.item_ids_, 3)
    assert rating == model.estimator_.predict(np.zeros((1, 3)))[0, column]


@pytest.mark.parametrize("kind", [np.int64, np.float64, np.uint64, object, str])
def test_locate_is_a_dictionary(kind):
    rng = np.random.default_rng(0)
    for top, n_asked in [(50, 300), (10**9, 300), (50, 2), (50, 0)]:
        known = rng.integers(0, top, 30).astype(kind)
        asked = np.r_[known[: n_asked // 2], rng.integers(0, top, n_asked // 2).astype(kind)]
        _, vocabulary = encode(known)
        expected = [
            vocabulary.tolist().index(value) if value in vocabulary else len(vocabulary)
            for value in asked.tolist()
        ]
        assert_array_equal(locate(asked, vocabulary), expected)
    extreme = np.array([np.iinfo(np.int64).min, np.iinfo(np.int64).max])
    assert_array_equal(locate(extreme, np.array([3, 4])), [2, 2])
    assert_array_equal(locate(extreme, extreme), [0, 1])


@pytest.mark.parametrize(
    "X, y, error, message",
    [
        ([[1], [2]], [1, 2], ValueError, r"X has 1 feature\(s\).* the ids of the user and the"),
        ([1, 2], [1, 2], ValueError, "Expected 2D array, got 1D array.*Reshape your data"),
        (["ab", "cd"], [1, 2], ValueError, "Expected 2D array, got 1D array"),
        ([[1, 2], [1, 2, 3]], [1, 2], ValueError, "same length, got 2 to 3"),
        (np.empty((0, 2)), [], ValueError, "0 sample"),
        ([[1, 2], [np.nan, 3]], [1, 2], ValueError, r"user ids \(column 0.*row 1: NaN; drop"),
        ([[1, 2], [3, -np.inf]], [1, 2], ValueError, r"item ids \(column 1 of X\).*row 1: -inf"),
        ([["a", "b"], ["a", None]], [1, 2], ValueError, "item ids .* must not be null.* row 1"),
        ([["a", "b"], ["a", np.nan]], [1, 2], ValueError, "item ids .* must not be null"),
        ([["a", "b"], ["a", {}]], [1, 2], TypeError, r"hashable.*item ids.* got {} .* at row 1"),
        ([["a", 1], [("a", []), 1]], [1, 2], TypeError, r"hashable.*user ids.*at row 1"),
        ([[1, 2], [3, 4]], [1, np.nan], ValueError, "y contains NaN"),
        ([[1, 2], [3, 4]], [1, 2, 3], ValueError, "inconsistent numbers of samples"),
        ([[1, 2], [3, 4]], ["good", "bad"], ValueError, "good"),
    ],
)
def test_wrong_input(X, y, error, message):
    with pytest.raises(error, match=message):
        RatingRegressor(BiasBaseline()).fit(X, y)
