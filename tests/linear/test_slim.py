"""SLIM: its optimality conditions, its limits, and another library's elastic net."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet

from skrec import EASE, SLIM
from skrec.solvers._coordinate_descent import _AT_LEAST, gram_of_items
from skrec.utils import _memory


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
    model = SLIM(l1, l2, user_power=0, positive=positive, solver=solver, tol=1e-14).fit(X)
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
    model = SLIM(1.0, 2.0, user_power=0, n_neighbors=k, positive=positive, tol=1e-14).fit(X)
    assert_optimal(X, model.coef_.toarray(), 1.0, 2.0, positive, support)
    assert (model.coef_.data != 0).all()


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
    model = SLIM(0.0, 4.0, user_power=0, positive=False, solver=solver, tol=1e-14).fit(X)
    expected = EASE(l2=4.0, method="primal").fit(X).coef_
    np.testing.assert_allclose(model.coef_.toarray(), expected, atol=1e-5)


@pytest.mark.parametrize("positive", [True, False])
def test_columns_are_elastic_nets(positive):
    X, l1, l2 = matrix(4, (30, 8)), 3.0, 2.0
    coef = SLIM(l1, l2, user_power=0, positive=positive, tol=1e-14).fit(X).coef_.toarray()
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
        coef = SLIM(1.0, 2.0, user_power=0, solver=solver, tol=tol).fit(X).coef_.toarray()
        G = X.T @ X
        curvature = G.diagonal()[:, None] + 2.0
        best = np.maximum(G - G @ coef + G.diagonal()[:, None] * coef - 1.0, 0) / curvature
        gains = 0.5 * (best - coef) ** 2 * curvature
        np.fill_diagonal(gains, 0)
        shares = gains.max(axis=0) / (0.5 * G.diagonal())
        assert shares.max() <= tol * (1 + 1e-9)
        # and it does not go on for long after that
        assert shares.max() > 1e-6 * tol


def test_weights_of_users():
    X, weight = matrix(6), np.random.default_rng(6).integers(0, 4, 60)
    expected = SLIM(1.0, 2.0, user_power=0, tol=1e-14).fit(np.repeat(X, weight, axis=0)).coef_
    found = SLIM(1.0, 2.0, user_power=0, tol=1e-14).fit(X, sample_weight=weight).coef_
    np.testing.assert_allclose(found.toarray(), expected.toarray(), atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"n_neighbors": 5}, {"solver": "admm"}])
def test_user_power_weighs_users_and_keeps_the_unit_of_the_penalties(options):
    X = matrix(7)
    length = (X > 0).sum(axis=1)
    power = length**-0.7
    unit = (power * length).sum() / length.sum()
    model = SLIM(1.0, 2.0, user_power=0.7, tol=1e-14, **options).fit(X)
    other = SLIM(unit, 2 * unit, user_power=0, tol=1e-14, **options).fit(X, sample_weight=power)
    np.testing.assert_allclose(model.coef_.toarray(), other.coef_.toarray(), atol=1e-6)


def test_gram_of_some_items():
    X = sparse.csc_array(matrix(8) - 2.0 * matrix(9))
    latest = np.full(60, -1)
    for items in ([3], [7, 2, 24, 0], range(25)):
        gram = gram_of_items(X.indptr, X.indices, X.data, np.array(items), latest)
        np.testing.assert_allclose(gram, (X.T @ X).toarray()[np.ix_(items, items)])
        assert (latest == -1).all()


def test_working_sets_grow_until_nothing_gains():
    X = matrix(10, (300, 250), 0.1)
    coef = SLIM(0.1, 50.0, positive=False, user_power=0, tol=1e-14).fit(X).coef_
    assert np.diff(coef.tocsc().indptr).min() > 2 * _AT_LEAST
    assert_optimal(X, coef.toarray(), 0.1, 50.0, positive=False)


@pytest.mark.parametrize("solver", SOLVERS)
def test_too_few_iterations_are_said(solver):
    X = matrix(11)
    model = SLIM(0.1, 1.0, solver=solver, max_iter=3)
    with pytest.warns(ConvergenceWarning, match=r"of 25 items are .* max_iter=3 .*tol=1e-08"):
        model.fit(X)
    assert model.n_iter_ == 3
    assert model.coef_.nnz > 25
    assert 3 < model.set_params(max_iter=1000).fit(X).n_iter_ < 1000


def test_no_weights_at_all_are_said():
    X = np.array([[1.0, 1, 0], [1, 1, 0], [1, 0, 1]])
    for power in (0, 1):
        with pytest.warns(UserWarning, match="l1=3 leaves no weight: .* below 2, the most"):
            model = SLIM(l1=3, user_power=power).fit(X * 1.0)
        assert model.coef_.nnz == 0
        assert SLIM(l1=1.9, user_power=power).fit(X).coef_.nnz == 2
    assert SLIM().fit(np.eye(3)).coef_.nnz == 0  # nothing in common, whatever l1 is


def test_the_gram_matrix_has_to_fit(monkeypatch):
    monkeypatch.setattr(_memory, "available_memory", lambda: 8 * 25**2)
    X = matrix(12)
    coef = SLIM().fit(X).coef_
    model = SLIM(solver="admm")
    message = r"SLIM\(solver='admm'\) on 60 users x 25 items needs .*n_neighbors=100"
    with pytest.raises(MemoryError, match=message):
        model.fit(X)
    monkeypatch.setattr(_memory, "available_memory", lambda: 0)
    with pytest.raises(MemoryError, match=r"SLIM\(solver='cd'\) .*"):
        SLIM().fit(X)
    near = SLIM(n_neighbors=23).fit(X).coef_
    assert abs(near - coef).max() < 0.05


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ValueError, match=r"n_neighbors=3 needs solver='cd'"):
        SLIM(n_neighbors=3, solver="admm").fit(np.eye(3))
    with pytest.raises(ValueError, match="squares of X overflow in float32: scale X down"):
        SLIM().fit(np.full((2, 2), 1e30, dtype=np.float32))
    for wrong in ({"l1": -1}, {"n_neighbors": 0}, {"tol": 0}, {"solver": "lars"}):
        with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter of SLIM must"):
            SLIM(**wrong).fit(np.eye(3))


@pytest.mark.parametrize("solver", SOLVERS)
def test_float32_and_items_of_nobody(solver):
    X = matrix(13)
    X[:, 4] = 0
    expected = SLIM(solver=solver, l2=0.0).fit(X).coef_
    model = SLIM(solver=solver, l2=0.0).fit(X.astype(np.float32))
    assert model.coef_.dtype == np.float32
    np.testing.assert_allclose(model.coef_.toarray(), expected.toarray(), atol=1e-3)
    assert model.coef_[:, [4]].nnz == model.coef_[[4]].nnz == 0
