"""Losses that are sums over all items of a row, each wanted, not wanted, or left out."""

from functools import partial
from numbers import Real

import numpy as np
import torch
from torch.nn.functional import logsigmoid

from skrec.solvers._devices import to_tensor
from skrec.utils._compat import Interval

FOCAL_CONSTRAINTS = {
    "alpha": [Interval(Real, 0, 1, closed="neither")],
    "gamma": [Interval(Real, 0, 1e30, closed="left")],
}
# How near 0 the logarithm of a probability comes: that of the complement has to be finite.
NEAREST = 1e-30


class _ItemLosses(torch.autograd.Function):
    @staticmethod
    def forward(ctx, outputs, terms, wanted, excluded):
        losses, gradient = terms(outputs, is_wanted=False)
        flat = wanted.flat
        losses.view(-1)[flat], gradient.view(-1)[flat] = terms(
            outputs.reshape(-1)[flat], is_wanted=True
        )
        if excluded is not None:
            losses.view(-1)[excluded.flat] = gradient.view(-1)[excluded.flat] = 0
        ctx.save_for_backward(gradient)
        return losses.sum(dim=1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_losses):
        (gradient,) = ctx.saved_tensors
        return gradient * grad_losses[:, None], None, None, None


def focal_losses(log_probabilities, wanted, excluded=None, *, alpha, gamma):
    r"""Binary cross-entropy in which items count for less, the better they are predicted.

    .. math::
        -\sum_i \alpha\, y_i (1 - p_i)^\gamma \log p_i
        + (1 - \alpha) (1 - y_i)\, p_i^\gamma \log (1 - p_i)

    Parameters
    ----------
    log_probabilities : tensor of shape (n_rows, n_items)
        :math:`\log p`.
    wanted : SparseBatch
        The items of each row that have :math:`y_i = 1`.
    excluded : SparseBatch, default=None
        Items of each row that do not count.
    alpha, gamma : float

    Returns
    -------
    losses : tensor of shape (n_rows,)
        They can be differentiated once.
    """
    terms = partial(_focal_terms, alpha=alpha, gamma=gamma)
    return _ItemLosses.apply(log_probabilities, terms, wanted, excluded)


def _focal_terms(log_p, *, is_wanted, alpha, gamma):
    """Losses of items, and their derivatives by log p."""
    log_p = log_p.clamp(max=-NEAREST)
    p, others = log_p.exp(), -torch.expm1(log_p)
    log_others = others.log()
    if is_wanted:
        scale = -alpha * torch.exp(gamma * log_others)
        return scale * log_p, scale * (1 - gamma * log_p * p / others)
    scale = (alpha - 1) * torch.exp(gamma * log_p)
    return scale * log_others, scale * (gamma * log_others - p / others)


def squared_losses(outputs, wanted, excluded=None):
    r"""Squared distance :math:`\sum_i (y_i - f_i)^2`; see :func:`focal_losses`."""
    return _ItemLosses.apply(outputs, _squared_terms, wanted, excluded)


def _squared_terms(outputs, *, is_wanted):
    residuals = outputs - float(is_wanted)
    return residuals**2, 2 * residuals


def log_of_sigmoids(*logits):
    """Logarithm of the product of the sigmoids of arrays of one shape."""
    return sum(map(logsigmoid, logits))


def log_odds(X):
    """Logarithms of the odds that a user has an item, a float32 tensor of shape (n_items,)."""
    counts = np.bincount(X.indices, minlength=X.shape[1])
    odds = (counts + 0.5) / (X.shape[0] - counts + 0.5)
    return to_tensor(np.log(odds).astype(np.float32), "cpu")
