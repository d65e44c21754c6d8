"""Candidates and forbidden items by ids, for everybody or for each user."""

from collections.abc import Mapping

import narwhals as nw
import numpy as np
from scipy.sparse import csr_array, issparse

from skrec.utils._columns import as_ids, positions


def read_ids(ids, name):
    """Ids of any collection, or the id of one, as an array.

    Parameters
    ----------
    ids : collection, or str or number
    name : str
        What messages call them.

    Returns
    -------
    ids : ndarray of shape (n_ids,)
    """
    if issparse(ids) or np.dtype(bool) == getattr(ids, "dtype", None):
        raise TypeError(
            f"{name} must be ids, got a mask or a matrix ({type(ids).__name__}): the model's own "
            "method takes those."
        )
    if isinstance(ids, str | bytes) or (np.ndim(ids) == 0 and not hasattr(ids, "__iter__")):
        ids = [ids]
    elif not hasattr(ids, "__array__"):
        ids = list(ids)
        if any(isinstance(value, tuple) for value in ids):  # which NumPy would take for rows
            ids = np.fromiter(ids, object, len(ids))
    return as_ids(ids, name)


def find(ids, vocabulary, name, whose):
    """Position of each of some ids in a vocabulary, or an error that names the first without.

    Parameters
    ----------
    ids : collection
    vocabulary : ndarray of shape (n_known,)
    name, whose : str
        What messages call the ids and the vocabulary.

    Returns
    -------
    positions : ndarray of intp of shape (n_ids,)
    """
    ids = read_ids(ids, name)
    if not len(ids):
        return np.empty(0, dtype=np.intp)
    found = positions(ids, vocabulary, f"id of {name}", whose)
    unknown = found < 0
    if unknown.any():
        raise ValueError(
            f"{name} must be ids that {whose} has, but {unknown.sum()} of {len(ids)} are not "
            f"there, the first {ids[unknown].tolist()[0]!r}: leave them out."
        )
    return found.astype(np.intp)


def as_lists(rule, name):
    """Items given for each user, as a dict of collections; None if they are for everybody.

    Parameters
    ----------
    rule : mapping, dataframe or collection
        A mapping from user ids to collections of item ids, or a table with the columns user and
        item, such as ``skrec.recommend`` returns. Anything else is for everybody.
    name : str
        What messages call it.

    Returns
    -------
    lists : dict or None
    """
    if isinstance(rule, Mapping):
        return dict(rule)
    table = nw.from_native(rule, eager_only=True, pass_through=True)
    if not isinstance(table, nw.DataFrame):
        return None
    if not {"user", "item"} <= set(table.columns):
        raise ValueError(
            f"{name} must have the columns user and item where it is a table, as those that "
            f"skrec.recommend returns, got {table.columns}: rename them."
        )
    lists = {}
    users, items = (
        as_ids(table[key].to_numpy(), f"{key} ids of {name}").tolist() for key in ("user", "item")
    )
    for user, item in zip(users, items, strict=True):
        lists.setdefault(user, []).append(item)
    return lists


def join_lists(lists, item_ids, name, whose):
    """Columns of the items of each user, one after the other.

    Parameters
    ----------
    lists : iterable of collections of item ids
    item_ids : ndarray of shape (n_items,)
    name, whose : str

    Returns
    -------
    columns : ndarray of intp of shape (n_pairs,)
    lengths : ndarray of int of shape (n_lists,)
    """
    read = [read_ids(items, name) for items in lists]
    lengths = np.array([len(items) for items in read], dtype=np.intp)
    read = [items for items in read if len(items)]
    columns = find(np.concatenate(read), item_ids, name, whose) if read else np.empty(0, np.intp)
    return columns, lengths


def read_rule(rule, name, asked, user_ids, item_ids, whose):
    """Read candidates or forbidden items given by ids.

    Parameters
    ----------
    rule : collection, mapping, dataframe or None
        Ids for everybody, or for each user, as `as_lists` reads them.
    name : {"items", "exclude"}
        Of the first, every user who is asked about needs a list, and one that is for everybody
        must have something in it.
    asked : ndarray of shape (n_asked,)
        Ids of the users who are asked about.
    user_ids : ndarray of shape (n_users,)
        Ids of all who may have a list.
    item_ids : ndarray of shape (n_items,)
    whose : str
        What messages call the data that has these ids.

    Returns
    -------
    rule : ndarray of bool of shape (n_items,), csr_array of shape (n_asked, n_items) or None
    """
    if rule is None:
        return None
    lists = as_lists(rule, name)
    if lists is None:
        mask = np.zeros(len(item_ids), dtype=bool)
        mask[find(rule, item_ids, name, whose)] = True
        if name == "items" and not mask.any():
            raise ValueError(
                "items must hold the id of one item at least: they are the candidates. For all "
                "items, leave it out."
            )
        return mask
    users = find(lists.keys(), user_ids, f"users of {name}", whose)
    columns, lengths = join_lists(lists.values(), item_ids, name, whose)
    place = np.full(len(user_ids), len(lists))
    place[users] = np.arange(len(lists))
    place = place[find(asked, user_ids, "users", whose)]
    if name == "items" and (place == len(lists)).any():
        user = asked[place == len(lists)].tolist()[0]
        raise ValueError(
            f"items must have a list for every user who is asked about, and has none for "
            f"{user!r}: add one, which may be empty, or ask about users=items.keys() alone."
        )
    indptr = np.concatenate([[0], np.cumsum(lengths), [len(columns)]])  # a last, empty row
    matrix = csr_array(
        (np.ones(len(columns)), columns, indptr), shape=(len(lists) + 1, len(item_ids))
    )
    matrix.sum_duplicates()
    return matrix[place]
