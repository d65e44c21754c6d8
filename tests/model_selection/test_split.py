"""Splits: properties on random matrices, and the published protocol against a port of it."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate

from skrec import EASE, Interactions
from skrec.metrics import ranking_scorer
from skrec.model_selection import StrongGeneralizationSplit, fold_in_split, interaction_split


def random_ratings(seed, n_users=80, n_items=30):
    rng = np.random.default_rng(seed)
    density = rng.random((n_users, 1)) * rng.random(n_items)
    X = sparse.csr_array((rng.random((n_users, n_items)) < density).astype(float))
    X.data = rng.integers(0, 6, X.nnz).astype(float)  # stored zeros are observations
    return X


def entries(X):
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    return list(zip(rows.tolist(), X.indices.tolist(), X.data.tolist(), strict=True))


def assert_partition(X, first, second):
    assert first.shape == second.shape == X.shape
    assert first.dtype == second.dtype == X.dtype
    assert first.has_canonical_format and second.has_canonical_format
    assert sorted(entries(first) + entries(second)) == entries(X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fold_in, min_items", [(0.8, 2), (0.5, 1), (0.9, 5), (1 / 3, 2)])
@pytest.mark.parametrize("seed", range(5))
def test_fold_in_split_cuts_each_row(seed, fold_in, min_items, dtype):
    X = random_ratings(seed).astype(dtype)
    before = X.copy()
    visible, hidden = fold_in_split(X, fold_in, min_items=min_items, random_state=seed)
    assert_partition(X, visible, hidden)
    for n, n_hidden in zip(np.diff(X.indptr), np.diff(hidden.indptr), strict=True):
        assert n_hidden == (max(1, int((1 - fold_in) * n + 1e-9)) if n >= min_items else 0)
    again = fold_in_split(X, fold_in, min_items=min_items, random_state=seed)
    assert entries(again[1]) == entries(hidden)
    other = fold_in_split(X, fold_in, min_items=min_items, random_state=seed + 100)
    assert entries(other[1]) != entries(hidden)
    assert entries(before) == entries(X)


def test_small_shares_are_exact():
    X = sparse.csr_array(np.ones((20, 10_000)))
    assert interaction_split(X, 1e-5)[1].nnz == 2
    assert interaction_split(X, 3e-6)[1].nnz == 1
    assert_array_equal(np.diff(fold_in_split(X, 1e-5)[0].indptr), 1)


@pytest.mark.parametrize("tenths", range(1, 10))
def test_fold_in_split_counts_without_rounding_error(tenths):
    lengths = np.arange(1, 200)
    X = sparse.csr_array(np.arange(199) < lengths[:, None], dtype=float)
    _, hidden = fold_in_split(X, tenths / 10, min_items=1)
    expected = np.maximum(1, (10 - tenths) * lengths // 10)
    assert_array_equal(np.diff(hidden.indptr), expected)


def test_fold_in_split_hides_every_entry_equally_often():
    X = np.ones((20_000, 5))
    _, hidden = fold_in_split(X, 0.6, random_state=0)
    share = np.bincount(hidden.indices) / 20_000
    assert np.abs(share - 0.4).max() < 4 * np.sqrt(0.4 * 0.6 / 20_000)


def test_a_generator_is_consumed():
    rng = np.random.RandomState(0)
    X = random_ratings(0)
    first, second = (fold_in_split(X, random_state=rng)[1] for _ in range(2))
    assert entries(first) != entries(second)


@pytest.mark.parametrize("test_size", [0.2, 0.5, 0.01])
@pytest.mark.parametrize("seed", range(5))
def test_interaction_split(seed, test_size):
    X = random_ratings(seed)
    train, test = interaction_split(X, test_size, random_state=seed)
    assert_partition(X, train, test)
    assert test.nnz == int(np.ceil(round(test_size * X.nnz, 9)))
    again = interaction_split(X, test_size, random_state=seed)[1]
    assert entries(again) == entries(test)
    assert entries(interaction_split(X, test_size, random_state=seed + 1)[1]) != entries(test)


@pytest.mark.parametrize("split", [fold_in_split, interaction_split])
def test_containers_agree(split):
    X = random_ratings(3)
    X.eliminate_zeros()
    expected = split(X, random_state=0)
    for container in (
        sparse.csc_array(X),
        sparse.coo_matrix(X),
        X.toarray(),
        X.astype(int),
        pd.DataFrame(X.toarray()),
    ):
        got = split(container, random_state=0)
        assert [entries(part) for part in got] == [entries(part) for part in expected]


@pytest.mark.parametrize("protocol", ["random", "liang2018"])
@pytest.mark.parametrize("n_validation, n_test", [(0.1, 0.2), (7, 9), (0, 0.3)])
@pytest.mark.parametrize("seed", range(3))
def test_partition_of_users(seed, n_validation, n_test, protocol):
    X = random_ratings(seed)
    split = StrongGeneralizationSplit(
        n_validation,
        n_test,
        fold_in=0.7,
        min_users_per_item=9,
        min_items_per_user=3,
        protocol=protocol,
        random_state=seed,
    )
    parts = split.partition(X)
    frequent = np.flatnonzero(np.diff(X.tocsc().indptr) >= 9)
    active = np.flatnonzero(np.diff(X[:, frequent].indptr) >= 3)
    groups = [parts.train_users, parts.validation_users, parts.test_users]
    assert_array_equal(np.sort(np.concatenate(groups)), active)
    sizes = [n if n >= 1 else int(n * len(active) + 1e-9) for n in (n_validation, n_test)]
    assert [len(group) for group in groups[1:]] == sizes
    assert set(parts.kept_items) <= set(frequent)
    assert (np.diff(parts.train.tocsc().indptr) > 0).all()
    assert entries(parts.train) == entries(X[parts.train_users][:, parts.kept_items])
    for name in ("validation", "test"):
        kept = X[parts[f"{name}_users"]][:, parts.kept_items]
        visible, hidden = parts[f"{name}_fold_in"], parts[f"{name}_held_out"]
        assert_partition(kept, visible, hidden)
        n_entries, n_hidden = np.diff(kept.indptr), np.diff(hidden.indptr)
        least = 5 if protocol == "liang2018" else 2
        expected = np.where(n_entries < least, 0, np.maximum(1, (3 * n_entries) // 10))
        assert_array_equal(n_hidden, expected)
    again = split.partition(X)
    assert entries(again.test_held_out) == entries(parts.test_held_out)
    ((train, test),) = split.split(X)
    assert_array_equal(train, parts.train_users)
    assert_array_equal(test, parts.test_users)


def test_without_filters_all_users_are_kept():
    X = sparse.csr_array(np.diag([1.0] * 15 + [0.0] * 5))
    parts = StrongGeneralizationSplit(random_state=0).partition(X)
    assert [len(parts[f"{name}_users"]) for name in ("train", "validation", "test")] == [16, 2, 2]
    # Nobody shares an item, so nothing is left of the others' rows.
    assert parts.test_fold_in.nnz == parts.test_held_out.nnz == 0
    listed = StrongGeneralizationSplit(2, 2, protocol="liang2018").partition(X)
    assert len(listed.train_users) == 11


def test_random_state_matters_only_to_the_random_protocol():
    X = random_ratings(0)
    for protocol, same in [("random", False), ("liang2018", True)]:
        first, second = (
            StrongGeneralizationSplit(protocol=protocol, random_state=seed).partition(X)
            for seed in (0, 1)
        )
        assert np.array_equal(first.test_users, second.test_users) is same


def test_as_cv_of_scikit_learn():
    X = random_ratings(0, n_users=200)
    cv = StrongGeneralizationSplit(0.2, 0.2, random_state=0)
    assert cv.get_n_splits(X) == 1
    assert repr(clone(cv, safe=False)) == repr(cv)
    assert "n_test=0.2" in repr(cv)
    scoring = ranking_scorer("ndcg@10")
    got = cross_validate(EASE(l2=10), X, cv=cv, scoring=scoring)
    ((train, test),) = cv.split(X)
    assert got["test_score"] == [scoring(EASE(l2=10).fit(X[train]), X[test])]
    search = GridSearchCV(EASE(), {"l2": [10, 100]}, cv=cv, scoring=scoring).fit(X)
    assert search.cv_results_["split0_test_score"][0] == got["test_score"]


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"n_test": 0}, "'n_test' parameter of StrongGeneralizationSplit"),
        ({"n_test": 1.0}, "'n_test' parameter of StrongGeneralizationSplit"),
        ({"n_validation": -1}, "'n_validation' parameter"),
        ({"protocol": "liang"}, "'protocol' parameter"),
        ({"fold_in": 1.0}, "'fold_in' parameter"),
        ({"n_test": 60, "n_validation": 20}, "60 test users of the 80 users that pass"),
        ({"n_test": 0.01}, "make 8 validation and 0 test users"),
        ({"min_items_per_user": 31}, "min_items_per_user=31 leaves none of the 80 users"),
        ({"min_users_per_item": 100}, "min_users_per_item=100 leaves none of the 30 items"),
        ({"n_validation": 1e-9}, "make 0 validation .* one validation user unless n_validation=0"),
    ],
)
def test_wrong_parameters_of_the_user_split(parameters, message):
    split = StrongGeneralizationSplit(**parameters)
    with pytest.raises(ValueError, match=message):
        split.partition(random_ratings(0))
    with pytest.raises(ValueError, match=message):
        next(split.split(random_ratings(0)))


def test_wrong_parameters_of_the_entry_splits():
    X = random_ratings(0)
    for fold_in in (0, 1, 1.5, None):
        with pytest.raises(ValueError, match="'fold_in' parameter of fold_in_split must be"):
            fold_in_split(X, fold_in)
    with pytest.raises(ValueError, match="'min_items' parameter of fold_in_split must be"):
        fold_in_split(X, min_items=0)
    with pytest.raises(ValueError, match="'test_size' parameter of interaction_split must be"):
        interaction_split(X, 10)
    with pytest.raises(ValueError, match="the 1 entries of X leaves none for training"):
        interaction_split(np.eye(1))
    with pytest.raises(ValueError, match=r"fold_in=1e-07 of \d+ entries of X rounds to none"):
        fold_in_split(X, 1e-7)
    with pytest.raises(ValueError, match=r"test_size=1e-07 of \d+ entries of X rounds to none"):
        interaction_split(X, 1e-7)
    with pytest.raises(ValueError, match="X contains NaN"):
        fold_in_split([[np.nan, 1.0]])


def published_split(table, n_held, seed=98765):
    """The published procedure on a sorted table: sets of (user, item) and the vocabulary."""
    table = table[table.rating > 3.5]
    counts = table.groupby("user").size()
    table = table[table.user.isin(counts.index[counts >= 5])]
    users = np.unique(table.user)
    np_random = np.random.RandomState(seed)
    users = users[np_random.permutation(users.size)]
    n = users.size
    train = table[table.user.isin(users[: n - 2 * n_held])]
    vocabulary = pd.unique(train.item)
    answers = {"train": train}
    for name, ids in [
        ("validation", users[n - 2 * n_held : n - n_held]),
        ("test", users[n - n_held :]),
    ]:
        rows = table[table.user.isin(ids) & table.item.isin(vocabulary)]
        np_random = np.random.RandomState(seed)
        visible, hidden = [], []
        for _, group in rows.groupby("user"):
            chosen = np.zeros(len(group), bool)
            if len(group) >= 5:
                size = int(0.2 * len(group))
                chosen[np_random.choice(len(group), size=size, replace=False)] = True
            visible.append(group[~chosen])
            hidden.append(group[chosen])
        answers[f"{name}_fold_in"] = pd.concat(visible)
        answers[f"{name}_held_out"] = pd.concat(hidden)
    return answers, vocabulary


def test_liang2018_repeats_the_published_draws(shared_data):
    table = pd.read_csv(
        shared_data / "ml-1m" / "ratings.dat",
        sep=":",  # the separator is "::", so every other column is empty
        usecols=[0, 2, 4],
        names=["user", "_1", "item", "_3", "rating", "_5", "time"],
    ).sort_values(["user", "item"], ignore_index=True)
    expected, vocabulary = published_split(table, n_held=600)

    data = Interactions.from_frame(table, value="rating").binarize(3.5)
    parts = StrongGeneralizationSplit(
        600, 600, min_items_per_user=5, protocol="liang2018"
    ).partition(data.X)
    assert_array_equal(data.item_ids[parts.kept_items], np.sort(vocabulary))
    for name, frame in expected.items():
        matrix = parts[name]
        users = data.user_ids[parts[f"{name.partition('_')[0]}_users"]]
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        assert_array_equal(users[rows], frame.user)
        assert_array_equal(data.item_ids[parts.kept_items][matrix.indices], frame.item)
    assert parts.test_held_out.nnz > 5000
