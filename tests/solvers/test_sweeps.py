"""Sweeps over entries: each solver against the exact minimum, residuals against predictions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrec.solvers import _sweeps
from skrec.solvers._sweeps import EntrySweeps


class Problem:
    """Entries with targets and confidences, and weights of both sides to start from."""

    def __init__(self, n_weights=5, shape=(60, 30), dtype=np.float64, seed=0):
        rng = np.random.default_rng(seed)
        X = sparse.random_array(shape, density=0.3, rng=rng, format="csr", dtype=dtype)
        X.data += 1
        dense = X.toarray()
        dense[3], dense[:, 4] = 0, 0
        self.X = sparse.csr_array(dense)
        self.confidences = rng.uniform(0.5, 2, self.X.nnz).astype(dtype)
        self.sides = [rng.normal(size=(n, n_weights)).astype(dtype) for n in shape]
        self.diagonal = rng.uniform(0.1, 1, n_weights).astype(dtype)
        self.penalties = [rng.uniform(0.5, 2, n).astype(dtype) for n in shape]

    def residuals(self):
        rows, columns = self.X.nonzero()
        return np.einsum("ek,ek->e", self.sides[0][rows], self.sides[1][columns]) - self.X.data

    def sweeps(self):
        return EntrySweeps(self.X, self.residuals(), self.confidences)

    def improved(self, side, solver, sweeps=None):
        table = self.sides[side].copy()
        sweeps = self.sweeps() if sweeps is None else sweeps
        others = self.sides[1 - side]
        assert sweeps.improve(side, solver, others, self.diagonal, self.penalties[side], table)
        return table

    def best(self, side):
        C = sparse.csr_array((self.confidences, self.X.nonzero()), shape=self.X.shape).toarray()
        X, C = (self.X.toarray(), C) if side == 0 else (self.X.toarray().T, C.T)
        others = self.sides[1 - side]
        found = np.zeros_like(self.sides[side])
        for row in np.flatnonzero(C.any(axis=1)):
            hessian = (others.T * C[row]) @ others + np.diag(
                self.diagonal + self.penalties[side][row]
            )
            found[row] = np.linalg.solve(hessian, others.T @ (C[row] * X[row]))
        return found


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("n_weights", [1, 5, 32])
def test_subspace_of_all_weights_is_the_exact_minimum(side, n_weights):
    problem = Problem(n_weights)
    assert_allclose(problem.improved(side, "subspace"), problem.best(side), atol=1e-9)


@pytest.mark.parametrize("side", [0, 1])
def test_conjugate_gradients_reach_the_minimum(side, monkeypatch):
    problem = Problem(7)
    monkeypatch.setattr(_sweeps, "N_STEPS", 30)
    assert_allclose(problem.improved(side, "cg"), problem.best(side), atol=1e-9)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("solver", ["cg", "subspace"])
def test_repeated_half_sweeps_reach_the_minimum(solver, side):
    problem = Problem(48)
    problem.penalties[side] += 20
    best = problem.best(side)
    sweeps = problem.sweeps()
    for _ in range(150):
        problem.sides[side] = problem.improved(side, solver, sweeps)
    assert_allclose(problem.sides[side], best, atol=1e-6)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("solver", ["cg", "subspace"])
def test_residuals_are_kept_up_to_date(solver, side):
    problem = Problem(40)
    sweeps = problem.sweeps()
    before = sweeps.loss()
    problem.sides[side] = problem.improved(side, solver, sweeps)
    assert_allclose(sweeps.residuals, problem.residuals(), atol=1e-10)
    assert sweeps.loss() == pytest.approx(problem.confidences @ problem.residuals() ** 2)
    assert sweeps.loss() < before


@pytest.mark.parametrize("solver", ["cg", "subspace"])
def test_rows_without_entries_have_no_weights(solver):
    problem = Problem()
    assert_array_equal(problem.improved(0, solver)[3], 0)
    assert_array_equal(problem.improved(1, solver)[4], 0)


@pytest.mark.parametrize("solver", ["cg", "subspace"])
def test_threads_change_nothing(solver, monkeypatch):
    problem = Problem(20, (300, 50))
    alone = problem.improved(0, solver)
    monkeypatch.setattr(_sweeps, "effective_n_threads", lambda: 3)
    assert_array_equal(problem.improved(0, solver), alone)


def test_a_singular_problem_is_told():
    problem = Problem(4, dtype=np.float32)
    problem.sides[1][:] = 1e8  # all columns alike: rounding leaves nothing of the penalty
    problem.diagonal[:], problem.penalties[0][:] = 0, 1e-12
    arguments = problem.sides[1], problem.diagonal, problem.penalties[0], problem.sides[0]
    assert not problem.sweeps().improve(0, "subspace", *arguments)


def test_loss_is_added_up_in_double_precision():
    """A float32 of 2**26 is no other number for a 1 more."""
    X = sparse.csr_array(np.ones((1000, 300), dtype=np.float32))
    residuals = np.ones_like(X.data)
    residuals[::10000] = 2**13
    sweeps = EntrySweeps(X, residuals, np.ones_like(X.data))
    assert sweeps.loss() == 30 * 2**26 + 300_000 - 30


def test_shares_have_about_as_many_entries():
    indptr = np.cumsum(np.r_[0, 1000, np.ones(500), 0, 0, 400, np.zeros(300)]).astype(int)
    shares = _sweeps._shares(indptr, 8)
    assert shares[0][0] == 0
    assert shares[-1][1] == len(indptr) - 1
    assert [first for first, _ in shares[1:]] == [last for _, last in shares[:-1]]
    entries = [indptr[last] - indptr[first] for first, last in shares]
    assert max(entries) == 1000  # a row is one share at most
    assert sum(n > 2 * indptr[-1] / 8 for n in entries) <= 2
