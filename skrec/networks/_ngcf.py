"""NGCF: vectors of items, passed on over the graph of users and items through networks."""

import torch
from torch import nn
from torch.nn.functional import leaky_relu, normalize

from skrec.base import BaseRecommender
from skrec.neural._graph import GraphNetwork
from skrec.neural._graph_estimator import GRAPH_CONSTRAINTS, GraphRecommenderMixin
from skrec.neural._layers import batch_linear, init_glorot

SLOPE = 0.2  # of negative values
# Scores are sums of cosines, of which a softmax over many items makes little.
SHARPNESS = 10.0


class Layer(nn.Module):
    """What a node becomes with the mean of itself and its neighbours.

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
        linear, products = self.means(means), self.products(node * means)
        return leaky_relu(linear, SLOPE) + leaky_relu(products, SLOPE)


class NGCFModule(GraphNetwork):
    """The layers of each node, side by side."""

    def __init__(self, n_items, n_components, n_layers, **options):
        super().__init__(n_items, n_components, n_layers, **options)
        self.layers = nn.ModuleList(Layer(n_components) for _ in range(n_layers))

    def init(self, generator):
        init_glorot(self, generator)

    def propagate(self):  # -> 2 x (n_items, n_layers * n_components)
        graph, items = self.graph, [self.output.weight]
        users = items[0].new_zeros(len(graph.user_counts), items[0].shape[1])
        for number, layer in enumerate(self.layers, 1):
            sums = graph.of_items(users) if number > 1 else torch.zeros_like(items[0])
            if number < self.n_layers:  # no item reads the users of the last one
                users = layer(users, graph.of_users(items[-1]), graph.user_counts)
            items.append(layer(items[-1], sums, graph.item_counts))
        scored = self._side_by_side(items)
        return torch.cat(items[:-1], dim=1), scored * (SHARPNESS if self.loss == "softmax" else 1)

    def users(self, sums, counts):  # -> (n_rows, n_layers * n_components)
        parts = sums.chunk(self.n_layers, dim=1)
        nodes = [torch.zeros_like(parts[0])]
        for layer, part in zip(self.layers, parts, strict=True):
            nodes.append(layer(nodes[-1], part, counts))
        return self._side_by_side(nodes)

    def _side_by_side(self, nodes):
        """All layers but the first, in which users are zero, of unit length where items rank."""
        if self.loss != "squared_error":
            nodes = [normalize(node) for node in nodes]
        return torch.cat(nodes[1:], dim=1)


class NGCF(GraphRecommenderMixin, BaseRecommender):
    r"""Vectors of items, passed on over the graph through a network in each layer (NGCF).

    A node, user or item, is passed on with the mean :math:`m` of itself and its neighbours:

    .. math::
        e' = \phi(W_1 m + b_1) + \phi(W_2 (e \odot m) + b_2), \qquad
        m = \frac{1}{n + 1} \Big(e + \sum_{k=1}^n e_k\Big),

    where :math:`\phi` is the leaky ReLU, with a slope of 0.2. The first layer of items is learned,
    that of users is zero. A score is the product of all layers of a user and of an item, each of
    unit length: a sum of cosines.

    See Also
    --------
    LightGCN : The same without networks, which is quicker to train.

    Notes
    -----
    As in the authors' code, the mean includes the node itself, each layer is scaled to unit
    length and there are two leaky ReLUs; the paper's formulas have other normalisations and one.
    Without its message dropout, which gained nothing here. Cosines count ten times where
    ``loss="softmax"``.

    The paper's users have vectors of their own in the first layer, which say nothing of new ones.
    Here that layer is zero, and drops out of the scores. A user, known or new, passes
    through the layers on the row alone, over items as the graph of training has made them. Hidden
    entries are left out of the row that predicts them; they stay edges of the graph that items
    are computed with, in which training users are nodes, whether they are in the batch or not.

    With ``loss="squared_error"`` edges weigh what the mean and the offsets of item and user leave
    of a rating, and scores are added to these, as in :class:`~skrec.LightGCN`. Layers keep their
    lengths then, so that training starts from the offsets.

    An update passes all users and items through the layers, forward and backward, whatever the
    size of the batch. ``similar_items`` are those of the largest cosines of `item_embeddings_`.

    References
    ----------
    .. [1] X. Wang, X. He, M. Wang, F. Feng and T.-S. Chua, "Neural Graph Collaborative
       Filtering", SIGIR 2019. :doi:`10.1145/3331184.3331267`, :arxiv:`1905.08108`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import NGCF
    >>> X = np.kron(np.eye(3), np.ones((20, 3)))
    >>> model = NGCF(8, max_iter=30, early_stopping=False, random_state=0).fit(X)
    >>> model.recommend([[0, 1, 1, 0, 0, 0, 0, 0, 0]], k=1)
    array([[0]])
    """

    _module_class = NGCFModule
    _parameter_constraints: dict = GRAPH_CONSTRAINTS

    def __init__(
        self,
        n_components=64,
        *,
        n_layers=2,
        loss="softmax",
        n_negatives=8,
        dropout=0.5,
        l2=0.0,
        learning_rate=0.02,
        batch_size="auto",
        max_iter=100,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=10,
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
