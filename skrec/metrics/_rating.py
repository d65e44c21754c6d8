"""Errors of predicted ratings at held-out entries, and the standard error of a mean."""

import numpy as np
from scipy import sparse
from sklearn.utils import check_array

from skrec.utils._sparse_structure import check_structure
from skrec.utils._validation import check_flag


def rmse(predicted, held_out, *, per_user=False):
    """Root mean squared error at the held-out entries.

    Parameters
    ----------
    predicted : array-like of shape (n_held_out,) or (n_users, n_items)
        Predictions of the stored entries of `held_out`, row by row and by ascending item; or of
        all entries.
    held_out : {array-like, sparse matrix} of shape (n_users, n_items)
        The true values. Stored entries (dense input: the non-zeros) are the observations.
    per_user : bool, default=False
        Whether to return one value per user, NaN for users without a held-out entry.

    Returns
    -------
    rmse : float or ndarray of shape (n_users,)
        Not negative. The float is that of all entries together, in which users with more of them
        weigh more; it is not the mean of the values per user.

    Examples
    --------
    >>> import numpy as np
    >>> from skrec.metrics import rmse
    >>> rmse([3.0, 4.0], np.array([[4, 0], [0, 5]]))
    1.0
    """
    return _measure(predicted, held_out, per_user, np.square, np.sqrt)


def mae(predicted, held_out, *, per_user=False):
    """Mean absolute error at the held-out entries.

    Parameters
    ----------
    predicted : array-like of shape (n_held_out,) or (n_users, n_items)
        Predictions of the stored entries of `held_out`, row by row and by ascending item; or of
        all entries.
    held_out : {array-like, sparse matrix} of shape (n_users, n_items)
        The true values. Stored entries (dense input: the non-zeros) are the observations.
    per_user : bool, default=False
        Whether to return one value per user, NaN for users without a held-out entry.

    Returns
    -------
    mae : float or ndarray of shape (n_users,)
        Not negative. The float is that of all entries together, in which users with more of them
        weigh more; it is not the mean of the values per user.

    Examples
    --------
    >>> import numpy as np
    >>> from skrec.metrics import mae
    >>> mae([3.0, 7.0], np.array([[4, 0], [0, 5]]))
    1.5
    """
    return _measure(predicted, held_out, per_user, np.abs, np.asarray)


def standard_error(values):
    """Compute the standard error of the mean of values per user.

    Parameters
    ----------
    values : array-like of shape (n_users,)
        NaN marks users that do not count, infinite values are an error.

    Returns
    -------
    standard_error : float
        ``std(ddof=1) / sqrt(n)`` of the `n` other values, NaN if there are fewer than two.

    Examples
    --------
    >>> import numpy as np
    >>> from skrec.metrics import standard_error
    >>> standard_error([1.0, 3.0, np.nan])
    1.0
    """
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    if np.isinf(values).any():
        raise ValueError("values must be finite, or NaN for users that do not count, got inf.")
    if values.size < 2:
        return np.nan
    return float(values.std(ddof=1) / np.sqrt(values.size))


def _measure(predicted, held_out, per_user, loss, unit):
    per_user = check_flag(per_user, "per_user")
    if sparse.issparse(held_out):
        check_structure(held_out, "held_out")
    # Not made canonical: 1-D predictions are aligned with the entries as they are stored.
    held_out = check_array(
        held_out, accept_sparse="csr", dtype=[np.float64, np.float32], input_name="held_out"
    )
    held_out = sparse.csr_array(held_out)
    predicted = check_array(
        predicted, ensure_2d=False, ensure_min_samples=0, input_name="predicted"
    )
    n_held_out = np.diff(held_out.indptr)
    rows = np.repeat(np.arange(len(n_held_out)), n_held_out)
    if predicted.shape == held_out.shape:
        predicted = predicted[rows, held_out.indices]
    elif predicted.shape != (held_out.nnz,):
        raise ValueError(
            f"predicted must have shape ({held_out.nnz},), one value per stored entry of held_out,"
            f" or {held_out.shape}, got {predicted.shape}."
        )
    with np.errstate(over="ignore"):
        losses = loss(predicted - held_out.data.astype(np.float64))
        total = losses.sum()
    if not np.isfinite(total):
        raise ValueError(
            f"The errors overflow: predicted has values up to {np.abs(predicted).max():g} and "
            f"held_out up to {np.abs(held_out.data).max():g}. Scale both down."
        )
    if not losses.size:
        raise ValueError("held_out has no stored entry: there is nothing to compare with.")
    if not per_user:
        return float(unit(losses.mean()))
    sums = np.bincount(rows, losses, minlength=len(n_held_out))
    return unit(np.where(n_held_out > 0, sums / np.maximum(n_held_out, 1), np.nan))
