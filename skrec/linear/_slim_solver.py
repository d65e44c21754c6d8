"""Which solver computes SLIM's weights, and of which items."""

import numpy as np

from skrec.solvers._admm import admm_item_weights
from skrec.solvers._coordinate_descent import item_weights, neighbor_weights
from skrec.solvers._gram import gram_upper, mirror_upper
from skrec.solvers._offsets import with_data
from skrec.solvers._similarities import nearest_columns
from skrec.utils._memory import check_memory
from skrec.utils._warnings import warn


def slim_weights(rows, problem, n_neighbors=None, solver="cd", n_threads=1):
    """Elastic nets that predict each item from the others.

    Parameters
    ----------
    rows : csr_array of shape (n_rows, n_items)
    problem : tuple
        `l1`, `l2`, `positive`, `tol` and `max_iter`, as of ``item_weights``.
    n_neighbors : int, default=None
        Items that may have a weight for one: the nearest of them. None means all.
    solver : {"cd", "admm"}, default="cd"
    n_threads : int, default=1

    Returns
    -------
    weights : csr_array of shape (n_items, n_items)
    n_iter : ndarray of int of shape (n_items,)
    unfinished : ndarray of bool of shape (n_items,)
    """
    n_items = rows.shape[1]
    squares = rows.multiply(rows).sum(axis=0)
    if not np.isfinite(squares).all():
        raise ValueError(
            f"The squares of X overflow in {rows.dtype}: scale X down, and l1 and l2 by the "
            "square of the factor."
        )
    if n_neighbors is not None and n_neighbors < n_items - 1:
        nearest = nearest_by_cosine(rows, np.sqrt(squares), n_neighbors, n_threads)
        answers = neighbor_weights(rows, nearest, *problem, n_threads)
    else:
        _check_memory(*rows.shape, rows.dtype.itemsize, solver)
        gram = gram_upper(rows, n_threads)
        mirror_upper(gram, n_threads=n_threads)
        solve = {"cd": item_weights, "admm": admm_item_weights}[solver]
        answers = solve(gram, *problem, n_threads)
    if answers[0].nnz == 0:
        _warn_of_no_weights(rows, problem[0])
    return answers


def nearest_by_cosine(X, norms, k, n_threads=1):
    """The `k` items that are nearest to each, with a cosine above 0.

    Parameters
    ----------
    X : csr_array of shape (n_rows, n_items)
    norms : ndarray of shape (n_items,)
    k : int
    n_threads : int, default=1

    Returns
    -------
    cosines : csc_array of shape (n_items, n_items)
        Column `j` has those that are nearest to item `j`.
    """
    units = with_data(X, X.data / np.where(norms > 0, norms, 1)[X.indices])
    return nearest_columns(units, units, k, n_threads)


def _check_memory(n_users, n_items, itemsize, solver):
    check_memory(
        (1 if solver == "cd" else 2) * n_items**2 * itemsize,
        f"SLIM(solver={solver!r}) on {n_users} users x {n_items} items",
        "n_neighbors=100 with solver='cd' needs no items x items matrix",
    )


def _warn_of_no_weights(rows, l1):
    largest = nearest_columns(rows, rows, 1).max()
    if 0 < largest <= l1:
        warn(
            f"l1={l1:g} leaves no weight: it has to be below {largest:g}, the most that two items "
            "have in common."
        )
