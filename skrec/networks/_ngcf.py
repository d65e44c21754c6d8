"""NGCF: vectors of items, passed on over the graph of users and items through networks."""

import torch
from torch import nn
from torch.nn.functional import leaky_relu, normalize

from skrec.base import BaseRecommender
from skrec.neural._graph import GraphNetwork
from skrec.neural._graph_estimator import GRAPH_CONSTRAINTS, GraphRecommenderMixin
from skrec.neural._layers import batch_linear, init_glorot


class Layer(nn.Module):
    """What a node makes of the mean of its neighbours and itself.

    Parameters
    ----------
    n_components : int
    """

    def __init__(self, n_components):
        super().__init__()
        self.means = batch_linear(n_components, n_components)
        self.products = batch_linear(n_components, n_components)

    def forward(self, node, sums, counts):  # -> (n_nodes, n_components)
        means = (sums + node) / (counts + 1)
        return leaky_relu(self.means(means), SLOPE) + leaky_relu(self.products(node * means), SLOPE)


SLOPE = 0.2
SCALE = 10


class NGCFModule(GraphNetwork):
    def __init__(self, n_items, n_components, n_layers, **options):
        super().__init__(n_items, n_components, n_layers, **options)
        self.layers = nn.ModuleList(Layer(n_components) for _ in range(n_layers))

    def init(self, generator):
        init_glorot(self, generator)

    def propagate(self):  # -> 2 x (n_items, n_layers * n_components)
        graph, nodes = self.graph, [self.output.weight]
        user, from_users = None, torch.zeros_like(nodes[0])
        for number, layer in enumerate(self.layers, 1):
            if number < self.n_layers:
                sums = graph.of_users(nodes[-1])
                user = torch.zeros_like(sums) if user is None else user
                next_user = layer(user, sums, graph.user_counts)
            nodes.append(layer(nodes[-1], from_users, graph.item_counts))
            if number < self.n_layers:
                user, from_users = next_user, graph.of_items(next_user)
        # The first layer of users is zero, and adds nothing to a product.
        return torch.cat(nodes[:-1], dim=1), torch.cat([normalize(n) for n in nodes[1:]], dim=1) * SCALE

    def users(self, sums, counts):  # -> (n_rows, n_layers * n_components)
        parts = sums.chunk(self.n_layers, dim=1)
        nodes = [torch.zeros_like(parts[0])]
        for layer, part in zip(self.layers, parts, strict=True):
            nodes.append(layer(nodes[-1], part, counts))
        return torch.cat([normalize(node) for node in nodes[1:]], dim=1)


class NGCF(GraphRecommenderMixin, BaseRecommender):
    """NGCF."""

    _module_class = NGCFModule
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
        learning_rate=0.01,
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
