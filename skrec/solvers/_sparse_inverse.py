"""Sparse approximate inverses of penalised Gram matrices."""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg.lapack import get_lapack_funcs

from skrec.solvers import _inverse_kernels as kernels
from skrec.solvers._gram import gram_upper
from skrec.utils._blocks import map_blocks

# Inner products of these columns are all computed, as most regressions meet them: 128 MiB.
_N_HEAD = 4096
# Regressors that are tried beside those that are kept, if there are as many of those.
_N_SPARE = 100
_BLOCK_ROWS = 256


class SparseInverse(NamedTuple):
    """``factor.T @ diag(1 / residuals) @ factor``, near the inverse of ``X.T @ X + penalty * I``.

    Parameters
    ----------
    factor : csr_array of shape (n_columns, n_columns)
        float64. A triangular matrix with a unit diagonal, its rows and columns permuted alike.
    residuals : ndarray of shape (n_columns,)
    """

    factor: sparse.csr_array
    residuals: np.ndarray


def sparse_inverse(X, penalty, n_kept, n_threads=1):
    """Invert a penalised Gram matrix to a product of sparse factors.

    Columns are taken by their sum of squares, the largest first, and each is regressed on columns
    before it: of those that correlate most with it, those whose weight tells most. Its weights,
    with their sign changed, are its row of the factor, and the square that is left is its
    residual. Of all factors of this pattern it is the one whose normal distribution has the
    smallest Kullback-Leibler divergence from that of the matrix, and no row depends on another.
    With all columns before it, that is the exact inverse.

    Parameters
    ----------
    X : csr_array of shape (n_rows, n_columns)
    penalty : float
        What is added to the diagonal, above 0.
    n_kept : int
        Most columns that one is regressed on.
    n_threads : int, default=1

    Returns
    -------
    inverse : SparseInverse

    Raises
    ------
    LinAlgError
        If rounding errors leave nothing of a residual, which is at least the penalty.
    """
    n_columns = X.shape[1]
    with np.errstate(over="ignore"):
        squares = np.bincount(X.indices, np.square(X.data, dtype=np.float64), minlength=n_columns)
    if not np.isfinite(squares).all():
        raise ValueError("The squares of X overflow: scale X down.")
    order = np.lexsort((np.arange(n_columns), -squares))
    rows = sparse.csr_array(X, dtype=np.float64)[:, order]
    rows.sort_indices()
    if n_kept >= n_columns - 1:
        factor, scale = _dense_factor(rows, penalty, n_threads)
    else:
        factor, scale = _sparse_factor(rows, squares[order], penalty, n_kept, n_threads)
    place = np.argsort(order)
    factor = sparse.csr_array(factor)[place][:, place]
    factor.sort_indices()
    return SparseInverse(factor, scale[place])


def _dense_factor(rows, penalty, n_threads):
    gram = gram_upper(rows, n_threads)
    gram[np.diag_indices_from(gram)] += penalty
    lower = gram.T  # Fortran-ordered, so LAPACK works on the buffer itself
    potrf, trtri = get_lapack_funcs(("potrf", "trtri"), (lower,))
    lower, info = potrf(lower, lower=True, overwrite_a=True, clean=True)
    roots = lower.diagonal().copy()
    if info != 0 or not (roots**2 > penalty / 2).all():
        raise _no_digit_left(penalty)
    factor, _ = trtri(lower, lower=True, overwrite_c=True)
    factor *= roots[:, None]
    return factor, roots**2


def _sparse_factor(rows, squares, penalty, n_kept, n_threads):
    n_columns = rows.shape[1]
    n_tried = n_kept + min(n_kept, _N_SPARE)
    columns = rows.tocsc()
    head = gram_upper(columns[:, :_N_HEAD].tocsr(), n_threads)
    row_parts, column_parts = ((M.indptr, M.indices, M.data) for M in (rows, columns))

    def regress(first):
        last = min(first + _BLOCK_ROWS, n_columns)
        return kernels.inverse_rows(
            first, last, n_kept, n_tried, row_parts, column_parts, squares, head, penalty
        )

    parts = map_blocks(regress, range(0, n_columns, _BLOCK_ROWS), n_threads)
    lengths, residuals, indices, data = (np.concatenate(part) for part in zip(*parts, strict=True))
    if not (residuals > penalty / 2).all():
        raise _no_digit_left(penalty)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return sparse.csr_array((data, indices, indptr), shape=(n_columns, n_columns)), residuals


def _no_digit_left(penalty):
    return np.linalg.LinAlgError(
        f"Rounding errors exceed the penalty of {penalty:g} on these data: use a larger l2."
    )
