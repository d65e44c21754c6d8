"""FLVAE: a deep variational autoencoder with a focal loss."""

from numbers import Real

import numpy as np
from torch import nn

from skrec.base import BaseRecommender
from skrec.neural._divergences import draw_gaussian, standard_normal_kl
from skrec.neural._estimator import (
    LAYER_CONSTRAINTS,
    TERM_WEIGHT,
    TRAINING_CONSTRAINTS,
    USER_BATCH_CONSTRAINTS,
    check_equal_sizes,
)
from skrec.neural._item_losses import FOCAL_CONSTRAINTS, focal_losses, log_odds, log_of_sigmoids
from skrec.neural._layers import SkipLayers, SparseLinear, batch_linear, init_glorot
from skrec.neural._row_autoencoder import RowAutoencoderMixin
from skrec.utils._compat import Interval


class FLVAEModule(nn.Module):
    """Encoder and decoder with dense skip connections.

    Parameters
    ----------
    n_items, n_components : int
    hidden_layer_sizes, decoder_layer_sizes : sequence of int
        All equal in each, as the layers' outputs are added.
    alpha, gamma, beta : float
    dropout : float
        Probability of an entry to be hidden.
    """

    def __init__(
        self,
        n_items,
        n_components,
        hidden_layer_sizes,
        decoder_layer_sizes,
        *,
        alpha,
        gamma,
        beta,
        dropout,
    ):
        super().__init__()
        self.alpha = alpha
        self.gamma = gamma
        self.beta = beta
        self.dropout = dropout
        width, narrow = hidden_layer_sizes[0], decoder_layer_sizes[0]
        self.encoder = SkipLayers(SparseLinear(n_items, width), width, len(hidden_layer_sizes))
        self.moments = batch_linear(width, 2 * n_components)
        first = batch_linear(n_components, narrow)
        self.decoder = SkipLayers(first, narrow, len(decoder_layer_sizes))
        self.output = batch_linear(narrow, n_items)
        self.shortcut = batch_linear(n_components, n_items)

    def posterior(self, batch):  # -> 2 x (n_rows, n_components)
        return self.moments(self.encoder(batch.normalized())).chunk(2, dim=1)

    def encode(self, batch):  # -> (n_rows, n_components)
        return self.posterior(batch)[0]

    def logits(self, batch, code):  # -> list of (n_rows, n_items)
        """Of the probabilities whose product is that of an item."""
        return [self.output(self.decoder(code)), self.shortcut(code)]

    def scores(self, batch):  # -> (n_rows, n_items)
        return log_of_sigmoids(*self.logits(batch, self.encode(batch)))

    def forward(self, batch, generator, progress):  # -> (n_rows,)
        visible, hidden = batch.split(self.dropout, generator)
        mean, log_var = self.posterior(visible)
        code = draw_gaussian(mean, log_var, generator)
        log_p = log_of_sigmoids(*self.logits(visible, code))
        loss = focal_losses(log_p, hidden, visible, alpha=self.alpha, gamma=self.gamma)
        return loss + self.beta * standard_normal_kl(mean, log_var)


class FLVAE(RowAutoencoderMixin, BaseRecommender):
    r"""Deep variational autoencoder with a focal loss, trained to find hidden items (FLVAE).

    At each update a random part of each user's items is hidden. The others, scaled to unit length,
    are encoded as a Gaussian :math:`q(z | x)`, by layers each of which gets the sum of the outputs
    of all before it. An item's probability is the product of two: :math:`p = \sigma(f(z))\,
    \sigma(g(z))` with a decoder :math:`f` of such layers and a linear one :math:`g`. The loss is
    the focal loss of the items that are not among the input, with :math:`y_i = 1` for the hidden
    ones, and the divergence of the code:

    .. math::
        -\sum_i \alpha\, y_i (1 - p_i)^\gamma \log p_i
        + (1 - \alpha) (1 - y_i)\, p_i^\gamma \log (1 - p_i)
        + \beta \operatorname{KL}\big(q(z | x) \,\|\, N(0, I)\big).

    Scores are :math:`\log p` of the mean code given all that is known of a user.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, default=(200,)
        Widths of the encoder's hidden layers, which must be equal, as their outputs are added.
    decoder_layer_sizes : array-like of int, default=(200,)
        Widths of the decoder's hidden layers, equal too.
    alpha : float, default=0.25
        Weight of the items to be found in the focal loss; that of the others is ``1 - alpha``.
    gamma : float, default=2.0
        Power in the focal loss: items that are predicted well already count for less, the larger
        it is. 0 is the cross-entropy.
    beta : float, default=0.02
        Weight of the KL divergence, a sum over the code. The authors take the mean, which is
        ``beta=1 / n_components``.
    dropout : float, default=0.5
        Probability of an entry to be hidden.

    See Also
    --------
    VASP : The same beside item weights.
    RecVAE : A multinomial likelihood, with an encoder of such layers and a composite prior.

    Notes
    -----
    The paper's network has seven layers of 4096 units in the encoder, five in the decoder and a
    code of 2048. The defaults are for some thousand users on a CPU, where larger ones overfit.

    A row without entries gets what the encoder makes of it: an order close to popularity.

    References
    ----------
    .. [1] V. Vančura and P. Kordík, "Deep Variational Autoencoder with Shallow Parallel Path for
       Top-N Recommendation (VASP)", ICANN 2021. :arxiv:`2102.05774`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import FLVAE
    >>> X = np.kron(np.eye(2), np.ones((40, 4)))
    >>> layers = {"hidden_layer_sizes": (16,), "decoder_layer_sizes": (16,)}
    >>> model = FLVAE(8, **layers, learning_rate=0.02, early_stopping=False, random_state=0)
    >>> model.fit(X).recommend([[1, 0, 1, 1, 0, 0, 0, 0]], k=1)
    array([[1]])
    """

    _module_class = FLVAEModule
    _learns_choices = True
    _n_other_factors = 1  # of a probability, beside that of the decoder

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **USER_BATCH_CONSTRAINTS,
        **LAYER_CONSTRAINTS,
        **FOCAL_CONSTRAINTS,
        "decoder_layer_sizes": ["array-like"],
        "beta": [TERM_WEIGHT],
        "dropout": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        n_components=100,
        *,
        hidden_layer_sizes=(200,),
        decoder_layer_sizes=(200,),
        alpha=0.25,
        gamma=2.0,
        beta=0.02,
        dropout=0.5,
        learning_rate=0.002,
        batch_size="auto",
        max_iter=100,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=6,
        warm_start=False,
        callbacks=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.decoder_layer_sizes = decoder_layer_sizes
        self.alpha = alpha
        self.gamma = gamma
        self.beta = beta
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
            "decoder_layer_sizes": check_equal_sizes(
                self.decoder_layer_sizes, self, "decoder_layer_sizes"
            ),
            "alpha": self.alpha,
            "gamma": self.gamma,
            "beta": self.beta,
            "dropout": self.dropout,
        }

    def _init_module(self, module, data, generator):
        init_glorot(module, generator)
        module.output.bias.data.copy_(log_odds(data))

    def _batch_cost(self, n_users, n_items):
        # Bytes of a user and item: those of the focal loss, and of the other factors.
        n_bytes = 48 + 8 * self._n_other_factors
        return n_bytes * min(self._n_batch_users(n_users), n_users) * n_items, n_users

    def _outputs(self, module, batch):
        return module.scores(batch)

    def _introduce(self, change, n_known):
        super()._introduce(change, n_known)
        # All factors of the probability are one half without weights, but for that of `output`.
        for name in ("output.weight", "shortcut.weight", "shortcut.bias"):
            self._weights[name][n_known:] = 0
        level = self._weights["output.bias"][n_known:] + self._n_other_factors * np.log(2)
        level = np.minimum(level, -1e-6)
        self._weights["output.bias"][n_known:] = level - np.log(-np.expm1(level))
