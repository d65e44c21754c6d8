"""SLIM: its optimality conditions, its limits, and another library's elastic net."""

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet

from skrec import EASE, SLIM


def matrix(seed=0, shape=(60, 25), density=0.3):
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < density) * rng.integers(1, 6, shape).astype(float)


def assert_optimal(X, coef, l1, l2, positive=True, support=None, atol=1e-4):
    """The Karush-Kuhn-Tucker conditions of each column, in units of the residual products."""
    n_items = X.shape[1]
    allowed = ~np.eye(n_items, dtype=bool) if support is None else support
    assert (coef[~allowed] == 0).all()
    slope = X.T @ X - (X.T @ X + l2 * np.eye(n_items)) @ coef  # downhill without l1
    here = coef != 0
    np.testing.assert_allclose(slope[here], l1 * np.sign(coef[here]), atol=atol)
    beyond = slope if positive else np.abs(slope)
    assert beyond[allowed & ~here].max(initial=0) <= l1 + atol
    if positive:
        assert coef.min() >= 0


SOLVERS = ["cd", "admm"]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize(("l1", "l2"), [(2.0, 5.0), (20.0, 0.5), (0.0, 3.0), (5.0, 0.0)])
def test_every_column_is_optimal(solver, positive, l1, l2):
    X = matrix()
    model = SLIM(l1, l2, positive=positive, solver=solver, tol=1e-14).fit(X)
    coef = model.coef_.toarray()
    assert_optimal(X, coef, l1, l2, positive)
    assert 0 < np.count_nonzero(coef) < (600 if l1 or positive else 601)
    assert (coef < 0).any() != positive
    np.testing.assert_allclose(model.predict(X), X @ coef)


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("k", [1, 4, 23])
def test_neighbours_are_the_nearest_by_cosine_and_optimal_among_them(k, positive):
    X = matrix(1)
    cosines = (X.T @ X) / np.outer(*[np.linalg.norm(X, axis=0)] * 2)
    np.fill_diagonal(cosines, -1)
    support = np.zeros(cosines.shape, dtype=bool)
    np.put_along_axis(support, np.argsort(-cosines, axis=0, kind="stable")[:k], True, axis=0)
    model = SLIM(1.0, 2.0, n_neighbors=k, positive=positive, tol=1e-14).fit(X)
    assert_optimal(X, model.coef_.toarray(), 1.0, 2.0, positive, support)


def test_with_all_neighbours_it_is_the_same():
    X = matrix(2)
    expected = SLIM(1.0, 2.0).fit(X).coef_.toarray()
    for k in (24, 100):
        np.testing.assert_array_equal(
            SLIM(1.0, 2.0, n_neighbors=k).fit(X).coef_.toarray(), expected
        )


@pytest.mark.parametrize("solver", SOLVERS)
def test_without_l1_and_sign_it_is_ease(solver):
    X = matrix(3)
    model = SLIM(0.0, 4.0, positive=False, solver=solver, tol=1e-14).fit(X)
    expected = EASE(l2=4.0, method="primal").fit(X).coef_
    np.testing.assert_allclose(model.coef_.toarray(), expected, atol=1e-5)


@pytest.mark.parametrize("positive", [True, False])
def test_columns_are_elastic_nets(positive):
    X, l1, l2 = matrix(4, (30, 8)), 3.0, 2.0
    coef = SLIM(l1, l2, positive=positive, tol=1e-14).fit(X).coef_.toarray()
    for item in range(8):
        others = X.copy()
        others[:, item] = 0
        net = ElasticNet(
            alpha=(l1 + l2) / 30, l1_ratio=l1 / (l1 + l2), fit_intercept=False,
            positive=positive, tol=1e-12, max_iter=10_000,
        )  # fmt: skip
        np.testing.assert_allclose(coef[:, item], net.fit(others, X[:, item]).coef_, atol=1e-5)


def objective(X, coef, l1, l2):
    return 0.5 * ((X - X @ coef) ** 2).sum() + l2 / 2 * (coef**2).sum() + l1 * np.abs(coef).sum()


def test_tol_bounds_what_any_single_weight_can_gain():
    X = matrix(5, (80, 120), 0.2)
    for solver, tol in [("cd", 1e-3), ("cd", 1e-6), ("admm", 1e-3), ("admm", 1e-6)]:
        coef = SLIM(1.0, 2.0, solver=solver, tol=tol).fit(X).coef_.toarray()
        G = X.T @ X
        curvature = G.diagonal()[:, None] + 2.0
        best = np.maximum(G - G @ coef + G.diagonal()[:, None] * coef - 1.0, 0) / curvature
        gains = 0.5 * (best - coef) ** 2 * curvature
        np.fill_diagonal(gains, 0)
        shares = gains.max(axis=0) / (0.5 * G.diagonal())
        assert shares.max() <= tol * (1 + 1e-9)
        # and it does not go on for long after that
        assert shares.max() > 1e-6 * tol
