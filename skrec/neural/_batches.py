"""Batches of rows cut from a sparse matrix on the device, without a detour over the host."""

from dataclasses import dataclass, replace

import numpy as np
import torch


@dataclass(frozen=True)
class SparseBatch:
    """Rows of a users x items matrix as tensors on one device.

    Parameters
    ----------
    items : int64 tensor of shape (n_entries,)
        Column of each entry.
    offsets : int64 tensor of shape (n_rows + 1,)
        Where each row starts.
    values : float32 tensor of shape (n_entries,)
    n_items : int
    users : int64 tensor of shape (n_rows,)
        Position of each row in the training data.
    n_total : int
        Rows in the batch over all processes: what means are taken over.
    """

    items: torch.Tensor
    offsets: torch.Tensor
    values: torch.Tensor
    n_items: int
    users: torch.Tensor
    n_total: int

    def __len__(self):
        return len(self.offsets) - 1

    @property
    def rows(self):
        """Row of each entry."""
        return torch.repeat_interleave(self.offsets.diff(), output_size=len(self.items))

    @property
    def flat(self):
        """Position of each entry in a dense (n_rows, n_items) array."""
        return self.rows * self.n_items + self.items

    def sum_rows(self, values):
        """Sum one value per entry over each row."""
        return values.new_zeros(len(self)).index_add_(0, self.rows, values)

    @property
    def totals(self):
        """Sum of the entries of each row."""
        return self.sum_rows(self.values)

    def normalized(self):
        """Scale every row to unit length; an empty row stays empty."""
        norms = self.sum_rows(self.values**2).sqrt_()
        norms[norms == 0] = 1
        return replace(self, values=self.values / norms[self.rows])

    def dropped_out(self, probability, generator):
        """Drop entries at random and scale those that stay by ``1 / (1 - probability)``."""
        if probability == 0:
            return self
        draws = torch.rand(len(self.items), generator=generator, device=self.items.device)
        kept = draws >= probability
        n_kept_before = torch.cat([self.offsets.new_zeros(1), kept.cumsum(0)])
        return replace(
            self,
            items=self.items[kept],
            values=self.values[kept] / (1 - probability),
            offsets=n_kept_before[self.offsets],
        )


class RowStore(torch.utils.data.Dataset):
    """A sparse matrix that lives on the device and hands out its rows in batches.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    device : torch.device
    """

    def __init__(self, X, device):
        self.n_items = X.shape[1]
        self.device = device
        self._host_lengths = np.diff(X.indptr)
        self._items = to_tensor(X.indices, device)
        self._values = to_tensor(X.data.astype(np.float32, copy=False), device)
        self._starts = to_tensor(X.indptr[:-1].astype(np.int64), device)
        self._lengths = to_tensor(self._host_lengths.astype(np.int64), device)

    def __len__(self):
        return len(self._host_lengths)

    def cut(self, users, n_total=None):
        """Take rows.

        Parameters
        ----------
        users : ndarray of int
            Row numbers, in any order.
        n_total : int, default=None
            Rows in the batch over all processes. None means those taken here.

        Returns
        -------
        batch : SparseBatch
        """
        # The number of entries is counted on the host, so that nothing waits for the device.
        n_entries = int(self._host_lengths[users].sum())
        users = to_tensor(np.asarray(users, dtype=np.int64), self.device)
        lengths = self._lengths[users]
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        shifts = torch.repeat_interleave(
            self._starts[users] - offsets[:-1], lengths, output_size=n_entries
        )
        entries = shifts + torch.arange(n_entries, device=self.device)
        return SparseBatch(
            items=self._items[entries].long(),
            offsets=offsets,
            values=self._values[entries],
            n_items=self.n_items,
            users=users,
            n_total=n_total or len(users),
        )

    def batches(self, batch_size):
        """Yield all rows, in order, in batches."""
        for start in range(0, len(self), batch_size):
            yield self.cut(np.arange(start, min(start + batch_size, len(self))))

    def cut_all_rows(self):
        """Take all rows, in order."""
        return self.cut(np.arange(len(self)))


def to_tensor(array, device):
    """Copy or share a NumPy array as a tensor; torch refuses to share read-only memory."""
    if not array.flags.writeable:
        array = array.copy()
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
