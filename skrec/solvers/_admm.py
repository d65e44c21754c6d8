"""Elastic nets that predict each item from all others, by ADMM on dense matrices."""

import numpy as np
from scipy import sparse

from skrec.solvers._gram import invert_upper, mirror_upper

_PENALTY = 3.0  # on the two copies' difference, in units of an item's curvature
_RELAXATION = 1.6  # of the first copy: what Boyd et al. advise
_MAX_COLUMNS = 256  # at a time
_EVERY = 10  # iterations there is a look at what is finished


def admm_item_weights(gram, l1, l2, positive, tol, max_iter, n_threads=1):
    """Weights of all items for each: what ``item_weights`` minimises, with the same arguments.

    One copy of the weights minimises the squares and has a zero diagonal, another has the sparsity
    and the signs, and the two are pulled together. Each iteration is a product with the inverse of
    a matrix that is the same for all columns, whatever the number of weights. The pull on an item
    grows with its own curvature, so it needs no tuning to the data.

    Returns
    -------
    weights : csr_array of shape (n_items, n_items)
    n_iter : ndarray of int of shape (n_items,)
    unfinished : ndarray of bool of shape (n_items,)
        Columns that did not come to `tol`.
    """
    n_items = len(gram)
    curvature = gram.diagonal()[:, None] + gram.dtype.type(l2)
    rho = np.where(curvature > 0, _PENALTY * curvature, 1)
    inverse = gram.copy()
    inverse.flat[:: n_items + 1] += (rho + gram.dtype.type(l2))[:, 0]
    invert_upper(inverse)
    mirror_upper(inverse, n_threads=n_threads)
    n_iter = np.full(n_items, max_iter)
    unfinished = np.ones(n_items, dtype=bool)
    parts = []
    for start in range(0, n_items, _MAX_COLUMNS):
        columns = np.arange(start, min(start + _MAX_COLUMNS, n_items))
        weights = np.zeros((n_items, len(columns)), dtype=gram.dtype)
        left, sparse_copy, dual = columns, weights.copy(), weights.copy()
        for iteration in range(1, max_iter + 1):
            sparse_copy, dual = _iterate(
                inverse, gram[:, left], left, sparse_copy, dual, rho, l1, positive
            )
            if iteration % _EVERY and iteration < max_iter:
                continue
            gains = _gains(gram, left, sparse_copy, curvature, l1, l2, positive)
            done = gains <= tol * gram[left, left]
            weights[:, left - start] = sparse_copy
            n_iter[left[done]], unfinished[left[done]] = iteration, False
            left, sparse_copy, dual = left[~done], sparse_copy[:, ~done], dual[:, ~done]
            if not len(left):
                break
        parts.append(sparse.csc_array(weights))
    return sparse.csr_array(sparse.hstack(parts)), n_iter, unfinished


def _iterate(inverse, products, columns, sparse_copy, dual, rho, l1, positive):
    """One iteration of some columns; `dual` is in units of weights."""
    weights = inverse @ (products + rho * (sparse_copy - dual))
    own = columns, np.arange(len(columns))
    weights -= inverse[:, columns] * (weights[own] / inverse[columns, columns])
    weights[own] = 0  # and no rounding error, which would be stored
    dual = dual + _RELAXATION * weights + (1 - _RELAXATION) * sparse_copy
    sparse_copy = _shrunk(dual, l1 / rho, positive)
    return sparse_copy, dual - sparse_copy


def _gains(gram, columns, weights, curvature, l1, l2, positive):
    """Twice what a single weight can lower the objective by, at most, of each column."""
    pull = gram[:, columns] - gram @ weights + gram.diagonal()[:, None] * weights
    best = _shrunk(pull, l1, positive) / np.where(curvature > 0, curvature, 1)
    gains = (best - weights) ** 2 * curvature
    gains[columns, np.arange(len(columns))] = 0
    return gains.max(axis=0)


def _shrunk(values, threshold, positive):
    if positive:
        return np.maximum(values - threshold, 0)
    return np.sign(values) * np.maximum(np.abs(values) - threshold, 0)
