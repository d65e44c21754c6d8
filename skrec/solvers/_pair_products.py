"""Inner products of pairs of rows."""

import numpy as np

# Elements of the two gathered blocks: few enough for them to stay in the cache.
BLOCK_ELEMENTS = 2**17


def pair_products(left, right, rows, columns):
    """Inner product of a row of `left` and a row of `right` for each pair of numbers.

    Parameters
    ----------
    left, right : ndarray of shape (n_left, n_components) and (n_right, n_components)
    rows, columns : ndarray of int of shape (n_pairs,)

    Returns
    -------
    products : ndarray of shape (n_pairs,)
    """
    products = np.empty(len(rows), dtype=np.result_type(left, right))
    n_block = max(1, BLOCK_ELEMENTS // max(1, left.shape[1]))
    for start in range(0, len(rows), n_block):
        block = slice(start, start + n_block)
        np.einsum("ij,ij->i", left[rows[block]], right[columns[block]], out=products[block])
    return products
