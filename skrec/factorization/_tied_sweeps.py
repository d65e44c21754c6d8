"""Least squares of rows whose features say what their weights are to be near.

The precision matrix of that is the same for all rows. In its axes, and as deviations from what the
features say, the weights have a penalty on each square, as those of any other row.
"""

import numpy as np
import torch

from skrec.factorization._pmf_sweeps import StepSweeps
from skrec.solvers._least_squares import singular_error
from skrec.solvers._pair_products import pair_products
from skrec.solvers._row_kernels import subspace_rows
from skrec.utils._blocks import effective_n_threads, map_blocks, row_blocks

_ADVICE = "use a larger l2"


class TiedSweeps(StepSweeps):
    """Half-sweeps, each of which takes the best P and W of a side before its weights.

    Parameters
    ----------
    objective : Objective
    X : csr_array of shape (n_users, n_items)
    items : ndarray of shape (n_items, n_weights)
        Weights to start from.
    autoencoders : tuple of (TiedAutoencoder or None)
        Of the users, and of the items.
    """

    def __init__(self, objective, X, items, autoencoders):
        super().__init__(objective, X, items, "subspace")
        self._autoencoders = autoencoders

    def _penalty(self, side, sides):
        penalty, autoencoder = super()._penalty(side, sides), self._autoencoders[side]
        return penalty if autoencoder is None else penalty + autoencoder.loss(sides[side]) / 2

    def _improve(self, side, sides):
        autoencoder, table = self._autoencoders[side], sides[side]
        if autoencoder is None:
            return super()._improve(side, sides)
        autoencoder.improve(table)
        axes, diagonal = autoencoder.prior().axes()
        means = autoencoder.moments() @ axes / (self.penalties[side][:, None] + diagonal)
        deviations = (table @ axes - means).astype(table.dtype)
        features = (self._features(sides[1 - side]) @ axes).astype(table.dtype)
        self._step(side, features, diagonal.astype(table.dtype), deviations)
        improved = ((deviations + means) @ axes.T).astype(table.dtype)
        return improved, self._entries.loss() / 2 + self._penalty(side, [improved, improved])


def fold_in(X, objective, table, prior=None, features=None):
    """Weights that minimise the objective of each row, given those of the columns.

    Parameters
    ----------
    X : csr_array of shape (n_rows, n_columns)
    objective : Objective
    table : ndarray of shape (n_columns, n_weights)
    prior : FeaturePrior, default=None
    features : csr_array of shape (n_rows, n_features), default=None
        None leaves the prior out.

    Returns
    -------
    weights : ndarray of shape (n_rows, n_weights)
    """
    n_weights, dtype = table.shape[1], table.dtype
    inputs, offsets = table.astype(np.float64), np.full(len(table), objective.intercept)
    if objective.has_offsets:
        offsets += inputs[:, -1]
        inputs[:, -1] = 1
    axes, diagonal = np.eye(n_weights), np.zeros(n_weights)
    if features is not None:
        axes, diagonal = prior.axes()
        inputs = inputs @ axes

    def solve(block):
        rows, lengths = X[block], np.diff(X[block].indptr)
        penalties = objective.penalty(torch.from_numpy(lengths.astype(np.float64))).numpy()
        means = np.zeros((len(lengths), n_weights))
        if features is not None:
            means = prior.moments(features[block]) @ axes / (penalties[:, None] + diagonal)
        numbers = np.repeat(np.arange(len(lengths)), lengths)
        residuals = pair_products(means, inputs, numbers, rows.indices)
        residuals += offsets[rows.indices] - rows.data
        entries = rows.indptr, rows.indices, np.ones_like(residuals)
        deviations = np.zeros_like(means)
        arrays = entries, residuals, inputs, diagonal, penalties, deviations, n_weights
        if not subspace_rows(0, len(lengths), *arrays):
            raise singular_error(torch.from_numpy(table).dtype, _ADVICE)
        return ((deviations + means) @ axes.T).astype(dtype)

    n_threads = effective_n_threads()
    blocks = row_blocks(X.shape[0], 64 * n_weights, n_threads)
    return np.concatenate(map_blocks(solve, blocks, n_threads))
