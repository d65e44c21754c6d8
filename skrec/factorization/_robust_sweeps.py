"""Sweeps of variational inference over users and items."""

import numpy as np

from skrec.base._ratings import SMALLEST_NOISE
from skrec.factorization._noise_scales import Scales, scale_means
from skrec.factorization._robust_posterior import (
    Given,
    Prior,
    Weights,
    entry_scales,
    infer_weights,
    row_bytes,
    squared_errors,
    sum_entries,
)
from skrec.solvers._offsets import with_data
from skrec.utils._blocks import map_blocks, row_blocks

FIRST_DOF = 10.0
FIRST_PRECISION = 2.0
# Wide, as factors that a narrow prior has left out hardly come back.
FIRST_PRIOR_PRECISION = 2.0
FIRST_VARIANCE = 0.01
# Sweeps before priors are learned, while the vectors are far from what they will be.
N_FIRST_SWEEPS = 5


class Inference:
    """Posteriors of both sides, improved in turn: each update raises the bound.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    mean : float
        What the ratings deviate from.
    items : ndarray of shape (n_items, n_components)
        Factors to start from.
    dofs : tuple of (float, "auto" or None) of length 3
        Degrees of freedom of the scales of users, items and ratings: "auto" are learned, and None
        stands for no such scales.
    n_threads : int, default=1

    Attributes
    ----------
    rated : ndarray of int
        Items that have ratings, the only ones that there are below; all if none has.
    weights : list of Weights
        Of users that have ratings, and of items.
    scales : list of Scales
        Of users, items and ratings.
    priors : list of Prior
        Of users and items.
    fixed : tuple of (int, int)
        Positions of the constants in the vectors of users and of items.
    precision : float
    """

    def __init__(self, X, mean, items, dofs, n_threads=1):
        self._n_threads, self._n_sweeps = n_threads, 0
        counts = np.diff(X.indptr), np.bincount(X.indices, minlength=X.shape[1])
        with_ratings, self.rated = (np.flatnonzero(count >= min(X.nnz, 1)) for count in counts)
        X = with_data(X, X.data.astype(np.float64) - mean)[with_ratings][:, self.rated]
        # Where the entries by item stand among those by user.
        places = with_data(X, np.arange(X.nnz)).T.tocsr()
        self._order = places.data
        self.rows = X, with_data(places, X.data[self._order])
        n_components = items.shape[1]
        size = n_components + 1
        self.fixed = size, n_components
        means = np.pad(items[self.rated], ((0, 0), (0, 1)))
        covariances = np.broadcast_to(FIRST_VARIANCE * np.eye(size), (len(means), size, size))
        self.weights = [None, Weights.of(means, covariances, self.fixed[1])]
        self.priors = [Prior(np.zeros(size), FIRST_PRIOR_PRECISION * np.eye(size))] * 2
        self.precision = FIRST_PRECISION
        self._is_learned = [dof == "auto" for dof in dofs]
        first = [{None: np.inf, "auto": FIRST_DOF}.get(dof, dof) for dof in dofs]
        numbers = *X.shape, X.nnz
        self.scales = [Scales.of_prior(*pair) for pair in zip(first, numbers, strict=True)]
        self._log_dets = [0.0, 0.0]  # of covariances, summed over the rows
        self._errors = np.zeros(len(means))

    @property
    def dofs(self):
        return tuple(scales.dof for scales in self.scales)

    @property
    def learns(self):
        """Whether the last sweep has improved the priors, too."""
        return self._n_sweeps > N_FIRST_SWEEPS

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

    def sweep(self):
        """Improve everything once; return the bound of the log likelihood for each rating."""
        self._n_sweeps += 1
        for side in (0, 1):
            self.update_rows(side)
            if self.learns:
                self.update_prior(side)
        self.update_precision()
        if self.learns:
            self.update_dofs()
        return self.bound() / max(self.rows[0].nnz, 1)

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

        blocks = row_blocks(rows.shape[0], row_bytes(given.others), self._n_threads)
        parts = zip(*map_blocks(update, blocks, self._n_threads), strict=True)
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
        n_ratings = self.rows[0].nnz
        if n_ratings > 0:
            total = self.scales[1].means @ self._errors
            self.precision = n_ratings / max(total, n_ratings * SMALLEST_NOISE)

    def update_dofs(self):
        for number, is_learned in enumerate(self._is_learned):
            if is_learned:
                self.scales[number] = self.scales[number].learned()

    def bound(self):
        """Lower bound of the log likelihood plus the priors' log density, after a sweep."""
        counts = [np.diff(rows.indptr) for rows in self.rows]
        n_ratings = self.rows[0].nnz
        logs = n_ratings * np.log(self.precision / (2 * np.pi))
        for count, scales in zip([*counts, np.ones(n_ratings)], self.scales, strict=True):
            logs += count @ scales.expected_logs
        errors = self.precision * (self.scales[1].means @ self._errors)
        bound = (logs - errors) / 2 + sum(scales.bound() for scales in self.scales)
        for weights, prior, fixed, log_dets in zip(
            self.weights, self.priors, self.fixed, self._log_dets, strict=True
        ):
            n_free = weights.means.size - len(weights.means)
            bound += (prior.bound(weights.squares, fixed) + log_dets + n_free) / 2
        return float(bound)
