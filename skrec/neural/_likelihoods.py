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
    def forward(ctx, nll_, batch, *layers):
        hiddens, weights, biases = layers[0::3], layers[1::3], layers[2::3]
        gradients = list(map(linear_outputs, hiddens, weights, biases))
        nll = nll_(*gradients, batch)
        # Saved so that checkpointing can drop them.
        ctx.save_for_backward(*hiddens, *weights, *gradients)
        return nll

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_nll):
        n_layers = len(ctx.saved_tensors) // 3
        hiddens, weights, gradients = (
            ctx.saved_tensors[start : start + n_layers]
            for start in range(0, 3 * n_layers, n_layers)
        )
        found = []
        for hidden, weight, gradient in zip(hiddens, weights, gradients, strict=True):
            gradient.mul_(grad_nll[:, None])
            first = 2 + len(found)
            needed = ctx.needs_input_grad[first : first + 3]
            found += linear_gradients(gradient, hidden, weight, needed)
        return None, None, *found


def outputs_nll(hiddens, layers, nll_, batch):
    """Negative log-likelihood of each row of `batch` under linear layers, each with its input.

    Parameters
    ----------
    hiddens : sequence of tensor of shape (n_rows, n_hidden)
    layers : sequence of torch.nn.Linear
        From hidden units to items; anything with its `weight` and `bias` will do.
    nll_ : callable
        ``nll_(*outputs, batch)`` returns the `nll` and overwrites the outputs of the layers, of
        shape (n_rows, n_items), by the gradients of it.
    batch : SparseBatch

    Returns
    -------
    nll : tensor of shape (n_rows,)
        It can be differentiated once.
    """
    parts = [
        part
        for hidden, layer in zip(hiddens, layers, strict=True)
        for part in (hidden, layer.weight, layer.bias)
    ]
    return _OutputNLL.apply(nll_, batch, *parts)


def output_nll(hidden, layer, likelihood, batch):
    """The same of one layer, by the name of a likelihood.

    Parameters
    ----------
    hidden : tensor of shape (n_rows, n_hidden)
    layer : torch.nn.Linear
    likelihood : {"multinomial", "bernoulli", "gaussian"}
    batch : SparseBatch

    Returns
    -------
    nll : tensor of shape (n_rows,)
    """
    return outputs_nll([hidden], [layer], LIKELIHOODS[likelihood], batch)
