"""Pairs of user and item, in blocks of users."""

import numpy as np

from skrec.utils._blocks import effective_n_threads, map_blocks, row_blocks


def score_pairs(score_rows, X, users, items, n_jobs=None):
    """Scores of pairs of user and item, from whole rows of scores, in blocks of users.

    Parameters
    ----------
    score_rows : callable
        Takes a block of rows of `X`, returns an array of shape (n_block, n_items).
    X : csr_array of shape (n_users, n_items)
    users, items : ndarray of int of shape (n_pairs,)
        Rows and columns of `X`.
    n_jobs : int, default=None

    Returns
    -------
    scores : ndarray of shape (n_pairs,)
    """
    scores = np.empty(len(users))

    def score(block):
        rows, pairs, positions = block
        scores[pairs] = score_rows(rows)[positions, items[pairs]]

    n_threads = effective_n_threads(n_jobs)
    map_blocks(score, blocks_of_pairs(X, users, 8 * X.shape[1], n_threads), n_threads)
    return scores


def blocks_of_pairs(X, users, row_bytes=0, n_threads=1):
    """Cut pairs of user and item into blocks of users.

    Parameters
    ----------
    X : {csr_array, ndarray} of shape (n_users, ...)
    users : ndarray of int of shape (n_pairs,)
        Rows of `X`.
    row_bytes : int, default=0
        Bytes that the work on one row holds at its peak.
    n_threads : int, default=1

    Returns
    -------
    blocks : list of tuple of ({csr_array, ndarray}, ndarray, ndarray)
        Rows of `X`, the pairs of their users, and each such pair's position among the rows.
    """
    asked, position = np.unique(users, return_inverse=True)
    order = np.argsort(position, kind="stable")
    starts = np.searchsorted(position[order], np.arange(len(asked) + 1))
    blocks = []
    for block in row_blocks(len(asked), max(row_bytes, 1), n_threads):
        pairs = order[starts[block.start] : starts[block.stop]]
        blocks.append((X[asked[block]], pairs, position[pairs] - block.start))
    return blocks
