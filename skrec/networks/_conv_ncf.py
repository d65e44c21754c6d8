"""ConvNCF: convolutions over the outer product of a user's and an item's vector."""

from numbers import Integral, Real

import torch
from torch import nn

from skrec.base import BaseRecommender
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.neural._estimator import BATCH_CONSTRAINTS, LAYER_CONSTRAINTS, TRAINING_CONSTRAINTS
from skrec.neural._layers import init_glorot, linear
from skrec.neural._pooled_rows import PooledNetwork
from skrec.neural._rating_or_ranking import RatingOrRankingMixin
from skrec.neural._weights import fitted_weights
from skrec.utils._compat import Interval, StrOptions


class ConvNCFModule(PooledNetwork):
    """Convolutions of 2 x 2, without overlap, until one position is left of the outer product.

    The first is linear in the user's vector, and its share of it is computed once for each user:
    there is no array of the outer product.

    Parameters
    ----------
    n_items, n_components : int
        The latter a power of two.
    n_channels : int
    **options
        Of :class:`PooledNetwork`.
    """

    def __init__(self, n_items, n_components, n_channels, **options):
        super().__init__(n_items, n_components, **options)
        self.n_channels = n_channels
        self.filters = nn.Parameter(torch.empty(2, 2, n_channels))
        self.bias = nn.Parameter(torch.empty(n_channels))
        self.convolutions = nn.ModuleList(
            linear(4 * n_channels, n_channels) for _ in range(n_components.bit_length() - 2)
        )
        self.score = linear(n_channels, 1, bias=False)

    def init(self, generator):
        """Draw the weights, but let the network start as the inner product of the vectors.

        Two channels carry its positive and its negative part down the diagonal, and ignore the
        others. Without this, vectors have to be trained by another model before.
        """
        init_glorot(self, generator)
        self.init_vectors(START, generator)
        nn.init.xavier_uniform_(self.filters.view(4, -1), generator=generator)
        nn.init.zeros_(self.bias)
        signs = torch.tensor([1.0, -1.0])
        with torch.no_grad():
            self.filters[..., :2] = torch.eye(2)[..., None] * signs
            for convolution in self.convolutions:
                weights = convolution.weight.view(-1, 4, self.n_channels)[:2]
                weights.zero_()
                weights[:, ::3, :2] = signs[:, None, None] * signs
                nn.init.zeros_(convolution.bias)
            self.score.weight[0, :2] = signs

    def user_side(self, vectors):  # -> (n_users, 2, n_rows * n_channels)
        filtered = torch.einsum("nai,ijc->njac", vectors.unflatten(1, (-1, 2)), self.filters)
        return filtered.flatten(2)

    def item_side(self):  # -> (n_items, n_columns, 2)
        return self.output.weight.unflatten(1, (-1, 2))

    def interact(self, users, items):
        n, n_pairs, size, _ = items.shape
        first = torch.matmul(items.flatten(1, 2), users)
        first = first.view(-1, size, size, self.n_channels) + self.bias
        hidden = torch.relu_(first)
        for convolution in self.convolutions:
            hidden = hidden.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).transpose(2, 3)
            hidden = torch.relu_(convolution(hidden.flatten(3)))
        return self.score(hidden).view(-1, n_pairs)


START = 0.1


class ConvNCF(RatingOrRankingMixin, BaseRecommender):
    """ConvNCF."""

    _module_class = ConvNCFModule
    item_embeddings_ = fitted_weights("output.weight", "Vectors of the items.")
    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **BATCH_CONSTRAINTS,
        **RATING_CONSTRAINTS,
        "n_channels": [Interval(Integral, 1, None, closed="left")],
        "dropout": LAYER_CONSTRAINTS["dropout"],
        "loss": [StrOptions({"cross_entropy", "bpr", "squared_error"})],
        "n_negatives": [Interval(Integral, 1, None, closed="left")],
        "l2": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components=16,
        *,
        n_channels=8,
        loss="bpr",
        n_negatives=1,
        dropout=0.5,
        l2=0.0,
        learning_rate=0.005,
        batch_size=32,
        max_iter=50,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=5,
        clip=True,
        rating_scale=None,
        warm_start=False,
        callbacks=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.n_channels = n_channels
        self.loss = loss
        self.n_negatives = n_negatives
        self.dropout = dropout
        self.l2 = l2
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
            "n_channels": self.n_channels,
            "loss": self.loss,
            "n_negatives": self.n_negatives,
            "dropout": self.dropout,
        }

    def _init_module(self, module, data, generator):
        module.init(generator)
        self._start_offsets(module, data)

    def _trainer_options(self, data):
        decay = {"weight_decay": self.l2 / data.shape[0]}
        return {
            **super()._trainer_options(data),
            "optimizer__param_groups": [
                (name, decay) for name in ("history", "rated", "output.weight")
            ],
        }
