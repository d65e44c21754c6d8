"""Splits of each user's entries, and of all entries."""

from fractions import Fraction
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state

from skrec.utils._compat import Interval, validate_params
from skrec.utils._validation import check_interactions, check_share


@validate_params(
    {
        "fold_in": [Interval(Real, 0, 1, closed="neither")],
        "min_items": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def fold_in_split(X, fold_in=0.8, *, min_items=2, random_state=None):
    """Hide part of each user's entries.

    Of a user with `n` entries, ``(1 - fold_in) * n`` are held out, rounded down, but at least one.
    A share so small that of all entries together it rounds to none is an error.

    Parameters
    ----------
    X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
        Stored entries (dense input: the non-zeros) are the observations.
    fold_in : float, default=0.8
        Share of the entries that stay visible.
    min_items : int, default=2
        Users with fewer entries keep them all.
    random_state : int, RandomState instance or None, default=None
        Controls which entries are held out. Pass an int for the same split at every call.

    Returns
    -------
    fold_in : csr_array of shape (n_users, n_items)
        The visible entries, float32 if `X` is, otherwise float64.
    held_out : csr_array of shape (n_users, n_items)
        The others.

    See Also
    --------
    StrongGeneralizationSplit : Split users, then the entries of those held out.
    interaction_split : Split all entries, whoever they belong to.

    Examples
    --------
    >>> import numpy as np
    >>> from skrec.model_selection import fold_in_split
    >>> fold_in, held_out = fold_in_split(np.ones((3, 10)), random_state=0)
    >>> np.diff(fold_in.indptr), np.diff(held_out.indptr)
    (array([8, 8, 8], dtype=int32), array([2, 2, 2], dtype=int32))
    """
    X = check_interactions(X)
    check_share(fold_in, X.nnz, "fold_in", "entries of X")
    n_entries = np.diff(X.indptr)
    n_held_out = np.where(n_entries < min_items, 0, count_held_out(n_entries, fold_in))
    rows = np.repeat(np.arange(X.shape[0]), n_entries)
    # One sort of rows + [0, 1) is five times faster than a lexsort. It must be stable: a sum may
    # round up to the next row.
    keys = rows + check_random_state(random_state).random_sample(X.nnz)
    order = np.argsort(keys, kind="stable")
    hidden = np.empty(X.nnz, bool)
    hidden[order] = np.arange(X.nnz) - X.indptr[rows] < n_held_out[rows]
    return take_entries(X, ~hidden), take_entries(X, hidden)


@validate_params(
    {
        "test_size": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def interaction_split(X, test_size=0.2, *, random_state=None):
    """Hold out a random part of all entries (weak generalization).

    Parameters
    ----------
    X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
        Stored entries (dense input: the non-zeros) are the observations.
    test_size : float, default=0.2
        Share of the entries in the test part, rounded up. One that rounds to none is an error.
    random_state : int, RandomState instance or None, default=None
        Controls which entries are held out. Pass an int for the same split at every call.

    Returns
    -------
    train : csr_array of shape (n_users, n_items)
        The training entries, float32 if `X` is, otherwise float64.
    test : csr_array of shape (n_users, n_items)
        The others.

    See Also
    --------
    fold_in_split : Split the entries of each user.

    Examples
    --------
    >>> import numpy as np
    >>> from skrec.model_selection import interaction_split
    >>> train, test = interaction_split(np.ones((3, 10)), random_state=0)
    >>> train.nnz, test.nnz
    (24, 6)
    """
    X = check_interactions(X)
    n_test = X.nnz - int(X.nnz * (1 - fraction(test_size)))
    if n_test == X.nnz:
        raise ValueError(
            f"test_size={test_size} of the {X.nnz} entries of X leaves none for training: lower "
            "test_size, or pass more entries."
        )
    check_share(test_size, X.nnz, "test_size", "entries of X")
    hidden = np.zeros(X.nnz, bool)
    hidden[check_random_state(random_state).permutation(X.nnz)[:n_test]] = True
    return take_entries(X, ~hidden), take_entries(X, hidden)


def fraction(share):
    # 0.8 is meant as 4/5: with the nearest binary number, a fifth of five entries is none.
    return Fraction(share).limit_denominator(10**10)


def count_held_out(n_entries, fold_in):
    hidden = 1 - fraction(fold_in)
    return np.maximum(n_entries.astype(np.int64) * hidden.numerator // hidden.denominator, 1)


def take_entries(X, mask):
    indptr = np.concatenate([[0], np.cumsum(mask)])[X.indptr].astype(X.indptr.dtype)
    return sparse.csr_array((X.data[mask], X.indices[mask], indptr), shape=X.shape)
