"""Enhanced VAE: two levels of codes, a prior of pseudo-inputs, and gates."""

from functools import partial
from itertools import pairwise
from numbers import Integral

import torch
from torch import nn

from skrec.base import BaseRecommender
from skrec.neural._divergences import (
    draw_gaussian,
    gaussian_log_density,
    vamp_log_density,
)
from skrec.neural._estimator import (
    LAYER_CONSTRAINTS,
    TERM_WEIGHT,
    TRAINING_CONSTRAINTS,
    USER_BATCH_CONSTRAINTS,
    check_hidden_layer_sizes,
)
from skrec.neural._layers import Gate, SparseLinear, batch_linear, init_he_normal, linear
from skrec.neural._likelihood_autoencoder import LikelihoodAutoencoderMixin
from skrec.neural._likelihoods import output_nll
from skrec.neural._trainer import Trainer
from skrec.utils._compat import Interval, StrOptions, divide_by_norms

LOG_VARIANCE_LIMITS = (-12.0, 4.0)
PSEUDO_INPUT_MEAN, PSEUDO_INPUT_SCALE = 0.05, 0.01


class GaussianHead(nn.Module):
    """Mean and log variance, the latter confined to sensible limits."""

    def __init__(self, n_inputs, n_components, make_layer=batch_linear):
        super().__init__()
        self.mean = make_layer(n_inputs, n_components)
        self.log_var = make_layer(n_inputs, n_components)

    def forward(self, hidden):  # -> 2 x (n_rows, n_components)
        return self.mean(hidden), self.log_var(hidden).clamp(*LOG_VARIANCE_LIMITS)


class TwoInputs(nn.Module):
    """Gates over two inputs: each through its own and then joined, or side by side through one.

    Parameters
    ----------
    n_items : int or None
        Width of the first input where it is a batch of sparse rows.
    n_components : int
        Width of the second input, and of the first where `n_items` is None.
    sizes : sequence of int
        With one layer alone the inputs go through it side by side.
    gated : bool
    """

    def __init__(self, n_items, n_components, sizes, gated):
        super().__init__()
        self.is_sparse = n_items is not None
        width, *others = sizes
        if others:
            make_first = SparseLinear if self.is_sparse else batch_linear
            self.first = Gate(make_first, n_items or n_components, width, gated)
            self.second = Gate(batch_linear, n_components, width, gated)
            self.joined = _gates([2 * width, *others], gated)
        elif self.is_sparse:
            self.side_by_side = Gate(
                partial(SparseLinear, n_dense=n_components), n_items, width, gated
            )
        else:
            self.side_by_side = Gate(batch_linear, 2 * n_components, width, gated)

    def forward(self, first, second):  # -> (n_rows, sizes[-1])
        if hasattr(self, "joined"):
            return self.joined(torch.cat([self.first(first), self.second(second)], dim=1))
        if self.is_sparse:
            return self.side_by_side(first, second)
        return self.side_by_side(torch.cat([first, second], dim=1))


def _gates(sizes, gated):
    return nn.Sequential(*(Gate(batch_linear, *pair, gated) for pair in pairwise(sizes)))


class EnhancedVAEModule(nn.Module):
    """Encoders, priors and decoder of the hierarchical VampPrior VAE.

    Parameters
    ----------
    n_items, n_components : int
    hidden_layer_sizes : sequence of int
        At least one for two levels or gates.
    likelihood : {"multinomial", "bernoulli"}
    hierarchical : bool
    n_pseudo_inputs : int
        0: the prior of the top code is standard normal.
    gated : bool
    dropout, beta : float
    n_annealing_epochs : int
    """

    def __init__(
        self,
        n_items,
        n_components,
        hidden_layer_sizes,
        *,
        likelihood,
        hierarchical,
        n_pseudo_inputs,
        gated,
        dropout,
        beta,
        n_annealing_epochs,
    ):
        super().__init__()
        self.n_components = n_components
        self.likelihood = likelihood
        self.hierarchical = hierarchical
        self.dropout = dropout
        self.beta = beta
        self.n_annealing_epochs = n_annealing_epochs
        sizes = list(hidden_layer_sizes)
        if sizes:
            self.top_encoder = nn.Sequential(
                Gate(SparseLinear, n_items, sizes[0], gated),
                _gates(sizes, gated),
                GaussianHead(sizes[-1], n_components),
            )
        else:
            self.top_encoder = GaussianHead(n_items, n_components, SparseLinear)
        if hierarchical:
            self.low_encoder = TwoInputs(n_items, n_components, sizes, gated)
            self.low_head = GaussianHead(sizes[-1], n_components)
            self.low_prior = nn.Sequential(
                _gates([n_components, *sizes], gated), GaussianHead(sizes[-1], n_components)
            )
            self.decoder = TwoInputs(None, n_components, sizes[::-1], gated)
        else:
            self.decoder = _gates([n_components, *sizes[::-1]], gated)
        self.output = linear(sizes[0] if sizes else n_components, n_items)
        self.pseudo_inputs = None
        if n_pseudo_inputs:
            self.pseudo_inputs = nn.Parameter(torch.empty(n_pseudo_inputs, n_items))

    def encode(self, batch):  # -> (n_rows, n_embedding)
        x = batch.normalized()
        top, _ = self.top_encoder(x)
        if not self.hierarchical:
            return top
        low, _ = self.low_head(self.low_encoder(x, top))
        return torch.cat([low, top], dim=1)

    def draw(self, batch, generator):  # -> (n_rows, n_embedding)
        x = batch.normalized()
        top = draw_gaussian(*self.top_encoder(x), generator)
        if not self.hierarchical:
            return top
        low = draw_gaussian(*self.low_head(self.low_encoder(x, top)), generator)
        return torch.cat([low, top], dim=1)

    def hidden(self, code):  # -> (n_rows, n_hidden)
        if not self.hierarchical:
            return self.decoder(code)
        return self.decoder(*code.split(self.n_components, dim=1))

    def top_log_prior(self, z, generator=None):  # -> (n_rows,)
        if self.pseudo_inputs is None:
            return gaussian_log_density(z, z.new_zeros(()), z.new_zeros(())).sum(dim=1)
        inputs = self.pseudo_inputs.clamp(0, 1)
        if generator is not None and self.dropout > 0:
            draws = torch.rand(
                inputs.shape, generator=generator, dtype=inputs.dtype, device=inputs.device
            )
            inputs = inputs * (draws >= self.dropout) / (1 - self.dropout)
        return vamp_log_density(z, *self.top_encoder(inputs))

    def forward(self, batch, generator, progress):  # -> (n_rows,)
        x = batch.normalized()
        mean, log_var = self.top_encoder(x.dropped_out(self.dropout, generator))
        top = draw_gaussian(mean, log_var, generator)
        kl = gaussian_log_density(top, mean, log_var).sum(dim=1)
        kl = kl - self.top_log_prior(top, generator)
        code = top
        if self.hierarchical:
            dropped = x.dropped_out(self.dropout, generator)
            mean, log_var = self.low_head(self.low_encoder(dropped, top))
            low = draw_gaussian(mean, log_var, generator)
            prior_mean, prior_log_var = self.low_prior(top)
            kl = kl + gaussian_log_density(low, mean, log_var).sum(dim=1)
            kl = kl - gaussian_log_density(low, prior_mean, prior_log_var).sum(dim=1)
            code = torch.cat([low, top], dim=1)
        nll = output_nll(self.hidden(code), self.output, self.likelihood, batch)
        return nll + self.beta_at(progress) * kl

    def beta_at(self, progress):
        if self.n_annealing_epochs == 0:
            return self.beta
        return self.beta * min(1, progress.n_epochs / self.n_annealing_epochs)


class NormalizedGradientTrainer(Trainer):
    """Divides the gradient of each weight array by its norm before Adam sees it.

    Parameters
    ----------
    normalize_gradients : bool
    **kwargs
        Parameters of Trainer.
    """

    def __init__(self, *args, normalize_gradients, **kwargs):
        super().__init__(*args, **kwargs)
        self.normalize_gradients = normalize_gradients

    def on_grad_computed(self, net, named_parameters, **kwargs):
        """Normalise."""
        if self.normalize_gradients:
            divide_by_norms([p.grad for _, p in named_parameters if p.grad is not None])


class EnhancedVAE(LikelihoodAutoencoderMixin, BaseRecommender):
    r"""Variational autoencoder with a VampPrior, two levels of codes and gates (H+Vamp Gated).

    A user's row :math:`x` is explained by two codes, :math:`p(x | z_1, z_2)\, p(z_1 | z_2)\,
    p(z_2)`, and encoded by :math:`q(z_2 | x)\, q(z_1 | x, z_2)`. The prior of the top code is an
    equal mixture of what the encoder says of :math:`K` learned pseudo-inputs :math:`u_k`,
    :math:`p(z_2) = \frac1K \sum_k q(z_2 | u_k)`. Layers are gated:
    :math:`(Wx + b) \odot \sigma(Vx + c)`. Training maximises, with one draw of each code,

    .. math::
        \log p(x | z_1, z_2) - \beta \Big[\log \frac{q(z_1 | x, z_2)}{p(z_1 | z_2)}
        + \log \frac{q(z_2 | x)}{p(z_2)}\Big].

    Each ingredient can be switched off, which gives the rows of the paper's ablation. The second
    level, :math:`z_1`, and the gates are off by default, as they need many users.

    Parameters
    ----------
    n_components : int, default=100
        Length of each of the codes.
    hidden_layer_sizes : array-like of int, default=()
        Widths of the hidden layers of each encoder; the decoder has the same in reverse. Without
        one, encoder and decoder are linear; ``hierarchical=True`` and ``gated=True`` need one.
    likelihood : {"multinomial", "bernoulli"}, default="multinomial"
        What the entries of a row are. "multinomial": counts. "bernoulli": all entries are zeros
        and ones, as in the one command that the authors published.
    hierarchical : bool, default=False
        Whether there are two levels of codes; otherwise only the top one.
    prior : {"vamp", "normal"}, default="vamp"
        Prior of the top code: a mixture over pseudo-inputs, or standard normal.
    n_pseudo_inputs : int, default=50
        Number of pseudo-inputs. Ignored if ``prior="normal"``.
    gated : bool, default=False
        Whether layers are gated, otherwise they end in tanh.
    normalize_gradients : bool, default=False
        Whether each weight array's gradient is divided by its norm before Adam sees it.
    beta : float, default=0.05
        Weight of the divergence, at the end of the annealing.
    n_annealing_epochs : int, default=10
        `beta` rises linearly over these epochs, in which early stopping does not stop. 0 means
        that it holds from the start.

    See Also
    --------
    MultVAE : One code and a standard normal prior.
    RecVAE : A deeper encoder and a prior that remembers.

    Notes
    -----
    The paper's setting, for MovieLens 20M, is ``n_components=200``, ``hidden_layer_sizes=(600,
    600)``, ``hierarchical=True``, ``gated=True``, ``n_pseudo_inputs=1000``,
    ``normalize_gradients=True``, ``beta=0.3``, ``n_annealing_epochs=100``,
    ``learning_rate=0.0005``, ``batch_size=200``, ``max_iter=400`` and ``n_iter_no_change=50``; the
    authors have published both likelihoods. With some thousand users or fewer it overfits, and
    the second level costs most. That may be because its encoder reads a draw of the top code
    beside the row, and the decoder both draws: noise, until the codes say much.

    The pseudo-inputs are dense: each update encodes all of them, which costs ``n_pseudo_inputs``
    times items times the first hidden layer, twice that with gates: a thousand cost several times
    what the users of the batch do.

    With two levels ``transform`` gives both codes side by side, :math:`z_1` first.

    References
    ----------
    .. [1] D. Kim and B. Suh, "Enhancing VAEs for Collaborative Filtering: Flexible Priors & Gating
       Mechanisms", RecSys 2019. :doi:`10.1145/3298689.3347015`
    .. [2] J. M. Tomczak and M. Welling, "VAE with a VampPrior", AISTATS 2018. :arxiv:`1705.07120`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import EnhancedVAE
    >>> X = np.kron(np.eye(2), np.ones((40, 4)))
    >>> model = EnhancedVAE(
    ...     8, hidden_layer_sizes=(16,), n_pseudo_inputs=10, learning_rate=0.01, random_state=0
    ... ).fit(X)
    >>> model.recommend([[1, 1, 1, 0, 0, 0, 0, 0]], k=1)
    array([[3]])
    """

    _module_class = EnhancedVAEModule
    _trainer_class = NormalizedGradientTrainer

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **USER_BATCH_CONSTRAINTS,
        **LAYER_CONSTRAINTS,
        "likelihood": [StrOptions({"multinomial", "bernoulli"})],
        "hierarchical": ["boolean"],
        "prior": [StrOptions({"vamp", "normal"})],
        "n_pseudo_inputs": [Interval(Integral, 1, None, closed="left")],
        "gated": ["boolean"],
        "normalize_gradients": ["boolean"],
        "beta": [TERM_WEIGHT],
        "n_annealing_epochs": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components=100,
        *,
        hidden_layer_sizes=(),
        likelihood="multinomial",
        hierarchical=False,
        prior="vamp",
        n_pseudo_inputs=50,
        gated=False,
        normalize_gradients=False,
        beta=0.05,
        n_annealing_epochs=10,
        dropout=0.5,
        learning_rate=0.002,
        batch_size="auto",
        max_iter=200,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=15,
        warm_start=False,
        callbacks=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.likelihood = likelihood
        self.hierarchical = hierarchical
        self.prior = prior
        self.n_pseudo_inputs = n_pseudo_inputs
        self.gated = gated
        self.normalize_gradients = normalize_gradients
        self.beta = beta
        self.n_annealing_epochs = n_annealing_epochs
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

    @property
    def _n_features_out(self):
        return (1 + self._options["hierarchical"]) * self._options["n_components"]

    def _module_options(self, data):
        sizes = check_hidden_layer_sizes(self.hidden_layer_sizes)
        if not sizes and (self.hierarchical or self.gated):
            name = "hierarchical" if self.hierarchical else "gated"
            raise ValueError(
                f"{name}=True needs at least one hidden layer, got hidden_layer_sizes=(): give "
                f"for example hidden_layer_sizes=(400,), or {name}=False."
            )
        return {
            "n_components": self.n_components,
            "hidden_layer_sizes": sizes,
            "likelihood": self.likelihood,
            "hierarchical": self.hierarchical,
            "n_pseudo_inputs": self.n_pseudo_inputs if self.prior == "vamp" else 0,
            "gated": self.gated,
            "dropout": self.dropout,
            "beta": self.beta,
            "n_annealing_epochs": self.n_annealing_epochs,
        }

    def _init_module(self, module, data, generator):
        init_he_normal(module, generator)
        if module.pseudo_inputs is not None:
            nn.init.normal_(
                module.pseudo_inputs, PSEUDO_INPUT_MEAN, PSEUDO_INPUT_SCALE, generator=generator
            )

    def _trainer_options(self, data):
        return {
            **super()._trainer_options(data),
            "normalize_gradients": self.normalize_gradients,
        }

    @property
    def _n_annealing_epochs(self):
        return self.n_annealing_epochs
