"""Means and standard deviations of ratings, from what variational inference has learned."""

from typing import NamedTuple

import numpy as np

from skrec.factorization._noise_scales import Scales
from skrec.factorization._robust_posterior import Given, Weights, fold_in, row_bytes
from skrec.solvers._offsets import with_data
from skrec.solvers._pair_products import pair_products
from skrec.utils._blocks import map_blocks, row_blocks
from skrec.utils._pair_blocks import blocks_of_pairs


class RatingPosterior(NamedTuple):
    """What ratings of any user are predicted from.

    Parameters
    ----------
    given : Given
        What the posterior of a user depends on.
    mean : float
        Of the training ratings.
    item_variances : ndarray of shape (n_items,)
        Of the noise of the items' ratings, to be multiplied with the users' part.
    """

    given: Given
    mean: float
    item_variances: np.ndarray

    @classmethod
    def of(cls, inference, n_items, mean):
        """From a finished inference of the items that have ratings; others have their prior."""
        (_, prior), (_, scales, ratings) = inference.priors, inference.scales
        items = Weights.of(
            np.tile(prior.mean, (n_items, 1)),
            np.broadcast_to(np.linalg.inv(prior.precision), (n_items, *prior.precision.shape)),
            inference.fixed[1],
        )
        of_items = Scales.of_prior(scales.dof, n_items)
        kept = *items, *of_items[1:]
        found = *inference.weights[1], *scales[1:]
        for all_items, of_rated in zip(kept, found, strict=True):
            all_items[inference.rated] = of_rated
        of_rating = Scales.of_prior(ratings.dof, 1).expected_variances
        variances = of_rating * of_items.expected_variances / inference.precision
        given = inference.given(0)._replace(others=items, other_scales=of_items.means)
        return cls(given, mean, variances)

    @property
    def items(self):
        return self.given.others

    def infer(self, X, n_threads=1):
        """Posteriors of users.

        Parameters
        ----------
        X : csr_array of shape (n_users, n_items)
        n_threads : int, default=1

        Returns
        -------
        users : Weights
        scales : ndarray of shape (n_users,)
            Expected, by which the variances of the items' noise are multiplied.
        """
        X = with_data(X, X.data.astype(np.float64) - self.mean)
        blocks = row_blocks(X.shape[0], row_bytes(self.items), n_threads)
        found = map_blocks(lambda block: fold_in(X[block], self.given), blocks, n_threads)
        weights, scales = zip(*found, strict=True)
        users = Weights(*(np.concatenate(parts) for parts in zip(*weights, strict=True)))
        return users, np.concatenate([part.expected_variances for part in scales])

    def moments(self, X, n_threads=1):
        """Mean and standard deviation of all ratings of users.

        Returns
        -------
        means, std : ndarray of shape (n_users, n_items)
        """
        users, scales = self.infer(X, n_threads)
        latent = users.means @ self.items.means.T
        # The expected square of the latent value, less that of its expectation.
        variances = np.maximum(users.squares @ self.items.squares.T - latent**2, 0)
        return latent + self.mean, np.sqrt(variances + scales[:, None] * self.item_variances)

    def pair_moments(self, X, users, items, n_threads=1):
        """Mean and standard deviation of a rating for each pair of row and column.

        Returns
        -------
        means, std : ndarray of shape (n_pairs,)
        """
        latent, variances = np.empty((2, len(users)))
        for rows, pairs, positions in blocks_of_pairs(X, users, row_bytes(self.items)):
            found, scales = self.infer(rows, n_threads)
            where = positions, items[pairs]
            latent[pairs] = pair_products(found.means, self.items.means, *where)
            squares = pair_products(found.squares, self.items.squares, *where)
            variances[pairs] = np.maximum(squares - latent[pairs] ** 2, 0)
            variances[pairs] += scales[positions] * self.item_variances[items[pairs]]
        return latent + self.mean, np.sqrt(variances)
