"""Scorers against what they promise to do, written out by hand, and inside scikit-learn."""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_score,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer

from skrec import EASE, BiasBaseline, Interactions, Popularity
from skrec.datasets import load_movielens_small
from skrec.metrics import (
    average_popularity,
    average_precision,
    coverage,
    diversity,
    gini,
    hit_rate,
    mae,
    ndcg,
    novelty,
    precision,
    ranking_scorer,
    rating_scorer,
    recall,
    reciprocal_rank,
    rmse,
)
from skrec.model_selection import fold_in_split

NAMES = {
    "ndcg@10": ndcg,
    "recall@3": recall,
    "precision@3": precision,
    "map@10": average_precision,
    "mrr@10": reciprocal_rank,
    "hit_rate@1": hit_rate,
}


@pytest.fixture(scope="module")
def ratings():
    """300 users who each like one of three groups of 20 items, in ratings from 0 to 5."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, (300, 1)) == np.repeat(np.arange(3), 20)
    X = np.where(rng.random((300, 60)) < np.where(group, 0.4, 0.08), 1.0, 0.0)
    X *= np.clip(rng.normal(np.where(group, 4, 2.5), 1), 1, 5).round()
    X = sparse.csr_array(X)
    X.data[rng.random(X.nnz) < 0.02] = 0  # a stored zero is an observation
    return X


@pytest.fixture(scope="module")
def halves(ratings):
    return ratings[:200], ratings[200:]


def dense_recommendations(scores, seen, k):
    scores = scores.copy()
    scores[np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr)), seen.indices] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


class OnlyPredict(BaseEstimator):
    """The least that a scorer can work with; it remembers what it was given."""

    def __init__(self, weights=None):
        self.weights = weights

    def fit(self, X, y=None):
        self.largest_block_, self.kinds_ = 0, set()
        return self

    def predict(self, X):
        self.largest_block_ = max(self.largest_block_, X.shape[0])
        self.kinds_.add(type(X))
        return X @ self.weights


def test_ranking_scorer_does_what_it_says(halves):
    train, test = halves
    model = EASE(l2=20).fit(train)
    fold_in, held_out = fold_in_split(test, 0.7, random_state=3)
    lists = dense_recommendations(model.predict(fold_in), fold_in, 10)
    alone = ["novelty@2", "neg_popularity@2", "diversity@5"]
    names = [*NAMES, "coverage@2", "neg_gini@2", *alone]
    scorer = ranking_scorer(names, fold_in=0.7, relevance=4, random_state=3)
    scores, per_user = scorer(model, test), scorer.per_user(model, test)
    assert list(scores) == names
    assert list(per_user) == [*NAMES, *alone]
    for name, metric in NAMES.items():
        k = int(name.split("@")[1])
        assert scores[name] == metric(lists, held_out, k, relevance=4)
        expected = metric(lists, held_out, k, relevance=4, per_user=True)
        assert_array_equal(per_user[name], expected)
    assert scores["coverage@2"] == coverage(lists, 60, 2)
    assert scores["neg_gini@2"] == -gini(lists, 60, 2)
    popularity = (np.bincount(fold_in.indices, minlength=60) + 1) / (test.shape[0] + 1)
    assert scores["novelty@2"] == novelty(lists, popularity, 2) == novelty(lists, fold_in, 2)
    assert scores["neg_popularity@2"] == -average_popularity(lists, fold_in, 2)
    assert scores["diversity@5"] == diversity(lists, fold_in, 5)
    assert ranking_scorer("recall@3", fold_in=0.7, relevance=4, random_state=3)(
        model, test
    ) == pytest.approx(scores["recall@3"], abs=0)


def test_rating_scorer_does_what_it_says(halves):
    train, test = halves
    model = BiasBaseline().fit(train)
    fold_in, held_out = fold_in_split(test, 0.5, random_state=1)
    predicted = model.predict(fold_in)
    scorer = rating_scorer(["neg_rmse", "neg_mae"], fold_in=0.5, random_state=1)
    assert scorer(model, test) == pytest.approx(
        {"neg_rmse": -rmse(predicted, held_out), "neg_mae": -mae(predicted, held_out)}
    )
    per_user = scorer.per_user(model, test)
    assert_allclose(per_user["neg_mae"], -mae(predicted, held_out, per_user=True))
    single = rating_scorer(fold_in=0.5, random_state=1)(model, test)
    assert isinstance(single, float)
    assert single == pytest.approx(-rmse(predicted, held_out))


def test_rated_only_ranks_held_out_entries_by_prediction(halves):
    train, test = halves
    model = BiasBaseline().fit(train)
    fold_in, held_out = fold_in_split(test, 0.6, random_state=0)
    predicted = model.predict(fold_in)
    expected = []
    for user in range(test.shape[0]):
        row = held_out[[user]]
        order = np.lexsort((row.indices, -predicted[user, row.indices]))
        found = np.flatnonzero(row.data[order][:5] >= 4)
        length = min(5, row.nnz)
        gain = (1 / np.log2(found + 2)).sum() / (1 / np.log2(np.arange(length) + 2)).sum()
        expected.append(gain if row.nnz >= 2 else np.nan)
    scorer = ranking_scorer("ndcg@5", fold_in=0.6, relevance=4, rated_only=True)
    assert_allclose(scorer.per_user(model, test)["ndcg@5"], expected)
    assert scorer(model, test) == pytest.approx(np.nanmean(expected))


def test_seen_items_of_a_pipeline_are_those_of_the_raw_rows(halves):
    train, test = halves
    model = make_pipeline(Binarizer(threshold=3.5), EASE(l2=20)).fit(train)
    fold_in, held_out = fold_in_split(test, 0.8, random_state=0)
    assert (fold_in.data <= 3.5).any()
    lists = dense_recommendations(model.predict(fold_in), fold_in, 10)
    got = ranking_scorer("ndcg@10", relevance=4)(model, test)
    assert got == ndcg(lists, held_out, relevance=4)


def test_estimator_with_predict_alone(halves):
    train, test = halves
    weights = EASE(l2=20, method="primal").fit(train).coef_
    model = OnlyPredict(weights).fit(train)
    names = [*NAMES, "coverage@2"]
    expected = ranking_scorer(names)(EASE(l2=20, method="primal").fit(train), test)
    assert ranking_scorer(names)(model, test) == pytest.approx(expected)
    assert model.kinds_ == {sparse.csr_array}
    ranking_scorer()(model.fit(train), test.toarray())
    assert model.kinds_ == {np.ndarray}

    with config_context(working_memory=0.01):
        assert ranking_scorer(names)(model.fit(train), test) == pytest.approx(expected)
        assert model.largest_block_ < 10
        model.fit(train)
        rating_scorer()(model, test)
        assert model.largest_block_ < 30


def test_scores_that_the_estimator_keeps_are_not_written_to(halves):
    _, test = halves
    kept = np.random.default_rng(0).normal(size=test.shape)
    before = kept.copy()

    class Keeps(BaseEstimator):
        def predict(self, X):
            return kept

    ranking_scorer()(Keeps(), test)
    assert_array_equal(kept, before)


def test_matrix_y_is_the_held_out_part(halves):
    train, test = halves
    model = EASE(l2=20).fit(train)
    fold_in, held_out = fold_in_split(test, 0.8, random_state=0)
    for scorer in (ranking_scorer("ndcg@10"), rating_scorer()):
        expected = scorer(model, test)
        assert scorer(model, fold_in, held_out) == expected
        assert scorer(model, fold_in, held_out.tocoo()) == expected
        for labels in (np.zeros(100), [0] * 100, pd.Series(np.zeros(100))):
            assert scorer(model, test, labels) == expected
    with pytest.raises(ValueError, match=r"must have the shape of X, \(100, 60\), got \(99, 60\)"):
        scorer(model, fold_in, held_out[:99])


@pytest.mark.filterwarnings("ignore:X looks like ratings")
def test_containers_agree(halves):
    train, test = (part.copy() for part in halves)
    train.eliminate_zeros()
    test.eliminate_zeros()
    names = [f"item{i}" for i in range(60)]
    containers = [
        lambda X: X,
        sparse.csr_matrix,
        sparse.coo_array,
        lambda X: X.toarray(),
        lambda X: pd.DataFrame(X.toarray(), columns=names),
        lambda X: pd.DataFrame.sparse.from_spmatrix(X, columns=names),
        lambda X: pl.DataFrame(X.toarray(), schema=names),
        lambda X: pd.DataFrame(X.toarray()),  # integer names are no feature names
    ]
    for scorer, model in [
        (ranking_scorer(["ndcg@10", "recall@3"]), EASE(l2=20)),
        (ranking_scorer(["ndcg@10"]), make_pipeline(Binarizer(threshold=3.5), EASE(l2=20))),
        (rating_scorer(["neg_rmse"]), BiasBaseline()),
    ]:
        expected = scorer(clone(model).fit(train), test)
        for container in containers:
            fitted = clone(model).fit(container(train))
            assert scorer(fitted, container(test)) == pytest.approx(expected)
    # A model fitted without names is not troubled by a frame either.
    frame = pd.DataFrame(test.toarray(), columns=names)
    assert scorer(fitted, frame) == pytest.approx(expected)


@pytest.mark.parametrize(
    "container",
    [
        sparse.csr_array,
        sparse.csr_matrix,
        lambda X: pd.DataFrame(X.toarray(), columns=[f"item{i}" for i in range(60)]),
    ],
)
@pytest.mark.parametrize("pipeline", [False, True])
@pytest.mark.filterwarnings("ignore:X looks like ratings")
def test_grid_search(ratings, container, pipeline):
    model = make_pipeline(Binarizer(threshold=3.5), EASE()) if pipeline else EASE()
    name = "ease__l2" if pipeline else "l2"
    scoring = ranking_scorer(["ndcg@10", "recall@20"], relevance=4)
    search = GridSearchCV(
        model, {name: [1.0, 20.0, 1e5]}, cv=3, scoring=scoring, refit="ndcg@10", n_jobs=2
    )
    X = container(ratings)
    with joblib.parallel_config("threading"):
        clone(search).fit(X)
    search.fit(X)
    by_hand = cross_val_score(
        clone(model).set_params(**{name: 20.0}),
        X,
        cv=3,
        scoring=ranking_scorer("ndcg@10", relevance=4),
    )
    assert_allclose(search.cv_results_["mean_test_ndcg@10"][1], by_hand.mean())
    # The search itself can be scored, by its best model.
    assert scoring(search, X) == pytest.approx(scoring(search.best_estimator_, X))


def test_matrix_of_held_out_entries_is_split_along(ratings):
    fold_in, held_out = fold_in_split(ratings, random_state=0)
    model = EASE(l2=20).fit(fold_in[150:])
    scoring = ranking_scorer("ndcg@10")
    # cross_validate takes no sparse y, GridSearchCV does.
    held_out.eliminate_zeros()
    got = cross_val_score(model, fold_in, held_out.toarray(), cv=KFold(2), scoring=scoring)
    search = GridSearchCV(model, {"l2": [20]}, cv=KFold(2), scoring=scoring)
    search.fit(fold_in, held_out)
    assert got[0] == search.cv_results_["split0_test_score"][0]
    expected = ndcg(model.recommend(fold_in[:150], k=10), held_out[:150])
    assert got[0] == pytest.approx(expected)


def test_default_scores_are_those_of_the_scorers(halves):
    train, test = halves
    assert Popularity().fit(train).score(test) == ranking_scorer()(Popularity().fit(train), test)
    bias = BiasBaseline().fit(train)
    assert bias.score(test) == rating_scorer()(bias, test)


def test_k_above_the_catalogue(halves):
    train, test = halves
    model = EASE(l2=20).fit(train)
    scores = ranking_scorer(
        ["recall@60", "recall@500", "ndcg@60", "ndcg@500", "hit_rate@1000000000000"]
    )(model, test)
    assert scores["recall@60"] == scores["recall@500"] == 1
    assert scores["ndcg@60"] == scores["ndcg@500"]


def test_pickle_clone_and_repr(halves):
    train, test = halves
    model = EASE(l2=20).fit(train)
    scorer = ranking_scorer(["ndcg@10"], relevance=4)
    assert pickle.loads(pickle.dumps(scorer))(model, test) == scorer(model, test)
    assert clone(scorer, safe=False)(model, test) == scorer(model, test)
    for other in (scorer, rating_scorer(fold_in=0.5), ranking_scorer()):
        assert eval(repr(other))(model, test) == other(model, test)
    assert repr(scorer).startswith("ranking_scorer(['ndcg@10'], fold_in=0.8, ")


def test_diversity_by_features(halves):
    train, test = halves
    model = EASE(l2=20).fit(train)
    genres = np.eye(4)[np.arange(60) % 4]
    names = ["ndcg@10", "diversity@10"]
    scores = ranking_scorer(names, item_features=genres)(model, test)
    fold_in, _ = fold_in_split(test, random_state=0)
    assert scores["diversity@10"] == diversity(model.recommend(fold_in), features=genres)
    plain = ranking_scorer(names)(model, test)
    assert scores["ndcg@10"] == plain["ndcg@10"]
    assert scores["diversity@10"] != plain["diversity@10"]
    frame = pd.DataFrame(genres, columns=list("abcd"))
    assert ranking_scorer(names, item_features=frame)(model, test) == scores
    with pytest.raises(ValueError, match="item_features has 59 rows, X has 60 items"):
        ranking_scorer(names, item_features=genres[1:])(model, test)


def test_features_in_another_order_than_the_items_are_refused(halves):
    train, test = (
        Interactions(part, np.arange(part.shape[0]), [f"i{item}" for item in range(60)])
        for part in halves
    )
    model = EASE(l2=20).fit(train)
    frame = pd.DataFrame(np.eye(4)[np.arange(60) % 4], index=train.item_ids)
    ranking_scorer("diversity@10", item_features=frame)(model, test)
    for scored in ((test,), fold_in_split(test, random_state=0)):
        with pytest.raises(ValueError, match="The index of item_features is not that"):
            ranking_scorer("diversity@10", item_features=frame[::-1])(model, *scored)


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: ranking_scorer("ndgc@10"),
            "Unknown metric 'ndgc@10'. Did you mean 'ndcg@10'. The",
        ),
        (
            lambda: ranking_scorer("xyz@1"),
            r"Unknown metric 'xyz@1'\. The metrics are: ndcg, ",
        ),
        (lambda: ranking_scorer(["ndcg"]), "'ndcg' needs a cut-off .* for example 'ndcg@20'"),
        (lambda: ranking_scorer("ndcg"), "'ndcg' needs a cut-off .* for example 'ndcg@20'"),
        (lambda: ranking_scorer("NDCG@10"), "Unknown metric 'NDCG@10'. Did you mean 'ndcg@10'"),
        (lambda: ranking_scorer("hitrate@7"), "Did you mean 'hit_rate@7'"),
        (lambda: ranking_scorer("recall20"), "Did you mean 'recall@20'"),
        (lambda: ranking_scorer("auc"), "Unknown metric 'auc'. The metrics are: ndcg, recall,"),
        (lambda: ranking_scorer("diversity@1"), "lists of two have a diversity"),
        (lambda: ranking_scorer("neg_mae"), r"rating_scorer\('neg_mae'\) is its scorer"),
        (lambda: ranking_scorer("RMSE"), r"rating_scorer\('neg_rmse'\) is its scorer"),
        (lambda: rating_scorer("ndcg@10"), r"ranking_scorer\('ndcg@10'\) is its scorer"),
        (lambda: ranking_scorer("ndcg@0"), "'ndcg@0' needs a cut-off of at least 1"),
        (lambda: ranking_scorer([]), r"non-empty list of names.* got \[\]"),
        (lambda: ranking_scorer([3]), r"non-empty list of names.* got \[3\]"),
        (lambda: ranking_scorer("ndcg@1", fold_in=1.0), "'fold_in' parameter of ranking_scorer"),
        (lambda: ranking_scorer(random_state=None), "'random_state' parameter of ranking_scorer"),
        (lambda: ranking_scorer(rated_only=True), "rated_only=True with relevance=None"),
        (lambda: ranking_scorer(item_features=np.eye(3)), "item_features are what 'diversity@k'"),
        (
            lambda: ranking_scorer(["coverage@3"], rated_only=True, relevance=4),
            "recommends nothing from the catalogue, which 'coverage@3' describes",
        ),
        (lambda: rating_scorer("rmse"), "Unknown metric 'rmse'. Did you mean 'neg_rmse'"),
        (lambda: rating_scorer(fold_in=0), "'fold_in' parameter of rating_scorer"),
    ],
)
def test_wrong_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_wrong_estimators(halves):
    _, test = halves
    with pytest.raises(TypeError, match="must have recommend or predict, got Binarizer"):
        ranking_scorer()(Binarizer(), test)
    model = OnlyPredict(np.ones(60)).fit(test)
    with pytest.raises(ValueError, match=r"one column per item, .* OnlyPredict returned shape \("):
        ranking_scorer()(model, test)
    model = OnlyPredict(np.full((60, 60), np.nan)).fit(test)
    for scorer in (ranking_scorer(), rating_scorer()):
        with pytest.raises(ValueError, match="predict of OnlyPredict returned NaN"):
            scorer(model, test)


def test_nothing_to_hide(halves):
    train, _ = halves
    lonely = sparse.csr_array(np.eye(60))
    with pytest.raises(ValueError, match="None of the 60 users counts in the average"):
        ranking_scorer()(EASE().fit(train), lonely)
    with pytest.raises(ValueError, match="held_out has no stored entry"):
        rating_scorer()(BiasBaseline().fit(train), lonely)


NAMED = """
from sklearn.model_selection import GridSearchCV, cross_val_score
from skrec import EASE, BiasBaseline
from skrec.datasets import load_movielens_small

X = load_movielens_small().filter(min_users_per_item=60)
likes = X.binarize(3.5)
one = GridSearchCV(EASE(), {"l2": [1, 100]}, scoring="ndcg@10", cv=2).fit(likes)
assert one.best_params_ == {"l2": 100}
print(one.best_score_, cross_val_score(BiasBaseline(), X, scoring="neg_rmse", cv=2).mean())
"""


def test_scikit_learn_knows_the_scorers_by_name_once_there_is_a_model():
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", NAMED], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    X = load_movielens_small().filter(min_users_per_item=60)
    likes = X.binarize(3.5)
    expected = [
        cross_val_score(EASE(l2=100), likes, scoring=ranking_scorer("ndcg@10"), cv=2).mean(),
        cross_val_score(BiasBaseline(), X, scoring=rating_scorer(), cv=2).mean(),
    ]
    assert_allclose([float(number) for number in found.stdout.split()], expected, rtol=1e-6)


def test_each_way_of_scikit_learn_to_score_takes_the_names(ratings):
    likes = (ratings > 3).astype(float)
    names = ["recall@5", "diversity@20"]
    search = GridSearchCV(EASE(), {"l2": [10]}, scoring=names, refit="recall@5", cv=2).fit(likes)
    expected = cross_validate(EASE(l2=10), likes, scoring=ranking_scorer(names), cv=2)
    for name in names:
        assert search.cv_results_[f"mean_test_{name}"][0] == expected[f"test_{name}"].mean()
    options = {"scoring": "recall@5", "cv": 2}
    _, scores = validation_curve(EASE(), likes, None, param_name="l2", param_range=[10], **options)
    assert scores.mean() > 0
    assert learning_curve(EASE(), likes, None, train_sizes=[0.5], **options)[2].mean() > 0
    model = EASE(l2=10).fit(likes)
    assert check_scoring(model, "recall@5")(model, likes) == ranking_scorer("recall@5")(
        model, likes
    )
    with pytest.raises(ValueError, match="'recall@5'.* Got 'recall@7'"):
        GridSearchCV(EASE(), {"l2": [10]}, scoring="recall@7").fit(likes)
