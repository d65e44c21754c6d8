"""Batched least squares: one small ridge regression for each row of a sparse matrix.

Row u of a ratings matrix has the entries :math:`y_{uj}`, and each column j a vector of features
:math:`f_j`. The features of a row's entries are the rows of F, which may be padded with zeros. All
follows from the inverse of :math:`F'F + \\lambda I`, or, where a row has fewer entries than
features, from that of the smaller :math:`FF' + \\lambda I`. That one is also better conditioned
there, since :math:`\\lambda` is always an eigenvalue of the larger one.
"""

import torch


def ridge(features, targets, penalties, advice, with_losses=True):
    r"""Minimise :math:`\|y - F w\|^2 + \lambda \|w\|^2` for each row, and for each target.

    Parameters
    ----------
    features : tensor of shape (n_rows, length, n_features)
    targets : tensor of shape (n_rows, length, n_targets)
    penalties : tensor of shape (n_rows,)
    advice : str
        What to do if a problem is singular, in terms of parameters that the user can set.
    with_losses : bool, default=True

    Returns
    -------
    weights : tensor of shape (n_rows, n_features, n_targets)
    losses : float64 tensor of shape (n_rows, n_targets, n_targets) or None
        The minima on the diagonal, in general the inner products :math:`y_i'(y_j - F w_j)`.
    """
    factors = _penalized_factors(features, penalties, advice)
    if _has_few_entries(features):
        solved = torch.cholesky_solve(targets, factors)
        weights = torch.bmm(features.mT, solved)
        if not with_losses:
            return weights, None
        return weights, penalties[:, None, None] * _inner_products(targets, solved)
    moments = torch.bmm(features.mT, targets)
    weights = torch.cholesky_solve(moments, factors)
    if not with_losses:
        return weights, None
    return weights, _inner_products(targets, targets) - _inner_products(moments, weights)


def _inner_products(left, right):
    products = left[:, :, :, None] * right[:, :, None]
    return products.sum(dim=1, dtype=torch.float64)


def posterior(features, penalties, advice, with_covariances=True):
    r"""What else follows from :math:`H = F'F + \lambda I` of each row, beside its weights.

    Parameters
    ----------
    features : tensor of shape (n_rows, length, n_features)
    penalties : tensor of shape (n_rows,)
    advice : str
    with_covariances : bool, default=True

    Returns
    -------
    freedom : tensor of shape (n_rows,)
        Degrees of freedom that the weights take up, the trace of :math:`H^{-1} F'F`.
    covariances : tensor of shape (n_rows, n_features, n_features) or None
        :math:`H^{-1}`.
    """
    n_features = features.shape[2]
    factors = _penalized_factors(features, penalties, advice)
    if not _has_few_entries(features):
        inverses = torch.cholesky_inverse(factors)
        traces = inverses.diagonal(dim1=1, dim2=2).sum(dim=1)
        return n_features - penalties * traces, inverses if with_covariances else None
    # F' (FF' + penalty I)^-1 F = R'R
    roots = torch.linalg.solve_triangular(factors, features, upper=False)
    freedom = roots.square().sum(dim=(1, 2))
    if not with_covariances:
        return freedom, None
    identity = torch.eye(n_features, dtype=features.dtype, device=features.device)
    covariances = (identity - torch.bmm(roots.mT, roots)) / penalties[:, None, None]
    if not torch.isfinite(covariances).all():
        raise singular_error(features.dtype, advice)
    return freedom, covariances


def factorize(matrices, advice):
    """Cholesky factors of a batch of matrices, or an error that says what to do."""
    factors, failed = torch.linalg.cholesky_ex(matrices)
    if failed.any():
        raise singular_error(matrices.dtype, advice)
    return factors


def singular_error(dtype, advice):
    """The error where rounding leaves nothing of a solution."""
    remedy = f"{advice}, or compute in float64" if dtype == torch.float32 else advice
    return ValueError(f"A least-squares problem is numerically singular: {remedy}.")


def _has_few_entries(features):
    return features.shape[1] <= features.shape[2]


def _penalized_factors(features, penalties, advice):
    """Cholesky factors of the smaller of both matrices, with the penalty on its diagonal."""
    if _has_few_entries(features):
        gram = torch.bmm(features, features.mT)
    else:
        gram = torch.bmm(features.mT, features)
    gram.diagonal(dim1=1, dim2=2).add_(penalties[:, None])
    return factorize(gram, advice)
