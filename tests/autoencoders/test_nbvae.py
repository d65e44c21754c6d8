"""NBVAE: its likelihoods by scipy's, gradients by finite differences, limits, and draws."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from draws import check_means, check_variances
from initial_weights import check_uniform
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit
from scipy.stats import nbinom, poisson
from torch.nn.functional import softplus

from skrec import NBVAE
from skrec.autoencoders._nbvae import NLLS, NBVAEModule
from skrec.neural._batches import RowStore
from skrec.neural._layers import init_glorot, linear
from skrec.neural._likelihoods import LOG_R_RANGE, outputs_nll
from skrec.neural._row_autoencoder import RowAutoencoderMixin
from skrec.neural._trainer import Progress

CPU = torch.device("cpu")
SMALL = {"hidden_layer_sizes": (8,), "early_stopping": False, "max_iter": 3, "random_state": 0}


def counts(n_users=30, n_items=12, seed=0):
    X = np.random.default_rng(seed).negative_binomial(1, 0.4, (n_users, n_items))
    X[2] = 0
    return sparse.csr_array(X.astype(np.float32))


def zeros_and_ones():
    X = counts()
    X.data[:] = 1
    return X


ROWS = {"negative_binomial": counts, "bernoulli": zeros_and_ones}


def batch_of(X, dtype=torch.float64):
    batch = RowStore(X, CPU).cut()
    return replace(batch, values=batch.values.to(dtype))


def outputs(n_users=30, n_items=12, seed=0):
    rng = np.random.default_rng(seed)
    return [torch.from_numpy(rng.normal(size=(n_users, n_items))) for _ in range(2)]


def negative_log_likelihood(log_r, logits, X, likelihood):
    r, p = np.exp(log_r), 1 - expit(logits)
    if likelihood == "negative_binomial":
        return -nbinom.logpmf(X.toarray(), r, p).sum(axis=1)
    p_zero = nbinom.pmf(0, r, p)
    return -np.log(np.where(X.toarray() == 1, 1 - p_zero, p_zero)).sum(axis=1)


@pytest.mark.parametrize("likelihood", ROWS)
def test_the_likelihood_is_scipys(likelihood):
    X, (log_r, logits) = ROWS[likelihood](), outputs()
    expected = negative_log_likelihood(log_r.numpy(), logits.numpy(), X, likelihood)
    nll = NLLS[likelihood](log_r, logits, batch_of(X))
    assert_allclose(nll, expected)


def naive_nll(log_r, logits, X, likelihood):
    """The same by automatic differentiation, of dense arrays."""
    y, r = torch.from_numpy(X.toarray()).double(), log_r.clamp(*LOG_R_RANGE).exp()
    if likelihood == "negative_binomial":
        ways = torch.lgamma(y + r) - torch.lgamma(r) - torch.lgamma(y + 1)
        return (y * softplus(-logits) + r * softplus(logits) - ways).sum(dim=1)
    m = r * softplus(logits)
    return ((1 - y) * m - y * torch.log1p(-torch.exp(-m))).sum(dim=1)


@pytest.mark.parametrize("likelihood", ROWS)
def test_gradients_are_right_also_at_stored_zeros_and_where_r_is_bounded(likelihood):
    X = ROWS[likelihood]()
    X.data[:3] = 0
    rng = np.random.default_rng(1)
    hiddens = [torch.from_numpy(rng.normal(size=(30, n))).requires_grad_() for n in (3, 2)]
    layers = [linear(3, 12).double(), linear(2, 12).double()]
    for layer in layers:
        for part in layer.parameters():
            part.data = torch.from_numpy(rng.normal(size=part.shape))
    layers[0].bias.data[:2] = torch.tensor([30.0, -40.0])  # r too large, and too small
    parts = [*hiddens, *(part for layer in layers for part in layer.parameters())]
    log_r, logits = (layer(hidden) for layer, hidden in zip(layers, hiddens, strict=True))
    weights = torch.from_numpy(rng.random(30))
    gradients = []
    for nll in (
        outputs_nll(hiddens, layers, NLLS[likelihood], batch_of(X)),
        naive_nll(log_r, logits, X, likelihood),
    ):
        gradients.append([nll.detach(), *torch.autograd.grad((weights * nll).sum(), parts)])
    for ours, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, expected)
    assert (gradients[0][4][:2] == 0).all()  # of the first two biases of the logarithm of r


def test_of_large_r_at_the_same_mean_remains_a_poisson_distribution():
    X = counts()
    rates = np.random.default_rng(1).uniform(0.1, 3, X.shape)
    log_r = torch.full(X.shape, LOG_R_RANGE[1], dtype=torch.float64)
    logits = torch.from_numpy(np.log(rates)) - log_r
    nll = NLLS["negative_binomial"](log_r, logits, batch_of(X))
    assert_allclose(nll, -poisson.logpmf(X.toarray(), rates).sum(axis=1), rtol=1e-3)


@pytest.mark.parametrize("likelihood", ROWS)
@pytest.mark.parametrize("size", [50.0, 1e4])
def test_extreme_outputs_stay_finite(likelihood, size):
    X = ROWS[likelihood]()
    signs = np.random.default_rng(0).choice([-size, size], (2, *X.shape)).astype(np.float32)
    log_r, logits = map(torch.from_numpy, signs)
    batch = batch_of(X, torch.float32)
    nll = NLLS[likelihood](log_r, logits, batch)
    for tensor in (nll, log_r, logits):
        assert torch.isfinite(tensor).all()
    module = module_of(likelihood)
    for layer in (module.output, module.odds_output):
        layer.weight.data *= size
    assert torch.isfinite(module.scores(size * torch.eye(3))).all()


def module_of(likelihood, **options):
    defaults = {"dropout": 0.0, "beta": 0.3, "n_annealing_updates": 0}
    module = NBVAEModule(12, 3, [7], likelihood=likelihood, **{**defaults, **options})
    init_glorot(module, torch.Generator().manual_seed(0))
    return module


@pytest.mark.parametrize("likelihood", ROWS)
def test_the_objective_is_that_of_the_paper(likelihood):
    module, X = module_of(likelihood, dropout=0.4), ROWS[likelihood]()
    batch = RowStore(X, CPU).cut()
    ours = module(batch, torch.Generator().manual_seed(1), Progress(0, 1)).detach()

    generator = torch.Generator().manual_seed(1)
    x = torch.from_numpy(X.toarray())
    unit = x / x.norm(dim=1, keepdim=True).clamp(min=1e-9)
    unit[batch.rows, batch.items] *= (torch.rand(X.nnz, generator=generator) >= 0.4) / 0.6
    w = {name: value.detach() for name, value in module.state_dict().items()}
    hidden = torch.tanh(unit @ w["first.weight"] + w["first.bias"])
    code = hidden @ w["encoder.1.weight"].t() + w["encoder.1.bias"]
    mean, log_var = code[:, :3], code[:, 3:]
    z = mean + torch.randn(mean.shape, generator=generator) * torch.exp(log_var / 2)
    log_r, logits = (
        torch.tanh(z @ w[f"{decoder}.0.weight"].t() + w[f"{decoder}.0.bias"])
        @ w[f"{output}.weight"].t()
        + w[f"{output}.bias"]
        for decoder, output in (("decoder", "output"), ("odds_decoder", "odds_output"))
    )
    nll = negative_log_likelihood(log_r.double().numpy(), logits.double().numpy(), X, likelihood)
    kl = (log_var.exp() + mean**2 - 1 - log_var).sum(1) / 2
    assert_allclose(ours, nll + 0.3 * kl.numpy(), rtol=1e-5)


@pytest.mark.parametrize("likelihood", ROWS)
def test_scores_are_the_logarithm_of_the_mean_or_of_the_odds(likelihood):
    X = ROWS[likelihood]()
    model = NBVAE(3, **SMALL).fit(X)
    assert model.likelihood_ == likelihood
    module = model._scoring_module()
    log_r, logits = (
        part.double().numpy() for part in module.decode(torch.from_numpy(model.transform(X)))
    )
    law = nbinom(np.exp(log_r), 1 - expit(logits))
    p_zero = law.pmf(0)
    expected = np.log(law.mean() if likelihood == "negative_binomial" else 1 / p_zero - 1)
    assert_allclose(model.predict(X), expected, rtol=1e-4, atol=1e-5)


def test_the_likelihood_is_chosen_when_training_starts_and_stays():
    binary, other = zeros_and_ones(), counts()
    model = NBVAE(3, **SMALL).fit(binary)
    assert model.likelihood_ == "bernoulli"
    with pytest.raises(ValueError, match="or use likelihood='negative_binomial'"):
        model.partial_fit(other)
    assert model.fit(other).likelihood_ == "negative_binomial"
    assert model.partial_fit(binary).likelihood_ == "negative_binomial"
    assert model.set_params(warm_start=True).fit(binary).likelihood_ == "negative_binomial"
    assert NBVAE(3, likelihood="negative_binomial", **SMALL).fit(binary).likelihood_ == (
        "negative_binomial"
    )
    with pytest.raises(ValueError, match="NBVAE with a bernoulli likelihood needs entries in"):
        NBVAE(3, likelihood="bernoulli", **SMALL).fit(other)
    with pytest.raises(ValueError, match="likelihood changed since the fit"):
        model.set_params(likelihood="bernoulli").fit(binary)
    with pytest.raises(ValueError, match="NBVAE with a negative_binomial likelihood needs"):
        model.set_params(likelihood="auto", warm_start=False).fit(-other)


@pytest.mark.parametrize("likelihood", ROWS)
def test_a_new_item_scores_at_even_odds_as_known_ones_that_are_as_popular(likelihood):
    X = ROWS[likelihood]()
    old, new = sparse.csr_array(X * (np.arange(X.shape[1]) < 11)), X[:, [11]]
    model = NBVAE(3, **SMALL).fit(old)
    levels = RowAutoencoderMixin._levels_of_new_items(model, old, new)
    log_r = torch.from_numpy(model._levels_of_new_items(old, new))
    model._scoring_module().decode = lambda code: (log_r, torch.zeros(1))
    assert_allclose(model._scoring_module().scores(None), levels, rtol=1e-6)


def test_training_starts_from_popularity_and_glorot_uniform_weights():
    X = sparse.random_array((60, 800), density=0.1, rng=np.random.default_rng(0))
    X.data[:] = 1
    options = {**SMALL, "max_iter": 1, "learning_rate": 1e-12}
    model = NBVAE(50, **{**options, "hidden_layer_sizes": (100,)}).fit(X)
    for name, weight in model._weights.items():
        if name.endswith("weight"):
            check_uniform(weight, np.sqrt(6 / sum(weight.shape)))
    n_users = np.bincount(X.tocsr().indices, minlength=800)
    assert_allclose(model._weights["output.bias"], np.log((n_users + 1) / 61), rtol=1e-5)
    assert np.abs(model._weights["odds_output.bias"]).max() <= 0.002
    assert (model._weights["decoder.0.weight"] != model._weights["odds_decoder.0.weight"]).all()


def constant(model, log_r, logits):
    """The same model, whose outputs are the same for all rows."""
    model = deepcopy(model)
    for name, values in (("output", log_r), ("odds_output", logits)):
        weight = model._weights[f"{name}.weight"]
        model._weights[f"{name}.weight"] = np.zeros_like(weight)
        model._weights[f"{name}.bias"] = values.astype(np.float32)
    model._modules = {}
    return model


def test_draws_are_those_of_the_likelihood():
    rng = np.random.default_rng(0)
    log_r, logits = rng.normal(0, 0.5, 12), rng.normal(0, 0.5, 12)
    law = nbinom(np.exp(log_r), 1 - expit(logits))
    rows = np.zeros((20_000, 12))
    model = constant(NBVAE(3, **SMALL).fit(counts()), log_r, logits)
    (draws,) = model.sample(rows, random_state=0)
    check_means(draws, law.mean())
    check_variances(draws, law.var())
    assert (draws == draws.round()).all()
    model = constant(NBVAE(3, **SMALL).fit(zeros_and_ones()), log_r, logits)
    (draws,) = model.sample(rows, random_state=0)
    assert_array_equal(np.unique(draws), [0, 1])
    check_means(draws, 1 - law.pmf(0))


def test_draws_of_large_means_are_finite():
    model = constant(NBVAE(3, **SMALL).fit(counts()), np.full(12, 50.0), np.full(12, 1e4))
    assert np.isfinite(model.sample(np.zeros((2, 12)), random_state=0)).all()


def test_overdispersed_counts_get_smaller_r_than_counts_that_are_not():
    rng = np.random.default_rng(0)
    X = np.column_stack(
        [rng.poisson(2, (200, 6)), rng.negative_binomial(0.3, 0.3 / 2.3, (200, 6))]
    )
    model = NBVAE(2, **{**SMALL, "max_iter": 60, "learning_rate": 0.01}).fit(X)
    with torch.inference_mode():
        log_r, _ = model._scoring_module().decode(torch.zeros(1, 2))
    log_r = log_r[0].numpy()
    assert log_r[:6].min() > log_r[6:].max() + 0.5
    assert_allclose(np.exp(model.predict(np.zeros((1, 12))))[0], 2, atol=1)


def test_a_row_without_entries_has_the_probability_that_all_counts_are_zero():
    log_r, logits = outputs(1)
    expected = (log_r.exp() * softplus(logits)).sum()
    for nll_ in NLLS.values():
        copies = log_r.clone(), logits.clone()
        nll = nll_(*copies, batch_of(sparse.csr_array((1, 12))))
        assert_allclose(nll[0], expected)
