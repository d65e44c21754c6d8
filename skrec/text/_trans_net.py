"""TransNet: ratings by what a review that is not written yet would say."""

import numpy as np
import torch
from torch import nn

from skrec.base import BaseRecommender
from skrec.neural._estimator import check_hidden_layer_sizes
from skrec.neural._layers import linear
from skrec.neural._rating_estimator import NeuralRatingMixin
from skrec.solvers._devices import to_tensor
from skrec.solvers._torch_state import torch_state
from skrec.text._deep_ltrs_module import dropped_out
from skrec.text._review_network import REVIEW_NETWORK_CONSTRAINTS, ReviewNetworkMixin
from skrec.text._text_network import MachinePart, TextTower, WordVectors

PAIRS_IN_BLOCK = 2**15


class TransNetModule(nn.Module):
    """A target network of the rated review, and a source network of the other texts.

    Parameters
    ----------
    n_items : int
        Not used: of items only their texts are known.
    n_words, embedding_size : int
    learned : bool
        Whether words have vectors that are learned.
    n_filters : int
    hidden_layer_sizes : list of int
        Of the towers; the last is the length of a review's code.
    n_transforms : int
        Layers between the codes of both documents and that of the review.
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
        n_transforms,
        n_components,
        dropout,
    ):
        super().__init__()
        self.dropout = dropout
        self.words = WordVectors(n_words, embedding_size, learned)
        self.towers = nn.ModuleDict(
            (side, TextTower(embedding_size, n_filters, hidden_layer_sizes, torch.tanh))
            for side in ("user", "item", "review")
        )
        n_code = [n_filters, *hidden_layer_sizes][-1]
        sizes = [2 * n_code] + [n_code] * (n_transforms - 1)
        self.transform = nn.ModuleList(linear(size, n_code) for size in sizes)
        self.machines = nn.ModuleDict(
            (name, MachinePart(n_code, n_components)) for name in ("target", "source")
        )
        self.biases = nn.ParameterDict(
            (name, nn.Parameter(torch.zeros(()))) for name in ("target", "source")
        )

    def codes(self, side, asked):
        return self.towers[side](self.words.vectors, asked)

    def foresee(self, users, items):
        """Code of the review that a user would write about an item, from both codes."""
        hidden = torch.cat([users, items], dim=1)
        for layer in self.transform:
            hidden = torch.tanh(layer(hidden))
        return hidden

    def rate(self, name, codes):
        """What is to be added to the offsets, by the code of a review."""
        return self.biases[name] + self.machines[name](codes)[1]

    def forward(self, batch, generator, progress):  # -> (n_pairs,)
        """Three errors, none of which has a weight in common with another but the words'."""
        code = self.codes("review", batch.own)
        rated = self.rate("target", dropped_out(code, self.dropout, generator))
        foreseen = self.foresee(self.codes("user", batch.users), self.codes("item", batch.items))
        foreseen = dropped_out(foreseen, self.dropout, generator)
        apart = (foreseen - code.detach()).square().sum(dim=1)
        predicted = self.rate("source", foreseen.detach())
        return (batch.ratings - rated).square() + apart + (batch.ratings - predicted).square()


class TransNet(ReviewNetworkMixin, NeuralRatingMixin, BaseRecommender):
    r"""Transformational neural networks: foresee what the review of a pair would say.

    A target network reads the review that was written with a rating, and learns to tell the
    rating from its code :math:`z`. A source network reads the documents of user and item without
    that review, as :class:`DeepCoNN` does, and learns to foresee its code by a few layers more,
    :math:`\hat z = t(x_u, x_i)`; a factorisation machine of its own rates by what is foreseen.
    Training minimises over all ratings, less their offsets,

    .. math::
        (r_{ui} - FM_A(z))^2 + \|\hat z - \bar z\|^2 + (r_{ui} - FM(\bar{\hat z}))^2

    where a bar means that no gradient passes. Predictions know of no review but those that are
    given.

    Parameters
    ----------
    n_components : int, default=8
        Length of the vectors of the factorisation machines.
    hidden_layer_sizes : array-like of int, default=(50,)
        Widths of the layers behind the filters. The last is the length of a review's code.
    n_transforms : int, default=2
        Number of layers that foresee the code.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, hidden_layer_sizes[-1])
        Codes of the items' documents.
    mean_ : float
        Mean rating of the training users.
    item_offsets_ : ndarray of shape (n_items,)
        Offsets of the items beside their texts.
    loss_curve_ : list of float
        The three terms per training rating, by epoch.

    See Also
    --------
    DeepCoNN : Rates by both documents, without that detour.

    Notes
    -----
    The paper makes three updates of each batch, one for each term. As no two terms have a weight
    in common, one update of their sum is the same but for its order; only vectors of words, which
    the paper holds fixed (`embeddings`), learn from the first two. The paper's errors of ratings
    are absolute ones, which foresee medians.

    References
    ----------
    .. [1] R. Catherine and W. Cohen, "TransNets: Learning to Transform for Recommendation",
       RecSys 2017. :arxiv:`1704.02298`

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from skrec import TransNet
    >>> X = np.kron([[5, 1], [1, 5]], np.ones((20, 4)))
    >>> texts = np.where(X[X > 0] > 3, "lovely tea", "stale coffee")
    >>> options = {"max_iter": 5, "early_stopping": False, "random_state": 0}
    >>> model = TransNet(vectorizer=CountVectorizer(), **options)
    >>> model = model.fit(X, reviews=texts)
    >>> model.predict(X[:2], reviews=texts[:16]).shape
    (2, 8)
    """

    _module_class = TransNetModule

    _parameter_constraints: dict = {
        **REVIEW_NETWORK_CONSTRAINTS,
        "n_transforms": REVIEW_NETWORK_CONSTRAINTS["n_filters"],
    }

    def __init__(
        self,
        n_components=8,
        *,
        n_filters=50,
        hidden_layer_sizes=(50,),
        n_transforms=2,
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
        self.n_transforms = n_transforms
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
            "n_transforms": self.n_transforms,
            "n_components": self.n_components,
            "dropout": self.dropout,
        }

    def _rate_codes(self, module, codes, users, items):
        return foreseen_ratings(module, codes, users, items)

    def _fitted_state(self, module, X, data):
        state = super()._fitted_state(module, X, data)
        mean, item_offsets, _ = state["_offsets"]
        return {
            **state,
            "item_embeddings_": state["_item_codes"].astype(np.float32),
            "_item_offsets": mean + item_offsets,
        }

    def _fold_in(self, X, documents=None):
        return self._user_codes(X, documents)

    def _score_rows(self, X, documents=None):
        states = self._fold_in(X, documents)
        users = np.repeat(np.arange(X.shape[0]), X.shape[1])
        items = np.tile(np.arange(X.shape[1]), X.shape[0])
        return self._score_pairs(states, users, items).reshape(X.shape)

    def _score_pairs(self, states, users, items):
        codes, offsets = states
        codes = codes, self._item_codes
        added = foreseen_ratings(self._double_module(), codes, users, items)
        return added + offsets[users] + self._item_offsets[items]


def foreseen_ratings(module, codes, users, items):
    """What is to be added to the offsets of pairs, an array of shape (n_pairs,).

    Parameters
    ----------
    module : TransNetModule
    codes : tuple of two ndarrays of shape (n_users or n_items, n_code)
    users, items : ndarray of int of shape (n_pairs,)
    """
    weight = module.transform[0].weight
    left, right = (to_tensor(part, weight.device).to(weight.dtype) for part in codes)
    added = np.empty(len(users), dtype=codes[0].dtype)
    with torch_state():
        for start in range(0, len(users), PAIRS_IN_BLOCK):
            block = slice(start, start + PAIRS_IN_BLOCK)
            foreseen = module.foresee(left[users[block]], right[items[block]])
            added[block] = module.rate("source", foreseen).cpu().numpy()
    return added
