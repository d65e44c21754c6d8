"""Products of two sparse matrices, of which only the largest entries of each row are kept."""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

from skrec.solvers import _product_kernels as kernels
from skrec.utils._blocks import map_blocks, row_blocks

# Enough rows for the interpreter's share to vanish; few enough for threads to end together.
_BLOCK_ROWS = 256


class Denominator(NamedTuple):
    """What products are divided by: ``rows * columns + row_terms + column_terms - overlap * P``.

    Here `P` is the product itself. Where the sum is not positive, the quotient is 0.

    Parameters
    ----------
    rows, row_terms : ndarray of float64 of shape (n_rows,)
    columns, column_terms : ndarray of float64 of shape (n_columns,)
    overlap : float
    """

    rows: np.ndarray
    columns: np.ndarray
    row_terms: np.ndarray
    column_terms: np.ndarray
    overlap: float


def largest_entries(left, right, k, n_threads=1, *, denominator=None):
    """The `k` largest positive entries of each row of ``left @ right``.

    Parameters
    ----------
    left : csr_array of shape (n_rows, n_inner)
    right : csr_array of shape (n_inner, n_columns)
    k : int
    n_threads : int, default=1
    denominator : Denominator, default=None
        What the products are divided by before.

    Returns
    -------
    largest : csr_array of shape (n_rows, n_columns)
        Sorted. Of equal entries those of lower index are kept.
    """
    names = np.arange(right.shape[1])
    return _largest(left, right, k, n_threads, names, True, denominator)


def largest_off_diagonal(left, right, k, n_threads=1, *, denominator=None):
    """As :func:`largest_entries` of a square product, with its diagonal left out.

    Parameters
    ----------
    left : csr_array of shape (n_rows, n_inner)
    right : csr_array of shape (n_inner, n_rows)
    k : int
    n_threads : int, default=1
    denominator : Denominator, default=None
        What the products are divided by before.

    Returns
    -------
    largest : csr_array of shape (n_rows, n_rows)
    """
    # Sums of the columns that are met most stand side by side, in few lines of the cache.
    order = np.argsort(-np.bincount(right.indices, minlength=right.shape[1]), kind="stable")
    if denominator is not None:
        denominator = denominator._replace(
            columns=denominator.columns[order], column_terms=denominator.column_terms[order]
        )
    return _largest(left, right[:, order], k, n_threads, order, False, denominator)


def _largest(left, right, k, n_threads, names, diagonal, denominator):
    """The largest entries of each row; the columns of `right` go by `names`."""
    left, right = _of_one_dtype(left, right)
    shape = left.shape[0], right.shape[1]
    k = min(k, shape[1])

    def choose(block):
        columns, values = kernels.largest_entries(
            *(block.start, block.stop, k, _parts(left), _parts(right)),
            *(names, diagonal, denominator),
        )
        kept = columns >= 0
        return kept.sum(axis=1), columns[kept], values[kept]

    # A column of 32 bits, and a value, of each entry that may be kept.
    blocks = row_blocks(shape[0], 12 * k, n_threads)
    parts = map_blocks(choose, blocks, n_threads)
    lengths, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    if indptr[-1] <= np.iinfo(np.int32).max:
        indptr = indptr.astype(np.int32)
    else:
        columns = columns.astype(np.int64)
    largest = sparse.csr_array((values, columns, indptr), shape=shape)
    largest.sort_indices()
    return largest


def recommend_products(
    left_rows,
    right,
    X,
    k,
    *,
    exclude_seen=True,
    items=None,
    exclude=None,
    check=None,
    return_scores=False,
    n_threads=1,
):
    """Best `k` items of each row of `X` by scores that are a product of sparse matrices.

    :func:`~skrec.utils._blocks.recommend_rows` without dense scores: the work grows with the
    products that are not 0, whatever the number of items.

    Parameters
    ----------
    left_rows : callable
        Takes a block of rows of `X`, returns the csr_array whose product with `right` scores it.
    right : csr_array of shape (n_inner, n_items)
    X : csr_array of shape (n_users, n_items)
    k : int
    exclude_seen, items, exclude, return_scores, n_threads
        As for ``recommend_rows``.
    check : callable, default=None
        Gets the scores that were chosen in a block, all NaN if any score is not finite.

    Returns
    -------
    indices : ndarray of shape (n_users, k)
    scores : ndarray of shape (n_users, k)
        Only if ``return_scores=True``.
    """
    n_users, n_items = X.shape
    is_open = np.ones(n_items, dtype=bool)
    if items is not None and not sparse.issparse(items):
        is_open[:] = False
        is_open[items] = True
    if exclude is not None and not sparse.issparse(exclude):
        is_open[exclude] = False
    n_kept = min(k, n_items)
    right = right.astype(np.result_type(X.dtype, right.dtype), copy=False)
    indices = np.full((n_users, k), -1, dtype=np.intp)
    scores = np.full((n_users, k), -np.inf, dtype=right.dtype) if return_scores else None

    def best(block):
        rows = X[block]
        blocked = [rows] if exclude_seen else []
        if sparse.issparse(exclude):
            blocked.append(exclude[block])
        allowed = items[block] if sparse.issparse(items) else None
        left = left_rows(rows).astype(right.dtype, copy=False)
        columns, values = kernels.best_of_products(
            n_kept,
            _parts(left),
            _parts(right),
            is_open,
            tuple(_pattern(part, X.indices.dtype) for part in blocked) or None,
            None if allowed is None else _pattern(allowed, X.indices.dtype),
        )
        if check is not None:
            check(values[columns >= 0])
        indices[block, :n_kept] = columns
        if return_scores:
            scores[block, :n_kept] = values

    map_blocks(best, list(gen_batches(n_users, _BLOCK_ROWS)), n_threads)
    return (indices, scores) if return_scores else indices


def dense_product(left, right):
    """``left @ right`` as a dense array, its sums added up as by :func:`recommend_products`.

    Parameters
    ----------
    left : csr_array of shape (n_rows, n_inner)
    right : csr_array of shape (n_inner, n_columns)

    Returns
    -------
    product : ndarray of shape (n_rows, n_columns)
    """
    left, right = _of_one_dtype(left, right)
    product = np.zeros((left.shape[0], right.shape[1]), dtype=left.dtype)
    kernels.add_to_dense(_parts(left), _parts(right), product)
    return product


def _of_one_dtype(left, right):
    dtype = np.result_type(left.dtype, right.dtype)
    return left.astype(dtype, copy=False), right.astype(dtype, copy=False)


def _parts(X):
    return *_pattern(X, X.indices.dtype), X.data


def _pattern(X, dtype):
    return X.indptr.astype(dtype, copy=False), X.indices.astype(dtype, copy=False)
