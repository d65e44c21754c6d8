"""Ridge regressions of many rows on the same features, in batches."""

import numpy as np
import torch

# Bytes of the padded arrays of a batch.
BATCH_BYTES = 2**26


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
    weights = np.zeros((X.shape[0], features.shape[1]))
    biases = np.full(X.shape[0], float(bias))
    lengths = np.diff(X.indptr)
    features = torch.from_numpy(np.array(features, dtype=np.float64)).to(device)
    for rows in _batches(lengths, features.shape[1]):
        width = lengths[rows].max()
        positions = X.indptr[rows][:, None] + np.arange(width)
        stored = np.arange(width) < lengths[rows][:, None]
        positions = np.where(stored, positions, 0)
        ones = torch.from_numpy(stored.astype(np.float64)).to(device)
        targets = np.where(stored, X.data[positions], 0)
        targets = torch.from_numpy(targets.astype(np.float64)).to(device)
        columns = torch.from_numpy(X.indices[positions].astype(np.int64)).to(device)
        inputs = features[columns] * ones[:, :, None]
        solution, intercepts = _solve(inputs, targets, ones, l2)
        weights[rows] = solution.cpu().numpy()
        biases[rows] = intercepts.cpu().numpy()
    return weights, biases


def _batches(lengths, n_features):
    """Yield numbers of rows of like length that fit in a batch; empty rows are left out."""
    order = np.argsort(lengths, kind="stable")
    start = np.searchsorted(lengths[order], 1)
    while start < len(order):
        shortest = int(lengths[order[start]])
        stop = np.searchsorted(lengths[order], shortest + shortest // 8, side="right")
        longest = int(lengths[order[stop - 1]])
        row_bytes = 8 * (longest * n_features + min(longest, n_features) ** 2)
        stop = min(stop, start + max(1, BATCH_BYTES // row_bytes))
        yield order[start:stop]
        start = stop


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
        solved = torch.cholesky_solve(both, torch.linalg.cholesky(gram))
        projected = l2 * solved
        fits = inputs.mT @ solved
    else:
        gram = inputs.mT @ inputs
        gram.diagonal(dim1=1, dim2=2).add_(l2)
        fits = torch.cholesky_solve(inputs.mT @ both, torch.linalg.cholesky(gram))
        projected = both - inputs @ fits
    targets_left, ones_left = (ones[:, :, None] * projected).sum(dim=1).unbind(dim=1)
    biases = targets_left / ones_left
    return fits[:, :, 0] - biases[:, None] * fits[:, :, 1], biases
