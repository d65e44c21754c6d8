"""Tables of pairs, whose first two columns are the ids of a user and an item."""

import narwhals as nw
import numpy as np
from scipy import sparse
from sklearn.utils import check_array

from skrec.utils._columns import as_ids, encode, first_repeated, merge_repeated
from skrec.utils._mistaken_input import warn_of_numbers_for_counts
from skrec.utils._sparse_structure import check_structure


def as_table(X):
    """Convert a two-dimensional input to a narwhals frame, a csr_array or an array."""
    table = nw.from_native(X, eager_only=True, pass_through=True)
    if sparse.issparse(X):
        check_structure(X)
        table = sparse.csr_array(X)
    elif isinstance(X, list | tuple):
        table = _rows_as_array(X)
    elif not isinstance(table, nw.DataFrame):
        table = np.asarray(X)
    if len(table.shape) != 2:
        raise ValueError(
            f"Expected 2D array, got {len(table.shape)}D array instead. Reshape your data: one row"
            " for each pair, with the ids of its user and its item."
        )
    return table


def read_pairs(table, with_counts=False):
    """Read the ids of users and items, and what stands beside them.

    Parameters
    ----------
    table : dataframe, csr_array or ndarray of shape (n_pairs, n_columns)
        From `as_table`.
    with_counts : bool, default=False
        Whether to read the columns after the second.

    Returns
    -------
    users, items : ndarray of shape (n_pairs,)
        int64 for whole numbers of any type, as a matrix of floats may hold ids of integers.
    counts : csr_array of shape (n_pairs, n_columns - 2) or None
    """
    n_pairs, n_columns = table.shape
    if n_columns < 2:
        raise ValueError(
            f"X has {n_columns} feature(s) (shape={table.shape}) while a minimum of 2 is required:"
            " the ids of the user and the item."
        )
    if n_pairs == 0:
        raise ValueError(
            f"X has 0 sample(s) (shape={table.shape}) while a minimum of 1 is required."
        )
    if sparse.issparse(table):
        ids = table[:, :2].toarray()
        columns = ids[:, 0], ids[:, 1]
    elif isinstance(table, nw.DataFrame):
        columns = (table[:, column].to_numpy() for column in (0, 1))
    else:
        columns = table[:, 0], table[:, 1]
    names = ("user ids (column 0 of X)", "item ids (column 1 of X)")
    users, items = (read_id_column(ids, name) for ids, name in zip(columns, names, strict=True))
    return users, items, _read_counts(table) if with_counts and n_columns > 2 else None


def _rows_as_array(rows):
    # NumPy would turn numbers beside strings into strings.
    try:
        array = np.asarray(rows)
    except ValueError:  # rows of several lengths, or with tuples for ids
        array = None
    if array is not None and (array.ndim < 2 or array.ndim == 2 and array.dtype.kind in "biufc"):
        return array
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise ValueError(
            f"The rows of X must have the same length, got {min(widths)} to {max(widths)} elements"
        )
    columns = [np.fromiter(column, object, len(rows)) for column in zip(*rows, strict=True)]
    return np.stack(columns, axis=1)


def read_id_column(values, name):
    """Ids of any kind, without those that stand for none; int64 for whole numbers of any type.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
    name : str
        What messages call them.
    """
    kind = values.dtype.kind
    if kind == "c":
        raise ValueError(f"Complex data not supported: {name} are of dtype {values.dtype}")
    if kind == "O":
        _check_hashable(values, name)
    if kind != "f":
        return as_ids(values, name)
    bad = ~np.isfinite(values)
    if bad.any():
        value = "NaN" if np.isnan(values[bad][0]) else values[bad][0]
        raise ValueError(
            f"{name} must be finite, but {bad.sum()} of {len(values)} are not, the first at row "
            f"{bad.argmax()}: {value}; drop those rows first"
        )
    values = values.astype(np.float64, copy=False)
    is_whole = (np.trunc(values) == values).all() and np.abs(values).max() < 2.0**63
    return values.astype(np.int64) if is_whole else values


def _check_hashable(values, name):
    try:
        set(values.tolist())
    except TypeError as error:
        row = next(row for row, value in enumerate(values) if not _is_hashable(value))
        raise TypeError(
            f"The argument must be hashable, such as a string or a number, for {name}, got "
            f"{values[row]!r} of type {type(values[row]).__name__} at row {row}"
        ) from error


def _is_hashable(value):
    try:
        hash(value)
    except TypeError:  # a tuple with a list in it is only known by trying
        return False
    return True


def _read_counts(table):
    counts = table[:, 2:]
    try:
        counts = sparse.csr_array(
            check_array(
                counts.to_numpy() if isinstance(counts, nw.DataFrame) else counts,
                accept_sparse="csr",
                dtype=np.float64,
                input_name="X",
            )
        )
    except (TypeError, ValueError) as error:
        raise ValueError(
            "The columns of X after the second must be document-term counts, finite numbers, as "
            "the estimator reads reviews: put a text vectorizer in front, in a ColumnTransformer "
            f"({error})"
        ) from error
    warn_of_numbers_for_counts(counts)
    return counts


def refuse_repeated(users, items):
    """Raise an error that names the first pair of ids that stands in several rows."""
    codes, distinct = encode(items)
    repeated = first_repeated(encode(users)[0] * len(distinct) + codes)
    if repeated is not None:
        row, n_repeated = repeated
        raise ValueError(
            f"{n_repeated} pairs of user and item have several rows, the first of them user "
            f"{users[row]} and item {items[row]} (again at row {row}); leave one row in, or "
            "choose duplicates='mean' or duplicates='last'"
        )


def merge_pairs(users, items, ratings, counts, shape, duplicates):
    """Users x items matrix with one rating for each pair, and its counts in row-major order.

    Parameters
    ----------
    users, items : ndarray of int of shape (n_pairs,)
        Rows and columns of the matrix.
    ratings : ndarray of shape (n_pairs,)
    counts : csr_array of shape (n_pairs, n_terms) or None
    shape : tuple of (int, int)
    duplicates : {"mean", "last", "error"}
        With "error", the pairs differ.

    Returns
    -------
    X : csr_array of shape (n_users, n_items)
    counts : csr_array of shape (X.nnz, n_terms) or None
        Where ratings are averaged, the counts are added up: several reviews read as one.
    """
    keys = users * shape[1] + items
    entries, ratings, _, kept = merge_repeated(keys, ratings, None, duplicates)
    row_sizes = np.bincount(entries // shape[1], minlength=shape[0])
    dtype = sparse.get_index_dtype(maxval=max(len(entries), *shape))
    indptr = np.append(0, np.cumsum(row_sizes)).astype(dtype)
    indices = (entries % shape[1]).astype(dtype)
    X = sparse.csr_array((ratings, indices, indptr), shape=shape)
    if counts is None:
        return X, None
    if duplicates != "mean":
        return X, counts[kept]
    one = np.ones(len(keys))
    at = np.searchsorted(entries, keys), np.arange(len(keys))
    return X, sparse.csr_array((one, at), shape=(len(entries), len(keys))) @ counts
