"""What EASE's two closed forms cost: which one to take, and whether it fits in memory."""

import numpy as np

from skrec.utils._memory import available_memory, check_memory

# Floating-point operations of a dense product in float64 that take as long as one multiply-add of
# a sparse x dense product, and of a sparse x sparse one. Measured on one thread of an AMD EPYC of
# family 25; benchmarks/ease_methods.py shows what the choice is worth.
SPARSE_DENSE = 16
SPARSE_SPARSE = 160


def costs(row_lengths, column_lengths, itemsize=8, device="cpu"):
    """Operations of one fit and of scoring the training users once, by either method.

    Parameters
    ----------
    row_lengths : ndarray of shape (n_users,)
        Number of entries of each user.
    column_lengths : ndarray of shape (n_items,)
        Number of entries of each item.
    itemsize : int, default=8
        Bytes of a number in a primal fit; the dual computes in float64.
    device : {"cpu", "cuda"}, default="cpu"
        On a GPU the inversion counts for nothing.

    Returns
    -------
    costs : dict of str to float
        Keys "primal" and "dual", in operations of a dense product in float64.
    """
    n_users, n_items = float(len(row_lengths)), float(len(column_lengths))
    n_entries = float(row_lengths.sum())
    pairs_of_items = np.square(row_lengths, dtype=float).sum()
    pairs_of_users = np.square(column_lengths, dtype=float).sum()
    inverse = 1 if device == "cpu" else 0
    # Half of a Gram matrix, its inverse, and X @ coef.
    primal = SPARSE_SPARSE * pairs_of_items / 2 + itemsize / 8 * (
        inverse * n_items**3 + SPARSE_DENSE * n_entries * n_items
    )
    # Half of a Gram matrix, its inverse, the leverages, and (X @ rows.T) @ inverse @ rows.
    dual = (
        SPARSE_SPARSE * (pairs_of_users / 2 + pairs_of_users)
        + (inverse + 2) * n_users**3
        + SPARSE_DENSE * 2 * n_entries * n_users
    )
    return {"primal": primal, "dual": dual}


def memory(n_users, n_items, itemsize=8):
    """Bytes of the matrix that either method inverts, with the panels of its Gram product.

    Parameters
    ----------
    n_users, n_items : int
    itemsize : int, default=8
        Bytes of a number in a primal fit; the dual computes in float64.

    Returns
    -------
    n_bytes : dict of str to float
        Keys "primal" and "dual".
    """
    return {"primal": 1.3 * n_items**2 * itemsize, "dual": 1.3 * n_users**2 * 8}


def fits(method, n_users, n_items, itemsize=8, n_matrices=1):
    """Whether the matrices of a method fit in the available memory.

    Parameters
    ----------
    method : {"primal", "dual"}
    n_users, n_items : int
    itemsize : int, default=8
        As of `memory`.
    n_matrices : int, default=1
        Number of items x items arrays that a primal fit makes.
    """
    needed = memory(n_users, n_items, itemsize)[method]
    return (n_matrices if method == "primal" else 1) * needed <= available_memory()


def check_fits(method, n_users, n_items, itemsize=8, n_matrices=1, store_rows=True):
    """Raise a MemoryError that says what would fit, before anything large is allocated.

    Parameters
    ----------
    method, n_users, n_items, itemsize, n_matrices
        As of `fits`.
    store_rows : bool, default=True
        Whether the dual is allowed.
    """
    available = available_memory()
    needed = memory(n_users, n_items, itemsize)
    n_matrices = n_matrices if method == "primal" else 1
    other = "dual" if method == "primal" else "primal"
    n_fitting = int(np.sqrt(available / memory(1, 1, itemsize)["primal"] / n_matrices))
    fixes = [
        f"keep the {n_fitting:,} items that fit, by Interactions.filter(min_users_per_item=...)",
        "take SANSA or ELSA, which make no items x items matrix",
    ]
    if method == "primal" and itemsize == 8 and n_matrices * needed[method] <= 2 * available:
        fixes.insert(0, "dtype='float32' needs half")
    if needed[other] <= available:
        storing = "" if store_rows else " with store_rows=True"
        fixes.insert(0, f"method='{other}'{storing} needs {needed[other] / 2**30:.3g} GiB")
    check_memory(
        n_matrices * needed[method],
        f"EASE(method='{method}') on {n_users} users x {n_items} items",
        ", or ".join(fixes),
        available,
    )
