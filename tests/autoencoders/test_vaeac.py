"""VAEAC: its bound written out, and the bounds that it contains."""

import numpy as np
import pytest
import torch
from draws import check_means, check_variances
from initial_weights import check_uniform
from scipy import sparse
from scipy.special import log_softmax

from skrec import VAEAC
from skrec.autoencoders._mult_vae import MultVAEModule
from skrec.autoencoders._vaeac import MEAN_WIDTH, SCALE_RATE, VAEACModule
from skrec.neural._batches import RowStore
from skrec.neural._layers import init_glorot
from skrec.neural._trainer import Progress

OPTIONS = {"dropout": 0.5, "beta": 0.3, "n_annealing_updates": 0}


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    X = rng.random((40, 12)) < 0.4
    X[:, 5] |= ~X.any(axis=1)
    return sparse.csr_array(X.astype(np.float32))


def module_of(sizes=(7,), **options):
    module = VAEACModule(12, 3, sizes, **{**OPTIONS, **options})
    init_glorot(module, torch.Generator().manual_seed(0))
    return module


def batch_of(X):
    return RowStore(sparse.csr_array(X), torch.device("cpu")).cut()


def objective(module, X, seed=1):
    return module(batch_of(X), torch.Generator().manual_seed(seed), Progress(0, 1))


def hidden_and_noise(X, dropout, seed=1):
    """Which entries a module hides, dense, and its noise."""
    generator = torch.Generator().manual_seed(seed)
    is_hidden = (torch.rand(X.nnz, generator=generator) < dropout).numpy()
    hidden = X.copy()
    hidden.data[~is_hidden] = 0
    return hidden.toarray(), torch.randn((X.shape[0], 3), generator=generator).numpy()


def test_the_objective_is_the_bound_of_the_hidden_entries(X):
    module = module_of()
    ours = objective(module, X).detach()
    w = {name: value.double().numpy() for name, value in module.state_dict().items()}

    def encode(row, first, last):
        unit = row / max(np.linalg.norm(row), 1e-9)
        hidden = np.tanh(unit @ w[f"{first}weight"] + w[f"{first}bias"])
        outputs = hidden @ w[f"{last}weight"].T + w[f"{last}bias"]
        return outputs[:3], np.log1p(np.exp(outputs[3:]))

    hidden, noise = hidden_and_noise(X, 0.5)
    rows = X.toarray()
    for user, row in enumerate(rows):
        visible = row - hidden[user]
        prior_mean, prior_scale = encode(visible, "first.", "encoder.1.")
        mean, scale = encode(row, "proposal.0.", "proposal.1.1.")
        z = mean + noise[user] * scale
        code = np.tanh(z @ w["decoder.0.weight"].T + w["decoder.0.bias"])
        logits = code @ w["output.weight"].T + w["output.bias"]
        candidates = np.flatnonzero(visible == 0)
        expected = -hidden[user][candidates] @ log_softmax(logits[candidates])
        for d in range(3):
            variance = prior_scale[d] ** 2
            kl = np.log(prior_scale[d] / scale[d]) - 0.5
            kl += (scale[d] ** 2 + (mean[d] - prior_mean[d]) ** 2) / (2 * variance)
            expected += 0.3 * kl + prior_mean[d] ** 2 / (2 * MEAN_WIDTH**2)
            expected += SCALE_RATE * (prior_scale[d] - np.log(prior_scale[d]))
        np.testing.assert_allclose(ours[user], expected, rtol=1e-4)


def test_with_everything_hidden_and_a_standard_normal_prior_it_is_mult_vae(X):
    module = module_of(dropout=1.0)
    with torch.no_grad():
        last = module.encoder[-1]
        last.weight.zero_()
        last.bias[:3] = 0
        last.bias[3:] = np.log(np.expm1(1.0))  # softplus is 1
    generator = torch.Generator().manual_seed(1)
    torch.rand(X.nnz, generator=generator)
    vae = MultVAEModule(12, 3, [7], likelihood="multinomial", **{**OPTIONS, "dropout": 0.0})
    init_glorot(vae, torch.Generator().manual_seed(0))
    first, encoder = module.proposal
    vae.first, vae.decoder, vae.output = first, module.decoder, module.output
    mean, scale = encoder(first(batch_of(X).normalized())).chunk(2, dim=1)
    log_var = 2 * torch.nn.functional.softplus(scale).log()
    del vae.encoder
    vae.encoder = lambda _: torch.cat([mean, log_var], dim=1)
    expected = vae(batch_of(X), generator, Progress(0, 1)) + 3 * SCALE_RATE
    torch.testing.assert_close(objective(module, X), expected)


def test_with_nothing_hidden_and_equal_networks_there_is_nothing_to_lose(X):
    module = module_of(dropout=0.0)
    first, encoder = module.proposal
    first.load_state_dict(module.first.state_dict())
    encoder.load_state_dict(module.encoder.state_dict())
    torch.testing.assert_close(objective(module, X), torch.zeros(40), rtol=0, atol=0.01)


def test_of_one_entry_all_or_nothing_is_hidden():
    module, X = module_of(beta=0.0), np.eye(12, dtype=np.float32)[:1]
    of_nobody = module_of(dropout=1.0, beta=0.0)
    seen = set()
    for seed in range(20):
        loss = objective(module, X, seed).item()
        if loss > 0.1:
            generator = torch.Generator().manual_seed(seed)
            torch.testing.assert_close(
                loss, of_nobody(batch_of(X), generator, Progress(0, 1)).item()
            )
        seen.add(loss > 0.1)
    assert seen == {False, True}


def test_scores_are_of_the_prior_given_the_row(X):
    model = VAEAC(3, max_iter=2, early_stopping=False, random_state=0).fit(X)
    w = model._weights
    rows = X.toarray() / np.linalg.norm(X.toarray(), axis=1, keepdims=True)
    mean = (rows @ w["first.weight"] + w["first.bias"])[:, :3]
    np.testing.assert_allclose(model.transform(X), mean, atol=1e-5)
    expected = mean @ w["output.weight"].T + w["output.bias"]
    np.testing.assert_allclose(model.predict(X), expected, atol=1e-5)


def test_samples_come_from_the_prior(X):
    model = VAEAC(3, max_iter=2, early_stopping=False, random_state=0).fit(X)
    module = model._scoring_module()
    row = X[[0]]
    many = batch_of(sparse.vstack([row] * 3000, format="csr"))
    mean, log_var = (part[0] for part in module.posterior(many))
    draws = module.draw(many, torch.Generator().manual_seed(0))
    check_means(draws, mean)
    check_variances(draws, log_var.exp())
    assert model.sample(X, 2, random_state=0).shape == (2, *X.shape)


def test_weights_start_glorot_uniform(X):
    wide = sparse.random_array((60, 800), density=0.1, rng=np.random.default_rng(0))
    options = {"max_iter": 1, "early_stopping": False, "learning_rate": 1e-12, "random_state": 0}
    model = VAEAC(50, hidden_layer_sizes=(100,), **options).fit(wide)
    weights = [value for name, value in model._weights.items() if name.endswith("weight")]
    assert len(weights) == 6
    for weight in weights:
        check_uniform(weight, np.sqrt(6 / sum(weight.shape)))
