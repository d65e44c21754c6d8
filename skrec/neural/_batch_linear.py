"""Linear layers in training on the CPU, by oneDNN where that is quicker.

torch multiplies float32 matrices with MKL, which leaves AVX-512 alone on processors that are not
Intel's. oneDNN, which comes with torch as well, uses it: up to twice the speed on an AMD EPYC
(``benchmarks/products.py``; Intel's have not been measured). torch's own compiler calls it by the
operator that is called here.

oneDNN generates code for each shape and keeps it: some milliseconds, and nearly a megabyte. So it
is only called in the updates of full batches, which the trainer announces by `full_batch`, and not
for the last batch of an epoch, nor for whatever number of rows is to be predicted.
"""

from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import nn

from skrec.utils._compat import onednn_linear

SMALLEST_WORK = 2**22  # multiplications below which the call itself costs more than it gains

_IN_FULL_BATCH = ContextVar("in_full_batch", default=False)


@contextmanager
def full_batch(is_full=True):
    """Say within which block layers see the same numbers of rows as in many others.

    Parameters
    ----------
    is_full : bool, default=True
    """
    token = _IN_FULL_BATCH.set(is_full)
    try:
        yield
    finally:
        _IN_FULL_BATCH.reset(token)


def linear_outputs(inputs, weight, bias):
    """Outputs of a linear layer, outside automatic differentiation.

    Parameters
    ----------
    inputs : tensor of shape (n_rows, n_inputs)
    weight : tensor of shape (n_outputs, n_inputs)
    bias : tensor of shape (n_outputs,)

    Returns
    -------
    outputs : tensor of shape (n_rows, n_outputs)
    """
    if _suits_onednn(inputs, weight):
        return onednn_linear(inputs, weight, bias)
    return torch.addmm(bias, inputs, weight.t())


def linear_gradients(gradient, inputs, weight, needed):
    """Gradients of a linear layer's inputs, weight and bias, each None unless it is needed.

    Parameters
    ----------
    gradient : tensor of shape (n_rows, n_outputs)
        Gradient of the layer's outputs.
    inputs : tensor of shape (n_rows, n_inputs)
    weight : tensor of shape (n_outputs, n_inputs)
    needed : sequence of 3 bools

    Returns
    -------
    grad_inputs, grad_weight, grad_bias : tensor or None
    """
    suits_onednn = _suits_onednn(inputs, weight)
    grad_inputs = grad_weight = grad_bias = None
    if needed[0]:
        grad_inputs = onednn_linear(gradient, weight.t()) if suits_onednn else gradient @ weight
    if needed[1]:
        grad_weight = _weight_gradient(gradient, inputs) if suits_onednn else gradient.t() @ inputs
    if needed[2]:
        grad_bias = gradient.sum(dim=0)
    return grad_inputs, grad_weight, grad_bias


def _weight_gradient(gradient, inputs):
    # oneDNN copies what comes first: let that be the narrower one.
    if gradient.shape[1] < inputs.shape[1]:
        return onednn_linear(gradient.t(), inputs.t())
    return onednn_linear(inputs.t(), gradient.t()).t().contiguous()


def _suits_onednn(inputs, weight):
    return (
        _IN_FULL_BATCH.get()
        and len(inputs) * weight.numel() >= SMALLEST_WORK
        and inputs.device.type == "cpu"
        and inputs.dtype == weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        and torch.backends.mkldnn.enabled
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
    )


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs, weight, bias):
        ctx.save_for_backward(inputs, weight)
        return linear_outputs(inputs, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return linear_gradients(gradient, *ctx.saved_tensors, ctx.needs_input_grad)


def linear_in_batches(inputs, weight, bias):
    """Outputs of a linear layer, which can be differentiated once; see :func:`linear_outputs`."""
    if torch.is_grad_enabled():
        return _Linear.apply(inputs, weight, bias)
    return nn.functional.linear(inputs, weight, bias)
