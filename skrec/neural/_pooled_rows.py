"""Sums over the rows of users, each entry left out of the sum that it is predicted from.

That is exact, and no other user's row is read for it.
"""

import torch

from skrec.neural._batches import SparseBatch
from skrec.neural._layers import weighted_sums


def sums(values, batch, of_others=False):
    """Sum of one value per entry over each row, or for each entry over the others of its row.

    Parameters
    ----------
    values : tensor of shape (n_entries,)
    batch : SparseBatch
    of_others : bool, default=False

    Returns
    -------
    sums : tensor of shape (n_rows,) or (n_entries,)
    """
    totals = batch.sum_rows(values)
    return totals[batch.rows] - values if of_others else totals


def vector_sums(table, batch, weights, of_others=False):
    """Weighted sum of the vectors of a row's items, or for each entry of those of the others.

    Parameters
    ----------
    table : tensor of shape (n_items, n_components)
        It can be differentiated once; the weights have no gradient.
    batch : SparseBatch
    weights : tensor of shape (n_entries,)
    of_others : bool, default=False

    Returns
    -------
    sums : tensor of shape (n_rows, n_components) or (n_entries, n_components)
    """
    batch = _with_entries(batch, batch.items, batch.offsets, weights)
    return _SumsOfOthers.apply(table, batch) if of_others else weighted_sums(table, batch)


class _SumsOfOthers(torch.autograd.Function):
    @staticmethod
    def forward(ctx, table, batch):
        ctx.batch, ctx.n_items = batch, len(table)
        totals = weighted_sums(table, batch).index_select(0, batch.rows)
        return totals.addcmul_(table.index_select(0, batch.items), batch.values[:, None], value=-1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        batch = ctx.batch
        # What the sum of a row passes on goes to its items, less each one's own part.
        everyone = torch.arange(len(grad), device=grad.device)
        whole = _with_entries(batch, everyone, batch.offsets, torch.ones_like(batch.values))
        by_entry = weighted_sums(grad, whole).index_select(0, batch.rows) - grad
        return _sums_by_item(batch.items, by_entry, batch.values, ctx.n_items), None


def pick(table, items):
    """Rows of a table, whose gradients are added up quickly.

    Parameters
    ----------
    table : tensor of shape (n_items, ...)
        It can be differentiated once.
    items : int64 tensor of any shape

    Returns
    -------
    rows : tensor of the shape of `items` and that of a row
    """
    return _Pick.apply(table, items)


class _Pick(torch.autograd.Function):
    @staticmethod
    def forward(ctx, table, items):
        ctx.shape, ctx.items = table.shape, items.reshape(-1)
        return table.index_select(0, ctx.items).view(*items.shape, *table.shape[1:])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        grad = grad.reshape(len(ctx.items), ctx.shape[1:].numel())
        ones = torch.ones(len(grad), dtype=grad.dtype, device=grad.device)
        return _sums_by_item(ctx.items, grad, ones, ctx.shape[0]).view(ctx.shape), None


def _sums_by_item(items, vectors, weights, n_items):
    """Weighted sum of the vectors that belong to each item, a tensor of shape (n_items, ...)."""
    everyone = torch.arange(len(items) + 1, device=items.device)
    alone = _with_entries(None, items, everyone, weights)
    rows, starts, values = alone.by_item(weights, n_items)
    return weighted_sums(vectors, _with_entries(None, rows, starts, values))


def _with_entries(batch, items, offsets, values):
    """A batch of these entries."""
    n_items = 0 if batch is None else batch.n_items
    return SparseBatch(items, offsets, values, n_items, users=None, n_total=len(offsets) - 1)
