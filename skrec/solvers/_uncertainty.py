"""Variance of the inner product of two independent Gaussian vectors, for many pairs at once.

Covariances are packed: their lower triangles as vectors, scaled such that the inner product of two
packed matrices is the sum of the products of all their elements.
"""

import numpy as np
import torch


def pack(matrices):
    """Pack symmetric matrices.

    Parameters
    ----------
    matrices : tensor of shape (n, size, size)

    Returns
    -------
    packed : tensor of shape (n, size * (size + 1) / 2)
    """
    size = matrices.shape[-1]
    row, column = torch.tril_indices(size, size, device=matrices.device)
    scale = torch.ones_like(row, dtype=matrices.dtype).masked_fill_(row != column, 2.0**0.5)
    return matrices[:, row, column] * scale


def unpack(packed):
    """Undo `pack`.

    Parameters
    ----------
    packed : tensor of shape (n, size * (size + 1) / 2)

    Returns
    -------
    matrices : tensor of shape (n, size, size)
    """
    size = int((2 * packed.shape[1]) ** 0.5)
    row, column = torch.tril_indices(size, size, device=packed.device)
    scale = torch.ones_like(row, dtype=packed.dtype).masked_fill_(row != column, 2.0**-0.5)
    matrices = packed.new_empty(len(packed), size, size)
    matrices[:, row, column] = packed * scale
    matrices[:, column, row] = packed * scale
    return matrices


def pack_squares(vectors):
    """Pack the outer product of each row of an array with itself.

    Parameters
    ----------
    vectors : ndarray of shape (n, size)

    Returns
    -------
    packed : ndarray of shape (n, size * (size + 1) / 2)
    """
    row, column = np.tril_indices(vectors.shape[1])
    scale = np.where(row == column, 1, np.sqrt(2)).astype(vectors.dtype)
    return vectors[:, row] * vectors[:, column] * scale


class PairVariance:
    r"""Variance of :math:`u \cdot v + b + c`.

    :math:`(u, b)` and :math:`(v, c)` are independent, with covariances
    :math:`\Sigma_u, \Sigma_v`. With the features :math:`f_u = (u, 1), f_v = (v, 1)` at the means,
    the variance is :math:`f_v' \Sigma_u f_v + f_u' \Sigma_v f_u` plus the trace of the product of
    the two covariances without the offsets. All three are inner products of packed matrices.

    Parameters
    ----------
    features : ndarray of shape (n_items, n_weights)
        Of one side.
    covariances : ndarray of shape (n_items, n_packed)
    has_offsets : bool
        Whether the last weight is an offset.
    """

    def __init__(self, features, covariances, has_offsets):
        self._has_offsets = has_offsets
        without_offsets = covariances
        if has_offsets:
            without_offsets = covariances.copy()
            without_offsets[:, -features.shape[1] :] = 0
        self._moments = pack_squares(features) + without_offsets
        self._covariances = covariances

    def of_all(self, features, covariances):
        """Variances of all pairs.

        Parameters
        ----------
        features : ndarray of shape (n_users, n_weights)
            Of the other side.
        covariances : ndarray of shape (n_users, n_packed)

        Returns
        -------
        variances : ndarray of shape (n_users, n_items)
        """
        return covariances @ self._moments.T + pack_squares(features) @ self._covariances.T

    def of_pairs(self, features, covariances, users, items):
        """Variances of some pairs, an array of shape (n_pairs,)."""
        squares = pack_squares(features)
        variances = np.einsum("ij,ij->i", covariances[users], self._moments[items])
        return variances + np.einsum("ij,ij->i", squares[users], self._covariances[items])
