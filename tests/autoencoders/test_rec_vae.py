"""RecVAE: its encoder, its prior, and its alternating schedule."""

import numpy as np
import pytest
import torch
from initial_weights import check_uniform
from scipy import sparse
from scipy.special import logsumexp
from scipy.stats import norm
from skorch.callbacks import Callback

from skrec import RecVAE
from skrec.autoencoders._rec_vae import RecVAEModule
from skrec.neural._batches import RowStore
from skrec.neural._layers import init_uniform
from skrec.neural._likelihoods import output_nll
from skrec.neural._trainer import Progress

OPTIONS = {
    "dropout": 0.0,
    "gamma": 0.05,
    "beta": None,
    "prior_weights": [0.15, 0.75, 0.1],
    "layer_norm_eps": 0.1,
}


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    X = rng.random((10, 12)) < 0.4
    X[:, 5] |= ~X.any(axis=1)
    return sparse.csr_array(X.astype(np.float32))


def module_of(**options):
    module = RecVAEModule(12, 3, [6, 6, 6], **{**OPTIONS, **options})
    init_uniform(module, torch.Generator().manual_seed(0))
    return module


def layer_norm(x, eps):
    return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + eps)


def posterior_in_numpy(module, x, eps=0.1):
    w = {name: value.double().numpy() for name, value in module.state_dict().items()}

    def swish(t):
        return t / (1 + np.exp(-t))

    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    h1 = layer_norm(swish(x @ w["encoder.first.weight"] + w["encoder.first.bias"]), eps)
    a2 = h1 @ w["encoder.others.0.weight"].T + w["encoder.others.0.bias"]
    h2 = layer_norm(swish(a2 + h1), eps)
    a3 = h2 @ w["encoder.others.1.weight"].T + w["encoder.others.1.bias"]
    h3 = layer_norm(swish(a3 + h1 + h2), eps)
    heads = h3 @ w["encoder.posterior.weight"].T + w["encoder.posterior.bias"]
    return heads[:, :3], heads[:, 3:]


def test_the_encoder_sums_all_layers_before_each_one(X):
    module = module_of()
    batch = RowStore(X, torch.device("cpu")).cut()
    ours = [part.detach().numpy() for part in module.posterior(batch)]
    expected = posterior_in_numpy(module, X.toarray().astype(float))
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("beta", [None, 0.2])
def test_the_objective_of_the_encoder_is_that_of_the_paper(X, beta):
    module = module_of(beta=beta)
    store = RowStore(X, torch.device("cpu"))
    module.remember([store.cut()])
    old_mean, old_log_var = (part.numpy().astype(float) for part in module.old_posterior)
    init_uniform(module, torch.Generator().manual_seed(1))  # the encoder has moved on
    users = np.array([3, 8, 1])
    ours = module(store.cut(users), torch.Generator().manual_seed(2), Progress(0, 1))

    x = X[users].toarray().astype(float)
    mean, log_var = posterior_in_numpy(module, x)
    noise = torch.randn(3, 3, generator=torch.Generator().manual_seed(2)).numpy()
    z = mean + noise * np.exp(log_var / 2)
    logits = z @ module.output.weight.detach().numpy().T + module.output.bias.detach().numpy()
    nll = -(x * (logits - logsumexp(logits, axis=1, keepdims=True))).sum(1)
    prior = (
        0.15 * norm.pdf(z)
        + 0.75 * norm.pdf(z, old_mean[users], np.exp(old_log_var[users] / 2))
        + 0.1 * norm.pdf(z, 0, np.exp(5))
    )
    kl = (norm.logpdf(z, mean, np.exp(log_var / 2)) - np.log(prior)).sum(1)
    weight = 0.05 * x.sum(1) if beta is None else beta
    np.testing.assert_allclose(ours.detach(), nll + weight * kl, rtol=1e-4)


def test_each_phase_leaves_the_other_half_alone(X):
    snapshots = []

    class Watch(Callback):
        def on_batch_end(self, net, **kwargs):
            weights = {name: value.clone() for name, value in net.module.state_dict().items()}
            snapshots.append((net.module.trains_encoder, weights))

    RecVAE(
        3,
        hidden_layer_sizes=(6, 6),
        batch_size=5,
        max_iter=2,
        n_encoder_passes=3,
        n_decoder_passes=2,
        early_stopping=False,
        callbacks=[Watch()],
        random_state=0,
    ).fit(X)
    assert [phase for phase, _ in snapshots] == ([True] * 6 + [False] * 4) * 2
    for (_, before), (trains_encoder, after) in zip(snapshots, snapshots[1:], strict=False):
        for name in after:
            moved = not torch.equal(before[name], after[name])
            assert moved == (name.startswith("encoder") == trains_encoder), name


def test_each_half_has_an_optimizer_state_of_its_own(X):
    model = RecVAE(3, hidden_layer_sizes=(6,), batch_size=5, early_stopping=False, random_state=0)
    moments = model.partial_fit(X)._optimizer_state
    steps = {name: int(moments[i]["step"]) for i, name in enumerate(model._weights)}
    assert {name: n for name, n in steps.items() if name.startswith("encoder")} == {
        name: 3 * 2 for name in steps if name.startswith("encoder")
    }
    assert steps["output.weight"] == steps["output.bias"] == 2


def test_the_prior_remembers_the_encoder_of_the_epoch_before(X):
    checked = []

    class Watch(Callback):
        def on_batch_begin(self, net, batch=None, **kwargs):
            module = net.module
            if not module.trains_encoder:  # just refreshed
                module.eval()
                with torch.no_grad():
                    mean, log_var = module.posterior(batch[0])
                for ours, now in zip(module.old_posterior, (mean, log_var), strict=True):
                    torch.testing.assert_close(ours[batch[0].users], now)
                checked.append(True)

    RecVAE(3, hidden_layer_sizes=(6,), max_iter=2, callbacks=[Watch()], random_state=0).fit(X)
    assert len(checked) == 2


def test_the_decoder_is_trained_on_codes_of_whole_rows(X):
    module = module_of(dropout=0.9)
    batch = RowStore(X, torch.device("cpu")).cut()
    module.remember([batch])
    module.train_encoder(False)
    code = module.draw(batch, torch.Generator().manual_seed(0)).detach()
    expected = output_nll(code, module.output, "multinomial", batch)
    ours = module(batch, torch.Generator().manual_seed(0), Progress(0, 1))
    torch.testing.assert_close(ours, expected)


def test_weights_start_uniform_by_the_number_of_inputs():
    """As `fit` draws them: a step of Adam that is too small to be seen."""
    X = sparse.random_array((60, 400), density=0.1, rng=np.random.default_rng(0))
    X.data[:] = 1
    model = RecVAE(50, hidden_layer_sizes=(100, 100), max_iter=1, random_state=0)
    weights = dict(model.set_params(early_stopping=False, learning_rate=1e-12).fit(X)._weights)
    for number in range(2):
        assert (weights.pop(f"encoder.norms.{number}.weight") == 1).all()
        assert np.abs(weights.pop(f"encoder.norms.{number}.bias")).max() < 1e-10
    n_inputs = {
        "encoder.first": 400,
        "encoder.others.0": 100,
        "encoder.posterior": 100,
        "output": 50,
    }
    assert len(weights) == 2 * len(n_inputs)
    for name, n in n_inputs.items():
        check_uniform(weights[f"{name}.weight"], 1 / np.sqrt(n))
        check_uniform(weights[f"{name}.bias"], 1 / np.sqrt(n))


def test_training_of_the_encoder_drops_entries(X):
    module = module_of(dropout=0.6)
    batch = RowStore(X, torch.device("cpu")).cut()
    module.remember([batch])
    ours = module(batch, torch.Generator().manual_seed(2), Progress(0, 1))
    generator = torch.Generator().manual_seed(2)
    dropped = X.toarray().astype(float)
    dropped /= np.linalg.norm(dropped, axis=1, keepdims=True)
    kept = torch.rand(X.nnz, generator=generator).numpy() >= 0.6
    dropped[batch.rows, batch.items] *= kept / 0.4
    mean, log_var = (
        part.detach()
        for part in module._posterior(
            RowStore(sparse.csr_array(dropped.astype(np.float32)), torch.device("cpu")).cut()
        )
    )
    z = mean + torch.randn(mean.shape, generator=generator) * torch.exp(log_var / 2)
    log_q = torch.distributions.Normal(mean, torch.exp(log_var / 2)).log_prob(z).sum(1)
    kl = log_q - module.log_prior(z, *module.old_posterior)
    nll = output_nll(z, module.output, "multinomial", batch)
    torch.testing.assert_close(ours, nll + 0.05 * batch.totals * kl, rtol=1e-4, atol=1e-4)
