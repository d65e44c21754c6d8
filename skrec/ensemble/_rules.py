"""What a user has, as a rule for the items of lists beside others."""

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
