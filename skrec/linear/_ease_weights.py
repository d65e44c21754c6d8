"""The two closed forms of EASE's item weights, with the same three verbs."""

import numpy as np

from skrec.linear._gram import gram_upper, invert_upper, mirror_upper
from skrec.utils._blocks import map_blocks, row_blocks


class PrimalWeights:
    """``B = -P / diag(P)`` with zero diagonal, as one dense items x items array.

    Parameters
    ----------
    matrix : ndarray of shape (n_items, n_items)
        Upper triangle of the penalised Gram matrix; becomes `coef` in place.
    n_threads : int
    device : {"cpu", "cuda"}
    """

    def __init__(self, matrix, n_threads, device):
        invert_upper(matrix, device)
        mirror_upper(matrix, -1 / matrix.diagonal(), n_threads)
        np.fill_diagonal(matrix, 0)
        self.coef = matrix
        self.dtype = matrix.dtype

    def scores(self, X):
        # By columns of X, each row of coef is read once per block of users, not once per entry.
        return X.astype(self.dtype, copy=False).tocsc() @ self.coef

    def between(self, history, items):
        return self.coef[np.ix_(history, items)]

    def partial_correlations(self, items):
        forward, backward = self.coef[items], self.coef[:, items].T
        return np.copysign(np.sqrt(forward * backward), forward)


class DualWeights:
    r"""The same weights by the Woodbury identity, without an items x items array.

    With :math:`M = (I + R \Lambda^{-1} R^\top)^{-1}` over the training rows `R`, and
    :math:`q = \operatorname{diag}(R^\top M R) / \lambda`, the weights are
    :math:`B_{ij} = (R^\top M R)_{ij} / (\lambda_i (1 - q_j))` off the diagonal.

    Parameters
    ----------
    rows : csr_array of shape (n_users, n_items)
    penalty : ndarray of shape (n_items,)
    n_threads : int
    device : {"cpu", "cuda"}
    """

    def __init__(self, rows, penalty, n_threads, device):
        self.dtype = rows.dtype
        # 1 - q cancels for popular items and a small penalty: float32 would not do.
        self.rows = rows = rows.astype(np.float64)
        self.penalty = penalty
        scaled = rows.multiply(1 / np.sqrt(self.penalty)).T.tocsr()
        inner = gram_upper(scaled, n_threads)
        diagonal = np.einsum("ii->i", inner)
        diagonal += 1
        invert_upper(inner, device)
        mirror_upper(inner, n_threads=n_threads)
        self.inner = inner
        self.items = rows.T.tocsr()

        def leverage(block):
            items = self.items[block]
            lines = np.repeat(np.arange(items.shape[0]), np.diff(items.indptr))
            products = (items @ inner)[lines, items.indices] * items.data
            return np.bincount(lines, weights=products, minlength=items.shape[0])

        blocks = row_blocks(rows.shape[1], 8 * len(inner), n_threads)
        q = np.concatenate(map_blocks(leverage, blocks, n_threads)) / self.penalty
        self.leverage = q

    def scores(self, X):
        X = X.astype(np.float64, copy=False)
        users = (X.multiply(1 / self.penalty) @ self.items).toarray()
        scores = np.ascontiguousarray((users @ self.inner) @ self.rows)
        lines = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        scores[lines, X.indices] -= self.leverage[X.indices] * X.data
        scores /= 1 - self.leverage
        return scores.astype(self.dtype, copy=False)

    def between(self, history, items):
        weights = self._products(history, items) / np.outer(
            self.penalty[history], 1 - self.leverage[items]
        )
        weights[history[:, None] == items] = 0
        return weights

    def partial_correlations(self, items):
        norm = np.sqrt(self.penalty * (1 - self.leverage))
        return self._products(items, slice(None)) / np.outer(norm[items], norm)

    def _products(self, left, right):
        return np.asarray((self.items[left] @ self.inner) @ self.items[right].T)
