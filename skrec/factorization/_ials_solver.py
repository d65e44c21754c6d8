"""Sweeps of iALS: all users given the items, then all items given the users."""

from typing import NamedTuple

import numpy as np
import torch

from skrec.solvers._devices import to_tensor
from skrec.solvers._least_squares import ridge, singular_error
from skrec.solvers._offsets import with_data
from skrec.solvers._row_groups import gather, group_rows, map_groups, pad
from skrec.solvers._sweeps import EntrySweeps
from skrec.solvers._torch_state import torch_state

_ADVICE = "use a larger l2 or unobserved_weight"


class Objective(NamedTuple):
    """Weights of the entries and penalties of the rows.

    Parameters
    ----------
    confidence : {"binary", "linear", "log"}
    unit : tuple of (float, float)
        What values, and then their logarithms, are divided by, for a mean weight of 1.
    unobserved_weight : float
    l2 : float
        The penalty on the squared factors of a user with entries of the total weight n is
        ``l2 * (n + unobserved_weight * n_items) ** l2_exponent``.
    l2_exponent : float
    """

    confidence: str
    unit: tuple
    unobserved_weight: float
    l2: float
    l2_exponent: float

    @classmethod
    def for_rows(cls, X, confidence, unobserved_weight, l2, l2_exponent):
        """The objective on training rows; `l2` is the penalty at an exponent of 1.

        With other exponents it is rescaled so that the penalties of all users and items have the
        same sum.
        """
        unit = (_mean(X.data), _mean(np.log1p(X.data / _mean(X.data))))
        of = cls(confidence, unit, float(unobserved_weight), 1.0, float(l2_exponent))
        weighted = of.weighted(X)
        totals = [of._totals(weighted), of._totals(weighted.T.tocsr())]
        proportional = sum(total.sum() for total in totals)
        sums = sum((total**l2_exponent).sum() for total in totals)
        return of._replace(l2=float(l2 * proportional / sums) if sums > 0 else float(l2))

    def weighted(self, X):
        """Weights of the entries of rows in place of their values."""
        if self.confidence == "binary":
            return with_data(X, np.ones_like(X.data))
        weights = X.data / X.dtype.type(self.unit[0])
        if self.confidence == "log":
            weights = np.log1p(weights) / X.dtype.type(self.unit[1])
        return with_data(X, weights)

    def penalties(self, weighted):
        """Penalty of each row; for rows without entries, whose factors are 0, any."""
        totals = self._totals(weighted)
        penalties = self.l2 * totals**self.l2_exponent
        return np.where(totals > 0, penalties, 1).astype(weighted.dtype)

    def _totals(self, weighted):
        sums = weighted.sum(axis=1, dtype=np.float64)
        return sums + self.unobserved_weight * weighted.shape[1]


def _mean(values):
    mean = float(values.mean(dtype=np.float64)) if len(values) else 0.0
    return mean if mean > 0 else 1.0


class Sweeps:
    """Alternating sweeps, in axes along which one side's factors are uncorrelated.

    In these the objective of a row has a diagonal matrix, beside what its own entries add: it
    preconditions conjugate gradients, leaves no more than the entries to a subspace, and makes the
    exact solution of a row with few entries a small one.

    Parameters
    ----------
    objective : Objective
    weighted : csr_array of shape (n_users, n_items)
        Weights of the entries.
    items : ndarray of shape (n_items, n_components)
        Factors to start from.
    solver : {"cholesky", "cg", "subspace"}
    device : torch.device
        Of the first, the others compute on the CPU.
    """

    def __init__(self, objective, weighted, items, solver, device):
        self.objective, self.solver = objective, solver
        n_users, n_components = weighted.shape[0], items.shape[1]
        self._sides = [np.zeros((n_users, n_components), items.dtype), items]
        both = weighted, weighted.T.tocsr()
        self._penalties = [objective.penalties(rows) for rows in both]
        if solver == "cholesky":
            self._groups = [group_rows(rows, device) for rows in both]
        else:
            self._entries = EntrySweeps(weighted, -np.ones_like(weighted.data), weighted.data)

    @property
    def items(self):
        """Factors of the items, an array of shape (n_items, n_components)."""
        return self._sides[1]

    def sweep(self):
        """Improve the users' factors, then the items'; return the objective."""
        self._improve(0)
        of_items = self._improve(1)
        users = self._sides[0]
        return of_items + _weighted_sum(self._penalties[0], users)

    def _improve(self, side):
        """Improve one side; return the part of the objective that depends on it."""
        others, rows = rotate(self._sides[1 - side], self._sides[side])
        diagonal = self.objective.unobserved_weight * np.square(others).sum(axis=0)
        penalties = self._penalties[side]
        if self.solver == "cholesky":
            groups = self._groups[side]
            rows, loss = exact_rows(groups, others, diagonal, penalties, len(rows))
        else:
            solved = self._entries.improve(side, self.solver, others, diagonal, penalties, rows)
            if not solved:
                raise singular_error(torch.from_numpy(rows).dtype, _ADVICE)
            loss = self._entries.loss() + _weighted_sum(penalties, rows)
            loss += float(np.square(rows).sum(axis=0, dtype=np.float64) @ diagonal)
        self._sides[side], self._sides[1 - side] = rows, others
        return loss


def _weighted_sum(penalties, factors):
    return float(penalties.astype(np.float64) @ np.square(factors).sum(axis=1))


def rotate(factors, others):
    """Rotate both sides' factors to axes in which the first are uncorrelated, smallest first.

    Inner products of the two sides stay what they are. Subspaces gain most in this order.
    """
    _, axes = np.linalg.eigh(factors.T @ factors)
    return factors @ axes, others @ axes


def exact_rows(groups, others, diagonal, penalties, n_rows):
    """Factors that minimise the objective of each row, given uncorrelated ones of the other side.

    Parameters
    ----------
    groups : list of RowGroup
        Weights of the entries.
    others : ndarray of shape (n_columns, n_components)
    diagonal : ndarray of shape (n_components,)
    penalties : ndarray of shape (n_rows,)
    n_rows : int

    Returns
    -------
    factors : ndarray of shape (n_rows, n_components)
    loss : float
        Sum of the minima.
    """
    with torch_state():
        return _exact_rows(groups, others, diagonal, penalties, n_rows)


def _exact_rows(groups, others, diagonal, penalties, n_rows):
    device = groups[0].rows.device
    table = pad(to_tensor(others, device))
    diagonal, penalties = to_tensor(diagonal, device), to_tensor(penalties, device)
    factors = table.new_zeros(n_rows, table.shape[1])

    def solve(group):
        # In units of the square roots of the penalties, these are all 1.
        units = (diagonal + penalties[group.rows][:, None]).rsqrt()
        roots = group.values.sqrt()
        features = gather(table, group).mul_(units[:, None]).mul_(roots[:, :, None])
        solved, losses = ridge(features, roots[:, :, None], torch.ones_like(units[:, 0]), _ADVICE)
        factors[group.rows] = solved[:, :, 0] * units
        return float(losses.sum())

    loss = sum(map_groups(solve, groups))
    return factors.cpu().numpy(), loss
