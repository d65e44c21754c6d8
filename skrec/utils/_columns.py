"""Checks and encodings of the columns of an interaction table."""

from contextlib import suppress
from datetime import UTC, date, datetime
from itertools import repeat
from numbers import Number

import numpy as np


class ItemColumns(np.ndarray):
    """Column indices of items that were found by their ids, so that nobody takes them for ids."""


def check_length(name, values, length, per):
    if values is not None and values.shape != (length,):
        raise ValueError(
            f"{name} must be one-dimensional with one element per {per}, that is of shape "
            f"{(length,)}, got shape {values.shape}"
        )


def check_distinct(name, ids):
    ids = ids.tolist()
    seen = set()
    if len(set(ids)) < len(ids):
        first = next(value for value in ids if value in seen or seen.add(value))
        raise ValueError(f"{name} must be distinct, but {first!r} is repeated; leave it in once")


def read_only(array):
    """Return the array itself if nobody can write to it through this reference, or else a copy."""
    if array is not None and array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


def is_null(value):
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA refuses to be true or false
        return True


def as_ids(values, name):
    """One-dimensional array without nulls; integers as int64, strings as Python objects."""
    ids = np.asarray(values)
    if ids.dtype.kind in "US":
        # NumPy turns numbers in a list with strings into strings.
        ids = ids.astype(object) if isinstance(values, np.ndarray) else _objects(values)
    if ids.ndim != 1:
        raise ValueError(
            f"{name} must be one-dimensional, got an array of shape {ids.shape}; pass one id "
            "per row"
        )
    kind = ids.dtype.kind
    if kind == "O":
        try:
            has_null = any(map(is_null, dict.fromkeys(ids.tolist())))
        except TypeError as error:
            raise ValueError(
                f"{name} must be hashable, such as numbers or strings: {error}; "
                "turn them into strings"
            ) from error
        null = np.fromiter(map(is_null, ids), bool, len(ids)) if has_null else None
    else:
        null = ids != ids if kind in "fmM" else None
    if null is not None and null.any():
        raise ValueError(
            f"{name} must not be null, but {null.sum()} of {len(ids)} are, the first at row "
            f"{null.argmax()}; drop those rows first"
        )
    fits = kind in "iu" and np.can_cast(ids.dtype, np.int64)
    return ids.astype(np.int64, copy=False) if fits else ids


def _objects(values):
    return np.fromiter(values, dtype=object, count=len(values))


def as_values(values):
    """Finite numbers as float32, the precision of `X`."""
    values = np.asarray(values)
    numbers = values
    if values.dtype.kind == "O" and not any(isinstance(value, str) for value in values.flat):
        with suppress(TypeError, ValueError):
            numbers = values.astype(np.float64)
    if numbers.dtype.kind not in "biuf":
        example = repr(values.flat[0]) if values.size else "none"
        raise ValueError(
            f"values must be numbers, got dtype {values.dtype} (the first is {example}); convert "
            "them first"
        )
    with np.errstate(over="ignore"):
        numbers = numbers.astype(np.float32, copy=False)
    if not np.isfinite(numbers).all():
        bad = ~np.isfinite(numbers)
        raise ValueError(
            f"values must be finite in float32, but {bad.sum()} of {bad.size} are not, the first "
            f"at row {bad.argmax()}: {values.flat[bad.argmax()]}; drop or repair those rows first"
        )
    return numbers


def as_timestamps(timestamps):
    """Numbers, or datetimes as datetime64, in UTC where they have a time zone; without nulls."""
    timestamps = np.asarray(timestamps)
    if timestamps.dtype.kind == "O":
        timestamps = _unpacked(timestamps)
    if timestamps.dtype.kind not in "iufM":
        raise ValueError(
            f"timestamps must be numbers or datetimes, got dtype {timestamps.dtype}; parse them "
            "first"
        )
    null = timestamps != timestamps
    if null.any():
        raise ValueError(
            f"timestamps must not be null, but {null.sum()} of {null.size} are, the first at row "
            f"{null.argmax()}; drop or fill those rows first"
        )
    return timestamps


def _unpacked(timestamps):
    """Array of the type of the objects in an array, if these are numbers or datetimes."""
    known = [value for value in timestamps.flat if not is_null(value)]
    if all(isinstance(value, date | np.datetime64) for value in known):
        zoned = {getattr(value, "tzinfo", None) is not None for value in known}
        if len(zoned) > 1:
            raise ValueError(
                "timestamps must all have a time zone or none, got some of each; give all a zone"
            )
        found = [_as_datetime64(value) for value in timestamps.flat]
        return np.array(found, dtype="M8" if known else "M8[us]").reshape(timestamps.shape)
    if all(isinstance(value, Number) for value in known):
        numbers = [np.nan if is_null(value) else value for value in timestamps.flat]
        return np.array(numbers).reshape(timestamps.shape)
    return timestamps


def _as_datetime64(moment):
    if is_null(moment):
        return np.datetime64("NaT")
    if hasattr(moment, "to_datetime64"):  # pandas, which may count nanoseconds; in UTC
        return moment.to_datetime64()
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(moment)


def as_texts(reviews):
    texts = [
        "" if not isinstance(text, str) and is_null(text) else text
        for text in np.asarray(reviews, dtype=object)
    ]
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(
                f"reviews must be strings, got {text!r} of type {type(text).__name__} at row "
                f"{row}; convert them first"
            )
    return _objects(texts)


def encode(ids):
    """Position of each id among the distinct ids, and these in order.

    That is ascending; by the name of the type first where types have no common order; and as they
    come where ids of one type have none.
    """
    if ids.dtype == np.int64 and ids.size:
        low, high = ids.min(), ids.max()
        if int(high) - int(low) < 4 * len(ids):
            # Linear time, where sorting would be the larger part of reading a big file.
            ids = ids - low
            present = np.zeros(high - low + 1, dtype=bool)
            present[ids] = True
            return (np.cumsum(present) - 1)[ids], np.flatnonzero(present) + low
    if ids.dtype.kind != "O":
        distinct, codes = np.unique(ids, return_inverse=True)
        return codes, distinct
    ids = ids.tolist()
    distinct = _in_order(dict.fromkeys(ids))
    code = {value: position for position, value in enumerate(distinct)}
    return np.fromiter(map(code.get, ids), np.int64, len(ids)), _objects(distinct)


def _in_order(values):
    for key in (None, lambda value: (type(value).__name__, value)):
        with suppress(TypeError):
            return sorted(values, key=key)
    return list(values)


def positions(ids, vocabulary, name, whose):
    """Position of each id in a vocabulary in any order, -1 where it is not there; see `locate`."""
    ranks, ascending = encode(vocabulary)
    position = np.append(np.argsort(ranks), -1)
    return position[locate(ids, ascending, name, whose)]


def locate(ids, vocabulary, name="id", whose="the vocabulary"):
    """Position of each id in a vocabulary from `encode`, its length where it is not there.

    Ids of the same type as the vocabulary are found without making an object of each. If none is
    found and none can be, as among strings and numbers, that is an error, which calls the ids by
    `name` and the vocabulary by `whose`.
    """
    n_known = len(vocabulary)
    kind = ids.dtype.kind
    if kind in "mM" and kind == vocabulary.dtype.kind and ids.dtype != vocabulary.dtype:
        same = ids.astype(vocabulary.dtype)
        fits = same.astype(ids.dtype) == ids
        return np.where(fits, locate(same, vocabulary), n_known)
    if ids.dtype != vocabulary.dtype or kind == "O" or not n_known:
        position = {value: i for i, value in enumerate(vocabulary.tolist())}
        found = map(position.get, ids.tolist(), repeat(n_known))
        found = np.fromiter(found, np.int64, len(ids))
        if ids.size and (found == n_known).all():
            _refuse_other_kinds(ids, vocabulary, name, whose)
        return found
    low, high = vocabulary[0], vocabulary[-1]
    if ids.dtype == np.int64 and int(high) - int(low) < 4 * len(ids):
        position = np.full(high - low + 2, n_known)
        position[vocabulary - low] = np.arange(n_known)
        is_outside = (ids < low) | (ids > high)
        return position[np.where(is_outside, high - low + 1, ids - low)]
    found = np.searchsorted(vocabulary, ids)
    found[found == n_known] = 0
    return np.where(vocabulary[found] == ids, found, n_known)


def _refuse_other_kinds(ids, vocabulary, name, whose):
    types = _types(ids), _types(vocabulary)
    if {*map(_kind, types[0])} & {*map(_kind, types[1])}:
        return
    names = [sorted(id_type.__name__ for id_type in side) for side in types]
    raise ValueError(
        f"no {name} is in {whose}: they are of type {names[0]}, such as {ids[0]}, those of "
        f"{whose} of type {names[1]}; convert one of them"
    )


def _types(ids):
    # NumPy's list has numbers for dates in units that Python's dates lack.
    return {ids.dtype.type} if ids.dtype.kind in "mM" else set(map(type, ids.tolist()))


def _kind(id_type):
    """Class such that ids of another are never equal to those of this type."""
    kinds = (str, Number, np.datetime64)
    return next((kind for kind in kinds if issubclass(id_type, kind)), object)


def first_repeated(keys):
    """Row in which a key first stands again, and the number of such keys; None if all differ."""
    order = np.argsort(keys, kind="stable")
    is_again = np.flatnonzero(keys[order][1:] == keys[order][:-1]) + 1
    if not is_again.size:
        return None
    return order[is_again].min(), len(np.unique(keys[order][is_again]))


def merge_repeated(keys, values, timestamps, rule):
    """Sort rows by key, and make one row of those with the same key.

    Parameters
    ----------
    keys : ndarray of int of shape (n_rows,)
    values : ndarray of shape (n_rows,)
    timestamps : ndarray of shape (n_rows,) or None
    rule : {"error", "last", "sum", "mean", "max"}
        As of :meth:`skrec.Interactions.from_frame`; with "error", the keys differ.

    Returns
    -------
    keys, values, timestamps : ndarray of shape (n_distinct,)
    kept : ndarray of int of shape (n_distinct,)
        For each key the row that stands for it; with "sum" and "mean", any of its rows.
    """
    # Of the rows with the same key, the one to keep comes last.
    ranks = [] if timestamps is None or rule == "error" else [timestamps]
    ranks += [values] if rule == "max" else []
    order = np.lexsort([*ranks, keys]) if ranks else np.argsort(keys, kind="stable")
    is_last = np.ones(len(keys), dtype=bool)
    is_last[:-1] = keys[order][1:] != keys[order][:-1]
    kept = order[is_last]
    if rule in ("sum", "mean"):
        starts = np.flatnonzero(np.roll(is_last, 1))
        merged = np.add.reduceat(values[order], starts, dtype=np.float64)
        if rule == "mean":
            merged /= np.diff(starts, append=len(order))
    else:
        merged = values[kept]
    return keys[kept], merged, None if timestamps is None else timestamps[kept], kept
