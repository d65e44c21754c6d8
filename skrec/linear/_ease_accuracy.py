"""Whether EASE's weights keep the digits that decide what is recommended."""

import numpy as np
from scipy import sparse

from skrec.utils._blocks import MAX_BLOCK_ROWS, map_blocks, row_blocks

N_PLACES = 10
# At most so many first places may go to the wrong item before it is said.
TOLERATED = 0.005
# Items whose scores differ by less are as good as each other.
_AS_GOOD = 1e-4
# Rounding errors below this share of the scores exchange no places.
_HARMLESS = 1e-2


def misplaced(weights, users, gram_diagonal, penalty, gram_product, n_threads=1):
    r"""Share of the users' first places that rounding errors give to other items.

    Up to the scale of the columns, the scores of a row `x` are
    :math:`x - xP / \operatorname{diag}(P)`. One step of iterative refinement, with the residual
    :math:`x - (xP)(G + \Lambda)` in float64, shows how far they are from those of exact weights.
    It is left out where a bound rules out that errors matter.

    Parameters
    ----------
    weights : PrimalWeights or DualWeights
    users : csr_array of shape (n_users, n_items)
        At most `MAX_BLOCK_ROWS` of them are looked at, evenly spaced.
    gram_diagonal, penalty : ndarray of shape (n_items,)
        float64.
    gram_product : callable
        ``left @ G`` for a float64 array of shape (n_rows, n_items).
    n_threads : int, default=1

    Returns
    -------
    share : float
        Between 0 and 1. Items already chosen count only where a user has chosen all of them.
    """
    if _cannot_lose_digits(weights, gram_diagonal, penalty):
        return 0.0
    n_looked_at = min(users.shape[0], MAX_BLOCK_ROWS)
    users = users[np.linspace(0, users.shape[0] - 1, n_looked_at).astype(int)]

    def unscaled(rows):
        return weights.scores(rows).astype(np.float64) / weights.column_scale

    def count(block):
        rows = users[block]
        scores = unscaled(rows)
        dense = rows.toarray().astype(np.float64)
        solved = (dense - scores) * weights.precision
        residual = dense - gram_product(solved) - solved * penalty
        refined = scores - (residual - unscaled(residual))
        seen = sparse.csr_array((np.ones(rows.nnz, bool), rows.indices, rows.indptr), rows.shape)
        scale = weights.column_scale
        return _count_misplaced(scores * scale, refined * scale, seen.toarray())

    blocks = row_blocks(n_looked_at, 8 * 8 * users.shape[1], n_threads)
    n_misplaced, n_places = np.sum(map_blocks(count, blocks, n_threads), axis=0)
    return n_misplaced / max(n_places, 1)


def _cannot_lose_digits(weights, gram_diagonal, penalty):
    """Whether a bound on the condition number shows that there are digits enough.

    It is at most ``1 + sum(G_ii / penalty_i)`` for all the matrices. Errors grow with it; in the
    dual with its square, as that subtracts from 1 what may come as near to 1 as its reciprocal.
    """
    with np.errstate(over="ignore"):
        condition = 1 + np.sum(gram_diagonal / penalty)
    digits = _HARMLESS / np.finfo(weights.working_dtype).eps
    return condition < (np.sqrt(digits) if weights.method == "dual" else digits)


def doubt(weights, share, fixes):
    """Why weights are not to be trusted, and what helps.

    Parameters
    ----------
    weights : PrimalWeights or DualWeights
    share : float
        From `misplaced`.
    fixes : list of str
        What may help, beside a larger `l2`.

    Returns
    -------
    message : str or None
        None if they are to be trusted.
    """
    dtype = weights.working_dtype
    if weights.reciprocal_condition < np.finfo(dtype).eps:
        condition = f"reciprocal condition number {weights.reciprocal_condition:.1e}"
        reason = f"The penalised Gram matrix is ill-conditioned ({condition}) in {dtype}"
    elif share > TOLERATED:
        reason = (
            f"Rounding errors of method='{weights.method}' in {dtype} give {share:.1%} of the "
            f"first {N_PLACES} places to other items"
        )
    else:
        return None
    return f"{reason}: use {' or '.join([*fixes, 'a larger l2'])}."


def _count_misplaced(scores, refined, seen):
    """Places that go to an item outside the best by refined scores, and all places."""
    if not (np.isfinite(scores).all() and np.isfinite(refined).all()):
        return len(scores), len(scores)
    left_out = seen & ~seen.all(axis=1, keepdims=True)
    # Not more than half of the candidates, or there would be nothing to choose.
    n_places = np.minimum(N_PLACES, (~left_out).sum(axis=1) // 2)
    n_kept = n_places.max(initial=0)
    worst = np.sort(np.where(left_out, np.inf, -refined), axis=1)[:, :n_kept]
    first = np.argsort(np.where(left_out, np.inf, -scores), axis=1, kind="stable")[:, :n_kept]
    place = np.arange(n_kept)
    threshold = -worst[np.arange(len(worst)), n_places - 1][:, None] if n_kept else worst
    threshold = threshold - _AS_GOOD * np.abs(threshold)
    wrong = np.take_along_axis(refined, first, axis=1) < threshold
    return (wrong & (place < n_places[:, None])).sum(), n_places.sum()
