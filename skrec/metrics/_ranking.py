"""Metrics of recommended lists: against held-out entries, and of the lists alone."""

from functools import partial

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.utils import check_array

from skrec.metrics._hits import (
    average,
    average_popularity_by_user,
    average_precision_by_user,
    diversity_by_user,
    find_hits,
    hit_rate_by_user,
    ndcg_by_user,
    novelty_by_user,
    popularity_of,
    precision_by_user,
    recall_by_user,
    reciprocal_rank_by_user,
)
from skrec.utils._sparse_structure import check_structure
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
    n_items : int or {array-like, sparse matrix} of shape (n_users, n_items)
        Size of the catalogue, or a matrix with a column for each of its items.
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
    n_items = _check_n_items(n_items)
    counts = _count_recommended(recommended, n_items, k)
    return len(counts) / n_items


def gini(recommended, n_items, k=None):
    """Gini index of how often the items are recommended.

    Parameters
    ----------
    recommended : array-like of int of shape (n_users, n_columns)
        Item indices, best first, padded with -1.
    n_items : int or {array-like, sparse matrix} of shape (n_users, n_items)
        Size of the catalogue, or a matrix with a column for each of its items.
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
    n_items = _check_n_items(n_items)
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
    popularity : {array-like, sparse matrix} of shape (n_training_users, n_items) or (n_items,)
        The matrix that the model was fitted on, in which the users of an item are counted: the
        share is ``(count + 1) / (n_training_users + 1)``, which is never 0. Or the shares, at
        most 1, and positive for every recommended item.
    k : int, default=None
        Cut-off. None means the whole lists.
    per_user : bool, default=False
        Whether to return one value per user, NaN where nothing is recommended.

    Returns
    -------
    novelty : float or ndarray of shape (n_users,)
        Not negative; larger for rarer items.

    See Also
    --------
    average_popularity : The mean share itself.

    References
    ----------
    .. [1] S. Vargas and P. Castells, "Rank and relevance in novelty and diversity metrics for
       recommender systems", RecSys 2011. :doi:`10.1145/2043932.2043955`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec.metrics import novelty
    >>> novelty([[0, 1], [1, 2]], popularity=[1.0, 0.5, 0.25])
    1.0
    >>> X = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0]])
    >>> novelty([[0], [1]], X)
    0.5
    """
    popularity = _check_popularity(popularity, smoothing=1)
    recommended, k = _check_recommended(recommended, len(popularity), k)
    per_user = check_flag(per_user, "per_user")
    values = novelty_by_user(recommended[:, :k], popularity)
    return values if per_user else average(values)


def average_popularity(recommended, popularity, k=None, *, per_user=False):
    """Mean share of the users that have a recommended item: the bias towards what is popular.

    Compare it with that of what the users have themselves.

    Parameters
    ----------
    recommended : array-like of int of shape (n_users, n_columns)
        Item indices, best first, padded with -1 (left out of the mean).
    popularity : {array-like, sparse matrix} of shape (n_training_users, n_items) or (n_items,)
        The matrix that the model was fitted on, in which the users of an item are counted, or
        the shares, at most 1.
    k : int, default=None
        Cut-off. None means the whole lists.
    per_user : bool, default=False
        Whether to return one value per user, NaN where nothing is recommended.

    Returns
    -------
    average_popularity : float or ndarray of shape (n_users,)
        Between 0 and 1.

    See Also
    --------
    novelty : The mean of minus its logarithm, to which rare items matter more.

    References
    ----------
    .. [1] H. Abdollahpouri et al., "Managing popularity bias in recommender systems with
       personalized re-ranking", FLAIRS 2019. :arxiv:`1901.07555`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec.metrics import average_popularity
    >>> X = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [1, 1, 1, 0], [1, 0, 0, 0]])
    >>> average_popularity([[2, 0], [1, 3]], X)
    0.5625
    """
    popularity = _check_popularity(popularity)
    recommended, k = _check_recommended(recommended, len(popularity), k)
    per_user = check_flag(per_user, "per_user")
    values = average_popularity_by_user(recommended[:, :k], popularity)
    return values if per_user else average(values)


def diversity(recommended, X=None, k=None, *, features=None, per_user=False):
    """Mean unlikeness of two items in a list (intra-list diversity).

    Two items are as unlike as 1 minus the cosine of what is known of them: their users, that is
    their columns of `X`, or their `features`.

    Parameters
    ----------
    recommended : array-like of int of shape (n_users, n_columns)
        Item indices, padded with -1 (left out of the mean).
    X : {array-like, sparse matrix} of shape (n_training_users, n_items), default=None
        The matrix that the model was fitted on.
    k : int, default=None
        Cut-off. None means the whole lists.
    features : {array-like, sparse matrix} of shape (n_items, n_features), default=None
        Features of the items in place of `X`: genres as 0 and 1, the tf-idf of their texts, or
        the factors of a model.
    per_user : bool, default=False
        Whether to return one value per user, NaN for lists of fewer than two items.

    Returns
    -------
    diversity : float or ndarray of shape (n_users,)
        0 for a list of equal items, 1 for one of items that have nothing in common; more only if
        features are negative.

    References
    ----------
    .. [1] C.-N. Ziegler et al., "Improving recommendation lists through topic diversification",
       WWW 2005. :doi:`10.1145/1060745.1060754`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec.metrics import diversity
    >>> genres = np.array([[1, 0], [1, 0], [0, 1]])
    >>> diversity([[0, 1], [0, 2]], features=genres, per_user=True)
    array([0., 1.])
    >>> X = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    >>> round(diversity([[0, 1], [0, 2]], X), 3)
    0.5
    """
    if (X is None) == (features is None):
        raise ValueError(
            "diversity needs either X, the users x items matrix of the training, or features=, a "
            f"row of numbers for each item, got {'neither' if X is None else 'both'}."
        )
    features = check_interactions(X).T.tocsr() if features is None else _check_features(features)
    recommended, k = _check_recommended(recommended, features.shape[0], k)
    if k < 2:
        raise ValueError(f"diversity is that of two items of a list: k must be >= 2, got {k}.")
    per_user = check_flag(per_user, "per_user")
    values = diversity_by_user(recommended[:, :k], features)
    return values if per_user else average(values)


def _check_popularity(popularity, smoothing=0):
    """Shares of users, counted if a matrix is given."""
    if len(np.shape(popularity)) == 2:
        return popularity_of(check_interactions(popularity, name="popularity"), smoothing)
    shares = np.asarray(popularity)
    is_right = shares.ndim == 1 and shares.dtype.kind in "biuf"
    if not is_right or not ((shares >= 0) & (shares <= 1)).all():
        what = f"shape {shares.shape} and dtype {shares.dtype}"
        if is_right:
            what = f"values from {shares.min()} to {shares.max()}"
        raise ValueError(
            "popularity must be the users x items matrix of the training, or for each item the "
            f"share of users in [0, 1] that have it, got {what}: divide counts by the number of "
            "users."
        )
    return shares.astype(float)


def _check_features(features):
    checked = features if issparse(features) else np.asarray(features)
    if checked.ndim != 2 or checked.dtype.kind not in "biuf":
        raise ValueError(
            "features must be a matrix with a row of numbers for each item, such as genres as 0 "
            f"and 1, got shape {checked.shape} and dtype {checked.dtype}: names are turned into "
            "numbers by sklearn.preprocessing.OneHotEncoder or a text vectorizer."
        )
    if issparse(checked):
        check_structure(checked, "features")
    checked = check_array(checked, accept_sparse="csr", dtype=float, input_name="features")
    return csr_array(checked) if issparse(checked) else checked


def _check_recommended(recommended, n_items, k):
    recommended = np.asarray(recommended)
    if recommended.ndim != 2 or recommended.dtype.kind not in "iu":
        kind = recommended.dtype.kind
        hint = {
            "f": " Of scores, as predict returns them, model.recommend(X, k) takes the best.",
            "O": " Ids are turned into indices by Interactions.columns(ids).",
            "U": " Ids are turned into indices by Interactions.columns(ids).",
        }.get(kind, " The list of one user has two dimensions too: [[3, 1, 2]].")
        raise ValueError(
            "recommended must be a 2-D array of item indices, as recommend() returns it, got "
            f"shape {recommended.shape} and dtype {recommended.dtype}.{hint}"
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


def _check_n_items(n_items):
    shape = np.shape(n_items)
    return shape[1] if len(shape) == 2 else check_k(n_items, "n_items")


def _count_recommended(recommended, n_items, k):
    """How often each item is recommended, without those that never are."""
    recommended, k = _check_recommended(recommended, n_items, k)
    listed = recommended[:, :k]
    listed = listed[listed >= 0]
    if not listed.size:
        raise ValueError("recommended lists no item at all: every entry is -1.")
    counts = np.bincount(listed)
    return counts[counts > 0]
