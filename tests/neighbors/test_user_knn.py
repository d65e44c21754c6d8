"""UserKNN: its formula, written out; new rows, added users; what is refused."""

import numpy as np
import pytest
from neighbors_by_hand import FORMULAS, matrix, similarity_by_hand, weights_by_hand
from scipy import sparse
from sklearn import config_context

from skrec import UserKNN


def scores_by_hand(X, rows, k, weighting=None, **formula):
    training = weights_by_hand(X, weighting)
    asked = weights_by_hand(rows, weighting, learned_from=X)
    scores = np.zeros(rows.shape)
    for u, row in enumerate(asked):
        similarities = np.array([similarity_by_hand(row, v, **formula) for v in training])
        for v in np.argsort(-similarities, kind="stable")[:k]:
            scores[u] += similarities[v] * X[v]
    return scores


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
@pytest.mark.parametrize("weighting", [None, "tf-idf", "bm25"])
def test_formula_for_training_rows_and_new_ones(formula, weighting):
    X = matrix(shape=(25, 30))
    rows = np.vstack([X[:3], matrix(1, shape=(5, 30)), np.zeros(30)])
    for k in (6, 25):
        model = UserKNN(k, weighting=weighting, **formula).fit(X)
        expected = scores_by_hand(X, rows, k, weighting, **formula)
        np.testing.assert_allclose(model.predict(rows), expected, rtol=1e-10)


def test_a_training_user_meets_its_own_row():
    X = matrix(2)
    model = UserKNN(1, weighting=None).fit(X)
    np.testing.assert_allclose(model.predict(X), X)
    model = UserKNN(2, weighting=None).fit(X)
    others = np.array([np.delete(np.arange(40), u) for u in range(40)])
    for u in range(40):
        alone = UserKNN(1, weighting=None).fit(X[others[u]])
        np.testing.assert_allclose(model.predict(X[[u]]), X[[u]] + alone.predict(X[[u]]))


def test_of_equally_similar_users_the_first_are_kept():
    X = np.eye(6)
    X[:, 0] = 1
    np.testing.assert_allclose(
        UserKNN(2, similarity="jaccard", weighting=None)
        .fit(X[1:])
        .predict([[1.0, 0, 0, 0, 0, 0]]),
        [[1, 0.5, 0.5, 0, 0, 0]],
    )


def test_fit_keeps_a_copy_of_the_rows():
    X = sparse.csr_array(matrix(3))
    model = UserKNN().fit(X)
    np.testing.assert_array_equal(model.rows_.toarray(), X.toarray())
    expected = model.predict(matrix(4))
    X.data[:] = 1
    np.testing.assert_array_equal(model.predict(matrix(4)), expected)


@pytest.mark.parametrize("weighting", [None, "tf-idf", "bm25"])
def test_users_are_added_exactly(weighting):
    X = matrix(5)
    at_once = UserKNN(9, weighting=weighting).fit(X)
    model = UserKNN(9, weighting=weighting).partial_fit(X[:15]).partial_fit(X[15:])
    np.testing.assert_array_equal(model.predict(X), at_once.predict(X))


def test_negative_entries_are_refused_in_new_rows_too():
    X = matrix(6)
    for parameters in ({"weighting": "bm25"}, {"similarity": "jaccard", "weighting": None}):
        model = UserKNN(**parameters).fit(X)
        for verb in (model.fit, model.partial_fit, model.predict, model.recommend):
            with pytest.raises(ValueError, match=r"non-negative entries, got -3\.0"):
                verb(np.where(X == 3, -3, X))
        np.testing.assert_array_equal(model.rows_.toarray(), X)
    UserKNN(weighting=None).fit(-X).predict(-X)


@pytest.mark.parametrize("factor", [1e-150, 1e200])
def test_entries_of_any_size(factor):
    X = matrix(7)
    expected = UserKNN(5, weighting=None).fit(X).predict(X)
    found = UserKNN(5, weighting=None).fit(X * factor).predict(X * factor)
    np.testing.assert_allclose(found / factor, expected)


def test_new_rows_that_are_out_of_all_proportion_are_refused():
    model = UserKNN(weighting=None).fit(matrix(8))
    with pytest.raises(ValueError, match="too large for what was learned"):
        model.predict(matrix(8) * 1e200)


def test_neither_users_by_users_nor_users_by_items_is_held():
    import tracemalloc

    X = sparse.random_array((4000, 3000), density=0.002, rng=0, format="csr")
    model = UserKNN(20, n_jobs=1)
    model.fit(X[:50]).recommend(X[:50])
    with config_context(working_memory=4):
        tracemalloc.start()
        model.fit(X).recommend(X)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4000 * 3000 * 8 / 4
