"""Input checks: what is damaged, too large or of the wrong kind is named before any work."""

import re
import sys
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone

from skrec import (
    EASE,
    PMF,
    VAEBMF,
    BaseRecommender,
    BayesianPMF,
    BiasBaseline,
    DeepLatentFactor,
    Interactions,
    MultVAE,
    Popularity,
    RatingRegressor,
    Reviews,
)
from skrec.metrics import (
    coverage,
    gini,
    ndcg,
    novelty,
    ranking_scorer,
    recall,
    rmse,
    standard_error,
)
from skrec.model_selection import StrongGeneralizationSplit, fold_in_split, interaction_split
from skrec.utils import check_interactions
from skrec.utils._validation import check_item_indices, check_items, check_sample_weight


def matrix(n_users=30, n_items=25, seed=0):
    return sparse.csr_array((np.random.default_rng(seed).random((n_users, n_items)) < 0.4) * 1.0)


def damaged():
    """Matrices of every format that scipy would read or write foreign memory for, by name."""
    X = matrix()
    cases = {}
    for kind in ("csr", "csc", "bsr"):
        for value in (10**9, -1):
            case = cases[f"{kind} {value}"] = X.copy().asformat(kind, copy=True)
            case.indices[7] = value
        case = cases[f"{kind} falling indptr"] = X.asformat(kind, copy=True)
        case.indptr[4] = 10**9
        case = cases[f"{kind} indptr beyond the end"] = X.asformat(kind, copy=True)
        case.indptr[-1] += 5
        case = cases[f"{kind} short indptr"] = X.asformat(kind, copy=True)
        case.indptr = case.indptr[:-3]
        case = cases[f"{kind} later start"] = X.asformat(kind, copy=True)
        case.indptr[0] = 1
        case = cases[f"{kind} float indices"] = X.asformat(kind, copy=True)
        case.indices = case.indices + 0.0
    for axis in (0, 1):
        for value in (10**9, -1):
            case = cases[f"coo axis {axis} {value}"] = X.copy().tocoo()
            case.coords[axis][7] = value
    case = cases["coo lengths"] = X.copy().tocoo()
    case.coords = (case.coords[0][:-1], case.coords[1])
    case = cases["lil column"] = X.tolil()
    case.rows[3][1] = 10**9
    case = cases["lil lengths"] = X.tolil()
    case.data[3] = case.data[3][:-1]
    case = cases["dok"] = X.todok()
    case._dict[(3, 10**9)] = 1.0
    case = cases["dia"] = sparse.dia_array(X)
    case.offsets = case.offsets[:-1]
    return cases


DAMAGED = damaged()


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_matrices_are_refused(case):
    X = DAMAGED[case]
    message = "X has an entry at row|X is damaged"
    with pytest.raises(ValueError, match=message):
        check_interactions(X)
    with pytest.raises(ValueError, match="held_out has an entry|held_out is damaged"):
        rmse(np.ones((30, 25)), X)
    with pytest.raises(ValueError, match=message):
        Reviews.from_documents(X, ["text"] * 300)
    with pytest.raises(ValueError, match=message):
        Interactions(X, np.arange(30), np.arange(25))
    with pytest.raises(ValueError, match=message):
        RatingRegressor(Popularity()).fit(X, np.ones(30))
    if X.format in ("csr", "csc", "coo", "lil", "dok"):
        with pytest.raises(ValueError, match="index has an entry|index is damaged"):
            Reviews(X, ["text"] * 300)


def test_an_entry_outside_is_named():
    X = matrix()
    X.indices[X.indptr[4]] = 25
    for same in (X, sparse.csc_array((X.data, X.indices, X.indptr), shape=X.shape[::-1])):
        place = "row 4, column 25" if same is X else "row 25, column 4"
        with pytest.raises(ValueError, match=rf"{place}, outside of its shape \({same.shape[0]},"):
            check_interactions(same)
    wrong_shape = sparse.csr_array((np.ones(1), np.array([7]), np.array([0, 1])), shape=(1, 8))
    wrong_shape._shape = (1, 5)
    for use in (Popularity().fit, EASE(l2=1).fit, fold_in_split, interaction_split):
        with pytest.raises(ValueError, match=r"row 0, column 7, outside of its shape \(1, 5\)"):
            use(wrong_shape)


def test_whole_matrices_of_every_format_pass():
    X = matrix(n_items=24)
    for kind in ("csr", "csc", "coo", "lil", "dok", "dia", "bsr"):
        for empty in (X, sparse.csr_array(X.shape)):
            same = check_interactions(empty.asformat(kind))
            np.testing.assert_array_equal(same.toarray(), empty.toarray())
    blocks = sparse.bsr_array(X, blocksize=(3, 4))
    np.testing.assert_array_equal(check_interactions(blocks).toarray(), X.toarray())
    roomy = X.copy()
    roomy.data, roomy.indices = np.append(roomy.data, 7.0), np.append(roomy.indices, 99)
    np.testing.assert_array_equal(check_interactions(roomy).toarray(), X.toarray())


@pytest.mark.parametrize("form", [np.array, list, lambda rows: np.array(rows, dtype=object)])
def test_texts_are_no_numbers(form):
    with pytest.raises(ValueError, match="numbers, but holds the text 'ann': if it is a table"):
        EASE().fit(form([["ann", "tea"], ["bob", "jam"]]))
    table = pd.DataFrame({"number": [1, 2], "title": ["Alien", "Brazil"]})
    with pytest.raises(ValueError, match="holds the text 'Alien'.*Interactions.from_frame"):
        EASE().fit(table)
    with pytest.raises((TypeError, ValueError), match="dict"):
        check_interactions([[{}, 1], [2, 3]])
    assert check_interactions(form([["1", "0"], ["0", "2"]])).nnz == 2  # as scikit-learn does


def test_kinds_of_numbers():
    X = matrix()
    for dtype in (bool, np.uint8, np.int64, np.longdouble, np.float32):
        assert check_interactions(X.astype(dtype)).dtype.kind == "f"
    with pytest.raises(ValueError, match="X must hold real numbers, got dtype complex128"):
        check_interactions(X.astype(complex))
    row = X[0]  # one user of a csr_array, in one dimension
    for one in (row, row.toarray(), pd.Series(row.toarray())):
        with pytest.raises(ValueError, match=r"Expected 2D input, got X of .* user is X\[\[0\]\]"):
            check_interactions(one)
    with pytest.raises(ValueError, match="X holds an integer that is too large for a float"):
        check_interactions([[1, 10**400]])
    with pytest.raises(ValueError, match=r"X contains inf \(row 0, item 1\)"):
        check_interactions(np.array([[1, np.longdouble("1e4000")]]))


def test_entries_that_add_up_to_infinity():
    twice = np.array([1e308, 1e308]), (np.array([0, 0]), np.array([2, 2]))
    unsorted = sparse.csr_array((twice[0], twice[1][1], np.array([0, 2])), shape=(1, 3))
    for X in (unsorted, sparse.coo_array(twice, shape=(1, 3))):
        with pytest.raises(ValueError, match=r"X contains inf \(row 0, item 2\).*added up"):
            check_interactions(X)


@pytest.mark.parametrize("dtype, large", [(np.float32, 2e38), (np.float64, 1e308)])
def test_large_entries_whose_sum_overflows_are_finite(dtype, large):
    X = np.array([[large, -large], [large, large]], dtype)
    np.testing.assert_array_equal(check_interactions(X).toarray(), X)
    with pytest.raises(ValueError, match=r"X contains -inf \(row 0, item 1\)"):
        check_interactions(np.array([[large, -np.inf], [large, large]], dtype))


def test_sample_weights_have_a_finite_sum():
    message = "sample_weight must have a finite sum"
    for rows, weight in [([[1], [1]], [1e308, 1e308]), ([[1, 1], [0, 1]], [1e308, 1])]:
        with pytest.raises(ValueError, match=message):
            Popularity().fit(rows, sample_weight=weight)
    with pytest.raises(ValueError, match="sample_weight holds an integer that is too large"):
        Popularity().fit([[1], [1]], sample_weight=[10**400, 1])
    model = Popularity().fit([[1, 0]], sample_weight=[1e308])
    with pytest.raises(ValueError, match=f"{message} over all users so far.*item 0"):
        model.partial_fit([[1, 0]], sample_weight=[1e308])
    np.testing.assert_array_equal(model.popularity_, [1e308, 0])
    weight = check_sample_weight([1.0, 0], check_interactions(np.eye(2)))
    np.testing.assert_array_equal(weight, [1, 0])
    with pytest.raises(ValueError, match="zero"):
        check_sample_weight([0, 0], check_interactions(np.eye(2)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.uint32, np.int32, np.uint64])
def test_item_indices_of_any_integer_type(dtype):
    items = check_item_indices(np.array([9, 2, 9], dtype), 10)
    assert items.dtype == np.intp and items.tolist() == [9, 2, 9]
    items = check_items(np.array([9, 2, 9], dtype), 10)
    assert items.dtype == np.intp and items.tolist() == [2, 9]
    for check in (check_item_indices, check_items):
        with pytest.raises(ValueError, match=r"items must lie in \[0, 8\].*got 9"):
            check(np.array([2, 9], dtype), 9)
    assert check_item_indices([], 3).dtype == np.intp


@pytest.mark.parametrize("wrong", ["no", 1, 0.0, None, np.array([True])])
def test_flags_are_booleans(wrong):
    X = matrix()
    model = Popularity().fit(X)
    lists = model.recommend(X, k=25, exclude_seen=np.False_)
    for name in ("exclude_seen", "return_scores"):
        with pytest.raises(TypeError, match=f"{name} must be True or False, got"):
            model.recommend(X, **{name: wrong})
    for name in ("per_user", "rated_only"):
        with pytest.raises(TypeError, match=f"{name} must be True or False, got"):
            ndcg(lists, X, relevance=1, **{name: wrong})
    with pytest.raises(TypeError, match="truncated must be True or False, got"):
        recall(lists, X, truncated=wrong)
    with pytest.raises(TypeError, match="per_user must be True or False, got"):
        rmse(np.ones(X.shape), X, per_user=wrong)
    with pytest.raises(TypeError, match="per_user must be True or False, got"):
        novelty(lists, np.ones(25), per_user=wrong)


@pytest.mark.parametrize("wrong", ["4", np.nan, np.inf, 10**400, 1j, [1]])
def test_relevance_is_a_finite_number(wrong):
    with pytest.raises(ValueError, match="relevance must be a finite number|'relevance' param"):
        ndcg([[0]], [[1]], relevance=wrong)
    with pytest.raises(ValueError, match="relevance must be a finite number|'relevance' param"):
        ranking_scorer(relevance=wrong)
    assert ndcg([[0]], [[1]], relevance=Fraction(1, 2)) == 1


@pytest.mark.parametrize(
    "estimator, name",
    [
        (EASE(l2=10**400), "l2"),
        (BiasBaseline(l2_item=10**400), "l2_item"),
        (BiasBaseline(l2_user=np.longdouble("1e4000")), "l2_user"),
        (PMF(l2=10**400), "l2"),
        (PMF(10**20), "n_components"),
        (MultVAE(max_iter=10**400), "max_iter"),
        (MultVAE(learning_rate=10**400), "learning_rate"),
    ],
)
def test_parameters_are_numbers_that_can_be_held(estimator, name):
    with pytest.raises(ValueError, match=f"'{name}' parameter must be a number that"):
        estimator.fit(matrix())


def test_large_numbers_are_parameters():
    model = BiasBaseline(l2_user=2**40, l2_item=2**40).fit(matrix())
    assert np.isfinite(model.predict(matrix())).all()
    for l2 in (10**15, 1e30):
        assert np.isfinite(EASE(l2=l2).fit(matrix()).predict(matrix())).all()


class Overflowing(BaseRecommender):
    def _fit(self, X):
        pass

    def _score_rows(self, X):
        return X.toarray() * 1e10


def test_scores_that_overflow():
    model = Overflowing().fit(matrix())
    assert model.predict(matrix()).max() == 1e10
    for verb in (model.predict, model.recommend):
        with pytest.raises(ValueError, match="Scores of Overflowing must be finite"):
            verb(matrix() * 1e308)


def test_list_lengths_have_a_limit():
    X = matrix()
    model = EASE(l2=10).fit(X)
    for k in (1026, 10**10, 10**30):
        with pytest.raises(ValueError, match="k must be .* most .* got"):
            model.recommend(X, k=k)
        with pytest.raises(ValueError, match="k must be .* most .* got"):
            model.similar_items([0], k=k)
    assert model.recommend(X, k=1025, items=[3]).shape == (30, 1025)
    with pytest.raises(ValueError, match=f"k must be an integer of at most {sys.maxsize}"):
        ndcg([[0]], [[1]], k=10**30)
    assert ndcg([[0]], [[1]], k=sys.maxsize) == 1
    for n_digits in (19, 20, 5000):
        with pytest.raises(ValueError, match="needs a cut-off of at least 1, of 18 digits"):
            ranking_scorer("ndcg@" + "9" * n_digits)
    assert 0 < ranking_scorer("ndcg@999999999999999999")(model, X) < 1


def test_catalogues_of_any_size_are_counted():
    lists = [[0, 1], [0, 2]]
    assert coverage(lists, 10**15) == 3e-15
    assert gini(lists, 10**15) == pytest.approx(1)
    for n_items in (3, 5, 8):
        counts = np.sort(np.bincount(np.ravel(lists), minlength=n_items))
        differences = np.abs(counts[:, None] - counts).sum()
        assert gini(lists, n_items) == pytest.approx(differences / (2 * n_items * counts.sum()))


def test_errors_that_overflow():
    with pytest.raises(ValueError, match=r"errors overflow: predicted has values up to 1e\+200"):
        rmse([1e200], [[1.0]])
    with pytest.raises(ValueError, match="values must be finite"):
        standard_error([1.0, np.inf])


def test_no_item_is_left():
    split = StrongGeneralizationSplit(min_users_per_item=100)
    with pytest.raises(ValueError, match="min_users_per_item=100 leaves none of the 25 items"):
        split.partition(matrix())


@pytest.mark.parametrize(
    "model",
    [
        PMF(max_iter=2, random_state=0),
        BayesianPMF(n_samples=3, n_burn_in=1, random_state=0),
        DeepLatentFactor(variational=True, max_iter=1, random_state=0),
        VAEBMF(max_iter=1, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_deviations_are_finite_or_refused(model):
    rng = np.random.default_rng(0)
    X = sparse.csr_array(rng.integers(1, 6, (40, 20)) * (rng.random((40, 20)) < 0.4) * 1.0)
    model = clone(model).fit(X)
    for scale in (1e30, 1e100, 1e200):
        try:
            mean, std = model.predict(scale * X, return_std=True)
        except ValueError as error:
            assert re.search("must be finite|overflows float32", str(error))
        else:
            assert np.isfinite(mean).all()
            assert np.isfinite(std).all()
    with pytest.raises(TypeError, match="return_std must be True or False"):
        model.predict(X, return_std="no")


def test_numbers_within_sequences_can_be_held():
    with pytest.raises(ValueError, match="'hidden_layer_sizes' parameter must be a number that"):
        MultVAE(hidden_layer_sizes=(10**400,)).fit(np.eye(6))
    with pytest.raises(ValueError, match="'rating_scale' parameter must be a number that"):
        PMF(rating_scale=(0, 10**400)).fit(np.eye(6))


@pytest.mark.parametrize("model", [PMF(10**10), BayesianPMF(10**7), BayesianPMF(n_samples=10**12)])
def test_factors_that_cannot_be_held_are_refused_before_any_work(model):
    with pytest.raises(MemoryError, match="GiB are available: use a smaller n_components"):
        model.fit(matrix())
