"""Mult-VAE and Mult-DAE against a dense implementation of their objectives."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from draws import check_means
from initial_weights import check_uniform
from scipy import sparse
from scipy.stats import truncnorm
from skorch.callbacks import Callback

from skrec import MultDAE, MultVAE
from skrec.autoencoders._mult_dae import MultDAEModule
from skrec.autoencoders._mult_vae import MultVAEModule
from skrec.neural._batches import RowStore
from skrec.neural._layers import init_glorot
from skrec.neural._trainer import Progress


def rows(n_users=40, n_items=12, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.random((n_users, n_items)) < 0.4
    X[:, 5] |= ~X.any(axis=1)
    return sparse.csr_array(X.astype(np.float32))


def module_of(**options):
    defaults = {"likelihood": "multinomial", "dropout": 0.0, "beta": 0.3, "n_annealing_updates": 0}
    module = MultVAEModule(12, 3, [7, 5], **{**defaults, **options})
    init_glorot(module, torch.Generator().manual_seed(0))
    return module


def test_the_objective_is_that_of_the_paper():
    module = module_of()
    X = rows()
    batch = RowStore(X, torch.device("cpu")).cut()
    ours = module(batch, torch.Generator().manual_seed(1), Progress(0, 1))

    x = torch.from_numpy(X.toarray())
    weights = {name: value.detach() for name, value in module.state_dict().items()}
    unit = x / x.norm(dim=1, keepdim=True)
    hidden = torch.tanh(unit @ weights["first.weight"] + weights["first.bias"])
    hidden = torch.tanh(hidden @ weights["encoder.1.weight"].t() + weights["encoder.1.bias"])
    code = hidden @ weights["encoder.3.weight"].t() + weights["encoder.3.bias"]
    mean, log_var = code[:, :3], code[:, 3:]
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(1))
    z = mean + noise * torch.exp(log_var / 2)
    hidden = torch.tanh(z @ weights["decoder.0.weight"].t() + weights["decoder.0.bias"])
    hidden = torch.tanh(hidden @ weights["decoder.2.weight"].t() + weights["decoder.2.bias"])
    logits = hidden @ weights["output.weight"].t() + weights["output.bias"]
    nll = -(x * torch.log_softmax(logits, dim=1)).sum(1)
    kl = (log_var.exp() + mean**2 - 1 - log_var).sum(1) / 2
    torch.testing.assert_close(ours, nll + 0.3 * kl)


# Of a standard normal cut at two deviations: 1 - 4 pdf(2) / (2 cdf(2) - 1).
TRUNCATED_VARIANCE = truncnorm(-2, 2).var()


@pytest.mark.parametrize("Module", [MultVAEModule, MultDAEModule])
def test_training_drops_entries_from_the_input_and_not_from_the_target(Module):
    is_vae = Module is MultVAEModule
    annealing = {"beta": 0.3, "n_annealing_updates": 0} if is_vae else {}
    module = Module(12, 3, [7], likelihood="multinomial", dropout=0.6, **annealing)
    init_glorot(module, torch.Generator().manual_seed(0))
    X = rows()
    batch = RowStore(X, torch.device("cpu")).cut()
    ours = module(batch, torch.Generator().manual_seed(1), Progress(0, 1))

    generator = torch.Generator().manual_seed(1)
    x = torch.from_numpy(X.toarray())
    dropped = x / x.norm(dim=1, keepdim=True)
    dropped[batch.rows, batch.items] *= (torch.rand(X.nnz, generator=generator) >= 0.6) / 0.4
    first = dropped @ module.first.weight + module.first.bias
    if is_vae:
        mean, log_var = module.encoder(first).chunk(2, dim=1)
        code = mean + torch.randn(mean.shape, generator=generator) * torch.exp(log_var / 2)
        kl = (log_var.exp() + mean**2 - 1 - log_var).sum(1) / 2
    else:
        code, kl = module.encoder(torch.tanh(first)), 0
    logits = module.output(module.decoder(code))
    nll = -(x * torch.log_softmax(logits, dim=1)).sum(1)
    torch.testing.assert_close(ours, nll + 0.3 * kl)


def test_beta_rises_by_a_slope_to_its_limit():
    module = module_of(beta=0.2, n_annealing_updates=1000)
    betas = [module.beta_at(Progress(n_updates, 1)) for n_updates in (0, 100, 200, 5000)]
    assert betas == [0, 0.1, 0.2, 0.2]
    assert module_of(beta=0.2).beta_at(Progress(0, 1)) == 0.2


def test_annealing_starts_anew_with_every_fit_and_goes_on_with_a_warm_start():
    seen = []

    class Spy(MultVAEModule):
        def beta_at(self, progress):
            seen.append(progress.n_updates)
            return super().beta_at(progress)

    class Spied(MultVAE):
        _module_class = Spy

    model = Spied(
        4, hidden_layer_sizes=(8,), batch_size=20, max_iter=2, early_stopping=False, random_state=0
    )
    model.fit(rows()).fit(rows())
    assert seen == [0, 1, 2, 3] * 2
    model.set_params(warm_start=True).fit(rows())
    assert seen[8:] == [4, 5, 6, 7]


def test_gaussian_models_predict_ratings_within_their_range():
    rng = np.random.default_rng(0)
    quality = rng.normal(3.5, 0.8, 12)
    X = sparse.csr_array(
        np.clip((quality + rng.normal(0, 0.5, (200, 12))).round(), 1, 5)
        * (rng.random((200, 12)) < 0.5)
    )
    for model in (MultVAE(4, hidden_layer_sizes=(8,)), MultDAE(4)):
        model.set_params(likelihood="gaussian", learning_rate=0.01, random_state=0).fit(X)
        ratings = model.predict(X)
        assert ratings.min() >= 1
        assert ratings.max() <= 5
        assert model.rating_range_ == (1, 5)
        # As good as the true quality of each item, rounded, up to five standard errors.
        errors = (X.data - np.clip(quality.round(), 1, 5)[X.indices]) ** 2
        largest = errors.mean() + 5 * errors.std() / np.sqrt(X.nnz)
        assert np.mean((ratings[X.nonzero()] - X.data) ** 2) < largest
        assert -model.score(X) < X.data.std()
        assert all(score < 0 for score in model.validation_scores_)


@pytest.mark.parametrize("Model", [MultVAE, MultDAE])
def test_ratings_keep_to_the_declared_scale(Model):
    X = sparse.csr_array(np.tile([[1.0, 5, 0], [4, 0, 2]], (30, 1)))
    model = Model(4, hidden_layer_sizes=(8,), max_iter=2, random_state=0, rating_scale=(1, 4))
    with pytest.raises(ValueError, match=r"within rating_scale=\(1, 4\), got 5"):
        model.set_params(likelihood="gaussian").fit(X)
    model.set_params(rating_scale=(0, 9)).fit(X)
    assert model.rating_range_ == (0, 9)
    with pytest.raises(ValueError, match=r"within rating_scale=\(0, 9\), got 11"):
        model.predict(np.full((1, 3), 11.0))
    with pytest.raises(ValueError, match="rating_scale must be two finite numbers"):
        model.set_params(rating_scale=(5, 1)).fit(X)
    # Counts have no scale.
    expected = Model(4, hidden_layer_sizes=(8,), max_iter=2, random_state=0).fit(X).predict(X)
    model.set_params(likelihood="multinomial")
    np.testing.assert_array_equal(model.fit(X).predict(X), expected)


@pytest.mark.parametrize("Model", [MultVAE, MultDAE])
@pytest.mark.parametrize("likelihood", ["multinomial", "gaussian"])
def test_models_start_glorot_uniform(Model, likelihood):
    """As `fit` draws the weights: a step of Adam that is too small to be seen."""
    X = sparse.random_array((60, 800), density=0.1, rng=np.random.default_rng(0))
    options = {"max_iter": 1, "early_stopping": False, "learning_rate": 1e-12, "random_state": 0}
    model = Model(50, hidden_layer_sizes=(100,), likelihood=likelihood, **options).fit(X)
    n_bounded = 0
    for name, weight in model._weights.items():
        if name.endswith("weight"):
            check_uniform(weight, np.sqrt(6 / sum(weight.shape)))
            n_bounded += 1
        elif name != "output.bias":
            assert np.abs(weight).max() <= 0.002
            check_means(weight.ravel() ** 2, TRUNCATED_VARIANCE * 1e-6)
    assert n_bounded == 4
    if likelihood == "gaussian":
        mean = X.data.mean() / model.rating_unit_
        np.testing.assert_allclose(model._weights["output.bias"], mean, rtol=1e-5)


def test_the_penalty_of_mult_dae_is_the_gradient_of_its_square():
    """With one step of plain gradient descent, the weights' difference is the gradient's."""
    steps = []

    class OneStep(Callback):
        def on_train_begin(self, net, **kwargs):
            groups = net.optimizer_.param_groups
            net.optimizer_ = torch.optim.SGD(
                [{key: group[key] for key in ("params", "weight_decay")} for group in groups],
                lr=1.0,
            )
            self.start_ = deepcopy(net.module.state_dict())

        def on_batch_end(self, net, **kwargs):
            steps.append((self.start_, deepcopy(net.module.state_dict())))

    for l2 in (0.0, 0.05):
        MultDAE(
            4, l2=l2, max_iter=1, callbacks=[OneStep()], early_stopping=False, random_state=0
        ).fit(rows())
    (start, free), (_, penalized) = steps
    for name in start:
        expected = -0.1 * start[name] if name.endswith("weight") else torch.zeros_like(start[name])
        torch.testing.assert_close(penalized[name] - free[name], expected, rtol=1e-3, atol=1e-5)
