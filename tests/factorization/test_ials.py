"""iALS: fold-in against the normal equations, sweeps against the objective, limits, values."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.linear_model import Ridge

from skrec import IALS
from skrec.factorization import _ials_training
from skrec.factorization._ials_solver import Objective, Sweeps, rotate
from skrec.solvers._devices import resolve_device
from skrec.utils._changes import update_rows

SOLVERS = ["cg", "subspace", "cholesky"]


def choices(n_users=60, n_items=25, density=0.3, seed=0):
    """Small counts in two groups of users, with an empty row and column."""
    rng = np.random.default_rng(seed)
    likes = np.kron(np.eye(2), np.ones((n_users // 2, n_items // 2 + 1)))[:, :n_items]
    X = rng.integers(1, 6, likes.shape) * (rng.random(likes.shape) < density * (0.2 + likes))
    X[3], X[:, 4] = 0, 0
    return sparse.csr_array(X.astype(float))


def normal_equations(model, row):
    """Matrix and right-hand side of one user's factors, written out."""
    V = model.item_embeddings_.astype(np.float64)
    x = row.toarray().ravel()
    c = confidences(model, x[None])[0]
    n_penalised = c.sum() + model.unobserved_weight * len(x)
    penalty = model._objective.l2 * n_penalised**model.l2_exponent
    matrix = model.unobserved_weight * V.T @ V + (V.T * c) @ V
    return matrix + penalty * np.eye(V.shape[1]), V.T @ c


def confidences(model, X):
    if model.confidence == "binary":
        return (X != 0).astype(float)
    values = choices().data
    if model.confidence == "linear":
        return X / values.mean()
    return np.log1p(X / values.mean()) / np.log1p(values / values.mean()).mean()


@pytest.mark.parametrize("confidence", ["binary", "linear", "log"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("n_components", [3, 40])  # fewer and more than a row has entries
def test_fold_in_solves_the_normal_equations(n_components, dtype, tolerance, confidence):
    X = choices()
    model = IALS(n_components, l2_exponent=0.5, confidence=confidence, dtype=dtype)
    factors = model.set_params(random_state=0).fit(X).transform(X)
    assert factors.dtype == dtype
    for user in (0, 7, 40):
        matrix, wanted = normal_equations(model, X[[user]])
        residual = np.linalg.norm(matrix @ factors[user] - wanted) / np.linalg.norm(wanted)
        assert residual < tolerance
    assert_array_equal(factors[3], 0)


@pytest.mark.parametrize("solver", SOLVERS)
def test_objective_of_a_sweep(solver):
    X = choices()
    objective = Objective.for_rows(X, "linear", 0.3, 0.05, 0.5)
    items = np.random.default_rng(1).normal(size=(25, 40))
    sweeps = Sweeps(objective, objective.weighted(X), items, solver, resolve_device("cpu"))
    losses = [sweeps.sweep() for _ in range(3)]
    U, V = sweeps._sides
    C = X.toarray() / X.data.mean()
    scores = U @ V.T
    expected = (C * (1 - scores) ** 2).sum() + 0.3 * (scores**2).sum()
    for factors, totals in ((U, C.sum(axis=1) + 0.3 * 25), (V, C.sum(axis=0) + 0.3 * 60)):
        expected += objective.l2 * (np.sqrt(totals) * (factors**2).sum(axis=1)).sum()
    assert losses[-1] == pytest.approx(expected)
    assert losses[0] > losses[1] > losses[2]


@pytest.mark.parametrize("confidence", ["binary", "log"])
def test_solvers_end_in_the_same_place(confidence):
    X = choices()
    settings = {"l2": 0.05, "confidence": confidence, "dtype": "float64", "random_state": 0}
    models = [IALS(20, solver=name, max_iter=300, **settings).fit(X) for name in SOLVERS]
    for model in models:
        curve = np.array(model.loss_curve_)
        assert (np.diff(curve) <= 1e-12 * curve[0]).all()
        assert_allclose(curve[-1], models[2].loss_curve_[-1], rtol=1e-6)
        assert_allclose(model.predict(X), models[2].predict(X), atol=1e-3)


def test_items_are_in_uncorrelated_axes_the_largest_first():
    V = IALS(6, random_state=0, dtype="float64").fit(choices()).item_embeddings_
    gram = V.T @ V
    assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-12)
    assert (np.diff(np.diag(gram)) <= 0).all()


def test_without_unobserved_weight_all_observed_is_ridge():
    X = sparse.csr_array(np.random.default_rng(0).integers(1, 6, (30, 12)).astype(float))
    model = IALS(4, unobserved_weight=0, l2=0.3, confidence="linear", dtype="float64")
    factors = model.set_params(random_state=0).fit(X).transform(X)
    for user, values in enumerate(X.toarray() / X.data.mean()):
        ridge = Ridge(0.3 * values.sum(), fit_intercept=False)
        ridge.fit(model.item_embeddings_, np.ones(12), sample_weight=values)
        assert_allclose(factors[user], ridge.coef_, atol=1e-10)


@pytest.mark.parametrize("solver", SOLVERS)
def test_rows_of_nothing_without_unobserved_weight(solver):
    X = choices()
    model = IALS(4, unobserved_weight=0, solver=solver, random_state=0).fit(X)
    assert_array_equal(model.predict(X)[3], 0)
    assert_array_equal(model.predict(X)[:, 4], 0)


def test_initial_factors_have_a_score_of_small_variance():
    draws = IALS(64)._initial_items(2000, np.random.RandomState(0), "float64")
    assert np.var(draws) == pytest.approx(0.01 / 64, rel=0.02)


@pytest.mark.parametrize("unobserved_weight", [0.1, 1.0])
def test_without_penalty_scores_are_what_both_weights_leave(unobserved_weight):
    X = np.kron(np.eye(3), np.ones((5, 4)))
    model = IALS(3, unobserved_weight=unobserved_weight, l2=1e-9, max_iter=50, dtype="float64")
    scores = model.set_params(random_state=0).fit(X).predict(X)
    assert_allclose(scores, X / (1 + unobserved_weight), atol=1e-6)


@pytest.mark.parametrize("l2_exponent", [0, 0.5, 1, 1.5])
def test_exponent_leaves_the_sum_of_the_penalties(l2_exponent):
    X = choices()
    objective = Objective.for_rows(X, "binary", 0.2, 0.01, l2_exponent)
    weighted = objective.weighted(X)
    both = weighted, weighted.T.tocsr()
    total = sum((objective.l2 * objective._totals(rows) ** l2_exponent).sum() for rows in both)
    plain = 2 * X.nnz + 0.2 * 25 * 60 * 2
    assert total == pytest.approx(0.01 * plain)


def test_values_count_as_repeated_choices():
    X = np.array([[2.0, 1, 0, 0], [1, 2, 1, 0], [0, 0, 1, 2], [0, 1, 2, 1]])
    linear = IALS(2, confidence="linear", l2=0.1, dtype="float64", random_state=0).fit(X)
    weights = X[X > 0] / X[X > 0].mean()
    of = linear._objective.weighted(sparse.csr_array(X))
    assert_allclose(of.data, weights)
    assert of.data.mean() == pytest.approx(1)
    tenfold = IALS(2, confidence="linear", l2=0.1, dtype="float64", random_state=0).fit(10 * X)
    assert_allclose(tenfold.predict(10 * X), linear.predict(X), atol=1e-12)
    binary = IALS(2, l2=0.1, dtype="float64", random_state=0).fit(X)
    assert_array_equal(binary.predict(X), binary.predict((X > 0).astype(float)))
    assert np.abs(linear.predict(X) - binary.predict(X)).max() > 0.01


@pytest.mark.parametrize("confidence", ["binary", "log"])
def test_explanation_is_hu_koren_and_volinskys(confidence):
    X = choices()
    model = IALS(5, confidence=confidence, dtype="float64", random_state=0).fit(X)
    user = X[[7]]
    (contributions,) = model.explain(user, [1, 9])
    matrix, _ = normal_equations(model, user)
    V, c = model.item_embeddings_, confidences(model, user.toarray())[0]
    expected = (V[[1, 9]] @ np.linalg.solve(matrix, V.T)) * c
    assert_allclose(contributions.toarray(), expected, atol=1e-12)
    assert_allclose(contributions.sum(axis=1), model.predict(user)[0, [1, 9]])


def test_early_stopping_keeps_the_best_sweep():
    X = choices(400, density=0.5)
    model = IALS(4, early_stopping=True, max_iter=40, random_state=0).fit(X)
    assert model.n_iter_ == len(model.validation_scores_) == len(model.loss_curve_) < 40
    assert model.best_iteration_ == 1 + int(np.argmax(model.validation_scores_))
    assert model.n_iter_ == model.best_iteration_ + 3
    shorter = IALS(4, early_stopping=True, max_iter=model.best_iteration_, random_state=0).fit(X)
    assert_array_equal(shorter.item_embeddings_, model.item_embeddings_)
    plain = model.set_params(early_stopping=False).fit(X)
    assert not hasattr(plain, "validation_scores_")
    assert not hasattr(plain, "best_iteration_")


def test_tolerance_ends_the_sweeps():
    model = IALS(4, tol=0.01, max_iter=100, random_state=0).fit(choices())
    curve = model.loss_curve_
    assert model.n_iter_ == len(curve) < 100
    assert curve[-2] - curve[-1] < 0.01 * curve[-1]
    assert curve[-3] - curve[-2] >= 0.01 * curve[-2]


def test_warm_start_goes_on():
    X = choices()
    model = IALS(4, max_iter=5, warm_start=True, dtype="float64", random_state=0)
    before = model.fit(X).loss_curve_[-1]
    assert model.fit(X).loss_curve_[0] < before
    with pytest.raises(ValueError, match=r"goes on with 4 components, but n_components is 5"):
        model.set_params(n_components=5).fit(X)


def test_warm_start_keeps_what_no_sweep_improves():
    X = np.kron(np.eye(3), np.ones((12, 6)))
    settings = {"early_stopping": True, "warm_start": True, "dtype": "float64", "random_state": 0}
    model = IALS(3, **settings).fit(X)
    before = model.item_embeddings_
    assert max(model.validation_scores_) == 1
    assert model.fit(X).best_iteration_ == 0
    after = model.item_embeddings_
    assert_allclose(after @ after.T, before @ before.T, atol=1e-12)  # signs are arbitrary


def test_update_goes_on_from_the_items():
    X = choices()
    model = IALS(4, max_iter=3, random_state=0).fit(X[:40])
    before = model.item_embeddings_
    update_rows(model, X[:40], X)
    assert model.item_embeddings_.shape == before.shape
    assert model.loss_curve_[0] < IALS(4, max_iter=3, random_state=0).fit(X).loss_curve_[0]
    with pytest.raises(ValueError, match="goes on with 4 components, but n_components is 6"):
        update_rows(model.set_params(n_components=6), X[:40], X)


@pytest.mark.parametrize("solver", SOLVERS)
def test_more_components_than_data(solver):
    X = choices()
    settings = {"solver": solver, "max_iter": 60, "dtype": "float64", "random_state": 0}
    many, all_there_are = (IALS(n, **settings).fit(X) for n in (60, 25))
    assert many.loss_curve_[-1] == pytest.approx(all_there_are.loss_curve_[-1], rel=1e-3)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("settings", [{"l2": 10.0}, {"unobserved_weight": 1e6}])
def test_factors_that_vanish(solver, settings):
    """Their squares are below the smallest number that single precision has."""
    X = choices()
    model = IALS(8, solver=solver, max_iter=60, random_state=0, **settings).fit(X)
    assert model.loss_curve_[-1] == pytest.approx(X.nnz)
    assert_allclose(model.predict(X), 0, atol=1e-10)


def test_negative_entries():
    X = choices()
    model = IALS(4, random_state=0).fit(X)
    X.data[5] = -1
    for use in (model.fit, model.predict):
        with pytest.raises(ValueError, match="IALS needs non-negative entries"):
            use(X)


def test_entries_beyond_floats():
    X = choices()
    model = IALS(4, random_state=0).fit(X)
    X.data[5] = 1e300
    for use in (model.fit, model.predict):
        with pytest.raises(ValueError, match=r"1e\+300.*float32"):
            use(X)
    model.set_params(dtype="float64", confidence="log").fit(X)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize(
    "settings", [{"l2": 1e-300}, {"l2_exponent": 1e12}, {"unobserved_weight": 1e308}]
)
def test_penalties_beyond_floats(settings):
    with pytest.raises(ValueError, match="make penalties that float32 cannot hold: take values"):
        IALS(4, **settings).fit(choices())


def test_memory(monkeypatch):
    monkeypatch.setattr("skrec.utils._memory.available_memory", lambda: 1000)
    with pytest.raises(MemoryError, match="use a smaller n_components"):
        IALS(4).fit(choices())


def test_interruption_keeps_the_sweeps_so_far(monkeypatch):
    made = []

    class Interrupted(Sweeps):
        def sweep(self):
            if len(made) == 2:
                raise KeyboardInterrupt
            made.append(super().sweep())
            return made[-1]

    X = choices()
    expected = IALS(4, max_iter=2, random_state=0).fit(X)
    monkeypatch.setattr(_ials_training, "Sweeps", Interrupted)
    with pytest.warns(UserWarning, match="interrupted in sweep 3"):
        model = IALS(4, random_state=0).fit(X)
    assert model.n_iter_ == len(model.loss_curve_) == 2
    assert_array_equal(model.item_embeddings_, expected.item_embeddings_)


def test_rotation_leaves_inner_products():
    rng = np.random.default_rng(0)
    factors, others = rng.normal(size=(20, 6)), rng.normal(size=(9, 6))
    rotated, rotated_others = factors.copy(), others.copy()
    rotate(rotated, rotated_others)
    assert_allclose(rotated @ rotated_others.T, factors @ others.T)
    gram = rotated.T @ rotated
    assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-12)
