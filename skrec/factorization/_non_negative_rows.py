"""Sweeps over users and items whose weights must not be negative."""

import numpy as np

from skrec.solvers._compiled import compiled
from skrec.utils._blocks import effective_n_threads, map_blocks, row_blocks

# Of coordinate descent over the weights of a row: those of a half-sweep, and those that a solution
# takes at most.
N_PASSES = 4
MAX_PASSES = 10_000
# A share of the largest weight: less is rounding.
_SMALLEST_MOVE = 1e-12


class NonNegativeSweeps:
    """Half-sweeps over users and items, and what their weights are drawn to.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    typical : float
        Every user's weights to begin with.
    items : ndarray of float64 of shape (n_items, n_weights)
        Those of the items.
    penalty : tuple of (float, float)
        Penalty on the squared weights of a row with one rating, and how it grows with their
        number.
    learns_priors : bool
        Whether weights are drawn to those of their side on average, or to 0.

    Attributes
    ----------
    sides : list of ndarray
        Weights of the users and of the items.
    priors : list of ndarray of shape (n_weights,)
    """

    def __init__(self, X, typical, items, penalty, learns_priors):
        self._entries = X, X.T.tocsr()
        self._penalties = [row_penalties(rows, *penalty) for rows in self._entries]
        self._learns_priors = learns_priors
        self.sides = [np.full((X.shape[0], items.shape[1]), typical), items]
        self.priors = [np.full(items.shape[1], typical * learns_priors) for _ in self.sides]

    def sweep(self):
        """Improve both sides; return the objective after either half."""
        losses = []
        for side in (0, 1):
            loss = improve_non_negative(
                self._entries[side],
                self.sides[1 - side],
                self._penalties[side],
                self.priors[side],
                self.sides[side],
                N_PASSES,
            )
            losses.append(loss + self._penalty(1 - side))
            if self._learns_priors:
                self.priors[side] = self.means()[side]
        return losses

    def _penalty(self, side):
        squares = np.square(self.sides[side] - self.priors[side]).sum(axis=1)
        return float(self._penalties[side] @ squares) / 2

    def means(self):
        """Average weights of either side's rows that have entries, weighted by the penalties."""
        found = []
        for rows, penalties, weights in zip(
            self._entries, self._penalties, self.sides, strict=True
        ):
            shares = penalties * (np.diff(rows.indptr) > 0)
            found.append(shares @ weights / max(shares.sum(), np.finfo(float).tiny))
        return found


def row_penalties(rows, l2, exponent):
    """Penalty on the squared weights of each row, or an error if the objective may overflow."""
    counts = np.maximum(np.diff(rows.indptr), 1.0) ** exponent
    largest = np.sqrt(np.finfo(float).max) / max(counts.sum(), 1.0)
    if l2 > largest:
        raise ValueError(
            f"l2={l2:g} makes the objective overflow: it must be at most {largest:.0e} for these "
            f"{len(counts)} rows; far smaller ones leave all weights at the average already."
        )
    return l2 * counts


def solve_non_negative(rows, features, penalty, prior, start):
    """Weights of all rows, each to convergence; see `improve_non_negative`."""
    weights = np.array(start)
    penalties = row_penalties(rows, *penalty)
    improve_non_negative(rows, features, penalties, prior, weights, MAX_PASSES)
    return weights


def improve_non_negative(rows, features, penalties, prior, weights, n_passes):
    """Improve the weights of all rows, in place, by passes of coordinate descent.

    They minimise half of the squared errors of each row r with the entries e,

        sum_e (t_e - f_e'w)^2 + penalty_r ||w - prior||^2  over  w >= 0

    Parameters
    ----------
    rows : csr_array of shape (n_rows, n_columns)
        Whose entries are the targets.
    features : ndarray of shape (n_columns, n_weights)
    penalties : ndarray of shape (n_rows,)
        Positive.
    prior : ndarray of shape (n_weights,)
    weights : ndarray of shape (n_rows, n_weights)
        To begin with, and then those that are found.
    n_passes : int
        At most; those of a row end where no weight moves any longer.

    Returns
    -------
    loss : float
        The sum over rows of what is minimised.
    """
    entries = rows.indptr, rows.indices, rows.data

    def improve(block):
        part = block.start, block.stop
        return _improve_rows(*part, entries, features, penalties, prior, weights, n_passes)

    n_threads = effective_n_threads()
    return sum(map_blocks(improve, row_blocks(rows.shape[0], 1, n_threads), n_threads))


@compiled(any_order=True)
def _improve_rows(first, last, entries, features, penalties, prior, weights, n_passes):
    indptr, indices, targets = entries
    n_weights = features.shape[1]
    hessian, linear = np.empty((n_weights, n_weights)), np.empty(n_weights)
    gradient = np.empty(n_weights)
    loss = 0.0
    for row in range(first, last):
        penalty = np.float64(penalties[row])
        hessian[:] = 0
        for k in range(n_weights):
            hessian[k, k] = penalty
            linear[k] = -penalty * prior[k]
            loss += penalty * prior[k] * prior[k] / 2
        for entry in range(indptr[row], indptr[row + 1]):
            inputs, target = features[indices[entry]], np.float64(targets[entry])
            loss += target * target / 2
            for k in range(n_weights):
                value = np.float64(inputs[k])
                linear[k] -= target * value
                for other in range(k + 1):
                    hessian[k, other] += value * inputs[other]
        found = weights[row]
        for k in range(n_weights):
            gradient[k] = linear[k]
            for other in range(k):
                hessian[other, k] = hessian[k, other]
        for k in range(n_weights):
            for other in range(n_weights):
                gradient[k] += hessian[k, other] * found[other]
        for _ in range(n_passes):
            largest_move = largest = 0.0
            for k in range(n_weights):
                moved = max(0.0, found[k] - gradient[k] / hessian[k, k])
                change = moved - found[k]
                if change != 0:
                    found[k] = moved
                    for other in range(n_weights):
                        gradient[other] += change * hessian[k, other]
                largest_move, largest = max(largest_move, abs(change)), max(largest, moved)
            if largest_move <= _SMALLEST_MOVE * largest:
                break
        for k in range(n_weights):
            loss += found[k] * (gradient[k] + linear[k]) / 2
    return loss
