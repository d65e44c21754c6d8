"""Users' rows as EASE counts them."""

import numpy as np
from scipy import sparse

from skrec.solvers._offsets import with_data


def weighted_rows(X, sample_weight=None, user_power=0.0):
    r"""Scale each row by the root of its weight :math:`s_u n_u^{-\beta}`.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    sample_weight : ndarray of shape (n_users,), default=None
        None means 1 for everybody.
    user_power : float, default=0.0
        :math:`\beta`.

    Returns
    -------
    rows : csr_array of shape (n_users, n_items)
        `X` itself where all weights are 1.
    sums : ndarray of shape (2,)
        Sums over the entries of their users' weights, and of `sample_weight` alone. Those of
        several chunks add up, and their quotient is the mean that `user_power` multiplies the
        Gram matrix by.
    """
    lengths = np.diff(X.indptr)
    powers = np.maximum(lengths, 1.0) ** -user_power
    smallest = np.sqrt(powers.min(initial=1.0))
    if smallest < np.finfo(X.dtype).tiny:
        raise ValueError(
            f"user_power={user_power:g} makes the weights of users with {lengths.max()} entries "
            f"smaller than {X.dtype} can hold: lower it."
        )
    weight = np.ones(len(lengths)) if sample_weight is None else sample_weight.astype(np.float64)
    of_entries = weight * lengths
    sums = np.array([(of_entries * powers).sum(), of_entries.sum()])
    if sample_weight is None and user_power == 0:
        return X, sums
    scale = np.sqrt(weight * powers).astype(X.dtype)
    return with_data(X, X.data * np.repeat(scale, lengths)), sums


def scaled_features(features, scale, dtype):
    """Multiply features of items by a number, as far as their squares are finite in `dtype`.

    Parameters
    ----------
    features : {csr_array, ndarray} of shape (n_items, n_features)
        float64.
    scale : float
    dtype : dtype

    Returns
    -------
    features : {csr_array, ndarray} of shape (n_items, n_features)
        In `dtype`.
    """
    with np.errstate(over="ignore"):
        features = (features * scale).astype(dtype)
        values = features.data if sparse.issparse(features) else features
        is_finite = np.isfinite(np.square(values).sum())
    if not is_finite:
        raise ValueError(
            f"The squares of item_features overflow in {dtype}: scale them down, as by "
            "sklearn.preprocessing.MaxAbsScaler, or lower feature_weight."
        )
    return features


def first_rows(rows, n_rows):
    """Return the first rows, or the matrix itself where it has no others."""
    return rows if rows.shape[0] == n_rows else rows[:n_rows]


def sums_of_squares(rows):
    """Diagonal of the Gram matrix, in float64.

    Parameters
    ----------
    rows : csr_array of shape (n_rows, n_items)

    Returns
    -------
    diagonal : ndarray of shape (n_items,)
    """
    return rows.multiply(rows).sum(axis=0, dtype=np.float64)
