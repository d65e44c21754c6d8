"""Least squares of rows whose features say what their weights are to be near.

The precision matrix of that is the same for all rows. In its axes, and as deviations from what the
features say, the weights have a penalty on each square, as those of any other row.
"""

import numpy as np
import torch
from sklearn.utils import check_random_state

from skrec.factorization._denoising import TiedAutoencoder
from skrec.factorization._pmf_sweeps import StepSweeps
from skrec.solvers._least_squares import singular_error
from skrec.solvers._pair_products import pair_products
from skrec.solvers._row_kernels import subspace_rows
from skrec.solvers._sweeps import repeat_sweeps
from skrec.utils._blocks import effective_n_threads, map_blocks, row_blocks
from skrec.utils._memory import check_memory

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


def autoencoders(features, units, weights, *settings):
    """A `TiedAutoencoder` for each side that has features, in their units, or None."""
    for of_side in features:
        n_features = 0 if of_side is None else of_side.shape[1]
        check_memory(
            40 * n_features**2,  # second moments of the features, and what is made of them
            f"The autoencoder of {n_features} features",
            "leave out the rarest of them, or reduce them, for example by TruncatedSVD",
        )
    return [
        None if of_side is None else TiedAutoencoder(of_side / of_columns, weight, *settings)
        for of_side, of_columns, weight in zip(features, units, weights, strict=True)
    ]


def initial_items(X, n_components, has_offsets, random_state):
    """Draw the items' weights to start from, an array of shape (n_items, n_weights)."""
    n_weights = n_components + int(has_offsets)
    check_memory(
        X.dtype.itemsize * 3 * sum(X.shape) * n_weights,
        f"MDACF with {n_components} components on {X.shape[0]} users x {X.shape[1]} items",
        "use a smaller n_components",
    )
    rng = check_random_state(random_state)
    items = np.zeros((X.shape[1], n_weights), dtype=X.dtype)
    items[:, :n_components] = 0.1 * rng.standard_normal((X.shape[1], n_components))
    return items


def sweep_all(objective, X, items, sides, max_iter, tol, verbose):
    """Make sweeps from given weights of the items until they are over.

    Returns
    -------
    items : ndarray of shape (n_items, n_weights)
    losses : list of float
        After each half-sweep.
    n_sweeps : int
    """
    sweeps, losses = TiedSweeps(objective, X, items, sides), []

    def sweep():
        losses.extend(sweeps.sweep())
        before = losses[-3] if len(losses) > 2 else np.inf
        return losses[-1], before - losses[-1] <= tol * before < np.inf

    n_sweeps = repeat_sweeps(sweep, max_iter, "MDACF", verbose)
    return sweeps.sides[1], losses, n_sweeps


def fold_in(X, objective, factors, offsets, prior=None, features=None):
    """Factors and offsets that minimise the objective of each row, given those of the columns.

    Parameters
    ----------
    X : csr_array of shape (n_rows, n_columns)
    objective : Objective
    factors : ndarray of shape (n_columns, n_components)
    offsets : ndarray of shape (n_columns,)
    prior : FeaturePrior, default=None
    features : csr_array of shape (n_rows, n_features), default=None
        None leaves the prior out.

    Returns
    -------
    factors : ndarray of shape (n_rows, n_components)
    offsets : ndarray of shape (n_rows,)
        The intercept included.
    """
    n_components, dtype = factors.shape[1], factors.dtype
    inputs = np.ones((len(factors), n_components + int(objective.has_offsets)))
    inputs[:, :n_components] = factors
    n_weights = inputs.shape[1]
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
        residuals += objective.intercept + offsets[rows.indices] - rows.data
        entries = rows.indptr, rows.indices, np.ones_like(residuals)
        deviations = np.zeros_like(means)
        arrays = entries, residuals, inputs, diagonal, penalties, deviations, n_weights
        if not subspace_rows(0, len(lengths), *arrays):
            raise singular_error(torch.from_numpy(factors).dtype, _ADVICE)
        return (deviations + means) @ axes.T

    n_threads = effective_n_threads()
    blocks = row_blocks(X.shape[0], 64 * n_weights, n_threads)
    weights = np.concatenate(map_blocks(solve, blocks, n_threads)).astype(dtype)
    found = weights[:, n_components:].sum(axis=1) + dtype.type(objective.intercept)
    return weights[:, :n_components], found
