"""The nearest users, or items, of those who have rated: what ratings are predicted from."""

import numpy as np

from skrec.solvers._rating_neighbors import (
    all_rows,
    neighbor_means,
    pairs_by_group,
    similarities,
)
from skrec.utils._blocks import map_blocks, row_blocks
from skrec.utils._memory import check_memory
from skrec.utils._pair_blocks import blocks_of_pairs

# Of a similarity that is kept, its column and its value.
_ENTRY_BYTES = 12


class NearestUsers:
    """Training users who have rated an item, those most similar to a row.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        Training ratings.
    center : Center
    comparison : Comparison
    limits : tuple of (int, int)
        How many are taken, and how few are too few.
    n_threads : int
        Not needed: training is storing.
    """

    def __init__(self, X, center, comparison, limits, n_threads):
        self.comparison, self.limits = comparison, limits
        self.compared_by_item = comparison(X).T.tocsr()
        self.deviations_by_item = center.deviations(X).T.tocsr()

    def of_rows(self, X, n_threads):
        """Mean deviation of the neighbours, for each row and each item.

        `n_threads` calls are in flight at a time.
        """
        means = np.empty(X.shape)
        # There may be far more training users than items, which the rows were counted by.
        for block in row_blocks(X.shape[0], self._row_bytes, n_threads):
            rows = X[block]
            means[block] = self._means(rows, all_rows(*rows.shape)).reshape(rows.shape)
        return means

    def of_pairs(self, X, users, items, n_threads):
        """The same for pairs of positions."""
        means = np.empty(len(users))

        def fill(block):
            rows, pairs, positions = block
            means[pairs] = self._means(rows, pairs_by_group(positions, items[pairs]))

        map_blocks(fill, blocks_of_pairs(X, users, self._row_bytes, n_threads), n_threads)
        return means

    @property
    def _row_bytes(self):
        # Similarities to all training users, once in parts and once put together.
        return 2 * _ENTRY_BYTES * self.compared_by_item.shape[1]

    def _means(self, X, asked):
        near = similarities(self.comparison(X), self.compared_by_item, self.comparison.rule)
        return neighbor_means(near, self.deviations_by_item, asked, *self.limits)


class NearestItems:
    """Items of a row, those most similar to an item; for the rest as :class:`NearestUsers`."""

    def __init__(self, X, center, comparison, limits, n_threads):
        self.center, self.limits = center, limits
        compared = comparison(X)
        by_item = compared.T.tocsr()
        # Once in parts, and once put together.
        check_memory(
            2 * _ENTRY_BYTES * most_similarities(by_item, X),
            f"RatingKNN's similarities of {X.shape[1]} items",
            "use based_on='user', which keeps none, or leave out items with few ratings",
        )
        self.similarities = similarities(by_item, compared, comparison.rule, n_threads)

    def of_rows(self, X, n_threads):
        n_users, n_items = X.shape
        known = self.center.deviations(X)
        means = neighbor_means(self.similarities, known, all_rows(n_items, n_users), *self.limits)
        return np.ascontiguousarray(means.reshape(n_items, n_users).T)

    def of_pairs(self, X, users, items, n_threads):
        known = self.center.deviations(X)
        means = np.empty(len(users))

        def fill(block):
            numbers, pairs, positions = block
            asked = pairs_by_group(positions, users[pairs])
            means[pairs] = neighbor_means(self.similarities[numbers], known, asked, *self.limits)

        # By their numbers: the blocks together would be a copy of the similarities.
        numbers, row_bytes = np.arange(X.shape[1]), _ENTRY_BYTES * X.shape[1]
        blocks = blocks_of_pairs(numbers, items, row_bytes, n_threads)
        map_blocks(fill, blocks, n_threads)
        return means


def most_similarities(by_item, X):
    """An upper bound of the number of pairs of items which somebody has rated both.

    Parameters
    ----------
    by_item : csr_array of shape (n_items, n_users)
    X : csr_array of shape (n_users, n_items)

    Returns
    -------
    n_pairs : int
    """
    lengths = np.diff(X.indptr).astype(np.int64)
    n_shared = np.concatenate([[0], np.cumsum(lengths[by_item.indices])])
    return int(np.minimum(np.diff(n_shared[by_item.indptr]), X.shape[1]).sum())
