"""Bayesian probabilistic matrix factorisation by Gibbs sampling."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_random_state

from skrec.base import BaseRecommender, FactorMixin, UncertainRatingMixin
from skrec.base._factors import cosines
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.factorization._gibbs import Draw, draws
from skrec.factorization._mixture import Moments, Space, orthogonal, users_given
from skrec.solvers._devices import resolve_device
from skrec.solvers._pair_products import pair_products
from skrec.solvers._uncertainty import pack_squares
from skrec.utils._compat import Interval
from skrec.utils._item_features import check_item_features, without_frame
from skrec.utils._memory import check_memory
from skrec.utils._pair_blocks import blocks_of_pairs
from skrec.utils._progress import progress_bar
from skrec.utils._warnings import warn


class BayesianPMF(FactorMixin, UncertainRatingMixin, BaseRecommender):
    r"""Bayesian probabilistic matrix factorisation of ratings.

    The model of :class:`PMF`, whose priors are learned too: the factors (with the offset) of the
    users are normal with an unknown mean and covariance, those of the items with another. Nothing
    is chosen: Gibbs sampling draws all of it in turn from the posterior, and predictions are
    averages over draws. There is no penalty to tune.

    Parameters
    ----------
    n_components : int, default=16
        Number of factors.
    fit_offsets : bool, default=True
        Whether users and items have offsets.
    n_samples : int, default=100
        Number of draws that predictions average over.
    n_burn_in : int, default=20
        Number of draws before them, which are thrown away.
    noise_precision : float, default=None
        Inverse variance of a rating given the factors, of ratings in units of their standard
        deviation. None: drawn from its posterior too, with the prior Gamma(1, 1). The paper has 2.
    device : str, default="auto"
        "cpu", "cuda" (or "cuda:1", ...), or "auto", which takes a CUDA GPU if there is one. A
        fitted model goes to the CPU where the device does not exist.
    random_state : int, RandomState instance or None, default=None
        Controls the draws. Pass an int for the same model at every fit.
    verbose : int, default=0
        1 shows a progress bar with the noise's standard deviation.

    Attributes
    ----------
    mean_ : float
        Mean of the ratings.
    noise_variances_ : ndarray of shape (n_samples,)
        Draws of the variance of a rating given the factors.

    See Also
    --------
    PMF : The most probable factors: faster, and nearly as good with a good penalty.

    Notes
    -----
    The priors are those of ratings divided by their standard deviation, so that the unit of the
    ratings does not matter. Those of means and precisions are the paper's: normal-Wishart with
    mean 0 and weight 2, an identity as scale and as many degrees of freedom as there are weights.

    A user, known or new, is predicted from the user's row alone: for each draw of the items'
    weights, of the users' prior and of the noise, the user's weights have a normal distribution in
    closed form. Its mean is averaged instead of a draw from it, so predictions are not random.
    ``return_std=True`` gives the deviation of the mixture of these distributions, noise included.

    A draw takes as long as a sweep of :class:`PMF`, and a prediction ``n_samples`` half-sweeps
    over the users asked for. The items' weights are kept for each draw: ``n_samples * n_items *
    n_components`` numbers.

    References
    ----------
    .. [1] R. Salakhutdinov and A. Mnih, "Bayesian Probabilistic Matrix Factorization using Markov
       Chain Monte Carlo", ICML 2008. :doi:`10.1145/1390156.1390267`

    Examples
    --------
    >>> from skrec import BayesianPMF
    >>> X = [[5, 5, 1, 0], [5, 0, 1, 1], [1, 1, 0, 5], [0, 1, 5, 5]]
    >>> model = BayesianPMF(n_components=1, random_state=0).fit(X)
    >>> ratings, std = model.predict([[5, 5, 1, 1], [0, 0, 0, 0]], return_std=True)
    >>> bool(std[0, 0] < std[1, 0])
    True
    """

    _no_update = "its draws of the items belong to all training users together"

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "fit_offsets": ["boolean"],
        "item_features": ["array-like", "sparse matrix", None],
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "n_burn_in": [Interval(Integral, 0, None, closed="left")],
        "noise_precision": [Interval(Real, 0, None, closed="neither"), None],
        **RATING_CONSTRAINTS,
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=16,
        *,
        fit_offsets=True,
        item_features=None,
        n_samples=100,
        n_burn_in=20,
        noise_precision=None,
        clip=True,
        rating_scale=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.fit_offsets = fit_offsets
        self.item_features = item_features
        self.n_samples = n_samples
        self.n_burn_in = n_burn_in
        self.noise_precision = noise_precision
        self.clip = clip
        self.rating_scale = rating_scale
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def __getstate__(self):
        state = super().__getstate__()
        if not hasattr(self, "_samples"):  # a copy that is to be fitted elsewhere
            return state
        return {**state, "item_features": without_frame(self.item_features)}

    def _check_training(self, X, reset):
        X = super()._check_training(X, reset)
        self._read_features(X.shape[1])
        return X

    def _read_features(self, n_items):
        """What the items' weights are regressed on, an array of shape (n_items, n_columns)."""
        if self.item_features is None:
            return np.empty((n_items, 0))
        ids = getattr(self, "feature_names_in_", None)
        return orthogonal(check_item_features(self.item_features, n_items, ids))

    def _fit(self, X):
        self._mean = float(X.data.mean(dtype=np.float64)) if X.nnz else 0.0
        self.mean_ = self._in_ratings(self._mean)
        self._has_offsets = self.fit_offsets
        samples = []
        try:
            self._draw_all(X, samples)
        except KeyboardInterrupt:
            if not samples:
                raise
            warn(
                f"Sampling was interrupted: predictions average over the {len(samples)} draws so "
                "far.",
            )
        self._samples = Draw(*(np.stack(parts) for parts in zip(*samples, strict=True)))
        self._space = Space(self._samples, self.n_components)
        self.noise_variances_ = self._in_squared_ratings(1 / self._samples.noise_precision)

    def _draw_all(self, X, samples):
        """Append the draws after the burn-in to a list."""
        rng = check_random_state(self.random_state)
        device, dtype = resolve_device(self.device, needs_float64=True), X.dtype
        n_kept = sum(X.shape) + self.n_samples * (2 * X.shape[1] + self.n_components)
        check_memory(
            # Weights of both sides; the items' weights, twice, and a covariance of each draw.
            dtype.itemsize * (self.n_components + 1) * n_kept,
            f"BayesianPMF with {self.n_components} components and {self.n_samples} samples on "
            f"{X.shape[0]} users x {X.shape[1]} items",
            "use a smaller n_components or n_samples",
        )
        features = self._read_features(X.shape[1])
        items = 0.1 * rng.standard_normal((X.shape[1], self.n_components + int(self.fit_offsets)))
        items[:, self.n_components :] = 0
        items = torch.as_tensor(items.astype(dtype), device=device)
        X = self._centered(X, dtype)
        n_draws = self.n_burn_in + self.n_samples
        chain = draws(X, items, features, self.fit_offsets, self.noise_precision, rng)
        with progress_bar(total=n_draws, desc="BayesianPMF", silent=not self.verbose) as bar:
            for number, draw in zip(range(n_draws), chain, strict=False):
                if number >= self.n_burn_in:
                    samples.append(draw)
                bar.set_postfix(noise=f"{draw.noise_precision**-0.5:.4f}")
                bar.update()

    def _centered(self, X, dtype):
        X = X.astype(dtype)  # a copy
        X.data -= np.asarray(self._mean, dtype)
        return X

    def _users_given(self, X, with_covariances=False):
        device = resolve_device(self.device, missing_ok=True, needs_float64=True)
        X = self._centered(X, self._samples.items.dtype)
        return users_given(self._samples, X, self._has_offsets, device, with_covariances)

    @property
    def item_embeddings_(self):
        """Positions of the items, an array of shape (n_items, n_components)."""
        return self._space.items

    @property
    def item_offsets_(self):
        """What the mean user's ratings add to the mean, an array of shape (n_items,)."""
        return self._in_ratings(self._space.offsets)

    def _fold_in(self, X):
        weights = [means for _, _, means, _, _ in self._users_given(X)]
        offsets = sum(means[:, self.n_components :].sum(axis=1) for means in weights)
        return self._space.embed(weights), self._mean + offsets / len(weights)

    def _similarities(self, items):
        return cosines(self._space.loadings, items)

    def _user_states(self, X):
        return X

    def _score_rows(self, X):
        ratings = np.zeros(X.shape, dtype=self._samples.items.dtype)
        for features, offsets, users, _, _ in self._users_given(X):
            ratings += users @ features.T
            ratings += offsets
        ratings /= len(self._samples.items)
        ratings += ratings.dtype.type(self._mean)
        return ratings

    def _score_rows_std(self, X):
        moments = Moments(X.shape)
        for features, offsets, users, covariances, noise in self._users_given(X, True):
            variance = covariances @ pack_squares(features).T + noise
            moments.add(users @ features.T + offsets, variance)
        dtype = self._samples.items.dtype
        return (self._mean + moments.mean).astype(dtype), moments.std.astype(dtype)

    def _score_pairs(self, states, users, items):
        ratings = np.zeros(len(users), dtype=self._samples.items.dtype)
        for X, pairs, rows in blocks_of_pairs(states, users, self._row_bytes):
            for features, offsets, weights, _, _ in self._users_given(X):
                of_items = items[pairs]
                ratings[pairs] += pair_products(weights, features, rows, of_items)
                ratings[pairs] += offsets[of_items]
        ratings /= len(self._samples.items)
        ratings += ratings.dtype.type(self._mean)
        return ratings

    def _score_pairs_std(self, states, users, items):
        ratings, std = np.empty((2, len(users)), dtype=self._samples.items.dtype)
        for X, pairs, rows in blocks_of_pairs(states, users, self._row_bytes):
            moments = Moments(pairs.shape)
            for features, offsets, weights, covariances, noise in self._users_given(X, True):
                of_items = items[pairs]
                variance = pair_products(covariances, pack_squares(features), rows, of_items)
                products = pair_products(weights, features, rows, of_items)
                moments.add(products + offsets[of_items], variance + noise)
            ratings[pairs], std[pairs] = self._mean + moments.mean, moments.std
        return ratings, std

    @property
    def _row_bytes(self):
        # What the normal equations of a user and their covariances hold.
        return 32 * self._samples.items.shape[2] ** 2
