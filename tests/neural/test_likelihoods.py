"""Fused likelihoods against their definitions."""

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.special import expit, gammaln, log_softmax
from scipy.stats import multinomial, norm

from skrec.neural._batches import RowStore
from skrec.neural._likelihoods import output_nll


@pytest.fixture
def counts():
    X = np.random.default_rng(0).integers(0, 3, (6, 8)).astype(np.float32)
    X[2] = 0
    return X


@pytest.fixture
def layer():
    layer = torch.nn.utils.skip_init(torch.nn.Linear, 4, 8)
    for seed, parameter in enumerate(layer.parameters()):
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(seed))
    return layer


@pytest.fixture
def hidden():
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(5), requires_grad=True)


def to_batch(X):
    return RowStore(sparse.csr_array(X), torch.device("cpu")).cut()


def numpy_logits(hidden, layer):
    return (hidden @ layer.weight.t() + layer.bias).detach().double().numpy()


def test_multinomial_is_scipys_log_pmf_but_for_the_coefficient(counts, layer, hidden):
    nll = output_nll(hidden, layer, "multinomial", to_batch(counts)).detach()
    logits = numpy_logits(hidden, layer)
    totals = counts.sum(axis=1)
    log_pmf = multinomial.logpmf(counts, totals, np.exp(log_softmax(logits, axis=1)))
    coefficient = gammaln(totals + 1) - gammaln(counts + 1).sum(axis=1)
    np.testing.assert_allclose(nll, coefficient - log_pmf, rtol=1e-5)


def test_bernoulli_is_the_direct_sum(counts, layer, hidden):
    X = np.minimum(counts, 1)
    nll = output_nll(hidden, layer, "bernoulli", to_batch(X)).detach()
    p = expit(numpy_logits(hidden, layer))
    expected = -(X * np.log(p) + (1 - X) * np.log(1 - p)).sum(axis=1)
    np.testing.assert_allclose(nll, expected, rtol=1e-5)


def test_gaussian_is_the_log_density_of_observed_entries_but_for_the_constant(
    counts, layer, hidden
):
    nll = output_nll(hidden, layer, "gaussian", to_batch(counts)).detach()
    log_density = norm.logpdf(counts, numpy_logits(hidden, layer)) + np.log(2 * np.pi) / 2
    np.testing.assert_allclose(nll, -(log_density * (counts > 0)).sum(axis=1), rtol=1e-5)


NAIVE = {
    "multinomial": lambda logits, X: -(X * torch.log_softmax(logits, 1)).sum(1),
    "bernoulli": lambda logits, X: torch.nn.functional.binary_cross_entropy_with_logits(
        logits, X, reduction="none"
    ).sum(1),
    "gaussian": lambda logits, X: ((logits - X) ** 2 * (X > 0)).sum(1) / 2,
}


@pytest.mark.parametrize("likelihood", NAIVE)
def test_gradients_are_those_of_automatic_differentiation(counts, layer, hidden, likelihood):
    X = np.minimum(counts, 1) if likelihood == "bernoulli" else counts
    weights = torch.rand(6, generator=torch.Generator().manual_seed(3))
    gradients = []
    for nll in (
        output_nll(hidden, layer, likelihood, to_batch(X)),
        NAIVE[likelihood](layer(hidden), torch.from_numpy(X)),
    ):
        parameters = [hidden, layer.weight, layer.bias]
        gradients.append([nll.detach(), *torch.autograd.grad((weights * nll).sum(), parameters)])
    for ours, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_frozen_output_layer_gets_no_gradient(counts, layer, hidden):
    layer.requires_grad_(False)
    output_nll(hidden, layer, "multinomial", to_batch(counts)).sum().backward()
    assert hidden.grad is not None
    assert layer.weight.grad is None


def test_extreme_logits_stay_finite(counts, layer, hidden):
    with torch.no_grad():
        layer.weight.mul_(1e4)
    for likelihood, X in [("multinomial", counts), ("bernoulli", np.minimum(counts, 1))]:
        nll = output_nll(hidden, layer, likelihood, to_batch(X))
        nll.sum().backward()
        assert torch.isfinite(nll).all()
        assert torch.isfinite(hidden.grad).all()


def test_excluded_items_are_impossible(counts, layer, hidden):
    """The same as without these items, row by row; a row may have none left."""
    excluded = np.random.default_rng(1).random((6, 8)) < 0.3
    excluded[3] = True
    wanted = counts * ~excluded
    nll = output_nll(hidden, layer, "multinomial", to_batch(wanted), to_batch(excluded * 1.0))
    logits = layer(hidden).double()
    expected = [
        -(torch.from_numpy(wanted[row][left]) * torch.log_softmax(logits[row][left], dim=0)).sum()
        for row, left in enumerate(~excluded)
    ]
    torch.testing.assert_close(nll, torch.stack(expected).float())
    parameters = [hidden, layer.weight, layer.bias]
    ours, theirs = (
        torch.autograd.grad(values.sum(), parameters) for values in (nll, torch.stack(expected))
    )
    for gradient, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-4, atol=1e-5)
