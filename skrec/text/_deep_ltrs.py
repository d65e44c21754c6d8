"""DeepLTRS: ratings and review texts from the same latents of users and items."""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch

from skrec.base import BaseRecommender
from skrec.base._ratings import RATING_CONSTRAINTS, UncertainRatingMixin
from skrec.neural._estimator import (
    BATCH_CONSTRAINTS,
    LAYER_CONSTRAINTS,
    TRAINING_CONSTRAINTS,
    check_hidden_layer_sizes,
)
from skrec.neural._layers import init_uniform
from skrec.neural._rating_estimator import NeuralRatingMixin
from skrec.reviews import as_reviews
from skrec.solvers._gaussian_products import variance_factors
from skrec.solvers._offsets import fit_offsets, less_offsets
from skrec.solvers._pair_products import pair_products
from skrec.text._deep_ltrs_module import (
    INITIAL_COMPONENT_WEIGHT,
    INITIAL_LOG_VARIANCE,
    DeepLTRSModule,
    DeepLTRSTrainer,
    in_double,
    probable_words,
    row_posteriors,
    topic_words,
)
from skrec.text._rated_pairs import (
    BothSides,
    RatedPairs,
    encoder_rows,
    rated_by_item,
    sum_words,
)
from skrec.text._vocabulary import Vocabulary
from skrec.text._words import TopicsMixin
from skrec.utils._compat import HasMethods, Interval
from skrec.utils._validation import check_items


@dataclass(frozen=True)
class DeepLTRSData(RatedPairs):
    """Ratings and words to train on, and what was made of them.

    Parameters
    ----------
    offsets : tuple of (mean, item_offsets, l2)
        What was taken off the ratings, as :func:`less_offsets` takes it.
    user_offsets : ndarray of shape (n_users,)
    reviews : Reviews or None
        All that ``fit`` was given.
    """

    offsets: tuple
    user_offsets: np.ndarray
    reviews: object


class DeepLTRS(TopicsMixin, UncertainRatingMixin, NeuralRatingMixin, BaseRecommender):
    r"""Deep latent model of ratings and review texts (DeepLTRS).

    A user :math:`i` and an item :math:`j` have latents :math:`R_i, C_j \sim N(0, I)`, which
    explain both the rating and the words that were written with it:

    .. math::
        Y_{ij} \sim N\Big(\mu + a_i + b_j + \sum_d w_d R_{id} C_{jd},\; \eta^2\Big), \qquad
        W_{ij} \sim \operatorname{Multinomial}\big(L_{ij},
        \operatorname{softmax}(\beta\, \theta_{ij})\big), \quad
        \theta_{ij} = \operatorname{softmax}(f(R_i, C_j))

    Two encoders give the posteriors of :math:`R_i` from all ratings and words of the user, and of
    :math:`C_j` from all of the item. Training maximises the evidence lower bound, alternately
    over batches of users and batches of items. A new user is encoded as the training users are,
    by ratings and reviews, or by ratings alone.

    Parameters
    ----------
    n_components : int, default=50
        Number of latents of a user, and of an item.
    n_topics : int, default=50
        Number of topics; it need not be `n_components`.
    offsets : bool, default=True
        Whether ratings have the offsets :math:`\mu, a_i, b_j`, which are fitted beforehand as in
        :class:`BiasBaseline`, components the weights :math:`w`, and words the log frequencies
        that topics deviate from. The latents then explain what is left, which is centred as their
        priors are. False: the plain product and topics of the paper.
    l2_offset : float, default=8.0
        Penalty on the offsets of users and of items, in units of ratings. Less suits the offsets
        alone where an item has few users, but takes from the latents what they explain better.
    text_weight : float, default=0.1
        Weight of the log-likelihood of the words. 1 is that of the evidence lower bound, in which
        a text of average length counts far more than the rating.
    scale_words : bool, default=True
        Whether the encoders see logarithms of word counts, scaled to unit length, instead of the
        counts themselves.
    hidden_layer_sizes : array-like of int, default=(200,)
        Widths of the hidden layers of both encoders.
    topic_hidden_size : int, default=80
        Width of the layer between the latents and the topics.
    dropout : float, default=0.2
        Probability of dropping a unit of an encoder's last hidden layer, or a topic's share.
    batch_size : int, default=64
        Users of an update, and items of an update.
    max_iter : int, default=100
        Number of epochs, each a pass over the users and a pass over the items.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the fit before, the optimiser's state and
        the vocabulary included. The rows of `X` must be the same users.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_components)
        Posterior means of the items' latents.
    component_weights_ : ndarray of shape (n_components,)
        The weights :math:`w`; ones with ``offsets=False``. With early stopping they are multiplied
        by the share, from 0 to 1, with which the ratings held out are rated best.
    mean_ : float
        The offset :math:`\mu`.
    item_offsets_ : ndarray of shape (n_items,)
        The offsets :math:`b_j`.
    noise_std_ : float
        The deviation :math:`\eta` of ratings.
    loss_curve_ : list of float
        Negative evidence lower bound per training rating, words weighted, by epoch.
    vectorizer_
    vocabulary_
    topic_word_

    See Also
    --------
    Reviews : Texts that cross-validation cuts along with the users.
    BiasBaseline : The offsets alone.

    Notes
    -----
    The objective has the exact expectation of the squared error, and one draw of the latents for
    the words. Words and ratings are computed at observed pairs alone, so that an epoch takes time
    linear in their number. The term of a batch of users, times the number of users over that of
    the batch, is an unbiased estimate of the gradient for all weights but those of the items'
    encoder; the term of a batch of items likewise.

    With ``offsets=False, text_weight=1, scale_words=False, hidden_layer_sizes=(50, 50),
    batch_size=5, n_iter_no_change=None, clip=False`` the model is that of the paper. What remains
    different from it, or from its code: words are normalised over the batch's observed pairs
    instead of all its pairs; the default vectorizer leaves words out (`vectorizer`); the squared
    error is not drawn; the noise starts at 1 instead of at random; Adam has betas of (0.9, 0.999)
    instead of (0.99, 0.999); rows are shuffled, and none are dropped; rows without entries are at
    the prior; and items are encoded with the ratings held out as well once training is over.

    References
    ----------
    .. [1] D. Liang, M. Corneli, C. Bouveyron and P. Latouche, "DeepLTRS: A Deep Latent Recommender
       System based on User Ratings and Reviews", Pattern Recognition Letters 152, 267-274, 2021.
       https://hal.science/hal-03021362
    .. [2] A. Srivastava and C. Sutton, "Autoencoding Variational Inference for Topic Models",
       ICLR 2017. :arxiv:`1703.01488`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import DeepLTRS, Reviews
    >>> X = np.kron([[5, 1], [1, 5]], np.ones((10, 3)))
    >>> texts = np.where(X[X > 0] > 3, "lovely", "stale")
    >>> reviews = Reviews.from_documents(X, texts)
    >>> model = DeepLTRS(4, learning_rate=0.02, early_stopping=False, random_state=0)
    >>> model = model.fit(X, reviews=reviews)
    >>> model.predict([[5, 5, 0, 0, 1, 1]], reviews=["lovely"] * 2 + ["stale"] * 2) > 3
    array([[ True,  True,  True, False, False, False]])
    >>> model.predict_words(X[:1], items=[0, 5], n_words=1)
    array([[['lovely'],
            ['stale']]], dtype=object)
    """

    _module_class = DeepLTRSModule
    _trainer_class = DeepLTRSTrainer
    _no_update = "its encoder of items has weights for each training user"

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **BATCH_CONSTRAINTS,
        **LAYER_CONSTRAINTS,
        **RATING_CONSTRAINTS,
        "n_topics": [Interval(Integral, 1, None, closed="left")],
        "vectorizer": [HasMethods(["fit_transform", "transform"]), None],
        "offsets": ["boolean"],
        "l2_offset": [Interval(Real, 0, None, closed="neither")],
        "text_weight": [Interval(Real, 0, None, closed="left")],
        "scale_words": ["boolean"],
        "topic_hidden_size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components=50,
        *,
        n_topics=50,
        vectorizer=None,
        offsets=True,
        l2_offset=8.0,
        text_weight=0.1,
        scale_words=True,
        hidden_layer_sizes=(200,),
        topic_hidden_size=80,
        dropout=0.2,
        learning_rate=0.002,
        batch_size=64,
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
        self.n_topics = n_topics
        self.vectorizer = vectorizer
        self.offsets = offsets
        self.l2_offset = l2_offset
        self.text_weight = text_weight
        self.scale_words = scale_words
        self.hidden_layer_sizes = hidden_layer_sizes
        self.topic_hidden_size = topic_hidden_size
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

    def fit(self, X, y=None, *, reviews=None):
        """Learn from users' ratings and reviews.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user. Stored entries (dense input: the non-zeros) are the ratings.
        reviews : {Reviews, array-like of str, matrix}, default=None
            What was written with the ratings: :class:`Reviews`, or texts or rows of counts, one
            for each rating in row-major order. In cross-validation only :class:`Reviews`, which is
            cut along with `X`. None: learn from the ratings alone.

        Returns
        -------
        self : DeepLTRS
            The fitted estimator. Ctrl-C during training keeps the model so far, with a warning.

        Raises
        ------
        ValueError
            If the loss is not finite, there is nothing to hold out for early stopping, the reviews
            are not aligned with `X`, or the vectorizer finds no words or negative weights.
        """
        return super().fit(X, y, reviews=reviews)

    def predict(self, X, *, reviews=None, return_std=False):
        """Predict every user's rating of every item.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user, seen in training or not.
        reviews : {Reviews, array-like of str, matrix}, default=None
            What the users wrote with these ratings, as in ``fit``. None: know them by their
            ratings alone.
        return_std : bool, default=False
            Whether to return the standard deviation of each rating too.

        Returns
        -------
        ratings : ndarray of shape (n_users, n_items)
        std : ndarray of shape (n_users, n_items)
            Only if ``return_std=True``: of the rating itself, noise included, before clipping.
        """
        return super().predict(X, reviews=reviews, return_std=return_std)

    def transform(self, X, *, reviews=None):
        """Embed users: posterior means of their latents.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user, seen in training or not.
        reviews : {Reviews, array-like of str, matrix}, default=None
            What the users wrote with these ratings, as in ``fit``.

        Returns
        -------
        embeddings : ndarray of shape (n_users, n_components)
            float32.
        """
        return self._encode_users(*self._check_input(X, reviews))[1].astype(np.float32)

    def fit_transform(self, X, y=None, *, reviews=None):
        """Learn from users' ratings and reviews, and embed the same users by both.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user. Stored entries (dense input: the non-zeros) are the ratings.
        reviews : {Reviews, array-like of str, matrix}, default=None
            What was written with the ratings, as in ``fit``.

        Returns
        -------
        embeddings : ndarray of shape (n_users, n_components)
            Those of ``fit(X, reviews=reviews).transform(X, reviews=reviews)``.
        """
        return self.fit(X, y, reviews=reviews).transform(X, reviews=reviews)

    def predict_words(self, X, items, n_words=10, *, reviews=None):
        """Predict the most probable words of reviews that are not written yet.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user, seen in training or not.
        items : array-like of int or of bool
            The items to write about, as column indices or as a mask over the items.
        n_words : int, default=10
            Number of words.
        reviews : {Reviews, array-like of str, matrix}, default=None
            What the users wrote with their ratings, as in ``fit``.

        Returns
        -------
        words : ndarray of shape (n_users, n_asked_items, n_words)
            Elements of ``vocabulary_``, most probable first; items in ascending order.
        """
        n_words = self._check_n_words(n_words)
        X, read = self._check_input(X, reviews)
        items = check_items(items, X.shape[1])
        _, users, _ = self._encode_users(X, read)
        decoder = self._scoring_module().word_decoder
        return self.vocabulary_[
            probable_words(decoder, users, self.item_embeddings_[items], n_words)
        ]

    @property
    def _topic_word(self):
        return topic_words(self._scoring_module().word_decoder)

    def _read_reviews(self, reviews):
        if self._vocabulary is None:
            raise ValueError(
                f"{type(self).__name__} was fitted without reviews and cannot read any: fit it "
                "with reviews, or leave them out here."
            )
        return sum_words(reviews.index, self._vocabulary.count(reviews.entry_documents))

    def _training_words(self, X, reviews):
        """Learn the vocabulary, unless training goes on, and count words: a row for each entry."""
        if reviews is None:
            self._vocabulary = None
            return None
        if self.warm_start and self._vocabulary is not None:
            return self._words_of(X, reviews)
        documents = reviews.aligned_with(X).entry_documents
        self._vocabulary, words = Vocabulary.learn(self.vectorizer, documents)
        return words

    def _words_of(self, X, reviews):
        if reviews is None:
            return None
        return self._vocabulary.count(reviews.aligned_with(X).entry_documents)

    def _training_data(self, X, reviews):
        offsets = self._fit_offsets(X)
        residual, user_offsets = less_offsets(X, offsets)
        words = self._training_words(X, reviews)
        return DeepLTRSData(residual, words, offsets, user_offsets, reviews)

    def _fit_offsets(self, X):
        if not self.offsets:
            return 0.0, np.zeros(X.shape[1]), np.inf
        return *fit_offsets(X, self.l2_offset, self.l2_offset), self.l2_offset

    def _module_options(self, data):
        return {
            "n_users": data.shape[0],
            "n_words": data.n_words,
            "n_components": self.n_components,
            "n_topics": self.n_topics,
            "hidden_layer_sizes": check_hidden_layer_sizes(self.hidden_layer_sizes, at_least=1),
            "topic_hidden_size": self.topic_hidden_size,
            "dropout": self.dropout,
            "offsets": self.offsets,
            "text_weight": self.text_weight,
        }

    def _init_module(self, module, data, generator):
        init_uniform(module, generator)
        if not self.offsets:
            return
        with torch.no_grad():
            module.component_weights.fill_(INITIAL_COMPONENT_WEIGHT)
            module.log_noise.fill_(float(np.log(data.ratings.data.var() + 1e-6)))
            for encoder in module.encoders.values():
                encoder.log_var_norm.weight.fill_(0.1)
                encoder.log_var_norm.bias.fill_(INITIAL_LOG_VARIANCE)
            if data.n_words:
                sums = np.asarray(data.words.sum(axis=0), dtype=np.float32) + 1
                module.word_decoder.offsets.copy_(torch.from_numpy(np.log(sums / sums.mean())))

    def _store(self, X, device):
        return BothSides(X, self.scale_words, device)

    def _validation_score(self, module, data, held_out):
        users = np.repeat(np.arange(held_out.shape[0]), np.diff(held_out.indptr))
        items, (mean, item_offsets, _) = held_out.indices, data.offsets
        left, right = (module.posteriors[side][0] for side in ("user", "item"))
        left = (left * module.component_weights.detach()).cpu().numpy()
        products = pair_products(left, right.cpu().numpy(), users, items)
        offsets = mean + data.user_offsets[users] + item_offsets[items]
        if self.offsets:
            # Where latents are mostly noise, less of them rates better, or none.
            share = products @ (held_out.data - offsets) / max(products @ products, 1e-30)
            module.shrinkage.fill_(float(np.clip(share, 0, 1)))
        return self._neg_rmse(float(module.shrinkage) * products + offsets, held_out)

    def _fitted_state(self, module, X, data):
        offsets = self._fit_offsets(X)
        residual, _ = less_offsets(X, offsets)
        weights = module.component_weights.detach() * module.shrinkage
        ratings, words = rated_by_item(RatedPairs(residual, self._words_of(X, data.reviews)))
        rows = encoder_rows(ratings, words, self.scale_words)
        mean, log_var = row_posteriors(in_double(module.encoders["item"]), rows)
        noise_std = float(torch.exp(module.log_noise.detach() / 2))
        return {
            "_mean": offsets[0],
            "_item_offsets": offsets[1],
            "mean_": self._in_ratings(offsets[0]),
            "item_offsets_": self._in_ratings(offsets[1]),
            "item_embeddings_": mean.astype(np.float32),
            "component_weights_": weights.cpu().numpy().copy(),
            "noise_std_": self._in_ratings(noise_std),
            "_noise_std": noise_std,
            "_item_variances": np.exp(log_var).astype(np.float32),
            "_offsets": offsets,
            "_scale_words": self.scale_words,
        }

    def _encode_users(self, X, words=None):
        """Offsets, and means and variances of the latents, of users given as rows."""
        residual, offsets = less_offsets(X, self._offsets)
        rows = encoder_rows(residual, words, self._scale_words)
        mean, log_var = row_posteriors(self._user_encoder(), rows)
        with np.errstate(over="ignore"):  # infinite for rows far from those of fit
            return offsets, mean, np.exp(log_var)

    def _user_encoder(self):
        module = self._scoring_module()
        key = module.log_noise.device, "user"
        if key not in self._modules:  # two threads may both copy it, which does no harm
            self._modules[key] = in_double(module.encoders["user"])
        return self._modules[key]

    def _score_rows(self, X, words=None):
        offsets, mean, _ = self._encode_users(X, words)
        scores = (mean * self.component_weights_) @ self.item_embeddings_.T
        return scores + offsets[:, None] + (self._mean + self._item_offsets)

    def _score_rows_std(self, X, words=None):
        states = offsets, mean, _ = self._encode_users(X, words)
        scores = (mean * self.component_weights_) @ self.item_embeddings_.T
        left, right = self._variance_factors(states)
        std = np.sqrt(left @ right.T + self._noise_std**2)
        return scores + offsets[:, None] + (self._mean + self._item_offsets), std

    def _user_states(self, X, reviews=None):
        words = None if reviews is None else self._read_reviews(as_reviews(reviews, X, X))
        return self._encode_users(X, words)

    def _score_pairs(self, states, users, items):
        offsets, mean, _ = states
        weighted = mean * self.component_weights_
        products = pair_products(weighted, self.item_embeddings_, users, items)
        return products + offsets[users] + (self._mean + self._item_offsets)[items]

    def _score_pairs_std(self, states, users, items):
        variance = pair_products(*self._variance_factors(states), users, items)
        std = np.sqrt(variance + self._noise_std**2)
        return self._score_pairs(states, users, items), std

    def _variance_factors(self, states):
        items = self.item_embeddings_, self._item_variances
        return variance_factors(states[1:], items, self.component_weights_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.recommender_tags.reads_reviews = True
        return tags
