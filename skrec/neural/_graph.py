"""The graph of users and items, and networks that propagate vectors of the items over it."""

from dataclasses import replace
from types import SimpleNamespace

import torch
from torch import nn

from skrec.neural._layers import linear, weighted_sums
from skrec.neural._likelihoods import output_nll
from skrec.neural._negative_sampling import bpr_loss, draw_negatives
from skrec.neural._observed import observed_products
from skrec.neural._pooled_rows import pick
from skrec.solvers._devices import to_tensor

# Penalties on the offsets of a user and of an item, as of BiasBaseline.
L2_USER, L2_ITEM = 15.0, 10.0


class Graph(nn.Module):
    """Edges between users and items, along which vectors of either side are summed.

    Parameters
    ----------
    edges : csr_array of shape (n_users, n_items)
        Their weights.
    """

    def __init__(self, edges):
        super().__init__()
        for side, matrix in (("user", edges), ("item", edges.T.tocsr())):
            parts = {"ends": matrix.indices, "starts": matrix.indptr}
            parts["weights"] = matrix.data.astype("float32")
            parts["counts"] = (matrix.indptr[1:] - matrix.indptr[:-1])[:, None].astype("float32")
            for name, part in parts.items():
                self.register_buffer(f"{side}_{name}", to_tensor(part, "cpu"), persistent=False)

    def of_users(self, vectors):
        """Sum the vectors of each user's items: (n_items, d) -> (n_users, d)."""
        return _Sums.apply(vectors, self, "user", "item")

    def of_items(self, vectors):
        """Sum the vectors of each item's users: (n_users, d) -> (n_items, d)."""
        return _Sums.apply(vectors, self, "item", "user")

    def sums(self, vectors, side):
        """Sum the vectors of the ends of each node's edges, outside automatic differentiation."""
        return nn.functional.embedding_bag(
            getattr(self, f"{side}_ends"),
            vectors,
            getattr(self, f"{side}_starts"),
            mode="sum",
            per_sample_weights=getattr(self, f"{side}_weights"),
            include_last_offset=True,
        )


class _Sums(torch.autograd.Function):
    """Sums along the edges, of which the gradient goes back along the same edges."""

    @staticmethod
    def forward(ctx, vectors, graph, side, other):
        ctx.graph, ctx.other = graph, other
        return graph.sums(vectors, side)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return ctx.graph.sums(grad.contiguous(), ctx.other), None, None, None


class GraphNetwork(nn.Module):
    r"""Users and items as layers of a graph network make them of vectors of the items.

    The vectors of users are zero in the first layer. So a user is a function of the user's row
    and of the items' layers, and in training it is computed from what is left of the row without
    the entries that are to be predicted. A subclass writes

    - ``propagate()``: the items' layers side by side, as users read them, a tensor of shape
      (n_items, n_read), and the vectors that items are scored by, of shape (n_items, n_scored),
    - ``users(sums, counts)``: vectors of users, of shape (n_users, n_scored), from the sums of
      the first over their items, each times its edge, and the number of these.

    Parameters
    ----------
    n_items, n_components, n_layers : int
    loss : {"softmax", "bpr", "squared_error"}
    n_negatives : int
    dropout, l2 : float
    """

    def __init__(self, n_items, n_components, n_layers, *, loss, n_negatives, dropout, l2):
        super().__init__()
        self.n_layers = n_layers
        self.loss = loss
        self.n_negatives = n_negatives
        self.dropout = dropout
        self.l2 = l2
        self.output = linear(n_components, n_items, bias=False)
        # Nothing of these is learned by gradients: they are of the data, or of the weights.
        for name in ("offsets", "history", "items"):
            self.register_buffer(name, None, persistent=False)
        self.graph = None

    def set_data(self, edges, offsets):
        """Propagate over these edges, a csr_array, and rate beside these offsets of the items."""
        self.graph = Graph(edges)
        self.offsets = to_tensor(offsets.astype("float32"), "cpu")

    def set_tables(self, history, items, offsets):
        """Score by what `propagate` has given."""
        self.history, self.items, self.offsets = history, items, offsets
        return self

    @torch.no_grad()
    def measured(self):
        """Propagate once for all blocks of rows that are to be scored."""
        return self.set_tables(*self.propagate(), self.offsets)

    def encode(self, batch):  # -> (n_rows, n_scored)
        return self._read(self.history, batch)[0]

    def scores(self, batch):  # -> (n_rows, n_items)
        codes, offsets = self._read(self.history, batch)
        scores = codes @ self.items.t()
        return scores if offsets is None else scores.add_(self.offsets).add_(offsets[:, None])

    def pair_scores(self, batch, rows, items):  # -> (n_pairs,)
        codes, offsets = self._read(self.history, batch)
        products = (codes[rows] * self.items[items]).sum(dim=1)
        return products + self.offsets[items] + offsets[rows]

    def forward(self, batch, generator, progress):  # -> (n_rows,)
        draws = torch.empty_like(batch.values).uniform_(generator=generator)
        is_hidden = draws < self.dropout
        hidden = batch.select(is_hidden)
        history, items = self.propagate()
        codes, offsets = self._read(history, batch.select(~is_hidden))
        if self.loss == "squared_error":
            wanted = hidden.values - self.offsets[hidden.items] - offsets[hidden.rows]
            losses = (observed_products(codes, items, hidden) - wanted) ** 2
            weights = 1
        else:
            # A user counts with the root of the number of entries.
            weights = batch.offsets.diff().clamp(min=1).to(codes.dtype).rsqrt()
        if self.loss == "bpr":
            negatives = draw_negatives(batch, self.n_negatives, generator)[is_hidden]
            losses = self._bpr_losses(codes, items, hidden, negatives)
        if self.loss == "softmax":
            layer = SimpleNamespace(weight=items, bias=self.offsets)
            ones = replace(hidden, values=torch.ones_like(hidden.values))
            losses = output_nll(codes, layer, "multinomial", ones)
        else:
            losses = hidden.sum_rows(losses)
        if self.l2:
            squares = self.output.weight.square().sum(dim=1)
            losses = losses + self.l2 / 2 * hidden.sum_rows(squares[hidden.items])
        return losses * weights

    def _bpr_losses(self, codes, items, hidden, negatives):
        chosen = torch.cat([hidden.items[:, None], negatives.clamp(min=0)], dim=1)
        users = codes.index_select(0, hidden.rows)
        scores = torch.einsum("nd,nkd->nk", users, pick(items, chosen))
        return bpr_loss(scores[:, 0], scores[:, 1:].masked_fill(negatives < 0, -torch.inf))

    def _read(self, history, batch):
        """Vectors of rows, and their offsets where ratings are predicted."""
        counts = batch.offsets.diff()[:, None].to(history.dtype)
        values, offsets = torch.ones_like(batch.values), None
        if self.loss == "squared_error":
            left = batch.values - self.offsets[batch.items]
            offsets = batch.sum_rows(left) / (counts[:, 0] + L2_USER)
            values = left - offsets[batch.rows]
        return self.users(weighted_sums(history, replace(batch, values=values)), counts), offsets
