"""Batches of ratings with the row of the user and the column of the item of each."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from skrec.neural._batches import RowStore, SparseBatch
from skrec.solvers._devices import to_tensor


@dataclass(frozen=True)
class RatedRows:
    """Rows of one side, users or items, that the ratings of a batch stand in.

    Parameters
    ----------
    batch : SparseBatch
        Each distinct row once.
    rows : int64 tensor of shape (n_pairs,)
        Row of each rating in `batch`.
    entries : int64 tensor of shape (n_pairs,)
        Entry of `batch` that is the rating itself.
    """

    batch: SparseBatch
    rows: torch.Tensor
    entries: torch.Tensor

    def dropped_out(self, probability, generator):
        """Set entries to zero and scale the others by ``1 / (1 - probability)``.

        All keep their places, so that `entries` still points to the ratings.
        """
        if probability == 0:
            return self
        values = self.batch.values
        draws = torch.rand(
            len(values), generator=generator, dtype=values.dtype, device=values.device
        )
        values = values * (draws >= probability) / (1 - probability)
        return replace(self, batch=replace(self.batch, values=values))


@dataclass(frozen=True)
class EntryBatch:
    """Ratings, and what else their users and items have.

    Parameters
    ----------
    users, items : RatedRows
    ratings : float32 tensor of shape (n_pairs,)
    n_total : int
        Ratings in the batch over all processes: what means are taken over.
    """

    users: RatedRows
    items: RatedRows
    ratings: torch.Tensor
    n_total: int


class EntryStore(torch.utils.data.Dataset):
    """A matrix of ratings on the device that hands out its entries in batches.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    device : torch.device
    """

    def __init__(self, X, device):
        self.device = device
        transposed = X.T.tocsr()
        order = np.argsort(X.indices, kind="stable")  # the entries, column by column
        by_column = np.empty(X.nnz, dtype=np.int64)
        by_column[order] = np.arange(X.nnz)
        users = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        self._sides = [
            (RowStore(X, device), users, np.arange(X.nnz) - X.indptr[users]),
            (RowStore(transposed, device), X.indices, by_column - transposed.indptr[X.indices]),
        ]

    def __len__(self):
        return len(self._sides[0][1])

    def batches(self, batch_size, order=None, process=0, n_processes=1):
        """Yield ratings in batches.

        Parameters
        ----------
        batch_size : int
            Ratings of a batch over all processes.
        order : ndarray of int, default=None
            Which ratings, in which order. None means all, as they stand.
        process, n_processes : int, default=(0, 1)
            Which share of each batch is cut here.
        """
        order = np.arange(len(self)) if order is None else order
        for start in range(0, len(order), batch_size):
            stop = min(start + batch_size, len(order))
            yield self._cut(order[start + process : stop : n_processes], n_total=stop - start)

    def _cut(self, entries, n_total):
        sides = []
        for store, rows, places in self._sides:
            distinct, positions = np.unique(rows[entries], return_inverse=True)
            batch = store.cut(distinct)
            positions = to_tensor(positions.astype(np.int64), self.device)
            places = to_tensor(places[entries].astype(np.int64), self.device)
            sides.append(RatedRows(batch, positions, batch.offsets[positions] + places))
        users = sides[0]
        return EntryBatch(*sides, users.batch.values[users.entries], n_total)
