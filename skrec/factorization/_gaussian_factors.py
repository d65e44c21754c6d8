"""Ratings and their deviations from normal distributions of both sides' factors."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from skrec.base import FactorMixin
from skrec.solvers._uncertainty import PairVariance
from skrec.utils._pair_blocks import blocks_of_pairs

_PAIRS_AT_A_TIME = 2**14


class GaussianFactorsMixin(FactorMixin):
    """Factors and offsets of users and items are normal, and independent of each other.

    ``_fit`` sets, in the unit of the ratings, ``_mean``; ``_has_offsets``; ``_item_table``, the
    means of the items' weights, the offset last if there is one; ``_item_covariances``, packed;
    and ``_noise_variance``. The estimator writes ``_weights_of(X)``: means and packed covariances
    of users' weights; ``_fold_in`` where the means alone cost less; and ``_with_std`` where
    ratings are a function of the latent values. It stands before a mixin of ratings.

    Attributes
    ----------
    mean_ : float
        Mean of the ratings, which factors and offsets deviate from.
    item_embeddings_ : ndarray of shape (n_items, n_components)
        Factors of the items.
    item_offsets_ : ndarray of shape (n_items,)
        0 with ``fit_offsets=False``.
    noise_variance_ : float
        Variance of a rating given all factors, in units of squared ratings.
    """

    @property
    def mean_(self):
        """Mean of the ratings."""
        return self._in_ratings(self._mean)

    @property
    def item_embeddings_(self):
        """Factors of the items, an array of shape (n_items, n_components)."""
        return self._split(self._item_table)[0]

    @property
    def item_offsets_(self):
        """Offsets of the items, an array of shape (n_items,)."""
        return self._in_ratings(self._item_offsets)

    @property
    def _item_offsets(self):
        return self._split(self._item_table)[1]

    @property
    def noise_variance_(self):
        """Variance of the noise in units of squared ratings."""
        return self._in_squared_ratings(self._noise_variance)

    def _split(self, weights):
        if self._has_offsets:
            return weights[:, :-1], weights[:, -1]
        return weights, np.zeros_like(weights[:, 0])

    def _features(self, weights):
        if not self._has_offsets:
            return weights
        return np.hstack([weights[:, :-1], np.ones_like(weights[:, -1:])])

    def _factors_and_offsets(self, weights):
        factors, offsets = self._split(weights)
        return factors, offsets + offsets.dtype.type(self._mean)

    def _fold_in(self, X):
        return self._factors_and_offsets(self._weights_of(X)[0])

    def _user_states(self, X):
        return UserStates(X, *self._fold_in(X))

    def _score_pairs(self, states, users, items):
        found = states.factors, states.offsets
        return super()._score_pairs(found, users, items)

    def _score_rows_std(self, X):
        weights, covariances = self._weights_of(X)
        factors, offsets = self._factors_and_offsets(weights)
        latent = factors @ self.item_embeddings_.T + offsets[:, None] + self._item_offsets
        variance = self._pair_variance().of_all(self._features(weights), covariances)
        return self._with_std(latent, variance)

    def _score_pairs_std(self, states, users, items):
        asked, columns = np.unique(items, return_inverse=True)
        pair_variance = self._pair_variance(asked)
        latent, variance = np.empty((2, len(users)), dtype=self._item_table.dtype)
        for X, of_block, positions in blocks_of_pairs(states.X, users, self._row_bytes):
            weights, covariances = self._weights_of(X)
            found = self._factors_and_offsets(weights)
            for start in range(0, len(of_block), _PAIRS_AT_A_TIME):
                part = slice(start, start + _PAIRS_AT_A_TIME)
                pairs, rows = of_block[part], positions[part]
                latent[pairs] = super()._score_pairs(found, rows, items[pairs])
                variance[pairs] = pair_variance.of_pairs(
                    self._features(weights), covariances, rows, columns[pairs]
                )
        return self._with_std(latent, variance)

    def _with_std(self, latent, variance):
        """Ratings and their deviations, from latent values and their variances."""
        return latent, np.sqrt(variance + variance.dtype.type(self._noise_variance))

    def _pair_variance(self, items=slice(None)):
        features, covariances = self._features(self._item_table[items]), self._item_covariances
        return PairVariance(features, covariances[items], self._has_offsets)

    @property
    def _row_bytes(self):
        # What the covariances of a user and their products hold.
        return 32 * self._item_covariances.shape[1]


class UserStates(NamedTuple):
    """Rows of users, which deviations are found from, and what was found from them."""

    X: sparse.csr_array
    factors: np.ndarray
    offsets: np.ndarray
