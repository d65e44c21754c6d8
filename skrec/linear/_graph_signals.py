"""The graph of users and items: its smooth signals, and linear filters on the items' side."""

import numpy as np
from scipy import sparse
from scipy.linalg import svd
from scipy.sparse.linalg import svds

from skrec.solvers._similarities import nearest_columns

# Coefficients of P, P^2, ... of a linear filter, by its order (Turbo-CF's three).
POLYNOMIALS = {1: (1.0,), 2: (2.0, -1.0), 3: (0.71, 0.1, -0.01)}
# Share of the largest singular value below which one is zero to rounding.
_SMALLEST_VALUE = 1e-6


def normalized(X, user_power, item_power):
    """Divide entries by powers of the sums of their row and column.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        Non-negative. Its unit is of no importance.
    user_power, item_power : float

    Returns
    -------
    R : csr_array of float64 of shape (n_users, n_items)
    item_scale : ndarray of float64 of shape (n_items,)
        What the power of their sums has made of the columns; 0 for an empty one.
    """
    unit = X.data.max(initial=0) or 1
    R = sparse.csr_array((X.data / np.float64(unit), X.indices, X.indptr), shape=X.shape)
    item_scale = row_scale(R.T, item_power)
    return scale_columns(scale_rows(R, row_scale(R, user_power)), item_scale), item_scale


def row_scale(X, power):
    """Sums of rows to the power of ``-power``; 0 where nothing is summed."""
    sums = np.asarray(X.sum(axis=1), dtype=np.float64)
    return np.power(sums, -float(power), out=np.zeros_like(sums), where=sums > 0)


def leading_vectors(R, n_components):
    """The largest singular values of a sparse matrix, and their right singular vectors.

    Parameters
    ----------
    R : csr_array of float64 of shape (n_users, n_items)
    n_components : int

    Returns
    -------
    values : ndarray of shape (n_kept,)
        Largest first, without those that are zero to rounding.
    vectors : ndarray of shape (n_items, n_kept)
        The largest element of each in absolute value is positive.
    """
    n_components = min(n_components, *R.shape)
    if n_components == 0 or not R.data.any():
        return np.empty(0), np.empty((R.shape[1], 0))
    if n_components < min(R.shape):
        # What it starts from makes no difference but to rounding.
        start = np.random.default_rng(0).random(min(R.shape))
        _, values, rows = svds(R, n_components, v0=start)
        order = np.argsort(-values)
        values, rows = values[order], rows[order]
    else:  # the dense matrix is no larger than its factors
        _, values, rows = svd(R.toarray(), full_matrices=False)
    rows = rows[values > _SMALLEST_VALUE * values[0]]
    largest = np.take_along_axis(rows, np.abs(rows).argmax(axis=1, keepdims=True), axis=1)
    return values[: len(rows)], np.ascontiguousarray((rows * np.sign(largest)).T)


def item_graph(R, n_neighbors, power, n_threads):
    """Products of the columns, to a power: the largest of each column, and the diagonal.

    Parameters
    ----------
    R : csr_array of shape (n_users, n_items)
        Non-negative.
    n_neighbors : int or None
        Number of others that each column keeps; None: all.
    power : float
    n_threads : int

    Returns
    -------
    P : csr_array of shape (n_items, n_items)
    """
    k = R.shape[1] if n_neighbors is None else n_neighbors
    squares = np.asarray(R.power(2).sum(axis=0))
    P = sparse.csr_array(nearest_columns(R, R, k, n_threads) + sparse.diags_array(squares))
    P.data **= power
    return P


def before_last_product(rows, P, order):
    """Rows whose product with `P` is that of `rows` with a polynomial of `P`."""
    *coefficients, product = (c * rows for c in POLYNOMIALS[order])
    for term in reversed(coefficients):
        product = product @ P + term
    return sparse.csr_array(product)


def scale_columns(X, scale):
    """Multiply the columns of a csr_array, in its precision."""
    data = X.data * scale[X.indices].astype(X.dtype)
    return sparse.csr_array((data, X.indices, X.indptr), shape=X.shape)


def scale_rows(X, scale):
    """Multiply the rows of a csr_array, in its precision, or all by one number."""
    scale = np.broadcast_to(scale, X.shape[0]).astype(X.dtype)
    data = X.data * np.repeat(scale, np.diff(X.indptr))
    return sparse.csr_array((data, X.indices, X.indptr), shape=X.shape)


def unit_rows(columns, like):
    """A row for each column, with 1 there; as wide as another array, in its precision."""
    entries = np.ones(len(columns), like.dtype), columns, np.arange(len(columns) + 1)
    return sparse.csr_array(entries, shape=(len(columns), like.shape[1]))


def norms(signals):
    """Euclidean norms of rows, whose squares may overflow.

    Parameters
    ----------
    signals : ndarray of shape (n_rows, n_signals)

    Returns
    -------
    norms : ndarray of shape (n_rows,)
    """
    largest = np.abs(signals).max(axis=1, initial=0)
    units = signals / np.where(largest > 0, largest, 1)[:, None]
    return largest * np.linalg.norm(units, axis=1)
