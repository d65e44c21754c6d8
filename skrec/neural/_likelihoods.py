"""Likelihoods of a row given the output layer, fused with that layer.

Each function of :data:`LIKELIHOODS` turns a dense buffer of logits into the gradient of the
negative log-likelihood, in place. So one users x items buffer per batch is kept (the bernoulli
likelihood needs a second for a moment), instead of the four or five of automatic differentiation.
"""

import math

import torch
from torch import nn
from torch.nn.functional import softplus

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


def bernoulli_nll_(logits, batch, unobserved_weight=1):
    r"""Negative Bernoulli log-likelihood of all items of a row, entries in [0, 1].

    .. math:: -\sum_i x_i \log \sigma(f_i) + w (1 - x_i) \log(1 - \sigma(f_i))

    Parameters
    ----------
    logits : tensor of shape (n_rows, n_items)
        Overwritten by the gradient of `nll` with respect to the logits.
    batch : SparseBatch
        The rows to explain.
    unobserved_weight : float, default=1
        Weight :math:`w` of what is not there.

    Returns
    -------
    nll : tensor of shape (n_rows,)
    """
    flat, values = batch.flat, batch.values
    observed = logits.view(-1)[flat]
    nll = unobserved_weight * nn.functional.softplus(logits).sum(dim=1)
    nll -= batch.sum_rows(values * observed)
    gradient = logits.sigmoid_().view(-1)
    slopes = -values
    if unobserved_weight != 1:
        rest = (1 - unobserved_weight) * values
        nll += batch.sum_rows(rest * nn.functional.softplus(observed))
        slopes = rest * gradient[flat] - values
        gradient *= unobserved_weight
    gradient.index_add_(0, flat, slopes)
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


def negative_binomial_nll_(log_r, logits, batch):
    r"""Negative log-likelihood of negative binomial counts, independent of each other.

    .. math::
        -\sum_i \log \frac{\Gamma(x_i + r_i)}{\Gamma(r_i)\, x_i!}
        + x_i \log \sigma(h_i) + r_i \log \sigma(-h_i)

    Parameters
    ----------
    log_r : tensor of shape (n_rows, n_items)
        Logarithms of `r`, which are kept to `LOG_R_RANGE`. Overwritten by the gradient.
    logits : tensor of shape (n_rows, n_items)
        The logits `h`. Overwritten by the gradient.
    batch : SparseBatch
        The rows to explain.

    Returns
    -------
    nll : tensor of shape (n_rows,)
    """
    y, r, entry_logits = batch.values, *_at_entries(log_r, logits, batch)
    ways = torch.lgamma(y + r) - torch.lgamma(r) - torch.lgamma(y + 1)
    by_log_r = r * (torch.digamma(r) - torch.digamma(y + r))
    by_logits = -y * torch.sigmoid(-entry_logits)
    return _beyond_zeros_(
        log_r, logits, batch, y * softplus(-entry_logits) - ways, by_log_r, by_logits
    )


def any_count_nll_(log_r, logits, batch):
    r"""Negative log-likelihood of whether negative binomial counts are above 0.

    .. math:: \sum_i m_i - x_i \log(e^{m_i} - 1), \qquad m_i = -r_i \log \sigma(-h_i)

    Parameters
    ----------
    log_r, logits
        As of :func:`negative_binomial_nll_`.
    batch : SparseBatch
        The rows to explain, entries in [0, 1].

    Returns
    -------
    nll : tensor of shape (n_rows,)
    """
    r, entry_logits = _at_entries(log_r, logits, batch)
    m = (r * softplus(entry_logits)).clamp(min=torch.finfo(r.dtype).tiny)
    probability = -torch.expm1(-m)
    losses = -batch.values * (m + probability.log())
    slopes = -batch.values / probability
    by_logits = slopes * (r * torch.sigmoid(entry_logits))
    return _beyond_zeros_(log_r, logits, batch, losses, slopes * m, by_logits)


# Within it, logarithms of gamma functions are right in single precision.
LOG_R_RANGE = math.log(1e-6), math.log(1e4)


def _at_entries(log_r, logits, batch):
    flat = batch.flat
    return log_r.view(-1)[flat].clamp_(*LOG_R_RANGE).exp_(), logits.view(-1)[flat]


def _beyond_zeros_(log_r, logits, batch, losses, by_log_r, by_logits):
    """That all counts are 0, ``r * softplus(logits)``, and what entries have beyond it."""
    flat = batch.flat
    is_within = (log_r > LOG_R_RANGE[0]) & (log_r < LOG_R_RANGE[1])
    r = log_r.clamp_(*LOG_R_RANGE).exp_()
    zeros = softplus(logits)
    logits.sigmoid_().mul_(r).view(-1).index_add_(0, flat, by_logits)
    nll = r.mul_(zeros).sum(dim=1) + batch.sum_rows(losses)
    r.view(-1).index_add_(0, flat, by_log_r)
    r.mul_(is_within)
    return nll


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
        saved = ctx.saved_tensors  # read once: under checkpointing they are computed for it
        n_layers = len(saved) // 3
        hiddens, weights, gradients = (
            saved[start : start + n_layers] for start in range(0, len(saved), n_layers)
        )
        found = []
        for hidden, weight, gradient in zip(hiddens, weights, gradients, strict=True):
            gradient.mul_(grad_nll[:, None])
            first = 2 + len(found)
            needed = ctx.needs_input_grad[first : first + 3]
            found += linear_gradients(gradient, hidden, weight, needed)
        return None, None, *found


def exclude_(logits, batch):
    """Make the items that rows of a batch have as good as impossible for them.

    Not infinitely so: a row may have all of them.
    """
    logits.view(-1)[batch.flat] = torch.finfo(logits.dtype).min / 2


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


def output_nll(hidden, layer, likelihood, batch, excluded=None):
    """The same of one layer.

    Parameters
    ----------
    hidden : tensor of shape (n_rows, n_hidden)
    layer : torch.nn.Linear
    likelihood : {"multinomial", "bernoulli", "gaussian"} or callable
        A function as those of :data:`LIKELIHOODS`, or the name of one.
    batch : SparseBatch
    excluded : SparseBatch, default=None
        Items that each row cannot have, with a multinomial likelihood.

    Returns
    -------
    nll : tensor of shape (n_rows,)
    """
    nll_ = likelihood if callable(likelihood) else LIKELIHOODS[likelihood]

    def nll_of_others_(logits, batch):
        exclude_(logits, excluded)
        return nll_(logits, batch)

    chosen = nll_ if excluded is None else nll_of_others_
    return outputs_nll([hidden], [layer], chosen, batch)
