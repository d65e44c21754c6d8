"""Ridge regressions of many rows on the same features, in batches."""

import numpy as np
import torch

from skrec.utils._row_groups import gather, group_rows, map_groups, pad


def ridge_rows(X, features, l2, bias=0.0, device="cpu"):
    r"""Regress the entries of each row on the features of their columns.

    For each row :math:`u` it minimises exactly

    .. math::
        \sum_i (x_{ui} - w_u \cdot h_i - b_u)^2 + \lambda \|w_u\|^2

    Parameters
    ----------
    X : csr_array of shape (n_rows, n_columns)
    features : ndarray of shape (n_columns, n_features)
    l2 : float
        Penalty on the weights, above 0.
    bias : float, default=0.0
        The bias of rows without entries.
    device : torch.device, default="cpu"
        One with double precision.

    Returns
    -------
    weights : ndarray of shape (n_rows, n_features)
        float64.
    biases : ndarray of shape (n_rows,)

    Notes
    -----
    Rows of like length are padded to one length and solved together, through the Gram matrix of
    their entries or that of the features, whichever is smaller.
    """
    features = pad(torch.tensor(np.asarray(features), dtype=torch.float64, device=device))
    weights = features.new_zeros(X.shape[0], features.shape[1])
    biases = features.new_full((X.shape[0],), float(bias))

    def regress(group):
        inputs, ones = gather(features, group), group.is_entry.to(features.dtype)
        weights[group.rows], solved = _solve(inputs, group.values, ones, l2)
        # Nothing is solved for rows without entries.
        biases[group.rows] = torch.where(group.lengths > 0, solved, float(bias))

    map_groups(regress, group_rows(X.astype(np.float64, copy=False), device))
    return weights.cpu().numpy(), biases.cpu().numpy()


def _solve(inputs, targets, ones, l2):
    """Weights and biases of a batch of ridge regressions, padded with zeros.

    Parameters
    ----------
    inputs : tensor of shape (n_rows, n_entries, n_features)
    targets, ones : tensor of shape (n_rows, n_entries)
    l2 : float

    Returns
    -------
    weights : tensor of shape (n_rows, n_features)
    biases : tensor of shape (n_rows,)

    Notes
    -----
    With `P = I - F (F'F + l2 I)^-1 F' = l2 (FF' + l2 I)^-1`, where the rows of F are the inputs,
    the weights drop out: the bias is `1'P x / 1'P 1`. They are then those of `x` less the bias
    times those of a row of ones.
    """
    both = torch.stack([targets, ones], dim=2)
    if inputs.shape[1] <= inputs.shape[2]:
        gram = inputs @ inputs.mT
        gram.diagonal(dim1=1, dim2=2).add_(l2)
        solved = torch.cholesky_solve(both, _factorize(gram))
        projected = l2 * solved
        fits = inputs.mT @ solved
    else:
        gram = inputs.mT @ inputs
        gram.diagonal(dim1=1, dim2=2).add_(l2)
        fits = torch.cholesky_solve(inputs.mT @ both, _factorize(gram))
        projected = both - inputs @ fits
    targets_left, ones_left = (ones[:, :, None] * projected).sum(dim=1).unbind(dim=1)
    biases = targets_left / ones_left.clamp(min=torch.finfo(ones.dtype).tiny)
    return fits[:, :, 0] - biases[:, None] * fits[:, :, 1], biases


def _factorize(gram):
    """Cholesky factors; an error where rounding leaves nothing of a pivot."""
    factor, failed = torch.linalg.cholesky_ex(gram)
    pivots, squares = (matrix.diagonal(dim1=1, dim2=2) for matrix in (factor, gram))
    rounding = torch.finfo(gram.dtype).eps * squares.sum(dim=1, keepdim=True)
    if failed.any() or (pivots.square() < rounding).any():
        raise ValueError("A ridge regression is numerically singular: use a larger l2.")
    return factor
