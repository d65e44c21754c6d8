"""VAEAC: a variational autoencoder that learns to find the hidden part of a row."""

from numbers import Integral, Real

from torch import nn

from skrec.autoencoders._mult_vae import MultVAEModule, tanh_encoder
from skrec.base import BaseRecommender
from skrec.neural._divergences import draw_gaussian, gaussian_kl
from skrec.neural._estimator import (
    LAYER_CONSTRAINTS,
    TERM_WEIGHT,
    TRAINING_CONSTRAINTS,
    USER_BATCH_CONSTRAINTS,
    check_hidden_layer_sizes,
)
from skrec.neural._layers import init_glorot
from skrec.neural._likelihood_autoencoder import LikelihoodAutoencoderMixin
from skrec.neural._likelihoods import output_nll
from skrec.utils._compat import Interval

SMALLEST_SCALE = 1e-3
# The width of what the prior's mean is held to, and the rate of what its scale is.
MEAN_WIDTH, SCALE_RATE = 1e4, 1e-4


class VAEACModule(MultVAEModule):
    """Mult-VAE, whose encoder is the prior given what is visible, and a second encoder.

    Parameters
    ----------
    n_items, n_components : int
    hidden_layer_sizes : sequence of int
        Layers of either encoder; the decoder has them in reverse.
    dropout : float
        Probability of an entry to be hidden.
    beta : float
    n_annealing_updates : int
    """

    def __init__(self, n_items, n_components, hidden_layer_sizes, **options):
        options = {"likelihood": "multinomial", **options}
        super().__init__(n_items, n_components, hidden_layer_sizes, **options)
        sizes = [*hidden_layer_sizes, 2 * n_components]
        self.proposal = nn.ModuleList(tanh_encoder(n_items, sizes))

    def posterior(self, batch):  # -> 2 x (n_rows, n_components)
        return _gaussian(self.encoder(self.first(batch.normalized())))

    def forward(self, batch, generator, progress):  # -> (n_rows,)
        visible, hidden = batch.split(self.dropout, generator)
        prior = self.posterior(visible)
        first, encoder = self.proposal
        mean, log_var = _gaussian(encoder(first(batch.normalized())))
        code = draw_gaussian(mean, log_var, generator)
        nll = output_nll(self.hidden(code), self.output, self.likelihood, hidden, visible)
        kl = gaussian_kl(mean, log_var, *prior)
        return nll + self.beta_at(progress) * kl + _penalty(*prior)


def _gaussian(outputs):
    """Means, and logarithms of variances whose scales are softplus of the outputs."""
    means, scales = outputs.chunk(2, dim=1)
    return means, 2 * nn.functional.softplus(scales).clamp(min=SMALLEST_SCALE).log()


def _penalty(mean, log_var):
    """Minus the log density of a prior's mean and scale, which keeps both finite."""
    log_scale = log_var / 2
    terms = mean**2 / (2 * MEAN_WIDTH**2) + SCALE_RATE * (log_scale.exp() - log_scale)
    return terms.sum(dim=1)


class VAEAC(LikelihoodAutoencoderMixin, BaseRecommender):
    r"""Variational autoencoder with arbitrary conditioning, for rows of choices (VAEAC).

    Training does what is asked for later: at each update a random share of each user's items is
    hidden, and the others, :math:`v`, are used to find them. A prior network reads :math:`v`,
    scaled to unit length, and answers with a Gaussian :math:`p(z | v)`; a proposal network reads
    the whole row :math:`x`, as a user that is asked about cannot, and answers with
    :math:`q(z | x)`. With :math:`h = x - v` and a decoder :math:`f` both are trained to maximise

    .. math::
        E_q\Big[\sum_i h_i \log \operatorname{softmax}(f(z))_i\Big]
        - \beta\, \operatorname{KL}\big(q(z | x) \,\|\, p(z | v)\big),

    where the softmax is over the items that are not visible. Scores are :math:`f` of the prior's
    mean given all that is known of a user: the dropped input of :class:`MultVAE` made exact.

    Parameters
    ----------
    dropout : float, default=0.5
        Probability of an entry to be hidden. All entries of a row may be, then a row without
        entries is trained on; or none, then there is nothing to be found in it.
    beta : float, default=0.2
        Weight of the KL divergence, at the end of the annealing. 1 is the bound of the paper.

    See Also
    --------
    MultVAE : A standard normal prior, and dropped entries that are still to be explained.
    RecVAE : A prior that is a mixture with what the encoder has said before.

    Notes
    -----
    This is the model of the paper for rows of choices: what is missing of an image is here what a
    user has not chosen yet. Its connections from the prior network to the decoder are left out.

    A row without entries gets what the prior network makes of it, as it does of rows that were
    hidden as a whole in training.

    References
    ----------
    .. [1] O. Ivanov, M. Figurnov and D. Vetrov, "Variational Autoencoder with Arbitrary
       Conditioning", ICLR 2019. :arxiv:`1806.02382`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import VAEAC
    >>> X = np.kron(np.eye(2), np.ones((40, 4)))
    >>> model = VAEAC(8, learning_rate=0.01, random_state=0).fit(X)
    >>> model.recommend([[1, 1, 0, 1, 0, 0, 0, 0]], k=1)
    array([[2]])
    """

    _module_class = VAEACModule

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **USER_BATCH_CONSTRAINTS,
        **LAYER_CONSTRAINTS,
        "dropout": [Interval(Real, 0, 1, closed="neither")],
        "beta": [TERM_WEIGHT],
        "n_annealing_updates": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components=200,
        *,
        hidden_layer_sizes=(),
        beta=0.2,
        n_annealing_updates=1000,
        dropout=0.5,
        learning_rate=0.002,
        batch_size="auto",
        max_iter=200,
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
        self.beta = beta
        self.n_annealing_updates = n_annealing_updates
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
            "hidden_layer_sizes": check_hidden_layer_sizes(self.hidden_layer_sizes),
            "dropout": self.dropout,
            "beta": self.beta,
            "n_annealing_updates": self.n_annealing_updates,
        }

    def _init_module(self, module, data, generator):
        init_glorot(module, generator)
