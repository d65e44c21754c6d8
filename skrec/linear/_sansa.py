"""SANSA: EASE by a sparse approximate inverse, for catalogues of any size."""

from numbers import Integral, Real

import numpy as np
from scipy import sparse

from skrec.base import BaseRecommender, ExplainMixin
from skrec.solvers._sparse_inverse import sparse_inverse
from skrec.solvers._sparse_products import dense_product
from skrec.utils._blocks import effective_n_threads
from skrec.utils._compat import Interval
from skrec.utils._memory import check_memory

_N_NEIGHBORS = 50


class SANSA(ExplainMixin, BaseRecommender):
    r"""EASE without an items x items array: Scalable Approximate NonSymmetric Autoencoder.

    EASE scores with the inverse of :math:`A = X^\top X + l_2 I`. Here it is approximated by
    sparse factors, :math:`A^{-1} \approx P = W^\top D^{-1} W`, where `W` is triangular with a
    unit diagonal. The weights are EASE's, :math:`B_{ij} = -P_{ij} / P_{jj}` off the diagonal and
    0 on it, and stay a product of two sparse matrices. With all entries of `W` the model is EASE.

    Parameters
    ----------
    l2 : float
        Penalty on the squared weights, in units of users, as that of :class:`EASE`.
    density : float in (0, 1], default=None
        Share of the items that a row of `W` has entries for, its diagonal included: size of the
        model, time of a fit and of scoring grow with it. None: those of 50 other items, or of all
        if there are fewer.

    Attributes
    ----------
    left_ : csr_array of shape (n_items, 2 * n_items)
        :math:`W^\top`, and beside it the identity.
    right_ : csr_array of shape (2 * n_items, n_items)
        :math:`-D^{-1} W` with its columns divided by :math:`P_{jj}`, and below it the identity.
        ``X @ left_ @ right_`` are the scores.

    See Also
    --------
    EASE : The same with the exact inverse.

    Notes
    -----
    The paper factorises `A` incompletely, or exactly and cuts the factor, and inverts it by a
    series. Here each row of `W` is the regression of an item on some of the more popular ones,
    which is the best that entries in these places can do [2]_, cannot break down, needs no row
    but its own and no denser factor on the way. On MovieLens 1M the incomplete factor ranks far
    worse at equal density; the exact one ranks alike (``benchmarks/sparse_inverse.py``). Twice
    as many items as are kept are tried, those with the largest cosines, and those whose weights
    tell most are kept; items without a user in common are not tried unless all are kept. Equally
    popular items are taken in the order of their columns.

    A row with `k` entries costs some :math:`k^3` operations: from several hundred on EASE, or a
    density of 1, is quicker. Scores of items that are in the row itself are differences of nearly
    equal numbers where `l2` is far above the items' sums of squares; use float64 there.

    ``similar_items`` goes by the partial correlation :math:`-P_{ij} / \sqrt{P_{ii} P_{jj}}`, as
    for EASE.

    References
    ----------
    .. [1] M. Spišák, R. Bartyzal, A. Hoskovec, L. Peska and M. Tůma, "Scalable Approximate
       NonSymmetric Autoencoder for Collaborative Filtering", RecSys 2023.
       :doi:`10.1145/3604915.3608827`
    .. [2] F. Schäfer, M. Katzfuss and H. Owhadi, "Sparse Cholesky Factorization by
       Kullback-Leibler Minimization", SIAM Journal on Scientific Computing 43(3), 2021.
       :doi:`10.1137/20M1336254`

    Examples
    --------
    >>> from skrec import SANSA
    >>> X = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]]
    >>> model = SANSA(l2=1.0).fit(X)
    >>> model.recommend([[0, 0, 0, 1]], k=1)
    array([[2]])
    """

    _parameter_constraints: dict = {
        "l2": [Interval(Real, 0, None, closed="neither")],
        "density": [Interval(Real, 0, 1, closed="right"), None],
        "n_jobs": [Integral, None],
    }

    _no_update = None

    def __init__(self, l2=500.0, *, density=None, n_jobs=None):
        self.l2 = l2
        self.density = density
        self.n_jobs = n_jobs

    def _check_training(self, X, reset):
        X = super()._check_training(X, reset)
        n_entries = X.shape[1] * (1 + n_neighbors(X.shape[1], self.density))
        check_memory(
            64 * n_entries,
            f"SANSA(density={self.density}) on {X.shape[1]} items",
            "use a lower density or drop rare items (Interactions.filter(min_users_per_item=...))",
        )
        return X

    def _fit(self, X):
        n_kept = n_neighbors(X.shape[1], self.density)
        inverse = sparse_inverse(X, self.l2, n_kept, effective_n_threads(self.n_jobs))
        factor, self._residuals = inverse
        scaled = factor.multiply(1 / self._residuals[:, None]).tocsr()
        self._precision = factor.multiply(scaled).sum(axis=0)
        scaled.data /= -self._precision[scaled.indices]
        identity = sparse.eye_array(X.shape[1])
        self.left_ = sparse.hstack([factor.T, identity], format="csr", dtype=X.dtype)
        self.right_ = sparse.vstack([scaled, identity], format="csr", dtype=X.dtype)

    @property
    def _sparse_right(self):
        return self.right_

    def _sparse_left(self, X):
        return X @ self.left_

    def _weights_between(self, history, items):
        rows, columns = self.left_[history], self.left_[items]
        n_items = self.left_.shape[0]
        rows, columns = rows[:, :n_items], columns[:, :n_items]
        weights = (rows.multiply(-1 / self._residuals) @ columns.T).toarray()
        weights /= self._precision[items]
        weights[history[:, None] == items] = 0
        return weights

    def _similarities(self, items):
        weights = dense_product(self.left_[items], self.right_)
        return weights * np.sqrt(self._precision / self._precision[items, None])


def n_neighbors(n_items, density):
    """Items that one is regressed on at most."""
    if density is None:
        return min(_N_NEIGHBORS, n_items - 1)
    n_kept = int(density * n_items * (1 + 1e-12)) - 1
    if n_kept < min(1, n_items - 1):
        raise ValueError(
            f"density={density:g} keeps nothing of {n_items} items but the diagonal: it must be "
            f"at least 2 / n_items = {2 / n_items:.3g}, or None."
        )
    return n_kept
