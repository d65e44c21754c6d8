"""Metrics of recommended lists alone: how varied they are, how rare and how popular."""

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.utils import check_array

from skrec.metrics._hits import average
from skrec.utils._sparse_structure import check_structure
from skrec.utils._validation import check_flag, check_interactions, check_k

# Users of a block: their lists' sums of features, dense or not, stay small.
_N_ROWS = 512


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
    recommended, k = check_recommended(recommended, len(popularity), k)
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
    recommended, k = check_recommended(recommended, len(popularity), k)
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
    recommended, k = check_recommended(recommended, features.shape[0], k)
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


def check_recommended(recommended, n_items, k):
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


def _check_n_items(n_items):
    shape = np.shape(n_items)
    return shape[1] if len(shape) == 2 else check_k(n_items, "n_items")


def _count_recommended(recommended, n_items, k):
    """How often each item is recommended, without those that never are."""
    recommended, k = check_recommended(recommended, n_items, k)
    listed = recommended[:, :k]
    listed = listed[listed >= 0]
    if not listed.size:
        raise ValueError("recommended lists no item at all: every entry is -1.")
    counts = np.bincount(listed)
    return counts[counts > 0]


def novelty_by_user(recommended, popularity):
    listed = recommended >= 0
    popularity = np.where(listed, popularity[recommended], 1.0)
    unseen = np.argwhere(popularity <= 0)
    if unseen.size:
        raise ValueError(
            f"popularity of a recommended item must be positive, but item "
            f"{recommended[tuple(unseen[0])]} has 0 and so infinite novelty: smooth it, for "
            "example (counts + 1) / (n_users + 1)."
        )
    lengths = listed.sum(axis=1)
    information = -np.log2(popularity).sum(axis=1)
    return np.where(lengths > 0, information / np.maximum(lengths, 1), np.nan)


def average_popularity_by_user(recommended, popularity):
    listed = recommended >= 0
    lengths = listed.sum(axis=1)
    total = np.where(listed, popularity[recommended], 0.0).sum(axis=1)
    return np.where(lengths > 0, total / np.maximum(lengths, 1), np.nan)


def popularity_of(X, smoothing=0):
    """Share of the users of a csr_array that have each item; smoothed, it is never 0."""
    counts = np.bincount(X.indices, minlength=X.shape[1])
    return (counts + smoothing) / (X.shape[0] + smoothing)


def diversity_by_user(recommended, features):
    """One minus the mean cosine of two items of a list; NaN for lists of fewer than two.

    Parameters
    ----------
    recommended : ndarray of int of shape (n_users, k)
    features : csr_array or ndarray of shape (n_items, n_features)
        An item without any is unlike all others.
    """
    unit, has_any = unit_rows(features)
    sums = np.empty(len(recommended))
    for start in range(0, len(recommended), _N_ROWS):
        block = recommended[start : start + _N_ROWS]
        listed = block >= 0
        indptr = np.append(0, np.cumsum(listed.sum(axis=1)))
        total = csr_array(
            (np.ones(indptr[-1]), block[listed], indptr), shape=(len(block), len(has_any))
        )
        total = total @ unit
        squares = total.multiply(total) if issparse(total) else np.square(total)
        sums[start : start + len(block)] = squares.sum(axis=1)
    # The square of the sum has the cosine of each pair twice, and of each item with itself once.
    listed = recommended >= 0
    own = np.where(listed, has_any[recommended], False).sum(axis=1)
    n_pairs = listed.sum(axis=1) * (listed.sum(axis=1) - 1)
    return np.where(n_pairs > 0, 1 - (sums - own) / np.maximum(n_pairs, 1), np.nan)


def unit_rows(features):
    """Scale rows to length 1, so that their products are cosines.

    Parameters
    ----------
    features : {csr_array, ndarray} of shape (n_items, n_features)

    Returns
    -------
    unit : {csr_array, ndarray} of shape (n_items, n_features)
    has_any : ndarray of bool of shape (n_items,)
        Whether a row has a length; others stay 0.
    """
    squares = features.multiply(features) if issparse(features) else np.square(features)
    lengths = np.sqrt(np.asarray(squares.sum(axis=1), dtype=float))
    scale = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    # Sparse or dense: the rows are multiplied by the scale.
    return csr_array((scale, (np.arange(len(scale)),) * 2)) @ features, lengths > 0
