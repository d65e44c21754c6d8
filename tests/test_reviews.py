"""Documents that are cut along with the users."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing, check_consistent_length, indexable
from sklearn.utils.validation import _check_method_params, _num_samples

from skrec import Interactions, Reviews
from skrec.model_selection import StrongGeneralizationSplit, fold_in_split
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
    ids=["list", "array", "slice", "mask", "list of bool", "row", "last row", "nothing"],
)
def test_rows_are_cut_with_their_texts(X, reviews, key):
    rows = np.atleast_1d(np.arange(30)[key])
    for part in (reviews[key], reviews[key, ...], _safe_indexing(reviews, key)):
        assert part.shape == (len(rows), 8)
        assert len(part) == len(rows)
        assert list(part.entry_documents) == expected(X, rows)
        assert part.documents is reviews.documents
    for wrong in ((key, 2), (key, ..., ...)):
        with pytest.raises(TypeError, match=r"as in reviews\[rows\]\[:, items\], got"):
            reviews[wrong]


@pytest.mark.parametrize("chosen", [[4, 0], [True, False] * 15], ids=["numbers", "mask"])
def test_rows_may_be_a_series(reviews, chosen):
    by_series = reviews[pd.Series(chosen, index=np.arange(len(chosen)) + 7)]
    assert list(by_series.entry_documents) == list(reviews[chosen].entry_documents)


@pytest.mark.parametrize("key", [[6, 0, 3], slice(1, 8, 3), np.arange(8) % 3 == 0, 2], ids=str)
def test_items_are_cut_with_their_texts(X, reviews, key):
    columns = np.atleast_1d(np.arange(8)[key])
    part = sparse.csr_array(X.toarray()[:, columns])
    rows, items = part.nonzero()
    wanted = [text(*pair) for pair in zip(rows, columns[items], strict=True)]
    assert list(as_reviews(reviews[:, key], part, part).entry_documents) == wanted


def test_the_parts_of_a_split_that_drops_items(X, reviews):
    split = StrongGeneralizationSplit(0, 0.3, min_users_per_item=11, random_state=0)
    parts = split.partition(X)
    assert len(parts.kept_items) < 8
    with pytest.raises(ValueError, match=r"users and items, as in reviews\[users\]\[:, items\]"):
        as_reviews(reviews[parts.train_users], parts.train, parts.train)
    reviews = reviews[:, parts.kept_items]
    assert as_reviews(reviews[parts.train_users], parts.train, parts.train).shape[1] < 8
    visible = reviews[parts.test_users].aligned_with(parts.test_fold_in)
    rows, items = parts.test_fold_in.nonzero()
    pairs = zip(parts.test_users[rows], parts.kept_items[items], strict=True)
    assert list(visible.entry_documents) == [text(*pair) for pair in pairs]


@pytest.mark.parametrize("key", [True, None, "a", 1.5, [0.5], [[1, 2]], ["a"]], ids=str)
def test_what_does_not_tell_rows_is_named(reviews, key):
    with pytest.raises(TypeError, match="an array of numbers or a mask, got"):
        reviews[key]


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
        (lambda X: Reviews.from_documents(X, "a"), TypeError, "got one str of 0 dim.*a list"),
        (lambda X: Reviews.from_documents(X, None), TypeError, "got one NoneType of 0 dim"),
        (lambda X: Reviews.from_documents(X, iter("ab")), TypeError, "got one str_.*iterator of"),
        (lambda X: Reviews.from_documents(X, np.ones((2, 2, 2))), TypeError, "of 3 dimensions"),
        (lambda X: Reviews.from_documents(X, [[1], [1, 2]]), ValueError, r"strings, got \[1\]"),
        (
            lambda X: Reviews.from_documents(X, pd.DataFrame({"review": ["good"] * X.nnz})),
            ValueError,
            "must be counts of terms, numbers .*'good'.*; give texts in one dimension",
        ),
        (lambda X: Reviews.from_documents(X, [1] * X.nnz), ValueError, "must be strings, got 1"),
        (lambda X: Reviews(X.toarray(), ["a"]), TypeError, "sparse array or matrix.*got ndarray"),
        (lambda X: Reviews(X, ["a"]), TypeError, "must hold integers, got dtype float64"),
        (lambda X: Reviews(sparse.csr_array([[2]]), ["a"]), ValueError, "from 0 to 0, got"),
    ],
)
def test_wrong_input(X, make, error, message):
    with pytest.raises(error, match=message):
        make(X)


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_a_pair_is_there_once(form):
    coordinates = np.array([0, 0, 0]), np.array([1, 0, 1])
    index = sparse.coo_array((np.arange(3), coordinates), shape=(1, 2))
    if form != "coo":  # the conversion would add up
        compressed = np.array([1, 0, 1]) if form == "csr" else np.zeros(3, int)
        pointers = [0, 3] if form == "csr" else [0, 1, 3]
        make = getattr(sparse, f"{form}_array")
        index = make((np.arange(3), compressed, np.array(pointers)), shape=(1, 2))
    with pytest.raises(ValueError, match="each pair of user and item once"):
        Reviews(index, list("abcdef"))


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok"])
def test_the_index_may_be_of_any_format_that_stores_zeros(form):
    coordinates = np.array([1, 0, 0]), np.array([0, 1, 0])
    index = sparse.coo_array((np.array([0, 2, 1]), coordinates), shape=(2, 2)).asformat(form)
    assert list(Reviews(index, ["a", "b", "c"]).entry_documents) == ["b", "c", "a"]


@pytest.mark.parametrize("form", ["bsr", "dia"])
def test_an_index_that_loses_the_first_document_is_refused(form):
    index = sparse.csr_array(([0, 1], ([0, 1], [0, 1]))).asformat(form)
    with pytest.raises(TypeError, match=f"formats csr, csc, coo, lil, dok, got {form}_array"):
        Reviews(index, ["a", "b"])


def test_one_long_text_does_not_make_room_for_others(X):
    documents = ["short"] * (X.nnz - 1) + ["long " * 40_000]
    tracemalloc.start()
    try:
        Reviews.from_documents(X, documents)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20
