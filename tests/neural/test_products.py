"""Products by oneDNN, where it is used, against double precision."""

import numpy as np
import pytest
import torch

from skrec.neural import _products
from skrec.neural._products import linear_in_batches, product

N_ROWS, N_INPUTS, N_OUTPUTS = 150, 200, 170  # enough work for oneDNN


@pytest.fixture(params=[True, False], ids=["oneDNN", "plain"], autouse=True)
def by_onednn(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    elif not _products._suits_onednn(*arrays()[:2]):
        pytest.skip("oneDNN is not built in, or the processor has no AVX-512")
    return request.param


def arrays():
    rng = np.random.default_rng(0)
    shapes = (N_ROWS, N_INPUTS), (N_OUTPUTS, N_INPUTS), (N_OUTPUTS,)
    return [torch.from_numpy(rng.normal(size=shape).astype(np.float32)) for shape in shapes]


@pytest.mark.parametrize("transposed", [False, True])
def test_a_product_is_that_of_double_precision(transposed):
    left, right, bias = arrays()
    expected = left.double() @ right.double().t() + bias.double()
    if transposed:
        left, right = left.t().contiguous().t(), right.t().contiguous().t()
    torch.testing.assert_close(product(left, right, bias).double(), expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(product(left, right).double(), expected - bias, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "needed", [(True, True, True), (False, True, False), (True, False, False)]
)
def test_a_linear_layer_has_the_gradients_of_torchs_own(needed):
    ours, torchs = (
        [
            array.clone().requires_grad_(is_needed)
            for array, is_needed in zip(arrays(), needed, strict=True)
        ]
        for _ in range(2)
    )
    outputs = linear_in_batches(*ours)
    expected = torch.nn.functional.linear(*torchs)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-4)
    for result in (outputs, expected):
        result.sin().sum().backward()
    for array, other in zip(ours, torchs, strict=True):
        assert (array.grad is None) == (other.grad is None)
        if array.grad is not None:
            assert array.grad.stride() == array.stride()  # or every update copies it
            torch.testing.assert_close(array.grad, other.grad, rtol=0, atol=1e-3)


def test_only_large_products_of_single_precision_go_to_onednn(monkeypatch, by_onednn):
    calls = []
    monkeypatch.setattr(
        torch.ops.mkldnn, "_linear_pointwise", lambda *args: calls.append(args), raising=False
    )
    left, right, bias = arrays()
    product(left[:3], right, bias)
    product(left.double(), right.double())
    assert not calls
    product(left, right, bias)
    assert len(calls) == by_onednn
