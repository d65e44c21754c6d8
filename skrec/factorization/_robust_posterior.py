r"""Posteriors of the vectors of users and items, and of the size of their noise.

A rating is normal around :math:`x_u \cdot y_i`, with the precision :math:`\tau \alpha_u \gamma_i
\omega_{ui}`. A user's vector is :math:`x = (f, b, 1)`, an item's :math:`y = (g, 1, c)`: factors,
the offset, and a constant where the other side has its offset. The free elements have a normal
prior, each factor of the precision a gamma prior. The posterior is approximated by independent
distributions; given the others the best one is a normal or a gamma distribution.
"""

from typing import NamedTuple

import numpy as np

from skrec.factorization._noise_scales import Scales, scale_means
from skrec.solvers._offsets import with_data
from skrec.solvers._pair_products import pair_products
from skrec.solvers._uncertainty import pack_squares

MAX_FOLD_IN_STEPS = 100
FOLD_IN_TOLERANCE = 1e-8
# A prior is learned as if there was one more row, with the mean 0 and this variance of each
# element, so that it stays proper with few rows.
EXTRA_VARIANCE = 0.5


class Weights(NamedTuple):
    """Posterior moments of the vectors of one side.

    Parameters
    ----------
    means : ndarray of shape (n_rows, size)
        With the constant.
    squares : ndarray of shape (n_rows, size * (size + 1) / 2)
        Expected outer products, packed.
    """

    means: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, means, covariances, fixed):
        """From moments of the free elements; the constant stands at the position `fixed`."""
        means = np.insert(means, fixed, 1.0, axis=1)
        squares = pack_squares(means)
        row, column = np.tril_indices(means.shape[1])
        is_free = (row != fixed) & (column != fixed)
        row, column = np.tril_indices(covariances.shape[1])
        squares[:, is_free] += covariances[:, row, column] * _scale(row, column)
        return cls(means, squares)


def _scale(row, column):
    """What elements of matrices are multiplied by to be packed."""
    return np.where(row == column, 1.0, np.sqrt(2.0))


def unpack(squares):
    """Symmetric matrices of shape (n, size, size) from packed ones."""
    size = int((2 * squares.shape[1]) ** 0.5)
    row, column = np.tril_indices(size)
    matrices = np.empty((len(squares), size, size))
    matrices[:, row, column] = matrices[:, column, row] = squares / _scale(row, column)
    return matrices


class Prior(NamedTuple):
    """Normal prior of the free elements of one side.

    Parameters
    ----------
    mean : ndarray of shape (size - 1,)
    precision : ndarray of shape (size - 1, size - 1)
    """

    mean: np.ndarray
    precision: np.ndarray

    @classmethod
    def learned(cls, squares, fixed):
        """The prior that fits best to expected outer products, summed over rows."""
        total, free = _with_extra_row(squares, fixed)
        mean = total[free, fixed] / total[fixed, fixed]
        covariance = total[np.ix_(free, free)] / total[fixed, fixed] - np.outer(mean, mean)
        return cls(mean, np.linalg.inv(covariance))

    def bound(self, squares, fixed):
        """Expected logarithm of the density, twice, without constants."""
        total, free = _with_extra_row(squares, fixed)
        crossed = np.outer(total[free, fixed], self.mean)
        deviations = total[np.ix_(free, free)] - crossed - crossed.T
        deviations += total[fixed, fixed] * np.outer(self.mean, self.mean)
        _, log_det = np.linalg.slogdet(self.precision)
        return total[fixed, fixed] * log_det - (self.precision * deviations).sum()


def _with_extra_row(squares, fixed):
    total = unpack(squares.sum(axis=0)[None])[0]
    free = np.delete(np.arange(len(total)), fixed)
    total[free, free] += EXTRA_VARIANCE
    total[fixed, fixed] += 1
    return total, free


class Given(NamedTuple):
    """All that the posteriors of one side's rows depend on, but for their entries.

    Parameters
    ----------
    others : Weights
        Of the other side.
    other_scales : ndarray of shape (n_others,)
        Posterior means.
    prior : Prior
    fixed : int
        Position of this side's constant.
    precision : float
    dof : float
        Of this side's scales.
    rating_dof : float
    """

    others: Weights
    other_scales: np.ndarray
    prior: Prior
    fixed: int
    precision: float
    dof: float
    rating_dof: float


class Sums(NamedTuple):
    """Weighted sums over the entries of each row.

    Parameters
    ----------
    squares : ndarray of shape (n_rows, size * (size + 1) / 2)
        Of the expected outer products of the columns' vectors.
    products : ndarray of shape (n_rows, size)
        Of the products of ratings and the columns' vectors.
    ratings : ndarray of shape (n_rows,)
        Of squared ratings.
    """

    squares: np.ndarray
    products: np.ndarray
    ratings: np.ndarray


def sum_entries(rows, given, rating_scales):
    """Sums over entries, weighted by the scales of the columns and those of the entries.

    Parameters
    ----------
    rows : csr_array of shape (n_rows, n_others)
    given : Given
    rating_scales : ndarray of shape (rows.nnz,)

    Returns
    -------
    sums : Sums
    """
    weighted = given.other_scales[rows.indices] * rating_scales
    values = weighted * rows.data
    return Sums(
        with_data(rows, weighted) @ given.others.squares,
        with_data(rows, values) @ given.others.means,
        with_data(rows, values * rows.data).sum(axis=1),
    )


def infer_weights(sums, given, scales):
    """Normal posteriors of the vectors of rows.

    Parameters
    ----------
    sums : Sums
    given : Given
    scales : ndarray of shape (n_rows,)
        Posterior means.

    Returns
    -------
    weights : Weights
    log_dets : ndarray of shape (n_rows,)
        Of the covariances.
    """
    free = np.delete(np.arange(given.others.means.shape[1]), given.fixed)
    precisions = given.precision * scales
    squares = unpack(sums.squares)
    inverses = precisions[:, None, None] * squares[:, free[:, None], free] + given.prior.precision
    rights = precisions[:, None] * (sums.products[:, free] - squares[:, free, given.fixed])
    rights += given.prior.precision @ given.prior.mean
    factors = np.linalg.cholesky(inverses)
    roots = np.linalg.inv(factors)
    covariances = np.matmul(roots.transpose(0, 2, 1), roots)
    means = np.matmul(covariances, rights[:, :, None])[:, :, 0]
    log_dets = -2 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    return Weights.of(means, covariances, given.fixed), log_dets


def squared_errors(sums, weights):
    """Expected squared errors of each row's entries, in total, weighted as its sums are."""
    crossed = (weights.means * sums.products).sum(axis=1)
    return np.maximum(sums.ratings - 2 * crossed + (weights.squares * sums.squares).sum(axis=1), 0)


def entry_scales(rows, given, weights, scales):
    """Posterior means of the scales of entries."""
    if np.isinf(given.rating_dof):
        return np.ones(rows.nnz)
    of_entry = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    crossed = pair_products(weights.means, given.others.means, of_entry, rows.indices)
    squares = pair_products(weights.squares, given.others.squares, of_entry, rows.indices)
    errors = np.maximum(rows.data * (rows.data - 2 * crossed) + squares, 0)
    errors *= given.precision * scales[of_entry] * given.other_scales[rows.indices]
    return scale_means(given.rating_dof, 1, errors)


def fold_in(rows, given):
    """Posteriors of rows, known or new, alternating between their vectors and their scales.

    Rows do not wait for each other: each rests once it has converged.

    Parameters
    ----------
    rows : csr_array of shape (n_rows, n_others)
    given : Given

    Returns
    -------
    weights : Weights
    scales : Scales
    """
    n_rows, size = rows.shape[0], given.others.means.shape[1]
    counts = np.diff(rows.indptr)
    weights = Weights(np.zeros((n_rows, size)), np.zeros((n_rows, size * (size + 1) // 2)))
    scales, rating_scales = np.ones(n_rows), np.ones(rows.nnz)
    active, sums = np.arange(n_rows), sum_entries(rows, given, rating_scales)
    for _ in range(MAX_FOLD_IN_STEPS):
        before = scales[active], weights.means[active]
        found, _ = infer_weights(sums, given, scales[active])
        errors = given.precision * squared_errors(sums, found)
        scales[active] = scale_means(given.dof, counts[active], errors)
        weights.means[active], weights.squares[active] = found
        moves = np.abs(scales[active] / before[0] - 1) > FOLD_IN_TOLERANCE
        if np.isfinite(given.rating_dof):
            rating_scales = entry_scales(rows, given, found, scales[active])
            moves |= np.abs(found.means - before[1]).max(axis=1) > FOLD_IN_TOLERANCE
        if not moves.any():
            break
        kept = np.repeat(moves, np.diff(rows.indptr))
        rows, rating_scales, active = rows[moves], rating_scales[kept], active[moves]
        if np.isfinite(given.rating_dof):
            sums = sum_entries(rows, given, rating_scales)
        else:
            sums = Sums(*(part[moves] for part in sums))
    return weights, Scales(given.dof, (given.dof + counts) / 2, scales)


def row_bytes(others):
    """Bytes that the inference of a row holds at its peak, given the other side."""
    return 6 * 8 * others.means.shape[1] ** 2
