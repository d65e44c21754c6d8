"""RP3beta: its formula, written out; P3alpha as walks; the neighbours that are kept."""

import numpy as np
import pytest
from scipy import sparse

from skrec import RP3beta
from skrec.neighbors._rp3beta import step_probabilities
from skrec.solvers._similarities import nearest_columns


def matrix(seed=0, shape=(40, 15), density=0.3):
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < density) * rng.integers(1, 6, shape).astype(float)


def weights_by_hand(X, alpha, beta):
    n_users, n_items = X.shape
    B = np.zeros((n_items, n_items))
    for i in range(n_items):
        for j in range(n_items):
            for u in range(n_users):
                if i != j and X[u, i] > 0 and X[u, j] > 0:
                    to_user, to_item = X[u, i] / X[:, i].sum(), X[u, j] / X[u].sum()
                    B[i, j] += to_user**alpha * to_item**alpha
    return B / np.maximum((X > 0).sum(axis=0), 1) ** beta


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.6), (0.7, 0.0), (0.0, 1.0), (1.5, 0.3)])
def test_formula(alpha, beta):
    X = matrix()
    model = RP3beta(15, alpha=alpha, beta=beta).fit(X)
    np.testing.assert_allclose(
        model.coef_.toarray(), weights_by_hand(X, alpha, beta), rtol=1e-12, atol=1e-15
    )
    np.testing.assert_allclose(model.predict(X), X @ weights_by_hand(X, alpha, beta), rtol=1e-10)


def test_walks_of_p3alpha_are_distributions():
    X = matrix(1)
    walks = step_probabilities(sparse.csr_array(X.T), 1) @ step_probabilities(
        sparse.csr_array(X), 1
    )
    np.testing.assert_allclose(walks.sum(axis=1), 1)
    expected = RP3beta(15, alpha=1.0, beta=0).fit(X).coef_.toarray()
    np.fill_diagonal(walks := walks.toarray(), 0)
    np.testing.assert_allclose(expected, walks)


def test_p3alpha_of_choices_is_a_filter_of_the_normalised_matrix():
    X = (matrix(8) > 0).astype(float)
    X = X[X.any(axis=1)]
    of_users, of_items = X.sum(axis=1), X.sum(axis=0)
    normalised = X / np.sqrt(of_users[:, None] * of_items)
    filtered = normalised.T @ normalised * np.sqrt(of_items / of_items[:, None])
    np.fill_diagonal(filtered, 0)
    coef = RP3beta(15, alpha=1.0, beta=0).fit(X).coef_.toarray()
    np.testing.assert_allclose(coef, filtered, atol=1e-15)


@pytest.mark.parametrize("k", [1, 3, 14])
def test_each_column_keeps_its_largest_weights(k):
    X = matrix(2)
    everything = weights_by_hand(X, 0.6, 0.6)
    kept = RP3beta(k).fit(X).coef_.toarray()
    for column, all_weights in zip(kept.T, everything.T, strict=True):
        chosen = np.sort(np.argsort(-all_weights, kind="stable")[:k])
        chosen = chosen[all_weights[chosen] > 0]
        np.testing.assert_array_equal(np.flatnonzero(column), chosen)
        np.testing.assert_allclose(column[chosen], all_weights[chosen])


def test_scale_of_a_user_does_not_matter_to_the_steps_to_items():
    X = matrix(3)
    steps = step_probabilities(sparse.csr_array(X * np.arange(1, 41)[:, None]), 0.8)
    np.testing.assert_allclose(
        steps.toarray(), step_probabilities(sparse.csr_array(X), 0.8).toarray()
    )
    huge = step_probabilities(sparse.csr_array(X * (1e308 / X.max())), 1.0)
    np.testing.assert_allclose(huge.sum(axis=1)[X.any(axis=1)], 1)


def test_nearest_columns_in_blocks_of_any_size():
    from sklearn import config_context

    left, right = (sparse.csr_array(matrix(seed, (30, 90))) for seed in (4, 5))
    product = (left.T @ right).toarray()
    np.fill_diagonal(product, 0)
    order = np.argsort(-product, axis=0, kind="stable")[:7]
    expected = np.zeros_like(product)
    np.put_along_axis(expected, order, np.take_along_axis(product, order, axis=0), axis=0)
    for working_memory in (0.001, 1024):
        for n_threads in (1, 3):
            with config_context(working_memory=working_memory):
                found = nearest_columns(left, right, 7, n_threads)
            np.testing.assert_allclose(found.toarray(), expected)


def test_negative_entries_are_refused():
    with pytest.raises(ValueError, match=r"non-negative entries, got -1\.0.*binarize"):
        RP3beta().fit([[1, -1], [1, 1]])


def test_explain_and_similar_items():
    X = matrix(7)
    model = RP3beta(5).fit(X)
    items = model.recommend(X[:4], k=3)
    for user, contributions in enumerate(model.explain(X[:4], items)):
        np.testing.assert_allclose(
            contributions.sum(axis=1), model.predict(X[:4])[user][items[user]]
        )
    indices, scores = model.similar_items([0, 2], k=4, return_scores=True)
    assert (indices != [[0], [2]]).all()
    np.testing.assert_allclose(scores[0], np.sort(model.coef_.toarray()[0])[::-1][:4])


def test_a_beta_beyond_floats_leaves_the_items_of_one_user():
    X = np.array([[1.0, 1, 0], [1, 0, 1], [1, 0, 1]])
    coef = RP3beta(beta=1e12).fit(X).coef_.toarray()
    np.testing.assert_array_equal(coef[:, [0, 2]], 0)
    np.testing.assert_array_equal(coef[:, 1] > 0, [True, False, False])
