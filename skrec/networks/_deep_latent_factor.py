"""DeepLatentFactor: ratings from codes of the user's other ratings and of the item's."""

from numbers import Integral

import numpy as np
from torch import nn

from skrec.base import BaseRecommender
from skrec.base._ratings import RATING_CONSTRAINTS, UncertainRatingMixin
from skrec.networks._deep_latent_factor_module import (
    DeepLatentFactorModule,
    noise_variance,
    rate_pairs,
    row_codes,
)
from skrec.neural._entries import EntryStore
from skrec.neural._estimator import (
    BATCH_CONSTRAINTS,
    LAYER_CONSTRAINTS,
    TERM_WEIGHT,
    TRAINING_CONSTRAINTS,
    check_hidden_layer_sizes,
)
from skrec.neural._layers import init_glorot
from skrec.neural._rating_estimator import NeuralRatingMixin
from skrec.utils._compat import Interval, StrOptions


class DeepLatentFactor(UncertainRatingMixin, NeuralRatingMixin, BaseRecommender):
    r"""Deep latent factors: two encoders and a network over both codes.

    A rating :math:`r_{ij}` is explained by a code :math:`u` of the user's row and a code
    :math:`v` of the item's column, each without :math:`r_{ij}` itself, through a network
    :math:`f` where a factorisation has a sum: :math:`f(u \odot v)`. With ``variational=True``
    (the paper's first model) the codes have a standard normal prior and the encoders give their
    posteriors; training minimises over all ratings

    .. math::
        \mathbb{E}_q \tfrac12 (r_{ij} - f(u \odot v))^2
        + \beta \, KL(q(u) \,\|\, N(0, I)) + \beta \, KL(q(v) \,\|\, N(0, I))

    With ``variational=False`` (the second model) the codes are the encoders' outputs and the
    first term is all.

    Parameters
    ----------
    n_components : int, default=32
        Length of a code.
    variational : bool, default=False
        Whether codes have distributions.
    hidden_layer_sizes : array-like of int, default=(128,)
        Widths of the rectified layers of each encoder, at least one. Mean and variance of a code
        share them.
    interaction : {"product", "scalar"}, default="product"
        What the network sees of two codes: the products of their elements, or the sum of these.
        The paper's text says the first, its formulas the second.
    interaction_layer_sizes : array-like of int, default=(32, 16)
        Widths of the rectified layers between that and the rating, at least one.
    beta : float, default=0.0003
        Weight of the divergences, which count anew with every rating. 1 is that of the paper's
        formulas, see Notes. Ignored with ``variational=False``.
    n_samples : int, default=20
        Draws of the codes behind ``predict(X, return_std=True)``. Ignored with
        ``variational=False``.
    dropout : float, default=0.2
        Probability of dropping an entry from an encoder's input.
    batch_size : int, default=1024
        Ratings of an update. The rows and columns that they stand in are encoded once each: with
        millions of ratings, some thousand save much time.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_components)
        Codes of the items (means of their posteriors), from all ratings of each.
    noise_variance_ : float
        What the variance of the codes leaves of the squared error of training ratings, each
        predicted without itself. Only with ``variational=True``.
    loss_curve_ : list of float
        Objective per training rating, by epoch.

    See Also
    --------
    AutoRec : One side is encoded, the other has weights.

    Notes
    -----
    The encoders' first layers are linear, so the rating to be predicted is taken out of its row
    exactly and at the cost of one row of weights. At prediction nothing has to be taken out: the
    items' codes are computed from all training ratings at the end of ``fit``, a user's from the
    user's row. Ratings enter uncentred, zeros where there is none, but scaled by one number for
    all users and one for all items, which lets rows of thousands train as well as short ones. The
    mean rating is where the last bias starts. Ratings are predicted from the means of the
    posteriors.

    With ``beta=1``, as the paper's formulas have it, the codes keep to their prior and every
    rating is predicted by the mean: on five-star ratings codes can gain some 0.2 of a unit
    log-likelihood per rating, and a divergence as small tells next to nothing. From 0.03 on that
    is what was found on MovieLens 100K.

    References
    ----------
    .. [1] S. Akbayrak, "Deep Latent Factor Models for Collaborative Filtering", technical report,
       2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import DeepLatentFactor
    >>> X = np.kron([[5, 1], [1, 5]], np.ones((20, 4)))
    >>> X[0, :2] = 0
    >>> model = DeepLatentFactor(8, learning_rate=0.01, early_stopping=False, random_state=0)
    >>> model = model.fit(X)
    >>> model.predict(X[:1]).round().astype(int)
    array([[5, 5, 5, 5, 1, 1, 1, 1]])
    """

    _module_class = DeepLatentFactorModule

    _no_update = "its encoder of items has weights for each training user"

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **BATCH_CONSTRAINTS,
        **LAYER_CONSTRAINTS,
        **RATING_CONSTRAINTS,
        "variational": ["boolean"],
        "interaction": [StrOptions({"product", "scalar"})],
        "interaction_layer_sizes": ["array-like"],
        "beta": [TERM_WEIGHT],
        "n_samples": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        n_components=32,
        *,
        variational=False,
        hidden_layer_sizes=(128,),
        interaction="product",
        interaction_layer_sizes=(32, 16),
        beta=0.0003,
        n_samples=20,
        dropout=0.2,
        learning_rate=0.002,
        batch_size=1024,
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
        self.variational = variational
        self.hidden_layer_sizes = hidden_layer_sizes
        self.interaction = interaction
        self.interaction_layer_sizes = interaction_layer_sizes
        self.beta = beta
        self.n_samples = n_samples
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

    def _training_data(self, X, reviews):
        return X  # the items' encoder knows users by their position: empty rows stay

    def _module_options(self, X):
        return {
            "n_users": X.shape[0],
            "n_components": self.n_components,
            "hidden_layer_sizes": check_hidden_layer_sizes(self.hidden_layer_sizes, at_least=1),
            "interaction": self.interaction,
            "interaction_layer_sizes": check_hidden_layer_sizes(
                self.interaction_layer_sizes, at_least=1, name="interaction_layer_sizes"
            ),
            "variational": self.variational,
            "beta": self.beta,
            "dropout": self.dropout,
        }

    def _init_module(self, module, X, generator):
        init_glorot(module, generator)
        module.init_noise()
        module.user_encoder.init_scale(X, generator)
        module.item_encoder.init_scale(X.T.tocsr(), generator)
        nn.init.constant_(module.rating[-1].bias, X.data.mean())

    def _store(self, X, device):
        return EntryStore(X, device)

    def _fitted_state(self, module, X, data):
        items = row_codes(module.item_encoder, X.T.tocsr())
        state = {"_items": items, "item_embeddings_": items[:, : module.n_components]}
        if not module.variational:
            vars(self).pop("noise_variance_", None)
            return state
        # The same draws for every user and item, so that equal rows get equal answers.
        draws = np.random.default_rng(0).standard_normal(
            (self.n_samples, 2, module.n_components), dtype=np.float32
        )
        noise = noise_variance(module, X, draws)
        return {
            **state,
            "_draws": draws,
            "_noise_variance": noise,
            "noise_variance_": self._in_squared_ratings(noise),
        }

    def _rate_held_out(self, module, X, users, items):
        user_codes = row_codes(module.user_encoder, X)
        item_codes = row_codes(module.item_encoder, X.T.tocsr())
        return rate_pairs(module, user_codes, item_codes, users, items)

    def _user_states(self, X):
        return row_codes(self._scoring_module().user_encoder, X)

    def _embed(self, X):
        return self._user_states(X)[:, : self.item_embeddings_.shape[1]]

    def _score_rows(self, X):
        return self._score_all(X, None)

    def _score_rows_std(self, X):
        self._check_has_std()
        scores, variance = self._score_all(X, self._draws)
        return scores, np.sqrt(variance + self._noise_variance)

    def _score_pairs(self, states, users, items):
        return rate_pairs(self._scoring_module(), states, self._items, users, items)

    def _score_pairs_std(self, states, users, items):
        self._check_has_std()
        module = self._scoring_module()
        scores, variance = rate_pairs(module, states, self._items, users, items, self._draws)
        return scores, np.sqrt(variance + self._noise_variance)

    def _score_all(self, X, draws):
        n_items = X.shape[1]
        users = np.repeat(np.arange(X.shape[0]), n_items)
        items = np.tile(np.arange(n_items), X.shape[0])
        answers = rate_pairs(
            self._scoring_module(), self._user_states(X), self._items, users, items, draws
        )
        if draws is None:
            return answers.reshape(X.shape)
        return tuple(answer.reshape(X.shape) for answer in answers)

    def _check_has_std(self):
        if not hasattr(self, "noise_variance_"):
            raise ValueError(
                "return_std=True needs codes with distributions: use variational=True, or "
                "return_std=False."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.recommender_tags.predicts_std = self.variational
        return tags
