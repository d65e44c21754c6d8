"""ConvNCF: convolutions over the outer product of a user's and an item's vector."""

from numbers import Integral

import torch
from torch import nn

from skrec.base import BaseRecommender
from skrec.neural._layers import init_glorot, linear
from skrec.neural._pooled_network import POOLED_CONSTRAINTS, PooledNetwork, PooledNetworkMixin
from skrec.utils._compat import Interval


class ConvNCFModule(PooledNetwork):
    """Convolutions of 2 x 2, without overlap, until one position is left of the outer product.

    The first is linear in the user's vector, and its share of it is computed once for each user:
    there is no array of the outer product.

    Parameters
    ----------
    n_items, n_components : int
        Zeros fill the vectors up to a power of two.
    n_channels : int
    **options
        Of :class:`PooledNetwork`.
    """

    def __init__(self, n_items, n_components, n_channels, **options):
        super().__init__(n_items, n_components, **options)
        self.n_channels = n_channels
        n_levels = max(1, (n_components - 1).bit_length())
        self.n_zeros = 2**n_levels - n_components
        self.filters = nn.Parameter(torch.empty(2, 2, n_channels))
        self.convolutions = nn.ModuleList(
            linear(4 * n_channels, n_channels, bias=False) for _ in range(n_levels - 1)
        )
        self.score = linear(n_channels, 1, bias=False)

    def init(self, generator):
        """Draw the weights, but let the network start as the inner product of the vectors.

        Two channels carry its positive and its negative part down the diagonal, and ignore the
        others. Without this, vectors have to be trained by another model before.
        """
        init_glorot(self, generator)
        self.init_vectors(generator)
        nn.init.xavier_uniform_(self.filters.view(4, -1), generator=generator)
        signs = torch.tensor([1.0, -1.0])
        with torch.no_grad():
            self.filters[..., :2] = torch.eye(2)[..., None] * signs
            for convolution in self.convolutions:
                weights = convolution.weight.view(-1, 4, self.n_channels)[:2]
                weights.zero_()
                weights[:, ::3, :2] = signs[:, None, None] * signs
            self.score.weight.zero_()[0, :2] = signs

    def user_side(self, vectors):  # -> (n_users, 2, n_rows * n_channels)
        return torch.einsum("nai,ijc->njac", self._pairs(vectors), self.filters).flatten(2)

    def item_side(self):  # -> (n_items, n_columns, 2)
        return self._pairs(self.output.weight)

    def _pairs(self, vectors):
        return nn.functional.pad(vectors, (0, self.n_zeros)).unflatten(1, (-1, 2))

    def interact(self, users, items):
        _, n_pairs, size, _ = items.shape
        first = torch.matmul(items.flatten(1, 2), users)
        hidden = torch.relu_(first.view(-1, size, size, self.n_channels))
        for convolution in self.convolutions:
            hidden = hidden.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).transpose(2, 3)
            hidden = torch.relu_(convolution(hidden.flatten(3)))
        return self.score(hidden).view(-1, n_pairs)


class ConvNCF(PooledNetworkMixin, BaseRecommender):
    r"""Convolutions over the outer product of a user's and an item's vector (ConvNCF).

    Of the matrix :math:`p q^\top`, whose entries are the products of any component of the user
    with any of the item, convolutions with filters of 2 x 2 and rectified units keep a quarter
    each, until one position is left. Its channels are weighed and summed to the score, to which an
    offset of the item is added.

    Users' vectors are pooled from those of the items of the row, and an entry is left out of the
    one that it is predicted from, as in :class:`NeuMF`; so are ratings with
    ``loss="squared_error"``.

    Parameters
    ----------
    n_components : int
        Length of the vectors; zeros fill it up to a power of two. The paper has 64.
    n_channels : int
        Channels of each convolution, at least two. The paper has 32.

    See Also
    --------
    BPR : The inner product, which the network starts as.
    NeuMF : A perceptron over both vectors.

    Notes
    -----
    The paper starts from the vectors of a matrix factorisation that was trained before. Here the
    network itself starts as the inner product of the vectors, which two channels pass on, so that
    both are trained at once. Other first weights need far more epochs. Convolutions have no
    biases, unlike the paper's: these would soon outweigh products of vectors that start small.

    The first convolution is linear in both vectors: its part that reads the user's is computed
    once for each user, and the outer product is never formed. A pair then takes 6,400
    multiplications by default, and 1.5 million with the paper's sizes: with these, all scores of
    MovieLens 1M would take hours on a CPU.

    References
    ----------
    .. [1] X. He, X. Du, X. Wang, F. Tian, J. Tang and T.-S. Chua, "Outer Product-based Neural
       Collaborative Filtering", IJCAI 2018. :doi:`10.24963/ijcai.2018/308`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import ConvNCF
    >>> X = np.kron(np.eye(2), np.ones((30, 5)))
    >>> model = ConvNCF(8, max_iter=20, random_state=0).fit(X)
    >>> model.recommend([[0, 0, 0, 0, 0, 1, 1, 1, 1, 0]], k=1)
    array([[9]])
    """

    _module_class = ConvNCFModule
    _parameter_constraints: dict = {
        **POOLED_CONSTRAINTS,
        "n_channels": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        n_components=16,
        *,
        n_channels=8,
        loss="cross_entropy",
        n_negatives=3,
        dropout=0.5,
        l2=None,
        learning_rate=0.01,
        batch_size=16,
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
            **self._network_options(),
        }
