"""DeepCoNN: ratings from what a user wrote, and from what was written about an item."""

import torch
from torch import nn

from skrec.base import BaseRecommender, FactorMixin
from skrec.neural._estimator import check_hidden_layer_sizes
from skrec.neural._rating_estimator import NeuralRatingMixin
from skrec.solvers._pair_products import pair_products
from skrec.text._deep_ltrs_module import dropped_out
from skrec.text._review_network import REVIEW_NETWORK_CONSTRAINTS, ReviewNetworkMixin, in_double
from skrec.text._text_network import MachinePart, TextTower, WordVectors, machine_parts


class DeepCoNNModule(nn.Module):
    """Two towers of texts under a factorisation machine.

    Parameters
    ----------
    n_items : int
        Not used: of items only their texts are known.
    n_words, embedding_size : int
    learned : bool
        Whether words have vectors that are learned.
    n_filters : int
    hidden_layer_sizes : list of int
    n_components : int
    dropout : float
    """

    def __init__(
        self,
        n_items,
        *,
        n_words,
        embedding_size,
        learned,
        n_filters,
        hidden_layer_sizes,
        n_components,
        dropout,
    ):
        super().__init__()
        self.dropout = dropout
        self.words = WordVectors(n_words, embedding_size, learned)
        sides = "user", "item"
        self.towers = nn.ModuleDict(
            (side, TextTower(embedding_size, n_filters, hidden_layer_sizes, torch.relu))
            for side in sides
        )
        n_inputs = [n_filters, *hidden_layer_sizes][-1]
        self.machine = nn.ModuleDict((side, MachinePart(n_inputs, n_components)) for side in sides)
        self.bias = nn.Parameter(torch.zeros(()))

    def codes(self, side, asked):
        return self.towers[side](self.words.vectors, asked)

    def forward(self, batch, generator, progress):  # -> (n_pairs,)
        """Squared error of each rating."""
        rated = self.bias
        sums = []
        for side, asked in (("user", batch.users), ("item", batch.items)):
            code = dropped_out(self.codes(side, asked), self.dropout, generator)
            vectors, own = self.machine[side](code)
            rated = rated + own
            sums.append(vectors)
        return (batch.ratings - rated - (sums[0] * sums[1]).sum(dim=1)).square()


class DeepCoNN(ReviewNetworkMixin, FactorMixin, NeuralRatingMixin, BaseRecommender):
    r"""Deep cooperative neural networks: a rating from the texts of its user and of its item.

    A user's document is what the user wrote, an item's what was written about it. Two networks
    read them: filters :math:`f` answer to windows of three words, and the largest answer in the
    document counts,

    .. math::
        h_f = \max_t \max\big(0,\; b_f + w_{f1} \cdot e_{t-1} + w_{f2} \cdot e_t
        + w_{f3} \cdot e_{t+1}\big)

    with the vectors :math:`e` of the words. Rectified layers follow, and a factorisation machine
    over both codes :math:`x = [x_u, x_i]` gives what is to be added to the offsets:

    .. math::
        w_0 + w \cdot x + \sum_{j < k} (v_j \cdot v_k)\, x_j x_k

    In training the review of the rating itself is left out of both documents.

    Parameters
    ----------
    n_components : int, default=8
        Length of the vectors :math:`v`, and of the embeddings of users and items.
    hidden_layer_sizes : array-like of int, default=(50,)
        Widths of the layers behind the filters.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_components)
        :math:`\sum_k v_k x_k` of the items. Its inner product with a user's is what the machine
        adds beside the parts of either.
    mean_ : float
        Mean rating of the training users.
    item_offsets_ : ndarray of shape (n_items,)
        Offsets of the items beside their texts.
    loss_curve_ : list of float
        Squared error of training ratings, in their unit, by epoch.

    See Also
    --------
    TransNet : Learns what the review of the rating itself would say.
    DeepLTRS : Reads counts of words, and is told the ratings too.

    Notes
    -----
    A document is a set of reviews: no window reaches from one into the next, so their order does
    not matter. To leave one out, the best window of all other reviews is kept beside the best of
    all, which is exact. Only winning windows are differentiated; to find them takes three
    additions for each word and filter, and a document is read once in a batch.

    The published comparison had the rated review in the documents of its user and item at test,
    too [2]_. Texts that say the same of several variants of a product have a like effect.

    References
    ----------
    .. [1] L. Zheng, V. Noroozi and P. S. Yu, "Joint Deep Modeling of Users and Items Using Reviews
       for Recommendation", WSDM 2017. :arxiv:`1701.04783`
    .. [2] R. Catherine and W. Cohen, "TransNets: Learning to Transform for Recommendation",
       RecSys 2017. :arxiv:`1704.02298`

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from skrec import DeepCoNN
    >>> X = np.kron([[5, 1], [1, 5]], np.ones((20, 4)))
    >>> texts = np.where(X[X > 0] > 3, "lovely tea", "stale tea")
    >>> options = {"batch_size": 20, "early_stopping": False, "random_state": 0}
    >>> items = ["green tea"] * 4 + ["dark roast"] * 3 + ["a roast"]
    >>> model = DeepCoNN(vectorizer=CountVectorizer(), item_features=items, **options)
    >>> users = np.where(np.arange(len(texts)) < len(texts) // 2, "tea", "coffee")
    >>> model = model.fit(X, reviews=users)
    >>> tea, roast = model.predict([[5, 5] + [0] * 6], reviews=["tea", "tea"])[0, [2, 7]]
    >>> (np.array([tea, roast]) > 3).tolist()
    [True, False]
    """

    _module_class = DeepCoNNModule

    _parameter_constraints: dict = REVIEW_NETWORK_CONSTRAINTS

    def __init__(
        self,
        n_components=8,
        *,
        n_filters=50,
        hidden_layer_sizes=(50,),
        embedding_size=64,
        embeddings=None,
        vectorizer=None,
        item_features=None,
        max_words=200,
        offsets=True,
        l2_offset=4.0,
        dropout=0.2,
        learning_rate=0.002,
        batch_size=500,
        max_iter=50,
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
        self.n_filters = n_filters
        self.hidden_layer_sizes = hidden_layer_sizes
        self.embedding_size = embedding_size
        self.embeddings = embeddings
        self.vectorizer = vectorizer
        self.item_features = item_features
        self.max_words = max_words
        self.offsets = offsets
        self.l2_offset = l2_offset
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
            **self._text_options(),
            "n_filters": self.n_filters,
            "hidden_layer_sizes": check_hidden_layer_sizes(self.hidden_layer_sizes),
            "n_components": self.n_components,
            "dropout": self.dropout,
        }

    def _rate_codes(self, module, codes, users, items):
        (left, of_users), (right, of_items) = (
            machine_parts(module.machine[side], code)
            for side, code in zip(("user", "item"), codes, strict=True)
        )
        bias = float(module.bias.detach())
        return pair_products(left, right, users, items) + of_users[users] + of_items[items] + bias

    def _fitted_state(self, module, X, data):
        state = super()._fitted_state(module, X, data)
        double = in_double(module)
        vectors, own = machine_parts(double.machine["item"], state.pop("_item_codes"))
        mean, item_offsets, _ = state["_offsets"]
        constant = mean + float(double.bias.detach())
        return {
            **state,
            "item_embeddings_": vectors,
            "_item_offsets": item_offsets + own + constant,
        }

    def _fold_in(self, X, documents=None):
        codes, offsets = self._user_codes(X, documents)
        vectors, own = machine_parts(self._double_module().machine["user"], codes)
        return vectors, offsets + own
