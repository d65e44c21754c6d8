"""NBVAE: a variational autoencoder of counts that vary more than a Poisson's."""

from copy import deepcopy
from numbers import Integral

import numpy as np
import torch
from torch.nn.functional import softplus

from skrec.autoencoders._mult_vae import MultVAEModule
from skrec.base import BaseRecommender
from skrec.neural._estimator import (
    LAYER_CONSTRAINTS,
    TERM_WEIGHT,
    TRAINING_CONSTRAINTS,
    USER_BATCH_CONSTRAINTS,
    check_hidden_layer_sizes,
)
from skrec.neural._layers import init_glorot, linear
from skrec.neural._likelihood_autoencoder import LARGEST_TOTAL, LikelihoodAutoencoderMixin
from skrec.neural._likelihoods import (
    LOG_R_RANGE,
    any_count_nll_,
    negative_binomial_nll_,
    outputs_nll,
)
from skrec.utils._compat import Interval, StrOptions
from skrec.utils._validation import check_interactions

LARGEST_EXPONENT = 60.0  # of the odds that counts are drawn with
TINY = torch.finfo(torch.float32).tiny
NLLS = {"negative_binomial": negative_binomial_nll_, "bernoulli": any_count_nll_}


class NBVAEModule(MultVAEModule):
    """Mult-VAE's encoder, and two decoders: of the logarithm of r, and of the odds.

    Parameters
    ----------
    As of MultVAEModule; likelihood : {"negative_binomial", "bernoulli"}
    """

    def __init__(self, n_items, *sizes, **options):
        super().__init__(n_items, *sizes, **options)
        self.odds_decoder = deepcopy(self.decoder)
        self.odds_output = linear(self.output.in_features, n_items)

    def start_at(self, means):
        """Set the first biases to what gives these mean counts where the odds are even."""
        log_r = torch.from_numpy(np.log(means).astype(np.float32))
        self.output.bias.data = log_r.clamp_(*LOG_R_RANGE)

    def decode(self, code):  # -> 2 x (n_rows, n_items)
        log_r = self.output(self.hidden(code)).clamp(*LOG_R_RANGE)
        return log_r, self.odds_output(self.odds_decoder(code))

    def scores(self, code):  # -> (n_rows, n_items)
        log_r, logits = self.decode(code)
        if self.likelihood == "negative_binomial":
            return log_r + logits
        m = (log_r.exp() * softplus(logits)).clamp(min=TINY)
        return m + torch.expm1(-m).neg().log()

    def nll(self, code, batch):  # -> (n_rows,)
        return outputs_nll(
            [self.hidden(code), self.odds_decoder(code)],
            [self.output, self.odds_output],
            NLLS[self.likelihood],
            batch,
        )


class NBVAE(LikelihoodAutoencoderMixin, BaseRecommender):
    r"""Variational autoencoder with a negative binomial likelihood (NBVAE).

    Counts of items, such as plays, vary more than those of a multinomial distribution, whose items
    compete for a given number of draws. Here a code :math:`z`, of a row as in :class:`MultVAE`,
    is decoded twice, as :math:`r_i = e^{g_i(z)}` and :math:`h_i(z)`, and a count has the negative
    binomial distribution with the mean :math:`\mu_i = r_i e^{h_i}`, independently of the others:

    .. math::
        P(y) = \frac{\Gamma(y + r)}{\Gamma(r)\, y!} \sigma(h)^y \sigma(-h)^r,
        \qquad \operatorname{Var}(y) = \mu (1 + e^h).

    Of zeros and ones it is learned from that a one is a count above zero, as most often is what
    made X binary: :math:`P(x = 0) = \sigma(-h)^r` (NBVAE_b). Items are ranked by :math:`\mu_i` or
    by :math:`P(x_i = 1)`.

    Parameters
    ----------
    likelihood : {"auto", "negative_binomial", "bernoulli"}
        What the entries are. "negative_binomial": counts. "bernoulli": ones, and zeros elsewhere.
        "auto": "bernoulli" if all entries of X are ones, else "negative_binomial".
    beta : float
        What the KL divergence of the code counts for, once `n_annealing_updates` are over.
    n_annealing_updates : int
        The weight of the divergence grows by one over this number with each update, up to `beta`.
        0: it is `beta` throughout.

    Attributes
    ----------
    likelihood_ : {"negative_binomial", "bernoulli"}
        The likelihood that X was explained by.
    item_embeddings_ : ndarray of shape (n_items, n_hidden)
        Weights of the output layer for :math:`g`.

    See Also
    --------
    MultVAE : Half as expensive, with a multinomial likelihood.
    MultDAE : The quickest of its kind.

    Notes
    -----
    All items are computed, by two output layers instead of one; of the logarithms of gamma
    functions only those at the stored entries are needed. In single precision these want `r` to be
    between 1e-6 and 1e4, which it is kept to.

    Biases of the output start where all users are alike and items as popular as in X. The paper's
    settings are ``hidden_layer_sizes=(600,)``, ``beta=0.2``, ``n_annealing_updates=20_000``,
    ``learning_rate=0.001`` and ``batch_size=500``.

    References
    ----------
    .. [1] H. Zhao, P. Rai, L. Du, W. Buntine, D. Phung and M. Zhou, "Variational Autoencoders for
       Sparse and Overdispersed Discrete Data", AISTATS 2020. :arxiv:`1905.00616`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import NBVAE
    >>> X = np.kron(np.eye(2), np.full((40, 3), 2))
    >>> model = NBVAE(8, learning_rate=0.01, early_stopping=False, random_state=0).fit(X)
    >>> model.likelihood_, model.recommend([[2, 1, 0, 0, 0, 0]], k=1)
    ('negative_binomial', array([[2]]))
    """

    _module_class = NBVAEModule
    _counts = "negative_binomial"

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **USER_BATCH_CONSTRAINTS,
        **LAYER_CONSTRAINTS,
        "likelihood": [StrOptions({"auto", "negative_binomial", "bernoulli"})],
        "beta": [TERM_WEIGHT],
        "n_annealing_updates": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components=200,
        *,
        hidden_layer_sizes=(),
        likelihood="auto",
        beta=0.1,
        n_annealing_updates=1000,
        dropout=0.5,
        learning_rate=0.002,
        batch_size="auto",
        max_iter=200,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=20,
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
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _module_options(self, data):
        return {
            "n_components": self.n_components,
            "hidden_layer_sizes": check_hidden_layer_sizes(self.hidden_layer_sizes),
            "likelihood": self.likelihood_,
            "dropout": self.dropout,
            "beta": self.beta,
            "n_annealing_updates": self.n_annealing_updates,
        }

    def _init_module(self, module, data, generator):
        init_glorot(module, generator)
        totals = data.sum(axis=0, dtype=np.float64)
        module.start_at((totals + 1) / (data.shape[0] + 1))

    @property
    def _likelihood(self):
        return self.likelihood_

    def _check_training(self, X, reset):
        X = check_interactions(X, estimator=self, reset=reset)
        if self.likelihood != "auto":
            self.likelihood_ = self.likelihood
        elif reset or not hasattr(self, "likelihood_"):
            self.likelihood_ = "bernoulli" if (X.data == 1).all() else "negative_binomial"
        self._check_values(X)
        return X

    def _levels_of_new_items(self, old, new):
        levels = super()._levels_of_new_items(old, new)
        if self.likelihood_ == "bernoulli":  # what `scores` makes of even odds, the other way
            m = np.maximum(np.logaddexp(0, levels), TINY)
            levels = np.log(m / np.log(2))
        return levels.clip(*LOG_R_RANGE)

    def _batch_cost(self, n_users, n_items):
        return 13 * min(self._n_batch_users(n_users), n_users) * n_items, n_users

    def _outputs(self, module, batch):
        return module.scores(module.encode(batch))

    def _drawn_by(self, module, code):
        if self._options["likelihood"] == "bernoulli":
            return module.scores(code)
        return torch.cat(module.decode(code), dim=1)

    def _draw_rows(self, outputs, totals, rng):
        if self._options["likelihood"] == "bernoulli":
            return super()._draw_rows(outputs, totals, rng)
        log_r, logits = np.hsplit(outputs.astype(np.float64), 2)
        rates = rng.standard_gamma(np.exp(log_r)) * np.exp(np.minimum(logits, LARGEST_EXPONENT))
        return rng.poisson(np.minimum(rates, LARGEST_TOTAL))
