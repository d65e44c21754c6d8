"""The nearest rows of a matrix, from sparse products in blocks."""

import numpy as np
from scipy import sparse

from skrec.utils._blocks import map_blocks, row_blocks


def nearest_columns(left, right, k, n_threads=1, scale=None):
    """The `k` largest entries of each column of ``left.T @ right``, its diagonal left out.

    Parameters
    ----------
    left, right : sparse array of shape (n_rows, n_columns)
        Without negative entries: what is 0 counts as not there.
    k : int
        Entries kept of a column. At equal values those of lower index are kept.
    n_threads : int, default=1
    scale : ndarray of shape (n_columns,), default=None
        Factor of each row of the product, applied before the largest are chosen.

    Returns
    -------
    nearest : csc_array of shape (n_columns, n_columns)
        No array of all columns by all columns is made: one block of them is multiplied at a time.
    """
    left, right = sparse.csr_array(left), sparse.csr_array(right.T)
    n_columns = left.shape[1]

    def nearest(block):
        products = right[block] @ left  # a row for each column of the block
        if scale is not None:
            products.data *= scale[products.indices]
        rows = np.repeat(np.arange(block.start, block.stop), np.diff(products.indptr))
        products.data[products.indices == rows] = 0
        return _largest(products, k)

    # A product holds at most a number and an index for each pair, and they are sorted once.
    blocks = row_blocks(n_columns, 3 * 16 * n_columns, n_threads)
    parts = map_blocks(nearest, blocks, n_threads)
    return sparse.csc_array(sparse.vstack(parts, format="csr").T)


def _largest(X, k):
    """Keep the `k` largest positive entries of each row."""
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    order = np.lexsort((X.indices, -X.data, rows))
    place = np.arange(X.nnz) - X.indptr[rows]  # rows keep their places in this order
    kept = order[(place < k) & (X.data[order] > 0)]
    entries = X.data[kept], (rows[kept], X.indices[kept])
    return sparse.csr_array(entries, shape=X.shape)
