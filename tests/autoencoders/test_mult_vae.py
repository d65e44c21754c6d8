"""Mult-VAE and Mult-DAE against a dense implementation of their objectives."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy import sparse
from skorch.callbacks import Callback

from skrec import MultDAE, MultVAE
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


def test_weights_start_glorot_uniform():
    module = MultVAEModule(
        900, 50, [300], likelihood="multinomial", dropout=0.5, beta=0.2, n_annealing_updates=1
    )
    init_glorot(module, torch.Generator().manual_seed(0))
    bound = np.sqrt(6 / (900 + 300))
    weight = module.first.weight.detach().numpy()
    assert np.abs(weight).max() == pytest.approx(bound, rel=1e-3)
    assert weight.std() == pytest.approx(bound / np.sqrt(3), rel=0.01)
    assert module.output.bias.abs().max() <= 0.002


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
        observed = X.nonzero()
        deviation = X.data.std()
        assert np.sqrt(np.mean((ratings[observed] - X.data) ** 2)) < 0.8 * deviation
        assert model.score(X) > -deviation
        assert model.score(X) == pytest.approx(-0.55, abs=0.15)
        assert all(score < 0 for score in model.validation_scores_)


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
