"""LightGCN: vectors of items, averaged over the graph of users and items."""

import torch
from torch import nn

from skrec.base import BaseRecommender
from skrec.neural._graph import GraphNetwork
from skrec.neural._graph_estimator import GRAPH_CONSTRAINTS, GraphRecommenderMixin


class LightGCNModule(GraphNetwork):
    """Means of the layers of a symmetrically normalised graph.

    Two layers further, the items' vectors are multiplied by the same matrix again. Layers of
    items with an odd number are zero, and so are those of users with an even one.
    """

    def init(self, generator):
        nn.init.normal_(self.output.weight, std=START, generator=generator)

    def propagate(self):  # -> 2 x (n_items, n_components)
        user_scales = self.graph.user_counts.clamp(min=1).reciprocal()
        item_scales = self.graph.item_counts.clamp(min=1).rsqrt()
        layers = [self.output.weight]
        for _ in range(self.n_layers // 2):
            means = self.graph.of_users(layers[-1] * item_scales) * user_scales
            layers.append(self.graph.of_items(means) * item_scales)
        n_read = (self.n_layers + 1) // 2  # those that the layers of users are made of
        read = sum(layers[:n_read])
        items = read if n_read == len(layers) else read + layers[-1]
        has_users = self.graph.item_counts > 0
        share = 1 / (self.n_layers + 1)
        return read * (item_scales * has_users * share), items * share

    def users(self, sums, counts):  # -> (n_rows, n_components)
        return sums * counts.clamp(min=1).rsqrt()


START = 0.1


class LightGCN(GraphRecommenderMixin, BaseRecommender):
    """LightGCN."""

    _module_class = LightGCNModule
    _parameter_constraints: dict = GRAPH_CONSTRAINTS

    def __init__(
        self,
        n_components=64,
        *,
        n_layers=3,
        loss="softmax",
        n_negatives=8,
        dropout=0.5,
        l2=0.0,
        learning_rate=0.1,
        batch_size="auto",
        max_iter=100,
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
        self.n_layers = n_layers
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

    def _init_module(self, module, data, generator):
        module.init(generator)
