"""Likelihoods of a row given the output layer, fused with that layer.

Each function of :data:`LIKELIHOODS` turns a dense buffer of logits into the gradient of the
negative log-likelihood, in place. So one users x items buffer per batch is kept (the bernoulli
likelihood needs a second for a moment), instead of the four or five of automatic differentiation.
"""

import torch
from torch import nn

from skrec.neural._batch_linear import linear_gradients, linear_outputs


def multinomial_nll_(logits, batch):
    r"""Negative multinomial log-likelihood, without the coefficient that the model cannot change.

    .. math:: -\sum_i x_i \log \operatorname{softmax}(f)_i

    Parameters
    ----------
    logits : tensor of shape (n_rows, n_items)
        Overwritten by the gradient of `nll` with respect to the logits.
    batch : SparseBatch
        The rows to explain.

    Returns
    -------
    nll : tensor of shape (n_rows,)
    """
    flat, totals = batch.flat, batch.totals
    observed = logits.view(-1)[flat]
    largest = logits.amax(dim=1)
    probabilities = torch.softmax(logits, dim=1, out=logits)
    log_normalizer = largest - probabilities.amax(dim=1).log()
    nll = totals * log_normalizer - batch.sum_rows(batch.values * observed)
    probabilities.mul_(totals[:, None]).view(-1).index_add_(0, flat, batch.values, alpha=-1)
    return nll


def bernoulli_nll_(logits, batch):
    r"""Negative Bernoulli log-likelihood of all items of a row, entries in [0, 1].

    .. math:: \sum_i \log(1 + e^{f_i}) - x_i f_i

    Parameters
    ----------
    logits : tensor of shape (n_rows, n_items)
        Overwritten by the gradient of `nll` with respect to the logits.
    batch : SparseBatch
        The rows to explain.

    Returns
    -------
    nll : tensor of shape (n_rows,)
    """
    flat = batch.flat
    observed = logits.view(-1)[flat]
    nll = nn.functional.softplus(logits).sum(dim=1) - batch.sum_rows(batch.values * observed)
    logits.sigmoid_().view(-1).index_add_(0, flat, batch.values, alpha=-1)
    return nll


def gaussian_nll_(outputs, batch):
    r"""Negative Gaussian log-likelihood of observed entries, unit variance, less constants.

    .. math:: \tfrac12 \sum_{i \text{ observed}} (x_i - f_i)^2

    Parameters
    ----------
    outputs : tensor of shape (n_rows, n_items)
        Overwritten by the gradient of `nll` with respect to the outputs.
    batch : SparseBatch
        The rows to explain.

    Returns
    -------
    nll : tensor of shape (n_rows,)
    """
    flat = batch.flat
    residual = outputs.view(-1)[flat] - batch.values
    outputs.zero_().view(-1).index_add_(0, flat, residual)
    return batch.sum_rows(residual**2) / 2


LIKELIHOODS = {
    "multinomial": multinomial_nll_,
    "bernoulli": bernoulli_nll_,
    "gaussian": gaussian_nll_,
}


class _OutputNLL(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, bias, nll_, batch, excluded):
        gradient = linear_outputs(hidden, weight, bias)
        if excluded is not None:
            exclude_(gradient, excluded)
        nll = nll_(gradient, batch)
        ctx.save_for_backward(hidden, weight, gradient)  # so that checkpointing can drop it
        return nll

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_nll):
        hidden, weight, gradient = ctx.saved_tensors
        gradient.mul_(grad_nll[:, None])
        return *linear_gradients(gradient, hidden, weight, ctx.needs_input_grad), None, None, None


def exclude_(logits, batch):
    """Make the items that rows of a batch have as good as impossible for them.

    Not infinitely so: a row may have all of them.
    """
    logits.view(-1)[batch.flat] = torch.finfo(logits.dtype).min / 2


def output_nll(hidden, layer, likelihood, batch, excluded=None):
    """Negative log-likelihood of each row of `batch` under a linear output layer.

    Parameters
    ----------
    hidden : tensor of shape (n_rows, n_hidden)
    layer : torch.nn.Linear
        From hidden units to items; anything with its `weight` and `bias` will do.
    likelihood : {"multinomial", "bernoulli", "gaussian"}
    batch : SparseBatch
    excluded : SparseBatch, default=None
        Items that each row cannot have, with a multinomial likelihood.

    Returns
    -------
    nll : tensor of shape (n_rows,)
        It can be differentiated once.
    """
    nll_ = LIKELIHOODS[likelihood]
    return _OutputNLL.apply(hidden, layer.weight, layer.bias, nll_, batch, excluded)
