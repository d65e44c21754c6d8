"""GraphFilter: the formulas of SGFCF, GF-CF and Turbo-CF, written out with dense matrices."""

import numpy as np
import pytest
from scipy import sparse

from skrec import GraphFilter
from skrec.linear._graph_signals import leading_vectors


def matrix(seed=0, shape=(40, 15), density=0.3):
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < density) * rng.integers(1, 4, shape).astype(float)


def inverse_power(sums, power):
    return np.where(sums > 0, np.maximum(sums, 1e-9) ** -power, 0)


def parts(X, a, b):
    """What all formulas are made of, with the singular vectors of a dense matrix."""
    users, items = X.sum(axis=1), X.sum(axis=0)
    R = inverse_power(users, a)[:, None] * X * inverse_power(items, b)
    _, sigma, rows = np.linalg.svd(R, full_matrices=False)
    return R, items, sigma, rows.T


def over_sums(scores):
    sums = scores.sum(axis=1, keepdims=True)
    return scores / np.where(sums == 0, 1, sums)


@pytest.mark.parametrize("k", [1, 6, 15])
@pytest.mark.parametrize(("eps", "beta"), [(0.35, 0.75), (0.5, 1.3), (0.2, 0.5)])
def test_sgfcf(k, eps, beta):
    X, new = matrix(), matrix(1, (20, 15))
    R, items, sigma, V = parts(X, eps, eps)
    V, s = V[:, :k], sigma[:k] / sigma[0]
    # Of a training user, U comes from the decomposition; of others, from their rows.
    U = R @ V / sigma[:k]
    model = GraphFilter(
        k,
        user_power=eps,
        item_power=eps,
        spectral_power=2 * beta - 1,
        linear_weight=0.4,
        n_neighbors=None,
    ).fit(X)
    scores = over_sums((U * s**beta) @ (V * s**beta).T) + 0.4 * over_sums(R @ R.T @ R)
    np.testing.assert_allclose(model.predict(X), scores, rtol=1e-8)
    scaled = new * items**-eps
    scores = over_sums(scaled @ (V * s ** (2 * beta - 1)) @ V.T)
    scores += 0.4 * over_sums(scaled @ R.T @ R)
    np.testing.assert_allclose(model.predict(new), scores, rtol=1e-8)


def test_gf_cf():
    X, new = (matrix(1, shape) > 0 for shape in [(40, 15), (20, 15)])
    R, items, _, V = parts(1.0 * X, 0.5, 0.5)
    model = GraphFilter(
        5,
        filter="gf-cf",
        user_power=0.5,
        item_power=0.5,
        spectral_power=0,
        linear_weight=1 / 0.3,
        n_neighbors=None,
    ).fit(X)
    low_pass = items[:, None] ** -0.5 * (V[:, :5] @ V[:, :5].T) * items**0.5
    scores = new @ R.T @ R + 0.3 * new @ low_pass
    np.testing.assert_allclose(0.3 * model.predict(new), scores, rtol=1e-8)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(("a", "power"), [(0.5, 1.0), (0.6, 0.7)])
def test_turbo_cf(order, a, power):
    X, new = matrix(2), matrix(3, (20, 15))
    R, *_ = parts(X, a, 1 - a)
    P = (R.T @ R) ** power
    polynomial = {
        1: P,
        2: 2 * P - P @ P,
        3: P + 0.01 * (-P @ P @ P + 10 * P @ P - 29 * P),
    }[order]
    model = GraphFilter(
        0,
        filter="gf-cf",
        user_power=a,
        item_power=1 - a,
        linear_power=power,
        linear_weight=1,
        n_neighbors=None,
        order=order,
    ).fit(X)
    np.testing.assert_allclose(model.predict(new), new @ polynomial, rtol=1e-8, atol=1e-12)
    lists, scores = model.recommend(new, k=4, exclude_seen=False, return_scores=True)
    ordered = -np.sort(-(new @ polynomial), axis=1)[:, :4]
    np.testing.assert_allclose(scores, ordered, rtol=1e-8)
    assert model.transform(new).shape == (20, 0)


def test_an_ideal_filter_of_all_components_returns_the_row():
    X, new = matrix(4), matrix(5, (20, 15))
    scaled = new * X.sum(axis=0) ** -0.3
    model = GraphFilter(100, spectral_power=0, linear_weight=0).fit(X)
    np.testing.assert_allclose(model.predict(new), over_sums(scaled), rtol=1e-8, atol=1e-12)
    assert model.item_embeddings_.shape == (15, 15)
    assert model.coef_.nnz == 0


def test_a_large_weight_leaves_the_linear_filter():
    X, new = matrix(6), matrix(7, (20, 15))
    both, one = (GraphFilter(k, linear_weight=w).fit(X) for k, w in [(3, 1e9), (0, 1)])
    np.testing.assert_allclose(both.predict(new) / 1e9, one.predict(new), rtol=1e-6, atol=1e-8)


def test_separate_blocks_share_no_scores():
    X = np.kron(np.eye(2), np.ones((6, 4)))
    X[[0, 7], [1, 5]] = 0
    X[3, 2] = 2
    scores = GraphFilter(2).fit(X).predict(X)
    np.testing.assert_allclose(scores[:6, 4:], 0, atol=1e-12)
    np.testing.assert_allclose(scores[6:, :4], 0, atol=1e-12)
    assert (scores[:6, :4] > 0.05).all()
    assert (scores[6:, 4:] > 0.05).all()


@pytest.mark.parametrize("k", [1, 3, 14])
def test_each_column_keeps_its_largest_neighbours_and_itself(k):
    X = matrix(8)
    R, *_ = parts(X / X.max(), 0.3, 0.3)
    everything = R.T @ R
    kept = GraphFilter(2, n_neighbors=k, linear_power=1.5).fit(X).coef_.toarray()
    for item, (column, weights) in enumerate(zip(kept.T, everything.T, strict=True)):
        others = weights.copy()
        others[item] = 0
        chosen = np.argsort(-others, kind="stable")[:k]
        chosen = np.sort(np.append(chosen[others[chosen] > 0], item))
        np.testing.assert_array_equal(np.flatnonzero(column), chosen)
        np.testing.assert_allclose(column[chosen], weights[chosen] ** 1.5)


def test_singular_vectors_are_exact_and_of_fixed_sign():
    R = matrix(9, (30, 20)) * 0.3
    R[:, 5] = R[:, 6]  # of rank 19, and with an empty column 18
    R[:, 7] = 0
    _, sigma, rows = np.linalg.svd(R)
    for k in (1, 7, 19, 50):
        values, vectors = leading_vectors(sparse.csr_array(R), k)
        n_kept = min(k, 18)
        np.testing.assert_allclose(values, sigma[:n_kept], rtol=1e-10)
        np.testing.assert_allclose(vectors @ vectors.T, rows[:n_kept].T @ rows[:n_kept], atol=1e-8)
        largest = np.abs(vectors).argmax(axis=0)
        assert (vectors[largest, np.arange(n_kept)] > 0).all()


def test_transform_is_the_row_on_the_singular_vectors():
    X = matrix(10) > 0
    R, _, sigma, V = parts(1.0 * X, 0.3, 0.2)
    model = GraphFilter(4, user_power=0.3, item_power=0.2, spectral_power=0.8).fit(X)
    np.testing.assert_allclose(model.singular_values_, sigma[:4])
    half_powers = (sigma[:4] / sigma[0]) ** 0.4
    found = model.transform(X)
    expected = R @ V[:, :4] * half_powers
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found, signs * expected, atol=1e-10)
    np.testing.assert_allclose(model.item_embeddings_, signs * V[:, :4] * half_powers, atol=1e-10)
    assert list(model.get_feature_names_out()) == [f"graphfilter{i}" for i in range(4)]


def test_the_unit_of_the_entries_is_of_no_importance():
    X, new = matrix(11), matrix(12, (20, 15))
    for parameters in ({}, {"filter": "gf-cf", "order": 2, "linear_power": 1.3}):
        model = GraphFilter(4, **parameters)
        expected = model.fit(X).predict(new)
        for unit in (7.0, 1e300):
            np.testing.assert_allclose(model.fit(unit * X).predict(new), expected, rtol=1e-8)


def test_odd_rows_are_divided_by_no_less_than_their_norm():
    rng = np.random.default_rng(13)
    X = (rng.random((60, 30)) < rng.random(30) ** 3).astype(float)
    model = GraphFilter(6, spectral_power=0.3, linear_weight=0).fit(X)
    scores = model.predict(np.eye(30))
    raw = model.item_embeddings_ @ model.item_embeddings_.T
    raw *= inverse_power(X.sum(axis=0), 0.3)[:, None]
    sums, norms = raw.sum(axis=1), np.linalg.norm(raw, axis=1)
    assert (sums < norms).any()
    divisors = np.maximum(sums, norms)
    divisors[divisors == 0] = 1
    np.testing.assert_allclose(scores, raw / divisors[:, None], rtol=1e-8)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"n_components": 0},
        {"filter": "gf-cf", "order": 3, "linear_power": 1.3},
        {"linear_weight": 0},
    ],
)
def test_explain_and_similar_items(parameters):
    X = matrix(14)
    model = GraphFilter(**{"n_components": 4, "n_neighbors": 5, **parameters}).fit(X)
    scores = model.predict(X[:4])
    items = model.recommend(X[:4], k=3)
    for user, contributions in enumerate(model.explain(X[:4], items)):
        np.testing.assert_allclose(contributions.sum(axis=1), scores[user][items[user]])
        assert set(contributions.indices) <= set(np.flatnonzero(X[user]))
    indices, similarities = model.similar_items([0, 2], k=4, return_scores=True)
    of_one = model.predict(np.eye(15)[[0, 2]])
    assert (indices != [[0], [2]]).all()
    np.testing.assert_allclose(similarities, np.take_along_axis(of_one, indices, axis=1))


@pytest.mark.parametrize(("n_users", "n_components"), [(3, 1), (21, 4), (800, 150)])
def test_components_are_a_fifth_of_the_users_and_150_at_most(n_users, n_components):
    X = matrix(16, (n_users, 160), 0.2)
    model = GraphFilter(linear_weight=0).fit(X)
    assert model.transform(X).shape == (n_users, n_components)
    np.testing.assert_allclose(model.predict(X[:3]).sum(axis=1), 1)


def test_rows_and_items_of_which_nothing_is_known():
    X = matrix(15)
    X[:, 3] = 0
    X[2] = 0
    of_gf_cf = {"filter": "gf-cf", "linear_power": 0}
    for parameters in ({}, of_gf_cf, {"n_components": 0}):
        model = GraphFilter(**{"n_components": 4, **parameters}).fit(X)
        rows = np.zeros((3, 15))
        rows[1, 3] = 1
        rows[2, [3, 4]] = 1
        scores = model.predict(rows)
        np.testing.assert_array_equal(scores[:2], 0)
        assert scores[2].any()
        assert scores[2, 3] == 0
        nothing = GraphFilter(**parameters).fit(np.zeros((3, 15)))
        np.testing.assert_array_equal(nothing.predict(rows), 0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"order": 2}, "order=2 needs filter='gf-cf'"),
        ({"n_components": 0, "linear_weight": 0}, "leave nothing to score by"),
        ({"filter": "gf-cf", "order": 2, "linear_weight": 0}, "has no meaning with linear_weight"),
        ({"filter": "turbo"}, "must be a str among"),
        ({"n_neighbors": 0}, "n_neighbors"),
        ({"user_power": -0.1}, "user_power"),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        GraphFilter(**parameters).fit(matrix())


def test_negative_entries_are_refused():
    with pytest.raises(ValueError, match=r"non-negative entries, got -1\.0.*binarize"):
        GraphFilter().fit([[1, -1], [1, 1]])


@pytest.mark.parametrize("unit", [1e-20, 1e18, 1e30])
def test_units_of_a_row_leave_its_parts_as_they_are(unit):
    X = matrix(3).astype(np.float32)
    model = GraphFilter(5).fit(X)
    np.testing.assert_allclose(model.predict(X * np.float32(unit)), model.predict(X), atol=1e-6)
