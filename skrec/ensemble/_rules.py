"""What a user has, as a rule for the items of lists beside others, and lists of both."""

import numpy as np
from scipy import sparse

from skrec.base._composition import seen_items


def with_seen(exclude, seen):
    """Items that are left out, besides those that are seen.

    Parameters
    ----------
    exclude : csr_array of shape (n_users, n_items) or None
    seen : csr_array of shape (n_users, n_items)

    Returns
    -------
    exclude : csr_array of shape (n_users, n_items)
    """
    return seen if exclude is None else sparse.csr_array(seen + seen_items(exclude))


def without(items, exclude, shape):
    """Candidates but for items that are left out for everybody.

    Parameters
    ----------
    items : {ndarray of intp, csr_array} or None
        Of everybody, or of each user.
    exclude : ndarray of intp
    shape : tuple of (int, int)
        Of users and items.

    Returns
    -------
    items : {ndarray of intp, csr_array}
        Those of everybody are an array, unless none is left.
    """
    if not sparse.issparse(items):
        left = np.setdiff1d(np.arange(shape[1]) if items is None else items, exclude)
        return left if len(left) else sparse.csr_array(shape)
    is_left = np.ones((1, shape[1]))
    is_left[0, exclude] = 0
    return _where(is_left, items)


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
        return _where(seen_items(items), seen)
    is_allowed = np.zeros((1, seen.shape[1]))
    is_allowed[0, items] = 1
    return _where(is_allowed, seen)


def _where(rule, entries):
    """The entries of a csr_array where a rule, of everybody or of each user, is not 0."""
    found = sparse.csr_array(seen_items(entries).multiply(rule))
    found.eliminate_zeros()
    return found


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
