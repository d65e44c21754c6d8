"""Documents that are cut along with the users."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing, check_consistent_length, indexable
from sklearn.utils.validation import _check_method_params, _num_samples

from skrec import Interactions, Reviews
from skrec.model_selection import fold_in_split
from skrec.reviews import as_reviews


@pytest.fixture
def X():
    return sparse.random_array((30, 8), density=0.4, rng=0, format="csr")


def text(user, item):
    return f"u{user} i{item}"


@pytest.fixture
def texts(X):
    rows, cols = X.nonzero()
    return [text(*pair) for pair in zip(rows, cols, strict=True)]


@pytest.fixture
def reviews(X, texts):
    return Reviews.from_documents(X, texts)


def expected(X, rows):
    return [text(user, item) for user in rows for item in X[[user]].indices]


@pytest.mark.parametrize(
    "key",
    [
        [4, 4, 1],
        np.array([7, 0]),
        slice(3, 20, 2),
        np.arange(30) % 3 == 0,
        (np.arange(30) % 3 == 0).tolist(),
        5,
        -1,
        np.array([], dtype=int),
    ],
    ids=str,
)
def test_rows_are_cut_with_their_texts(X, reviews, key):
    rows = np.atleast_1d(np.arange(30)[key])
    for part in (reviews[key], reviews[key, ...], _safe_indexing(reviews, key)):
        assert part.shape == (len(rows), 8)
        assert len(part) == len(rows)
        assert list(part.entry_documents) == expected(X, rows)
        assert part.documents is reviews.documents
    with pytest.raises(TypeError, match="by users only"):
        reviews[key, 2]


def test_scikit_learn_cuts_it_as_it_cuts_X(X, reviews):
    assert _num_samples(reviews) == 30
    check_consistent_length(X, reviews)
    assert indexable(X, reviews)[1] is reviews
    train, test, train_reviews, test_reviews = train_test_split(X, reviews, random_state=0)
    for part, part_reviews in [(train, train_reviews), (test, test_reviews)]:
        assert as_reviews(part_reviews, part, part).index.nnz == part.nnz
    cut = _check_method_params(X, {"reviews": reviews}, np.array([2, 9]))["reviews"]
    assert list(cut.entry_documents) == expected(X, [2, 9])


def test_pickles_carry_the_texts_of_their_rows_only(X, reviews):
    everything, part = pickle.dumps(reviews), pickle.dumps(reviews[[3]])
    assert len(part) < len(everything) / 4
    other = next(text for text in reviews[[5]].entry_documents).encode()
    assert other in everything
    assert other not in part
    again = pickle.loads(part)
    assert list(again.entry_documents) == expected(X, [3])
    shared = Reviews(sparse.csr_array([[1, 1], [2, 1]]), ["no", "yes", "maybe"])
    again = pickle.loads(pickle.dumps(shared))
    assert list(again.entry_documents) == ["yes", "yes", "maybe", "yes"]
    assert list(again.documents) == ["yes", "maybe"]


def test_cannot_be_changed(reviews):
    with pytest.raises(AttributeError):
        reviews.index = None
    for array in (
        reviews.documents,
        reviews.index.data,
        pickle.loads(pickle.dumps(reviews)).documents,
    ):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]


def test_a_part_of_the_entries(X, reviews):
    visible, hidden = fold_in_split(X, random_state=0)
    for part in (visible, hidden):
        rows, cols = part.nonzero()
        wanted = [text(*pair) for pair in zip(rows, cols, strict=True)]
        assert list(reviews.aligned_with(part).entry_documents) == wanted
    with pytest.raises(
        ValueError, match=r"of pairs that X has no entry for, the first of them \(u"
    ):
        as_reviews(reviews, visible, visible)
    with pytest.raises(ValueError, match=r"entries of X have none, the first of them \(user"):
        reviews.aligned_with(visible).aligned_with(X)
    nothing = Reviews.from_documents(sparse.csr_array((30, 8)), [])
    with pytest.raises(ValueError, match=f"{X.nnz} entries of X have none"):
        nothing.aligned_with(X)
    with pytest.raises(ValueError, match="of 30 users x 8 items, X of 29 x 8"):
        as_reviews(reviews, X[1:], X[1:])


def test_made_of_a_frame_of_interactions_and_of_counts():
    df = pd.DataFrame(
        {
            "user": ["b", "a", "b", "b"],
            "item": [2, 1, 1, 2],
            "stars": [1.0, 2.0, 3.0, 4.0],
            "text": ["old", None, "fine", "new"],
        }
    )
    columns = {"value": "stars", "review": "text", "duplicates": "last"}
    interactions = Interactions.from_frame(df, **columns)
    reviews = Reviews.from_frame(df, **columns)
    assert reviews.shape == interactions.X.shape
    assert list(reviews.entry_documents) == ["", "fine", "new"]
    assert list(Reviews.from_interactions(interactions).entry_documents) == ["", "fine", "new"]
    counts = np.arange(6).reshape(3, 2)
    for matrix in (counts, sparse.coo_array(counts)):
        part = Reviews.from_documents(interactions.X, matrix)[[1]]
        assert_array_equal(part.entry_documents.toarray(), counts[1:])
        assert "2 sets of counts" in repr(part)
    with pytest.raises(ValueError, match="the interactions have no reviews"):
        Reviews.from_interactions(Interactions.from_arrays([0], [0]))


def test_documents_keep_to_their_entries_where_columns_do_not_ascend():
    X = sparse.csr_array((np.array([1.0, 2.0]), np.array([1, 0]), np.array([0, 2])), shape=(1, 2))
    assert list(Reviews.from_documents(X, ["one", "two"]).entry_documents) == ["two", "one"]
    dense = X.toarray()
    assert list(Reviews.from_documents(dense, ["two", "one"]).entry_documents) == ["two", "one"]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda X: Reviews.from_documents(X, ["a"]), ValueError, "there are 1 documents for"),
        (lambda X: Reviews.from_documents(X, "a"), TypeError, "got one string"),
        (lambda X: Reviews.from_documents(X, [1] * X.nnz), ValueError, "must be strings, got 1"),
        (lambda X: Reviews(X.toarray(), ["a"]), TypeError, "sparse array or matrix, got ndarray"),
        (lambda X: Reviews(X, ["a"]), TypeError, "must hold integers, got dtype float64"),
        (lambda X: Reviews(sparse.csr_array([[2]]), ["a"]), ValueError, "from 0 to 0, got"),
    ],
)
def test_wrong_input(X, make, error, message):
    with pytest.raises(error, match=message):
        make(X)


def test_a_pair_is_there_once():
    index = sparse.csr_array((np.array([0, 1]), np.array([1, 1]), np.array([0, 2])), shape=(1, 2))
    with pytest.raises(ValueError, match="each pair of user and item once"):
        Reviews(index, ["a", "b"])
