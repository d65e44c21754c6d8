"""Batches of rows cut from a sparse matrix on the device, without a detour over the host."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import csr_array

from skrec.solvers._devices import to_tensor
from skrec.solvers._torch_state import torch_state
from skrec.utils._blocks import row_blocks


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
    entries : int64 tensor of shape (n_entries,), default=None
        Position of each entry in the training data; known to batches that a store has cut.
    """

    items: torch.Tensor
    offsets: torch.Tensor
    values: torch.Tensor
    n_items: int
    users: torch.Tensor
    n_total: int
    entries: torch.Tensor | None = None

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
        """Sum one value per entry over each row, in the same order at every call."""
        return torch.segment_reduce(values, "sum", offsets=self.offsets)

    @property
    def totals(self):
        """Sum of the entries of each row."""
        return self.sum_rows(self.values)

    def normalized(self):
        """Scale every row to unit length; an empty row stays empty."""
        # The largest entry is divided out first: squares of single precision soon overflow.
        largest = torch.segment_reduce(
            self.values.abs(), "max", offsets=self.offsets, initial=0
        ).clamp_(min=torch.finfo(self.values.dtype).tiny)
        values = self.values / largest[self.rows]
        norms = self.sum_rows(values**2).sqrt_().clamp_(min=1)
        return replace(self, values=values / norms[self.rows])

    def by_item(self, values, n_items):
        """Exchange rows and items: the entries of each item, one value each, rows ascending.

        Parameters
        ----------
        values : tensor of shape (n_entries,)
        n_items : int
            At least that of the batch.

        Returns
        -------
        rows : int tensor of shape (n_entries,)
        starts : int tensor of shape (n_items + 1,)
            Where each item starts.
        values : tensor of shape (n_entries,)
        """
        by_item = _count if self.items.device.type == "cpu" else _sort
        return by_item(self, values, n_items)

    def select(self, is_chosen):
        """Keep the entries that a mask says."""
        n_before = torch.cat([self.offsets.new_zeros(1), is_chosen.cumsum(0)])
        chosen = is_chosen.nonzero().squeeze(1)
        return replace(
            self,
            items=self.items[chosen],
            values=self.values[chosen],
            offsets=n_before[self.offsets],
            entries=None if self.entries is None else self.entries[chosen],
        )

    def split(self, probability, generator):
        """Hide entries at random: a batch of those that stay, and one of those that are hidden.

        Parameters
        ----------
        probability : float
            Of an entry to be hidden.
        generator : torch.Generator
        """
        draws = torch.rand(
            len(self.items),
            generator=generator,
            dtype=self.values.dtype,
            device=self.items.device,
        )
        is_hidden = draws < probability
        return self.select(~is_hidden), self.select(is_hidden)

    def block(self, rows):
        """Take the rows of a slice."""
        offsets = self.offsets[rows.start : rows.stop + 1]
        entries = slice(int(offsets[0]), int(offsets[-1]))
        return replace(
            self,
            items=self.items[entries],
            values=self.values[entries],
            offsets=offsets - offsets[0],
            users=self.users[rows],
            entries=None if self.entries is None else self.entries[entries],
        )

    def dropped_out(self, probability, generator):
        """Drop entries at random and scale those that stay by ``1 / (1 - probability)``."""
        if probability == 0:
            return self
        draws = torch.rand(
            len(self.items),
            generator=generator,
            dtype=self.values.dtype,
            device=self.items.device,
        )
        kept = draws >= probability
        values = self.values / (1 - probability)
        if self.items.device.type != "cpu":
            # How many are kept is not known here without waiting for the device.
            return replace(self, values=values * kept)
        return replace(self, values=values).select(kept)


def _count(batch, values, n_items):
    entries = values.numpy(), batch.items.numpy(), batch.offsets.numpy()
    X = csr_array(entries, shape=(len(batch), n_items)).tocsc()
    return tuple(torch.from_numpy(part) for part in (X.indices, X.indptr, X.data))


def _sort(batch, values, n_items):
    items, order = torch.sort(batch.items, stable=True)
    starts = torch.searchsorted(items, torch.arange(n_items + 1, device=items.device))
    return batch.rows[order], starts, values[order]


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
        # Kept on the host too: entries are counted there, so that no batch waits for the device.
        self._host_lengths = np.diff(X.indptr)
        self._items = to_tensor(X.indices, device)
        self._values = to_tensor(_to_float32(X.data), device)
        self._starts = to_tensor(X.indptr[:-1].astype(np.int64), device)
        self._lengths = to_tensor(self._host_lengths.astype(np.int64), device)

    def __len__(self):
        return len(self._host_lengths)

    def batches(self, batch_size, order=None, process=0, n_processes=1):
        """Yield rows in batches.

        Parameters
        ----------
        batch_size : int
            Rows of a batch over all processes.
        order : ndarray of int, default=None
            Which rows, in which order. None means all, as they stand.
        process, n_processes : int, default=(0, 1)
            Which share of each batch is cut here.
        """
        order = np.arange(len(self)) if order is None else order
        on_device = to_tensor(order.astype(np.int64), self.device)
        for start in range(0, len(order), batch_size):
            stop = min(start + batch_size, len(order))
            share = slice(start + process, stop, n_processes)
            n_entries = int(self._host_lengths[order[share]].sum())
            yield self._cut(on_device[share], n_entries, n_total=stop - start)

    def cut(self, users=None):
        """Take rows: a batch of those with the given numbers, or of all."""
        users = np.arange(len(self)) if users is None else np.asarray(users, dtype=np.int64)
        n_entries = int(self._host_lengths[users].sum())
        return self._cut(to_tensor(users, self.device), n_entries, n_total=len(users))

    def _cut(self, users, n_entries, n_total):
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
            n_total=n_total,
            entries=entries,
        )


def map_rows(function, X, device, row_bytes):
    """What a function of batches gives for all rows of a matrix, as one array.

    Parameters
    ----------
    function : callable
        Takes a SparseBatch, returns a tensor of shape (n_rows, n_outputs).
    X : csr_array of shape (n_rows, n_columns)
    device : torch.device
    row_bytes : int
        Bytes that the work on one row holds at its peak.

    Returns
    -------
    outputs : ndarray of shape (n_rows, n_outputs)
    """
    with torch_state():
        outputs = [
            function(RowStore(X[block], device).cut()).cpu().numpy()
            for block in row_blocks(X.shape[0], row_bytes)
        ]
    return np.concatenate(outputs)


def check_float32(X, unit=1.0):
    """Raise an error that names the first entry of a matrix beyond single precision.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        All rows that the caller has given, so that the row's number means something to them.
    unit : float, default=1.0
        What the entries were divided by.
    """
    position = _first_overflow(X.data)
    if position is not None:
        row = np.searchsorted(X.indptr, position, side="right") - 1
        where = f" (row {row}, item {X.indices[position]})"
        raise ValueError(_overflow(X.data[position], where, unit))


def _to_float32(values):
    position = _first_overflow(values)
    if position is not None:
        raise ValueError(_overflow(values[position]))
    return values.astype(np.float32, copy=False)


def _first_overflow(values):
    with np.errstate(over="ignore"):
        is_finite = np.isfinite(values.astype(np.float32, copy=False))
    return None if is_finite.all() else int(np.argmin(is_finite))


def _overflow(value, where="", unit=1.0):
    limit = float(np.finfo(np.float32).max) * unit
    return (
        f"X contains {float(value) * unit:.3g}{where}, which overflows float32, in which the "
        f"model computes: entries must lie within {limit:.3g}. Scale X down."
    )
