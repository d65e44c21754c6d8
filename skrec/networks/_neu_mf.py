"""NeuMF: a product of vectors and a perceptron over both, of a user and an item."""

import torch
from torch import nn

from skrec.base import BaseRecommender
from skrec.neural._estimator import LAYER_CONSTRAINTS, check_hidden_layer_sizes
from skrec.neural._layers import init_glorot, linear
from skrec.neural._pooled_network import POOLED_CONSTRAINTS, PooledNetwork, PooledNetworkMixin
from skrec.utils._compat import StrOptions


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
        self.init_vectors(generator)
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


class NeuMF(PooledNetworkMixin, BaseRecommender):
    r"""Neural matrix factorisation: a product of vectors, and a perceptron over them (NeuMF).

    A user with vectors :math:`p, p'` gives an item with :math:`q, q'` and an offset :math:`b` the
    score

    .. math::
        \underbrace{w^\top (p \circ q)}_\text{GMF} +
        \underbrace{h^\top a_L(\dots a_1(V p' + W q' + c) \dots)}_\text{MLP} + b

    with rectified layers :math:`a`. The items' vectors are parameters. Those of a user, which the
    paper learns, would say nothing of new ones: they are pooled from a second table of vectors,
    :math:`p = n^{-1/2} \sum_j u_j` over the `n` items of the row. For training a choice is left
    out of the vectors that it is scored by. Its loss counts with :math:`n^{-1/2}`.

    With ``loss="squared_error"`` scores are ratings, less offsets. Then
    :math:`p = n^{-1/2} \sum_j (u_j + e_j v_j)`, where :math:`e_j` is what the rating is above the
    offsets of the item and of the user.

    Parameters
    ----------
    n_components : int
        Length of the vectors of each part.
    hidden_layer_sizes : array-like of int
        Widths of the layers of the perceptron. With none of them it is linear, and the same for
        all users but for a constant.
    parts : {"both", "gmf", "mlp"}
        Whether the score is the sum of both parts, or one of them alone.

    See Also
    --------
    BPR : The product with fixed weights, often better and always quicker.
    ConvNCF : Convolutions over the outer product of both vectors.

    Notes
    -----
    The paper trains the parts alone first, and starts both from them. Here both start together,
    the product as that of a matrix factorisation.

    The first layer is computed once for each user and once for each item, so that a pair costs
    the others: with the default ones, scores of a million pairs take 6e8 multiplications.

    References
    ----------
    .. [1] X. He, L. Liao, H. Zhang, L. Nie, X. Hu and T.-S. Chua, "Neural Collaborative
       Filtering", WWW 2017. :doi:`10.1145/3038912.3052569`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import NeuMF
    >>> X = np.kron(np.eye(3), np.ones((20, 4)))
    >>> model = NeuMF(8, hidden_layer_sizes=(16,), max_iter=20, random_state=0).fit(X)
    >>> model.recommend([[0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0]], k=1)
    array([[7]])
    """

    _module_class = NeuMFModule
    _parameter_constraints: dict = {
        **POOLED_CONSTRAINTS,
        "hidden_layer_sizes": LAYER_CONSTRAINTS["hidden_layer_sizes"],
        "parts": [StrOptions({"both", "gmf", "mlp"})],
    }

    def __init__(
        self,
        n_components=64,
        *,
        hidden_layer_sizes=(32, 16),
        parts="both",
        loss="cross_entropy",
        n_negatives=4,
        dropout=0.5,
        l2=None,
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
            **self._network_options(),
        }
