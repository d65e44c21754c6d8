"""Which solver computes SLIM's weights, and of which items."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skrec.solvers._admm import admm_item_weights
from skrec.solvers._coordinate_descent import item_weights, neighbor_weights
from skrec.solvers._gram import gram_upper, mirror_upper
from skrec.solvers._offsets import with_data
from skrec.solvers._similarities import nearest_columns
from skrec.utils._memory import check_memory
from skrec.utils._warnings import warn


def slim_weights(rows, l1, l2, *, unit=1.0, n_neighbors=None, solver="cd", n_threads=1, **options):
    """Elastic nets that predict each item from the others.

    Parameters
    ----------
    rows : csr_array of shape (n_rows, n_items)
        Of the users, scaled by the roots of their weights.
    l1, l2 : float
    unit : float, default=1.0
        What `l1` and `l2` are multiplied by.
    n_neighbors : int, default=None
        Items that may have a weight for one: the nearest of them. None means all.
    solver : {"cd", "admm"}, default="cd"
    n_threads : int, default=1
    **options
        `positive`, `tol` and `max_iter`, as of ``item_weights``.

    Returns
    -------
    weights : csr_array of shape (n_items, n_items)
    n_iter : int
        Of the column that took most.
    """
    if solver == "admm" and n_neighbors is not None:
        raise ValueError(
            f"n_neighbors={n_neighbors} needs solver='cd': solver='admm' computes with all items "
            "at once. Leave one of them out."
        )
    n_items = rows.shape[1]
    options = {"l1": l1 * unit, "l2": l2 * unit, "n_threads": n_threads, **options}
    squares = rows.multiply(rows).sum(axis=0)
    if not np.isfinite(squares).all():
        raise ValueError(
            f"The squares of X overflow in {rows.dtype}: scale X down, and l1 and l2 by the "
            "square of the factor."
        )
    if n_neighbors is not None and n_neighbors < n_items - 1:
        nearest = nearest_by_cosine(rows, np.sqrt(squares), n_neighbors, n_threads)
        weights, n_iter, unfinished = neighbor_weights(rows, nearest, **options)
    else:
        _check_memory(*rows.shape, rows.dtype.itemsize, solver)
        gram = gram_upper(rows, n_threads)
        mirror_upper(gram, n_threads=n_threads)
        solve = {"cd": item_weights, "admm": admm_item_weights}[solver]
        weights, n_iter, unfinished = solve(gram, **options)
    if unfinished.any():
        warn(
            f"{unfinished.sum()} of {n_items} items are not finished after "
            f"max_iter={options['max_iter']} iterations: raise it, or tol={options['tol']:g}.",
            ConvergenceWarning,
        )
    if weights.nnz == 0:
        _warn_of_no_weights(rows, l1, unit)
    return weights, int(n_iter.max())


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


def _warn_of_no_weights(rows, l1, unit):
    largest = nearest_columns(rows, rows, 1).max() / unit
    if 0 < largest <= l1:
        warn(
            f"l1={l1:g} leaves no weight: it has to be below {largest:g}, the most that two items "
            "have in common."
        )
