"""Clusters of users and of items, and how ratings between them deviate from sums of means."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from skrec.solvers._offsets import with_data


class CoClusters(NamedTuple):
    """Clusters that are found.

    Parameters
    ----------
    item_clusters : ndarray of int of shape (n_items,)
    effects : ndarray of shape (n_user_clusters, n_item_clusters)
        What ratings between two clusters are above the sum of the means.
    losses : list of float
        Sum of the squared errors after each sweep.
    """

    item_clusters: np.ndarray
    effects: np.ndarray
    losses: list


def shrunk_means(rows, mean, shrinkage):
    """Mean rating of each row, with so many ratings added at the mean; the mean without any."""
    counts = np.diff(rows.indptr) + shrinkage
    sums = rows.sum(axis=1) + shrinkage * mean
    return np.divide(sums, counts, out=np.full(len(counts), mean), where=counts > 0)


def less_means(X, mean, user_means, item_means):
    """Ratings above the sum of the mean of all and of the deviations of users and items."""
    users = np.repeat(user_means, np.diff(X.indptr))
    return with_data(X, X.data - users - item_means[X.indices] + mean)


def cluster_effects(X, user_clusters, item_clusters, shape):
    """What ratings between two clusters are on average above what both clusters make of them.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    user_clusters, item_clusters : ndarray of int of shape (n_users,) and (n_items,)
    shape : tuple of (n_user_clusters, n_item_clusters)

    Returns
    -------
    effects : ndarray of shape (n_user_clusters, n_item_clusters)
        ``mean_gh - mean_g - mean_h + mean``; a mean of no ratings is that of all.
    """
    users = np.repeat(user_clusters, np.diff(X.indptr))
    places = users * shape[1] + item_clusters[X.indices]
    sums, counts = (
        np.bincount(places, values, minlength=shape[0] * shape[1]).reshape(shape)
        for values in (X.data, None)
    )
    mean = sums.sum() / max(counts.sum(), 1)

    def averages(axis):
        total, n = sums.sum(axis, keepdims=True), counts.sum(axis, keepdims=True)
        return np.divide(total, n, out=np.full(n.shape, mean), where=n > 0)

    return averages(()) - averages(1) - averages(0) + mean


def squared_errors(rows, clusters, effects):
    """Squared errors of each row in each cluster, less what all clusters have in common.

    Parameters
    ----------
    rows : csr_array of shape (n_rows, n_columns)
        Ratings less the means.
    clusters : ndarray of int of shape (n_columns,)
    effects : ndarray of shape (n_clusters, n_column_clusters)

    Returns
    -------
    errors : ndarray of shape (n_rows, n_clusters)
    """
    # -1 is the last cluster: that of columns that nothing is known of, where it has effects of 0.
    places = np.arange(len(clusters)), clusters % effects.shape[1]
    members = sparse.csr_array(
        (np.ones(len(clusters)), places), shape=(len(clusters), effects.shape[1])
    )
    observed = with_data(rows, np.ones(rows.nnz))
    sums, counts = ((table @ members).toarray() for table in (rows, observed))
    return counts @ np.square(effects).T - 2 * sums @ effects.T


def co_cluster(X, residuals, user_clusters, item_clusters, shape, max_iter):
    """Assign users, then items, to the clusters of least squared error, until none moves.

    Parameters
    ----------
    X, residuals : csr_array of shape (n_users, n_items)
        Ratings, and the same less the means.
    user_clusters, item_clusters : ndarray of int of shape (n_users,) and (n_items,)
        To begin with.
    shape : tuple of (n_user_clusters, n_item_clusters)
    max_iter : int

    Returns
    -------
    found : CoClusters
    """
    by_item = residuals.T.tocsr()
    square = float(residuals.data @ residuals.data)
    effects, losses = cluster_effects(X, user_clusters, item_clusters, shape), []
    is_settled = False
    while len(losses) < max_iter and not is_settled:
        before = user_clusters, item_clusters
        user_clusters = squared_errors(residuals, item_clusters, effects).argmin(axis=1)
        item_clusters = squared_errors(by_item, user_clusters, effects.T).argmin(axis=1)
        is_settled = all(map(np.array_equal, before, (user_clusters, item_clusters)))
        effects = cluster_effects(X, user_clusters, item_clusters, shape)
        errors = squared_errors(residuals, item_clusters, effects)
        losses.append(square + float(errors[np.arange(len(errors)), user_clusters].sum()))
    return CoClusters(item_clusters, effects, losses)
