"""Answers by ids, as data frames with one row for each item of a list."""

import numpy as np

from skrec.utils._frames import make_frame


def recommendations_frame(user_ids, item_ids, item_names, indices, scores, backend):
    """Make a data frame of recommendations.

    Parameters
    ----------
    user_ids : ndarray of shape (n_users,)
    item_ids : ndarray of shape (n_items,)
    item_names : ndarray of shape (n_items,) or None
    indices : ndarray of intp of shape (n_users, k)
        Items, best first; -1 is left out.
    scores : ndarray of shape (n_users, k)
    backend : str or None
        Library of the frame.

    Returns
    -------
    frame : dataframe
        Columns user, item, rank (from 1), score; title if there are names.
    """
    return make_frame(
        {"user": user_ids[np.nonzero(indices >= 0)[0]]}
        | _columns_of_items("item", item_ids, item_names, indices, scores),
        backend,
    )


def neighbors_frame(items, item_ids, item_names, indices, scores, backend):
    """Make a data frame of similar items.

    Parameters
    ----------
    items : ndarray of intp of shape (n_asked,)
    item_ids : ndarray of shape (n_items,)
    item_names : ndarray of shape (n_items,) or None
    indices : ndarray of intp of shape (n_asked, k)
    scores : ndarray of shape (n_asked, k)
    backend : str or None

    Returns
    -------
    frame : dataframe
        Columns item, neighbor, rank (from 1), score; title, of the neighbor, if there are names.
    """
    return make_frame(
        {"item": item_ids[items[np.nonzero(indices >= 0)[0]]]}
        | _columns_of_items("neighbor", item_ids, item_names, indices, scores),
        backend,
    )


def _columns_of_items(name, item_ids, item_names, indices, scores):
    listed = indices >= 0
    found = indices[listed]
    columns = {
        name: item_ids[found],
        "rank": np.nonzero(listed)[1] + 1,
        "score": scores[listed],
    }
    if item_names is not None:
        columns["title"] = item_names[found]
    return columns


def largest_shares(items, contributions, n_reasons):
    """Find the items of a history that speak most for another.

    Parameters
    ----------
    items : ndarray of int of shape (n_history,)
    contributions : ndarray of shape (n_history,)
        What each adds to the other's score.
    n_reasons : int

    Returns
    -------
    items : ndarray of int
        At most `n_reasons`, the one with the largest share first.
    shares : ndarray of float
        Of all that speaks for the other item; what speaks against it counts as nothing.
    """
    speaking_for = np.maximum(contributions, 0)
    best = np.argsort(-speaking_for, kind="stable")[:n_reasons]
    best = best[speaking_for[best] > 0]
    return items[best], speaking_for[best] / speaking_for.sum()
