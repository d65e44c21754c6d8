"""Enhanced VAE: its objective, its ingredients, and each of them switched off."""

import numpy as np
import pytest
import torch
from initial_weights import check_normal, check_uniform
from scipy import sparse
from sklearn.base import clone

from skrec import EnhancedVAE
from skrec.autoencoders._enhanced_vae import EnhancedVAEModule, NormalizedGradientTrainer
from skrec.neural._batches import RowStore
from skrec.neural._layers import init_he_normal
from skrec.neural._trainer import Progress

OPTIONS = {
    "likelihood": "multinomial",
    "hierarchical": True,
    "n_pseudo_inputs": 4,
    "gated": True,
    "dropout": 0.0,
    "beta": 0.3,
    "n_annealing_epochs": 0,
}


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    X = rng.random((10, 12)) < 0.4
    X[:, 5] |= ~X.any(axis=1)
    return sparse.csr_array(X.astype(np.float32))


def module_of(sizes=(6, 5), **options):
    module = EnhancedVAEModule(12, 3, sizes, **{**OPTIONS, **options})
    init_he_normal(module, torch.Generator().manual_seed(0))
    if module.pseudo_inputs is not None:
        generator = torch.Generator().manual_seed(1)
        torch.nn.init.normal_(module.pseudo_inputs, 0.3, 0.5, generator=generator)
    return module


def naive_objective(module, x, generator, *, gated):
    """Written with dense layers, torch's own distributions, and no shared code."""
    normal = torch.distributions.Normal

    def gate(gate_layer, inputs, is_sparse=False):
        def apply(layer):
            weight = layer.weight if is_sparse else layer.weight.t()
            return inputs @ weight + layer.bias

        if gated:
            return apply(gate_layer.content) * torch.sigmoid(apply(gate_layer.gate))
        return torch.tanh(apply(gate_layer.content))

    def head(parts, hidden):
        mean = hidden @ parts.mean.weight.t() + parts.mean.bias
        log_var = hidden @ parts.log_var.weight.t() + parts.log_var.bias
        return normal(mean, torch.exp(torch.clamp(log_var, -12, 4) / 2))

    def top_posterior(inputs):
        hidden = gate(module.top_encoder[0], inputs, is_sparse=True)
        for layer in module.top_encoder[1]:
            hidden = gate(layer, hidden)
        return head(module.top_encoder[2], hidden)

    def two(parts, first, second, is_sparse=False):
        both = [gate(parts.first, first, is_sparse), gate(parts.second, second)]
        hidden = torch.cat(both, dim=1)
        for layer in parts.joined:
            hidden = gate(layer, hidden)
        return hidden

    def draw(distribution):
        noise = torch.randn(distribution.mean.shape, generator=generator)
        return distribution.mean + distribution.stddev * noise

    unit = x / x.norm(dim=1, keepdim=True)
    q2 = top_posterior(unit)
    z2 = draw(q2)
    pseudo = top_posterior(module.pseudo_inputs.clamp(0, 1))
    log_p2 = torch.stack(
        [
            normal(mean, std).log_prob(z2).sum(1)
            for mean, std in zip(pseudo.mean, pseudo.stddev, strict=True)
        ]
    )
    log_p2 = torch.logsumexp(log_p2, dim=0) - np.log(len(log_p2))
    q1 = head(module.low_head, two(module.low_encoder, unit, z2, is_sparse=True))
    z1 = draw(q1)
    hidden = z2
    for layer in module.low_prior[0]:
        hidden = gate(layer, hidden)
    p1 = head(module.low_prior[1], hidden)
    logits = two(module.decoder, z1, z2) @ module.output.weight.t() + module.output.bias
    nll = -(x * torch.log_softmax(logits, dim=1)).sum(1)
    kl = q1.log_prob(z1).sum(1) - p1.log_prob(z1).sum(1) + q2.log_prob(z2).sum(1) - log_p2
    return nll + 0.3 * kl


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("n_pseudo_inputs", [1, 4])
def test_the_objective_is_that_of_the_paper(X, gated, n_pseudo_inputs):
    """Gates off and one pseudo-input: the plain hierarchical VAE with a Gaussian prior."""
    module = module_of(gated=gated, n_pseudo_inputs=n_pseudo_inputs)
    batch = RowStore(X, torch.device("cpu")).cut()
    ours = module(batch, torch.Generator().manual_seed(3), Progress(0, 1))
    expected = naive_objective(
        module,
        torch.from_numpy(X.toarray()),
        torch.Generator().manual_seed(3),
        gated=gated,
    )
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def test_a_single_layer_reads_both_inputs_side_by_side(X):
    parts = module_of(sizes=(6,)).low_encoder
    z = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    x = torch.from_numpy(X.toarray())
    ours = parts(RowStore(X, torch.device("cpu")).cut(), z)
    both = torch.cat([x, z], dim=1)

    gate = parts.side_by_side
    expected = (both @ gate.content.weight + gate.content.bias) * torch.sigmoid(
        both @ gate.gate.weight + gate.gate.bias
    )
    torch.testing.assert_close(ours, expected)
    assert gate.content.weight.shape == (12 + 3, 6)


def test_one_level_and_a_normal_prior_are_the_plain_vae(X):
    module = module_of(hierarchical=False, n_pseudo_inputs=0, gated=False)
    batch = RowStore(X, torch.device("cpu")).cut()
    z = torch.zeros(10, 3)
    normal = torch.distributions.Normal(0.0, 1.0)
    torch.testing.assert_close(module.top_log_prior(z), normal.log_prob(z).sum(1))
    assert module.encode(batch).shape == (10, 3)
    assert not hasattr(module, "low_encoder")


@pytest.mark.parametrize("n_pseudo_inputs", [0, 4])
def test_without_hidden_layers_encoder_and_decoder_are_linear(X, n_pseudo_inputs):
    module = module_of((), hierarchical=False, gated=False, n_pseudo_inputs=n_pseudo_inputs)
    batch = RowStore(X, torch.device("cpu")).cut()
    ours = module(batch, torch.Generator().manual_seed(3), Progress(0, 1))

    x = torch.from_numpy(X.toarray())
    head, normal = module.top_encoder, torch.distributions.Normal

    def encode(inputs):
        log_var = inputs @ head.log_var.weight + head.log_var.bias
        mean = inputs @ head.mean.weight + head.mean.bias
        return normal(mean, torch.exp(log_var.clamp(-12, 4) / 2))

    posterior = encode(x / x.norm(dim=1, keepdim=True))
    noise = torch.randn((10, 3), generator=torch.Generator().manual_seed(3))
    z = posterior.mean + posterior.stddev * noise
    if n_pseudo_inputs:
        pseudo = encode(module.pseudo_inputs.clamp(0, 1))
        log_prior = pseudo.log_prob(z[:, None]).sum(2).logsumexp(1) - np.log(4)
    else:
        log_prior = normal(0.0, 1.0).log_prob(z).sum(1)
    logits = z @ module.output.weight.t() + module.output.bias
    nll = -(x * torch.log_softmax(logits, dim=1)).sum(1)
    kl = posterior.log_prob(z).sum(1) - log_prior
    torch.testing.assert_close(ours, nll + 0.3 * kl, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(module.encode(batch), posterior.mean)


def test_beta_rises_over_the_first_epochs():
    module = module_of(n_annealing_epochs=10)
    betas = [module.beta_at(Progress(0, epoch)) for epoch in (1, 5, 10, 50)]
    np.testing.assert_allclose(betas, [0.03, 0.15, 0.3, 0.3])


def test_gradients_have_unit_norm_before_adam_sees_them(X):
    seen = []

    class Watch(NormalizedGradientTrainer):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            super().on_grad_computed(net, named_parameters, **kwargs)
            gradients = [p.grad for p in net.module.parameters() if p.grad is not None]
            seen.extend(gradient.norm().item() for gradient in gradients)

    class Watched(EnhancedVAE):
        _trainer_class = Watch

    model = Watched(3, hidden_layer_sizes=(6,), n_pseudo_inputs=4, max_iter=2, random_state=0)
    clone(model).set_params(normalize_gradients=True).fit(X)
    np.testing.assert_allclose(seen, 1, rtol=1e-3)
    seen.clear()
    model.fit(X)
    assert np.std(seen) > 0.1


def test_weights_start_he_normal_and_pseudo_inputs_near_their_mean():
    """As `fit` draws them: a step of Adam that is too small to be seen."""
    X = sparse.random_array((60, 400), density=0.1, rng=np.random.default_rng(0))
    X.data[:] = 1
    model = EnhancedVAE(50, hidden_layer_sizes=(100,), n_pseudo_inputs=20, random_state=0)
    model.set_params(
        hierarchical=True, gated=True, max_iter=1, early_stopping=False, learning_rate=1e-12
    ).fit(X)
    weights = dict(model._weights)
    check_normal(weights.pop("pseudo_inputs"), 0.05, 0.01)
    n_checked = 0
    for name, weight in weights.items():
        if name.endswith("weight"):
            is_sparse = len(weight) >= 400 and name != "output.weight"
            n_inputs = weight.shape[0 if is_sparse else 1]
            check_normal(weight, 0, np.sqrt(2 / n_inputs))
            check_uniform(weights[f"{name.removesuffix('weight')}bias"], 1 / np.sqrt(n_inputs))
            n_checked += 1
    assert n_checked == len(weights) / 2 > 10


def test_pseudo_inputs_are_learned(X):
    model = EnhancedVAE(
        3, hidden_layer_sizes=(6,), n_pseudo_inputs=50, early_stopping=False, random_state=0
    )
    start = model.set_params(max_iter=1, learning_rate=1e-12).fit(X)._weights["pseudo_inputs"]
    moved = model.set_params(max_iter=30, learning_rate=0.01).fit(X)._weights["pseudo_inputs"]
    assert np.abs(moved - start).max() > 0.01


def test_pseudo_inputs_lose_entries_in_training_alone(X):
    module = module_of(dropout=0.6)
    z = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    ours = module.top_log_prior(z, torch.Generator().manual_seed(5))

    draws = torch.rand((4, 12), generator=torch.Generator().manual_seed(5))
    inputs = module.pseudo_inputs.clamp(0, 1) * (draws >= 0.6) / 0.4
    mean, log_var = module.top_encoder(inputs)
    normal = torch.distributions.Normal(mean, torch.exp(log_var / 2))
    expected = normal.log_prob(z[:, None]).sum(2).logsumexp(1) - np.log(4)
    torch.testing.assert_close(ours, expected)
    whole = module.top_log_prior(z)
    torch.testing.assert_close(whole, module_of().top_log_prior(z))
    assert (ours - whole).abs().max() > 0.01


def test_training_drops_entries_of_users_and_of_pseudo_inputs(X):
    """The objective is that of inputs with the entries dropped that the generator says."""
    module = module_of(dropout=0.6)
    batch = RowStore(X, torch.device("cpu")).cut()
    ours = module(batch, torch.Generator().manual_seed(3), Progress(0, 1))
    generator = torch.Generator().manual_seed(3)

    def drop(shape):
        return (torch.rand(shape, generator=generator) >= 0.6) / 0.4

    x = torch.from_numpy(X.toarray())
    unit = x / x.norm(dim=1, keepdim=True)

    def dropped():
        inputs = torch.zeros_like(unit)
        inputs[batch.rows, batch.items] = unit[batch.rows, batch.items] * drop(len(batch.items))
        return inputs

    def draw(mean, log_var):
        return mean + torch.randn(mean.shape, generator=generator) * torch.exp(log_var / 2)

    def log_density(z, mean, log_var):
        return torch.distributions.Normal(mean, torch.exp(log_var / 2)).log_prob(z).sum(-1)

    q2 = module.top_encoder(dropped())
    z2 = draw(*q2)
    pseudo = module.top_encoder(module.pseudo_inputs.clamp(0, 1) * drop((4, 12)))
    log_p2 = log_density(z2[:, None], *pseudo).logsumexp(1) - np.log(4)
    q1 = module.low_head(module.low_encoder(dropped(), z2))
    z1 = draw(*q1)
    kl = log_density(z1, *q1) - log_density(z1, *module.low_prior(z2))
    kl = kl + log_density(z2, *q2) - log_p2
    logits = module.output(module.decoder(z1, z2))
    nll = -(x * torch.log_softmax(logits, dim=1)).sum(1)
    torch.testing.assert_close(ours, nll + 0.3 * kl, rtol=1e-4, atol=1e-4)
