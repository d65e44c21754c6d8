"""RatingRegressor: scikit-learn's contract, ids of every kind, models and their reviews."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from short_ids import parametrize_with_sklearn_checks
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skrec import (
    EASE,
    PMF,
    BaseRecommender,
    BiasBaseline,
    Interactions,
    MultVAE,
    Popularity,
    RatingRegressor,
)
from skrec.base._ratings import RatingMixin, UncertainRatingMixin
from skrec.metrics._predictions import final_estimator
from skrec.utils._columns import locate
from skrec.utils.estimator_checks import parametrize_with_recommender_checks

Place = Enum("Place", {f"at_{number}": number for number in range(2000)})


@dataclass(frozen=True)
class Product:
    """An id without an order."""

    number: int


class UncertainBias(UncertainRatingMixin, BiasBaseline):
    """Offsets that are the surer, the more ratings a user has: in units of their deviation."""

    def _user_states(self, X):
        return np.c_[super()._user_states(X), 1 / np.sqrt(1 + np.diff(X.indptr))]

    def _score_rows(self, X):
        return self._score_rows_std(X)[0]

    def _score_pairs(self, states, users, items):
        return super()._score_pairs(states[:, 0], users, items)

    def _score_rows_std(self, X):
        offsets, std = self._user_states(X).T
        ratings = offsets[:, None] + (self._mean + self._item_offsets)
        return ratings, np.tile(std[:, None], (1, X.shape[1]))

    def _score_pairs_std(self, states, users, items):
        return self._score_pairs(states, users, items), states[users, 1]


class ReadsReviews(RatingMixin, BaseRecommender):
    """Predicts how often a user has written the first word, less the column of the item."""

    def __init__(self, *, clip=False, rating_scale=None):
        self.clip = clip
        self.rating_scale = rating_scale

    def fit(self, X, y=None, *, reviews=None):
        in_units = self._check_ratings(X)
        self.ratings_, self.reviews_ = self.rating_unit_ * in_units, reviews
        return self

    def _user_states(self, X, reviews=None):
        assert reviews.shape[0] == X.nnz
        rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        return np.bincount(rows, reviews[:, [0]].toarray()[:, 0], minlength=X.shape[0])

    def _score_pairs(self, states, users, items):
        return (states[users] - items) / self.rating_unit_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.recommender_tags.reads_reviews = True
        return tags


@parametrize_with_sklearn_checks(
    [
        RatingRegressor(),
        RatingRegressor(BiasBaseline(clip=False), duplicates="last"),
        RatingRegressor(make_pipeline(BiasBaseline())),
    ],
    xfail_strict=True,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@parametrize_with_recommender_checks([UncertainBias()])
def test_uncertain_model_keeps_the_contract(estimator, check):
    check(estimator)


def test_default_estimator():
    pairs, ratings = table()
    model = RatingRegressor().fit(pairs, ratings)
    expected = RatingRegressor(PMF(random_state=0)).fit(pairs, ratings)
    assert_array_equal(model.predict(pairs), expected.predict(pairs))


def table(n_ratings=60, n_users=12, n_items=9, seed=0):
    """Different pairs of whole numbers, not from 0 on, in random order, and their ratings."""
    rng = np.random.default_rng(seed)
    cells = rng.permutation(n_users * n_items)[:n_ratings]
    pairs = np.c_[7 + 3 * (cells // n_items), 20 - 2 * (cells % n_items)]
    return pairs, rng.integers(0, 6, n_ratings).astype(float)


def test_predictions_are_those_of_the_matrix():
    pairs, ratings = table()
    interactions = Interactions.from_arrays(*pairs.T, ratings)
    assert (ratings == 0).any()  # and they count
    expected = BiasBaseline().fit(interactions.X).predict(interactions.X)
    model = RatingRegressor(BiasBaseline()).fit(pairs, ratings)
    assert_array_equal(model.user_ids_, interactions.user_ids)
    assert_array_equal(model.item_ids_, interactions.item_ids)
    assert_array_equal(model.n_user_ratings_, np.diff(interactions.X.indptr))
    assert_array_equal(model.n_item_ratings_, np.bincount(interactions.X.indices))
    assert model.estimator_.n_features_in_ == len(model.item_ids_) + 1
    rows = np.searchsorted(model.user_ids_, pairs[:, 0])
    columns = np.searchsorted(model.item_ids_, pairs[:, 1])
    assert_allclose(model.predict(pairs), expected[rows, columns], rtol=1e-6)


WAYS = {
    "floats": lambda pairs: pairs.astype(float),
    "float32": lambda pairs: pairs.astype(np.float32),
    "int8": lambda pairs: pairs.astype(np.int8),
    "uint64": lambda pairs: pairs.astype(np.uint64),
    "far apart": lambda pairs: pairs * 10**15,
    "halves": lambda pairs: pairs + 0.5,
    "negative": lambda pairs: pairs - 30,
    "objects": lambda pairs: pairs.astype(object),
    "list": lambda pairs: pairs.tolist(),
    "tuples": lambda pairs: [tuple(pair) for pair in pairs.tolist()],
    "numbers and strings": lambda pairs: [[user, f"item {item:02}"] for user, item in pairs],
    "string array": lambda pairs: np.char.zfill(pairs.astype(str), 3),
    "ids that are tuples": lambda pairs: [[("user", user), (item,)] for user, item in pairs],
    "ids that are tuples of numbers": lambda pairs: [[(user,), (item,)] for user, item in pairs],
    "tuples of mixed content": lambda pairs: [
        [("a", user) if user % 2 else (user, "a"), ("b", item) if item > 10 else ("b", None, item)]
        for user, item in pairs.tolist()
    ],
    "enums": lambda pairs: [[Place(user), Place(item)] for user, item in pairs],
    "objects without an order": lambda pairs: [[Product(user), Product(i)] for user, i in pairs],
    "kinds without an order": lambda pairs: [
        [Product(user) if user % 2 else Place(user), item] for user, item in pairs
    ],
    "complex objects": lambda pairs: (pairs * 1j).astype(object),
    "dates": lambda pairs: pairs.astype("datetime64[D]"),
    "csr": sparse.csr_array,
    "coo": sparse.coo_matrix,
    "pandas": lambda pairs: pd.DataFrame(pairs, columns=["user", "item"]),
    "pandas strings": lambda pairs: pd.DataFrame(pairs, columns=["user", "item"]).astype("str"),
    "pandas categories": lambda pairs: (
        pd.DataFrame({"user": [f"{pair[0]:02}" for pair in pairs]})
        .astype("category")
        .assign(item=pairs[:, 1])
    ),
    "nameless pandas": pd.DataFrame,
    "polars": lambda pairs: pl.DataFrame(pairs, schema=["user", "item"]),
    "polars strings": lambda pairs: pl.DataFrame(
        {"user": [f"{pair[0]:02}" for pair in pairs], "item": [f"{pair[1]:02}" for pair in pairs]}
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_ids_of_every_kind_in_every_container(way):
    pairs, ratings = table()
    asked = np.vstack([pairs, [[1000, 20], [7, 1001], [1000, 1001]]])
    if way == "int8":
        asked[asked >= 1000] = 100
    expected = RatingRegressor(BiasBaseline()).fit(pairs, ratings).predict(asked)
    model = RatingRegressor(BiasBaseline()).fit(WAYS[way](pairs), ratings)
    assert_allclose(model.predict(WAYS[way](asked)), expected)
    if "pandas" in way and way != "nameless pandas":
        assert model.feature_names_in_.tolist() == ["user", "item"]


def test_ids_are_equal_as_python_says():
    pairs, ratings = table()
    expected = RatingRegressor(BiasBaseline()).fit(pairs, ratings).predict(pairs)
    fitted = RatingRegressor(BiasBaseline()).fit(pairs.astype(object), ratings)
    assert_allclose(fitted.predict(pairs), expected)
    assert_allclose(fitted.predict(pairs.astype(float)), expected)
    fitted = RatingRegressor(BiasBaseline()).fit(sparse.csr_array(pairs.astype(float)), ratings)
    assert fitted.user_ids_.dtype == np.int64
    assert_allclose(fitted.predict(pairs), expected)
    halves = RatingRegressor(BiasBaseline()).fit(np.vstack([pairs, [[0.5, 0.5]]]), [*ratings, 3])
    assert_allclose(halves.predict(pairs + 0.5)[:-1], halves.predict(pairs * 0 + 0.25)[:-1])


def test_order_of_the_ids():
    users = {
        (3, 1, 2): [1, 2, 3],
        ("b", 3, "a", 1): [1, 3, "a", "b"],
        (Place(2), Place(3), Place(2), Place(1)): [Place(2), Place(3), Place(1)],
        (5, Product(4), "b", "a", 1): [Product(4), 1, 5, "a", "b"],
        (5, Product(4), "b", Product(3), "a", 1): [5, Product(4), "b", Product(3), "a", 1],
        (("a", 1), (1, "a")): [("a", 1), (1, "a")],
    }
    for given, expected in users.items():
        pairs = [[user, "item"] for user in given]
        model = RatingRegressor(BiasBaseline()).fit(pairs, range(len(pairs)))
        assert model.user_ids_.tolist() == expected


def test_unknown_users_and_items_get_the_answer_to_no_ratings():
    pairs, ratings = table()
    model = RatingRegressor(BiasBaseline()).fit(pairs, ratings)
    n_items = len(model.item_ids_)
    row = np.zeros((1, n_items + 1))
    prior = model.estimator_.predict(row)[0]
    assert_allclose(model.predict(np.c_[np.zeros(n_items, int), model.item_ids_]), prior[:-1])
    assert_allclose(model.predict([[0, 0], [1, 1]]), prior[-1])
    assert prior[-1] == pytest.approx(ratings.mean())
    mine = pairs[:, 0] == 7
    row[0, np.searchsorted(model.item_ids_, pairs[mine, 1])] = ratings[mine]
    row = sparse.csr_array(([*ratings[mine]], row_of(model, pairs[mine])), shape=row.shape)
    assert_allclose(model.predict([[7, 0]]), model.estimator_.predict(row)[0, -1])


def row_of(model, pairs):
    return np.zeros(len(pairs), int), np.searchsorted(model.item_ids_, pairs[:, 1])


def test_recommend_with_the_fitted_model():
    pairs, ratings = table()
    model = RatingRegressor(BiasBaseline()).fit(pairs, ratings)
    indices = model.estimator_.recommend(
        sparse.csr_array((1, len(model.item_ids_) + 1)), k=3, items=range(len(model.item_ids_))
    )
    assert np.isin(model.item_ids_[indices[0]], pairs[:, 1]).all()


def test_duplicates():
    pairs, ratings = table()
    again = np.vstack([pairs, pairs[[4, 4]]])
    for rule, rating in {"mean": (ratings[4] + 9 + 30) / 3, "last": 30}.items():
        model = RatingRegressor(BiasBaseline(clip=False), duplicates=rule)
        got = model.fit(again, [*ratings, 9, 30]).predict(pairs)
        merged = ratings.copy()
        merged[4] = rating
        assert_allclose(got, model.fit(pairs, merged).predict(pairs))
    strict = RatingRegressor(duplicates="error")
    assert_allclose(strict.fit(pairs, ratings).predict(pairs), strict.predict(pairs))
    user, item = pairs[4]
    message = rf"1 pairs .* first of them user {user} and item {item} \(again at row 60\).*'mean'"
    with pytest.raises(ValueError, match=message):
        strict.fit(again, [*ratings, 9, 30])
    with pytest.raises(ValueError, match="'duplicates' parameter of RatingRegressor must be"):
        RatingRegressor(duplicates="sum").fit(pairs, ratings)


SMALL_VAE = MultVAE(4, hidden_layer_sizes=(8,), likelihood="gaussian", max_iter=3, random_state=0)


@pytest.mark.parametrize(
    "model",
    [
        SMALL_VAE,
        make_pipeline(FunctionTransformer(accept_sparse=True), BiasBaseline()),
        GridSearchCV(BiasBaseline(), {"l2_user": [1.0, 10.0]}, cv=2),
    ],
    ids=["VAE", "pipeline", "search"],
)
def test_models_that_only_predict_rows(model):
    pairs, ratings = table()
    fitted = RatingRegressor(model).fit(pairs, ratings)
    X = Interactions.from_arrays(*pairs.T, ratings).X.astype(float)
    X.resize(len(fitted.user_ids_) + 1, len(fitted.item_ids_) + 1)
    rows = fitted.estimator_.predict(X)
    asked = np.vstack([pairs, [[0, 0], [0, 20], [7, 0], [7, 0]]])
    at = locate(asked[:, 0], fitted.user_ids_), locate(asked[:, 1], fitted.item_ids_)
    assert_allclose(fitted.predict(asked), rows[at], rtol=1e-5)


def test_models_that_do_not_predict_ratings():
    pairs, ratings = table()
    wrapped = make_pipeline(EASE()), GridSearchCV(make_pipeline(EASE()), {"ease__l2": [1.0]})
    for model in (EASE(), Popularity(), *wrapped, make_pipeline(wrapped[1])):
        with pytest.raises(ValueError, match=f"must predict ratings.*{final_estimator(model)!r}"):
            RatingRegressor(model).fit(pairs, ratings)
    chosen = GridSearchCV(SMALL_VAE, {"likelihood": ["multinomial"]}, cv=2)
    with pytest.raises(ValueError, match="must predict ratings.*the scores of MultVAE"):
        RatingRegressor(chosen).fit(pairs, ratings)
    with pytest.raises(ValueError, match=r"users x items matrix alone, but Ridge\(\) needs a tar"):
        RatingRegressor(make_pipeline(Ridge())).fit(pairs, ratings)
    with pytest.raises(ValueError, match=r"users x items matrix alone, but Ridge\(\) needs a tar"):
        RatingRegressor(Ridge()).fit(pairs, ratings)
    with pytest.raises(ValueError, match=r"one column per item, .* KMeans returned shape"):
        RatingRegressor(KMeans(2)).fit(pairs, ratings).predict(pairs)


def test_standard_deviations():
    pairs, ratings = table()
    model = RatingRegressor(UncertainBias()).fit(pairs, ratings)
    got, std = model.predict([*pairs.tolist(), [0, 20]], return_std=True)
    assert_allclose(got[:-1], model.predict(pairs))
    counts = (pairs[:, :1] == pairs[:, 0]).sum(axis=1)
    assert_allclose(std, ratings.std() / np.sqrt(1 + np.r_[counts, 0]))
    grid = GridSearchCV(BiasBaseline(), {"l2_user": [1.0]}, cv=2)
    for model in (BiasBaseline(), make_pipeline(BiasBaseline()), grid):
        with pytest.raises(ValueError, match="return_std=True needs.*BiasBaseline has none"):
            RatingRegressor(model).fit(pairs, ratings).predict(pairs, return_std=True)


@pytest.mark.parametrize(
    "wrap",
    [
        make_pipeline,
        lambda model: make_pipeline(FunctionTransformer(accept_sparse=True), model),
        lambda model: GridSearchCV(model, {"clip": [True]}, cv=2),
        lambda model: GridSearchCV(make_pipeline(model), {"uncertainbias__clip": [True]}, cv=2),
    ],
    ids=["pipeline", "two steps", "search", "search of pipelines"],
)
def test_standard_deviations_of_pipelines_and_searches(wrap):
    pairs, ratings = table()
    asked = [*pairs.tolist(), [0, 20], [7, 0], [7, 0]]
    expected = RatingRegressor(UncertainBias()).fit(pairs, ratings).predict(asked, return_std=True)
    model = RatingRegressor(wrap(UncertainBias())).fit(pairs, ratings)
    assert_allclose(model.predict(asked, return_std=True), expected, rtol=1e-6)
    assert_allclose(model.predict(asked), expected[0], rtol=1e-6)


REVIEWS = ["good good film", "film", "bad good", "bad bad film"]


def reviewed():
    users = ["bob", "ann", "bob", "ann"]
    return pd.DataFrame({"user": users, "item": ["y", "y", "x", "x"], "review": REVIEWS})


def word_counts(**options):
    words = CountVectorizer(vocabulary=["good", "bad", "film"])
    ids = ["user", "item"]
    return ColumnTransformer([("ids", "passthrough", ids), ("words", words, "review")], **options)


@pytest.mark.parametrize("container", ["sparse", "dense", "objects"])
def test_reviews_go_to_models_that_read_them(container):
    frame = reviewed()
    if container != "objects":
        frame[["user", "item"]] = frame[["user", "item"]].map(ord_of)
    front = word_counts(sparse_threshold=1 if container == "sparse" else 0)
    model = make_pipeline(front, RatingRegressor(ReadsReviews())).fit(frame, [4, 3, 2, 1])
    assert sparse.issparse(front.fit_transform(frame)) == (container == "sparse")
    fitted = model[-1].estimator_
    # ann: x, y, then bob: x, y
    assert_allclose(fitted.ratings_.data, [1, 3, 2, 4], rtol=1e-6)
    words = [[0, 2, 1], [0, 0, 1], [1, 1, 0], [2, 0, 1]]
    assert_array_equal(fitted.reviews_.toarray(), words)
    # The words at hand when predicting are those of training, never those of the pair.
    asked = frame.assign(review="good " * 9)
    assert_allclose(model.predict(asked), np.array([3, 0, 3, 0]) - [1, 1, 0, 0])
    unknown = asked.assign(user="eve" if container == "objects" else 5)
    assert_array_equal(model.predict(unknown), [-1, -1, 0, 0])


def ord_of(name):
    return ord(name[0])


def test_reviews_of_duplicates():
    pairs = np.array([[0, 0, 1, 2], [0, 1, 4, 0], [0, 0, 3, 5]])
    merged = {"mean": [[4, 7], [4, 0]], "last": [[3, 5], [4, 0]]}
    for rule, expected in merged.items():
        model = RatingRegressor(ReadsReviews(), duplicates=rule).fit(pairs, [1, 2, 3])
        assert_array_equal(model.estimator_.reviews_.toarray(), expected)


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(ReadsReviews()),
        GridSearchCV(ReadsReviews(), {"clip": [True, False]}, cv=2),
        make_pipeline(GridSearchCV(make_pipeline(ReadsReviews()), {"readsreviews__clip": [True]})),
    ],
    ids=["pipeline", "search", "both"],
)
def test_reviews_do_not_reach_a_wrapped_model(model):
    pairs = np.array([[0, 0, 1, 2], [0, 1, 4, 0], [1, 1, 3, 5], [2, 0, 1, 1]])
    name = type(model).__name__
    message = rf"ReadsReviews\(.*\) reads reviews, but not inside {name}.*2 columns of counts"
    with pytest.raises(ValueError, match=message):
        RatingRegressor(model).fit(pairs, [1, 2, 3, 4])


def test_reviews_that_nobody_reads():
    frame, ratings = reviewed(), [4, 3, 2, 1]
    without = RatingRegressor(BiasBaseline()).fit(frame[["user", "item"]], ratings)
    expected = without.predict(frame[["user", "item"]])
    assert_array_equal(
        RatingRegressor(BiasBaseline()).fit(frame, ratings).predict(frame), expected
    )
    with pytest.raises(ValueError, match="must be document-term counts.*text vectorizer"):
        RatingRegressor(ReadsReviews()).fit(frame, ratings)


def test_failed_fit_loses_nothing():
    pairs, ratings = table()
    model = RatingRegressor(BiasBaseline(rating_scale=(0, 5))).fit(pairs, ratings)
    expected = model.predict(pairs)
    with pytest.raises(ValueError, match=r"rating_scale=\(0, 5\), got 6"):
        model.fit(pairs[:30] + 1, [6.0] * 30)
    assert_array_equal(model.predict(pairs), expected)


@pytest.mark.parametrize("model", [PMF, make_pipeline(PMF), make_pipeline(BiasBaseline(), PMF)])
def test_a_class_for_a_model(model):
    with pytest.raises(TypeError, match=r"instance \(PMF\(\)\), got .*class .*\(PMF\)"):
        RatingRegressor(model).fit([[1, 2]], [3])
