"""VAE-BMF: Bayesian matrix factorisation by two variational autoencoders."""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse

from skrec.base import BaseRecommender, FactorMixin
from skrec.base._ratings import RATING_CONSTRAINTS, SMALLEST_NOISE, UncertainRatingMixin
from skrec.networks._cross_feedback import Encoder, as_moments
from skrec.networks._nested_blocks import NestedTrainer, RatingStore, VAEBMFModule
from skrec.neural._batches import RowStore
from skrec.neural._estimator import (
    LAYER_CONSTRAINTS,
    TERM_WEIGHT,
    TRAINING_CONSTRAINTS,
    check_hidden_layer_sizes,
)
from skrec.neural._rating_estimator import NeuralRatingMixin
from skrec.neural._weights import as_tensors
from skrec.solvers._gaussian_products import pair_moments, variance_factors
from skrec.solvers._offsets import centered
from skrec.solvers._pair_products import pair_products
from skrec.solvers._torch_state import torch_state
from skrec.utils._blocks import row_blocks
from skrec.utils._compat import Interval, StrOptions

# What the module has beyond the options of its encoders.
TRAINING_OPTIONS = ["n_users", "beta_user", "beta_item", "learn_noise", "sampled", "leave_one_out"]


class CenteredRatings(NamedTuple):
    """Ratings less their mean, and the mean."""

    ratings: sparse.csr_array
    mean: float

    @property
    def shape(self):
        return self.ratings.shape


class VAEBMF(FactorMixin, UncertainRatingMixin, NeuralRatingMixin, BaseRecommender):
    r"""Bayesian matrix factorisation by variational autoencoders with cross feedback (VAE-BMF).

    A rating is the product of a user's and an item's embedding, plus noise. Both embeddings have
    normal posteriors with diagonal covariances, which two encoders compute: of users, from a
    user's ratings and the embeddings of the items that are rated, and of items, the other way
    round. Training minimises

    .. math::
        \tfrac12 \sum_{(u,i)} \mathrm{E}\left[(r_{ui} - m - z_u \cdot z_i)^2\right]
        + \beta_\text{user} \sum_u \mathrm{KL}(q(z_u) \,\|\, N(0, I))
        + \beta_\text{item} \sum_i \mathrm{KL}(q(z_i) \,\|\, N(0, I))

    over the observed ratings, with :math:`m` their mean. After each sweep over the data the
    embeddings are drawn anew from their posteriors, for the encoders to read in the next.

    Each encoder has two towers, one for ratings and one for embeddings, whose outputs are joined.
    What comes out may then attend to the embeddings once more. A new user needs no training: the
    encoder of users reads the ratings and the items' embeddings as they stand after ``fit``,
    for training users too.

    Parameters
    ----------
    n_components : int, default=20
        Length of the embeddings.
    hidden_layer_sizes : array-like of int, default=(100,)
        Widths of the layers of each tower, at least one.
    joint_layer_sizes : array-like of int, default=()
        Widths of the layers between the joined towers and the posterior.
    data_input : bool, default=True
        Whether encoders read ratings.
    cross_feedback : bool, default=True
        Whether encoders read the embeddings of the other side. False takes attention away too.
    latent_input : {"concat", "mean"}, default="concat"
        How the embeddings that belong to a row become one input. "concat": each has weights of
        its own. "mean": they are averaged, which needs far fewer weights and does worse.
    attention : {"rated", "all"} or None, default=None
        Which embeddings a posterior attends to: those that belong to the row, or all, which is
        meant for very sparse data. None: no attention, which does better here; the paper has it.
    attention_norm : {"softmax", "ratio"}, default="softmax"
        How products become attention weights. "ratio": divided by their sum, as in the paper,
        which may vanish; it is kept from zero by 1e-6. Nothing is to be weighed without
        `attention`.
    normalize : bool, default=True
        Whether sums over a row's entries are divided by the square root of their number. False:
        plain sums, as in the paper.
    center : bool, default=True
        Whether the mean rating is taken off, in targets and inputs. Ratings that are then zero
        still count as observed. False: raw ratings, as in the paper.
    beta_user, beta_item : float, default=0.08
        Weights of the divergences.
    l2 : float, default=5.0
        Penalty on the squared weights that multiply the inputs of the encoders, in units of the
        objective. 0 is the paper's.
    learn_noise : bool, default=False
        Whether the variance of the noise is learned, instead of 1.
    sampled : bool, default=False
        Whether training draws embeddings to estimate the expected squared error, as the paper
        does. False: the expectation itself, which has a closed form.
    leave_one_out : bool, default=True
        Whether training predicts a rating from what its user and its item are encoded to without
        it. False is the paper's: the rating stands in the input of both encoders.
    dropout : float, default=0.0
        Probability of dropping a rating from what both encoders read. It is still to be predicted.
    learning_rate_decay : float, default=0.92
        Factor of the step size after each sweep.
    user_batch_size, item_batch_size : int or "auto", default="auto"
        Users and items of an update. "auto": a quarter of them, at most 2000, so that data of any
        size get 16 updates or more in a sweep. The paper has 100 for MovieLens 1M.
    max_iter : int, default=30
        Number of epochs, each a sweep: every batch of users with every batch of items. What is
        fed back is drawn once in a sweep, so that many short ones do better than few long ones.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the fit before, which needs it as well, and
        from the optimiser's state. The rows of `X` must be the same users.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_components)
        Means of the items' posteriors.
    item_variances_ : ndarray of shape (n_items, n_components)
        Variances of the items' posteriors.
    mean_ : float
        Mean of the ratings that were trained on, 0 with ``center=False``.
    noise_variance_ : float
        Variance of ratings beyond that of the embeddings: what the squared errors on the ratings
        held out leave over, or with ``early_stopping=False`` the mean expected squared error of
        the training ratings.
    loss_curve_ : list of float
        Objective per rating, by sweep.

    See Also
    --------
    AutoRec : One hidden layer, without posteriors.
    MultVAE : With ``likelihood="gaussian"``, posteriors of users only.

    Notes
    -----
    There is no public code of the paper, which leaves questions open. The answers here:

    - In a block of the nested iteration the divergence of a user counts with one part in as many
      as there are blocks with that user, likewise for items. So the blocks of a sweep add up to
      the objective above. Each block's part is divided by its number of ratings.
    - The variance of the noise is 1: the objective has a squared error. With equal betas, that
      is the bound on the evidence for a variance of the noise of beta. `learn_noise` is the
      alternative.
    - Embeddings that encoders read start from a normal of deviation 0.1, and are constants within
      a sweep. Batches are put together anew at each sweep. After it, both sides are drawn given
      the embeddings that were read in it, without dropout.
    - Means and variances come from separate copies of all layers. Variances attend before the
      logistic function that ends them, so that they stay in (0, 1). They begin near 0.05.
    - Products of attention with ``attention_norm="softmax"`` are divided by the square root of
      `n_components`.
    - Weights are drawn by Glorot's rule, those of the first layers by the number of entries that
      a row has on average, not by the width of the input. The weights of embeddings begin
      at a tenth of that, and attention begins as what it attends from plus a little of what it
      finds. The optimiser is Adam.
    - A rating that is asked for never stands in the input of the encoders. `leave_one_out` makes
      it so in training: the rating's share of the first layers' sums is taken off, which is exact,
      and the layers above are computed for each rating. Of attention with "rated", a rating's own
      share is taken off too; the query stays that of the whole row, as do the divergences, and the
      embeddings that are read come from all ratings.
    - Predictions are products of posterior means: the users' means given the items' drawn
      embeddings are what the encoder of items reads, and the items' means that it gives are what
      users are encoded with and multiplied by. The mean over draws of both embeddings is that
      product as well.
    - There is no ``partial_fit``: the encoder of items has weights for each training user. It is
      not kept after ``fit``, unless `warm_start` asks for it.

    An input of all embeddings side by side, zeros for the unrated, has ``n_items *
    n_components`` columns. It never exists: its product with the weights is the sum, over the
    rated items, of each embedding's product with its own weights. So an update costs as much as
    the entries of its rows, plus that of all weights, of which there are ``(n_users + n_items) *
    n_components * 2 * hidden_layer_sizes[0]``. With ``attention="all"``, "softmax" compares every
    row with every embedding; "ratio" does not.

    References
    ----------
    .. [1] Y. Jin, H. Zhao, M. Liu, Y. Zhu, L. Du, L. Gao, H. Zhang and Y. Li, "Leveraging Cross
       Feedback of User and Item Embeddings with Attention for Variational Autoencoder based
       Collaborative Filtering", 2020. :arxiv:`2002.09145`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import VAEBMF
    >>> X = np.kron([[5, 1], [1, 5]], np.ones((25, 4)))
    >>> X[0, 0] = 0
    >>> model = VAEBMF(4, l2=0.1, learning_rate=0.01, max_iter=40, random_state=0).fit(X)
    >>> model.predict(X[:1]).round()
    array([[5., 5., 5., 5., 1., 1., 1., 1.]], dtype=float32)
    """

    _module_class = VAEBMFModule
    _trainer_class = NestedTrainer

    _no_update = "its encoder of items has weights for each training user"

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **LAYER_CONSTRAINTS,
        **RATING_CONSTRAINTS,
        "joint_layer_sizes": ["array-like"],
        "data_input": ["boolean"],
        "cross_feedback": ["boolean"],
        "latent_input": [StrOptions({"concat", "mean"})],
        "attention": [StrOptions({"rated", "all"}), None],
        "attention_norm": [StrOptions({"softmax", "ratio"})],
        "normalize": ["boolean"],
        "center": ["boolean"],
        "beta_user": [Interval(Real, 0, None, closed="left")],
        "beta_item": [Interval(Real, 0, None, closed="left")],
        "l2": [TERM_WEIGHT],
        "learn_noise": ["boolean"],
        "sampled": ["boolean"],
        "leave_one_out": ["boolean"],
        "learning_rate_decay": [Interval(Real, 0, 1, closed="right")],
        "user_batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "item_batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    }

    def __init__(
        self,
        n_components=20,
        *,
        hidden_layer_sizes=(100,),
        joint_layer_sizes=(),
        data_input=True,
        cross_feedback=True,
        latent_input="concat",
        attention=None,
        attention_norm="softmax",
        normalize=True,
        center=True,
        beta_user=0.08,
        beta_item=0.08,
        l2=5.0,
        learn_noise=False,
        sampled=False,
        leave_one_out=True,
        dropout=0.0,
        learning_rate=0.003,
        learning_rate_decay=0.92,
        user_batch_size="auto",
        item_batch_size="auto",
        max_iter=30,
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.joint_layer_sizes = joint_layer_sizes
        self.data_input = data_input
        self.cross_feedback = cross_feedback
        self.latent_input = latent_input
        self.attention = attention
        self.attention_norm = attention_norm
        self.normalize = normalize
        self.center = center
        self.beta_user = beta_user
        self.beta_item = beta_item
        self.l2 = l2
        self.learn_noise = learn_noise
        self.sampled = sampled
        self.leave_one_out = leave_one_out
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.learning_rate_decay = learning_rate_decay
        self.user_batch_size = user_batch_size
        self.item_batch_size = item_batch_size
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
        mean = float(X.data.mean(dtype=np.float64)) if self.center else 0.0
        # Users without ratings too: the encoder of items counts them.
        return CenteredRatings(centered(X, mean, X.dtype), mean)

    def _module_options(self, data):
        if not (self.data_input or self.cross_feedback):
            raise ValueError(
                "VAEBMF encodes ratings (data_input=True), embeddings (cross_feedback=True), or "
                "both, got False for both: there is nothing left to encode."
            )
        return {
            "n_users": data.shape[0],
            "n_components": self.n_components,
            "hidden_layer_sizes": check_hidden_layer_sizes(self.hidden_layer_sizes, at_least=1),
            "joint_layer_sizes": check_hidden_layer_sizes(self.joint_layer_sizes),
            "data_input": self.data_input,
            "cross_feedback": self.cross_feedback,
            "latent_input": self.latent_input,
            "attention": self.attention if self.cross_feedback else None,
            "attention_norm": self.attention_norm,
            "normalize": self.normalize,
            "beta_user": self.beta_user,
            "beta_item": self.beta_item,
            "learn_noise": self.learn_noise,
            "sampled": self.sampled,
            "leave_one_out": self.leave_one_out,
        }

    def _init_module(self, module, data, generator):
        module.init(data.ratings.nnz, generator)

    def _refill(self, module, data):
        module.noise_variance.zero_()  # nothing is measured yet

    def _store(self, data, device):
        return RatingStore(data.ratings, device)

    def _trainer_options(self, data):
        # The trainer takes the mean over ratings, and Adam adds weight_decay * W to the gradient.
        decay = {"weight_decay": 2 * self.l2 / data.ratings.nnz}
        return {
            "optimizer__param_groups": [("*data_weight", decay), ("*latent_weight", decay)],
            "user_batch_size": self.user_batch_size,
            "item_batch_size": self.item_batch_size,
            "dropout": self.dropout,
            "learning_rate_decay": self.learning_rate_decay,
        }

    def _validation_score(self, module, data, held_out):
        users = np.repeat(np.arange(held_out.shape[0]), np.diff(held_out.indptr))
        store = RatingStore(data.ratings, module.item_embeddings.device)
        items = module.final_items(store)
        states = as_moments(*module.encode_users(store, items[0]))
        means, variances = pair_moments(states, as_moments(*items), users, held_out.indices)
        means += data.mean
        errors = np.mean((held_out.data - means) ** 2, dtype=np.float64)
        module.noise_variance.fill_(max(errors - variances.mean(), SMALLEST_NOISE))
        return self._neg_rmse(means, held_out)

    def _fitted_state(self, module, X, data):
        store = RatingStore(centered(X, data.mean, X.dtype), module.item_embeddings.device)
        items = module.final_items(store)
        means, variances = as_moments(*items)
        noise = float(module.noise_variance)
        if noise == 0:  # nothing was held out
            states = as_moments(*module.encode_users(store, items[0]))
            users = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
            fitted, spread = pair_moments(states, (means, variances), users, X.indices)
            noise = np.mean((X.data - data.mean - fitted) ** 2, dtype=np.float64) + spread.mean()
        state = module.user_encoder.frozen_state(items[0])
        noise = max(float(noise), SMALLEST_NOISE)
        return {
            "_mean": data.mean,
            "mean_": self._in_ratings(data.mean),
            "item_embeddings_": means,
            "item_variances_": variances,
            "noise_variance_": self._in_squared_ratings(noise),
            "_noise_variance": noise,
            "_encoder_weights": {
                name: value.cpu().numpy().copy() for name, value in state.items()
            },
            **({} if self.warm_start else {"_weights": {}}),
        }

    def _check_same_network(self, module, options):
        if not self._weights:
            raise ValueError(
                "VAEBMF cannot go on training: the fit before was made with warm_start=False, "
                "after which the encoder of items is not kept. Set warm_start=False and fit anew."
            )
        super()._check_same_network(module, options)

    def _restored_module(self):
        options = {
            name: self._options[name] for name in self._options if name not in TRAINING_OPTIONS
        }
        encoder = Encoder(self.n_features_in_, **options, frozen=True)
        encoder.load_state_dict(as_tensors(self._encoder_weights), assign=True)
        return encoder

    def _user_states(self, X):
        X = centered(X, self._mean, X.dtype)
        encoder = self._scoring_module()
        device = encoder.embeddings.device
        blocks = row_blocks(X.shape[0], 32 * sum(self._options["hidden_layer_sizes"]))
        with torch_state():
            posteriors = [encoder(RowStore(X[block], device).cut()) for block in blocks]
            return as_moments(*(torch.cat(parts) for parts in zip(*posteriors, strict=True)))

    def _fold_in(self, X):
        means, _ = self._user_states(X)
        return means, np.full(len(means), self._mean, dtype=means.dtype)

    def _score_rows_std(self, X):
        means, variances = self._user_states(X)
        items = self.item_embeddings_, self.item_variances_
        left, right = variance_factors((means, variances), items)
        std = np.sqrt(left @ right.T + self._noise_variance)
        return means @ self.item_embeddings_.T + self._mean, std

    def _score_pairs(self, states, users, items):
        return pair_products(states[0], self.item_embeddings_, users, items) + self._mean

    def _score_pairs_std(self, states, users, items):
        posteriors = self.item_embeddings_, self.item_variances_
        means, variances = pair_moments(states, posteriors, users, items)
        return means + self._mean, np.sqrt(variances + self._noise_variance)
