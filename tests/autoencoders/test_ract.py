"""RaCT: what its critic is told and asked, what the actor learns of it, and its three phases."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
import torch
from initial_weights import check_uniform
from scipy import sparse
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback
from torch import nn

from skrec import MultVAE, RaCT
from skrec.autoencoders._mult_vae import MultVAEModule
from skrec.autoencoders._ract_module import Critic, RaCTModule, ndcg_of_dropped
from skrec.metrics import ndcg
from skrec.neural._batches import RowStore
from skrec.neural._layers import init_glorot
from skrec.neural._trainer import Progress
from skrec.utils._blocks import top_k

NETWORK = {"dropout": 0.5, "beta": 0.3, "n_annealing_updates": 0}
SMALL = {
    "n_components": 4,
    "hidden_layer_sizes": (8,),
    "learning_rate": 0.01,
    "batch_size": 15,
    "n_actor_epochs": 4,
    "n_critic_epochs": 2,
    "max_iter": 9,
    "early_stopping": False,
    "random_state": 0,
}


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    X = rng.random((40, 12)) < 0.4
    X[:, 5] |= ~X.any(axis=1)
    return sparse.csr_array(X.astype(np.float32))


def module_of(phase="joint", **options):
    module = RaCTModule(12, 3, [7], **{**NETWORK, **options})
    init_glorot(module, torch.Generator().manual_seed(0))
    module.critic.mean.copy_(torch.tensor([2.0, 2.0, 9.0]))
    module.critic.scale.copy_(torch.tensor([1.0, 1.0, 4.0]))
    module.phase = phase
    return module


def batch_of(X):
    return RowStore(X, torch.device("cpu")).cut()


def noise():
    return torch.Generator().manual_seed(1)


def test_targets_are_the_metric_of_lists_without_what_was_kept(X):
    rng = np.random.default_rng(1)
    wide = sparse.csr_array((rng.random((30, 150)) < 0.3).astype(np.float32))
    for rows, k in ((wide, 100), (wide, 7), (X, 100)):
        scores = rng.normal(size=rows.shape).astype(np.float32)
        is_kept = rng.random(rows.nnz) < 0.5
        is_kept[: rows.indptr[1]] = True  # nothing of the first row is dropped
        ours = torch.from_numpy(scores.copy())
        batch, kept = batch_of(rows), torch.from_numpy(is_kept)
        found = ndcg_of_dropped(ours, batch.select(kept), batch.select(~kept), k)
        np.testing.assert_array_equal(ours, scores)

        users = rows.nonzero()[0]
        held_out = sparse.csr_array(
            (rows.data[~is_kept], (users[~is_kept], rows.indices[~is_kept])), shape=rows.shape
        )
        candidates = scores.copy()
        candidates[users[is_kept], rows.indices[is_kept]] = -np.inf
        expected = ndcg(top_k(candidates, k)[0], held_out, per_user=True)
        np.testing.assert_allclose(found, np.nan_to_num(expected), rtol=1e-5)


def test_the_critic_is_told_two_counts_and_the_likelihood_of_the_whole_row(X):
    module = module_of()
    features, targets = module.judge(batch_of(X), noise())
    x = torch.from_numpy(X.toarray())
    generator = noise()
    is_kept = torch.zeros_like(x, dtype=torch.bool)
    rows, items = X.nonzero()
    is_kept[rows, items] = torch.rand(X.nnz, generator=generator) >= 0.5
    unit = x / x.norm(dim=1, keepdim=True) * is_kept * 2
    mean, log_var = module.encoder(module.first(unit)).chunk(2, dim=1)
    z = mean + torch.randn(mean.shape, generator=generator) * torch.exp(log_var / 2)
    logits = module.output(module.decoder(z))
    nll = -(x * torch.log_softmax(logits, dim=1)).sum(1)
    counts = [is_kept.sum(1), x.sum(1) - is_kept.sum(1)]
    torch.testing.assert_close(features, torch.stack([*counts, nll], dim=1))

    logits = logits.detach().masked_fill(is_kept, -torch.inf).numpy()
    held_out = sparse.csr_array((x * ~is_kept).numpy())
    expected = ndcg(top_k(logits, 12)[0], held_out, per_user=True)
    np.testing.assert_allclose(targets, np.nan_to_num(expected), rtol=1e-5)


def test_objectives_of_the_critic_and_of_both(X):
    features, targets = module_of().judge(batch_of(X), noise())
    weights = {k: v.double().numpy() for k, v in module_of().critic.state_dict().items()}
    hidden = (features.detach().numpy() - [2, 2, 9]) / [1, 1, 4]
    for layer in (0, 2, 4):
        weight, bias = (weights[f"layers.{layer}.{part}"] for part in ("weight", "bias"))
        hidden = np.maximum(hidden @ weight.T + bias, 0)
    expected = hidden @ weights["layers.6.weight"].T + weights["layers.6.bias"]
    expected = 1 / (1 + np.exp(-expected[:, 0]))
    errors = (expected - targets.numpy()) ** 2
    can_be_ranked = features[:, 1].detach().numpy() > 0
    assert not can_be_ranked.all()  # such rows teach nothing
    for phase, objective in (("critic", errors), ("joint", errors - expected)):
        found = module_of(phase)(batch_of(X), noise(), Progress(0, 1)).detach()
        np.testing.assert_allclose(found, objective * can_be_ranked, rtol=1e-4, atol=1e-6)


def test_the_actor_learns_of_the_likelihood_alone_and_the_critic_of_its_error_alone(X):
    module = module_of()
    module(batch_of(X), noise(), Progress(0, 1)).sum().backward()

    # The critic's gradient is that of its error where it learns alone.
    alone = module_of("critic")
    alone(batch_of(X), noise(), Progress(0, 1)).sum().backward()
    for name, weight in alone.named_parameters():
        if not name.startswith("critic"):
            assert weight.grad is None, name
            continue
        torch.testing.assert_close(weight.grad, dict(module.named_parameters())[name].grad)

    # The actor's is that of the likelihood, by the slopes of the critic in finite differences.
    actor = module_of()
    features, _ = actor.judge(batch_of(X), noise())
    critic, step = deepcopy(actor.critic).double(), torch.tensor([0.0, 0.0, 1e-6])
    with torch.no_grad():
        slopes = (critic(features + step.double()) - critic(features - step.double())) / 2e-6
        slopes *= features[:, 1] > 0
    (-slopes * features[:, 2]).sum().backward()
    for name, weight in actor.named_parameters():
        if not name.startswith("critic"):
            found = dict(module.named_parameters())[name].grad
            torch.testing.assert_close(found, weight.grad, rtol=1e-3, atol=1e-5)


def test_a_critic_that_is_the_likelihood_trains_mult_vae_without_a_prior(X):
    class Likelihood(nn.Module):
        def forward(self, features):
            return -features[:, 2]

    batch = batch_of(sparse.csr_array(np.ones((20, 12), np.float32)))  # something is dropped
    ract = module_of()
    ract.critic = Likelihood()
    vae = MultVAEModule(12, 3, [7], likelihood="multinomial", **{**NETWORK, "beta": 0.0})
    init_glorot(vae, torch.Generator().manual_seed(0))
    for module in (ract, vae):
        optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
        generator = noise()
        for _ in range(5):
            optimizer.zero_grad()
            module(batch, generator, Progress(0, 1)).mean().backward()
            optimizer.step()
    for name, weight in vae.named_parameters():
        torch.testing.assert_close(dict(ract.named_parameters())[name], weight)


def test_statistics_of_the_features_are_those_of_all_rows(X):
    store = RowStore(X, torch.device("cpu"))
    module = module_of()
    module.learn_features(store.batches(15), noise())
    generator = noise()
    features = [module.judge(batch, generator)[0].detach() for batch in store.batches(15)]
    features = np.concatenate(features)
    np.testing.assert_allclose(module.critic.mean, features.mean(0), rtol=1e-5)
    np.testing.assert_allclose(module.critic.scale, features.std(0), rtol=1e-5)
    same = sparse.csr_array(np.tile(X[[0]].toarray(), (3, 1)))
    module.dropout = 1e-9
    module.learn_features([batch_of(same)], noise())
    np.testing.assert_array_equal(module.critic.scale[:2], 1)  # of constants


class Watch(Callback):
    def on_train_begin(self, net, **kwargs):
        self.seen_ = []

    def on_epoch_end(self, net, **kwargs):
        weights = {k: v.detach().clone() for k, v in net.module.state_dict().items()}
        rates = [group["lr"] for group in net.optimizer_.param_groups]
        self.seen_.append((net.module.phase, weights, rates))
        moments = net.optimizer_.state[net.module.output.weight]
        self.n_steps_ = [*getattr(self, "n_steps_", []), int(moments["step"])]


def test_three_phases_one_after_the_other(X):
    watch = Watch()
    model = RaCT(**SMALL, callbacks=[watch], actor_learning_rate=1e-3, critic_learning_rate=1e-4)
    model.fit(X)
    assert [phase for phase, *_ in watch.seen_] == ["actor"] * 4 + ["critic"] * 2 + ["joint"] * 3
    assert watch.n_steps_ == [
        3,
        6,
        9,
        12,
        12,
        12,
        3,
        6,
        9,
    ]  # moments of one gradient are not the other's
    assert [rates for *_, rates in watch.seen_[2::3]] == [[0.01, 1e-4]] * 2 + [[1e-3, 1e-4]]
    moving = {"actor": {"actor"}, "critic": {"critic"}, "joint": {"actor", "critic"}}
    for (_, before, _), (phase, after, _) in zip(watch.seen_, watch.seen_[1:], strict=False):
        for name in after:
            part = "critic" if name.startswith("critic") else "actor"
            moved = not torch.equal(before[name], after[name])
            if not name.endswith(("mean", "scale")):
                assert moved == (part in moving[phase]), (phase, name)
    for name in ("critic.mean", "critic.scale"):
        assert not torch.equal(watch.seen_[3][1][name], watch.seen_[4][1][name])
        assert all(
            torch.equal(seen[name], watch.seen_[4][1][name]) for _, seen, _ in watch.seen_[4:]
        )
    assert model.n_iter_ == len(model.loss_curve_) == 9
    assert len(model.critic_loss_curve_) == 5
    # The first phase is Mult-VAE's training.
    options = {k: v for k, v in SMALL.items() if not k.startswith("n_") or k == "n_components"}
    vae = MultVAE(**{**options, "max_iter": 4}, beta=0.1, n_annealing_updates=1000).fit(X)
    assert model.loss_curve_[:4] == vae.loss_curve_


def test_later_phases_start_from_the_best_weights_and_the_best_of_all_are_kept(X):
    class Scores(RaCT):
        scores = (0.1, 0.5, 0.3, 0.2, *[0.4] * 4)  # one more than are asked for

        def _validation_score(self, module, data, held_out):
            self.asked_ = [*getattr(self, "asked_", []), module.phase]
            return self.scores[len(self.asked_) - 1]

    watch = Watch()
    options = {**SMALL, "early_stopping": True, "n_iter_no_change": 2, "max_iter": 20}
    model = Scores(**options, callbacks=[watch]).fit(X)
    assert [phase for phase, *_ in watch.seen_] == ["actor"] * 4 + ["critic"] * 2 + ["joint"] * 2
    assert model.asked_ == ["actor"] * 4 + ["joint"] * 2
    assert model.validation_scores_ == [0.1, 0.5, 0.3, 0.2, 0.5, 0.5, 0.4, 0.4]
    assert model.best_iteration_ == 2
    for name, weight in watch.seen_[1][1].items():
        if name.startswith("critic"):  # as it was when the actor was this one
            np.testing.assert_array_equal(model._weights[name], watch.seen_[5][1][name])
        else:
            np.testing.assert_array_equal(model._weights[name], weight)
            assert torch.equal(watch.seen_[4][1][name], weight)


def test_training_goes_on_with_the_critic_there_is(X):
    watch = Watch()
    model = RaCT(**SMALL, callbacks=[watch]).partial_fit(X)
    assert [phase for phase, *_ in watch.seen_] == ["actor"]
    with pytest.raises(AttributeError, match="no critic yet"):
        model.critic_  # noqa: B018
    model.set_params(warm_start=True).fit(X)
    assert [phase for phase, *_ in watch.seen_] == ["actor"] * 4 + ["critic"] * 2 + ["joint"] * 3
    for number, learn in enumerate((model.partial_fit, model.set_params(max_iter=2).fit), 1):
        learn(X)
        assert [phase for phase, *_ in watch.seen_] == ["joint"] * number
    assert len(model.loss_curve_) == model.n_iter_ == 13
    assert len(model.critic_loss_curve_) == 8


def test_actor_and_critic_can_be_seen(X):
    with pytest.raises(NotFittedError):
        RaCT().actor_  # noqa: B018
    model = pickle.loads(pickle.dumps(RaCT(**SMALL).fit(X)))
    assert all(isinstance(array, np.ndarray) for array in model._weights.values())
    actor, critic = model.actor_, model.critic_
    assert type(actor) is MultVAEModule
    assert type(critic) is Critic
    batch = batch_of(X)
    scores = actor.output(actor.hidden(actor.encode(batch))).detach()
    np.testing.assert_allclose(scores, model.predict(X), rtol=1e-5)
    expected = critic(torch.tensor([[2.0, 2.0, 9.0]]))
    assert 0 < expected.item() < 1
    nn.init.zeros_(actor.output.weight)
    nn.init.zeros_(critic.layers[0].weight)
    np.testing.assert_allclose(scores, model.predict(X), rtol=1e-5)  # copies


def test_the_critic_starts_glorot_uniform():
    module = RaCTModule(12, 3, [7], **NETWORK)
    init_glorot(module, torch.Generator().manual_seed(3))
    assert [layer.out_features for layer in module.critic.layers[::2]] == [100, 100, 10, 1]
    for layer in module.critic.layers[::2]:
        check_uniform(layer.weight.detach(), np.sqrt(6 / sum(layer.weight.shape)))
        assert layer.bias.abs().max() <= 0.002


@pytest.mark.parametrize(
    ("parameter", "epoch"),
    [("learning_rate", 1), ("critic_learning_rate", 5), ("actor_learning_rate", 7)],
)
def test_a_diverging_phase_names_its_step_size(X, parameter, epoch):
    model = RaCT(**{**SMALL, parameter: 1e30})
    with pytest.raises(
        ValueError, match=rf"epoch {epoch},.* smaller .*\b{parameter} \(it is 1e\+30"
    ):
        model.fit(X)


def test_the_critic_learns_to_foresee_and_the_actor_gains():
    rng = np.random.default_rng(0)
    taste = np.repeat(np.eye(4), 15, axis=1)[rng.integers(0, 4, 100)]
    X = sparse.csr_array((rng.random(taste.shape) < 0.02 + 0.4 * taste) * 1.0)
    options = {**SMALL, "n_actor_epochs": 6, "n_critic_epochs": 10, "max_iter": 26}
    model = RaCT(**options, actor_learning_rate=0.003).fit(X)
    assert model.critic_loss_curve_[9] < 0.9 * model.critic_loss_curve_[0]
    loss = model.loss_curve_
    assert loss[-1] < loss[16]
