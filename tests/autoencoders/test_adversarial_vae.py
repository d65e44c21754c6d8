"""AdversarialVAE: its objective written out, and that it is Mult-DAE without its own terms."""

import numpy as np
import pytest
import torch
from scipy import sparse

from skrec import AdversarialVAE, MultDAE
from skrec.autoencoders._adversarial_vae import AdversarialVAEModule
from skrec.autoencoders._mult_dae import MultDAEModule
from skrec.neural._batches import RowStore
from skrec.neural._divergences import inverse_multiquadratic_mmd, moment_kl
from skrec.neural._layers import init_glorot
from skrec.neural._trainer import Progress

OPTIONS = {
    "likelihood": "multinomial",
    "dropout": 0.4,
    "unobserved_weight": 1.0,
    "divergence": "mmd",
    "beta": 0.0,
    "kl_weight": 0.0,
    "l1": 0.0,
}
SMALL = {"learning_rate": 0.01, "early_stopping": False, "random_state": 0}


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    X = rng.random((40, 12)) < 0.4
    X[:, 5] |= ~X.any(axis=1)
    return sparse.csr_array(X.astype(np.float32))


def module_of(hidden_layer_sizes=(), **options):
    module = AdversarialVAEModule(12, 3, hidden_layer_sizes, **{**OPTIONS, **options})
    init_glorot(module, torch.Generator().manual_seed(0))
    return module


def objective(module, X):
    batch = RowStore(X, torch.device("cpu")).cut()
    return module(batch, torch.Generator().manual_seed(1), Progress(0, 1))


def in_numpy(module, X):
    """Inputs with dropped entries, codes, logits and draws of the prior."""
    generator = torch.Generator().manual_seed(1)
    x = X.toarray().astype(float)
    dropped = x / np.linalg.norm(x, axis=1, keepdims=True)
    dropped[X.nonzero()] *= (torch.rand(X.nnz, generator=generator) >= 0.4).numpy() / 0.6
    w = {name: value.double().numpy() for name, value in module.state_dict().items()}
    code = dropped @ w["first.weight"] + w["first.bias"]
    hidden = np.tanh(code)
    if "encoder.0.weight" in w:
        code = hidden @ w["encoder.0.weight"].T + w["encoder.0.bias"]
        hidden = np.tanh(np.tanh(code) @ w["decoder.0.weight"].T + w["decoder.0.bias"])
    logits = hidden @ w["output.weight"].T + w["output.bias"]
    draws = torch.randn(code.shape, generator=generator).double().numpy()
    return x, code, logits, draws, w


def multinomial(x, logits):
    log_normalizer = np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -(x * (logits - log_normalizer)).sum(axis=1)


def mmd_by_loops(codes, draws):
    """Without bias: means over pairs of different draws."""
    n, n_components = codes.shape

    def kernel(a, b):
        scales = [2 * n_components * s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10)]
        return sum(scale / (scale + ((a - b) ** 2).sum()) for scale in scales)

    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    within = np.mean([kernel(codes[i], codes[j]) + kernel(draws[i], draws[j]) for i, j in pairs])
    return within - 2 * np.mean([kernel(a, b) for a in codes for b in draws])


def test_the_discrepancy_is_that_of_all_pairs():
    rng = np.random.default_rng(0)
    codes, draws = rng.normal(1, 2, (7, 3)), rng.normal(size=(7, 3))
    found = inverse_multiquadratic_mmd(torch.from_numpy(codes), torch.from_numpy(draws))
    np.testing.assert_allclose(found, mmd_by_loops(codes, draws))
    assert inverse_multiquadratic_mmd(torch.ones(1, 3), torch.zeros(1, 3)) == 0


def test_the_discrepancy_is_without_bias():
    rng = torch.Generator().manual_seed(0)
    draws = torch.randn(2, 500, 10, 4, generator=rng, dtype=torch.float64)
    same = np.array(
        [inverse_multiquadratic_mmd(*pair).item() for pair in zip(*draws, strict=True)]
    )
    error = same.std() / np.sqrt(len(same))
    assert abs(same.mean()) < 4 * error
    assert error < 0.02
    far = [
        inverse_multiquadratic_mmd(a + 1, b).item() for a, b in zip(*draws[:, :50], strict=True)
    ]
    assert np.mean(far) > 0.1


def test_the_divergence_of_moments_is_that_of_two_gaussians():
    codes = np.random.default_rng(0).normal(1, 2, (50, 3))
    mean, variance = codes.mean(0), codes.var(0)
    expected = 0.5 * (variance + mean**2 - 1 - np.log(variance)).sum()
    np.testing.assert_allclose(moment_kl(torch.from_numpy(codes)), expected)
    standard = (codes - mean) / codes.std(0)
    np.testing.assert_allclose(moment_kl(torch.from_numpy(standard)), 0, atol=1e-12)
    assert moment_kl(torch.ones(1, 3)) == 0
    assert torch.isfinite(moment_kl(torch.ones(4, 3)))


@pytest.mark.parametrize("layers", [(), (7,)])
@pytest.mark.parametrize("divergence", ["mmd", "adversarial"])
def test_the_objective_is_the_sum_of_its_terms(X, layers, divergence):
    module = module_of(layers, divergence=divergence, beta=2.0, kl_weight=0.7, l1=0.3)
    x, code, logits, draws, w = in_numpy(module, X)
    mean, variance = code.mean(0), code.var(0)
    expected = multinomial(x, logits) + 0.3 * np.abs(code).sum(axis=1)
    expected += 0.7 * 0.5 * (variance + mean**2 - 1 - np.log(variance)).sum()
    if divergence == "mmd":
        expected += 2.0 * mmd_by_loops(code, draws)
    else:

        def log_odds(z):
            for layer in (0, 2, 4):
                z = z @ w[f"discriminator.{layer}.weight"].T + w[f"discriminator.{layer}.bias"]
                z = np.maximum(z, 0) if layer < 4 else z[:, 0]
            return z

        expected += 2.0 * np.log1p(np.exp(-log_odds(code)))
        expected += np.log1p(np.exp(-log_odds(draws))) + np.log1p(np.exp(log_odds(code)))
    np.testing.assert_allclose(objective(module, X).detach(), expected, rtol=1e-4)


@pytest.mark.parametrize("layers", [(), (7,)])
def test_without_its_terms_it_is_mult_dae(X, layers):
    module = module_of(layers)
    dae = MultDAEModule(12, 3, layers, likelihood="multinomial", dropout=0.4)
    dae.load_state_dict(module.state_dict())
    for ours, theirs in zip(objective(module, X), objective(dae, X), strict=True):
        torch.testing.assert_close(ours, theirs)
    options = {**SMALL, "max_iter": 3, "batch_size": 20, "hidden_layer_sizes": layers}
    plain = AdversarialVAE(4, beta=0, kl_weight=0, l1=0, **options).fit(X)
    np.testing.assert_allclose(
        plain.predict(X), MultDAE(4, **options).fit(X).predict(X), rtol=1e-4
    )
    codes = np.tanh(plain.transform(X))
    np.testing.assert_allclose(
        codes, MultDAE(4, **options).fit(X).transform(X), rtol=1e-4, atol=1e-6
    )


def test_zeros_weigh_what_is_asked_for(X):
    module = module_of(likelihood="bernoulli", unobserved_weight=0.3)
    x, _, logits, _, _ = in_numpy(module, X)
    p = 1 / (1 + np.exp(-logits))
    expected = -(x * np.log(p) + 0.3 * (1 - x) * np.log(1 - p)).sum(axis=1)
    found = objective(module, X)
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-5)
    found.sum().backward()
    slopes = 0.3 * (1 - x) * p - x * (1 - p)
    np.testing.assert_allclose(module.output.bias.grad, slopes.sum(axis=0), rtol=1e-4)


def test_the_encoder_deceives_and_the_discriminator_is_not_deceived(X):
    module = module_of(divergence="adversarial", beta=2.0)
    objective(module, X).sum().backward()
    batch = RowStore(X, torch.device("cpu")).cut()
    generator = torch.Generator().manual_seed(1)
    other = module_of(divergence="adversarial", beta=2.0)
    code = other._code(batch.normalized().dropped_out(0.4, generator))
    draws = torch.randn(code.shape, generator=generator)
    softplus = torch.nn.functional.softplus
    to_tell = softplus(-other.discriminator(draws)) + softplus(other.discriminator(code.detach()))
    expected = torch.autograd.grad(to_tell.sum(), list(other.discriminator.parameters()))
    for weight, gradient in zip(module.discriminator.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient)
    plain = module_of()
    (objective(plain, X)).sum().backward()
    to_deceive = 2 * softplus(-other.discriminator(code)).sum()
    (gradient,) = torch.autograd.grad(to_deceive, [other.first.weight])
    torch.testing.assert_close(module.first.weight.grad, plain.first.weight.grad + gradient)


def test_codes_come_near_the_prior(X):
    batch = RowStore(X, torch.device("cpu")).cut()
    distances = []
    for beta in (0.0, 300.0):
        module = module_of(beta=beta, dropout=0.0)
        torch.nn.init.constant_(module.first.bias, 2.0)  # far from it
        optimizer = torch.optim.Adam(module.parameters(), lr=0.03)
        generator = torch.Generator().manual_seed(2)
        for _ in range(200):
            optimizer.zero_grad()
            module(batch, generator, Progress(0, 1)).mean().backward()
            optimizer.step()
        with torch.no_grad():
            codes = module.encode(batch)
        draws = torch.randn(20, *codes.shape, generator=generator)
        found = [inverse_multiquadratic_mmd(codes, sample).item() for sample in draws]
        distances.append(np.mean(found))
    assert distances[0] > 0.05
    assert distances[1] < 0.01


def test_the_penalty_shortens_codes(X):
    options = {**SMALL, "beta": 0, "kl_weight": 0, "max_iter": 20}
    lengths = [
        np.abs(AdversarialVAE(4, l1=l1, **options).fit(X).transform(X)).mean() for l1 in (0, 1)
    ]
    assert lengths[1] < 0.5 * lengths[0]


@pytest.mark.parametrize("name", ["beta", "kl_weight", "l1", "l2"])
def test_weights_that_float32_cannot_hold_are_refused_by_name(name, X):
    with pytest.raises(ValueError, match=f"'{name}' parameter of AdversarialVAE"):
        AdversarialVAE(4, **SMALL, **{name: 1e38}).fit(X)
    model = AdversarialVAE(4, **SMALL, **{name: 9e29, "max_iter": 2}).fit(X)
    assert np.isfinite(model.predict(X)).all()
