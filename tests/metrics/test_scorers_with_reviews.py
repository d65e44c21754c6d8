"""Reviews on their way through verbs, scorers and searches: what is held out is never read."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skrec import BaseRecommender, BiasBaseline, Reviews
from skrec.metrics import ranking_scorer, rating_scorer
from skrec.model_selection import fold_in_split

READ = []


class TextMemory(BaseRecommender):
    """Scores an item by how often a user's reviews name it, and remembers all that it reads."""

    def __init__(self, n_jobs=None, ratings=False):
        self.n_jobs = n_jobs
        self.ratings = ratings

    def fit(self, X, y=None, *, reviews=None):
        self.n_features_in_ = X.shape[1]
        if reviews is not None:
            READ.append(("fit", list(reviews.entry_documents)))
        return self

    def _read_reviews(self, reviews):
        READ.append(("predict", list(reviews.entry_documents)))
        names = [f"giveaway{item}" for item in range(self.n_features_in_)]
        counts = CountVectorizer(vocabulary=names).transform(reviews.entry_documents)
        indptr = reviews.index.indptr
        sums = sparse.csr_array((np.ones(indptr[-1]), np.arange(indptr[-1]), indptr))
        return sparse.csr_array(sums @ counts)

    def _score_rows(self, X, words=None):
        return np.zeros(X.shape) if words is None else words.toarray().astype(float)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.recommender_tags.reads_reviews = True
        tags.recommender_tags.predicts_ratings = self.ratings
        return tags


@pytest.fixture(autouse=True)
def forget():
    READ.clear()


@pytest.fixture(scope="module")
def X():
    X = sparse.random_array((60, 20), density=0.4, rng=1, format="csr")
    X.data = 1 + np.floor(5 * X.data)
    return X


@pytest.fixture(scope="module")
def reviews(X):
    """Every review gives away which item it is about."""
    return Reviews.from_documents(
        X, [f"giveaway{item} by {n}" for n, item in enumerate(X.indices)]
    )


def read_by(verb):
    return {text for kind, texts in READ for text in texts if kind == verb}


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_every_block_gets_its_own_reviews(X, reviews, n_jobs):
    model = TextMemory(n_jobs).fit(X)
    expected = (X.toarray() > 0).astype(float)
    with config_context(working_memory=0.01):
        assert_array_equal(model.predict(X, reviews=reviews), expected)
        top = model.recommend(X, k=1, reviews=reviews, exclude_seen=False)
    assert_array_equal(top[:, 0], expected.argmax(axis=1))
    plain = list(reviews.entry_documents)
    assert_array_equal(
        model.predict(X[3:5], reviews=plain[X.indptr[3] : X.indptr[5]]), expected[3:5]
    )
    assert not model.predict(X).any()


@pytest.mark.parametrize(
    "scorer", [ranking_scorer("recall@5"), rating_scorer()], ids=["ranking", "rating"]
)
@pytest.mark.parametrize("kind", ["array", "sparse", "pipeline"])
def test_what_is_hidden_is_not_read(X, reviews, scorer, kind):
    model = TextMemory().fit(X)
    rows = X.toarray() if kind == "array" else X
    if kind == "pipeline":
        model = make_pipeline(FunctionTransformer(accept_sparse=True), model).fit(X)
    fold_in, held_out = fold_in_split(X, random_state=0)
    scores = scorer(model, rows, reviews=reviews)
    assert read_by("predict") == set(reviews.aligned_with(fold_in).entry_documents)
    assert not read_by("predict") & set(reviews.aligned_with(held_out).entry_documents)
    if "recall" in repr(scorer):  # a model that knows only what is visible finds nothing
        blind = scorer(model, rows)
        assert scores <= blind
    visible = reviews.aligned_with(fold_in)
    assert scorer(model, fold_in, held_out, reviews=visible) == scores
    plain = list(reviews.entry_documents)
    assert scorer(model, rows, reviews=plain) == scores
    with pytest.raises(ValueError, match="held out, give reviews.aligned_with"):
        scorer(model, fold_in, held_out, reviews=reviews)
    per_user = scorer.per_user(model, rows, reviews=reviews)
    assert len(next(iter(per_user.values()))) == X.shape[0]


@pytest.mark.parametrize("ratings", [False, True])
def test_score_hands_reviews_on(X, reviews, ratings):
    model = TextMemory(ratings=ratings).fit(X)
    model.score(X, reviews=reviews)
    fold_in, _ = fold_in_split(X, random_state=0)
    assert read_by("predict") == set(reviews.aligned_with(fold_in).entry_documents)


def test_models_that_read_no_text_ignore_reviews(X):
    model = BiasBaseline().fit(X, reviews="nonsense")
    assert_array_equal(model.predict(X, reviews=["nonsense"]), model.predict(X))
    assert model.score(X, reviews="nonsense") == model.score(X)
    assert_array_equal(model.recommend(X, reviews=3), model.recommend(X))


def test_search_without_routing_cuts_reviews_for_fit(X, reviews):
    search = GridSearchCV(TextMemory(), {"n_jobs": [1]}, cv=3, scoring=rating_scorer())
    search.fit(X, reviews=reviews)
    assert [len(texts) < X.nnz for kind, texts in READ] == [True, True, True, False]
    assert not read_by("predict")


@pytest.mark.parametrize("scoring", [None, rating_scorer(), ranking_scorer("ndcg@10")])
def test_search_with_routing_hands_reviews_to_the_scorer(X, reviews, scoring):
    with config_context(enable_metadata_routing=True):
        model = TextMemory().set_fit_request(reviews=True)
        if scoring is None:
            model.set_score_request(reviews=True)
        else:
            scoring = pickle.loads(pickle.dumps(scoring)).set_score_request(reviews=True)
        search = GridSearchCV(model, {"n_jobs": [1]}, cv=3, scoring=scoring)
        search.fit(X, reviews=reviews)
        scored = [texts for kind, texts in READ if kind == "predict"]
        folds = [X[start : start + 20] for start in (0, 20, 40)]
        for texts, fold, start in zip(scored, folds, (0, 20, 40), strict=True):
            visible, _ = fold_in_split(fold, random_state=0)
            part = reviews[start : start + 20].aligned_with(visible)
            assert texts == list(part.entry_documents)
        READ.clear()
        cross_validate(clone(model), X, cv=3, scoring=scoring, params={"reviews": reviews})
        assert [texts for kind, texts in READ if kind == "predict"] == scored


def test_routing_hands_reviews_through_a_pipeline(X, reviews):
    with config_context(enable_metadata_routing=True):
        model = TextMemory().set_fit_request(reviews=True).set_predict_request(reviews=True)
        steps = make_pipeline(FunctionTransformer(accept_sparse=True), model)
        options = {"cv": 3, "params": {"reviews": reviews}}
        scoring = rating_scorer().set_score_request(reviews=True)
        cross_validate(steps, X, scoring=scoring, **options)
        through_pipeline = list(READ)
        READ.clear()
        cross_validate(model, X, scoring=scoring, **options)
    assert through_pipeline == list(READ)
    assert read_by("predict")


def test_scorers_without_a_request_get_no_reviews(X, reviews):
    with config_context(enable_metadata_routing=True):
        model = TextMemory().set_fit_request(reviews=True)
        search = GridSearchCV(model, {"n_jobs": [1]}, cv=3, scoring=rating_scorer())
        search.fit(X, reviews=reviews)
    assert not read_by("predict")
    with pytest.raises(RuntimeError, match="enable_metadata_routing=True"):
        rating_scorer().set_score_request(reviews=True)
