r"""Variational inference of matrix factorisation with noise of unequal size.

A rating is normal around :math:`x_u \cdot y_i`, with the precision :math:`\tau \alpha_u \gamma_i
\omega_{ui}`. A user's vector is :math:`x = (f, b, 1)`, an item's :math:`y = (g, 1, c)`: factors,
offsets, and the constants that those of the other side are added by. The free elements of either
side have a normal prior, the factors of the precision gamma priors with mean 1. All of them are
independent in the posterior, which each update brings nearer to the true one.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, gammaln

from skrec.base._ratings import SMALLEST_NOISE
from skrec.solvers._offsets import with_data
from skrec.solvers._pair_products import pair_products
from skrec.solvers._uncertainty import pack_squares
from skrec.utils._blocks import map_blocks, row_blocks

FIRST_DOF = 10.0
FIRST_VARIANCE = 0.01
DOF_RANGE = 3.0, 1000.0
MAX_FOLD_IN_STEPS = 100
FOLD_IN_TOLERANCE = 1e-8
# The priors are learned as if there was one more row, with the mean 0 and this variance.
EXTRA_VARIANCE = 0.1


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


class Scales(NamedTuple):
    """Gamma posteriors of factors of the precision.

    Parameters
    ----------
    dof : float
        Degrees of freedom of the prior, Gamma(dof / 2, dof / 2); infinite: all are 1.
    shapes, means : ndarray of shape (n,)
    """

    dof: float
    shapes: np.ndarray
    means: np.ndarray

    @classmethod
    def of_prior(cls, dof, n):
        return cls(dof, np.full(n, dof / 2), np.ones(n))

    def given(self, counts, means):
        """Posteriors of the same prior with these means, each given so many ratings."""
        return self._replace(shapes=(self.dof + counts) / 2 + np.zeros(len(means)), means=means)

    @property
    def expected_variances(self):
        """Expectation of the inverse, by which the variance is multiplied."""
        if np.isinf(self.dof):
            return self.means
        return self.shapes / (self.means * (self.shapes - 1))

    @property
    def expected_logs(self):
        if np.isinf(self.dof):
            return np.zeros_like(self.means)
        return digamma(self.shapes) - np.log(self.shapes / self.means)

    def learned(self):
        """The same posteriors with the degrees of freedom that fit them best."""
        surplus = 1 + np.mean(self.expected_logs - self.means)

        def slope(dof):
            return np.log(dof / 2) - digamma(dof / 2) + surplus

        low, high = DOF_RANGE
        if slope(low) <= 0:
            return self._replace(dof=low)
        return self._replace(dof=high if slope(high) >= 0 else brentq(slope, low, high))

    def bound(self):
        """Expected logarithm of the prior plus the entropy."""
        if np.isinf(self.dof):
            return 0.0
        half, logs = self.dof / 2, self.expected_logs
        priors = half * np.log(half) - gammaln(half) + (half - 1) * logs - half * self.means
        rates = self.shapes / self.means
        entropies = self.shapes - np.log(rates) + gammaln(self.shapes)
        entropies += (1 - self.shapes) * digamma(self.shapes)
        return float((priors + entropies).sum())


def scale_means(dof, counts, errors):
    """Posterior means, given numbers of ratings and expected squared errors over the variance."""
    return np.ones_like(errors) if np.isinf(dof) else (dof + counts) / (dof + errors)


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
    """Weighted sums over the entries of each row: all that its posterior depends on."""

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
    """Normal posteriors of rows, from their sums and the means of their scales.

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
    """Expected squared errors of each row, in its sums' weights."""
    crossed = (weights.means * sums.products).sum(axis=1)
    return np.maximum(sums.ratings - 2 * crossed + (weights.squares * sums.squares).sum(axis=1), 0)


def entry_scales(rows, given, weights, scales):
    """Posterior means of the scales of entries."""
    of_entry = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    if np.isinf(given.rating_dof):
        return np.ones(rows.nnz)
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


class Inference:
    """Posteriors of both sides, improved in turn.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        Ratings less their mean, in double precision; no row and no column is empty.
    items : ndarray of shape (n_items, n_components)
        Factors to start from.
    dofs : tuple of (float or "auto") of length 3
        Of the scales of users, items and ratings; infinite where there are none, "auto": learned.
    n_threads : int, default=1

    Attributes
    ----------
    weights : list of Weights
        Of users and of items.
    scales : list of Scales
        Of users, items and ratings.
    priors : list of Prior
    precision : float
    """

    def __init__(self, X, items, dofs, n_threads=1):
        self.n_threads = n_threads
        n_items, n_components = items.shape
        places = with_data(X, np.arange(X.nnz)).T.tocsr()
        self.rows, self._order = (X, with_data(places, X.data[places.data])), places.data
        self.fixed = n_components + 1, n_components
        covariances = np.broadcast_to(
            FIRST_VARIANCE * np.eye(n_components + 1),
            (n_items, n_components + 1, n_components + 1),
        )
        items = np.pad(items, ((0, 0), (0, 1)))
        self.weights = [None, Weights.of(items, covariances, self.fixed[1])]
        first = np.eye(n_components + 1) / EXTRA_VARIANCE
        self.priors = [Prior(np.zeros(n_components + 1), first)] * 2
        self.precision = 2.0
        self._is_learned = [dof == "auto" for dof in dofs]
        first_dofs = [FIRST_DOF if dof == "auto" else dof for dof in dofs]
        lengths = *X.shape, X.nnz
        self.scales = [Scales.of_prior(*pair) for pair in zip(first_dofs, lengths, strict=True)]
        self._log_dets = [None, None]
        self._errors = None

    def given(self, side):
        """What the posteriors of one side are inferred from, beside the ratings."""
        return Given(
            self.weights[1 - side],
            self.scales[1 - side].means,
            self.priors[side],
            self.fixed[side],
            self.precision,
            self.scales[side].dof,
            self.scales[2].dof,
        )

    def sweep(self, learn_priors=True):
        """Improve all posteriors and priors once; return the bound of the log likelihood."""
        for side in (0, 1):
            self.update_rows(side)
            if learn_priors:
                self.update_prior(side)
        self.update_precision()
        if learn_priors:
            self.update_dofs()
        return self.bound()

    def update_rows(self, side):
        """Improve vectors and scales of all rows of a side; with those of users, of ratings."""
        rows, given = self.rows[side], self.given(side)
        scales, rating_scales = self.scales[side].means, self.scales[2].means
        if side == 1:
            rating_scales = rating_scales[self._order]

        def update(block):
            part, of_part = rows[block], scales[block]
            entries = slice(rows.indptr[block.start], rows.indptr[block.stop])
            sums = sum_entries(part, given, rating_scales[entries])
            weights, log_dets = infer_weights(sums, given, of_part)
            errors = squared_errors(sums, weights)
            counts = np.diff(part.indptr)
            of_part = scale_means(given.dof, counts, given.precision * errors)
            found = entry_scales(part, given, weights, of_part) if side == 0 else ()
            return *weights, log_dets, errors, of_part, found

        blocks = row_blocks(rows.shape[0], row_bytes(given.others), self.n_threads)
        parts = zip(*map_blocks(update, blocks, self.n_threads), strict=True)
        means, squares, log_dets, errors, found, of_ratings = map(np.concatenate, parts)
        self.weights[side] = Weights(means, squares)
        self._log_dets[side], self._errors = log_dets.sum(), errors
        self.scales[side] = self.scales[side].given(np.diff(rows.indptr), found)
        if side == 0:
            self.scales[2] = self.scales[2].given(1, of_ratings)

    def update_prior(self, side):
        self.priors[side] = Prior.learned(self.weights[side].squares, self.fixed[side])

    def update_precision(self):
        """The precision that fits best, after an update of the items' rows."""
        total = self.scales[1].means @ self._errors
        self.precision = self.rows[0].nnz / max(total, self.rows[0].nnz * SMALLEST_NOISE)

    def update_dofs(self):
        for number, is_learned in enumerate(self._is_learned):
            if is_learned:
                self.scales[number] = self.scales[number].learned()

    def bound(self):
        """Lower bound of the log likelihood with that of the priors, after a sweep."""
        counts = [np.diff(rows.indptr) for rows in self.rows]
        n_ratings = self.rows[0].nnz
        logs = sum(
            count @ scales.expected_logs
            for count, scales in zip(counts, self.scales, strict=False)
        )
        logs += self.scales[2].expected_logs.sum() + n_ratings * np.log(
            self.precision / (2 * np.pi)
        )
        errors = self.precision * (self.scales[1].means @ self._errors)
        bound = (logs - errors) / 2 + sum(scales.bound() for scales in self.scales)
        for weights, prior, fixed, log_dets in zip(
            self.weights, self.priors, self.fixed, self._log_dets, strict=True
        ):
            n_free = weights.means.size - len(weights.means)
            bound += (prior.bound(weights.squares, fixed) + log_dets + n_free) / 2
        return float(bound)


def row_bytes(others):
    """Bytes that the inference of a row holds at its peak."""
    return 6 * 8 * others.means.shape[1] ** 2
