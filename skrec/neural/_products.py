"""Products of float32 matrices in training on the CPU, by oneDNN where that is quicker.

torch multiplies float32 matrices with MKL, which leaves AVX-512 alone on processors that are not
Intel's. oneDNN, which comes with torch as well, uses it: up to 2.6 times the speed on an AMD EPYC
(``benchmarks/products.py``). torch's own compiler calls it by the operator that is called here.

oneDNN generates code for each new shape, some milliseconds long. So this is for training, whose
batches are of one size, and not for predictions or for batches whose number of rows varies.
"""

import torch
from torch import nn

SMALLEST_WORK = 2**22  # multiplications below which the call itself costs more than it gains


def product(left, right, bias=None):
    """``left @ right.T + bias``, outside automatic differentiation.

    Parameters
    ----------
    left : tensor of shape (n_rows, n_inputs)
    right : tensor of shape (n_outputs, n_inputs)
    bias : tensor of shape (n_outputs,), default=None

    Returns
    -------
    product : tensor of shape (n_rows, n_outputs)
    """
    if _suits_onednn(left, right):
        return torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return nn.functional.linear(left, right, bias)


def _suits_onednn(left, right):
    return (
        left.device.type == "cpu"
        and left.dtype == right.dtype == torch.float32
        and left.numel() * right.shape[0] >= SMALLEST_WORK
        and torch.backends.mkldnn.is_available()
        and torch.backends.mkldnn.enabled
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
    )


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs, weight, bias):
        ctx.save_for_backward(inputs, weight)
        return product(inputs, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return linear_gradients(gradient, *ctx.saved_tensors, ctx.needs_input_grad)


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
    return (
        product(gradient, weight.t()) if needed[0] else None,
        product(gradient.t(), inputs.t()) if needed[1] else None,
        gradient.sum(dim=0) if needed[2] else None,
    )


def linear_in_batches(inputs, weight, bias):
    """``inputs @ weight.T + bias``, which can be differentiated once.

    Parameters
    ----------
    inputs : tensor of shape (n_rows, n_inputs)
    weight : tensor of shape (n_outputs, n_inputs)
    bias : tensor of shape (n_outputs,)

    Returns
    -------
    outputs : tensor of shape (n_rows, n_outputs)
    """
    if torch.is_grad_enabled():
        return _Linear.apply(inputs, weight, bias)
    return nn.functional.linear(inputs, weight, bias)
