"""The networks of RaCT, actor and critic, and how they are trained in three phases."""

from dataclasses import replace
from itertools import pairwise

import torch
from torch import nn

from skrec.autoencoders._mult_vae import MultVAEModule
from skrec.neural._divergences import draw_gaussian
from skrec.neural._layers import frozen, linear
from skrec.neural._likelihoods import multinomial_nll_, output_nll
from skrec.neural._trainer import StopTraining, Trainer, Validation

N_RANKED = 100
CRITIC_LAYERS = (100, 100, 10)


class Critic(nn.Module):
    """Guesses the NDCG of a ranking from what is known without making it.

    The features are brought to mean 0 and deviation 1 by statistics of all training rows, which
    stay as they were at the end of the actor's own training; before, `scale` is 0.
    """

    def __init__(self):
        super().__init__()
        sizes = [3, *CRITIC_LAYERS]
        hidden = [layer for pair in pairwise(sizes) for layer in (linear(*pair), nn.ReLU())]
        self.layers = nn.Sequential(*hidden, linear(sizes[-1], 1), nn.Sigmoid())
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("scale", torch.zeros(3))

    def forward(self, features):  # (n_rows, 3) -> (n_rows,)
        return self.layers((features - self.mean) / self.scale).squeeze(1)


class RaCTModule(MultVAEModule):
    """Mult-VAE, and a critic of its rankings of the entries that were dropped from its input.

    Parameters
    ----------
    n_items, n_components, hidden_layer_sizes, **options
        Those of MultVAEModule.
    """

    def __init__(self, n_items, n_components, hidden_layer_sizes, **options):
        super().__init__(
            n_items, n_components, hidden_layer_sizes, likelihood="multinomial", **options
        )
        self.critic = Critic()
        self.phase = "actor"
        self.squared_errors = []

    def judge(self, batch, generator):
        """Rank what a random share of each row lets expect of the rest.

        Returns
        -------
        features : tensor of shape (n_rows, 3)
            Entries kept, entries dropped, and the negative log-likelihood of the whole row, which
            alone has a gradient.
        targets : tensor of shape (n_rows,)
            NDCG@100 of the ranking against the entries dropped.
        """
        kept, dropped = batch.normalized().split(self.dropout, generator)
        scaled = replace(kept, values=kept.values / (1 - self.dropout))
        code = draw_gaussian(*self.encoder(self.first(scaled)).chunk(2, dim=1), generator)
        targets = []

        def rank_and_explain_(logits, batch):
            targets.append(ndcg_of_dropped(logits, kept, dropped, N_RANKED))
            return multinomial_nll_(logits, batch)

        nll = output_nll(self.hidden(code), self.output, rank_and_explain_, batch)
        counts = [part.offsets.diff().to(nll.dtype) for part in (kept, dropped)]
        return torch.stack([*counts, nll], dim=1), targets[0]

    def forward(self, batch, generator, progress):  # -> (n_rows,)
        if self.phase == "actor":
            return super().forward(batch, generator, progress)
        with torch.set_grad_enabled(self.phase == "joint"):
            features, targets = self.judge(batch, generator)
        can_be_ranked = features[:, 1] > 0
        errors = (self.critic(features.detach()) - targets) ** 2
        self.squared_errors.append(errors[can_be_ranked].detach())
        if self.phase == "joint":
            errors = errors - frozen(self.critic, features)
        return torch.where(can_be_ranked, errors, 0)

    @torch.no_grad()
    def learn_features(self, batches, generator):
        """Set the statistics that the critic's features are scaled by."""
        features = torch.cat([self.judge(batch, generator)[0] for batch in batches]).double()
        self.critic.mean.copy_(features.mean(dim=0))
        deviations = features.std(dim=0, correction=0)
        self.critic.scale.copy_(torch.where(deviations > 0, deviations, 1))


def ndcg_of_dropped(scores, kept, dropped, k):
    """NDCG of each row's ranking of what was not kept, against what was dropped.

    Parameters
    ----------
    scores : tensor of shape (n_rows, n_items)
        As it was, when this returns.
    kept, dropped : SparseBatch
        The entries of the same rows in two parts.
    k : int
        Cut-off.

    Returns
    -------
    ndcg : tensor of shape (n_rows,)
        0 where nothing was dropped.
    """
    flat = scores.view(-1)
    before = flat[kept.flat]
    flat[kept.flat] = -torch.inf
    best = scores.topk(min(k, dropped.n_items)).indices
    flat[kept.flat] = before
    is_hit = torch.zeros_like(scores, dtype=torch.bool)
    is_hit.view(-1)[dropped.flat] = True
    ranks = torch.arange(best.shape[1], dtype=scores.dtype, device=scores.device)
    discounts = 1 / torch.log2(ranks + 2)
    ideal = discounts.cumsum(0)[dropped.offsets.diff().clamp(1, best.shape[1]) - 1]
    return (is_hit.gather(1, best) * discounts).sum(dim=1) / ideal


class PhaseValidation(Validation):
    """Keeps the best weights of all phases, and counts the epochs without better ones in each."""

    def begin(self, net):
        """Go back to the best weights so far."""
        if self.best_weights_ is not None:
            net.module.load_state_dict(self.best_weights_)
        self.n_without_better_, self.is_over_ = 0, False

    def keep_critic(self, net):
        """Take the critic over into the best weights: the actor is theirs."""
        if self.best_weights_ is not None:
            self._keep(net, self.best_score_, self.best_epoch_)

    def on_epoch_end(self, net, **kwargs):
        """Score the module, unless the actor has not changed."""
        if net.module.phase == "critic":
            net.history.record("valid_score", self.best_score_)
        else:
            super().on_epoch_end(net, **kwargs)


class RaCTTrainer(Trainer):
    """Trains the actor, then the critic, then both; a critic that is there already, with it.

    Parameters
    ----------
    n_actor_epochs, n_critic_epochs : int
        Epochs at most of the first two phases. The third has those that are left.
    actor_learning_rate : float
        The actor's step size in the third phase.
    """

    def __init__(self, *args, n_actor_epochs, n_critic_epochs, actor_learning_rate, **options):
        super().__init__(*args, **options)
        self.n_actor_epochs = n_actor_epochs
        self.n_critic_epochs = n_critic_epochs
        self.actor_learning_rate = actor_learning_rate

    def fit_loop(self, X, y=None, epochs=None, **kwargs):
        """Make the epochs of each phase, of all together no more than `max_epochs`."""
        phases = {"joint": self.max_epochs}
        if not self.module.critic.scale.all():
            phases = {"actor": self.n_actor_epochs, "critic": self.n_critic_epochs, **phases}
        for phase, n_epochs in phases.items():
            n_epochs = min(n_epochs, self.max_epochs - len(self.history))
            if n_epochs > 0:
                self._begin(phase, X)
                try:
                    super().fit_loop(X, y, n_epochs, **kwargs)
                except StopTraining:
                    if self._validation is None or not self._validation.is_over_:
                        raise
                self._end(phase)
        return self

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Make one pass over the rows, and record the critic's error."""
        self.module.squared_errors = []
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        if self.module.squared_errors:
            error = self.placement.mean(torch.cat(self.module.squared_errors).mean())
            self.history.record("critic_loss", float(error))

    @property
    def _validation(self):
        return dict(self.callbacks_).get("validation")

    def _begin(self, phase, store):
        if phase == "critic":
            if self._validation is not None:
                self._validation.begin(self)
            self.module.learn_features(store.batches(self.batch_size), self.generator)
        if phase == "joint":
            actor = self.optimizer_.param_groups[0]
            actor["lr"] = self.actor_learning_rate
            if self.module.phase == "critic":
                for weight in actor["params"]:  # other gradients, of another size
                    self.optimizer_.state.pop(weight, None)
        self.module.phase = phase

    def _end(self, phase):
        if phase == "critic" and self._validation is not None:
            self._validation.keep_critic(self)

    @property
    def step_sizes(self):
        """Parameters that set the size of the steps in this phase, and their values."""
        actor, critic = (group["lr"] for group in self.optimizer_.param_groups)
        return {
            "actor": {"learning_rate": actor},
            "critic": {"critic_learning_rate": critic},
            "joint": {"actor_learning_rate": actor, "critic_learning_rate": critic},
        }[self.module.phase]
