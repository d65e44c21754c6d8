"""The two closed forms of EASE's item weights, and a sum of two, with the same three verbs."""

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


def _column_scale(unexplained, relaxation):
    r"""Factor of each column of the weights under the constraint that its diagonal is `<= xi`.

    Of the ridge regression of an item on all items, itself included, the diagonal is
    :math:`q_j = 1 - \lambda_j P_{jj}`. Where that exceeds :math:`\xi`, the constraint binds: the
    column is then :math:`1 - \xi` times that whose diagonal is 0, and otherwise :math:`1 - q_j`
    times. Without relaxation the factor is 1 exactly.

    Parameters
    ----------
    unexplained : ndarray of shape (n_items,)
        ``1 - q``.
    relaxation : float
        In [0, 1).
    """
    return np.clip(unexplained, 1 - relaxation, 1)


class PrimalWeights:
    r"""``B = -P / diag(P)`` with zero diagonal, as one dense items x items array.

    Parameters
    ----------
    gram : ndarray of shape (n_items, n_items)
        Upper triangle of the Gram matrix; becomes `coef` in place.
    penalty : ndarray of shape (n_items,)
        float64.
    n_threads : int, default=1
    device : {"cpu", "cuda"}, default="cpu"
    relaxation : float, default=0.0
        How much of an item may be explained by itself before that is left out, which scales the
        columns of `B`.

    Attributes
    ----------
    column_scale : ndarray of shape (n_items,)
        That scale: 1 without relaxation.
    precision : ndarray of shape (n_items,)
        Diagonal of `P`.
    reciprocal_condition : float
        Of the scaled matrix that was inverted, in `working_dtype`.
    """

    method = "primal"

    def __init__(self, gram, penalty, n_threads=1, device="cpu", relaxation=0.0):
        self.dtype = self.working_dtype = gram.dtype
        scale, self.reciprocal_condition = _invert_scaled(
            gram, gram.diagonal() + penalty, n_threads, device
        )
        diagonal = gram.diagonal().astype(np.float64)
        self.precision = diagonal * scale**2
        self.column_scale = _column_scale(penalty * self.precision, relaxation)
        mirror_upper(gram, -self.column_scale / (diagonal * scale), n_threads, scale)
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
        norm = np.sqrt(self.column_scale).astype(self.dtype)
        return np.copysign(np.sqrt(forward * backward), forward) / np.outer(norm[items], norm)


class DualWeights:
    r"""The same weights by the Woodbury identity, without an items x items array.

    With :math:`M = (I + R \Lambda^{-1} R^\top)^{-1}` over the training rows `R`, and
    :math:`q = \operatorname{diag}(R^\top M R) / \lambda`, the weights are
    :math:`B_{ij} = (R^\top M R)_{ij} / (\lambda_i (1 - q_j))` off the diagonal.

    Parameters
    ----------
    rows : csr_array of shape (n_users, n_items)
    penalty : ndarray of shape (n_items,)
    n_threads : int, default=1
    device : {"cpu", "cuda"}, default="cpu"
    relaxation : float, default=0.0
        As of `PrimalWeights`.

    Attributes
    ----------
    column_scale : ndarray of shape (n_items,)
        As of `PrimalWeights`.
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

    def __init__(self, rows, penalty, n_threads=1, device="cpu", relaxation=0.0):
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
        self.column_scale = _column_scale(1 - q, relaxation)
        self._divisor = (1 - q) / self.column_scale

    def scores(self, X):
        X = sparse.csr_array(X).astype(np.float64, copy=False)
        users = (X.multiply(1 / self.penalty) @ self.items).toarray()
        scores = np.ascontiguousarray((users @ self.inverse) @ self.rows)
        lines = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        scores[lines, X.indices] -= self.leverage[X.indices] * X.data
        scores /= self._divisor
        return scores.astype(self.dtype, copy=False)

    def between(self, history, items):
        weights = self._products(history, items) / np.outer(
            self.penalty[history], self._divisor[items]
        )
        weights[history[:, None] == items] = 0
        return weights

    def partial_correlations(self, items):
        norm = np.sqrt(self.penalty * (1 - self.leverage))
        return self._products(items, slice(None)) / np.outer(norm[items], norm)

    def _products(self, left, right):
        return np.asarray((self.items[left] @ self.inverse) @ self.items[right].T)


class BlendedWeights:
    """Weights of users' rows and of items' features: a sum with shares that add up to 1.

    Parameters
    ----------
    of_users, of_features : PrimalWeights or DualWeights
    share : float
        Share of the features, between 0 and 1.
    """

    def __init__(self, of_users, of_features, share):
        self.of_users, self.of_features, self.share = of_users, of_features, share
        self.dtype, self.method = of_users.dtype, of_users.method

    @property
    def coef(self):
        items = np.arange(len(self.of_users.precision))
        return self.between(items, items)

    def scores(self, X):
        return self._sum("scores", X)

    def between(self, history, items):
        return self._sum("between", history, items)

    def partial_correlations(self, items):
        return self._sum("partial_correlations", items)

    def _sum(self, verb, *arguments):
        of_users, of_features = (
            getattr(weights, verb)(*arguments) for weights in (self.of_users, self.of_features)
        )
        blend = (1 - self.share) * of_users + self.share * of_features
        return blend.astype(self.dtype, copy=False)
