"""What EASE's two closed forms cost: which one to take, and whether it fits in memory."""

import numpy as np

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
