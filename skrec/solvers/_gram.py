"""Gram matrices of sparse data and their inverses, in place."""

import numpy as np
from scipy.linalg.lapack import get_lapack_funcs
from scipy.sparse import csc_array, issparse

from skrec.utils._blocks import map_blocks

_TILE = 128


def gram_upper(X, n_threads=1):
    """Upper triangle of ``X.T @ X`` as a dense array.

    Only half of the products are formed, one panel of items after the other, on threads (scipy's
    sparse product releases the GIL). The panels are as narrow as keeps the sparse intermediate
    results small beside the returned array.

    Parameters
    ----------
    X : csr_array of shape (n_rows, n_items)
    n_threads : int, default=1

    Returns
    -------
    gram : ndarray of shape (n_items, n_items)
        C-ordered, in the dtype of `X`. What stands below the diagonal is undefined.
    """
    n_items = X.shape[1]
    gram = np.zeros((n_items, n_items), dtype=X.dtype)
    columns = X.tocsc()
    items_by_rows = columns.T
    strip = max(1, n_items // (80 * n_threads), 2**16 // n_items)
    panel = max(strip, -(-n_items // 12))
    for start in range(0, n_items, panel):
        right = _columns_from(columns, start).tocsr()

        def fill(strip, start=start, right=right):
            gram[strip, start:] = (items_by_rows[strip] @ right).toarray()

        stop = min(start + panel, n_items)
        strips = [slice(i, min(i + strip, stop)) for i in range(start, stop, strip)]
        map_blocks(fill, strips, n_threads)
    return gram


def add_gram_upper(matrix, features, n_threads=1):
    """Add ``features @ features.T`` to the upper triangle of a matrix, in place.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
        What stands below the diagonal is undefined afterwards.
    features : {csr_array, ndarray} of shape (n, n_features)
    n_threads : int, default=1
    """
    is_sparse = issparse(features)
    features = features.astype(matrix.dtype)

    def fill(start):
        rows = slice(start, start + _TILE)
        product = features[rows] @ features[start:].T
        matrix[rows, start:] += product.toarray() if is_sparse else product

    map_blocks(fill, range(0, len(matrix), _TILE), n_threads if is_sparse else 1)


def _columns_from(X, start):
    """View of the columns of a csc_array from `start` on."""
    first = X.indptr[start]
    parts = X.data[first:], X.indices[first:], X.indptr[start:] - first
    return csc_array(parts, shape=(X.shape[0], X.shape[1] - start))


def invert_upper(matrix, device="cpu"):
    """Invert a symmetric positive definite matrix in place.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
        C-ordered; only its upper triangle is read, and becomes that of the inverse.
    device : {"cpu", "cuda"}, default="cpu"
        "cpu": LAPACK. Otherwise torch's Cholesky factorisation there.

    Returns
    -------
    reciprocal_condition : float
        Of the matrix, in the 1-norm.

    Raises
    ------
    LinAlgError
        If the matrix is not positive definite in its precision.
    """
    norm = _norm_1(matrix)
    if device == "cpu":
        _invert_upper_lapack(matrix)
    else:
        _invert_upper_torch(matrix, device)
    return 1 / (norm * _norm_1(matrix))


def _invert_upper_lapack(matrix):
    lower = matrix.T  # Fortran-ordered, so LAPACK works on the buffer itself
    potrf, potri = get_lapack_funcs(("potrf", "potri"), (lower,))
    lower, info = potrf(lower, lower=True, overwrite_a=True, clean=False)
    if info != 0:
        raise np.linalg.LinAlgError(_not_positive_definite(matrix.dtype))
    potri(lower, lower=True, overwrite_c=True)


def _invert_upper_torch(matrix, device):
    import torch

    full = torch.from_numpy(matrix).to(device).triu_()
    full += full.triu(1).T
    factor, info = torch.linalg.cholesky_ex(full)
    if info.item() != 0:
        raise np.linalg.LinAlgError(_not_positive_definite(matrix.dtype))
    matrix[:] = torch.cholesky_inverse(factor).cpu().numpy()


def _not_positive_definite(dtype):
    fix = "dtype='float64' or a larger l2" if dtype == np.float32 else "a larger l2"
    return f"The penalised Gram matrix is not positive definite in {dtype}: use {fix}."


def _norm_1(matrix):
    """Largest absolute column sum of the symmetric matrix given by its upper triangle."""
    sums = np.zeros(len(matrix))
    for start in range(0, len(matrix), _TILE):
        panel = np.abs(matrix[start : start + _TILE, start:])
        square = np.triu(panel[:, : len(panel)])
        sums[start : start + len(panel)] += square.sum(axis=0) + np.triu(square, 1).sum(axis=1)
        beside = panel[:, len(panel) :]
        sums[start : start + len(panel)] += beside.sum(axis=1)
        sums[start + len(panel) :] += beside.sum(axis=0)
    return sums.max()


def scale_upper(matrix, scale, n_threads=1):
    """Multiply row and column `i` of the upper triangle by ``scale[i]``, in place.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
    scale : ndarray of shape (n,)
        float64, so that no product overflows on the way.
    n_threads : int, default=1
    """

    def fill(start):
        rows = slice(start, start + _TILE)
        for left in range(start, len(matrix), _TILE):
            columns = slice(left, left + _TILE)
            matrix[rows, columns] = matrix[rows, columns] * scale[rows, None] * scale[columns]

    map_blocks(fill, range(0, len(matrix), _TILE), n_threads)


def mirror_upper(matrix, column_scale=None, n_threads=1, row_scale=None):
    """Fill the lower triangle from the upper one in place, then scale columns and rows.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
    column_scale : ndarray of shape (n,), default=None
    n_threads : int, default=1
    row_scale : ndarray of shape (n,), default=None
    """
    n = len(matrix)
    columns = np.ones(n, dtype=matrix.dtype) if column_scale is None else column_scale
    rows = np.ones((n, 1), dtype=matrix.dtype) if row_scale is None else row_scale[:, None]

    def fill(start):
        here = slice(start, min(start + _TILE, n))
        square = np.triu(matrix[here, here])
        matrix[here, here] = (square + np.triu(square, 1).T) * (rows[here] * columns[here])
        for left in range(here.stop, n, _TILE):
            there = slice(left, left + _TILE)
            tile = matrix[here, there]
            matrix[there, here] = tile.T * (rows[there] * columns[here])
            tile[:] = tile * (rows[here] * columns[there])

    map_blocks(fill, range(0, n, _TILE), n_threads)


def symmetric_product(left, upper):
    """``left @ A`` in float64, for a symmetric `A` that is given by its upper triangle.

    Parameters
    ----------
    left : ndarray of shape (n_rows, n)
    upper : ndarray of shape (n, n)

    Returns
    -------
    product : ndarray of shape (n_rows, n)
    """
    product = np.zeros(left.shape)
    for start in range(0, len(upper), _TILE):
        stop = min(start + _TILE, len(upper))
        panel = upper[start:stop, start:].astype(np.float64)
        panel[:, : stop - start] = np.triu(panel[:, : stop - start])
        product[:, start:] += left[:, start:stop] @ panel
        np.fill_diagonal(panel, 0)
        product[:, start:stop] += left[:, start:] @ panel.T
    return product
