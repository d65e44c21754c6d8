"""Sums and averages over the entries of a row, with all of them or with one left out."""

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import embedding, embedding_bag

from skrec.neural._observed import observed_products

# The denominator of the ratio of Eq. 9 is a signed sum, which may vanish.
SMALLEST_DENOMINATOR = 1e-6
# Least share of attention that other entries are taken to have where one is left out: what is
# left of rounded sums has no digits below.
SMALLEST_SHARE_OF_OTHERS = 1e-4


@dataclass(frozen=True)
class LeftOut:
    """Entries of a batch, each to be left out of its row in turn.

    Parameters
    ----------
    rows : int64 tensor of shape (n_pairs,)
        Row of the batch that each belongs to.
    columns : int64 tensor of shape (n_pairs,)
    values : float32 tensor of shape (n_pairs,)
    is_there : bool tensor of shape (n_pairs,)
        Whether the batch has the entry. Nothing is left out of its row otherwise.
    """

    rows: torch.Tensor
    columns: torch.Tensor
    values: torch.Tensor
    is_there: torch.Tensor

    def lengths(self, batch):
        """Entries that are left of the row of each, an int64 tensor of shape (n_pairs,)."""
        return batch.offsets.diff()[self.rows] - self.is_there.long()

    def sums_without(self, sums, table, weights=None):
        """Sums over the entries of rows, without each entry in turn.

        Parameters
        ----------
        sums : tensor of shape (n_rows, n_outputs)
        table : tensor of shape (n_columns, n_outputs)
            What an entry adds for each unit of its weight.
        weights : tensor of shape (n_pairs,), default=None
            Those of the entries. None means 1.

        Returns
        -------
        sums : tensor of shape (n_pairs, n_outputs)
        """
        is_there = self.is_there.to(sums.dtype)
        weights = is_there if weights is None else is_there * weights
        return embedding(self.rows, sums) - weights[:, None] * embedding(self.columns, table)


def sum_rated(table, batch, weights=None):
    """Sum of the rows of a table that belong to the entries of each row of a batch.

    Parameters
    ----------
    table : tensor of shape (n_columns, n_outputs)
    batch : SparseBatch
    weights : tensor of shape (n_entries,), default=None
        None means 1.

    Returns
    -------
    sums : tensor of shape (n_rows, n_outputs)
    """
    return embedding_bag(
        batch.items,
        table,
        batch.offsets,
        mode="sum",
        per_sample_weights=torch.ones_like(batch.values) if weights is None else weights,
        include_last_offset=True,
    )


def rated_attention(queries, embeddings, batch, norm, left_out=None):
    """Average of the embeddings of the entries of each row, weighted by attention.

    Parameters
    ----------
    queries : tensor of shape (n_rows, n_components)
    embeddings : tensor of shape (n_columns, n_components)
        Constants: no gradient is passed on to them.
    batch : SparseBatch
        Which embeddings a row attends to.
    norm : {"softmax", "ratio"}
        How the products of query and embedding become weights.
    left_out : LeftOut, default=None
        Entries whose share of the average is to be taken off, each in turn.

    Returns
    -------
    context : tensor of shape (n_rows, n_components)
        Zeros for a row without entries.
    of_others : tensor of shape (n_pairs, n_components)
        Only with `left_out`: the average over the other entries of the row, for the row's query.
    """
    rows = batch.rows
    products = observed_products(queries, embeddings, batch)
    if norm == "softmax":
        largest = torch.segment_reduce(
            products.detach(), "max", offsets=batch.offsets, initial=-math.inf
        )
        products = torch.exp(products - largest[rows])
    totals = products.new_zeros(len(batch)).index_add(0, rows, products)
    if norm == "softmax":
        totals = totals.clamp(min=1)  # as they are, but for rows without entries
    else:
        totals = _away_from_zero(totals, SMALLEST_DENOMINATOR)
    context = sum_rated(embeddings, batch, products / totals.index_select(0, rows))
    if left_out is None:
        return context
    own = embedding(left_out.rows, queries) * embedding(left_out.columns, embeddings)
    own = own.sum(dim=1)
    if norm == "softmax":
        own = torch.exp(torch.where(left_out.is_there, own - largest[left_out.rows], 0))
    share = own * left_out.is_there / totals.index_select(0, left_out.rows)
    of_others = left_out.sums_without(context, embeddings, share)
    of_others = of_others / _away_from_zero(1 - share, SMALLEST_SHARE_OF_OTHERS)[:, None]
    return context, of_others * (left_out.lengths(batch) > 0)[:, None]


def global_attention(queries, embeddings, norm):
    """Average of all embeddings for each query, weighted by attention.

    With the ratio of products to their sum, the average collapses to a product with the
    second moments of the embeddings over a product with their sum, whose cost does not grow with
    the number of rows times columns.

    Parameters
    ----------
    queries : tensor of shape (n_rows, n_components)
    embeddings : tensor of shape (n_columns, n_components)
    norm : {"softmax", "ratio"}

    Returns
    -------
    context : tensor of shape (n_rows, n_components)
    """
    if norm == "softmax":
        return torch.softmax(queries @ embeddings.t(), dim=1) @ embeddings
    totals = _away_from_zero(queries @ embeddings.sum(dim=0), SMALLEST_DENOMINATOR)
    return queries @ (embeddings.t() @ embeddings) / totals[:, None]


def _away_from_zero(values, smallest):
    floor = torch.full_like(values, smallest).masked_fill_(values < 0, -smallest)
    return torch.where(values.abs() < smallest, floor, values)
