"""What a user has, as a rule for the items of lists beside others, and lists of both."""

import numpy as np
from scipy import sparse


def seen_items(X):
    """The stored entries of a csr_array, whatever their values are."""
    return sparse.csr_array((np.ones(X.nnz), X.indices, X.indptr), shape=X.shape)


def with_seen(exclude, seen):
    """Items that are left out, besides those that are seen.

    Parameters
    ----------
    exclude : {ndarray of intp, csr_array} or None
        Of everybody, or of each user.
    seen : csr_array of shape (n_users, n_items)

    Returns
    -------
    exclude : csr_array of shape (n_users, n_items)
    """
    if exclude is None:
        return seen
    if not sparse.issparse(exclude):
        n_users, n_each = seen.shape[0], len(exclude)
        indptr = np.arange(n_users + 1) * n_each
        entries = np.ones(n_users * n_each), np.tile(exclude, n_users), indptr
        exclude = sparse.csr_array(entries, shape=seen.shape)
    return sparse.csr_array(seen + seen_items(exclude))


def among_seen(items, seen):
    """Candidates, of everybody or of each user, as far as they are seen.

    Parameters
    ----------
    items : {ndarray of intp, csr_array} or None
    seen : csr_array of shape (n_users, n_items)

    Returns
    -------
    items : csr_array of shape (n_users, n_items)
    """
    if items is None:
        return seen
    if sparse.issparse(items):
        allowed = seen_items(items)
    else:
        allowed = np.zeros((1, seen.shape[1]))
        allowed[0, items] = 1
    allowed = sparse.csr_array(seen.multiply(allowed))
    allowed.eliminate_zeros()
    return allowed


def merge_lists(lists, k):
    """The best `k` items of several lists, without an item in two of them.

    Parameters
    ----------
    lists : list of (indices, scores)
        Arrays with a row for each user, padded with -1 and ``-inf``.
    k : int

    Returns
    -------
    indices : ndarray of intp of shape (n_users, k)
        Best first, ties by lower index.
    scores : ndarray of shape (n_users, k)
    """
    indices, scores = (np.concatenate(part, axis=1) for part in zip(*lists, strict=True))
    order = np.lexsort((indices, -scores), axis=1)[:, :k]
    return tuple(np.take_along_axis(part, order, axis=1) for part in (indices, scores))
