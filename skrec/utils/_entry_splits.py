"""Splits of each user's entries, and of all entries."""

import re
from fractions import Fraction
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state

from skrec.utils._compat import Interval, validate_params
from skrec.utils._validation import check_interactions, check_share

FOLD_IN = [Interval(Real, 0, 1, closed="neither"), str]


@validate_params(
    {
        "fold_in": FOLD_IN,
        "min_items": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def fold_in_split(X, fold_in=0.8, *, min_items=2, random_state=None):
    """Hide part of each user's entries: some that are drawn, or the latest ones.

    Parameters
    ----------
    X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
        Stored entries (dense input: the non-zeros) are the observations. To hide the latest ones,
        :class:`~skrec.Interactions` with timestamps.
    fold_in : float or str, default=0.8
        What stays visible. A number is a share: of a user with `n` entries, ``(1 - fold_in) * n``
        are drawn and held out, rounded down, but at least one. A share so small that of all
        entries together it rounds to none is an error. "last" holds out each user's latest
        entry, "last-5" the latest five, or all but one where there are fewer, and "last-20%" the
        latest fifth, rounded down, but at least one.
    min_items : int, default=2
        Users with fewer entries keep them all.
    random_state : int, RandomState instance or None, default=None
        Controls which entries are held out, by time those of the same moment only. Pass an int
        for the same split at every call.

    Returns
    -------
    fold_in : Interactions or csr_array of shape (n_users, n_items)
        The visible entries. If `X` is :class:`~skrec.Interactions`, so are both parts, with the
        same ids; otherwise both are float32 if `X` is, and float64 if not.
    held_out : Interactions or csr_array of shape (n_users, n_items)
        The others.

    See Also
    --------
    StrongGeneralizationSplit : Split users, then the entries of those held out.
    TimeSplit : Split all entries at a moment that is the same for all users.
    ItemColdStartSplit : Split items, for what a model says of those that nobody has yet.
    interaction_split : Split all entries, whoever they belong to.

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import Interactions
    >>> from skrec.model_selection import fold_in_split
    >>> fold_in, held_out = fold_in_split(np.ones((3, 10)), random_state=0)
    >>> np.diff(fold_in.indptr), np.diff(held_out.indptr)
    (array([8, 8, 8], dtype=int32), array([2, 2, 2], dtype=int32))
    >>> seen = Interactions.from_arrays([0, 0, 0], [0, 1, 2], timestamps=[30, 10, 20])
    >>> fold_in_split(seen, "last")[1].toarray()
    array([[1., 0., 0.]], dtype=float32)
    """
    n_latest, share = parse_fold_in(fold_in)
    X = checked_entries(X)
    times = None
    if isinstance(fold_in, str):
        times = timestamps_of(X, f"fold_in={fold_in!r}")
    else:
        check_share(fold_in, X.nnz, "fold_in", "entries of X")
    n_entries = np.diff(X.indptr)
    n_held_out = count_held_out(n_entries, share) if n_latest is None else n_latest
    n_held_out = np.minimum(n_held_out, np.maximum(n_entries - 1, 1))
    n_held_out = np.where(n_entries < min_items, 0, n_held_out)
    hidden = draw_entries(X, n_held_out, check_random_state(random_state), times)
    return take_entries(X, ~hidden), take_entries(X, hidden)


def parse_fold_in(fold_in):
    """Read a share, "last", "last-5" or "last-20%" as (number of latest entries, share).

    The number is None where the share decides.
    """
    if not isinstance(fold_in, str):
        return None, fold_in
    if fold_in == "last":
        return 1, None
    found = re.fullmatch(r"last-(\d{1,9})(\.\d{1,9})?(%?)", fold_in)
    if found:
        whole, decimals, percent = found.groups(default="")
        if not percent and not decimals and int(whole) > 0:
            return int(whole), None
        hidden = Fraction(whole + decimals) / 100
        if percent and 0 < hidden < 1:
            return None, 1 - hidden
    raise ValueError(
        "fold_in must be a share between 0 and 1 such as 0.8, 'last', or 'last-' with a number "
        f"of entries or a percentage, such as 'last-5' or 'last-20%', got {fold_in!r}."
    )


def timestamps_of(X, wish):
    """The times of all entries, or an error that says where they could come from."""
    if not is_interactions(X):
        raise ValueError(
            f"{wish} needs the time of each entry, which a matrix without timestamps does not "
            "have: pass Interactions.from_frame(table, timestamp=...) itself, not its X."
        )
    if X.timestamps is None:
        raise ValueError(
            f"{wish} needs the time of each entry, but these Interactions have no timestamps: "
            "name their column, as in Interactions.from_frame(table, timestamp=...)."
        )
    return X.timestamps


def draw_entries(X, n_drawn, rng, times=None):
    """Mask of so many entries of each row: drawn ones, or the latest.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    n_drawn : ndarray of int of shape (n_users,)
    rng : RandomState
    times : ndarray of shape (n_entries,), default=None
        With it, the latest entries; `rng` decides between those of the same time.

    Returns
    -------
    drawn : ndarray of bool of shape (n_entries,)
    """
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    keys = rng.random_sample(X.nnz)
    if times is None:
        # One sort of rows + [0, 1) is five times faster than a lexsort. It must be stable: a sum
        # may round up to the next row.
        order = np.argsort(rows + keys, kind="stable")
        rank = np.arange(X.nnz) - X.indptr[rows]
    else:
        order = np.lexsort((keys, times, rows))
        rank = X.indptr[rows + 1] - 1 - np.arange(X.nnz)
    drawn = np.empty(X.nnz, bool)
    drawn[order] = rank < n_drawn[rows]
    return drawn


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
    train : Interactions or csr_array of shape (n_users, n_items)
        The training entries, Interactions if `X` is; otherwise float32 if `X` is, or float64.
    test : Interactions or csr_array of shape (n_users, n_items)
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
    X = checked_entries(X)
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


def checked_entries(X):
    """Validate a users x items matrix: Interactions as they are, all else as a csr_array."""
    entries = check_interactions(X)
    return X if is_interactions(X) else entries


def is_interactions(X):
    return sparse.issparse(X) and hasattr(X, "item_ids")


def take_entries(X, mask):
    """Some entries of what `checked_entries` returns."""
    if is_interactions(X):
        return X.where(mask)
    indptr = np.concatenate([[0], np.cumsum(mask)])[X.indptr].astype(X.indptr.dtype)
    return sparse.csr_array((X.data[mask], X.indices[mask], indptr), shape=X.shape)
