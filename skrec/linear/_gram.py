"""Gram matrices of sparse data and their inverses, in place."""

import warnings

import numpy as np
from scipy.linalg import LinAlgWarning
from scipy.linalg.lapack import get_lapack_funcs
from scipy.sparse import csc_array

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
    """
    if device == "cpu":
        _invert_upper_lapack(matrix)
    else:
        _invert_upper_torch(matrix, device)


def _invert_upper_lapack(matrix):
    lower = matrix.T  # Fortran-ordered, so LAPACK works on the buffer itself
    potrf, potri, pocon = get_lapack_funcs(("potrf", "potri", "pocon"), (lower,))
    norm = _norm_1(matrix)
    lower, info = potrf(lower, lower=True, overwrite_a=True, clean=False)
    if info != 0:
        raise np.linalg.LinAlgError(_conditioning_message(matrix.dtype, "not positive definite"))
    reciprocal_condition, _ = pocon(lower, norm, uplo="L")
    if reciprocal_condition < np.finfo(matrix.dtype).eps:
        reason = f"ill-conditioned (reciprocal condition number {reciprocal_condition:.1e})"
        warnings.warn(_conditioning_message(matrix.dtype, reason), LinAlgWarning, stacklevel=2)
    potri(lower, lower=True, overwrite_c=True)


def _invert_upper_torch(matrix, device):
    import torch

    full = torch.from_numpy(matrix).to(device).triu_()
    full += full.triu(1).T
    factor, info = torch.linalg.cholesky_ex(full)
    if info.item() != 0:
        raise np.linalg.LinAlgError(_conditioning_message(matrix.dtype, "not positive definite"))
    matrix[:] = torch.cholesky_inverse(factor).cpu().numpy()


def _conditioning_message(dtype, reason):
    fix = "dtype='float64' or a larger l2" if dtype == np.float32 else "a larger l2"
    return f"The penalised Gram matrix is {reason} in {dtype}: use {fix}."


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


def mirror_upper(matrix, column_scale=None, n_threads=1):
    """Fill the lower triangle from the upper one in place, then scale the columns.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
    column_scale : ndarray of shape (n,), default=None
    n_threads : int, default=1
    """
    n = len(matrix)
    scale = np.ones(n, dtype=matrix.dtype) if column_scale is None else column_scale

    def fill(start):
        stop = min(start + _TILE, n)
        square = np.triu(matrix[start:stop, start:stop])
        matrix[start:stop, start:stop] = (square + np.triu(square, 1).T) * scale[start:stop]
        for left in range(stop, n, _TILE):
            tile = matrix[start:stop, left : left + _TILE]
            matrix[left : left + _TILE, start:stop] = tile.T * scale[start:stop]
            tile *= scale[left : left + _TILE]

    map_blocks(fill, range(0, n, _TILE), n_threads)
