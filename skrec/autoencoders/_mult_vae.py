"""Mult-VAE: a variational autoencoder of users' rows."""

from itertools import pairwise
from numbers import Integral

from torch import nn

from skrec.base import BaseRecommender
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.neural._divergences import draw_gaussian, standard_normal_kl
from skrec.neural._estimator import (
    LAYER_CONSTRAINTS,
    TERM_WEIGHT,
    TRAINING_CONSTRAINTS,
    USER_BATCH_CONSTRAINTS,
    check_hidden_layer_sizes,
)
from skrec.neural._layers import SparseLinear, batch_linear, init_glorot, linear
from skrec.neural._likelihood_autoencoder import RatedRowAutoencoderMixin
from skrec.neural._likelihoods import output_nll
from skrec.utils._compat import Interval, StrOptions


class MultVAEModule(nn.Module):
    """Encoder and decoder of Mult-VAE.

    Parameters
    ----------
    n_items, n_components : int
    hidden_layer_sizes : sequence of int
        Layers of the encoder; the decoder has them in reverse.
    likelihood : {"multinomial", "bernoulli", "gaussian"}
    dropout, beta : float
    n_annealing_updates : int
    """

    def __init__(
        self,
        n_items,
        n_components,
        hidden_layer_sizes,
        *,
        likelihood,
        dropout,
        beta,
        n_annealing_updates,
    ):
        super().__init__()
        self.likelihood = likelihood
        self.dropout = dropout
        self.beta = beta
        self.n_annealing_updates = n_annealing_updates
        self.first, self.encoder = tanh_encoder(n_items, [*hidden_layer_sizes, 2 * n_components])
        sizes = [n_components, *reversed(hidden_layer_sizes)]
        self.decoder = nn.Sequential(
            *(
                layer
                for n_inputs, n_outputs in pairwise(sizes)
                for layer in (batch_linear(n_inputs, n_outputs), nn.Tanh())
            )
        )
        self.output = linear(sizes[-1], n_items)

    def posterior(self, batch):  # -> 2 x (n_rows, n_components)
        return self.encoder(self.first(batch.normalized())).chunk(2, dim=1)

    def encode(self, batch):  # -> (n_rows, n_components)
        return self.posterior(batch)[0]

    def draw(self, batch, generator):  # -> (n_rows, n_components)
        return draw_gaussian(*self.posterior(batch), generator)

    def hidden(self, code):  # -> (n_rows, n_hidden)
        return self.decoder(code)

    def beta_at(self, progress):
        if self.n_annealing_updates == 0:
            return self.beta
        return min(self.beta, progress.n_updates / self.n_annealing_updates)

    def forward(self, batch, generator, progress):  # -> (n_rows,)
        mean, log_var = self.encoder(
            self.first(batch.normalized().dropped_out(self.dropout, generator))
        ).chunk(2, dim=1)
        code = draw_gaussian(mean, log_var, generator)
        return self.nll(code, batch) + self.beta_at(progress) * standard_normal_kl(mean, log_var)

    def nll(self, code, batch):  # -> (n_rows,)
        return output_nll(self.hidden(code), self.output, self.likelihood, batch)


def tanh_encoder(n_items, sizes):
    """A layer that reads rows, and those behind it."""
    first, *others = sizes
    return SparseLinear(n_items, first), _tanh_layers(first, others)


def _tanh_layers(n_inputs, sizes):
    """Layers that each apply tanh to what comes in; the last one's outputs are linear."""
    layers = []
    for n_outputs in sizes:
        layers += [nn.Tanh(), batch_linear(n_inputs, n_outputs)]
        n_inputs = n_outputs
    return nn.Sequential(*layers)


class MultVAE(RatedRowAutoencoderMixin, BaseRecommender):
    r"""Variational autoencoder with a multinomial likelihood (Mult-VAE).

    A user's row :math:`x` is explained by a code :math:`z \sim N(0, I)` and a network
    :math:`f`: its entries are draws of items with probabilities
    :math:`\operatorname{softmax}(f(z))`. A second network encodes the row, scaled to unit length
    and with a share of its entries dropped, as a Gaussian :math:`q(z | x)`. Both are trained to
    maximise

    .. math::
        E_q\Big[\sum_i x_i \log \operatorname{softmax}(f(z))_i\Big]
        - \beta\, \operatorname{KL}\big(q(z | x) \,\|\, N(0, I)\big).

    Users seen in training and new ones are treated alike: scores are :math:`f` of the mean code.

    Parameters
    ----------
    beta : float, default=0.1
        Weight of the KL divergence, at the end of the annealing.

    See Also
    --------
    MultDAE : The same without a distribution over codes.
    RecVAE : A deeper encoder and a prior that remembers.
    EASE : A linear model with a closed form, often as good on small data.

    Notes
    -----
    The defaults hold from some hundred users to some thousand: see ``benchmarks/defaults.py``.
    Without a hidden layer, encoder and decoder are linear. The paper's, for data of the size of
    MovieLens 20M, are ``hidden_layer_sizes=(600,)``, ``beta=0.2``, ``n_annealing_updates=200_000``
    and ``batch_size=500``. Its annealing is a slope: with fewer users, `beta` stays far below its
    limit.

    An update costs the stored entries times the first hidden layer, and users times items times
    the last one; the multinomial likelihood holds one users x items buffer of a batch.

    A row without entries gets what the encoder makes of it, which is close to popularity.

    References
    ----------
    .. [1] D. Liang, R. G. Krishnan, M. D. Hoffman and T. Jebara, "Variational Autoencoders for
       Collaborative Filtering", WWW 2018. :doi:`10.1145/3178876.3186150`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import MultVAE
    >>> X = np.kron(np.eye(2), np.ones((40, 4)))
    >>> model = MultVAE(8, hidden_layer_sizes=(16,), learning_rate=0.01, random_state=0).fit(X)
    >>> model.recommend([[1, 1, 1, 0, 0, 0, 0, 0]], k=1)
    array([[3]])
    """

    _module_class = MultVAEModule

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **USER_BATCH_CONSTRAINTS,
        **LAYER_CONSTRAINTS,
        **RATING_CONSTRAINTS,
        "likelihood": [StrOptions({"multinomial", "gaussian", "bernoulli"})],
        "beta": [TERM_WEIGHT],
        "n_annealing_updates": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components=200,
        *,
        hidden_layer_sizes=(),
        likelihood="multinomial",
        beta=0.1,
        n_annealing_updates=1000,
        dropout=0.5,
        learning_rate=0.001,
        batch_size="auto",
        max_iter=200,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=20,
        clip=True,
        rating_scale=None,
        warm_start=False,
        callbacks=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.likelihood = likelihood
        self.beta = beta
        self.n_annealing_updates = n_annealing_updates
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.clip = clip
        self.rating_scale = rating_scale
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _module_options(self, data):
        return {
            "n_components": self.n_components,
            "hidden_layer_sizes": check_hidden_layer_sizes(self.hidden_layer_sizes),
            "likelihood": self.likelihood,
            "dropout": self.dropout,
            "beta": self.beta,
            "n_annealing_updates": self.n_annealing_updates,
        }

    def _init_module(self, module, data, generator):
        init_glorot(module, generator)
        if self.likelihood == "gaussian":
            nn.init.constant_(module.output.bias, data.data.mean())
