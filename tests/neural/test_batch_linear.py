"""Products by oneDNN, where it is used, against double precision and torch's own gradients."""

import numpy as np
import pytest
import torch

from skrec import MultVAE
from skrec.neural import _batch_linear as _products
from skrec.neural._batch_linear import (
    full_batch,
    linear_gradients,
    linear_in_batches,
    linear_outputs,
)

SHAPES = [(150, 200, 170), (150, 170, 200)]  # rows, inputs, outputs: enough work for oneDNN


@pytest.fixture(params=[True, False], ids=["oneDNN", "plain"])
def by_onednn(request, monkeypatch):
    with full_batch():
        if not request.param:
            monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
        elif not _products._suits_onednn(*arrays(*SHAPES[0])[:2]):
            pytest.skip("oneDNN is not built in, or the processor has no AVX-512")
        yield request.param


@pytest.fixture
def calls(monkeypatch):
    """Shapes of what oneDNN has multiplied."""
    calls = []

    def multiply(left, right, bias=None):
        calls.append((*left.shape, len(right)))
        return left @ right.t() + (0 if bias is None else bias)

    monkeypatch.setattr(_products, "onednn_linear", multiply)
    return calls


def arrays(n_rows, n_inputs, n_outputs):
    rng = np.random.default_rng(0)
    shapes = (n_rows, n_inputs), (n_outputs, n_inputs), (n_outputs,)
    return [torch.from_numpy(rng.normal(size=shape).astype(np.float32)) for shape in shapes]


def strided(array):
    """The same numbers, neither in rows nor in columns next to each other."""
    wide = array.new_zeros(2 * array.shape[1], 3 * array.shape[0])
    wide[::2, ::3] = array.t()
    return wide[::2, ::3].t()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("view", [torch.clone, strided])
@pytest.mark.usefixtures("by_onednn")
def test_outputs_are_those_of_double_precision(shape, view):
    inputs, weight, bias = arrays(*shape)
    expected = inputs.double() @ weight.double().t() + bias.double()
    outputs = linear_outputs(view(inputs), view(weight), bias)
    torch.testing.assert_close(outputs.double(), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("view", [torch.clone, strided])
@pytest.mark.parametrize(
    "needed", [(True, True, True), (False, True, False), (True, False, False)]
)
@pytest.mark.usefixtures("by_onednn")
def test_gradients_are_those_of_double_precision(shape, view, needed):
    inputs, weight, _ = arrays(*shape)
    gradient = (inputs @ weight.t()).sin()
    wide = gradient.double()
    expected = wide @ weight.double(), wide.t() @ inputs.double(), wide.sum(dim=0)
    found = linear_gradients(view(gradient), view(inputs), view(weight), needed)
    for ours, true, is_needed in zip(found, expected, needed, strict=True):
        assert (ours is not None) == is_needed
        if is_needed:
            assert ours.is_contiguous()  # or every update copies it
            torch.testing.assert_close(ours.double(), true, rtol=0, atol=1e-4)


@pytest.mark.usefixtures("by_onednn")
def test_a_layer_can_be_differentiated():
    parameters = [array.requires_grad_() for array in arrays(*SHAPES[0])]
    linear_in_batches(*parameters).sin().sum().backward()
    others = [array.requires_grad_() for array in arrays(*SHAPES[0])]
    torch.nn.functional.linear(*others).sin().sum().backward()
    for ours, torchs in zip(parameters, others, strict=True):
        torch.testing.assert_close(ours.grad, torchs.grad, rtol=0, atol=1e-3)


def test_onednn_has_large_products_of_single_precision_in_full_batches(by_onednn, calls):
    inputs, weight, bias = arrays(*SHAPES[0])
    linear_outputs(inputs[:50], weight[:7], bias[:7])
    linear_outputs(inputs.double(), weight.double(), bias.double())
    with full_batch(False):
        linear_outputs(inputs, weight, bias)
    with torch.inference_mode():
        linear_in_batches(inputs, weight, bias)
    assert not calls
    linear_outputs(inputs, weight, bias)
    linear_outputs(inputs[:147], weight, bias)
    assert calls == [(150, 200, 170), (147, 200, 170)][: 2 * by_onednn]


def test_full_batches_of_training_go_through_onednn(by_onednn, calls):
    X = np.ones((303 + 100, 330), dtype=np.float32)  # the last batch has a number that is round
    model = MultVAE(hidden_layer_sizes=(250,), batch_size=101, max_iter=2, early_stopping=False)
    model.fit(X).predict(X[:101])
    outputs = {(101, 250, 400), (101, 200, 250), (101, 250, 330)}
    of_inputs = {(101, 400, 250), (101, 250, 200), (101, 330, 250)}
    of_weights = {(250, 101, 400), (200, 101, 250), (250, 101, 330)}
    assert set(calls) == (outputs | of_inputs | of_weights if by_onednn else set())
