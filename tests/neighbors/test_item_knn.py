"""ItemKNN: its formulas, written out; the neighbours that are kept; what is refused."""

import numpy as np
import pytest
from neighbors_by_hand import FORMULAS, matrix, similarities_by_hand, weights_by_hand
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import jaccard_score
from sklearn.metrics.pairwise import cosine_similarity

from skrec import ItemKNN


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
@pytest.mark.parametrize("weighting", [None, "tf-idf", "bm25"])
def test_formula(formula, weighting):
    X = matrix()
    model = ItemKNN(15, weighting=weighting, **formula).fit(X)
    S = similarities_by_hand(weights_by_hand(X.T, weighting).T, **formula)
    np.testing.assert_allclose(model.coef_.toarray(), S, rtol=1e-10)
    np.testing.assert_allclose(model.predict(X), X @ S, rtol=1e-10)


def test_on_binary_entries_the_formulas_are_those_of_sets():
    X = matrix(1, values=(1, 2))
    found = {
        name: ItemKNN(15, similarity=name, weighting=None).fit(X).coef_.toarray()
        for name in ("cosine", "jaccard", "conditional")
    }
    for c, n in [(0, 1), (3, 9), (14, 2)]:
        assert found["cosine"][n, c] == pytest.approx(cosine_similarity(X.T)[n, c])
        assert found["jaccard"][n, c] == pytest.approx(jaccard_score(X[:, c], X[:, n]))
        assert found["conditional"][n, c] == pytest.approx(X[X[:, n] > 0, c].mean())


def test_asymmetry_lies_between_the_cosine_and_the_conditional_probability():
    X = matrix(2)
    asymmetric = ItemKNN(15, similarity="asymmetric", weighting=None)
    for asymmetry, similarity in [(0.5, "cosine"), (1.0, "conditional")]:
        model = clone(asymmetric).set_params(asymmetry=asymmetry).fit(X)
        other = ItemKNN(15, similarity=similarity, weighting=None).fit(X)
        np.testing.assert_allclose(model.coef_.toarray(), other.coef_.toarray())
    default = asymmetric.fit(X).coef_.toarray()
    np.testing.assert_array_equal(
        asymmetric.set_params(asymmetry=0.6).fit(X).coef_.toarray(), default
    )


@pytest.mark.parametrize("k", [1, 3, 14])
@pytest.mark.parametrize("similarity", ["conditional", "jaccard"])
def test_each_column_keeps_its_most_similar_items(k, similarity):
    X = matrix(3)
    everything = similarities_by_hand(X, similarity, 2.5)
    model = ItemKNN(k, similarity=similarity, shrinkage=2.5, weighting=None).fit(X)
    kept = model.coef_.toarray()
    for column, similarities in zip(kept.T, everything.T, strict=True):
        chosen = np.sort(np.argsort(-similarities, kind="stable")[:k])
        chosen = chosen[similarities[chosen] > 0]
        np.testing.assert_array_equal(np.flatnonzero(column), chosen)
        np.testing.assert_allclose(column[chosen], similarities[chosen])


def test_of_equally_similar_items_the_first_are_kept():
    X = np.ones((5, 9))
    for dtype in (np.float32, np.float64):
        for similarity in ("cosine", "asymmetric", "jaccard", "conditional"):
            model = ItemKNN(2, similarity=similarity, shrinkage=0.3, weighting=None)
            coef = model.fit(X.astype(dtype)).coef_.toarray()
            np.testing.assert_array_equal(np.flatnonzero(coef[:, 0]), [1, 2])
            np.testing.assert_array_equal(np.flatnonzero(coef[:, 5]), [0, 1])


def test_tf_idf_counts_on_users_with_few_items():
    X = np.array([[1, 1, 0, 0, 0], [0, 1, 1, 1, 0], [1, 1, 1, 1, 1]], dtype=float)
    plain, weighted = (ItemKNN(5, weighting=w).fit(X).coef_.toarray() for w in (None, "tf-idf"))
    assert weighted[1, 0] > plain[1, 0]
    np.testing.assert_array_equal(weighted[4], 0)  # chosen only by one who has chosen everything


def test_negative_similarities_are_not_kept():
    X = matrix(4) - 2 * matrix(5)
    S = similarities_by_hand(X, "cosine")
    assert (X.T @ X < 0).any()
    np.testing.assert_allclose(ItemKNN(15, weighting=None).fit(X).coef_.toarray(), S)


@pytest.mark.parametrize("factor", [1e-150, 1e200])
@pytest.mark.parametrize("similarity", ["cosine", "asymmetric", "jaccard", "conditional"])
def test_entries_of_any_size(factor, similarity):
    X = matrix(6)
    expected = ItemKNN(15, similarity=similarity, weighting=None).fit(X).coef_.toarray()
    found = ItemKNN(15, similarity=similarity, weighting=None).fit(X * factor).coef_.toarray()
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"weighting": "tf-idf"}, "weighting='tf-idf'"),
        ({"weighting": "bm25"}, "weighting='bm25'"),
        ({"similarity": "jaccard", "weighting": None}, "similarity='jaccard'"),
    ],
)
def test_negative_entries_are_refused_before_any_work(parameters, name):
    X = matrix(7)
    model = ItemKNN(**parameters).fit(X)
    before = model.coef_
    X[3, 2] = -1.5
    with pytest.raises(ValueError, match=rf"{name} needs non-negative entries, got -1\.5.*binar"):
        model.fit(X)
    assert model.coef_ is before


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_neighbors": 0}, "'n_neighbors'.*must be an int in the range .1, inf.*Got 0"),
        ({"shrinkage": -1}, "'shrinkage'.*Got -1"),
        ({"similarity": "pearson"}, "'similarity'.*Got 'pearson'"),
        ({"similarity": "asymmetric", "asymmetry": 1.1}, "'asymmetry'.*Got 1.1"),
        ({"asymmetry": 0.3}, "asymmetry=0.3 has no meaning with similarity='cosine': leave"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(ValueError, match=message):
        ItemKNN(**parameters).fit(matrix())


def test_stored_zeros_say_nothing():
    X = sparse.csr_array(matrix(8))
    for weighting in (None, "tf-idf", "bm25"):
        with_zeros = X.copy()
        with_zeros.data[::3] = 0
        without = with_zeros.copy()
        without.eliminate_zeros()
        model = ItemKNN(15, weighting=weighting)
        coef = model.fit(without).coef_.toarray()
        np.testing.assert_array_equal(model.fit(with_zeros).coef_.toarray(), coef)


def test_explain_and_similar_items():
    X = matrix(9)
    model = ItemKNN(5).fit(X)
    items = model.recommend(X[:4], k=3)
    for user, contributions in enumerate(model.explain(X[:4], items)):
        np.testing.assert_allclose(
            contributions.sum(axis=1), model.predict(X[:4])[user][items[user]]
        )
    assert (model.similar_items([0, 2], k=4) != [[0], [2]]).all()
