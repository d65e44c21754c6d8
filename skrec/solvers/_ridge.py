"""Ridge regressions of many rows on the same features, in batches."""

import numpy as np
import torch

from skrec.solvers._least_squares import ridge, singular_error
from skrec.solvers._row_groups import gather, group_rows, map_groups, pad

_ADVICE = "use a larger l2"


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
    Rows of like length are padded to one length and solved together.

    With `P = I - F (F'F + l2 I)^-1 F'`, where the rows of F are the features of the entries x, the
    weights drop out: the bias is `1'P x / 1'P 1`. They are then those of x less the bias times
    those of a row of ones.
    """
    features = pad(torch.tensor(np.asarray(features), dtype=torch.float64, device=device))
    weights = features.new_zeros(X.shape[0], features.shape[1])
    biases = features.new_full((X.shape[0],), float(bias))

    def regress(group):
        inputs, ones = gather(features, group), group.is_entry.to(features.dtype)
        penalties = features.new_full((len(group.rows),), l2)
        both = torch.stack([group.values, ones], dim=2)
        solved, losses = ridge(inputs, both, penalties, _ADVICE)
        left_of_ones = losses[:, 1, 1]
        # Features that explain a row of ones leave the bias to the penalty.
        if (left_of_ones < group.lengths * 16 * torch.finfo(losses.dtype).eps).any():
            raise singular_error(losses.dtype, _ADVICE)
        of_rows = losses[:, 0, 1] / left_of_ones.clamp(min=torch.finfo(losses.dtype).tiny)
        weights[group.rows] = solved[:, :, 0] - of_rows[:, None] * solved[:, :, 1]
        # Nothing is solved for rows without entries.
        biases[group.rows] = torch.where(group.lengths > 0, of_rows, float(bias))

    map_groups(regress, group_rows(X.astype(np.float64, copy=False), device))
    return weights.cpu().numpy(), biases.cpu().numpy()
