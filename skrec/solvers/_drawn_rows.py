"""Ridge regressions of many rows, each of which is drawn to weights of its own."""

import numpy as np
import torch

from skrec.solvers._devices import to_tensor
from skrec.solvers._least_squares import factorize
from skrec.solvers._row_groups import gather, map_groups, pad
from skrec.solvers._torch_state import torch_state


def solve_drawn(groups, others, gram, l2, priors=None):
    """Solve a ridge regression for each row.

    Of a row with the entries e and the targets t, the weights w minimise

        sum_e (t_e - f_e'w)^2 + w' gram w + l2 * ||w - prior||^2

    Those of a row without entries are its prior.

    Parameters
    ----------
    groups : list of RowGroup
        The entries of all rows, in float64.
    others : ndarray of float64 of shape (n_columns, n_weights)
        The features f.
    gram : ndarray of shape (n_weights, n_weights)
        Positive semidefinite.
    l2 : float
    priors : ndarray of shape (n_rows, n_weights), default=None
        None means zeros.

    Returns
    -------
    weights : ndarray of shape (n_rows, n_weights)
    loss : float
        Sum of the minima of rows with entries.
    """
    n_rows = sum(len(group.rows) for group in groups)
    common = gram + l2 * np.eye(others.shape[1])
    with torch_state():
        table, common = pad(to_tensor(others, "cpu")), torch.from_numpy(common)
        weights = table.new_zeros(n_rows, table.shape[1])
        priors = weights.clone() if priors is None else to_tensor(priors, "cpu")

        def solve(group):
            if group.columns.shape[1] == 0:
                weights[group.rows] = priors[group.rows]
                return 0.0
            features = gather(table, group)
            hessian = torch.baddbmm(common, features.mT, features)
            prior = priors[group.rows]
            linear = torch.bmm(features.mT, group.values[:, :, None]).squeeze(2) + l2 * prior
            factors = factorize(hessian, "use a larger l2")
            found = torch.cholesky_solve(linear[:, :, None], factors).squeeze(2)
            weights[group.rows] = found
            constant = group.values.square().sum() + l2 * prior.square().sum()
            return float(constant - (linear * found).sum())

        loss = sum(map_groups(solve, groups))
    return weights.numpy(), loss
