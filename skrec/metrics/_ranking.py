"""Metrics of recommended lists against held-out entries."""

from functools import partial

import numpy as np

from skrec.metrics._hits import (
    average,
    average_precision_by_user,
    find_hits,
    hit_rate_by_user,
    ndcg_by_user,
    precision_by_user,
    recall_by_user,
    reciprocal_rank_by_user,
)
from skrec.metrics._lists import check_recommended
from skrec.utils._validation import (
    check_finite_number,
    check_flag,
    check_interactions,
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


def _measure(by_user, recommended, held_out, k, relevance, rated_only, per_user):
    held_out = check_interactions(held_out, name="held_out")
    recommended, k = check_recommended(recommended, held_out.shape[1], k)
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
