"""mDA-CF: factors of ratings that features pull towards what they say."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from skrec.base import BaseRecommender, FactorMixin, RatingMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.base._user_features import UserFeaturesMixin
from skrec.factorization._denoising import TiedAutoencoder
from skrec.factorization._tied_sweeps import TiedSweeps, fold_in
from skrec.solvers._alternating import Objective
from skrec.solvers._sweeps import repeat_sweeps
from skrec.utils._compat import Interval
from skrec.utils._item_features import check_item_features, without_frame
from skrec.utils._memory import check_memory


class MDACF(UserFeaturesMixin, FactorMixin, RatingMixin, BaseRecommender):
    r"""Matrix factorisation with denoising autoencoders of user and item features (mDA-CF).

    The objective of :class:`PMF`, with the weights :math:`U` of the users and :math:`V` of the
    items (factors and offsets), and for each side that has features :math:`X`, a column each,

    .. math::
        \tfrac{\omega}{2}\, E \|X - W \tilde X\|^2
        + \tfrac{\lambda}{2} \|P U^\top + p - W X\|^2

    where each feature is 0 in :math:`\tilde X` with a probability. The autoencoder :math:`W` finds
    what the features have in common, and :math:`P` predicts that from the weights. So who has few
    ratings, or none, is told by features. All of :math:`P`, :math:`W`, :math:`U` and :math:`V` have
    closed forms given the others, and are solved for in turn.

    Parameters
    ----------
    n_layers : int, default=1
        Number of autoencoders, each of which reads :math:`\tanh(WX)` of the one before. The
        weights are tied to the last. 1 is mDA-CF, more are mSDA-CF: the paper's has an odd number
        L, of which this is (L + 1) / 2, as the layers above the one in the middle change nothing.
    dropout : float, default=0.3
        Probability that a feature is 0 in the input of its autoencoder.
    feature_weight : float, default=3.0
        Weight :math:`\lambda` of the tie between weights and features; 0 is :class:`PMF`.
    reconstruction_weight : float, default=30.0
        Weight :math:`\omega` of the autoencoders' errors. The larger, the less the ratings decide
        which part of the features counts.
    item_features : {array-like, sparse matrix, dataframe} of shape (n_items, n_features)
        What is known of the items themselves: a row for each item, in the order of the columns of
        `X`. Numbers or booleans; categories have to be one-hot encoded. Those of the users are
        arguments of the verbs.

    Attributes
    ----------
    mean_ : float
        Mean of the ratings.
    item_offsets_ : ndarray of shape (n_items,)
        With ``fit_offsets=False`` 0.

    References
    ----------
    .. [1] S. Li, J. Kawale and Y. Fu, "Deep Collaborative Filtering via Marginalized Denoising
       Auto-encoder", CIKM 2015. :doi:`10.1145/2806416.2806527`
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "feature_weight": [Interval(Real, 0, None, closed="left")],
        "reconstruction_weight": [Interval(Real, 0, None, closed="neither")],
        "l2": [Interval(Real, 0, None, closed="neither")],
        "l2_exponent": [Interval(Real, 0, 1, closed="both")],
        "fit_offsets": ["boolean"],
        "item_features": ["array-like", "sparse matrix", None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        **RATING_CONSTRAINTS,
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=16,
        *,
        n_layers=1,
        dropout=0.3,
        feature_weight=3.0,
        reconstruction_weight=30.0,
        l2=1.1,
        l2_exponent=0.5,
        fit_offsets=True,
        item_features=None,
        max_iter=30,
        tol=1e-4,
        clip=True,
        rating_scale=None,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.n_layers = n_layers
        self.dropout = dropout
        self.feature_weight = feature_weight
        self.reconstruction_weight = reconstruction_weight
        self.l2 = l2
        self.l2_exponent = l2_exponent
        self.fit_offsets = fit_offsets
        self.item_features = item_features
        self.max_iter = max_iter
        self.tol = tol
        self.clip = clip
        self.rating_scale = rating_scale
        self.random_state = random_state
        self.verbose = verbose

    _no_update = "it does not keep the features of its users"

    def __getstate__(self):
        state = super().__getstate__()
        if not hasattr(self, "n_iter_"):  # a copy that is to be fitted elsewhere
            return state
        return {**state, "item_features": without_frame(self.item_features)}

    def _check_training(self, X, reset):
        X = super()._check_training(X, reset)
        self._read_item_features(X)
        return X

    def _read_item_features(self, X):
        if self.item_features is None:
            return None
        ids = getattr(self, "feature_names_in_", None)
        return check_item_features(self.item_features, X.shape[1], ids)

    def _fit(self, X, user_features):
        n_weights = self.n_components + int(self.fit_offsets)
        features = user_features, self._read_item_features(X)
        widths = [0 if of_side is None else of_side.shape[1] for of_side in features]
        check_memory(
            # Weights of both sides, and second moments of the features.
            8 * sum(X.shape) * n_weights + 40 * sum(width**2 for width in widths),
            f"MDACF with {self.n_components} components on {X.shape[0]} users x {X.shape[1]} "
            f"items with {widths[0]} and {widths[1]} features",
            "use a smaller n_components, or fewer features",
        )
        mean = float(X.data.mean(dtype=np.float64)) if X.nnz else 0.0
        self.mean_ = self._in_ratings(mean)
        self._objective = Objective(mean, self.l2, self.l2_exponent, self.fit_offsets, None)
        rng = check_random_state(self.random_state)
        items = np.zeros((X.shape[1], n_weights), dtype=X.dtype)
        items[:, : self.n_components] = 0.1 * rng.standard_normal((len(items), self.n_components))
        settings = self.n_layers, self.dropout, self.feature_weight, self.reconstruction_weight
        autoencoders = [
            None if of_side is None else TiedAutoencoder(of_side, n_weights, *settings)
            for of_side in features
        ]
        sweeps, losses = TiedSweeps(self._objective, X, items, autoencoders), []

        def sweep():
            losses.extend(sweeps.sweep())
            before = losses[-3] if len(losses) > 2 else np.inf
            return losses[-1], before - losses[-1] <= self.tol * before < np.inf

        self.n_iter_ = repeat_sweeps(sweep, self.max_iter, "MDACF", self.verbose)
        self.loss_curve_, self._item_table = losses, sweeps.sides[1]
        self._user_prior = None if user_features is None else autoencoders[0].prior()

    def _fold_in(self, X, user_features=None):
        weights = fold_in(X, self._objective, self._item_table, self._user_prior, user_features)
        offsets = np.full(len(weights), self._objective.intercept, dtype=weights.dtype)
        if self._objective.has_offsets:
            offsets += weights[:, -1]
        return weights[:, : self._n_features_out], offsets

    @property
    def item_embeddings_(self):
        """Factors of the items, an array of shape (n_items, n_components)."""
        return self._item_table[:, : self._n_features_out]

    @property
    def _n_features_out(self):
        return self._item_table.shape[1] - self._objective.has_offsets

    @property
    def _item_offsets(self):
        table = self._item_table
        return table[:, -1] if self._objective.has_offsets else np.zeros_like(table[:, 0])

    @property
    def item_offsets_(self):
        """Offsets of the items, an array of shape (n_items,)."""
        return self._in_ratings(self._item_offsets)
