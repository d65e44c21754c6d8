"""Mult-DAE: a denoising autoencoder of users' rows."""

from itertools import pairwise

import torch
from torch import nn

from skrec.base import BaseRecommender
from skrec.base._ratings import RATING_CONSTRAINTS
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
from skrec.utils._compat import StrOptions


class MultDAEModule(nn.Module):
    """Encoder and decoder of Mult-DAE.

    Parameters
    ----------
    n_items, n_components : int
    hidden_layer_sizes : sequence of int
        Layers of the encoder before the code; the decoder has them in reverse.
    likelihood : {"multinomial", "bernoulli", "gaussian"}
    dropout : float
    """

    def __init__(self, n_items, n_components, hidden_layer_sizes, *, likelihood, dropout):
        super().__init__()
        self.likelihood = likelihood
        self.dropout = dropout
        encoder_sizes = [*hidden_layer_sizes, n_components]
        self.first = SparseLinear(n_items, encoder_sizes[0])
        self.encoder = _linear_then_tanh(encoder_sizes)
        self.decoder = _linear_then_tanh(encoder_sizes[::-1])
        self.output = linear(encoder_sizes[0], n_items)

    def encode(self, batch):  # -> (n_rows, n_components)
        return self._code(batch.normalized())

    def draw(self, batch, generator):  # -> (n_rows, n_components)
        return self.encode(batch)

    def hidden(self, code):  # -> (n_rows, n_hidden)
        return self.decoder(code)

    def forward(self, batch, generator, progress):  # -> (n_rows,)
        code = self._code(batch.normalized().dropped_out(self.dropout, generator))
        return output_nll(self.hidden(code), self.output, self.likelihood, batch)

    def _code(self, batch):
        return self.encoder(torch.tanh(self.first(batch)))


def _linear_then_tanh(sizes):
    return nn.Sequential(
        *(
            layer
            for n_inputs, n_outputs in pairwise(sizes)
            for layer in (batch_linear(n_inputs, n_outputs), nn.Tanh())
        )
    )


class MultDAE(RatedRowAutoencoderMixin, BaseRecommender):
    r"""Denoising autoencoder with a multinomial likelihood (Mult-DAE).

    A user's row :math:`x`, scaled to unit length and with a share of its entries dropped, is
    encoded as a code :math:`z`, from which the whole row is to be recovered: training maximises
    :math:`\sum_i x_i \log \operatorname{softmax}(f(z))_i`, less a penalty on the weights.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, default=()
        Widths of the layers between the row and the code; the decoder has the same in reverse.
    l2 : float, default=2e-5
        Penalty on the squared weights, biases excepted, in units of the mean negative
        log-likelihood of a user.

    See Also
    --------
    MultVAE : The same with a distribution over codes.
    EASE : A linear model with the same input and output.

    Notes
    -----
    The defaults are those of the paper but for `batch_size`, which is 500 there, for data of the
    size of MovieLens 20M.

    References
    ----------
    .. [1] D. Liang, R. G. Krishnan, M. D. Hoffman and T. Jebara, "Variational Autoencoders for
       Collaborative Filtering", WWW 2018. :doi:`10.1145/3178876.3186150`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import MultDAE
    >>> X = np.kron(np.eye(2), np.ones((30, 5)))
    >>> model = MultDAE(8, learning_rate=0.01, random_state=0).fit(X)
    >>> model.recommend([[1, 1, 1, 1, 0, 0, 0, 0, 0, 0]], k=1)
    array([[4]])
    """

    _module_class = MultDAEModule

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **USER_BATCH_CONSTRAINTS,
        **LAYER_CONSTRAINTS,
        **RATING_CONSTRAINTS,
        "l2": [TERM_WEIGHT],
        "likelihood": [StrOptions({"multinomial", "gaussian", "bernoulli"})],
    }

    def __init__(
        self,
        n_components=200,
        *,
        hidden_layer_sizes=(),
        likelihood="multinomial",
        l2=2e-5,
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
        self.l2 = l2
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
        }

    def _init_module(self, module, data, generator):
        init_glorot(module, generator)
        if self.likelihood == "gaussian":
            nn.init.constant_(module.output.bias, data.data.mean())

    def _trainer_options(self, data):
        # Adam adds weight_decay * W to the gradient; that of l2 * ||W||^2 is 2 * l2 * W.
        return {
            **super()._trainer_options(data),
            "optimizer__param_groups": [("*weight", {"weight_decay": 2 * self.l2})],
        }
