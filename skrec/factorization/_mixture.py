"""What follows from draws of the items' weights: answers for users, and a space of both sides."""

from functools import partial

import numpy as np
import torch
from scipy import linalg, sparse
from sklearn.utils.extmath import randomized_svd

from skrec.factorization._gibbs import split_table, weights_given
from skrec.solvers._devices import to_tensor
from skrec.solvers._row_groups import group_rows, map_groups
from skrec.solvers._uncertainty import pack

# What varies by a smaller share of its size may be rounding.
SAME = 1e-10


def users_given(samples, X, has_offsets, device, with_covariances=False):
    """Distributions of users' weights, for each draw, from which predictions are averaged.

    Parameters
    ----------
    samples : Draw
        Stacked.
    X : csr_array of shape (n_users, n_items)
        Ratings without their mean, in the precision of the draws.
    has_offsets : bool
    device : torch.device
    with_covariances : bool, default=False

    Yields
    ------
    features : ndarray of shape (n_items, n_weights)
        What multiplies the users' weights.
    offsets : ndarray of shape (n_items,)
    means : ndarray of shape (n_users, n_weights)
    covariances : ndarray of shape (n_users, n_weights * (n_weights + 1) / 2) or None
        Packed.
    noise_variance : float
    """
    groups = group_rows(X, device)
    for items, mean, precision, noise_precision in zip(*samples, strict=True):
        table, mean, precision = (to_tensor(part, device) for part in (items, mean, precision))
        features, offsets = split_table(table, has_offsets)
        n_weights = table.shape[1]
        means = table.new_empty(X.shape[0], n_weights)
        packed = None
        if with_covariances:
            packed = table.new_empty(X.shape[0], n_weights * (n_weights + 1) // 2)
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


class Space:
    r"""The directions in which users' predicted ratings differ most.

    Each draw has axes of its own, so that averages of factors mean nothing; those of predicted
    ratings do. A user's, without offsets, deviate from those of the mean user by
    :math:`\tfrac{1}{S} \sum_s V_s (u_s - \mu_s)`. The directions are principal components of
    these. They are orthogonal, of length :math:`\sqrt{n_\text{items}}`: the distance of two users
    is the root of the mean squared difference of their ratings over all items.

    Parameters
    ----------
    samples : Draw
        Stacked.
    deviations : ndarray of shape (n_users, n_items)
        Of some users, in the sum over the draws.
    n_components : int
    """

    def __init__(self, samples, deviations, n_components):
        n_samples, n_items, _ = samples.items.shape
        n_axes = min(n_components, *deviations.shape)
        _, lengths, axes = randomized_svd(deviations, n_axes, random_state=0)
        self.items = np.ascontiguousarray(axes.T) * np.sqrt(n_items).astype(deviations.dtype)
        self.loadings = self.items * lengths
        factors = samples.items[:, :, :n_components]
        self._maps = np.stack([of_draw.T @ self.items for of_draw in factors])
        self._maps /= n_items * n_samples
        self._means = samples.user_mean[:, :n_components]
        of_mean_user = np.einsum("snk,sk->n", factors, self._means) / n_samples
        offsets = samples.items[:, :, n_components:].sum(axis=2).mean(axis=0)
        self.offsets = of_mean_user + offsets

    def embed(self, weights):
        """Embed users.

        Parameters
        ----------
        weights : iterable of ndarray of shape (n_users, n_weights)
            Means of the users' weights, for each draw.

        Returns
        -------
        embeddings : ndarray of shape (n_users, n_axes)
        offsets : ndarray of shape (n_users,)
            Means over the draws.
        """
        n_samples, n_factors = self._means.shape
        embeddings, offsets = 0, 0
        for of_draw, mean, map_ in zip(weights, self._means, self._maps, strict=True):
            embeddings = embeddings + (of_draw[:, :n_factors] - mean) @ map_
            offsets = offsets + of_draw[:, n_factors:].sum(axis=1)
        return embeddings, offsets / n_samples


def orthogonal(features):
    """Turn features of items into their principal components.

    Each feature is standardised first, so that its unit does not matter; those that are the same
    for all items, or sums of others, say nothing more and are left out.

    Parameters
    ----------
    features : {csr_array, ndarray} of shape (n_items, n_features)

    Returns
    -------
    components : ndarray of shape (n_items, n_components)
        Orthogonal columns of mean 0.
    """
    if sparse.issparse(features):
        features = features.toarray()
    # The largest is divided out first, as squares of large numbers overflow.
    largest = np.abs(features).max(axis=0, initial=0.0)
    features = features / np.where(largest > 0, largest, 1.0)
    features -= features.mean(axis=0)
    deviations = features.std(axis=0)
    features = features[:, deviations > SAME] / deviations[deviations > SAME]
    left, lengths, _ = linalg.svd(features, full_matrices=False)
    is_new = lengths > SAME * np.sqrt(features.size)
    return left[:, is_new] * lengths[is_new]


class Moments:
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
        """Standard deviations, in an array of the shape given."""
        return np.sqrt((self._squares + self._variances) / self._n)
