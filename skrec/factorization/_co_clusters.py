"""Clusters of users and of items, and how ratings between them deviate from sums of means."""

from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from skrec.base._ratings import SMALLEST_NOISE
from skrec.solvers._offsets import fit_offsets, with_data


class CoClusters(NamedTuple):
    """Clusters that are found.

    Parameters
    ----------
    items : ndarray of shape (n_items, n_item_clusters)
        Share that each item has in each cluster: all of it in one, where assignments are hard.
    effects : ndarray of shape (n_user_clusters, n_item_clusters)
        What ratings between two clusters are above the sum of the means.
    variance : float
        Of the ratings in soft clusters; 0 if assignments are hard.
    losses : list of float
        Sum of the squared errors after each sweep.
    """

    items: np.ndarray
    effects: np.ndarray
    variance: float
    losses: list


def deviations(rows, reference, shrinkage):
    """How far each row lies above a reference, with so many ratings added that do not deviate.

    Parameters
    ----------
    rows : csr_array of shape (n_rows, n_columns)
    reference : ndarray of shape (n_columns,)
    shrinkage : float

    Returns
    -------
    deviations : ndarray of shape (n_rows,)
        0 for rows without ratings.
    """
    sums = with_data(rows, rows.data - reference[rows.indices]).sum(axis=1)
    counts = np.diff(rows.indptr) + shrinkage
    return np.divide(sums, counts, out=np.zeros(len(counts)), where=counts > 0)


def cluster_effects(X, users, items):
    """What ratings between two clusters are on average above what both clusters make of them.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    users, items : ndarray of shape (n_users, n_user_clusters) and (n_items, n_item_clusters)
        Shares in the clusters.

    Returns
    -------
    effects : ndarray of shape (n_user_clusters, n_item_clusters)
        ``mean_gh - mean_g - mean_h + mean``; a mean of no ratings is that of all.
    """
    sums, counts = (users.T @ (table @ items) for table in (X, with_data(X, np.ones(X.nnz))))
    mean = sums.sum() / max(counts.sum(), 1)

    def averages(axis):
        total, n = sums.sum(axis, keepdims=True), counts.sum(axis, keepdims=True)
        return np.divide(total, n, out=np.full(n.shape, mean), where=n > 0)

    return averages(()) - averages(1) - averages(0) + mean


def one_hot(labels, n_clusters):
    """Shares of rows in clusters, all in the one that their label names."""
    return (labels[:, None] == np.arange(n_clusters)).astype(np.float64)


def assign(rows, members, effects, variance):
    """Share that each row has in each cluster, given those of the columns.

    Parameters
    ----------
    rows : csr_array of shape (n_rows, n_columns)
        Ratings less the means.
    members : ndarray of shape (n_columns, n_column_clusters)
    effects : ndarray of shape (n_clusters, n_column_clusters)
    variance : float
        Of ratings in a cluster. 0: a row belongs to the cluster of least squared error.

    Returns
    -------
    shares : ndarray of shape (n_rows, n_clusters)
        They add up to 1.
    errors : ndarray of shape (n_rows, n_clusters)
        Squared errors of the row in each cluster, less what all clusters have in common.
    """
    observed = with_data(rows, np.ones(rows.nnz))
    errors = (observed @ members) @ np.square(effects).T - 2 * (rows @ members) @ effects.T
    if variance == 0:
        return one_hot(errors.argmin(axis=1), len(effects)), errors
    return softmax(-errors / (2 * variance), axis=1), errors


def co_cluster(X, residuals, users, items, max_iter):
    """Assign users, then items, to the clusters of least squared error, until none moves.

    Parameters
    ----------
    X, residuals : csr_array of shape (n_users, n_items)
        Ratings, and the same less the means.
    users, items : ndarray of shape (n_users, n_user_clusters) and (n_items, n_item_clusters)
        Shares to begin with, each 0 or 1.
    max_iter : int

    Returns
    -------
    users : ndarray of shape (n_users, n_user_clusters)
    found : CoClusters
    """
    by_item = residuals.T.tocsr()
    square = float(residuals.data @ residuals.data)
    effects, losses = cluster_effects(X, users, items), []
    is_settled = False
    while len(losses) < max_iter and not is_settled:
        before = users, items
        users, _ = assign(residuals, items, effects, 0)
        items, _ = assign(by_item, users, effects.T, 0)
        is_settled = all(map(np.array_equal, before, (users, items)))
        effects = cluster_effects(X, users, items)
        _, errors = assign(residuals, items, effects, 0)
        losses.append(square + float((users * errors).sum()))
    return users, CoClusters(items, effects, 0.0, losses)


def soften(residuals, users, found, shrinkage, max_iter, tol=1e-4):
    """Go on with shares in all clusters: a mixture of them, by expectation and maximisation.

    Parameters
    ----------
    residuals : csr_array of shape (n_users, n_items)
    users : ndarray of shape (n_users, n_user_clusters)
    found : CoClusters
    shrinkage : float
        Number of ratings without an effect that are added to those between two clusters.
    max_iter : int
    tol : float, default=1e-4
        Of the squared error; a sweep that lowers it by a smaller share is the last.

    Returns
    -------
    found : CoClusters
    """
    by_item, observed = residuals.T.tocsr(), with_data(residuals, np.ones(residuals.nnz))
    square, n_ratings = float(residuals.data @ residuals.data), max(residuals.nnz, 1)
    items, effects, losses = found.items, found.effects, list(found.losses)

    def noise():
        return max(losses[-1] / n_ratings, SMALLEST_NOISE)

    for _ in range(max_iter):
        users, _ = assign(residuals, items, effects, noise())
        items, _ = assign(by_item, users, effects.T, noise())
        counts = users.T @ (observed @ items) + shrinkage
        sums = users.T @ (residuals @ items)
        effects = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
        _, errors = assign(residuals, items, effects, 0)
        losses.append(square + float((users * errors).sum()))
        if abs(losses[-2] - losses[-1]) <= tol * losses[-2]:
            break
    return CoClusters(items, effects, noise(), losses)


class Offsets(NamedTuple):
    """A rating without clusters: the item's mean, plus the user's deviation from a reference.

    Parameters
    ----------
    mean : float
    items : ndarray of shape (n_items,)
        Mean of each item, shrunk.
    reference : ndarray of shape (n_items,)
        What a user's ratings are compared with.
    shrinkage : float
    """

    mean: float
    items: np.ndarray
    reference: np.ndarray
    shrinkage: float

    def of(self, X):
        """Deviation of each user, and what is left of the ratings."""
        above = deviations(X, self.reference, self.shrinkage)
        explained = np.repeat(above, np.diff(X.indptr)) + self.items[X.indices]
        return above, with_data(X, X.data - explained)


def learn_offsets(X, shrinkage, joint):
    """Means of the items: each for itself, as users have theirs, or jointly with the users'."""
    mean = float(X.data.mean()) if X.nnz else 0.0
    of_all = np.full(X.shape[1], mean)
    if not joint:
        above = deviations(X.T.tocsr(), np.full(X.shape[0], mean), shrinkage)
        return Offsets(mean, mean + above, of_all, shrinkage)
    if shrinkage == 0:
        raise ValueError(
            "shrinkage must be above 0 with assignment='soft', got 0: make it larger, or use "
            "assignment='hard'."
        )
    items = mean + fit_offsets(X, shrinkage, shrinkage)[1]
    return Offsets(mean, items, items, shrinkage)
