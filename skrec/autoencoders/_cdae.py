"""CDAE: a denoising autoencoder that is trained to tell a user's items from drawn ones."""

from dataclasses import replace
from numbers import Integral, Real

import torch
from torch import nn

from skrec.base import BaseRecommender, SimilarItemsMixin
from skrec.base._factors import cosines
from skrec.neural import _negative_sampling as sampling
from skrec.neural._estimator import TERM_WEIGHT, TRAINING_CONSTRAINTS, USER_BATCH_CONSTRAINTS
from skrec.neural._layers import linear, weighted_sums
from skrec.neural._row_autoencoder import RowAutoencoderMixin
from skrec.neural._weights import fitted_weights
from skrec.utils._compat import Interval, StrOptions

ACTIVATIONS = {"logistic": torch.sigmoid, "tanh": torch.tanh, "identity": nn.Identity()}
# By name, with the score of a negative that costs nothing: where there is none to draw.
LOSSES = {
    "cross_entropy": (sampling.sampled_cross_entropy, -torch.inf),
    "squared_error": (sampling.sampled_squared_error, 0.0),
}
OPTION_CONSTRAINTS = {
    "activation": [StrOptions(set(ACTIVATIONS))],
    "tied": ["boolean"],
    "loss": [StrOptions(set(LOSSES))],
    "n_negatives": [Interval(Integral, 1, None, closed="left")],
    "user_power": [Interval(Real, 0, None, closed="left")],
    "input_power": [Interval(Real, 0, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left")],
}


class CDAEModule(nn.Module):
    """One hidden layer, and outputs of some items of each row.

    Parameters
    ----------
    n_items, n_components : int
    activation : {"tanh", "logistic", "identity"}
    tied : bool
    loss : {"cross_entropy", "squared_error"}
    n_negatives : int
    user_power, input_power, dropout : float
    """

    def __init__(
        self,
        n_items,
        n_components,
        *,
        activation,
        tied,
        loss,
        n_negatives,
        user_power,
        input_power,
        dropout,
    ):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.loss, self.missing = LOSSES[loss]
        self.n_negatives = n_negatives
        self.user_power = user_power
        self.input_power = input_power
        self.dropout = dropout
        self.history = None if tied else nn.Parameter(torch.empty(n_items, n_components))
        self.bias = nn.Parameter(torch.empty(n_components))
        self.output = linear(n_components, n_items)

    def init(self, generator):
        """Draw the first vectors; all biases start at 0."""
        for weights in self.parameters():
            if weights.ndim == 2:
                nn.init.xavier_uniform_(weights, generator=generator)
            else:
                nn.init.zeros_(weights)

    def encode(self, batch):  # -> (n_rows, n_components)
        return self._code(self._inputs(batch))

    def hidden(self, code):  # -> (n_rows, n_components)
        return code

    def forward(self, batch, generator, progress):  # -> (n_rows,)
        code = self._code(self._inputs(batch).dropped_out(self.dropout, generator))
        negatives = sampling.draw_negatives(batch, self.n_negatives, generator)
        positive, negative = sampling.sampled_outputs(
            code, self.output, batch, negatives, self.missing
        )
        losses = batch.sum_rows(self.loss(positive, negative))
        return losses * self._powers(batch, self.user_power)

    def _inputs(self, batch):
        return replace(batch, values=self._powers(batch, self.input_power)[batch.rows])

    def _powers(self, batch, power):
        return batch.offsets.diff().clamp(min=1).to(self.bias.dtype) ** -power

    def _code(self, batch):
        table = self.output.weight if self.history is None else self.history
        return self.activation(weighted_sums(table, batch) + self.bias)


class CDAE(RowAutoencoderMixin, SimilarItemsMixin, BaseRecommender):
    r"""Collaborative denoising autoencoder, trained on drawn negatives (CDAE).

    A user's `n` items, a share of them dropped, are encoded as
    :math:`z = h\big(n^{-a} \sum_i w_i + b\big)`, whatever their values, and items are scored by
    :math:`f_j = z^\top v_j + c_j`. In training, each of the user's items, the dropped ones
    included, is told from negatives `k` drawn among the items that the user has not:

    .. math::
        \text{cross entropy: } -\log \sigma(f_j) - \sum_k \log \sigma(-f_k), \qquad
        \text{squared error: } \tfrac12 (1 - f_j)^2 + \tfrac12 \sum_k f_k^2

    The paper adds a vector of the user to the code, which says nothing of new users: there is none
    here. So a user is known by the row alone.

    Parameters
    ----------
    n_components : int
        Length of the code: the number of hidden units.
    activation : {"tanh", "logistic", "identity"}
        The function :math:`h` of the hidden units.
    tied : bool
        Whether the items have one vector each, :math:`v_i = w_i`.
    loss : {"cross_entropy", "squared_error"}
        What is summed over a user's items.
    n_negatives : int
        Items drawn for each item of a user, anew at each pass, all as likely.
    l2 : float
        Penalty on the squared vectors, in units of the loss of a user.
    user_power : float
        The loss of a user of `n` items is divided by `n` to this power.
    input_power : float
        The exponent :math:`a`. With 0, codes grow with the number of items.
    dropout : float
        Probability of dropping an item from the input; the others count for more instead.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_components)
        The vectors :math:`v` of the output layer.

    See Also
    --------
    MultDAE : The same network with a likelihood of all items in place of drawn ones.
    BPR : Drawn negatives too, each ranked behind the user's item.

    Notes
    -----
    The outputs are computed at the user's items and the negatives alone. So an epoch takes time by
    the stored entries times ``1 + n_negatives``, whatever the number of items, but for the step of
    Adam after each batch. For some thousand items :class:`MultDAE`, which computes all of them as
    one product of matrices, is as quick.

    The settings of the paper are ``activation="logistic"``, ``tied=True``, ``user_power=0`` and
    ``input_power=0``, with AdaGrad in place of Adam.

    References
    ----------
    .. [1] Y. Wu, C. DuBois, A. X. Zheng and M. Ester, "Collaborative Denoising Auto-Encoders for
       Top-N Recommender Systems", WSDM 2016. :doi:`10.1145/2835776.2835837`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import CDAE
    >>> X = np.kron(np.eye(3), np.ones((20, 4)))
    >>> model = CDAE(8, learning_rate=0.01, early_stopping=False, random_state=0).fit(X)
    >>> model.recommend([[0] * 8 + [1, 1, 1, 0]], k=1)
    array([[11]])
    """

    _module_class = CDAEModule
    _learns_choices = True
    item_embeddings_ = fitted_weights("output.weight", "Vectors of the output layer.")
    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **USER_BATCH_CONSTRAINTS,
        **OPTION_CONSTRAINTS,
        "l2": [TERM_WEIGHT],
    }

    def __init__(
        self,
        n_components=200,
        *,
        activation="tanh",
        tied=False,
        loss="cross_entropy",
        n_negatives=5,
        l2=1e-6,
        user_power=1.0,
        input_power=0.5,
        dropout=0.3,
        learning_rate=0.003,
        batch_size="auto",
        max_iter=100,
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
        self.activation = activation
        self.tied = tied
        self.loss = loss
        self.n_negatives = n_negatives
        self.l2 = l2
        self.user_power = user_power
        self.input_power = input_power
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
        return {name: getattr(self, name) for name in ("n_components", *OPTION_CONSTRAINTS)}

    def _init_module(self, module, data, generator):
        module.init(generator)

    def _trainer_options(self, data):
        decay = {"weight_decay": 2 * self.l2}  # the gradient of l2 * ||W||^2
        groups = [("output.weight", decay), *([] if self.tied else [("history", decay)])]
        return {**super()._trainer_options(data), "optimizer__param_groups": groups}

    def _batch_cost(self, n_users, n_items):
        # Of pairs of entries and negatives, if each user has one entry; no layer is dense.
        return 40 * min(self._n_batch_users(n_users), n_users) * (1 + int(self.n_negatives)), 0

    def _similarities(self, items):
        return cosines(self.item_embeddings_, items)
