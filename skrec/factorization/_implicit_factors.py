"""What a user's choice of items says of the user's factors, and the sweeps that learn it.

Before any rating is read, a user who has rated the items N has the factors
``sum_{j in N} y_j / sqrt(|N|)``, where y are the items' implicit factors.
"""

import numpy as np
import torch
from sklearn.utils import gen_batches

from skrec.factorization._pmf_sweeps import StepSweeps, choose_solver
from skrec.solvers._alternating import fold_in
from skrec.solvers._compiled import compiled
from skrec.solvers._offsets import with_data
from skrec.solvers._pair_products import pair_products
from skrec.solvers._row_groups import group_rows
from skrec.solvers._sweeps import repeat_sweeps
from skrec.utils._blocks import effective_n_threads, map_blocks
from skrec.utils._memory import check_memory

CPU = torch.device("cpu")
# Of conjugate gradients in a sweep: more of them are hardly seen after some sweeps.
N_STEPS = 2
_BLOCK_ROWS = 512  # on a thread at a time


def check_size(X, n_components):
    """Raise a MemoryError where sweeps would need more than there is."""
    n_users, n_items = X.shape
    check_memory(
        # Weights with what they are improved from, and the entries in both orders.
        4 * X.dtype.itemsize * (n_users + n_items) * (n_components + 1) + 40 * X.nnz,
        f"SVDpp with {n_components} components on {n_users} users x {n_items} items",
        "use a smaller n_components",
    )


def choice_sums(X, implicit):
    """The part of the choices in users' factors.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        Only which entries there are is read.
    implicit : ndarray of shape (n_items, n_components)

    Returns
    -------
    of_choices : ndarray of shape (n_users, n_components)
    """
    return _sums(X, implicit) * _scales(X, implicit.dtype)


def users_with_choices(objective, X, items, implicit):
    """Users' weights with the part of their choices: their own are the best given all others.

    Parameters
    ----------
    objective : Objective
    X : csr_array of shape (n_users, n_items)
    items : ndarray of shape (n_items, n_components + 1)
    implicit : ndarray of shape (n_items, n_components)

    Returns
    -------
    users : ndarray of shape (n_users, n_components + 1)
    """
    X = X.astype(items.dtype, copy=False)
    of_choices = choice_sums(X, implicit)
    own = with_data(X, X.data - products_at(X, of_choices, items[:, :-1]))
    users = fold_in(objective, group_rows(own, CPU), torch.from_numpy(items), X.shape[0]).numpy()
    users[:, :-1] += of_choices
    return users


def products_at(X, users, items):
    """Inner products of users' and items' factors at the entries of X, an array of (nnz,)."""
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    return pair_products(users, items, rows, X.indices)


class ChoiceRidge:
    r"""Ridge regression of users' factors on their choices, some steps at a time.

    It minimises :math:`\sum_u \lambda_u \|z_u - s_u(y)\|^2 + \lambda_y \|y\|^2`, where
    :math:`s_u(y)` is the part of the choices.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        Whose entries are the choices.
    weights : ndarray of shape (n_users,)
        The :math:`\lambda_u`.
    l2 : float
        :math:`\lambda_y`.
    """

    def __init__(self, X, weights, l2):
        self._X, self._by_item = X, X.T.tocsr()
        self._scales, self._l2 = _scales(X, X.dtype), X.dtype.type(l2)
        self._scaled_weights = self._scales * weights[:, None]
        # Of the second derivatives, to precondition by.
        self._diagonal = _sums(self._by_item, self._scaled_weights * self._scales) + self._l2

    def improve(self, targets, table):
        """Make steps of conjugate gradients from where a table stands.

        Parameters
        ----------
        targets : ndarray of shape (n_users, n_components)
            The :math:`z_u`.
        table : ndarray of shape (n_items, n_components)
            y so far.

        Returns
        -------
        table : ndarray of shape (n_items, n_components)
        of_choices : ndarray of shape (n_users, n_components)
            What the users' factors have of it.
        """
        of_choices = self._of_choices(table)
        downhill = self._adjoint(targets - of_choices) - self._l2 * table
        direction, length = np.zeros_like(table), np.ones(table.shape[1], table.dtype)
        for _ in range(N_STEPS):
            scaled = _ratio(downhill, self._diagonal)
            previous, length = length, np.einsum("ij,ij->j", downhill, scaled)
            direction = scaled + _ratio(length, previous) * direction
            moves = self._of_choices(direction)
            curved = self._adjoint(moves) + self._l2 * direction
            size = _ratio(length, np.einsum("ij,ij->j", direction, curved))
            table, of_choices = table + size * direction, of_choices + size * moves
            downhill -= size * curved
        return table, of_choices

    def _of_choices(self, table):
        return _sums(self._X, table) * self._scales

    def _adjoint(self, of_users):
        return _sums(self._by_item, self._scaled_weights * of_users)


class ImplicitSweeps(StepSweeps):
    """Sweeps over users, implicit factors and items, and the objective after each.

    The sides are the users' own weights, those of the items, and the implicit factors.

    Parameters
    ----------
    objective : Objective
    X : csr_array of shape (n_users, n_items)
    items : ndarray of shape (n_items, n_components + 1)
        Weights to start from, the offset last.
    implicit : ndarray of shape (n_items, n_components)
        Implicit factors to start from.
    l2_implicit : float
    """

    def __init__(self, objective, X, items, implicit, l2_implicit):
        check_size(X, implicit.shape[1])
        solver = choose_solver("auto", objective, items.shape[1], CPU)
        super().__init__(objective, X, items, solver)
        if l2_implicit > float(np.finfo(X.dtype).max):
            raise ValueError(
                f"l2_implicit={l2_implicit:g} is a penalty that {X.dtype} cannot hold: make it "
                "smaller."
            )
        self.sides.append(implicit)
        self.penalties.append(np.full(len(implicit), l2_implicit, X.dtype))
        self._ridge = ChoiceRidge(X, self.penalties[0], l2_implicit)
        self._of_choices = choice_sums(X, implicit)
        self._entries.residuals += products_at(X, self._of_choices, items[:, :-1])

    def sweep(self):
        """Improve all three; return the objective after each."""
        users, items, implicit = self.sides
        users, loss = self._improve(0, self.sides)
        of_items = self._penalty(1, self.sides)
        losses = [loss + of_items + self._penalty(2, self.sides)]
        loss -= self._penalty(0, [users])
        # The sums stay as they are, and with them the errors: their parts become likelier.
        sums = users[:, :-1] + self._of_choices
        implicit, of_choices = self._ridge.improve(sums, implicit)
        users[:, :-1] = sums - of_choices
        others = self._penalty(0, [users]) + self._penalty(2, [users, items, implicit])
        losses.append(loss + of_items + others)
        items, loss = self._improve(1, [np.column_stack([sums, users[:, -1]]), items])
        self.sides, self._of_choices = [users, items, implicit], of_choices
        return [*losses, loss + others]

    def repeat(self, max_iter, tol, verbose):
        """Make sweeps until they gain less than a share of the objective.

        Returns
        -------
        n_sweeps : int
        losses : list of float
            Three of each sweep.
        """
        losses = []

        def sweep():
            losses.extend(self.sweep())
            before = losses[-4] if len(losses) > 3 else np.inf
            return losses[-1], before - losses[-1] <= tol * before < np.inf

        n_sweeps = repeat_sweeps(sweep, max_iter, "SVDpp", verbose)
        return n_sweeps, losses[: 3 * n_sweeps]


def _scales(X, dtype):
    return (1 / np.sqrt(np.maximum(np.diff(X.indptr), 1))).astype(dtype)[:, None]


def _ratio(above, below):
    """Quotients, 0 where nothing is left to divide by."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _sums(X, table):
    """Sum of the rows of a table at the entries of each row of a matrix."""
    sums = np.zeros((X.shape[0], table.shape[1]), table.dtype)
    blocks = list(gen_batches(X.shape[0], _BLOCK_ROWS))
    arrays = X.indptr, X.indices, np.ascontiguousarray(table), sums
    map_blocks(
        lambda block: _add_rows(block.start, block.stop, *arrays), blocks, effective_n_threads()
    )
    return sums


@compiled(any_order=True)
def _add_rows(first, last, indptr, indices, table, sums):
    n_columns = table.shape[1]
    for row in range(first, last):
        total = sums[row]
        for entry in range(indptr[row], indptr[row + 1]):
            added = table[indices[entry]]
            for k in range(n_columns):
                total[k] += added[k]
