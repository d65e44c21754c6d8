"""Input checks shared by estimators, scorers and splitters."""

import sys
from contextlib import contextmanager
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skrec.utils._compat import check_weights
from skrec.utils._mistaken_input import FOR_IDS, refuse_long_table, texts_refused, warn_of_ids
from skrec.utils._sparse_structure import check_structure, raise_not_two_dimensional

_INT32_MAX = np.iinfo(np.int32).max

# Cut-offs up to this are asked of catalogues of any size; a list that is longer than this and the
# catalogue together is a mistake, and mostly padding.
MAX_PADDING = 1000


def check_interactions(X, *, estimator=None, reset=False, name="X"):
    """Validate a users x items matrix and return it in the one form the package computes with.

    Parameters
    ----------
    X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
        Stored entries (dense input: the non-zeros) are the observations.
    estimator : estimator, default=None
        Its ``n_features_in_`` and feature names, which are the item ids of Interactions, are set
        (``reset=True``) or compared.
    reset : bool, default=False
    name : str, default="X"
        What messages call the matrix.

    Returns
    -------
    X : csr_array of shape (n_users, n_items)
        float32 or float64, finite, sorted, without duplicates (they are added up); 32-bit indices
        where they suffice. It may share memory with the input.

    Raises
    ------
    ValueError
        If an entry is not finite or lies outside of the shape, among others.
    """
    item_ids = _item_ids(X)
    is_compared = estimator is not None and not reset
    if is_compared:
        if item_ids is not None:
            check_item_ids(item_ids, estimator, name)
        _check_n_items(X, estimator, name)
    elif estimator is not None:
        refuse_long_table(X, name)
    if sparse.issparse(X):
        check_structure(X, name)
    elif getattr(X, "ndim", 2) == 1:
        raise_not_two_dimensional(X, name)
    checks = {
        "accept_sparse": "csr",
        "dtype": [np.float64, np.float32],
        "ensure_all_finite": False,
    }
    with _numbers_as_floats(name), texts_refused(X, name):
        if estimator is None or (is_compared and (item_ids is not None or _has_ids(estimator))):
            X = check_array(X, input_name=name, **checks)
        else:
            X = validate_data(estimator, X, reset=reset, **checks)
            if item_ids is not None:
                estimator.feature_names_in_ = item_ids
    X = sparse.csr_array(X)
    _check_finite(X, name)
    if X.indices.dtype != np.int32 and max(*X.shape, X.nnz) <= _INT32_MAX:
        indices = X.indices.astype(np.int32), X.indptr.astype(np.int32)
        X = sparse.csr_array((X.data, *indices), shape=X.shape)
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
        _check_finite(X, name)
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
        else f"Give {name} the items of the training data, in their order, for example by "
        "Interactions.reindex(item_ids)."
    )
    raise ValueError(
        f"{name} has {shape[1]} items, {model} was fitted on {n_items}. {hint} ({name} has "
        f"{shape[1]} features, but {model} is expecting {n_items} features as input.)"
    )


def _item_ids(X):
    """Ids of the items of Interactions, or the columns of a frame that are no names to sklearn."""
    if sparse.issparse(X):
        return getattr(X, "item_ids", None)
    if not hasattr(X, "columns") or not hasattr(X, "iloc"):  # others than pandas have names
        return None
    columns = np.asarray(X.columns)
    is_numbered = np.array_equal(columns, np.arange(len(columns)))
    return None if is_numbered or any(isinstance(name, str) for name in columns) else columns


def _has_ids(estimator):
    """Whether it was fitted on items with ids that are no feature names to scikit-learn."""
    names = getattr(estimator, "feature_names_in_", None)
    return names is not None and not all(isinstance(name, str) for name in names)


def check_item_ids(item_ids, estimator, name):
    """Compare ids with those of the items that the estimator was fitted on, if there are any."""
    fitted = getattr(estimator, "feature_names_in_", None)
    if fitted is None or np.array_equal(fitted, item_ids):
        return
    model, known = type(estimator).__name__, dict.fromkeys(fitted.tolist())
    unknown = next((item for item in item_ids.tolist() if item not in known), None)
    what = (
        "others, or another order" if unknown is None else f"{unknown!r}, which is not among them"
    )
    raise ValueError(
        f"{name} must have the items that {model} was fitted on, such as {next(iter(known))!r},"
        f" in their order, but has {what}: take {name}.reindex(model.feature_names_in_), which "
        "drops unknown items."
    )


@contextmanager
def _numbers_as_floats(name):
    """Let numbers that are too large become infinite, or name where they are."""
    try:
        with np.errstate(over="ignore"):
            yield
    except OverflowError as error:
        raise ValueError(
            f"{name} holds an integer that is too large for a float: numbers must be finite, "
            "scale them down."
        ) from error


def _check_finite(X, name):
    # The sum is finite almost always; where it overflows, the entries decide.
    with np.errstate(over="ignore", invalid="ignore"):
        is_sum_finite = np.isfinite(X.data.sum())
    if is_sum_finite or np.isfinite(X.data).all():
        return
    position = np.flatnonzero(~np.isfinite(X.data))[0]
    row = np.searchsorted(X.indptr, position, side="right") - 1
    value = "NaN" if np.isnan(X.data[position]) else X.data[position]
    raise ValueError(
        f"Input {name} contains {value} (row {row}, item {X.indices[position]}): entries must be "
        "finite, repeated ones once they are added up. Leave unobserved entries out of the sparse "
        "matrix, or set them to 0 in a dense one."
    )


def check_sample_weight(sample_weight, X, *, allow_all_zero=False):
    """Validate weights of users.

    Parameters
    ----------
    sample_weight : array-like of shape (n_users,) or None
        None means 1 for everybody.
    X : csr_array of shape (n_users, n_items)
    allow_all_zero : bool, default=False
        As for one chunk of users that are added to others.

    Returns
    -------
    sample_weight : ndarray of shape (n_users,)
        Not negative; the sum over all entries of `X`, each with the weight of its user, is finite.
    """
    with _numbers_as_floats("sample_weight"):
        weight = check_weights(
            sample_weight, X, ensure_non_negative=True, allow_all_zero_weights=allow_all_zero
        )
    with np.errstate(over="ignore"):
        total = (weight.astype(np.float64) * np.maximum(np.diff(X.indptr), 1)).sum()
    if not np.isfinite(total):
        raise ValueError(
            f"sample_weight must have a finite sum over the entries of X, got weights up to "
            f"{weight.max():g}: divide them by a common factor."
        )
    return weight


def check_k(k, name="k", n_items=None):
    """Validate a list length: an integer of at least 1.

    With `n_items`, the lists are padded to that length, so it may exceed the number of items by
    `MAX_PADDING` at most.
    """
    if not isinstance(k, Integral) or isinstance(k, bool):
        raise TypeError(f"{name} must be an integer >= 1, got {k!r} of type {type(k).__name__}.")
    if k < 1:
        raise ValueError(f"{name} must be an integer >= 1, got {k}: ask for at least one item.")
    if k > sys.maxsize:
        raise ValueError(f"{name} must be an integer of at most {sys.maxsize}, got a larger one.")
    if n_items is not None and k > n_items + MAX_PADDING:
        raise ValueError(
            f"{name} must be at most {n_items + MAX_PADDING}, {MAX_PADDING} more than the "
            f"{n_items} items, got {k}: lists are padded to {name}, so {name}={n_items} has as "
            "much in it."
        )
    return int(k)


def check_finite_answers(model, *answers):
    """Refuse scores, deviations or embeddings that are not finite, and so have no meaning."""
    for answer in answers:
        if not np.isfinite(answer).all():
            value = "NaN" if np.isnan(answer).any() else "infinite"
            raise ValueError(
                f"Scores of {type(model).__name__} must be finite, but some are {value}: entries "
                "of X are too large for what was learned. Scale X as in fit, or, if such entries "
                "are usual, fit again on data of smaller magnitude."
            )


def check_non_negative(X, reason, otherwise=""):
    """Refuse negative entries, and say who needs that there are none, and what else may help."""
    if X.nnz and X.data.min() < 0:
        raise ValueError(
            f"Negative values in data passed to X: {reason} non-negative entries, got "
            f"{X.data.min()}. Leave dislikes out, for example with "
            f"Interactions.binarize(threshold){otherwise}."
        )
    return X


def check_flag(flag, name):
    """Validate an option that is on or off: a string such as "no" would count as on."""
    if not isinstance(flag, bool | np.bool_):
        raise TypeError(
            f"{name} must be True or False, got {flag!r} of type {type(flag).__name__}."
        )
    return bool(flag)


def check_finite_number(number, name, meaning):
    """Validate a real number and return it as a float; an int may be too large for one."""
    try:
        as_float = float(number) if isinstance(number, Real) else np.nan
    except OverflowError:
        as_float = np.inf
    if not np.isfinite(as_float):
        raise ValueError(f"{name} must be a finite number, {meaning}, got {_shortened(number)}.")
    return as_float


def check_share(share, n, name, things):
    """Refuse a share of `n` things that, rounded, is none of them."""
    if n > 0 and share * n < 0.5:
        raise ValueError(
            f"{name}={float(share):g} of {n} {things} rounds to none: raise {name}, or give "
            f"more {things}."
        )


def check_representable(parameters):
    """Refuse integers that NumPy cannot hold, and other numbers that no float can.

    scikit-learn's intervals let them pass: Python finds any integer less than infinity.

    Parameters
    ----------
    parameters : dict
        Values by name.
    """
    for name, value in parameters.items():
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, np.number):
                number = number.item()  # or it is compared in its own precision, with a warning
            if not isinstance(number, Real) or isinstance(number, float):
                continue
            if abs(number) > (sys.maxsize if isinstance(number, Integral) else sys.float_info.max):
                raise ValueError(
                    f"The {name!r} parameter must be a number that a float, or for an integer "
                    f"64 bits can hold, got {_shortened(number)}: make it smaller."
                )


def _shortened(number):
    if isinstance(number, Integral) and abs(number) > sys.maxsize:
        return f"an integer of {int(number).bit_length()} bits"  # str of a long one raises
    return repr(number)


def check_item_indices(items, n_items, name="items"):
    """Validate item indices of any integer type, repeated or not, and return them as intp.

    Narrow and unsigned types cannot hold the -1 of padding, and products of them wrap.
    """
    items = np.asarray(items)
    if items.size and items.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integer item indices, got dtype {items.dtype}. {FOR_IDS}")
    if items.ndim != 1:
        raise ValueError(f"{name} must be a 1-D array of item indices, got shape {items.shape}.")
    outside = items[(items < 0) | (items >= n_items)]
    if outside.size:
        raise ValueError(
            f"{name} must lie in [0, {n_items - 1}] (column indices of X), got {outside[0]}. "
            f"{FOR_IDS}"
        )
    return items.astype(np.intp)


def check_items(items, n_items, name="items", allow_none=False):
    """Validate candidate items (indices or a mask) and return them sorted, each once, as intp."""
    items = np.asarray(items)
    if items.ndim == 1 and items.dtype == bool and len(items) == n_items:
        items = np.flatnonzero(items)
    if allow_none and items.shape == (0,):
        return np.empty(0, dtype=np.intp)
    if items.ndim != 1 or items.dtype.kind not in "iu" or len(items) == 0:
        size = "" if allow_none else "non-empty "
        raise ValueError(
            f"{name} must be a {size}1-D array of item indices or a mask of {n_items} booleans, "
            f"or a matrix with a row for each user, got shape {items.shape} and dtype "
            f"{items.dtype}. {FOR_IDS}"
        )
    return np.unique(check_item_indices(items, n_items, name))


def check_rule(rule, X, name, *, estimator):
    """Validate items to choose from, or to leave out, for everybody or for each user.

    Parameters
    ----------
    rule : array-like or sparse matrix
        Item indices or a mask over the items, as `check_items` takes them, or a users x items
        matrix, whose non-zero entries count.
    X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
        The caller's users.
    name : {"items", "exclude"}
        There have to be items to choose from, but none that are left out.
    estimator : estimator
        Its items' names, if they are integers, make it likely that indices are mistaken for ids.

    Returns
    -------
    rule : ndarray of intp or csr_array of shape (n_users, n_items)
    """
    if not sparse.issparse(rule) and np.ndim(rule) != 2:
        warn_of_ids(rule, estimator, name)
        return check_items(rule, np.shape(X)[1], name, allow_none=name == "exclude")
    if np.shape(rule) != np.shape(X):
        raise ValueError(
            f"{name} must have the shape of X, {np.shape(X)}, where it is a matrix with a row for "
            f"each user and a column for each item, got shape {np.shape(rule)}."
        )
    for ids in ("user_ids", "item_ids"):
        of_rule, of_X = getattr(rule, ids, None), getattr(X, ids, None)
        if of_rule is not None and of_X is not None and not np.array_equal(of_rule, of_X):
            raise ValueError(
                f"{name} must have the {ids} of X, in their order, where both have ids: take "
                f"{name}[{name}.rows(X.user_ids)].reindex(X.item_ids)."
            )
    rule = check_interactions(rule, name=name)
    if not rule.data.all():
        rule = rule.copy()
        rule.eliminate_zeros()
    return rule


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
