"""Steps from a table of interactions to the entries of a users x items matrix."""

import numpy as np
from scipy.sparse import csr_array

from skrec.utils._columns import (
    as_ids,
    as_texts,
    as_timestamps,
    as_values,
    check_distinct,
    check_length,
    encode,
    first_repeated,
    merge_repeated,
    positions,
)
from skrec.utils._warnings import warn

_DUPLICATES = {
    "error": "refuse",
    "last": "keep the row with the latest timestamp, or the last row without timestamps",
    "sum": "add the values",
    "mean": "average the values",
    "max": "keep the row with the largest value",
}


def check_options(duplicates, reviews, item_names):
    if duplicates not in _DUPLICATES:
        raise ValueError(
            f"duplicates must be one of {list(_DUPLICATES)}, got {duplicates!r}; these mean: "
            + _duplicates_help()
        )
    if reviews is not None and duplicates in ("sum", "mean"):
        raise ValueError(
            f"duplicates={duplicates!r} makes one entry of several rows, whose reviews "
            "cannot be combined; use 'last' or 'max', or leave the reviews out"
        )
    if item_names is not None and not hasattr(item_names, "get"):
        raise TypeError(
            f"item_names must map item ids to names, got {type(item_names).__name__}; pass a dict"
        )


def as_columns(users, items, values, timestamps, reviews):
    """Values, timestamps and reviews as arrays with an element for each row of a table."""
    n_rows = len(users)
    if n_rows == 0:
        raise ValueError("the table has no rows; at least one interaction is needed")
    values = np.ones(n_rows, dtype=np.float32) if values is None else as_values(values)
    timestamps = None if timestamps is None else as_timestamps(timestamps)
    reviews = None if reviews is None else as_texts(reviews)
    for name, column in [
        ("items", items),
        ("values", values),
        ("timestamps", timestamps),
        ("reviews", reviews),
    ]:
        check_length(name, column, n_rows, "element of users")
    return values, timestamps, reviews


def encode_items(items, item_ids):
    """The column of each row's item, -1 where it has none, and the ids of the columns."""
    cols, found = encode(items)
    if item_ids is None:
        return cols, found
    item_ids = as_ids(item_ids, "item_ids")
    check_distinct("item_ids", item_ids)
    place = positions(found, item_ids, "item of the table", "item_ids")
    if (place < 0).any():
        unknown = found[place < 0]
        n_dropped = np.count_nonzero(place[cols] < 0)
        warn(
            f"{n_dropped} of {len(cols)} rows are of items that item_ids lacks ({len(unknown)}, "
            f"such as {unknown.tolist()[0]!r}) and are dropped. If that is meant, read the table "
            "without item_ids and take interactions.reindex(item_ids)."
        )
    return place[cols], item_ids


def refuse_repeated_pairs(keys, user_ids, item_ids):
    repeated = first_repeated(keys)
    if repeated is None:
        return
    row, n_repeated = repeated
    user, item = divmod(keys[row], len(item_ids))
    raise ValueError(
        f"{n_repeated} pairs of user and item have several rows, the first of them "
        f"user {user_ids[user]} and item {item_ids[item]}; "
        f"choose duplicates= one of: {_duplicates_help()}"
    )


def _duplicates_help():
    return "; ".join(f"{rule!r}: {meaning}" for rule, meaning in _DUPLICATES.items())


def as_matrix(rows, cols, values, timestamps, shape, duplicates="error"):
    """Users x items matrix of aligned arrays, timestamps of its entries, and their places."""
    keys, values, timestamps, kept = merge_repeated(
        rows * shape[1] + cols, values, timestamps, duplicates
    )
    row_sizes = np.bincount(keys // max(shape[1], 1), minlength=shape[0])
    indptr = np.append(0, np.cumsum(row_sizes))
    X = csr_array((as_values(values), keys % max(shape[1], 1), indptr), shape=shape)
    return X, timestamps, kept


def find_ids(ids, vocabulary, kind):
    ids = as_ids([ids] if isinstance(ids, str) or np.ndim(ids) == 0 else ids, f"{kind}_ids")
    if not len(ids):
        return np.empty(0, dtype=np.intp)
    found = positions(ids, vocabulary, f"{kind} id", f"these {kind}s")
    unknown = found < 0
    if unknown.any():
        raise ValueError(
            f"{kind} ids must be among these interactions' {len(vocabulary)} {kind}_ids, but "
            f"{unknown.sum()} of {len(ids)} are not, the first {ids[unknown].tolist()[0]!r}; "
            "leave them out, or read the table that has them"
        )
    return found.astype(np.intp)


def join_ids(old, new, kind):
    """Ids with new ones behind the old, and the position of each of the new interactions' ids."""
    if not len(old) or not len(new):
        return (new, np.arange(len(new))) if not len(old) else (old, np.arange(0))
    place = positions(new, old, f"new {kind} id", "the old ones")
    unknown = place < 0
    place[unknown] = len(old) + np.arange(unknown.sum())
    return np.concatenate([old, new[unknown]]), place


def as_names(names):
    return np.array(list(names), dtype=object)
