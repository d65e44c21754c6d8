"""Offsets of ratings: a mean, and a penalised deviation of each user and of each item."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg
from sklearn.exceptions import ConvergenceWarning

from skrec.utils._warnings import warn


def fit_offsets(X, l2_user, l2_item, weight=None):
    """Mean of the ratings, and the offsets of items that fit best beside those of users.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    l2_user, l2_item : float
        Penalties on the squared offsets.
    weight : ndarray of shape (n_users,), default=None
        Weight of each user; None means 1.

    Returns
    -------
    mean : float
    item_offsets : ndarray of shape (n_items,)
    """
    X = X.astype(np.float64, copy=False)
    weight = np.ones(X.shape[0]) if weight is None else weight.astype(np.float64)
    total = np.repeat(weight, np.diff(X.indptr)).sum()
    mean = float(weight @ X.sum(axis=1) / total) if total > 0 else 0.0
    centered = with_data(X, X.data - mean)
    return mean, _item_offsets(centered, weight, float(l2_user), float(l2_item))


def _item_offsets(centered, weight, l2_user, l2_item):
    """Minimise over both offsets and return the items'.

    Parameters
    ----------
    centered : csr_array of shape (n_users, n_items)
        Ratings less their mean.
    weight : ndarray of shape (n_users,)
    l2_user, l2_item : float

    Returns
    -------
    item_offsets : ndarray of shape (n_items,)
    """
    observed = with_data(centered, np.ones_like(centered.data))
    observed_by_items = observed.T.tocsr()
    shrunk_weight = weight / (np.diff(centered.indptr) + l2_user)
    diagonal = observed_by_items @ weight + l2_item

    def reduced(offsets):
        return diagonal * offsets - observed_by_items @ (shrunk_weight * (observed @ offsets))

    target = centered.T @ weight - observed_by_items @ (shrunk_weight * centered.sum(axis=1))
    shape = (len(diagonal), len(diagonal))
    offsets, not_converged = cg(
        LinearOperator(shape, matvec=reduced, dtype=np.float64),
        target,
        rtol=1e-12,
        M=LinearOperator(shape, matvec=lambda offsets: offsets / diagonal, dtype=np.float64),
    )
    if not_converged:
        warn(
            f"The item offsets did not converge in {not_converged} iterations: use larger l2_user "
            "and l2_item.",
            ConvergenceWarning,
        )
    return offsets


def less_offsets(X, offsets):
    """Ratings less the offsets of all, of items, and of the users that fit them best.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    offsets : tuple of (mean, item_offsets, l2)
        The last is the penalty on a user's offset.

    Returns
    -------
    residual : csr_array of shape (n_users, n_items)
    user_offsets : ndarray of shape (n_users,)
    """
    mean, item_offsets, l2 = offsets
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    residual = X.data.astype(np.float64) - mean - item_offsets[X.indices]
    sums = np.bincount(rows, residual, minlength=X.shape[0])
    user_offsets = sums / (np.diff(X.indptr) + float(l2))
    residual = residual - user_offsets[rows]
    return sparse.csr_array((residual, X.indices, X.indptr), shape=X.shape), user_offsets


def with_data(X, data):
    """The same entries with other values."""
    return sparse.csr_array((data, X.indices, X.indptr), shape=X.shape)


def centered(X, mean, dtype):
    """The same entries less a mean, in a precision; the rows are copied."""
    X = X.astype(dtype)
    X.data -= np.asarray(mean, dtype)
    return X
