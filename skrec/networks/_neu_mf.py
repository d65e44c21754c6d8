"""NeuMF: a product of vectors and a perceptron over both, of a user and an item."""

from numbers import Integral, Real

import torch
from torch import nn

from skrec.base import BaseRecommender
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.neural._estimator import (
    BATCH_CONSTRAINTS,
    LAYER_CONSTRAINTS,
    TRAINING_CONSTRAINTS,
    check_hidden_layer_sizes,
)
from skrec.neural._layers import init_glorot, linear
from skrec.neural._pooled_rows import PooledNetwork
from skrec.neural._rating_or_ranking import RatingOrRankingMixin
from skrec.neural._weights import fitted_weights
from skrec.utils._compat import Interval, StrOptions


class NeuMFModule(PooledNetwork):
    """A weighted product of two vectors, a perceptron over two others, or the sum of both.

    Parameters
    ----------
    n_items, n_components : int
    hidden_layer_sizes : list of int
    parts : {"both", "gmf", "mlp"}
    **options
        Of :class:`PooledNetwork`.
    """

    def __init__(self, n_items, n_components, hidden_layer_sizes, *, parts, **options):
        super().__init__(n_items, n_components * (2 if parts == "both" else 1), **options)
        self.n_products = 0 if parts == "mlp" else n_components
        self.weights = nn.Parameter(torch.empty(self.n_products)) if self.n_products else None
        self.has_tower = parts != "gmf"
        if self.has_tower:
            first, *others = [*hidden_layer_sizes, 1]
            self.user_first = linear(n_components, first, bias=False)
            self.item_first = linear(n_components, first)
            self.tower = nn.ModuleList()
            for n_outputs in others:
                self.tower.append(linear(first, n_outputs))
                first = n_outputs

    def init(self, generator):
        init_glorot(self, generator)
        self.init_vectors(START, generator)
        if self.n_products:
            nn.init.ones_(self.weights)

    def user_side(self, vectors):  # -> (n_users, n_products + n_hidden)
        return self._side(vectors, "user_first", self.weights)

    def item_side(self):  # -> (n_items, n_products + n_hidden)
        return self._side(self.output.weight, "item_first", None)

    def _side(self, vectors, first, weights):
        products = vectors[:, : self.n_products]
        parts = [products if weights is None else products * weights]
        if self.has_tower:
            parts.append(getattr(self, first)(vectors[:, self.n_products :]))
        return torch.cat(parts, dim=1)

    def interact(self, users, items):
        n = self.n_products
        scores = torch.matmul(items[..., :n], users[:, :n, None])[..., 0]
        if not self.has_tower:
            return scores
        hidden = users[:, None, n:] + items[..., n:]
        for layer in self.tower:
            hidden = layer(torch.relu_(hidden))
        return scores + hidden[..., 0]


START = 0.1


class NeuMF(RatingOrRankingMixin, BaseRecommender):
    """NeuMF."""

    _module_class = NeuMFModule
    item_embeddings_ = fitted_weights("output.weight", "Vectors of the items.")
    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **BATCH_CONSTRAINTS,
        **LAYER_CONSTRAINTS,
        **RATING_CONSTRAINTS,
        "parts": [StrOptions({"both", "gmf", "mlp"})],
        "loss": [StrOptions({"cross_entropy", "bpr", "squared_error"})],
        "n_negatives": [Interval(Integral, 1, None, closed="left")],
        "l2": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components=32,
        *,
        hidden_layer_sizes=(64, 32, 16),
        parts="both",
        loss="cross_entropy",
        n_negatives=4,
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.parts = parts
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
            "hidden_layer_sizes": check_hidden_layer_sizes(self.hidden_layer_sizes),
            "parts": self.parts,
            "loss": self.loss,
            "n_negatives": self.n_negatives,
            "dropout": self.dropout,
        }

    def _init_module(self, module, data, generator):
        module.init(generator)
        self._start_offsets(module, data)

    def _trainer_options(self, data):
        # The trainer takes the mean over users, and Adam adds weight_decay * W to the gradient.
        decay = {"weight_decay": self.l2 / data.shape[0]}
        return {
            **super()._trainer_options(data),
            "optimizer__param_groups": [
                (name, decay) for name in ("history", "rated", "output.weight")
            ],
        }

    @property
    def _n_features_out(self):
        return self.item_embeddings_.shape[1]
