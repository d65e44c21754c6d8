"""RecVAE: a deep encoder, a prior that remembers, and alternating training."""

import math
from numbers import Integral, Real

import torch
from torch import nn

from skrec.base import BaseRecommender
from skrec.neural._divergences import (
    coordinate_mixture_log_density,
    draw_gaussian,
    gaussian_log_density,
)
from skrec.neural._estimator import (
    LAYER_CONSTRAINTS,
    TERM_WEIGHT,
    TRAINING_CONSTRAINTS,
    USER_BATCH_CONSTRAINTS,
    check_equal_sizes,
)
from skrec.neural._layers import SkipLayers, SparseLinear, batch_linear, init_uniform, linear
from skrec.neural._likelihood_autoencoder import LikelihoodAutoencoderMixin
from skrec.neural._likelihoods import output_nll
from skrec.neural._trainer import Trainer
from skrec.utils._compat import Interval

WIDE_LOG_VARIANCE = 10.0


class RecVAEModule(nn.Module):
    """Encoder with dense skip connections, and a linear decoder.

    Parameters
    ----------
    n_items, n_components : int
    hidden_layer_sizes : sequence of int
        All equal, as the layers' outputs are added.
    dropout : float
    gamma, beta : float or None
        Weight of the KL divergence: `gamma` times a row's total, or `beta` for all rows.
    prior_weights : sequence of 3 floats
    layer_norm_eps : float
    """

    def __init__(
        self,
        n_items,
        n_components,
        hidden_layer_sizes,
        *,
        dropout,
        gamma,
        beta,
        prior_weights,
        layer_norm_eps,
    ):
        super().__init__()
        self.dropout = dropout
        self.gamma = gamma
        self.beta = beta
        self.log_prior_weights = [math.log(w) if w > 0 else -math.inf for w in prior_weights]
        width = hidden_layer_sizes[0]
        self.encoder = SkipLayers(
            SparseLinear(n_items, width), width, len(hidden_layer_sizes), layer_norm_eps
        )
        self.encoder.posterior = batch_linear(width, 2 * n_components)
        self.output = linear(n_components, n_items)
        self.trains_encoder = True
        self.old_posterior = None  # 2 x (n_users, n_components), of the training users

    def posterior(self, batch):  # -> 2 x (n_rows, n_components)
        return self._posterior(batch.normalized())

    def encode(self, batch):  # -> (n_rows, n_components)
        return self.posterior(batch)[0]

    def draw(self, batch, generator):  # -> (n_rows, n_components)
        return draw_gaussian(*self.posterior(batch), generator)

    def hidden(self, code):  # -> (n_rows, n_components)
        return code

    def train_encoder(self, trains_encoder):
        """Train the encoder, or else the decoder."""
        self.trains_encoder = trains_encoder
        self.encoder.requires_grad_(trains_encoder)
        self.output.requires_grad_(not trains_encoder)

    @torch.no_grad()
    def remember(self, batches):
        """Keep the posterior of all training users, for the prior."""
        means, log_vars = zip(*(self.posterior(batch) for batch in batches), strict=True)
        self.old_posterior = torch.cat(means), torch.cat(log_vars)

    def log_prior(self, z, old_mean, old_log_var):  # -> (n_rows,)
        zero = z.new_zeros(())
        return coordinate_mixture_log_density(
            z,
            [zero, old_mean, zero],
            [zero, old_log_var, zero + WIDE_LOG_VARIANCE],
            self.log_prior_weights,
        )

    def forward(self, batch, generator, progress):  # -> (n_rows,)
        old_mean, old_log_var = (part[batch.users] for part in self.old_posterior)
        if not self.trains_encoder:  # then the encoder is as it was when this was remembered
            code = draw_gaussian(old_mean, old_log_var, generator)
            return output_nll(code, self.output, "multinomial", batch)
        mean, log_var = self._posterior(batch.normalized().dropped_out(self.dropout, generator))
        z = draw_gaussian(mean, log_var, generator)
        kl = gaussian_log_density(z, mean, log_var).sum(dim=1)
        kl = kl - self.log_prior(z, old_mean, old_log_var)
        weight = self.gamma * batch.totals if self.beta is None else self.beta
        return output_nll(z, self.output, "multinomial", batch) + weight * kl

    def _posterior(self, batch):
        return self.encoder.posterior(self.encoder(batch)).chunk(2, dim=1)


class RecVAETrainer(Trainer):
    """Alternates passes that train the encoder and passes that train the decoder.

    Adam keeps the moments and counts the steps of each weight array by itself, and passes over
    those without a gradient: one optimiser does what the two of the paper do.

    Parameters
    ----------
    n_encoder_passes, n_decoder_passes : int
    **kwargs
        Parameters of Trainer.
    """

    def __init__(self, *args, n_encoder_passes, n_decoder_passes, **kwargs):
        super().__init__(*args, **kwargs)
        self.n_encoder_passes = n_encoder_passes
        self.n_decoder_passes = n_decoder_passes

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Make the passes of one outer epoch; the loss is that of the last encoder pass."""
        if iterator is None:
            return
        one_pass = super().run_single_epoch
        if self.module.old_posterior is None:
            self._remember(iterator.store)
        self.module.train_encoder(True)
        for _ in range(self.n_encoder_passes):
            one_pass(iterator, training, prefix, step_fn, **fit_params)
        loss = self.history[-1, f"{prefix}_loss"]
        self._remember(iterator.store)
        self.module.train_encoder(False)
        for _ in range(self.n_decoder_passes):
            one_pass(iterator, training, prefix, step_fn, **fit_params)
        self.history.record(f"{prefix}_loss", loss)

    def _remember(self, store):
        self.module.remember(store.batches(self.batch_size))


class RecVAE(LikelihoodAutoencoderMixin, BaseRecommender):
    r"""Variational autoencoder with a composite prior and alternating training (RecVAE).

    As in Mult-VAE a user's row :math:`x` is explained by a code :math:`z` through a multinomial
    likelihood, here with a linear decoder. The encoder is deep, with connections from each layer
    to all later ones. Each coordinate's prior is a mixture of :math:`N(0, 1)`, of the posterior
    :math:`q_\text{old}(z | x)` of the epoch before, and of a wide :math:`N(0, e^{10})`. The
    encoder is trained on rows with dropped entries to maximise

    .. math::
        E_q\Big[\sum_i x_i \log \operatorname{softmax}(f(z))_i
        - \gamma \Big(\sum_i x_i\Big) \log \frac{q(z | x)}{p(z | x)}\Big],

    several passes to each pass that trains the decoder, on whole rows and without the KL term.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, default=(600, 600)
        Widths of the encoder's hidden layers, which must be equal, as their outputs are added.
    gamma : float, default=0.005
        Weight of the KL divergence for each unit of a row's total. Ignored if `beta` is given.
    beta : float, default=None
        One weight of the KL divergence for all users.
    prior_weights : array-like of 3 floats, default=(0.15, 0.75, 0.1)
        Weights of the standard normal, of the old posterior and of the wide normal; they sum to 1.
    n_encoder_passes : int, default=3
        Passes over the users in an epoch that train the encoder.
    n_decoder_passes : int, default=1
        Passes over the users in an epoch that train the decoder.
    layer_norm_eps : float, default=0.1
        Added to the variance in layer normalisation. The authors' code has 0.1; that of the
        paper's time torch's default, 1e-5.
    dropout : float, default=0.5
        Probability of dropping an entry from the input, while the encoder is trained.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_components)
        Weights of the output layer.
    loss_curve_ : list of float
        Objective of the encoder per training user, by epoch.

    See Also
    --------
    MultVAE : A shallow encoder and a standard normal prior.
    EnhancedVAE : Two levels of codes and a prior of learned pseudo-inputs.
    EASE : A linear model with a closed form, often as good on small data.

    Notes
    -----
    The defaults are those of the paper for MovieLens 20M, but for two: there
    ``hidden_layer_sizes=(600, 600, 600, 600, 600)`` and ``batch_size=500``. With a hundredth of
    its users, two layers do better.

    The old posterior of every training user is kept in two users x components arrays during
    training, computed without noise, as in the authors' first version; their later one runs a copy
    of the encoder instead. Both mean the same, and the arrays save the copy's work.

    A row without entries gets what the encoder makes of it, which is close to popularity; the
    code 0 would be far from it, as the prior's moving part need not stay there.

    References
    ----------
    .. [1] I. Shenbin, A. Alekseev, E. Tutubalina, V. Malykh and S. I. Nikolenko, "RecVAE: A New
       Variational Autoencoder for Top-N Recommendations with Implicit Feedback", WSDM 2020.
       :doi:`10.1145/3336191.3371831`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import RecVAE
    >>> X = np.kron(np.eye(2), np.ones((50, 4)))
    >>> model = RecVAE(8, hidden_layer_sizes=(16, 16), learning_rate=0.01, random_state=0).fit(X)
    >>> model.recommend([[0, 1, 1, 1, 0, 0, 0, 0]], k=1)
    array([[0]])
    """

    _module_class = RecVAEModule
    _trainer_class = RecVAETrainer

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **USER_BATCH_CONSTRAINTS,
        **LAYER_CONSTRAINTS,
        "gamma": [TERM_WEIGHT],
        "beta": [TERM_WEIGHT, None],
        "prior_weights": ["array-like"],
        "n_encoder_passes": [Interval(Integral, 1, None, closed="left")],
        "n_decoder_passes": [Interval(Integral, 1, None, closed="left")],
        "layer_norm_eps": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        n_components=200,
        *,
        hidden_layer_sizes=(600, 600),
        gamma=0.005,
        beta=None,
        prior_weights=(0.15, 0.75, 0.1),
        n_encoder_passes=3,
        n_decoder_passes=1,
        layer_norm_eps=0.1,
        dropout=0.5,
        learning_rate=0.0005,
        batch_size="auto",
        max_iter=50,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=10,
        warm_start=False,
        callbacks=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.gamma = gamma
        self.beta = beta
        self.prior_weights = prior_weights
        self.n_encoder_passes = n_encoder_passes
        self.n_decoder_passes = n_decoder_passes
        self.layer_norm_eps = layer_norm_eps
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _module_options(self, data):
        return {
            "n_components": self.n_components,
            "hidden_layer_sizes": check_equal_sizes(self.hidden_layer_sizes, self),
            "dropout": self.dropout,
            "gamma": self.gamma,
            "beta": self.beta,
            "prior_weights": _check_prior_weights(self.prior_weights),
            "layer_norm_eps": self.layer_norm_eps,
        }

    @property
    def _n_passes(self):
        return self.n_encoder_passes + self.n_decoder_passes

    def _init_module(self, module, data, generator):
        init_uniform(module, generator)

    def _trainer_options(self, data):
        return {
            **super()._trainer_options(data),
            "n_encoder_passes": self.n_encoder_passes,
            "n_decoder_passes": self.n_decoder_passes,
        }


def _check_prior_weights(weights):
    weights = [float(weight) for weight in weights]
    if len(weights) != 3 or min(weights) < 0 or not math.isclose(sum(weights), 1, abs_tol=1e-6):
        raise ValueError(
            "prior_weights must be three numbers >= 0 that sum to 1, the weights of the standard "
            f"normal, of the old posterior and of the wide normal, got {weights}."
        )
    return weights
