"""Batched least squares: one small system for each row of a sparse matrix, solved in groups.

Row u of a ratings matrix has the entries :math:`y_{uj}`, and each column j a vector of features
:math:`f_j`. The sums over the entries of a row make the normal equations of its weights.
"""

import torch


def normal_equations(features, targets):
    """Sums of ``f f'`` and of ``f y`` over the entries of each row.

    Parameters
    ----------
    features : tensor of shape (n_rows, length, n_features)
    targets : tensor of shape (n_rows, length)

    Returns
    -------
    gram : tensor of shape (n_rows, n_features, n_features)
    moment : tensor of shape (n_rows, n_features)
    """
    transposed = features.transpose(1, 2)
    moment = torch.bmm(transposed, targets.unsqueeze(2)).squeeze(2)
    return torch.bmm(transposed, features), moment


def factorize(precision):
    """Cholesky factors of a batch of matrices, or an error that says what to do."""
    factor, failed = torch.linalg.cholesky_ex(precision)
    if failed.any():
        raise ValueError(
            "A least-squares problem is numerically singular: use a larger l2, or pass X as "
            "float64."
        )
    return factor


def solve(factor, right):
    """Solve a batch of systems, given the Cholesky factors of their matrices."""
    return torch.cholesky_solve(right.unsqueeze(2), factor).squeeze(2)
