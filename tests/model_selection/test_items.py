"""Splits of items: nothing of a new item is learned, and new items are ranked among themselves."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV

from skrec import EASE, BiasBaseline, Interactions, Popularity
from skrec.metrics import coverage, gini, ndcg, ranking_scorer, rating_scorer, recall
from skrec.model_selection import ItemColdStartSplit, compare_recommenders


@pytest.fixture(scope="module")
def data():
    """Users and items of two groups; the text of an entry names its pair."""
    rng = np.random.default_rng(0)
    group = np.arange(60)[:, None] % 2 == np.arange(24) % 2
    users, items = np.nonzero(rng.random((60, 24)) < np.where(group, 0.5, 0.05))
    reviews = [f"{user} of {item}" for user, item in zip(users, items, strict=True)]
    return Interactions.from_arrays(
        users, items, rng.integers(1, 6, len(users)), reviews=reviews, timestamps=users + items
    )


GROUPS = np.eye(2)[np.arange(24) % 2]


def pairs(part):
    return {(row[0], row[1]): row[2:5] for row in part.to_frame("polars").iter_rows()}


def test_every_item_is_new_and_every_user_tested_once(data):
    parts = list(ItemColdStartSplit(4, random_state=0).partitions(data))
    assert len(parts) == ItemColdStartSplit(4).get_n_splits() == 4
    for key, n in (("new_items", 24), ("test_users", 60)):
        assert_array_equal(np.sort(np.concatenate([part[key] for part in parts])), np.arange(n))
        assert {len(part[key]) for part in parts} == {n // 4}


def test_parts_are_disjoint_and_keep_what_is_known_of_an_entry(data):
    everything = pairs(data)
    for part in ItemColdStartSplit(4, random_state=1).partitions(data):
        is_new = set(part.new_items.tolist())
        tested = set(part.test_users.tolist())
        expected = {"train": {}, "fold_in": {}, "held_out": {}}
        for (user, item), known in everything.items():
            if user not in tested and item not in is_new:
                expected["train"][user, item] = known
            elif user in tested:
                expected["held_out" if item in is_new else "fold_in"][user, item] = known
        known_users = {user for user, _ in expected["fold_in"]}
        assert tested == known_users
        for name, entries in expected.items():
            assert isinstance(part[name], Interactions)
            assert part[name].shape == data.shape
            assert pairs(part[name]) == entries


def test_users_of_whom_nothing_is_known_are_not_tested():
    X = np.ones((20, 8))
    X[:10] = np.eye(8)[np.arange(10) % 8]  # a single entry each
    for part in ItemColdStartSplit(2, random_state=0).partitions(X):
        alone = part.test_users[part.test_users < 10]
        assert part.held_out[alone].nnz == 0
        assert (part.held_out[part.test_users[part.test_users >= 10]].sum(axis=1) == 4).all()


def test_same_seed_same_folds_and_matrices_of_any_kind(data):
    split = ItemColdStartSplit(3, random_state=0)
    for part, again, dense in zip(
        split.partitions(data),
        split.partitions(data.X),
        split.partitions(data.X.toarray()),
        strict=True,
    ):
        for name in ("train", "fold_in", "held_out"):
            assert sparse.issparse(dense[name])
            assert_array_equal(part[name].toarray(), again[name].toarray())
            assert_array_equal(part[name].toarray(), dense[name].toarray())
    others = next(ItemColdStartSplit(3, random_state=1).partitions(data))
    assert (others.new_items != next(split.partitions(data)).new_items).any()


def test_wrong_numbers_and_uses(data):
    for n_splits, message in (
        (1, "'n_splits' parameter of ItemColdStartSplit"),
        (25, "n_splits=25 is more than the 24 items of X"),
        (61, "n_splits=61 is more than the 60 users of X"),
    ):
        with pytest.raises(ValueError, match=message):
            next(ItemColdStartSplit(n_splits).partitions(data))
    with pytest.raises(ValueError, match="a fold without training entries, of the 2 entries"):
        list(ItemColdStartSplit(2, random_state=0).partitions(np.eye(2)))
    with pytest.raises(TypeError, match="cannot split rows: a row is a user"):
        GridSearchCV(EASE(), {"l2": [1, 2]}, cv=ItemColdStartSplit()).fit(data)


def test_models_are_compared_on_new_items_among_themselves(data):
    likes = data.binarize(0.5)
    models = {
        "features": EASE(5, item_features=GROUPS, feature_method="additive"),
        "choices": EASE(5),
        "popularity": Popularity(),
    }
    split = ItemColdStartSplit(4, random_state=0)
    table = compare_recommenders(models, likes, cv=split, scoring=["ndcg@3", "coverage@3"])
    expected, n_users = {name: [] for name in models}, 0
    for part in split.partitions(likes):
        tested = np.flatnonzero(np.diff(part.held_out.indptr))
        n_users += len(tested)
        for name, model in models.items():
            model.fit(part.train[np.setdiff1d(np.arange(60), part.test_users)])
            lists = model.recommend(part.fold_in[tested], 3, items=part.new_items)
            assert np.isin(lists, part.new_items).all()
            expected[name].append(ndcg(lists, part.held_out[tested]))
    rows = np.flatnonzero(table["metric"] == "ndcg@3")
    assert table["model"][rows[0]] == "features"
    assert (table["p_value"][rows[1:]] < 0.01).all()
    assert (table["n_users"][rows] == n_users).all()
    for row in rows:
        assert_allclose(table["mean"][row], np.mean(expected[table["model"][row]]))
    (row,) = np.flatnonzero((table["metric"] == "coverage@3") & (table["model"] == "choices"))
    assert table["mean"][row] == 0.5  # the first three of the six that are new: all score 0


def test_errors_of_ratings_are_those_of_new_items(data):
    split, scoring = ItemColdStartSplit(3, random_state=0), rating_scorer()
    table = compare_recommenders({"offsets": BiasBaseline()}, data, cv=split, scoring=scoring)
    errors = []
    for part in split.partitions(data):
        tested = np.flatnonzero(np.diff(part.held_out.indptr))
        model = BiasBaseline().fit(part.train[np.diff(part.train.indptr) > 0])
        errors.append(scoring(model, part.fold_in[tested], part.held_out[tested]))
    assert_allclose(table["mean"], np.mean(errors))


def test_reviews_of_new_items_and_of_test_users_are_not_read(data):
    read = []

    class Reader(BiasBaseline):
        def fit(self, X, y=None, *, reviews=None):
            read.append(("train", X, reviews))
            return super().fit(X)

        def recommend(self, X, k=10, *, reviews=None, **options):
            read.append(("fold_in", X, reviews))
            return super().recommend(X, k, **options)

    split = ItemColdStartSplit(3, random_state=0)
    scoring = ranking_scorer("ndcg@2", relevance=3)
    compare_recommenders({"it": Reader()}, data, reviews=data.reviews, cv=split, scoring=scoring)
    parts = [part for part in split.partitions(data) for _ in range(2)]
    assert len(read) == len(parts)
    for (name, X, reviews), part in zip(read, parts, strict=True):
        assert_array_equal(reviews.aligned_with(X).entry_documents, X.reviews)
        assert len(X.reviews) > 10
        assert set(X.reviews) <= set(part[name].reviews)


class Scores(BaseEstimator):
    """Not a recommender: the same scores for everybody."""

    def __init__(self, scores):
        self.scores = scores

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return np.tile(np.asarray(self.scores, float), (X.shape[0], 1))


@pytest.mark.parametrize("items", [[5, 1, 4], np.isin(np.arange(6), [1, 4, 5])])
def test_a_scorer_ranks_some_items_among_themselves(items):
    X = sparse.csr_array([[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0.0]])
    held_out = sparse.csr_array([[0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0.0]])
    scorer = ranking_scorer(["recall@2", "ndcg@2", "coverage@1", "neg_gini@1"], items=items)
    scores = scorer(Scores([9, 2, 8, 7, 1, 3]), X, held_out)
    lists = [[5, 1], [5, 4]]
    counted = sparse.csr_array([[0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0.0]])
    assert scores["recall@2"] == recall(lists, counted, 2) == 1
    assert scores["ndcg@2"] == ndcg(lists, counted, 2)
    assert scores["coverage@1"] == coverage([[2], [2]], 3) == 1 / 3
    assert scores["neg_gini@1"] == -gini([[2], [2]], 3)
    assert_array_equal(scorer.per_user(Scores(range(6)), X, held_out)["recall@2"], [0, np.nan])
    everything = ranking_scorer("recall@2", items=range(6))
    fitted = Popularity().fit(X)
    assert everything(fitted, X, held_out) == ranking_scorer("recall@2")(fitted, X, held_out)


def test_items_that_are_named_are_ranked_whatever_is_new(data):
    scoring = ranking_scorer("recall@3", items=np.arange(24))
    table = compare_recommenders(
        {"it": Popularity()}, data.binarize(0.5), cv=ItemColdStartSplit(3), scoring=scoring
    )
    assert table["mean"][0] < 0.02  # others are more popular than what nobody has


def test_wrong_items_of_a_scorer(data):
    model = Popularity().fit(data)
    for wrong in ([24], [-1], [], [0.5]):
        with pytest.raises((ValueError, TypeError), match="items must"):
            ranking_scorer("ndcg@3", items=wrong)(model, data)
