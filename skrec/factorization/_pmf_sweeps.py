"""Sweeps of PMF: exact half-sweeps in batches, or steps on entries that are predicted already."""

import numpy as np
import torch

from skrec.solvers._alternating import improve
from skrec.solvers._least_squares import singular_error
from skrec.solvers._row_groups import group_rows
from skrec.solvers._sweeps import MAX_EXACT, EntrySweeps

_ADVICE = "use a larger l2 or solver='cholesky'"


def choose_solver(solver, objective, n_weights, device):
    """Turn "auto" into the solver that is quickest, and refuse one that cannot do it.

    Parameters
    ----------
    solver : {"auto", "cholesky", "cg", "subspace"}
    objective : Objective
    n_weights : int
    device : torch.device

    Returns
    -------
    solver : {"cholesky", "cg", "subspace"}
    """
    if solver == "auto":
        if objective.logistic is not None or device.type != "cpu":
            return "cholesky"
        return "subspace" if n_weights <= MAX_EXACT else "cg"
    if solver != "cholesky" and objective.logistic is not None:
        raise ValueError(
            f"solver={solver!r} needs least squares, which link='logistic' is not: use "
            "solver='auto', or link='identity'."
        )
    return solver


class Sweeps:
    """Alternating sweeps, and the objective after each half.

    Parameters
    ----------
    objective : Objective
    X : csr_array of shape (n_users, n_items)
    items : ndarray of shape (n_items, n_weights)
        Weights to start from.
    """

    def __init__(self, objective, X, items):
        self.objective = objective
        self.sides = [np.zeros((X.shape[0], items.shape[1]), items.dtype), items]
        lengths = np.diff(X.indptr), np.bincount(X.indices, minlength=X.shape[1])
        self.penalties = [
            objective.penalty(torch.from_numpy(n.astype(X.dtype))).numpy() for n in lengths
        ]
        if not all(np.isfinite(penalties).all() for penalties in self.penalties):
            raise ValueError(
                f"l2={objective.l2:g} makes penalties that {X.dtype} cannot hold: make it smaller."
            )

    def sweep(self):
        """Improve both sides; return the objective after either half."""
        sides, losses = list(self.sides), []
        for side in (0, 1):
            sides[side], errors = self._improve(side, sides)
            others = self._penalty(1 - side, sides)
            losses.append(errors + others)
        self.sides = sides
        return losses

    def _penalty(self, side, sides):
        """Half the penalties on one side's weights, in total."""
        squares = np.square(sides[side]).sum(axis=1)
        return float((self.penalties[side] * squares).sum(dtype=np.float64)) / 2


class ExactSweeps(Sweeps):
    """Exact half-sweeps on a device; with a logistic link Gauss-Newton steps."""

    def __init__(self, objective, X, items, device):
        super().__init__(objective, X, items)
        self._device = device
        self._groups = group_rows(X, device), group_rows(X.T.tocsr(), device)

    def _improve(self, side, sides):
        tables = [torch.as_tensor(table, device=self._device) for table in sides]
        improved, losses = improve(
            self.objective, self._groups[side], tables[side], tables[1 - side]
        )
        return improved.cpu().numpy(), float(losses.sum())


class StepSweeps(Sweeps):
    """Half-sweeps that go on from the weights and the residuals so far, on the CPU."""

    def __init__(self, objective, X, items, solver):
        super().__init__(objective, X, items)
        self._solver = solver
        residuals = objective.intercept - X.data
        if objective.has_offsets:
            residuals += items[X.indices, -1]
        residuals = residuals.astype(X.dtype, copy=False)
        self._entries = EntrySweeps(X, residuals, np.ones_like(X.data))
        self._no_diagonal = np.zeros(items.shape[1], items.dtype)

    def _improve(self, side, sides):
        table = np.array(sides[side], order="C")
        self._step(side, self._features(sides[1 - side]), self._no_diagonal, table)
        improved = [table, table]
        return table, self._entries.loss() / 2 + self._penalty(side, improved)

    def _features(self, table):
        """What multiplies the weights of the other side."""
        if not self.objective.has_offsets:
            return np.ascontiguousarray(table)
        return np.hstack([table[:, :-1], np.ones_like(table[:, -1:])])

    def _step(self, side, features, diagonal, table):
        """Improve a table in place."""
        if not self._entries.improve(
            side, self._solver, features, diagonal, self.penalties[side], table
        ):
            raise singular_error(torch.from_numpy(table).dtype, _ADVICE)
