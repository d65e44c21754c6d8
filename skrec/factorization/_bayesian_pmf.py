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
from skrec.solvers._offsets import centered
from skrec.solvers._pair_products import pair_products
from skrec.solvers._uncertainty import pack_squares
from skrec.utils._compat import Interval
from skrec.utils._item_features import check_item_features, without_frame
from skrec.utils._jobs import is_one_of_several
from skrec.utils._memory import check_memory
from skrec.utils._pair_blocks import blocks_of_pairs
from skrec.utils._progress import progress_bar
from skrec.utils._warnings import warn

# Users whose predictions decide which directions `transform` looks at: those with most ratings.
N_OF_SPACE = 512


class BayesianPMF(FactorMixin, UncertainRatingMixin, BaseRecommender):
    r"""Bayesian probabilistic matrix factorisation of ratings.

    The model of :class:`PMF`, whose priors are learned too: the factors (with the offset) of the
    users are normal with an unknown mean and covariance, those of the items with another. Nothing
    is chosen: Gibbs sampling draws all of it in turn from the posterior, and predictions are
    averages over draws. There is no penalty to tune.

    With `item_features` the mean of an item's factors and offset is linear in what is known of the
    item, by coefficients that are drawn too: new items, which nobody has rated, are predicted from
    those that are like them.

    Parameters
    ----------
    item_features : {array-like, sparse matrix, dataframe} of shape (n_items, n_features)
        What is known of the items themselves: a row for each item, in the order of the columns of
        `X`. Numbers or booleans; categories have to be one-hot encoded. Their units do not matter:
        each is standardised.
    n_samples : int, default=100
        Number of draws that predictions average over.
    n_burn_in : int, default=20
        Number of draws before them, which are thrown away.
    noise_precision : float, default=None
        Inverse variance of a rating given the factors, of ratings in units of their standard
        deviation. None: drawn from its posterior too, with the prior Gamma(1, 1). The paper has 2.
    random_state : int, RandomState instance or None, default=None
        Controls the draws. Pass an int for the same model at every fit.
    verbose : int, default=0
        1 shows a progress bar with the noise's standard deviation.

    Attributes
    ----------
    mean_ : float
        Mean of the ratings.
    item_embeddings_ : ndarray of shape (n_items, n_components)
        Orthogonal axes of the space that ``transform`` embeds users in; no more axes than there
        are items. See the notes.
    item_offsets_ : ndarray of shape (n_items,)
        What the mean user's ratings of the items differ from `mean_` by.
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

    Each draw has axes of its own, so that a user's factors cannot be averaged; predicted ratings
    can. ``transform`` gives the position of a user's predicted ratings, without offsets, among
    the `n_components` directions in which they differ most from user to user. The distance of two
    users is the root of the mean squared difference, over all items, of what they are predicted
    along these directions, in units of ``rating_unit_``; a user without ratings stands at 0.
    ``mean_ + rating_unit_ * transform(X) @ item_embeddings_.T + item_offsets_`` and an offset of
    the user are nearly what ``predict`` answers. ``similar_items`` gives the correlation, over
    users, of the ratings along them.

    The features enter in the manner of [2]_, by the regression of the items' weights on their
    principal components. The precision of the coefficients has the prior Gamma(1, 1), in units of
    that of the items' weights. An update of the model with new features is a new fit. The
    features are part of the pickled model as any parameter is, a data frame as an array.

    References
    ----------
    .. [1] R. Salakhutdinov and A. Mnih, "Bayesian Probabilistic Matrix Factorization using Markov
       Chain Monte Carlo", ICML 2008. :doi:`10.1145/1390156.1390267`
    .. [2] J. Simm, A. Arany, P. Zakeri, T. Haber, J. K. Wegner, V. Chupakhin, H. Ceulemans and
       Y. Moreau, "Macau: Scalable Bayesian Multi-relational Factorization with Side Information
       using MCMC", 2015. :arxiv:`1509.04610`
    .. [3] I. Porteous, A. Asuncion and M. Welling, "Bayesian Matrix Factorization with Side
       Information and Dirichlet Process Mixtures", AAAI 2010.

    Examples
    --------
    >>> from skrec import BayesianPMF
    >>> X = [[5, 5, 1, 0], [5, 0, 1, 1], [1, 1, 0, 5], [0, 1, 5, 5]]
    >>> model = BayesianPMF(n_components=1, random_state=0).fit(X)
    >>> ratings, std = model.predict([[5, 5, 1, 1], [0, 0, 0, 0]], return_std=True)
    >>> bool(std[0, 0] < std[1, 0])
    True

    Nobody has rated item 4 yet. It is like items 0 and 1:

    >>> X = [row + [0] for row in X]
    >>> model.set_params(item_features=[[1], [1], [0], [0], [1]]).fit(X)
    BayesianPMF(...)
    >>> likes_item_0, likes_item_2 = model.predict([[5, 0, 1, 0, 0], [1, 0, 5, 0, 0]])[:, 4]
    >>> bool(likes_item_0 > likes_item_2)
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
        if self.item_features is None:
            return None
        ids = getattr(self, "feature_names_in_", None)
        features = check_item_features(self.item_features, n_items, ids)
        check_memory(
            # Dense, standardised, and their singular vectors.
            32 * features.shape[0] * features.shape[1],
            f"BayesianPMF with {features.shape[1]} features of {n_items} items",
            "reduce item_features, as by sklearn.decomposition.TruncatedSVD",
        )
        return features

    def _fit(self, X):
        self._mean = float(X.data.mean(dtype=np.float64)) if X.nnz else 0.0
        self.mean_ = self._in_ratings(self._mean)
        self._has_offsets = self.fit_offsets
        samples = []
        longest = np.argsort(-np.diff(X.indptr), kind="stable")[:N_OF_SPACE]
        deviations = np.zeros((len(longest), X.shape[1]), X.dtype)

        def keep(draw, users):
            factors = slice(self.n_components)
            of_users = (users[longest] - draw.user_mean)[:, factors]
            deviations[...] += of_users @ draw.items[:, factors].T
            samples.append(draw)

        try:
            self._draw_all(X, keep)
        except KeyboardInterrupt:
            if not samples or is_one_of_several():
                raise
            warn(
                f"Sampling was interrupted: predictions average over the {len(samples)} draws so "
                "far.",
            )
        self._samples = Draw(*(np.stack(parts) for parts in zip(*samples, strict=True)))
        self._space = Space(self._samples, deviations, self.n_components)
        self.noise_variances_ = self._in_squared_ratings(1 / self._samples.noise_precision)

    def _draw_all(self, X, keep):
        """Call a function with each draw after the burn-in, and the users' weights of it."""
        rng = check_random_state(self.random_state)
        device, dtype = resolve_device(self.device, needs_float64=True), X.dtype
        n_kept = sum(X.shape) + self.n_samples * (X.shape[1] + self.n_components)
        check_memory(
            # Weights of both sides, the items' weights and a covariance of each draw, and what
            # users are predicted.
            dtype.itemsize * ((self.n_components + 1) * n_kept + N_OF_SPACE * X.shape[1]),
            f"BayesianPMF with {self.n_components} components and {self.n_samples} samples on "
            f"{X.shape[0]} users x {X.shape[1]} items",
            "use a smaller n_components or n_samples",
        )
        features = self._read_features(X.shape[1])
        features = np.empty((X.shape[1], 0)) if features is None else orthogonal(features)
        items = 0.1 * rng.standard_normal((X.shape[1], self.n_components + int(self.fit_offsets)))
        items[:, self.n_components :] = 0
        items = torch.as_tensor(items.astype(dtype), device=device)
        n_draws = self.n_burn_in + self.n_samples
        X = centered(X, self._mean, dtype)
        chain = draws(X, items, features, self.fit_offsets, self.noise_precision, rng)
        with progress_bar(total=n_draws, desc="BayesianPMF", silent=not self.verbose) as bar:
            for number, (draw, users) in zip(range(n_draws), chain, strict=False):
                if number >= self.n_burn_in:
                    keep(draw, users)
                bar.set_postfix(noise=f"{draw.noise_precision**-0.5:.4f}")
                bar.update()

    def _users_given(self, X, with_covariances=False):
        device = resolve_device(self.device, missing_ok=True, needs_float64=True)
        X = centered(X, self._mean, self._samples.items.dtype)
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
        positions, offsets = self._space.embed(means for _, _, means, _, _ in self._users_given(X))
        return positions, offsets + offsets.dtype.type(self._mean)

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
