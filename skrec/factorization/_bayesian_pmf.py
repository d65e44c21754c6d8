"""Bayesian probabilistic matrix factorisation by Gibbs sampling."""

from functools import partial
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils import check_random_state

from skrec.base import BaseRecommender, UncertainRatingMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.factorization._gibbs import NormalWishart, weights_given
from skrec.solvers._devices import resolve_device, to_tensor
from skrec.solvers._pair_products import pair_products
from skrec.solvers._row_groups import gather, group_rows, map_groups, pad
from skrec.solvers._uncertainty import pack, pack_squares
from skrec.utils._compat import Interval
from skrec.utils._memory import check_memory
from skrec.utils._pair_blocks import blocks_of_pairs
from skrec.utils._progress import progress_bar
from skrec.utils._warnings import warn


class BayesianPMF(UncertainRatingMixin, BaseRecommender):
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
        self.n_samples = n_samples
        self.n_burn_in = n_burn_in
        self.noise_precision = noise_precision
        self.clip = clip
        self.rating_scale = rating_scale
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

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
        self._samples = _Sample(*(np.stack(parts) for parts in zip(*samples, strict=True)))
        self.noise_variances_ = self._in_squared_ratings(1 / self._samples.noise_precision)

    def _draw_all(self, X, samples):
        """Append the draws after the burn-in to a list."""
        rng = check_random_state(self.random_state)
        device, dtype = resolve_device(self.device, needs_float64=True), X.dtype
        n_kept = sum(X.shape) + self.n_samples * (X.shape[1] + self.n_components)
        check_memory(
            # Weights of both sides, and the items' weights and a covariance of each draw.
            dtype.itemsize * (self.n_components + 1) * n_kept,
            f"BayesianPMF with {self.n_components} components and {self.n_samples} samples on "
            f"{X.shape[0]} users x {X.shape[1]} items",
            "use a smaller n_components or n_samples",
        )
        centered = X.copy()
        centered.data -= np.asarray(self._mean, dtype)
        by_user, by_item = group_rows(centered, device), group_rows(centered.T.tocsr(), device)
        n_weights = self.n_components + int(self.fit_offsets)
        hyperprior = NormalWishart(np.zeros(n_weights), 2.0, np.eye(n_weights), n_weights)
        user_prior = np.zeros(n_weights), np.eye(n_weights)
        items = 0.1 * rng.standard_normal((X.shape[1], n_weights))
        items[:, self.n_components :] = 0
        items = torch.as_tensor(items.astype(dtype), device=device)
        precision = self.noise_precision or 2.0
        n_draws = self.n_burn_in + self.n_samples
        with progress_bar(total=n_draws, desc="BayesianPMF", silent=not self.verbose) as bar:
            for number in range(n_draws):
                users, _ = self._draw_side(by_user, items, precision, user_prior, rng)
                item_prior = hyperprior.given(items.double().cpu().numpy()).draw(rng)
                items, squares = self._draw_side(by_item, users, precision, item_prior, rng)
                if self.noise_precision is None:
                    precision = rng.gamma(1 + X.nnz / 2, 1 / (1 + squares / 2))
                user_prior = hyperprior.given(users.double().cpu().numpy()).draw(rng)
                if number >= self.n_burn_in:
                    samples.append(
                        _Sample(
                            items.cpu().numpy(),
                            user_prior[0].astype(dtype),
                            user_prior[1].astype(dtype),
                            precision,
                        )
                    )
                bar.set_postfix(noise=f"{precision**-0.5:.4f}")
                bar.update()

    def _draw_side(self, groups, table, noise_precision, prior, rng):
        """Draw the weights of all rows, and return the sum of squared errors with them too."""
        features, offsets = self._features(table), self._offsets(table)
        mean, precision = (
            torch.as_tensor(part, dtype=table.dtype, device=table.device) for part in prior
        )
        n_rows = sum(len(group.rows) for group in groups)
        noise = rng.standard_normal((n_rows, table.shape[1]))
        noise = torch.as_tensor(noise, dtype=table.dtype, device=table.device)
        weights = torch.empty_like(noise)

        def draw_rows(group):
            given = weights_given(group, features, offsets, noise_precision, mean, precision)
            weights[group.rows] = drawn = given.draw(noise[group.rows])
            predicted = torch.bmm(gather(features, group), drawn.unsqueeze(2)).squeeze(2)
            errors = (group.values - predicted - gather(offsets, group)) * group.is_entry
            return float(errors.square().sum(dtype=torch.float64))

        return weights, sum(map_groups(draw_rows, groups))

    def _features(self, table):
        if self._has_offsets:
            table = torch.cat([table[:, :-1], torch.ones_like(table[:, -1:])], dim=1)
        return pad(table)

    def _offsets(self, table):
        return pad(table[:, -1] if self._has_offsets else torch.zeros_like(table[:, 0]))

    def _given_rows(self, X, with_covariances):
        """What predictions for some users are averaged over, for each draw.

        Yields the items' features and offsets, the means of the users' weights, their packed
        covariances (or None), and the variance of the noise.
        """
        samples = self._samples
        device = resolve_device(self.device, missing_ok=True, needs_float64=True)
        X = X.astype(samples.items.dtype)  # a copy
        X.data -= np.asarray(self._mean, X.dtype)
        groups = group_rows(X, device)
        for items, mean, precision, noise_precision in zip(*samples, strict=True):
            table, mean, precision = (to_tensor(part, device) for part in (items, mean, precision))
            features, offsets = self._features(table), self._offsets(table)
            means = table.new_empty(X.shape[0], table.shape[1])
            n_packed = table.shape[1] * (table.shape[1] + 1) // 2
            packed = table.new_empty(X.shape[0], n_packed) if with_covariances else None
            given_all_else = partial(
                weights_given,
                features=features,
                offsets=offsets,
                noise_precision=noise_precision,
                mean=mean,
                precision=precision,
            )
            for group, given in zip(groups, map_groups(given_all_else, groups), strict=True):
                means[group.rows] = given.means
                if with_covariances:
                    packed[group.rows] = pack(torch.cholesky_inverse(given.factors))
            covariances = packed.cpu().numpy() if with_covariances else None
            features, offsets = features[:-1].cpu().numpy(), offsets[:-1].cpu().numpy()
            yield features, offsets, means.cpu().numpy(), covariances, 1 / noise_precision

    def _score_rows(self, X):
        ratings = np.zeros(X.shape, dtype=self._samples.items.dtype)
        for features, offsets, users, _, _ in self._given_rows(X, with_covariances=False):
            ratings += users @ features.T
            ratings += offsets
        ratings /= len(self._samples.items)
        ratings += ratings.dtype.type(self._mean)
        return ratings

    def _score_rows_std(self, X):
        moments = _Moments(X.shape)
        for features, offsets, users, covariances, noise in self._given_rows(X, True):
            variance = covariances @ pack_squares(features).T + noise
            moments.add(users @ features.T + offsets, variance)
        dtype = self._samples.items.dtype
        return (self._mean + moments.mean).astype(dtype), moments.std.astype(dtype)

    def _score_pairs(self, states, users, items):
        ratings = np.zeros(len(users), dtype=self._samples.items.dtype)
        for X, pairs, rows in blocks_of_pairs(states, users, self._row_bytes):
            for features, offsets, weights, _, _ in self._given_rows(X, with_covariances=False):
                of_items = items[pairs]
                ratings[pairs] += pair_products(weights, features, rows, of_items)
                ratings[pairs] += offsets[of_items]
        ratings /= len(self._samples.items)
        ratings += ratings.dtype.type(self._mean)
        return ratings

    def _score_pairs_std(self, states, users, items):
        ratings, std = np.empty((2, len(users)), dtype=self._samples.items.dtype)
        for X, pairs, rows in blocks_of_pairs(states, users, self._row_bytes):
            moments = _Moments(pairs.shape)
            for features, offsets, weights, covariances, noise in self._given_rows(X, True):
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


class _Sample(NamedTuple):
    """What predictions need of one draw, or, stacked, of all."""

    items: np.ndarray
    user_mean: np.ndarray
    user_precision: np.ndarray
    noise_precision: float


class _Moments:
    """Mean and standard deviation of an equal mixture of distributions."""

    def __init__(self, shape):
        self._n = 0
        self.mean = np.zeros(shape)
        self._squares = np.zeros(shape)  # of the means' deviations from their mean
        self._variances = np.zeros(shape)

    def add(self, mean, variance):
        """Add a distribution, in Welford's way."""
        self._n += 1
        deviation = mean - self.mean
        self.mean += deviation / self._n
        self._squares += deviation * (mean - self.mean)
        self._variances += variance

    @property
    def std(self):
        return np.sqrt((self._squares + self._variances) / self._n)
