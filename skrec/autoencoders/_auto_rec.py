"""AutoRec: an autoencoder of the ratings of an item, or of a user."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import nn

from skrec.base import BaseRecommender, FactorMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.neural._batches import RowStore, map_rows
from skrec.neural._estimator import BATCH_CONSTRAINTS, LAYER_CONSTRAINTS, TRAINING_CONSTRAINTS
from skrec.neural._layers import SparseLinear, init_glorot, linear
from skrec.neural._observed import observed_products
from skrec.neural._rating_estimator import NeuralRatingMixin
from skrec.neural._weights import as_arrays
from skrec.solvers._devices import resolve_device, to_tensor
from skrec.solvers._offsets import fit_offsets, less_offsets
from skrec.solvers._pair_products import pair_products
from skrec.solvers._ridge import ridge_rows
from skrec.utils._compat import Interval, StrOptions

# Ratings of the mean that an item's own mean is shrunk by.
ITEM_SHRINKAGE = 5.0
# Penalties on the offsets of users and items, as of BiasBaseline.
L2_USER, L2_ITEM = 15.0, 10.0
# Rows of users have less left to explain, since both offsets are taken off.
DEFAULT_L2 = {"item": 200.0, "user": 100.0}


@dataclass(frozen=True)
class AutoRecData:
    """Rows that an AutoRec learns from, and what is taken off them.

    Parameters
    ----------
    rows : csr_array
        A row per item as it stands, or a row per user less the offsets.
    trained : csr_array
        Those of `rows` that are trained on.
    offsets : tuple of (mean, item_offsets, l2)
        As :func:`less_offsets` takes them.
    user_offsets : ndarray of shape (n_users,)
    bias : float
        Where the biases of the output layer begin.
    """

    rows: csr_array
    trained: csr_array
    offsets: tuple
    user_offsets: np.ndarray
    bias: float

    @property
    def shape(self):
        return self.trained.shape


class AutoRecModule(nn.Module):
    """One hidden layer between a row of ratings and itself.

    Parameters
    ----------
    n_columns, n_components : int
    dropout : float
    n_rows : int, default=0
        Number of rows that have an offset, which is taken off their targets.
    """

    def __init__(self, n_columns, n_components, *, dropout, n_rows=0):
        super().__init__()
        self.dropout = dropout
        self.first = SparseLinear(n_columns, n_components)
        self.output = linear(n_components, n_columns)
        self.register_buffer("row_offsets", torch.zeros(n_rows))

    def encode(self, batch):  # -> (n_rows, n_components)
        return torch.sigmoid(self.first(batch))

    def forward(self, batch, generator, progress):  # -> (n_rows,)
        code = self.encode(batch.dropped_out(self.dropout, generator))
        outputs = observed_products(code, self.output.weight, batch)
        residual = outputs + self.output.bias[batch.items] - batch.values
        if len(self.row_offsets):
            residual = residual + self.row_offsets[batch.users][batch.rows]
        return batch.sum_rows(residual**2)


class AutoRec(FactorMixin, NeuralRatingMixin, BaseRecommender):
    r"""Autoencoder of the ratings of an item, or of a user (AutoRec).

    A row of ratings :math:`r`, zeros where there is none, is to be recovered from one hidden
    layer of logistic units. Training minimises over all rows

    .. math::
        \sum_r \sum_{j \text{ observed}} (r_j - w_j \cdot \sigma(V r + c) - b_j)^2
        + \frac{\lambda}{2} (\|W\|^2 + \|V\|^2)

    With ``based_on="item"`` a row is an item's. Its hidden units are then a code of the item,
    which stands after ``fit``, and :math:`w_j, b_j` belong to a user. They are not looked up: a
    user's are the exact minimisers of the objective given the user's ratings and the codes, a
    ridge regression. At a minimum of the objective the training users' weights are just those, so
    training users and new ones are treated alike. With ``based_on="user"`` a row is a user's, as
    in every autoencoder of this package.

    Parameters
    ----------
    n_components : int, default=500
        Number of hidden units.
    based_on : {"item", "user"}, default="item"
        Whose ratings are a row of the autoencoder.
    center : bool, default=True
        Whether to take offsets off. With ``based_on="item"``, the items' mean ratings are taken
        off the targets; items' rows stay as they are, because who has rated an item tells as much
        as how. With ``based_on="user"``, the offsets of items and users, those of
        :class:`BiasBaseline`, are taken off targets and inputs: what is left is all that one
        penalised hidden layer can learn from rows this short. False: raw ratings throughout, as
        in the paper.
    l2 : float, default=None
        Penalty :math:`\lambda` on the weights of both layers, biases excepted. It counts half,
        against the sum of all squared errors, of ratings in units of their standard deviation.
        None: 200 with ``based_on="item"``, 100 with ``based_on="user"``.
    dropout : float, default=0.0
        Probability of dropping an entry from the input.
    batch_size : int, default=256
        Rows of an update: items or users.
    early_stopping : bool, default=True
        Whether to hold ratings out, measure minus RMSE on them after each epoch, and keep the
        weights of the best epoch. Ratings, not users: see Notes.
    clip : bool, default=True
        Whether ``predict`` keeps to the range of the ratings. ``recommend`` ranks by the values
        before clipping.
    rating_scale : tuple of (float, float), default=None
        Lowest and highest possible rating. Others are an error in ``fit``. None means the range
        of the ratings seen in ``fit``.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the fit before, the optimiser's state
        included. With ``based_on="item"`` the rows of `X` must be the same users.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_components)
        Codes of the items, or with ``based_on="user"`` their weights in the output layer.
    item_offsets_ : ndarray of shape (n_items,)
        The part of predictions that belongs to an item alone: its mean rating, shrunk to the mean
        of all, or with ``based_on="user"`` the mean, its offset and its bias.
    loss_curve_ : list of float
        Sum of squared errors per training row, by epoch.
    best_iteration_ : int
        The epoch whose weights were kept, from 1; with ``based_on="user"``, 0 stands for the
        offsets alone. Only with ``early_stopping=True``.
    rating_unit_ : float
        Standard deviation of the ratings, the unit of embeddings, penalties and losses.
    rating_range_ : tuple of (float, float)
        `rating_scale`, or the smallest and largest rating seen in ``fit``.

    See Also
    --------
    BiasBaseline : Means and offsets only.
    MultDAE : With ``likelihood="gaussian"``, a user-based autoencoder with other defaults.

    Notes
    -----
    Ratings are held out for early stopping, not users, because an item's row would miss the
    ratings of users who are held out. The codes are computed from all ratings in the end. The
    score after each epoch uses the training users' weights as they stand, which costs far less
    than solving for all users.

    Both layers are computed at observed ratings alone, which costs ``n_ratings * n_components``
    multiplications each, and neither fit nor the solution for users ever holds an array of all
    users by all items. The paper trains with L-BFGS or Rprop on all rows at once; here it is Adam
    on batches, which needs tens of passes over the data instead of hundreds.

    References
    ----------
    .. [1] S. Sedhain, A. K. Menon, S. Sanner and L. Xie, "AutoRec: Autoencoders Meet Collaborative
       Filtering", WWW 2015 Companion. :doi:`10.1145/2740908.2742726`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import AutoRec
    >>> X = np.kron([[5, 1], [1, 5]], np.ones((20, 4)))
    >>> X[0, :2] = 0
    >>> model = AutoRec(8, l2=1, early_stopping=False, random_state=0).fit(X)
    >>> model.predict(X[:1, :]).round()
    array([[5., 5., 5., 5., 1., 1., 1., 1.]])
    """

    _module_class = AutoRecModule

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **BATCH_CONSTRAINTS,
        "dropout": LAYER_CONSTRAINTS["dropout"],
        **RATING_CONSTRAINTS,
        "based_on": [StrOptions({"item", "user"})],
        "center": ["boolean"],
        "l2": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __init__(
        self,
        n_components=500,
        *,
        based_on="item",
        center=True,
        l2=None,
        dropout=0.0,
        learning_rate=0.001,
        batch_size=256,
        max_iter=200,
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
        self.based_on = based_on
        self.center = center
        self.l2 = l2
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

    @property
    def _no_update(self):
        if getattr(self, "_based_on", self.based_on) == "user":
            return None
        return "with based_on='item' it has weights for each training user"

    def _update(self, change):
        if change.new.shape[1] > len(self.item_embeddings_):
            self._widen(change.new, len(self.item_embeddings_))
        # Of all users, as the offsets are.
        self._train(change.new, n_epochs=1, early_stopping=False, resume=True, keep_optimizer=True)

    def _training_data(self, X, reviews):
        offsets = self._fit_offsets(X)
        residual, user_offsets = less_offsets(X, offsets)
        has_offsets = self.center and self.based_on == "user"
        bias = 0.0 if has_offsets else float(residual.data.mean())
        # An item without ratings keeps its row, so that rows are numbered as items are.
        rows = X.T.tocsr() if self.based_on == "item" else residual
        trained = rows if self.based_on == "item" else super()._training_data(rows, reviews)
        return AutoRecData(rows, trained, offsets, user_offsets, bias)

    def _fit_offsets(self, X):
        """What is taken off: the mean, a value of each item, and the penalty on users' offsets."""
        if not self.center:
            return 0.0, np.zeros(X.shape[1]), np.inf
        if self.based_on == "item":
            return 0.0, item_means(X), np.inf
        return *fit_offsets(X, L2_USER, L2_ITEM), L2_USER

    @property
    def _keep_start(self):
        return self.based_on == "user"  # the offsets

    def _module_options(self, data):
        return {
            "n_components": self.n_components,
            "dropout": self.dropout,
            "n_rows": data.shape[0] if self.based_on == "item" else 0,
        }

    def _init_module(self, module, data, generator):
        init_glorot(module, generator)
        nn.init.constant_(module.output.bias, data.bias)
        if self.based_on == "user":  # predictions begin as the offsets, or the mean
            nn.init.zeros_(module.output.weight)

    def _refill(self, module, data):
        if self.based_on == "item":
            module.row_offsets.copy_(to_tensor(data.offsets[1], "cpu"))

    def _store(self, data, device):
        return RowStore(data.trained, device)

    def _trainer_options(self, data):
        # The trainer takes the mean over rows, and Adam adds weight_decay * W to the gradient.
        decay = self._resolved_l2() / data.shape[0]
        return {
            **super()._trainer_options(data),
            "optimizer__param_groups": [("*weight", {"weight_decay": decay})],
        }

    def _resolved_l2(self):
        return DEFAULT_L2[self.based_on] if self.l2 is None else self.l2

    def _fitted_state(self, module, X, data):
        fitted = self._fit_offsets(X)
        offsets = fitted[0] + fitted[1]
        if self.based_on == "item":
            embeddings = row_codes(module, X.T.tocsr())
        else:
            output = as_arrays(module.output)
            embeddings, offsets = output["weight"].copy(), offsets + output["bias"]
        return {
            "item_embeddings_": embeddings,
            "item_offsets_": self._in_ratings(offsets),
            "_item_offsets": offsets,
            "_offsets": fitted,
            "_bias": data.bias,
            "_based_on": self.based_on,
            "_l2": self._resolved_l2(),
        }

    def _rate_held_out(self, module, data, users, items):
        weights, biases = (as_arrays(module.output)[name] for name in ("weight", "bias"))
        codes = row_codes(module, data.rows)
        if self.based_on == "item":
            products = pair_products(weights, codes, users, items) + biases[users]
        else:
            products = pair_products(codes, weights, users, items) + biases[items]
        mean, item_offsets, _ = data.offsets
        return products + data.user_offsets[users] + (mean + item_offsets)[items]

    def _fold_in(self, X):
        X, user_offsets = less_offsets(X, self._offsets)
        if self._based_on == "user":
            return row_codes(self._scoring_module(), X), user_offsets
        device = resolve_device(self.device, missing_ok=True)
        weights, biases = ridge_rows(
            X,
            self.item_embeddings_,
            self._l2 / 2,
            bias=self._bias,
            device="cpu" if device.type == "mps" else device,
        )
        return weights.astype(np.float32), biases


def item_means(X):
    """Mean rating of each item, shrunk to the mean of all.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)

    Returns
    -------
    means : ndarray of shape (n_items,)
    """
    mean = X.data.mean(dtype=np.float64)
    sums = np.bincount(X.indices, X.data - mean, minlength=X.shape[1])
    return mean + sums / (np.bincount(X.indices, minlength=X.shape[1]) + ITEM_SHRINKAGE)


def row_codes(module, X):
    """Codes of all rows, an array of shape (n_rows, n_components)."""
    weight = module.output.weight
    return map_rows(module.encode, X, weight.device, row_bytes=16 * weight.shape[1])
