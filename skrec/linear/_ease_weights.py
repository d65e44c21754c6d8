"""The two closed forms of EASE's item weights, with the same three verbs."""

import numpy as np
from scipy import sparse

from skrec.solvers._gram import gram_upper, invert_upper, mirror_upper, scale_upper
from skrec.utils._blocks import map_blocks, row_blocks


def _invert_scaled(matrix, diagonal, n_threads, device):
    """Invert a matrix given by its upper triangle and its diagonal, scaled to a unit diagonal.

    Scaling does not change the accuracy. But the condition number is then that which decides about
    it, whatever the units of rows and columns, and no penalty overflows the matrix's precision.

    Returns
    -------
    scale : ndarray of shape (n,)
        float64. The inverse is ``scale[:, None] * matrix * scale``.
    reciprocal_condition : float
    """
    scale = 1 / np.sqrt(diagonal)
    scale_upper(matrix, scale, n_threads)
    np.fill_diagonal(matrix, 1)
    return scale, invert_upper(matrix, device)


class PrimalWeights:
    """``B = -P / diag(P)`` with zero diagonal, as one dense items x items array.

    Parameters
    ----------
    gram : ndarray of shape (n_items, n_items)
        Upper triangle of the Gram matrix; becomes `coef` in place.
    penalty : ndarray of shape (n_items,)
        float64.
    n_threads : int
    device : {"cpu", "cuda"}

    Attributes
    ----------
    precision : ndarray of shape (n_items,)
        Diagonal of `P`.
    reciprocal_condition : float
        Of the scaled matrix that was inverted, in `working_dtype`.
    """

    method = "primal"

    def __init__(self, gram, penalty, n_threads, device):
        self.dtype = self.working_dtype = gram.dtype
        scale, self.reciprocal_condition = _invert_scaled(
            gram, gram.diagonal() + penalty, n_threads, device
        )
        diagonal = gram.diagonal().astype(np.float64)
        self.precision = diagonal * scale**2
        mirror_upper(gram, -1 / (diagonal * scale), n_threads, scale)
        np.fill_diagonal(gram, 0)
        self.coef = gram

    def scores(self, X):
        # By columns of X, each row of coef is read once per block of users, not once per entry.
        X = X.tocsc() if sparse.issparse(X) else X
        return X.astype(self.dtype, copy=False) @ self.coef

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

    Attributes
    ----------
    inverse : ndarray of shape (n_users, n_users)
        `M`.
    precision : ndarray of shape (n_items,)
        Diagonal of `P`.
    reciprocal_condition : float
        Of the scaled matrix that was inverted, in `working_dtype`.
    """

    method = "dual"
    # 1 - q cancels for popular items and a small penalty: float32 would not do.
    working_dtype = np.dtype(np.float64)

    def __init__(self, rows, penalty, n_threads, device):
        self.dtype = rows.dtype
        self.rows = rows = rows.astype(self.working_dtype)
        self.penalty = penalty
        scaled = rows.multiply(1 / np.sqrt(self.penalty)).T.tocsr()
        inverse = gram_upper(scaled, n_threads)  # until it is inverted in place
        scale, self.reciprocal_condition = _invert_scaled(
            inverse, inverse.diagonal() + 1, n_threads, device
        )
        mirror_upper(inverse, scale, n_threads, scale)
        self.inverse = inverse
        self.items = rows.T.tocsr()

        def leverage(block):
            items = self.items[block]
            lines = np.repeat(np.arange(items.shape[0]), np.diff(items.indptr))
            products = (items @ inverse)[lines, items.indices] * items.data
            return np.bincount(lines, weights=products, minlength=items.shape[0])

        blocks = row_blocks(rows.shape[1], 8 * len(inverse), n_threads)
        q = np.concatenate(map_blocks(leverage, blocks, n_threads)) / self.penalty
        if not (q < 1).all():
            raise np.linalg.LinAlgError(
                "method='dual' takes differences of nearly equal numbers, and nothing is left of "
                f"that of item {np.argmin(q < 1)}: use method='primal' or a larger l2."
            )
        self.leverage = q
        self.precision = (1 - q) / penalty

    def scores(self, X):
        X = sparse.csr_array(X).astype(np.float64, copy=False)
        users = (X.multiply(1 / self.penalty) @ self.items).toarray()
        scores = np.ascontiguousarray((users @ self.inverse) @ self.rows)
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
        return np.asarray((self.items[left] @ self.inverse) @ self.items[right].T)
