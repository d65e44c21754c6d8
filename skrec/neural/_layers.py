"""Layers that read sparse rows, gates, and initialisations from a private generator."""

import math

import torch
from torch import nn
from torch.nn.utils import skip_init

from skrec.neural._batch_linear import linear_in_batches
from skrec.neural._batches import SparseBatch


class SparseLinear(nn.Module):
    """Linear layer over sparse rows: a weighted sum of the rows of a table.

    Its cost is that of the stored entries, forward and backward. A dense tensor is accepted too.

    Parameters
    ----------
    n_items : int
    n_outputs : int
    n_dense : int, default=0
        Columns of a dense tensor that stands beside the rows.
    """

    def __init__(self, n_items, n_outputs, n_dense=0):
        super().__init__()
        self.n_items = n_items
        self.weight = nn.Parameter(torch.empty(n_items + n_dense, n_outputs))
        self.bias = nn.Parameter(torch.empty(n_outputs))

    @property
    def n_inputs(self):
        return self.weight.shape[0]

    def forward(self, batch, dense=None):  # -> (n_rows, n_outputs)
        if not isinstance(batch, SparseBatch):
            return linear_in_batches(batch, self.weight.t(), self.bias)
        bias = self.bias
        if dense is not None:
            bias = torch.addmm(bias, dense, self.weight[self.n_items :])
        return bias + weighted_sums(self.weight, batch)


class ItemWeights(SparseLinear):
    """Linear layer from items to items in which no item has a weight for itself.

    Parameters
    ----------
    n_items : int
    """

    def __init__(self, n_items):
        super().__init__(n_items, n_items)
        self.weight.register_hook(lambda gradient: gradient.fill_diagonal_(0))


def weighted_sums(table, batch):
    """Sum of the rows of a table that belong to the entries of each row, times the entries.

    Parameters
    ----------
    table : tensor of shape (n_items, n_outputs)
        It can be differentiated once; the entries have no gradient.
    batch : SparseBatch

    Returns
    -------
    sums : tensor of shape (n_rows, n_outputs)
    """
    return _WeightedSums.apply(table, batch)


class _WeightedSums(torch.autograd.Function):
    """See :func:`weighted_sums`.

    torch's own gradient sorts the entries, and adds up one item after the other in memory that it
    has set to zero before.
    """

    @staticmethod
    def forward(ctx, table, batch):
        ctx.batch, ctx.n_items = batch, len(table)
        return _weighted_sums(batch.items, table, batch.offsets, batch.values)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        rows, starts, values = ctx.batch.by_item(ctx.batch.values, ctx.n_items)
        return _weighted_sums(rows, grad, starts, values), None


def _weighted_sums(items, table, offsets, values):
    return nn.functional.embedding_bag(
        items, table, offsets, mode="sum", per_sample_weights=values, include_last_offset=True
    )


class BatchLinear(nn.Linear):
    """Linear layer over rows, by oneDNN in training; it can be differentiated once."""

    def forward(self, inputs):  # -> (n_rows, n_outputs)
        return linear_in_batches(inputs, self.weight, self.bias)


class SkipLayers(nn.Module):
    """Layers of one width, each of which gets the sum of the outputs of all before it.

    Parameters
    ----------
    first : module
        The first layer.
    width, n_layers : int
        The first one included.
    eps : float, default=1e-5
        Added to the variance in layer normalisation.
    """

    def __init__(self, first, width, n_layers, eps=1e-5):
        super().__init__()
        self.first = first
        self.others = nn.ModuleList(batch_linear(width, width) for _ in range(n_layers - 1))
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=eps) for _ in range(n_layers))

    def forward(self, inputs):  # -> (n_rows, width)
        norm, *norms = self.norms
        hidden = norm(nn.functional.silu(self.first(inputs)))
        total = hidden
        for layer, norm in zip(self.others, norms, strict=True):
            hidden = norm(nn.functional.silu(layer(hidden) + total))
            total = total + hidden
        return hidden


def linear(n_inputs, n_outputs, bias=True):
    """Make a linear layer without weights: the global random state is not ours to draw from."""
    return skip_init(nn.Linear, n_inputs, n_outputs, bias=bias, device=_default_device())


def batch_linear(n_inputs, n_outputs):
    """Make the same for rows in batches of one size, full ones of which oneDNN takes."""
    return skip_init(BatchLinear, n_inputs, n_outputs, device=_default_device())


def frozen(module, inputs):
    """Outputs of a module whose gradient reaches the inputs, but not the weights.

    So what is trained against a critic does not train the critic.
    """
    weights = {name: weight.detach() for name, weight in module.named_parameters()}
    return torch.func.functional_call(module, weights, inputs)


def _default_device():
    # skip_init takes the CPU otherwise, where weights are only counted as well.
    return torch.empty(0).device


class Gate(nn.Module):
    """``(Wx + b) * sigmoid(Vx + c)``, or ``tanh(Wx + b)`` where gating is switched off.

    Parameters
    ----------
    make_layer : callable
        ``make_layer(n_inputs, n_outputs)`` makes a layer.
    n_inputs, n_outputs : int
    gated : bool
    """

    def __init__(self, make_layer, n_inputs, n_outputs, gated):
        super().__init__()
        self.content = make_layer(n_inputs, n_outputs)
        self.gate = make_layer(n_inputs, n_outputs) if gated else None

    def forward(self, *inputs):  # -> (n_rows, n_outputs)
        if self.gate is None:
            return torch.tanh(self.content(*inputs))
        return self.content(*inputs) * torch.sigmoid(self.gate(*inputs))


def _linear_layers(module):
    for layer in module.modules():
        if isinstance(layer, SparseLinear):
            yield layer, layer.n_inputs
        elif isinstance(layer, nn.Linear):
            yield layer, layer.in_features


def init_glorot(module, generator):
    """Glorot uniform weights, biases, if any, from N(0, 0.001^2) cut at two deviations."""
    for layer, _ in _linear_layers(module):
        nn.init.xavier_uniform_(layer.weight, generator=generator)
        if layer.bias is not None:
            nn.init.trunc_normal_(layer.bias, std=0.001, a=-0.002, b=0.002, generator=generator)


def init_uniform(module, generator):
    """Weights and biases uniform within ``1 / sqrt(n_inputs)``, torch's own default."""
    for layer, n_inputs in _linear_layers(module):
        bound = 1 / math.sqrt(n_inputs)
        nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
        if layer.bias is not None:
            nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


def init_he_normal(module, generator):
    """Weights from N(0, 2 / n_inputs), biases uniform within ``1 / sqrt(n_inputs)``."""
    for layer, n_inputs in _linear_layers(module):
        bound = 1 / math.sqrt(n_inputs)
        nn.init.normal_(layer.weight, 0, math.sqrt(2 / n_inputs), generator=generator)
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
