"""LightGCN: vectors of items, averaged over the graph of users and items."""

from torch import nn

from skrec.base import BaseRecommender
from skrec.neural._graph import GraphNetwork
from skrec.neural._graph_estimator import GRAPH_CONSTRAINTS, GraphRecommenderMixin

START = 0.1  # standard deviation of the first vectors


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


class LightGCN(GraphRecommenderMixin, BaseRecommender):
    r"""Vectors of items, averaged over the graph of users and items (LightGCN).

    With the numbers of entries of rows and columns in :math:`D_U` and :math:`D_I`, the choices
    are normalised to :math:`R = D_U^{-1/2} X D_I^{-1/2}`. A layer of the network is the one
    before, multiplied by :math:`R` (users) or :math:`R^\top` (items), and a node is the mean of
    its layers. The first is :math:`E` for items, which is all that is learned, and zero for
    users. So a user of `n` items, known or new, with the row :math:`x` is scored by

    .. math::
        \frac{1}{(L + 1)^2} \, \frac{x D_I^{-1/2}}{\sqrt{n}} H_{\lceil L/2 \rceil - 1} E
        \, \big(H_{\lfloor L/2 \rfloor} E\big)^\top, \qquad
        H_k = I + P + \dots + P^k, \quad P = R^\top R

    with :math:`L` layers: for three, both are :math:`I + P`.

    See Also
    --------
    NGCF : A network in each layer.
    GraphFilter : The same graph, in closed form.
    BPR : Vectors of items without a graph.

    Notes
    -----
    The paper's users have vectors of their own, which say nothing of new ones. Here they are
    zero, which leaves a linear model of the row, of rank `n_components`. Hidden entries are
    left out of the row, and of its `n`. They remain in :math:`P`, which counts all training users,
    whether they are in the batch or not.

    With ``loss="squared_error"`` the entries of :math:`X` and :math:`x` are what the mean and the
    offsets of item and user leave of the ratings, and the scores are added to these. The offsets
    of items are those of :class:`~skrec.BiasBaseline`, and a user's is the mean of what they
    leave, shrunk as there.

    An update takes two passes over all edges for each two layers, forward and backward, whatever
    the size of the batch. Nothing items x items is made. A user without entries has the score 0
    everywhere. ``similar_items`` are those of the largest cosines of `item_embeddings_`.

    References
    ----------
    .. [1] X. He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for
       Recommendation", SIGIR 2020. :doi:`10.1145/3397271.3401063`, :arxiv:`2002.02126`

    Examples
    --------
    >>> from skrec import LightGCN
    >>> X = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0]]
    >>> LightGCN(8, early_stopping=False, random_state=0).fit(X).recommend([[0, 0, 0, 1]], k=1)
    array([[2]])
    """

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
        learning_rate=0.05,
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
