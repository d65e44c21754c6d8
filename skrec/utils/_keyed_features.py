"""Features of users or items in a table that has their ids, for matrices of some of them."""

from typing import NamedTuple

import narwhals as nw
import numpy as np
from scipy import sparse

from skrec.utils._columns import check_distinct, encode, locate, positions
from skrec.utils._id_rules import read_ids
from skrec.utils._item_features import read_features
from skrec.utils._pair_tables import read_id_column


class KeyedFeatures(NamedTuple):
    """Features with the ids of those whose they are.

    Parameters
    ----------
    key : str
        Whose they are, "user" or "item".
    ids : ndarray of shape (n_ids,)
        Distinct.
    matrix : {csr_array, ndarray} of shape (n_ids, n_features)
        Finite, in float64.
    """

    key: str
    ids: np.ndarray
    matrix: object


def read_keyed_features(table, key):
    """Validate features that have ids.

    Parameters
    ----------
    table : dataframe or tuple of (collection, matrix)
        A frame with the column `key` of ids, a pandas frame that has the ids as its index, or the
        ids and what stands beside them.
    key : {"user", "item"}

    Returns
    -------
    features : KeyedFeatures
    """
    name = f"{key}_features"
    whose = f"{key} ids of {name}"
    frame = nw.from_native(table, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame) and key in frame.columns:
        ids = frame[key].to_numpy()
        table = frame.drop(key).to_native()
    elif isinstance(frame, nw.DataFrame):
        ids = _named_index(table)
        if ids is None:
            raise ValueError(
                f"{name} must have a column {key!r} of ids, or ids as the index of a pandas "
                f"frame, got the columns {frame.columns} alone: rename the column of ids, or "
                f"call the index by features.rename_axis({key!r}) if it is more than row numbers."
            )
    elif isinstance(table, tuple) and len(table) == 2:
        ids, table = read_ids(table[0], whose), table[1]
    else:
        shape = getattr(table, "shape", None)
        raise TypeError(
            f"{name} must say whose its rows are, got {type(table).__name__}"
            f"{'' if shape is None else f' of shape {shape}'}: give a data frame with a column "
            f"{key!r} of ids, a pandas frame with the ids as its index, or a tuple of the ids "
            "and the matrix."
        )
    ids = read_id_column(ids, whose)
    check_distinct(whose, ids)
    matrix = read_features(table, name, key)
    if matrix.shape[0] != len(ids):
        raise ValueError(
            f"{name} must have a row for each id, got {len(ids)} ids and {matrix.shape[0]} rows: "
            "give the ids in the order of the rows."
        )
    return KeyedFeatures(key, ids, matrix)


def without_keyed_frame(table, key):
    """Return a data frame of features as a tuple of ids and matrix, all else as it is.

    A fitted model is then read without the library of the frame.
    """
    if not isinstance(nw.from_native(table, eager_only=True, pass_through=True), nw.DataFrame):
        return table
    try:
        return read_keyed_features(table, key)[1:]
    except (TypeError, ValueError):  # set after the fit, and refused in the next one
        return table


def encode_all(ids, features):
    """Positions of ids among themselves and those of features, and all of these in order.

    Parameters
    ----------
    ids : ndarray of shape (n_rows,)
    features : KeyedFeatures or None

    Returns
    -------
    codes : ndarray of int of shape (n_rows,)
    all_ids : ndarray of shape (n_ids,)
        As of :func:`skrec.utils._columns.encode`.
    """
    codes, known = encode(ids)
    if features is None:
        return codes, known
    key, whose = features.key, f"{features.key}_features"
    if (
        locate(known, encode(features.ids)[1], f"{key} id of X", whose) == len(features.ids)
    ).all():
        raise ValueError(
            f"{whose} must be of {key}s that X has, but none of its {len(features.ids)} ids, such "
            f"as {features.ids.tolist()[0]!r}, is among the {len(known)} of X, such as "
            f"{known.tolist()[0]!r}: give the table that belongs to these ratings."
        )
    ranks, all_ids = encode(np.concatenate([known, features.ids]))
    return ranks[codes], all_ids


def aligned(features, ids):
    """Features in the order of ids: zeros where the table lacks one, and in a last row.

    Parameters
    ----------
    features : KeyedFeatures
    ids : ndarray of shape (n_ids,)

    Returns
    -------
    matrix : {csr_array, ndarray} of shape (n_ids + 1, n_features)
    """
    rows = np.append(positions(ids, features.ids, f"{features.key} id", "the features"), -1)
    nobody = np.zeros((1, features.matrix.shape[1]))
    if not sparse.issparse(features.matrix):
        return np.vstack([features.matrix, nobody])[rows]
    return sparse.vstack([features.matrix, sparse.csr_array(nobody)], format="csr")[rows]


def _named_index(frame):
    """The index of a pandas frame, None if it only numbers the rows."""
    index = getattr(frame, "index", None)
    if index is None:
        return None
    ids = np.asarray(index)
    only_numbers = np.array_equal(ids, np.arange(len(ids)))
    return None if only_numbers and index.name is None else ids
