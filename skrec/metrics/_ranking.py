"""Metrics of recommended lists: against held-out entries, and of the lists alone."""

from functools import partial

import numpy as np

from skrec.metrics._hits import (
    average,
    average_precision_by_user,
    find_hits,
    hit_rate_by_user,
    ndcg_by_user,
    novelty_by_user,
    precision_by_user,
    recall_by_user,
    reciprocal_rank_by_user,
)
from skrec.utils._validation import (
    check_finite_number,
    check_flag,
    check_interactions,
    check_k,
)


def ndcg(recommended, held_out, k=None, *, relevance=None, rated_only=False, per_user=False):
    """Normalised discounted cumulative gain of recommended lists.

    A hit at rank `r` gains ``1 / log2(r + 1)``; the sum is divided by that of an ideal list, which
    starts with ``min(k, n_relevant)`` hits.

    Parameters
    ----------
    recommended : array-like of int of shape (n_users, n_columns)
        Item indices, best first, padded with -1 (a miss).
    held_out : {array-like, sparse matrix} of shape (n_users, n_items)
        Held-out entries of the same users.
    k : int, default=None
        Cut-off. None means the whole lists.
    relevance : float, default=None
        Smallest value of a relevant entry. None means that every stored entry is relevant.
    rated_only : bool, default=False
        Whether `recommended` orders each user's held-out items and nothing else. The ideal
        list is then made of all of them, relevant or not, and the hits are the relevant ones.
        Users with fewer than two held-out entries then count in no average.
    per_user : bool, default=False
        Whether to return one value per user, NaN where the user counts in no average.

    Returns
    -------
    ndcg : float or ndarray of shape (n_users,)
        Between 0 and 1. The mean over the users with a relevant held-out entry.

    References
    ----------
    .. [1] D. Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018.
       :arxiv:`1802.05814`
    .. [2] Y. Jin et al., "Leveraging Cross Feedback of User and Item Embeddings with Attention
       for Variational Autoencoder based Collaborative Filtering" (`rated_only`).

    Examples
    --------
    >>> import numpy as np
    >>> from skrec.metrics import ndcg
    >>> held_out = np.array([[1, 0, 0, 1], [0, 1, 0, 0]])
    >>> round(ndcg([[0, 1, 3], [2, 0, 1]], held_out), 3)
    0.71
    """
    return _measure(ndcg_by_user, recommended, held_out, k, relevance, rated_only, per_user)


def recall(
    recommended,
    held_out,
    k=None,
    *,
    relevance=None,
    rated_only=False,
    truncated=True,
    per_user=False,
):
    """Share of the relevant held-out items that are recommended.

    By default the denominator is ``min(k, n_relevant)``, the convention of the field, so that a
    perfect list has recall 1 at every cut-off.

    Parameters
    ----------
    recommended : array-like of int of shape (n_users, n_columns)
        Item indices, best first, padded with -1 (a miss).
    held_out : {array-like, sparse matrix} of shape (n_users, n_items)
        Held-out entries of the same users.
    k : int, default=None
        Cut-off. None means the whole lists.
    relevance : float, default=None
        Smallest value of a relevant entry. None means that every stored entry is relevant.
    rated_only : bool, default=False
        Whether `recommended` orders each user's held-out items and nothing else. The
        denominator then counts all of them, relevant or not.
        Users with fewer than two held-out entries then count in no average.
    truncated : bool, default=True
        Whether the denominator is at most `k`. False gives the plain recall, which is lower.
    per_user : bool, default=False
        Whether to return one value per user, NaN where the user counts in no average.

    Returns
    -------
    recall : float or ndarray of shape (n_users,)
        Between 0 and 1. The mean over the users with a relevant held-out entry.

    Examples
    --------
    >>> import numpy as np
    >>> from skrec.metrics import recall
    >>> held_out = np.array([[1, 0, 0, 1], [0, 1, 0, 0]])
    >>> recall([[0, 1, 3], [2, 0, 1]], held_out, k=2)
    0.25
    """
    return _measure(
        partial(recall_by_user, truncated=check_flag(truncated, "truncated")),
        recommended,
        held_out,
        k,
        relevance,
        rated_only,
        per_user,
    )


def precision(recommended, held_out, k=None, *, relevance=None, rated_only=False, per_user=False):
    """Share of the first `k` recommended items that are relevant.

    The denominator is `k`, also where a list is shorter.

    Parameters
    ----------
    recommended : array-like of int of shape (n_users, n_columns)
        Item indices, best first, padded with -1 (a miss).
    held_out : {array-like, sparse matrix} of shape (n_users, n_items)
        Held-out entries of the same users.
    k : int, default=None
        Cut-off. None means the whole lists.
    relevance : float, default=None
        Smallest value of a relevant entry. None means that every stored entry is relevant.
    rated_only : bool, default=False
        Whether `recommended` orders each user's held-out items and nothing else. The
        definition is the same.
        Users with fewer than two held-out entries then count in no average.
    per_user : bool, default=False
        Whether to return one value per user, NaN where the user counts in no average.

    Returns
    -------
    precision : float or ndarray of shape (n_users,)
        Between 0 and 1. The mean over the users with a relevant held-out entry.

    Examples
    --------
    >>> import numpy as np
    >>> from skrec.metrics import precision
    >>> held_out = np.array([[1, 0, 0, 1], [0, 1, 0, 0]])
    >>> precision([[0, 1, 3], [2, 0, 1]], held_out, k=2)
    0.25
    """
    return _measure(precision_by_user, recommended, held_out, k, relevance, rated_only, per_user)


def average_precision(
    recommended, held_out, k=None, *, relevance=None, rated_only=False, per_user=False
):
    """Average precision of recommended lists (their mean is MAP).

    The mean, over ``min(k, n_relevant)`` relevant items, of the precision at each hit's rank.

    Parameters
    ----------
    recommended : array-like of int of shape (n_users, n_columns)
        Item indices, best first, padded with -1 (a miss).
    held_out : {array-like, sparse matrix} of shape (n_users, n_items)
        Held-out entries of the same users.
    k : int, default=None
        Cut-off. None means the whole lists.
    relevance : float, default=None
        Smallest value of a relevant entry. None means that every stored entry is relevant.
    rated_only : bool, default=False
        Whether `recommended` orders each user's held-out items and nothing else. The
        denominator then counts all of them, relevant or not.
        Users with fewer than two held-out entries then count in no average.
    per_user : bool, default=False
        Whether to return one value per user, NaN where the user counts in no average.

    Returns
    -------
    average_precision : float or ndarray of shape (n_users,)
        Between 0 and 1. The mean over the users with a relevant held-out entry.

    Examples
    --------
    >>> import numpy as np
    >>> from skrec.metrics import average_precision
    >>> held_out = np.array([[1, 0, 0, 1], [0, 1, 0, 0]])
    >>> round(average_precision([[0, 1, 3], [2, 0, 1]], held_out), 3)
    0.583
    """
    return _measure(
        average_precision_by_user, recommended, held_out, k, relevance, rated_only, per_user
    )


def reciprocal_rank(
    recommended, held_out, k=None, *, relevance=None, rated_only=False, per_user=False
):
    """Reciprocal rank of the first hit (its mean is MRR).

    0 where the first `k` items have no hit.

    Parameters
    ----------
    recommended : array-like of int of shape (n_users, n_columns)
        Item indices, best first, padded with -1 (a miss).
    held_out : {array-like, sparse matrix} of shape (n_users, n_items)
        Held-out entries of the same users.
    k : int, default=None
        Cut-off. None means the whole lists.
    relevance : float, default=None
        Smallest value of a relevant entry. None means that every stored entry is relevant.
    rated_only : bool, default=False
        Whether `recommended` orders each user's held-out items and nothing else. The
        definition is the same.
        Users with fewer than two held-out entries then count in no average.
    per_user : bool, default=False
        Whether to return one value per user, NaN where the user counts in no average.

    Returns
    -------
    reciprocal_rank : float or ndarray of shape (n_users,)
        Between 0 and 1. The mean over the users with a relevant held-out entry.

    Examples
    --------
    >>> import numpy as np
    >>> from skrec.metrics import reciprocal_rank
    >>> held_out = np.array([[1, 0, 0, 1], [0, 1, 0, 0]])
    >>> round(reciprocal_rank([[0, 1, 3], [2, 0, 1]], held_out), 3)
    0.667
    """
    return _measure(
        reciprocal_rank_by_user, recommended, held_out, k, relevance, rated_only, per_user
    )


def hit_rate(recommended, held_out, k=None, *, relevance=None, rated_only=False, per_user=False):
    """Share of users with at least one hit among their first `k` items.

    It is also known as one-call.

    Parameters
    ----------
    recommended : array-like of int of shape (n_users, n_columns)
        Item indices, best first, padded with -1 (a miss).
    held_out : {array-like, sparse matrix} of shape (n_users, n_items)
        Held-out entries of the same users.
    k : int, default=None
        Cut-off. None means the whole lists.
    relevance : float, default=None
        Smallest value of a relevant entry. None means that every stored entry is relevant.
    rated_only : bool, default=False
        Whether `recommended` orders each user's held-out items and nothing else. The
        definition is the same.
        Users with fewer than two held-out entries then count in no average.
    per_user : bool, default=False
        Whether to return one value per user, NaN where the user counts in no average.

    Returns
    -------
    hit_rate : float or ndarray of shape (n_users,)
        Between 0 and 1. The mean over the users with a relevant held-out entry.

    Examples
    --------
    >>> import numpy as np
    >>> from skrec.metrics import hit_rate
    >>> held_out = np.array([[1, 0, 0, 1], [0, 1, 0, 0]])
    >>> hit_rate([[0, 1, 3], [2, 0, 1]], held_out, k=2)
    0.5
    """
    return _measure(hit_rate_by_user, recommended, held_out, k, relevance, rated_only, per_user)


def coverage(recommended, n_items, k=None):
    """Share of the catalogue that is recommended to anybody.

    Parameters
    ----------
    recommended : array-like of int of shape (n_users, n_columns)
        Item indices, best first, padded with -1.
    n_items : int
        Size of the catalogue.
    k : int, default=None
        Cut-off. None means the whole lists.

    Returns
    -------
    coverage : float
        Between 0 and 1.

    Examples
    --------
    >>> from skrec.metrics import coverage
    >>> coverage([[0, 1], [0, 2]], n_items=4)
    0.75
    """
    counts = _count_recommended(recommended, n_items, k)
    return len(counts) / n_items


def gini(recommended, n_items, k=None):
    """Gini index of how often the items are recommended.

    Parameters
    ----------
    recommended : array-like of int of shape (n_users, n_columns)
        Item indices, best first, padded with -1.
    n_items : int
        Size of the catalogue.
    k : int, default=None
        Cut-off. None means the whole lists.

    Returns
    -------
    gini : float
        0 if all items are recommended equally often, ``1 - 1 / n_items`` if only one ever is.

    Examples
    --------
    >>> from skrec.metrics import gini
    >>> gini([[0, 1], [2, 3]], n_items=4)
    0.0
    >>> gini([[0], [0]], n_items=4)
    0.75
    """
    counts = np.sort(_count_recommended(recommended, n_items, k))
    weights = n_items + 1 - 2 * np.arange(len(counts), 0, -1.0)
    return float(weights @ counts / n_items / counts.sum())


def novelty(recommended, popularity, k=None, *, per_user=False):
    """Mean self-information of the recommended items, in bits.

    An item that a share `p` of the users has carries ``-log2(p)`` bits.

    Parameters
    ----------
    recommended : array-like of int of shape (n_users, n_columns)
        Item indices, best first, padded with -1 (left out of the mean).
    popularity : array-like of shape (n_items,)
        Share of users that have the item, at most 1. It must be positive for every recommended
        item; ``(counts + 1) / (n_users + 1)`` is.
    k : int, default=None
        Cut-off. None means the whole lists.
    per_user : bool, default=False
        Whether to return one value per user, NaN where nothing is recommended.

    Returns
    -------
    novelty : float or ndarray of shape (n_users,)
        Not negative; larger for rarer items.

    References
    ----------
    .. [1] S. Vargas and P. Castells, "Rank and relevance in novelty and diversity metrics for
       recommender systems", RecSys 2011. :doi:`10.1145/2043932.2043955`

    Examples
    --------
    >>> from skrec.metrics import novelty
    >>> novelty([[0, 1], [1, 2]], popularity=[1.0, 0.5, 0.25])
    1.0
    """
    popularity = np.asarray(popularity, dtype=float)
    if popularity.ndim != 1 or not (popularity <= 1).all() or (popularity < 0).any():
        raise ValueError(
            "popularity must be a 1-D array of shares of users in [0, 1], one per item, got shape "
            f"{popularity.shape} with maximum {popularity.max(initial=-np.inf)}: divide counts by "
            "the number of users."
        )
    recommended, k = _check_recommended(recommended, len(popularity), k)
    per_user = check_flag(per_user, "per_user")
    values = novelty_by_user(recommended[:, :k], popularity)
    return values if per_user else average(values)


def _check_recommended(recommended, n_items, k):
    recommended = np.asarray(recommended)
    if recommended.ndim != 2 or recommended.dtype.kind not in "iu":
        raise ValueError(
            "recommended must be a 2-D array of item indices, as recommend() returns it, got "
            f"shape {recommended.shape} and dtype {recommended.dtype}."
        )
    if recommended.size and (recommended.max() >= n_items or recommended.min() < -1):
        outside = recommended[(recommended >= n_items) | (recommended < -1)][0]
        raise ValueError(
            f"recommended must hold item indices in [0, {n_items - 1}], or -1 for padding, got "
            f"{outside}: were the lists made with another item vocabulary?"
        )
    n_columns = recommended.shape[1]
    k = check_k(n_columns if k is None else k)
    if n_columns < min(k, n_items):
        raise ValueError(
            f"k={k} needs lists of {min(k, n_items)} items, but recommended has {n_columns} "
            "columns: recommend longer lists, or lower k."
        )
    return recommended.astype(np.intp, copy=False), k


def _measure(by_user, recommended, held_out, k, relevance, rated_only, per_user):
    held_out = check_interactions(held_out, name="held_out")
    recommended, k = _check_recommended(recommended, held_out.shape[1], k)
    if len(recommended) != held_out.shape[0]:
        raise ValueError(
            f"recommended and held_out must have one row per user each, got {len(recommended)} "
            f"and {held_out.shape[0]} rows."
        )
    if relevance is not None:
        meaning = "the smallest value of a relevant entry, or None"
        relevance = check_finite_number(relevance, "relevance", meaning)
    per_user = check_flag(per_user, "per_user")
    if check_flag(rated_only, "rated_only") and relevance is None:
        raise ValueError(
            "rated_only=True with relevance=None counts every held-out entry as a hit, so the "
            "order does not matter: give the smallest relevant value, for example relevance=4."
        )
    hits = find_hits(recommended, held_out, relevance, rated_only)
    values = np.where(hits.counts, by_user(hits, k), np.nan)
    return values if per_user else average(values)


def _count_recommended(recommended, n_items, k):
    """How often each item is recommended, without those that never are."""
    recommended, k = _check_recommended(recommended, check_k(n_items, "n_items"), k)
    listed = recommended[:, :k]
    listed = listed[listed >= 0]
    if not listed.size:
        raise ValueError("recommended lists no item at all: every entry is -1.")
    counts = np.bincount(listed)
    return counts[counts > 0]
