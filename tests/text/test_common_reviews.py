"""What reviews mean is the same for every model that reads them: those of the table."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone

from skrec import Reviews
from skrec._model_table import MODELS

READERS = [
    name
    for name, row in MODELS.items()
    if row.instance().__sklearn_tags__().recommender_tags.reads_reviews
]
WORDS = np.array(["tea", "jam", "salt", "rice", "oats", "beans"])


@pytest.fixture(params=READERS)
def model(request):
    model = MODELS[request.param].instance()
    few = {"max_iter": 2, "random_state": 0}
    return clone(model).set_params(**{k: few[k] for k in few if k in model.get_params()})


@pytest.fixture(scope="module")
def X():
    """What models of choices read as such."""
    rng = np.random.default_rng(0)
    return sparse.csr_array((rng.random((25, 10)) < 0.5) * rng.integers(1, 6, (25, 10)) * 1.0)


@pytest.fixture(scope="module")
def texts(X):
    return [" ".join(pair) for pair in WORDS[np.random.default_rng(1).integers(0, 6, (X.nnz, 2))]]


def answer(model, X, reviews):
    fitted = clone(model).fit(X, reviews=reviews)
    return fitted.predict(X), fitted.predict(
        X[:9], reviews=Reviews.from_documents(X, texts_of(X))[:9]
    )


def texts_of(X):
    return [WORDS[item % 6] for item in X.indices]


def test_documents_in_another_order_are_found_by_the_index(model, X, texts):
    order = np.random.default_rng(2).permutation(X.nnz)
    index = sparse.csr_array((np.argsort(order), X.indices, X.indptr), shape=X.shape)
    reviews = Reviews(index, np.array(texts, dtype=object)[order])
    for found, expected in zip(answer(model, X, reviews), answer(model, X, texts), strict=True):
        assert_array_equal(found, expected)
    others = Reviews.from_documents(X, np.array(texts, dtype=object)[order])
    assert (answer(model, X, others)[0] != answer(model, X, texts)[0]).any()


def test_reviews_of_pairs_without_an_entry_are_not_read(model, X, texts):
    full = sparse.csr_array(np.ones(X.shape))
    documents = np.full(X.shape, "never seen", dtype=object)
    documents[X.toarray() > 0] = texts
    more = Reviews.from_documents(full, documents.ravel()).aligned_with(X)
    assert_array_equal(answer(model, X, more)[0], answer(model, X, texts)[0])


def test_reviews_of_some_pairs_or_of_others_are_refused(model, X, texts):
    some = X.copy()
    some.data[[3, 8]] = 0
    some.eliminate_zeros()
    of_some = Reviews.from_documents(some, texts[2:])
    with pytest.raises(ValueError, match="not aligned with X: 2 entries of X have none"):
        model.fit(X, reviews=of_some)
    with pytest.raises(ValueError, match="not aligned with X"):
        model.fit(X, reviews=Reviews.from_documents(X, texts)[np.arange(25)[::-1]])
    filled = Reviews.from_documents(some, texts[2:])
    assert np.isfinite(model.fit(some, reviews=filled).predict(X)).all()


def test_the_text_of_a_hidden_pair_is_not_read(model, X, texts):
    """Of a pair that is to be predicted nothing is known, neither of it nor of its text."""
    fitted = model.fit(X, reviews=texts)
    visible = X.copy()
    visible.data[0] = 0
    visible.eliminate_zeros()
    answers = []
    for text in (texts[0], "beans beans beans"):
        reviews = Reviews.from_documents(X, [text, *texts[1:]]).aligned_with(visible)
        answers.append(fitted.predict(visible, reviews=reviews))
    assert_array_equal(*answers)
