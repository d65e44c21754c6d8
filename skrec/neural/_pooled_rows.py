"""Users pooled from the vectors of their items, and networks over a user and an item.

In training an entry is left out of what its user is pooled from when it is to be predicted, as it
is when a new item is. That is exact, and no other user's rows are read for it.
"""

import torch
from torch import nn

from skrec.neural._batches import SparseBatch
from skrec.neural._layers import linear, weighted_sums
from skrec.neural._negative_sampling import bpr_loss, draw_negatives, sampled_cross_entropy

# Penalty on the offset of a user, as of BiasBaseline.
L2_USER = 15.0
# Pairs that are scored at a time: their hidden layers stay in the cache.
N_PAIRS = 2**13

RANKING_LOSSES = {"bpr": bpr_loss, "cross_entropy": sampled_cross_entropy}


class PooledNetwork(nn.Module):
    r"""Scores of pairs by a network over an item's vector and one pooled from the user's items.

    A user of the items :math:`J` is :math:`p = |J|^{-1/2} \sum_{j \in J} h_j`. Where ratings are
    predicted, it is :math:`|J|^{-1/2} \sum_j (h_j + e_j g_j)`, with :math:`e_j` what the offsets
    of the item and of the user leave of the rating. The user's own is the sum of what the item's
    leave, over their number plus a constant.

    A subclass writes

    - ``user_side(vectors)`` and ``item_side()``: what of the network can be computed for a user
      or an item alone, tensors of shape (n_users, ...) and (n_items, ...),
    - ``interact(users, items)``: from the sides of n users and of k items for each, or for all if
      the first axis has length 1, tensors of shape (n, ...) and (n or 1, k, ...), their scores,
      one of shape (n, k).

    Parameters
    ----------
    n_items, n_components : int
    loss : {"cross_entropy", "bpr", "squared_error"}
    n_negatives : int
    dropout : float
        Share of the entries that users are not pooled from, in training.
    """

    def __init__(self, n_items, n_components, *, loss, n_negatives, dropout):
        super().__init__()
        self.loss = loss
        self.n_negatives = n_negatives
        self.dropout = dropout
        self.history = nn.Parameter(torch.empty(n_items, n_components))
        rated = torch.empty(n_items, n_components) if loss == "squared_error" else None
        self.register_parameter("rated", None if rated is None else nn.Parameter(rated))
        self.output = linear(n_components, n_items)

    def init_vectors(self, std, generator):
        """Draw the vectors of items from a normal; all start with the same offset."""
        for vectors in (self.history, self.rated, self.output.weight):
            if vectors is not None:
                nn.init.normal_(vectors, std=std, generator=generator)
        nn.init.zeros_(self.output.bias)

    def encode(self, batch):  # -> (n_rows, n_components)
        return self._pool(batch)[0]

    def scores(self, batch):  # -> (n_rows, n_items)
        vectors, offsets = self._pool(batch)
        users, items = self.user_side(vectors), self.item_side()
        scores = vectors.new_empty(len(vectors), len(items))
        n_columns = min(len(items), N_PAIRS)
        for columns in torch.arange(len(items), device=scores.device).split(n_columns):
            right = items[columns][None]
            for rows in torch.arange(len(users), device=scores.device).split(
                max(1, N_PAIRS // n_columns)
            ):
                scores[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = self.interact(
                    users[rows], right
                )
        scores += self.output.bias
        return scores if offsets is None else scores.add_(offsets[:, None])

    def pair_scores(self, batch, rows, items):  # -> (n_pairs,)
        vectors, offsets = self._pool(batch)
        users, right = self.user_side(vectors), self.item_side()
        parts = [
            self.interact(users[row], right[item][:, None])[:, 0]
            for row, item in zip(rows.split(N_PAIRS), items.split(N_PAIRS), strict=True)
        ]
        scores = torch.cat(parts) + self.output.bias[items]
        return scores if offsets is None else scores + offsets[rows]

    def forward(self, batch, generator, progress):  # -> (n_rows,)
        kept = torch.ones_like(batch.values)
        if self.dropout:
            kept *= torch.empty_like(kept).uniform_(generator=generator) >= self.dropout
        vectors, offsets = self._pool(batch, kept, of_others=True)
        users, items = self.user_side(vectors), self.item_side()
        if self.loss == "squared_error":
            rated = self.interact(users, pick(items, batch.items)[:, None])[:, 0] + offsets
            errors = rated + self._offsets_of(batch.items) - batch.values
            return batch.sum_rows(errors**2)
        negatives = draw_negatives(batch, self.n_negatives, generator)
        chosen = torch.cat([batch.items[:, None], negatives.clamp(min=0)], dim=1)
        scores = self.interact(users, pick(items, chosen))
        scores = scores + self._offsets_of(chosen)
        missing = torch.where(negatives < 0, -torch.inf, 0.0)
        losses = RANKING_LOSSES[self.loss](scores[:, 0], scores[:, 1:] + missing)
        # A user counts with the root of the number of entries.
        weights = batch.offsets.diff().clamp(min=1).to(losses.dtype).rsqrt()
        return batch.sum_rows(losses) * weights

    def _offsets_of(self, items):
        return pick(self.output.bias[:, None], items)[..., 0]

    def _pool(self, batch, kept=None, of_others=False):
        """Vectors and offsets of rows, or for each entry those of the others of its row."""
        kept = torch.ones_like(batch.values) if kept is None else kept
        counts = sums(kept, batch, of_others)
        vectors = vector_sums(self.history, batch, kept, of_others)
        offsets = None
        if self.rated is not None:
            left = kept * (batch.values - self.output.bias.detach()[batch.items])
            offsets = sums(left, batch, of_others) / (counts + L2_USER)
            vectors = vectors + vector_sums(self.rated, batch, left, of_others)
            vectors = vectors - offsets[:, None] * vector_sums(self.rated, batch, kept, of_others)
        return vectors * counts.clamp(min=1).rsqrt()[:, None], offsets


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
    """Weighted sum of the vectors of each row's items, or for each entry of the others' of its row.

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
        grad = grad.reshape(len(ctx.items), -1)
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
