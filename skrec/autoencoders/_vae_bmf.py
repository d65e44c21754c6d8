"""VAE-BMF: Bayesian matrix factorisation by two variational autoencoders that feed each other."""

from numbers import Integral, Real

import numpy as np
import torch
from scipy import sparse
from sklearn.utils._param_validation import Interval, StrOptions

from skrec._ratings import RATING_CONSTRAINTS, UncertainRatingMixin
from skrec.autoencoders._cross_feedback import Encoder
from skrec.autoencoders._nested_blocks import NestedTrainer, RatingStore, VAEBMFModule
from skrec.base import BaseRecommender
from skrec.metrics import rmse
from skrec.neural._batches import RowStore
from skrec.neural._estimator import TRAINING_CONSTRAINTS, check_hidden_layer_sizes
from skrec.neural._held_out import hold_out_entries
from skrec.neural._ratings import NeuralRatingMixin
from skrec.neural._weights import as_tensors
from skrec.utils._blocks import row_blocks
from skrec.utils._pairs import pair_products

# Ratings that a model predicts exactly have no noise, which no density allows.
SMALLEST_NOISE = 1e-6
ENCODER_OPTIONS = [
    "n_components",
    "hidden_layer_sizes",
    "joint_layer_sizes",
    "data_input",
    "cross_feedback",
    "latent_input",
    "attention",
    "attention_norm",
    "normalize",
]


class VAEBMF(UncertainRatingMixin, NeuralRatingMixin, BaseRecommender):
    r"""TODO"""

    _module_class = VAEBMFModule
    _trainer_class = NestedTrainer

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
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
        "learn_noise": ["boolean"],
        "sampled": ["boolean"],
        "user_batch_size": [Interval(Integral, 1, None, closed="left")],
        "item_batch_size": [Interval(Integral, 1, None, closed="left")],
    }
    del _parameter_constraints["batch_size"]

    def __init__(
        self,
        n_components=20,
        *,
        hidden_layer_sizes=(100,),
        joint_layer_sizes=(),
        data_input=True,
        cross_feedback=True,
        latent_input="concat",
        attention="rated",
        attention_norm="softmax",
        normalize=True,
        center=True,
        beta_user=0.3,
        beta_item=0.3,
        learn_noise=False,
        sampled=False,
        dropout=0.0,
        learning_rate=0.005,
        user_batch_size=500,
        item_batch_size=500,
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
        self.learn_noise = learn_noise
        self.sampled = sampled
        self.dropout = dropout
        self.learning_rate = learning_rate
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

    def _training_part(self, X):
        self.mean_ = float(X.data.mean(dtype=np.float64)) if self.center else 0.0
        return self._centered(X)  # users without ratings too: the encoder of items counts them

    def _module_options(self, X):
        if not (self.data_input or self.cross_feedback):
            raise ValueError(
                "VAEBMF encodes ratings (data_input=True), embeddings (cross_feedback=True), or "
                "both, got False for both: there is nothing left to encode."
            )
        return {
            "n_users": X.shape[0],
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
        }

    def _init_module(self, module, X, generator):
        module.init(X.nnz, generator)

    def _store(self, X, device):
        return RatingStore(X, device)

    def _trainer_options(self, X):
        return {
            "user_batch_size": self.user_batch_size,
            "item_batch_size": self.item_batch_size,
        }

    def _hold_out(self, X, seed):
        training, held_out = hold_out_entries(X, self.validation_fraction, seed)
        users = np.repeat(np.arange(X.shape[0]), np.diff(held_out.indptr))

        def score(module):
            store = RatingStore(self._centered(training), module.item_embeddings.device)
            items = module.settled_items(store)
            states = as_moments(*module.encode_users(store, items[0]))
            means, variances = pair_moments(states, as_moments(*items), users, held_out.indices)
            means += self.mean_
            errors = np.mean((held_out.data - means) ** 2, dtype=np.float64)
            module.noise_variance.fill_(max(errors - variances.mean(), SMALLEST_NOISE))
            return -rmse(self._clip(means), held_out)

        return training, score

    def _fitted_state(self, module, X):
        store = RatingStore(self._centered(X), module.item_embeddings.device)
        items = module.settled_items(store)
        means, variances = as_moments(*items)
        noise = float(module.noise_variance)
        if np.isnan(noise):  # nothing was held out
            states = as_moments(*module.encode_users(store, items[0]))
            users = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
            fitted, spread = pair_moments(states, (means, variances), users, X.indices)
            noise = np.mean((X.data - self.mean_ - fitted) ** 2, dtype=np.float64) + spread.mean()
        state = module.user_encoder.settled_state(items[0])
        return {
            "item_embeddings_": means,
            "item_variances_": variances,
            "noise_variance_": max(float(noise), SMALLEST_NOISE),
            "_encoder_weights": {name: np.array(value.cpu()) for name, value in state.items()},
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
        options = {name: self._options[name] for name in ENCODER_OPTIONS}
        encoder = Encoder(self.n_features_in_, **options, settled=True)
        encoder.load_state_dict(as_tensors(self._encoder_weights), assign=True)
        return encoder

    def _centered(self, X):
        return sparse.csr_array((X.data - self.mean_, X.indices, X.indptr), shape=X.shape)

    def _user_states(self, X):
        X = self._centered(X)
        encoder = self._scoring_module()
        device = encoder.embeddings.device
        blocks = row_blocks(X.shape[0], 32 * sum(self._options["hidden_layer_sizes"]))
        with torch.inference_mode():
            posteriors = [encoder(RowStore(X[block], device).cut()) for block in blocks]
            return as_moments(*(torch.cat(parts) for parts in zip(*posteriors, strict=True)))

    def _score_rows(self, X):
        means, _ = self._user_states(X)
        return means @ self.item_embeddings_.T + self.mean_

    def _score_rows_std(self, X):
        means, variances = self._user_states(X)
        products = means**2 @ self.item_variances_.T + variances @ (
            self.item_embeddings_**2 + self.item_variances_
        ).T
        return means @ self.item_embeddings_.T + self.mean_, np.sqrt(
            products + self.noise_variance_
        )

    def _score_pairs(self, states, users, items):
        return pair_products(states[0], self.item_embeddings_, users, items) + self.mean_

    def _score_pairs_std(self, states, users, items):
        posteriors = self.item_embeddings_, self.item_variances_
        means, variances = pair_moments(states, posteriors, users, items)
        return means + self.mean_, np.sqrt(variances + self.noise_variance_)

    def _embed(self, X):
        return self._user_states(X)[0]


def as_moments(mean, log_var):
    """Means and variances as arrays, from means and logarithms of variances as tensors."""
    return mean.cpu().numpy(), log_var.exp().cpu().numpy()


def pair_moments(users, items, rows, columns):
    """Mean and variance of the product of a user's and an item's embedding, independent.

    Parameters
    ----------
    users, items : tuple of ndarray of shape (n_users or n_items, n_components)
        Means and variances of the embeddings.
    rows, columns : ndarray of int of shape (n_pairs,)

    Returns
    -------
    means, variances : ndarray of shape (n_pairs,)
    """
    (user_means, user_vars), (item_means, item_vars) = users, items
    means = pair_products(user_means, item_means, rows, columns)
    left = np.concatenate([user_means**2, user_vars], axis=1)
    right = np.concatenate([item_vars, item_means**2 + item_vars], axis=1)
    return means, pair_products(left, right, rows, columns)
