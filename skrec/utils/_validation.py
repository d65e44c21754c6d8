"""Input checks shared by estimators, scorers and splitters."""

from contextlib import contextmanager
from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skrec.interactions import Interactions

_INT32_MAX = np.iinfo(np.int32).max


def check_interactions(X, *, estimator=None, reset=False, name="X"):
    """Validate a users x items matrix and return it in the one form the package computes with.

    Parameters
    ----------
    X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
        Stored entries (dense input: the non-zeros) are the observations.
    estimator : estimator, default=None
        Its ``n_features_in_`` and feature names are set (``reset=True``) or compared.
    reset : bool, default=False
    name : str, default="X"
        What messages call the matrix.

    Returns
    -------
    X : csr_array of shape (n_users, n_items)
        float32 or float64, sorted, without duplicates; 32-bit indices where they suffice.
        It may share memory with the input.
    """
    if isinstance(X, Interactions):
        raise TypeError(f"{name} must be a users x items matrix, got Interactions: pass its .X.")
    if estimator is not None and not reset:
        _check_n_items(X, estimator, name)
    checks = {
        "accept_sparse": "csr",
        "dtype": [np.float64, np.float32],
        "ensure_all_finite": False,
    }
    if estimator is None:
        X = check_array(X, input_name=name, **checks)
    else:
        X = validate_data(estimator, X, reset=reset, **checks)
    X = sparse.csr_array(X)
    _check_finite(X, name)
    if X.indices.dtype != np.int32 and max(*X.shape, X.nnz) <= _INT32_MAX:
        indices = X.indices.astype(np.int32), X.indptr.astype(np.int32)
        X = sparse.csr_array((X.data, *indices), shape=X.shape)
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def _check_n_items(X, estimator, name):
    shape = getattr(X, "shape", ())
    n_items = getattr(estimator, "n_features_in_", None)
    if n_items is None or len(shape) != 2 or shape[1] == n_items:
        return
    model = type(estimator).__name__
    hint = (
        f"{name} looks transposed (it has {n_items} rows): pass {name}.T, one row per user."
        if shape[0] == n_items
        else f"Build {name} with the item vocabulary of the training data, for example with "
        "Interactions.from_frame(..., item_ids=...)."
    )
    raise ValueError(
        f"{name} has {shape[1]} items, {model} was fitted on {n_items}. {hint} ({name} has "
        f"{shape[1]} features, but {model} is expecting {n_items} features as input.)"
    )


def _check_finite(X, name):
    if np.isfinite(X.data.sum()) or np.isfinite(X.data).all():
        return
    position = np.flatnonzero(~np.isfinite(X.data))[0]
    row = np.searchsorted(X.indptr, position, side="right") - 1
    value = "NaN" if np.isnan(X.data[position]) else X.data[position]
    raise ValueError(
        f"Input {name} contains {value} (row {row}, item {X.indices[position]}): entries must be "
        "finite. Leave unobserved entries out of the sparse matrix, or set them to 0 in a dense "
        "one."
    )


def check_k(k, name="k"):
    """Validate a list length: an integer of at least 1."""
    if not isinstance(k, Integral) or isinstance(k, bool):
        raise TypeError(f"{name} must be an integer >= 1, got {k!r} of type {type(k).__name__}.")
    if k < 1:
        raise ValueError(f"{name} must be an integer >= 1, got {k}: ask for at least one item.")
    return int(k)


def check_items(items, n_items):
    """Validate candidate items (indices or a mask) and return them sorted, each once."""
    items = np.asarray(items)
    if items.ndim == 1 and items.dtype == bool and len(items) == n_items:
        items = np.flatnonzero(items)
    if items.ndim != 1 or items.dtype.kind not in "iu" or len(items) == 0:
        raise ValueError(
            f"items must be a non-empty 1-D array of item indices or a mask of {n_items} booleans,"
            f" got shape {items.shape} and dtype {items.dtype}."
        )
    if items.min() < 0 or items.max() >= n_items:
        outside = items[(items < 0) | (items >= n_items)][0]
        raise ValueError(
            f"items must lie in [0, {n_items - 1}] (column indices of X), got {outside}."
        )
    return np.unique(items)


@contextmanager
def keep_state_on_error(estimator):
    """Put the estimator's attributes back if the block raises: a failed fit loses nothing.

    Parameters
    ----------
    estimator : estimator
        Arrays that it holds must not be changed in place in the block.
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
