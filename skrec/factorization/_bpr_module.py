"""Pooled factors of users, and the losses that rank a user's items before others."""

from dataclasses import replace

import numpy as np
import torch
from scipy import sparse
from torch import nn

from skrec.neural._batches import SparseBatch
from skrec.neural._layers import linear, weighted_sums
from skrec.neural._negative_sampling import draw_negatives, powers_of_counts

OPTIONS = (
    "n_components",
    "loss",
    "n_negatives",
    "negative_power",
    "user_power",
    "dropout",
    "user_l2",
    "item_l2",
    "negative_l2",
)
MARGIN = 1.0  # of WARP; another only scales the vectors
START = 0.1  # standard deviation of the first vectors


class PooledRanking(nn.Module):
    """Two tables of item vectors: those that users are pooled from, and those they rank.

    Parameters
    ----------
    n_items, n_components : int
    loss : {"bpr", "warp"}
    n_negatives : int
    negative_power, user_power, dropout, user_l2, item_l2, negative_l2 : float
    """

    def __init__(
        self,
        n_items,
        n_components,
        *,
        loss,
        n_negatives,
        negative_power,
        user_power,
        dropout,
        user_l2,
        item_l2,
        negative_l2,
    ):
        super().__init__()
        self.gradients = LOSSES[loss]
        self.n_negatives = n_negatives
        self.negative_power = negative_power
        self.user_power = user_power
        self.dropout = dropout
        self.penalties = user_l2, item_l2, negative_l2
        self.history = nn.Parameter(torch.empty(n_items, n_components))
        self.output = linear(n_components, n_items)
        self.register_buffer("cumulative", None, persistent=False)

    def init(self, generator):
        """Draw the first vectors; all items start with the same offset."""
        for vectors in (self.history, self.output.weight):
            nn.init.normal_(vectors, std=START, generator=generator)
        nn.init.zeros_(self.output.bias)

    def count(self, n_users):
        """Set the probabilities of negatives by the items' numbers of users."""
        if self.negative_power:  # an item without users here may have some elsewhere
            totals = np.cumsum(powers_of_counts(n_users + 1, self.negative_power))
            # Not all devices have double precision.
            self.cumulative = torch.from_numpy((totals / totals[-1]).astype(np.float32))

    def encode(self, batch):  # -> (n_rows, n_components)
        lengths = batch.offsets.diff().clamp(min=1).to(self.history.dtype)
        return weighted_sums(self.history, replace(batch, values=lengths.rsqrt()[batch.rows]))

    def hidden(self, code):  # -> (n_rows, n_components)
        return code

    def forward(self, batch, generator, progress):  # -> (n_rows,)
        negatives = draw_negatives(batch, self.n_negatives, generator, self.cumulative)
        kept = torch.ones_like(batch.values)
        if self.dropout:
            draws = torch.empty_like(kept).uniform_(generator=generator)
            kept *= draws >= self.dropout
        weights = batch.offsets.diff().clamp(min=1).to(kept.dtype) ** -self.user_power
        losses = _RankingLosses.apply(
            self.history,
            self.output.weight,
            self.output.bias,
            replace(batch, values=kept),
            negatives,
            self.gradients,
            self.penalties,
        )
        return losses * weights


def pooled(X, vectors):
    """Sum of the vectors of each row's items, over the square root of their number.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        Its values do not count.
    vectors : ndarray of shape (n_items, n_components)

    Returns
    -------
    factors : ndarray of shape (n_users, n_components)
        Of the type of the vectors.
    """
    lengths = np.diff(X.indptr)
    values = np.repeat(np.maximum(lengths, 1).astype(vectors.dtype) ** -0.5, lengths)
    return sparse.csr_array((values, X.indices, X.indptr), shape=X.shape) @ vectors


def bpr_gradients(positive, negative, n_items):
    """Mean over an entry's negatives of the negative log-probability that it ranks before them.

    Parameters
    ----------
    positive : tensor of shape (n_entries,)
        Scores of the entries.
    negative : tensor of shape (n_entries, n_negatives)
        Scores of their negatives; minus infinity where there is none.
    n_items : int

    Returns
    -------
    losses : tensor of shape (n_entries,)
    gradients : tensor of shape (n_entries, n_negatives)
        Of the losses by the negatives' scores. That by the entry's score is minus their sum.
    """
    differences = negative - positive[:, None]
    share = 1 / negative.shape[1]
    losses = nn.functional.softplus(differences).sum(dim=1) * share
    return losses, torch.sigmoid(differences) * share


def warp_gradients(positive, negative, n_items):
    """Hinge of the first negative within the margin, weighted by the rank that it lets expect.

    Where the `k`-th is the first, about ``(n_items - 1) / k`` items rank before the entry or
    within the margin behind it. The logarithm of this, rounded down, is the weight.

    Parameters
    ----------
    positive, negative, n_items
        As of :func:`bpr_gradients`.

    Returns
    -------
    losses, gradients
        As of :func:`bpr_gradients`.
    """
    excess = negative - positive[:, None] + MARGIN
    is_within = excess > 0
    n_drawn = is_within.int().argmax(dim=1) + 1  # the first of them
    ranks = torch.div(n_items - 1, n_drawn, rounding_mode="floor").clamp(min=1)
    weights = ranks.to(excess.dtype).log() * is_within.any(dim=1)
    first = (n_drawn - 1)[:, None]
    gradients = torch.zeros_like(excess).scatter_(1, first, weights[:, None])
    # Where there is no negative, the excess is infinite and the weight 0.
    return weights * excess.gather(1, first)[:, 0].clamp(min=0), gradients


LOSSES = {"bpr": bpr_gradients, "warp": warp_gradients}


class _RankingLosses(torch.autograd.Function):
    """Losses of rows: the sums over their entries.

    An entry is scored by what the rest of its row is pooled to. Products are kept, but no vector
    of a negative: they are many, and read again.
    """

    @staticmethod
    def forward(ctx, history, vectors, offsets, batch, negatives, gradients, penalties):
        rows = batch.rows
        pooled = weighted_sums(history, batch).index_select(0, rows)
        pooled.addcmul_(history.index_select(0, batch.items), batch.values[:, None], value=-1)
        n_others = batch.totals[rows] - batch.values
        scales = n_others.clamp(min=1).rsqrt()
        pooled *= scales[:, None]
        chosen = torch.cat([batch.items[:, None], negatives.clamp(min=0)], dim=1)
        scores = torch.stack(
            [(vectors.index_select(0, items) * pooled).sum(dim=1) for items in chosen.t()], dim=1
        )
        scores += offsets[chosen]
        scores[:, 1:].masked_fill_(negatives < 0, -torch.inf)
        losses, slopes = gradients(scores[:, 0], scores[:, 1:], len(vectors))
        user_l2, item_l2, negative_l2 = penalties
        counted = (slopes != 0).to(slopes.dtype)
        shrinks = counted * (negative_l2 / counted.sum(dim=1, keepdim=True).clamp(min=1))
        slopes = torch.cat([-slopes.sum(dim=1, keepdim=True), slopes], dim=1)
        shrinks = torch.cat([torch.full_like(slopes[:, :1], item_l2), shrinks], dim=1)
        if any(penalties):
            squares = vectors.square().sum(dim=1)
            losses = losses + 0.5 * (
                user_l2 * pooled.square().sum(dim=1) + (shrinks * squares[chosen]).sum(dim=1)
            )
        ctx.save_for_backward(vectors, pooled, scales, chosen, slopes, shrinks)
        ctx.batch, ctx.penalties = batch, penalties
        return batch.sum_rows(losses)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        vectors, pooled, scales, chosen, slopes, shrinks = ctx.saved_tensors
        batch, rows = ctx.batch, ctx.batch.rows
        n_items, n_entries = len(vectors), len(rows)
        per_entry = grad[rows][:, None]
        slopes = slopes * per_entry
        pairs = _entry_rows(chosen, slopes)
        by_pooled = weighted_sums(vectors, pairs)
        if ctx.penalties[0]:
            by_pooled.addcmul_(pooled, per_entry, value=ctx.penalties[0])
        by_pooled.mul_(scales[:, None])
        by_vectors = _sums_by_item(pairs, pooled, n_items)
        by_offsets = vectors.new_zeros(n_items).index_add_(0, pairs.items, pairs.values)
        if any(ctx.penalties[1:]):
            shrunk = (shrinks * per_entry).ravel()
            totals = vectors.new_zeros(n_items).index_add_(0, pairs.items, shrunk)
            by_vectors.addcmul_(vectors, totals[:, None])
        # What the sum of a row passes on goes to its items, less each one's own part.
        everyone = torch.arange(n_entries, device=rows.device)
        whole = replace(batch, items=everyone, values=torch.ones_like(batch.values))
        by_item = weighted_sums(by_pooled, whole).index_select(0, rows) - by_pooled
        alone = _entry_rows(batch.items[:, None], batch.values[:, None])
        return _sums_by_item(alone, by_item, n_items), by_vectors, by_offsets, *[None] * 4


def _entry_rows(items, values):
    """Items of each entry, with a value each, as rows."""
    n_rows, width = items.shape
    return SparseBatch(
        items=items.reshape(-1),
        offsets=torch.arange(n_rows + 1, device=items.device) * width,
        values=values.reshape(-1),
        n_items=0,
        users=None,
        n_total=n_rows,
    )


def _sums_by_item(batch, table, n_items):
    """Sums over the rows that an item stands in, each a vector times the entry."""
    rows, starts, values = batch.by_item(batch.values, n_items)
    batch = SparseBatch(rows, starts, values, n_items=0, users=None, n_total=0)
    return weighted_sums(table, batch)
