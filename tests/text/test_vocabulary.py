"""Vectorizers that reviews are read with: which will do, and what is said of others."""

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skrec import DeepLTRS, Reviews
from skrec.datasets import make_ratings_reviews

SMALL = {
    "n_topics": 4,
    "hidden_layer_sizes": (16,),
    "max_iter": 2,
    "early_stopping": False,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def simulated():
    return make_ratings_reviews(60, 40, sparsity=0.8, n_words=20, random_state=0)


@pytest.fixture(scope="module")
def X(simulated):
    return simulated.X


@pytest.fixture(scope="module")
def reviews(simulated):
    return Reviews.from_interactions(simulated)


HASHING = HashingVectorizer(n_features=64, alternate_sign=False)


ONE_TO_ONE = {"feature_names_out": "one-to-one"}
ONE = {"feature_names_out": lambda transformer, names: names[:1]}


def lower(texts):
    return [text.lower() for text in texts]


@pytest.mark.parametrize(
    ("vectorizer", "has_names"),
    [
        (TfidfVectorizer(), True),
        (make_pipeline(CountVectorizer(), TfidfTransformer()), True),
        (HASHING, False),
        (make_pipeline(HASHING, TfidfTransformer()), False),
        (make_pipeline(CountVectorizer(), FunctionTransformer(accept_sparse=True)), False),
        (make_pipeline(FunctionTransformer(lower), CountVectorizer()), False),
        (make_pipeline(FunctionTransformer(lower, **ONE_TO_ONE), CountVectorizer()), True),
        (make_pipeline(CountVectorizer(), FunctionTransformer(accept_sparse=True, **ONE)), False),
    ],
)
def test_any_vectorizer(X, reviews, vectorizer, has_names):
    model = DeepLTRS(5, vectorizer=vectorizer, **SMALL).fit(X, reviews=reviews)
    assert np.isfinite(model.predict(X, reviews=reviews)).all()
    assert isinstance(model.topics(2)[0, 0], str) is has_names
    assert len(model.vocabulary_) == model.topic_word_.shape[1]


@pytest.mark.parametrize(
    "vectorizer",
    [
        HashingVectorizer(n_features=64),
        make_pipeline(CountVectorizer(), TruncatedSVD(3, random_state=0)),
    ],
    ids=["hashing", "projection"],
)
def test_vectorizers_that_yield_negative_values(X, reviews, vectorizer):
    with pytest.raises(ValueError, match="vectorizer must yield counts .* non-negative weights"):
        DeepLTRS(5, vectorizer=vectorizer, **SMALL).fit(X, reviews=reviews)


@pytest.mark.parametrize(
    ("vectorizer", "message"),
    [
        (CountVectorizer(min_df=-3), "^The 'min_df' parameter of CountVectorizer must be"),
        (CountVectorizer(analyzer="wrod"), "^The 'analyzer' parameter of CountVectorizer must be"),
        (CountVectorizer(ngram_range=(2, 1)), r"^Invalid value for ngram_range=\(2, 1\)"),
        (make_pipeline(CountVectorizer(min_df=-3), TfidfTransformer()), "^The 'min_df' parameter"),
    ],
)
def test_the_vectorizer_says_itself_what_is_wrong_with_it(X, reviews, vectorizer, message):
    with pytest.raises(ValueError, match=message):
        DeepLTRS(5, vectorizer=vectorizer, **SMALL).fit(X, reviews=reviews)


def test_too_few_reviews_for_the_limits_of_the_vectorizer():
    with pytest.raises(ValueError, match="finds no words in the 3 texts of reviews .*: max_df"):
        DeepLTRS(5, **SMALL).fit(np.eye(3), reviews=["good tea", "bad tea", "tea"])
