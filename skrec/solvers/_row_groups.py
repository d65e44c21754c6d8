"""Rows of a sparse matrix in groups of similar length, as dense arrays to compute with at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch

# The features of a group's entries are gathered into one array: it has to stay in the cache.
MAX_GROUP_ENTRIES = 8192
MAX_GROUP_ROWS = 4096


class RowGroup(NamedTuple):
    """Rows of similar length as dense arrays.

    Parameters
    ----------
    rows : int64 tensor of shape (n_rows,)
        Numbers of the rows.
    columns : int64 tensor of shape (n_rows, length)
        Columns of their entries, padded with the number of columns.
    values : tensor of shape (n_rows, length)
        Entries, padded with 0.
    lengths : tensor of shape (n_rows,)
        Number of entries of each row, without the padding.
    """

    rows: torch.Tensor
    columns: torch.Tensor
    values: torch.Tensor
    lengths: torch.Tensor

    @property
    def is_entry(self):
        """Where the group has entries, and not padding."""
        positions = torch.arange(self.columns.shape[1], device=self.columns.device)
        return positions < self.lengths[:, None]


def group_rows(X, device):
    """Cut the rows of a sparse matrix into groups of similar length, empty rows included.

    Parameters
    ----------
    X : csr_array of shape (n_rows, n_columns)
    device : torch.device

    Returns
    -------
    groups : list of RowGroup
        Ascending lengths.
    """
    lengths = np.diff(X.indptr)
    order = np.argsort(lengths, kind="stable")
    ascending = lengths[order]
    groups = []
    start = 0
    while start < len(order):
        longest = int(1.15 * ascending[start])
        n_rows = min(MAX_GROUP_ROWS, max(1, MAX_GROUP_ENTRIES // max(1, longest)))
        stop = min(start + n_rows, np.searchsorted(ascending, longest, side="right"))
        rows, length = order[start:stop], ascending[stop - 1]
        in_row = np.arange(length) < ascending[start:stop, None]
        entries = (X.indptr[rows].astype(np.int64)[:, None] + np.arange(length))[in_row]
        columns = np.full(in_row.shape, X.shape[1], dtype=np.int64)
        values = np.zeros(in_row.shape, dtype=X.dtype)
        columns[in_row], values[in_row] = X.indices[entries], X.data[entries]
        arrays = rows, columns, values, ascending[start:stop].astype(X.dtype)
        groups.append(RowGroup(*(torch.as_tensor(array, device=device) for array in arrays)))
        start = stop
    return groups


def pad(table):
    """Append a row of zeros, to which the padding of a group refers."""
    return torch.cat([table, table.new_zeros(1, *table.shape[1:])])


def gather(table, group):
    """Rows of a padded table at the entries of a group, an array of (n_rows, length, ...)."""
    return table.index_select(0, group.columns.flatten()).unflatten(0, group.columns.shape)


def map_groups(function, groups):
    """Apply a function to each group and list the results in order.

    On the CPU each thread computes with groups of its own. The arrays of one are too small for
    torch to share them among threads, which wait for each other, the longer the busier the
    machine is.

    Parameters
    ----------
    function : callable
        Takes a RowGroup.
    groups : list of RowGroup

    Returns
    -------
    results : list
    """
    if len(groups) == 1 or groups[0].rows.device.type != "cpu":
        return [function(group) for group in groups]
    return map_on_threads(function, groups)


def map_on_threads(function, tasks):
    """Apply a function to each task and list the results; on each thread torch uses one alone.

    Parameters
    ----------
    function : callable
        Computes with torch on the CPU.
    tasks : list

    Returns
    -------
    results : list
    """
    if torch.get_num_threads() == 1:
        return [function(task) for task in tasks]
    # Both settings are those of the thread which makes them; tensors of one that is in inference
    # mode may be changed in that mode alone.
    inference = torch.is_inference_mode_enabled()

    def call(task):
        with torch.inference_mode(inference):
            return function(task)

    n_threads = min(torch.get_num_threads(), len(tasks))
    executor = ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        return list(executor.map(call, tasks))
    finally:
        executor.shutdown(cancel_futures=True)
