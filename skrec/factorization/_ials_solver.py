"""Sweeps of iALS: all users given the items, then all items given the users."""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils import gen_batches

from skrec.solvers._devices import to_tensor
from skrec.solvers._least_squares import ridge, singular_error
from skrec.solvers._offsets import with_data
from skrec.solvers._row_groups import gather, group_rows, map_groups, map_on_threads, pad
from skrec.solvers._sweeps import EntrySweeps
from skrec.solvers._torch_state import torch_state

_N_ROWS = 1024  # of a table, of which there need be no second one
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
        totals = np.concatenate([of._totals(weighted, axis) for axis in (1, 0)])
        totals = totals[totals > 0]
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            powers = totals**of.l2_exponent
            scaled = l2 * totals.sum() / powers.sum() if len(totals) else l2
            penalties = (scaled * powers).astype(X.dtype)
        if not (np.isfinite(penalties) & (penalties > 0)).all():
            raise ValueError(
                f"l2={l2:g}, l2_exponent={l2_exponent:g} and unobserved_weight="
                f"{unobserved_weight:g} make penalties that {X.dtype} cannot hold: take values "
                "nearer to the defaults."
            )
        return of._replace(l2=float(scaled))

    def weighted(self, X):
        """Weights of the entries of rows in place of their values."""
        if self.confidence == "binary":
            return with_data(X, np.ones_like(X.data))
        weights = X.data / X.dtype.type(self.unit[0])
        if self.confidence == "log":
            weights = np.log1p(weights) / X.dtype.type(self.unit[1])
        return with_data(X, weights)

    def penalties(self, weighted, axis=1):
        """Penalty of each row (`axis` 0: column); any where there are no entries."""
        totals = self._totals(weighted, axis)
        penalties = self.l2 * totals**self.l2_exponent
        return np.where(totals > 0, penalties, 1).astype(weighted.dtype)

    def _totals(self, weighted, axis=1):
        sums = weighted.sum(axis=axis, dtype=np.float64)
        return sums + self.unobserved_weight * weighted.shape[axis]


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
        Factors to start from; changed in place.
    solver : {"cholesky", "cg", "subspace"}
    device : torch.device
        Of the first, the others compute on the CPU.

    Attributes
    ----------
    items : ndarray of shape (n_items, n_components)
        Factors of the items after the sweeps that are finished, one at least; a new array after
        each.
    """

    def __init__(self, objective, weighted, items, solver, device):
        self.objective, self.solver = objective, solver
        users = np.zeros((weighted.shape[0], items.shape[1]), items.dtype)
        self._sides = [users, items]
        self._penalties = [objective.penalties(weighted, axis) for axis in (1, 0)]
        if solver == "cholesky":
            self._groups = [group_rows(rows, device) for rows in (weighted, weighted.T.tocsr())]
        else:
            self._entries = EntrySweeps(weighted, -np.ones_like(weighted.data), weighted.data)

    def sweep(self):
        """Improve the users' factors, then the items'; return the objective."""
        self._improve(0)
        of_items = self._improve(1)
        self.items = self._sides[1].copy()
        return of_items + _weighted_sum(self._penalties[0], self._sides[0])

    def _improve(self, side):
        """Improve one side; return the part of the objective that depends on it."""
        others, rows = self._sides[1 - side], self._sides[side]
        rotate(others, rows)
        diagonal = self.objective.unobserved_weight * sums_of_squares(others)
        penalties = self._penalties[side]
        if self.solver == "cholesky":
            groups = self._groups[side]
            rows[:], loss = exact_rows(groups, others, diagonal, penalties, len(rows))
            return loss
        if not self._entries.improve(side, self.solver, others, diagonal, penalties, rows):
            raise singular_error(torch.from_numpy(rows).dtype, _ADVICE)
        loss = self._entries.loss() + _weighted_sum(penalties, rows)
        return loss + float(sums_of_squares(rows) @ diagonal)


def _weighted_sum(penalties, factors):
    squares = np.einsum("ij,ij->i", factors, factors)
    return float((squares * penalties).sum(dtype=np.float64))


def sums_of_squares(factors):
    """Squared lengths of the columns, added up in double precision."""
    total = sum(np.square(part).sum(axis=0, dtype=np.float64) for part in _parts(factors))
    return total.astype(factors.dtype)


def rotate(factors, others):
    """Rotate both sides' factors, in place, to axes in which the first are uncorrelated.

    Inner products of the two sides stay what they are. The smallest come first: subspaces gain
    most in this order. The products are torch's, a block of rows to each thread: after one that
    it has shared among threads, NumPy's BLAS keeps them busy waiting for the next, and the loops
    over entries would have one core less.
    """
    with torch_state():
        axes = _axes(factors)

        def turn(part):
            part = torch.from_numpy(part)
            part.copy_(part @ axes)

        map_on_threads(turn, _parts(factors) + _parts(others))


def in_own_axes(factors):
    """A copy in axes in which the factors are uncorrelated, the largest first."""
    with torch_state():
        axes = _axes(factors).flip(1)
        return np.concatenate(
            [(torch.from_numpy(part) @ axes).numpy() for part in _parts(factors)]
        )


def _axes(factors):
    def gram(part):
        part = torch.from_numpy(part)
        return part.T @ part

    ((_, axes),) = map_on_threads(torch.linalg.eigh, [sum(map_on_threads(gram, _parts(factors)))])
    return axes


def _parts(table):
    return [table[rows] for rows in gen_batches(len(table), _N_ROWS)]


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
