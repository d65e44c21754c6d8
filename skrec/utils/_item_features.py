"""Features of the items, which stand beside the interactions: a row for each item."""

import narwhals as nw
import numpy as np
from scipy import sparse

from skrec.utils._sparse_structure import check_structure

_FIX = "one-hot encode it, for example by sklearn.preprocessing.OneHotEncoder"


def check_item_features(features, n_items, item_ids=None, name="item_features"):
    """Validate features of items.

    Parameters
    ----------
    features : {array-like, sparse matrix, dataframe} of shape (n_items, n_features)
    n_items : int
        Number of columns of `X`.
    item_ids : ndarray of shape (n_items,), default=None
        Ids of the items, if they have any.
    name : str, default="item_features"
        What messages call them.

    Returns
    -------
    features : {csr_array, ndarray} of shape (n_items, n_features)
        Finite, in float64; may share memory with the input.

    Raises
    ------
    ValueError
        If there are not as many rows as items, if the index of a pandas frame has the items' ids
        in another order or those of other items, or if anything is not a finite number.
    """
    frame = nw.from_native(features, eager_only=True, pass_through=True)
    index = getattr(features, "index", None)  # pandas alone has one
    if isinstance(frame, nw.DataFrame) and index is not None and item_ids is not None:
        check_order(np.asarray(index), item_ids, name)
    found = read_features(features, name)
    if found.shape[0] != n_items:
        raise ValueError(
            f"{name} has {found.shape[0]} rows, X has {n_items} items: give a row for each "
            "item, in the order of the columns of X"
            + ("" if item_ids is None else ", such as features.loc[X.item_ids] of a frame")
            + f"; before an update with new items, set_params({name}=...) adds theirs."
        )
    return found


def read_features(features, name, key="item"):
    """Validate features of whichever items or users.

    Parameters
    ----------
    features : {array-like, sparse matrix, dataframe} of shape (n_rows, n_features)
    name : str
        What messages call them.
    key : {"item", "user"}, default="item"
        Whose they are.

    Returns
    -------
    features : {csr_array, ndarray} of shape (n_rows, n_features)
        Finite, in float64; may share memory with the input.
    """
    frame = nw.from_native(features, eager_only=True, pass_through=True)
    if sparse.issparse(features):
        check_structure(features, name)
        found = sparse.csr_array(features, dtype=np.float64)
    elif isinstance(frame, nw.DataFrame):
        found = _read_columns(frame, name)
    else:
        found = _as_numbers(features, name)
    if found.ndim != 2 or found.shape[1] == 0:
        raise ValueError(
            f"{name} must have a row for each {key} and a column for each feature, got shape "
            f"{found.shape}: a single feature is a column, such as features.reshape(-1, 1)."
        )
    is_finite = np.isfinite(found.data if sparse.issparse(found) else found)
    if not is_finite.all():
        raise ValueError(
            f"{name} must be finite, but {(~is_finite).sum()} of its numbers are not: fill "
            "or leave out what is missing."
        )
    return found


def without_frame(features):
    """Return a data frame as a matrix of its numbers, a series as a list, all else as it is.

    A fitted model is then read without the library of the frame, and by skops, which knows no
    frames.

    Parameters
    ----------
    features : object
        As of :func:`check_item_features`, or a label of each item.
    """
    frame = nw.from_native(features, eager_only=True, allow_series=True, pass_through=True)
    if isinstance(frame, nw.Series):
        return frame.to_list()
    if not isinstance(frame, nw.DataFrame):
        return features
    try:
        return _read_columns(frame, "item_features")
    except ValueError:  # set after the fit, and refused in the next one
        return features


def _as_numbers(features, name):
    array = np.asarray(features)
    if array.dtype.kind == "O" and not any(isinstance(value, str) for value in array.flat):
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError):  # refused below, by an example
            pass
    if array.dtype.kind not in "biuf":
        example = f" (the first is {array.item(0)!r})" if array.size else ""
        raise ValueError(
            f"{name} must be numbers, got dtype {array.dtype}{example}: if it holds words "
            f"or categories, {_FIX}."
        )
    return array.astype(np.float64, copy=False)


def _read_columns(frame, name):
    native = frame.to_native()
    if frame.columns and hasattr(native, "sparse"):  # of pandas, where all columns are
        return sparse.csr_array(native.sparse.to_coo(), dtype=np.float64)
    columns = []
    for column in frame.iter_columns():
        if not column.dtype.is_numeric() and column.dtype != nw.Boolean:
            raise ValueError(
                f"Column {column.name!r} of {name} must hold numbers, got {column.dtype}: "
                f"{_FIX}, or leave it out."
            )
        if column.null_count():
            raise ValueError(
                f"Column {column.name!r} of {name} has {column.null_count()} missing "
                "values: fill them, or leave the column out."
            )
        columns.append(column.cast(nw.Float64).to_numpy())
    return np.column_stack(columns) if columns else np.empty(frame.shape)


def check_order(index, item_ids, name):
    """Refuse an index of other items, or in another order; it may number the rows."""
    if len(index) != len(item_ids) or np.array_equal(index, item_ids):
        return
    only_numbers = np.array_equal(index, np.arange(len(index)))
    if only_numbers or set(index.tolist()).isdisjoint(item_ids.tolist()):  # it names no items
        return
    wrong = next(row for row, found in enumerate(index.tolist()) if found != item_ids[row])
    raise ValueError(
        f"The index of {name} is not that of the items of X: row "
        f"{wrong} is of {index.tolist()[wrong]!r}, column {wrong} of X of "
        f"{item_ids.tolist()[wrong]!r}. Take {name}.loc[X.item_ids], or reset_index() if "
        "the index does not stand for items."
    )
