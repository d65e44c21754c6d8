"""Splits by time: nothing of the future is seen, nothing is lost, and models keep their ids."""

from datetime import timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer

from skrec import EASE, BiasBaseline, Interactions, Popularity, RatingRegressor
from skrec.metrics import ndcg, ranking_scorer, rating_scorer
from skrec.model_selection import (
    StrongGeneralizationSplit,
    TimeSplit,
    compare_recommenders,
    fold_in_split,
    interaction_split,
)


def with_times(n_users=60, n_items=20, seed=0, n_moments=200, texts=True):
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < 0.3)
    times = rng.integers(0, n_moments, len(users))
    return Interactions.from_arrays(
        [f"u{user:02}" for user in users],
        [f"i{item:02}" for item in items],
        rng.integers(1, 6, len(users)),
        timestamps=times,
        reviews=[f"at {time}" for time in times] if texts else None,
        item_names={f"i{item:02}": f"Item {item}" for item in range(n_items)},
    )


@pytest.fixture(scope="module")
def data():
    return with_times()


def pairs(part):
    """What stands where, with what is known of it."""
    return {
        (user, item): (value, time, text)
        for user, item, value, time, text, _ in part.to_frame("polars").iter_rows()
    }


def assert_parts_of(data, *parts):
    found = {}
    for part in parts:
        assert isinstance(part, Interactions)
        assert_array_equal(part.user_ids, data.user_ids)
        assert_array_equal(part.item_ids, data.item_ids)
        assert_array_equal(part.item_names, data.item_names)
        assert found.keys().isdisjoint(pairs(part))
        found |= pairs(part)
    assert found == pairs(data)


def test_where_keeps_users_items_and_what_is_known_of_an_entry(data):
    mask = data.timestamps < 50
    assert_parts_of(data, data.where(mask), data.where(~mask))
    for wrong in (mask[:-1], np.flatnonzero(mask)):
        with pytest.raises(ValueError, match="entries must be a mask with a bool for each of"):
            data.where(wrong)


@pytest.mark.parametrize(
    "fold_in, expected",
    [
        ("last", lambda n: 1),
        ("last-3", lambda n: min(3, n - 1)),
        ("last-25%", lambda n: max(1, n // 4)),
        ("last-12.5%", lambda n: max(1, n // 8)),
    ],
)
@pytest.mark.parametrize("n_moments", [3, 10**6])
def test_the_latest_entries_of_each_user_are_held_out(fold_in, expected, n_moments):
    data = with_times(n_moments=n_moments)
    visible, hidden = fold_in_split(data, fold_in, random_state=0)
    assert_parts_of(data, visible, hidden)
    for user in range(data.shape[0]):
        n_entries = data[[user]].nnz
        n_hidden = expected(n_entries) if n_entries > 1 else 0
        assert hidden[[user]].nnz == n_hidden
        if n_hidden:
            assert visible[[user]].timestamps.max() <= hidden[[user]].timestamps.min()


def test_small_users_keep_all_or_all_but_one():
    data = Interactions.from_arrays([0, 1, 1], [0, 0, 1], timestamps=[5, 9, 7])
    assert fold_in_split(data, "last-9")[1].toarray().tolist() == [[0, 0], [1, 0]]
    assert fold_in_split(data, "last-9", min_items=1)[1].toarray().tolist() == [[1, 0], [1, 0]]
    assert fold_in_split(data, "last", min_items=3)[1].nnz == 0


def test_random_state_decides_between_entries_of_the_same_time():
    data = Interactions.from_arrays(np.repeat(range(40), 8), np.tile(range(8), 40))
    data = Interactions(data.X, data.user_ids, data.item_ids, timestamps=np.zeros(data.nnz))
    first, again, other = (
        fold_in_split(data, "last", random_state=seed)[1].indices for seed in (0, 0, 1)
    )
    assert_array_equal(first, again)
    assert (first != other).any()
    assert len(set(first.tolist())) > 4  # no column is preferred


def test_days_are_times_too():
    days = np.array(["2024-03-01", "2024-01-01", "2024-02-01"], dtype="M8[D]")
    data = Interactions.from_arrays([0, 0, 0], ["a", "b", "c"], timestamps=days)
    assert fold_in_split(data, "last")[1].to_frame("pandas").item.tolist() == ["a"]


def test_random_splits_of_interactions_are_interactions_as_well(data):
    for split in (fold_in_split, interaction_split):
        parts = split(data, random_state=0)
        assert_parts_of(data, *parts)
        for part, plain in zip(parts, split(data.X, random_state=0), strict=True):
            assert type(plain) is not type(part)
            assert_array_equal(part.toarray(), plain.toarray())


@pytest.mark.parametrize("wrong", ["latest", "last-0", "last-0%", "last-100%", "last-2.5", "0.8"])
def test_wrong_fold_in(data, wrong):
    for use in (
        lambda: fold_in_split(data, wrong),
        lambda: ranking_scorer(fold_in=wrong),
        lambda: rating_scorer(fold_in=wrong),
        lambda: StrongGeneralizationSplit(fold_in=wrong).partition(data),
    ):
        with pytest.raises(ValueError, match="'last-5' or 'last-20%', got " + repr(wrong)):
            use()


def test_without_times_there_is_no_latest_entry(data):
    timeless = Interactions(data.X, data.user_ids, data.item_ids)
    split = StrongGeneralizationSplit(fold_in="last")
    for use in (
        lambda X: fold_in_split(X, "last"),
        split.partition,
        lambda X: ranking_scorer(fold_in="last")(Popularity().fit(X), X),
    ):
        with pytest.raises(ValueError, match=r"itself, not its X\."):
            use(data.X)
        with pytest.raises(ValueError, match="no timestamps: name their column"):
            use(timeless)
    with pytest.raises(TypeError, match="data must be Interactions with timestamps, got csr_arr"):
        next(TimeSplit().partitions(data.X))
    with pytest.raises(ValueError, match="no timestamps: name their column"):
        next(TimeSplit().partitions(timeless))


def test_groups_of_users_keep_their_ids_and_hide_the_latest(data):
    split = StrongGeneralizationSplit(0.2, 0.2, fold_in="last-2", random_state=0)
    parts = split.partition(data)
    assert_array_equal(parts.train.user_ids, data.user_ids[parts.train_users])
    assert_array_equal(parts.train.item_ids, data.item_ids[parts.kept_items])
    plain = StrongGeneralizationSplit(0.2, 0.2, random_state=0).partition(data.X)
    assert_array_equal(parts.train.toarray(), plain.train.toarray())
    for visible, hidden in [
        (parts.validation_fold_in, parts.validation_held_out),
        (parts.test_fold_in, parts.test_held_out),
    ]:
        assert_array_equal(visible.user_ids, hidden.user_ids)
        for user in range(visible.shape[0]):
            assert hidden[[user]].nnz == 2
            assert visible[[user]].timestamps.max() <= hidden[[user]].timestamps.min()
    with pytest.raises(ValueError, match="protocol='liang2018' draws the entries"):
        StrongGeneralizationSplit(fold_in="last", protocol="liang2018").partition(data)


@pytest.mark.filterwarnings("error")
def test_scorers_hand_over_ids_times_and_reviews(data):
    class Witness(BiasBaseline):
        def predict(self, X, *, reviews=None):
            seen.append(X)
            return super().predict(X)

        def recommend(self, X, k=10, **options):
            seen.append(X)
            return super().recommend(X, k, **options)

    seen = []
    for scorer in (ranking_scorer("ndcg@5", fold_in="last"), rating_scorer(fold_in="last")):
        scorer(Witness().fit(data), data)
        visible = seen.pop(0)
        assert_array_equal(visible.item_ids, data.item_ids)
        assert set(visible.reviews) == {f"at {time}" for time in visible.timestamps}
        assert visible.nnz < data[: visible.shape[0]].nnz
        seen.clear()


def test_score_by_the_last_entry_is_that_of_the_parts(data):
    model = EASE(l2=5).fit(data.binarize(2))
    fold_in, held_out = fold_in_split(data, "last", random_state=0)
    expected = ndcg(model.recommend(fold_in, 5), held_out)
    assert ranking_scorer("ndcg@5", fold_in="last")(model, data) == expected
    assert ranking_scorer("ndcg@5")(model, fold_in, held_out) == expected
    scores = cross_val_score(
        make_pipeline(Binarizer(), EASE(l2=5)),
        data,
        cv=KFold(3),
        scoring=ranking_scorer("ndcg@5", fold_in="last"),
    )
    assert (scores > 0).all()


times = arrays(np.int64, st.integers(2, 40), elements=st.integers(0, 12), unique=False) | arrays(
    np.float64, st.integers(2, 40), elements=st.floats(-5, 5, width=16)
)


@settings(max_examples=200, deadline=None)
@given(
    times=times,
    n_splits=st.integers(1, 3),
    test_size=st.floats(0.01, 0.6) | st.integers(1, 8) | st.floats(1, 8),
)
def test_no_training_entry_is_as_late_as_a_test_entry(times, n_splits, test_size):
    try:
        parts = list(TimeSplit(n_splits, test_size).split(times, groups=times))
    except ValueError as error:
        assert "for training" in str(error) or "without entries" in str(error)
        return
    assert len(parts) == n_splits
    for train, test in parts:
        assert len(train) and len(test)
        assert times[train].max() < times[test].min()
        if test_size >= 1:  # a duration
            assert np.ptp(times[test]) < test_size or n_splits > 1
        elif n_splits == 1:
            assert len(test) >= np.floor(test_size * len(times))
    for (train, test), (later, _) in zip(parts, parts[1:], strict=False):
        assert_array_equal(np.union1d(train, test), later)
    assert_array_equal(np.union1d(*parts[-1]), np.arange(len(times)))


@pytest.mark.parametrize("test_size", [0.2, 1 / 3, 30])
@pytest.mark.parametrize("n_splits", [1, 2])
def test_partitions_are_the_split_of_the_entries(data, test_size, n_splits):
    split = TimeSplit(n_splits, test_size)
    rows = list(split.split(data.timestamps, groups=data.timestamps))
    parts = list(split.partitions(data))
    assert len(parts) == split.get_n_splits() == n_splits
    for (train, test), part in zip(rows, parts, strict=True):
        assert part.fold_in is part.train
        assert_array_equal(part.train.timestamps, data.timestamps[train])
        assert_array_equal(part.held_out.timestamps, data.timestamps[test])
        assert part.time == part.held_out.timestamps.min()
    assert_parts_of(data, parts[-1].train, parts[-1].held_out)


def test_a_duration_is_in_the_unit_of_the_timestamps():
    days = np.array(["2024-01-01", "2024-01-24", "2024-01-31", "2024-01-31"], dtype="M8[D]")
    for size in (timedelta(days=7), np.timedelta64(7, "D"), pd.Timedelta("7D")):
        ((train, test),) = TimeSplit(test_size=size).split(days, groups=days.astype("M8[us]"))
        assert train.tolist() == [0, 1] and test.tolist() == [2, 3]
    for wrong, groups in [(7, days), (timedelta(days=7), [1, 2])]:
        with pytest.raises(ValueError, match=r"test_size=.* another unit than the timestamps"):
            next(TimeSplit(test_size=wrong).split(groups, groups=groups))
    with pytest.raises(ValueError, match="no fixed length: give days"):
        next(TimeSplit(test_size=np.timedelta64(1, "M")).split(days, groups=days))


def test_wrong_time_splits(data):
    for wrong, message in [
        ({"min_items": -1}, "'min_items' parameter of TimeSplit"),
        ({"n_splits": 0}, "'n_splits' parameter of TimeSplit"),
        ({"test_size": 0}, "'test_size' parameter of TimeSplit"),
        ({"test_size": "day"}, "'test_size' parameter of TimeSplit"),
        ({"n_splits": 5}, "n_splits=5 and test_size=0.2 leave none of the .* for training"),
        ({"test_size": 1e9}, "leave none of the .* entries for training"),
        ({"n_splits": 3, "test_size": 1e-6}, "make a test period without entries"),
    ]:
        with pytest.raises(ValueError, match=message):
            next(TimeSplit(**wrong).partitions(data))
    with pytest.raises(ValueError, match="pass groups=times"):
        next(TimeSplit().split([[1, 2]]))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        next(TimeSplit().split([[1, 2]], groups=[1, 2]))
    with pytest.raises(TypeError, match="cannot split the rows of Interactions: a row is a user"):
        GridSearchCV(EASE(), {"l2": [1, 2]}, cv=TimeSplit()).fit(data)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_ratings_of_the_past_predict_those_to_come(data, frame):
    table = data.to_frame("polars").to_dict(as_series=False)
    X, y = frame({"user": table["user"], "item": table["item"]}), table["value"]
    when = frame({"time": table["timestamp"]})["time"]
    split = TimeSplit(2, 0.2)
    model = RatingRegressor(BiasBaseline())
    scoring = "neg_root_mean_squared_error"
    found = cross_validate(model, X, y, cv=split, groups=when, scoring=scoring)["test_score"]
    y, when = np.array(y), np.array(when)
    for score, cut, stop in zip(
        found, [part.time for part in split.partitions(data)], [None, np.inf], strict=True
    ):
        stop = [part.time for part in split.partitions(data)][1] if stop is None else stop
        train, test = when < cut, (when >= cut) & (when < stop)
        rows = np.array([table["user"], table["item"]], dtype=object).T
        predicted = RatingRegressor(BiasBaseline()).fit(rows[train], y[train]).predict(rows[test])
        assert_allclose(score, -np.sqrt(np.mean((predicted - y[test]) ** 2)))
    search = GridSearchCV(model, {"estimator__l2_item": [1, 5]}, cv=split, scoring=scoring)
    search.fit(X, y, groups=when)
    assert search.n_splits_ == 2
    with config_context(enable_metadata_routing=True):
        routed = cross_validate(model, X, y, cv=split, scoring=scoring, params={"groups": when})
    assert_allclose(routed["test_score"], found)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_models_are_compared_on_what_came_next(data, n_jobs):
    likes = data.binarize(2)
    models = {"popularity": Popularity(), "EASE": EASE(l2=5)}
    scoring = ranking_scorer(["ndcg@5", "coverage@5"])
    cv = TimeSplit(2, 0.2)
    table = compare_recommenders(models, likes, cv=cv, scoring=scoring, n_jobs=n_jobs)
    expected, n_users = {name: [] for name in models}, 0
    for part in cv.partitions(likes):
        known, tested = (
            np.flatnonzero(np.diff(side.indptr)) for side in (part.train, part.held_out)
        )
        n_users += len(tested)
        for name, model in models.items():
            model.fit(part.train[known])
            lists = model.recommend(part.fold_in[tested], 5)
            expected[name].append(ndcg(lists, part.held_out[tested]))
    for name, metric, mean, counted in zip(
        table["model"], table["metric"], table["mean"], table["n_users"], strict=True
    ):
        assert counted == n_users
        if metric == "ndcg@5":
            assert_allclose(mean, np.mean(expected[name]))


def test_reviews_of_the_future_are_not_read(data):
    class Reader(BiasBaseline):
        def fit(self, X, y=None, *, reviews=None):
            read.append((X, reviews))
            return super().fit(X)

        def predict(self, X, *, reviews=None):
            read.append((X, reviews))
            return super().predict(X)

    read = []
    cv, scoring = TimeSplit(), rating_scorer()
    compare_recommenders({"reader": Reader()}, data, reviews=data.reviews, cv=cv, scoring=scoring)
    (part,) = cv.partitions(data)
    assert len(read) >= 2
    for X, reviews in read:
        texts = reviews.aligned_with(X).entry_documents
        assert_array_equal(texts, X.reviews)
        assert set(texts) <= set(part.train.reviews)


def test_users_without_a_past_are_asked_about_and_no_others(data):
    late = Interactions.from_arrays(
        ["new", "new", "old", "gone", "gone"],
        ["tea", "jam", "tea", "tea", "jam"],
        timestamps=[8, 9, 1, 2, 3],
    )
    (part,) = TimeSplit(test_size=0.4).partitions(late)
    assert part.time == 8
    assert_array_equal(part.fold_in.toarray()[late.rows("new")], [[0, 0]])
    (known,) = TimeSplit(test_size=0.5, min_items=1).partitions(late)
    assert known.held_out.to_frame("pandas")[["user", "item"]].values.tolist() == [["gone", "jam"]]
    assert known.train.nnz == 2
    with pytest.raises(ValueError, match="No user .* from 3 on has min_items=2 entries before"):
        list(TimeSplit(test_size=0.5, min_items=2).partitions(late))
    table = compare_recommenders(
        {"popularity": Popularity()}, late, cv=TimeSplit(test_size=0.4), scoring="recall@1"
    )
    assert table["n_users"].tolist() == [1]
    assert table["mean"].tolist() == [1.0]
