"""iALS: matrix factorisation of choices by alternating least squares."""

from numbers import Integral, Real

import numpy as np

from skrec.base import BaseRecommender, ExplainMixin, FactorMixin
from skrec.factorization._ials_solver import Objective, exact_rows, sums_of_squares
from skrec.factorization._ials_training import SWEEP_CONSTRAINTS, SweepTrainingMixin
from skrec.solvers._devices import resolve_device
from skrec.solvers._row_groups import group_rows
from skrec.utils._compat import Interval, StrOptions


class IALS(SweepTrainingMixin, ExplainMixin, FactorMixin, BaseRecommender):
    r"""Weighted matrix factorisation of choices by alternating least squares (iALS, WMF).

    A user's score of an item is the inner product of their factors, :math:`u \cdot v_i`. `fit`
    wants it near 1 where there is an entry, and near 0, with a small weight, everywhere:

    .. math::
        \sum_{(u,i)} c_{ui} (1 - u \cdot v_i)^2 + \alpha \sum_{u,i} (u \cdot v_i)^2
        + \sum_u \lambda_u \|u\|^2 + \sum_i \lambda_i \|v_i\|^2

    All users' factors are improved given the items', and the other way round, in turn. Those of a
    new user are the exact solution given the row, and so are those of training users when they
    are asked for.

    Parameters
    ----------
    n_components : int, default=256
        Number of factors. More are better, if slowly: try 512 or more where there are millions
        of entries. More than there are users or items are of no use.
    unobserved_weight : float, default=0.2
        Weight :math:`\alpha` of all pairs, those without an entry included. The first thing to
        tune, together with `l2`. Less of it suits larger catalogues: 0.1 MovieLens 20M.
    l2 : float, default=0.0075
        Penalty for each entry: a user with entries of the total confidence n has
        :math:`\lambda_u = l2\,(n + \alpha \cdot \text{n\_items})`, and an item in the same way.
    l2_exponent : float, default=1.0
        Exponent of that parenthesis. 0 is the same penalty for all. The penalties are then
        multiplied by what leaves their sum as it was, so that the same `l2` suits all exponents.
    confidence : {"binary", "linear", "log"}, default="binary"
        What the values of entries mean: "binary" nothing, all confidences :math:`c_{ui}` are 1;
        "linear" takes them, and "log" :math:`\log(1 + x / \text{their mean})`, each divided by its
        mean over the training entries.
    solver : {"cg", "subspace", "cholesky"}, default="cg"
        How a side is improved. "cg": two steps of conjugate gradients, the fastest by far.
        "subspace" (iALS++): exactly up to 32 factors, and over blocks of 16 beyond, one after the
        other. "cholesky": exactly over all. They end in the same place.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_components)
        Factors of the items, in axes in which they are uncorrelated, the largest first.

    See Also
    --------
    PMF : For ratings: only what is observed counts.
    EASE : Weights of full rank, without a random start.

    Notes
    -----
    A sweep takes about ``12 * nnz * n_components`` multiplications with "cg", twice as many
    with "subspace", and ``2 * nnz * n_components**2`` with "cholesky" where rows are long; all
    take ``3 * (n_users + n_items) * n_components**2`` more. Nothing of users x items is formed.

    ``explain`` splits a score by the history as in [1]_. There is no ``partial_fit``: what the
    training users say of an item is a matrix of n_components x n_components for each.
    :func:`skrec.update` goes on from the items' factors, with all rows.

    References
    ----------
    .. [1] Y. Hu, Y. Koren and C. Volinsky, "Collaborative Filtering for Implicit Feedback
       Datasets", ICDM 2008. :doi:`10.1109/ICDM.2008.22`
    .. [2] S. Rendle, W. Krichene, L. Zhang and Y. Koren, "Revisiting the Performance of iALS on
       Item Recommendation Benchmarks", RecSys 2022. :doi:`10.1145/3523227.3548486`
    .. [3] S. Rendle, W. Krichene, L. Zhang and Y. Koren, "iALS++: Speeding up Matrix Factorization
       with Subspace Optimization", 2021. :arxiv:`2110.14044`

    Examples
    --------
    >>> from skrec import IALS
    >>> X = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]]
    >>> model = IALS(2, random_state=0).fit(X)
    >>> model.recommend([[0, 0, 1, 0]], k=3)
    array([[3, 1, 0]])
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "unobserved_weight": [Interval(Real, 0, None, closed="left")],
        "l2": [Interval(Real, 0, None, closed="neither")],
        "l2_exponent": [Interval(Real, 0, None, closed="left")],
        "confidence": [StrOptions({"binary", "linear", "log"})],
        "solver": [StrOptions({"cg", "subspace", "cholesky"})],
        **SWEEP_CONSTRAINTS,
    }

    def __init__(
        self,
        n_components=256,
        *,
        unobserved_weight=0.2,
        l2=0.0075,
        l2_exponent=1.0,
        confidence="binary",
        solver="cg",
        max_iter=10,
        tol=0.0,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=3,
        warm_start=False,
        dtype="float32",
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.unobserved_weight = unobserved_weight
        self.l2 = l2
        self.l2_exponent = l2_exponent
        self.confidence = confidence
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.dtype = dtype
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _objective_of(self, X):
        settings = self.confidence, self.unobserved_weight, self.l2, self.l2_exponent
        return Objective.for_rows(X, *settings)

    def _initial_items(self, n_items, rng, dtype):
        items = np.empty((n_items, self.n_components), dtype)
        for row in items:  # the draws are in double precision
            row[:] = rng.normal(0, 0.1 / np.sqrt(self.n_components), self.n_components)
        return items

    def _fold_in(self, X):
        return self._solve_for(X, self._objective, self.item_embeddings_)

    def _solve_for(self, X, objective, items):
        device = resolve_device(self.device, missing_ok=True, needs_float64=True)
        weighted = objective.weighted(X.astype(items.dtype, copy=False))
        diagonal = objective.unobserved_weight * sums_of_squares(items)
        penalties = objective.penalties(weighted)
        groups = group_rows(weighted, device)
        factors, _ = exact_rows(groups, items, diagonal, penalties, X.shape[0])
        return factors, np.zeros(X.shape[0], dtype=items.dtype)

    def _contributions(self, row, explained):
        weighted = self._objective.weighted(row.astype(np.float64))
        return super()._contributions(weighted, explained)

    def _weights_of(self, row, items):
        vectors = self.item_embeddings_.astype(np.float64)
        penalty = self._objective.penalties(row)[0]
        history = vectors[row.indices]
        hessian = (history.T * row.data) @ history
        hessian += np.diag(self._objective.unobserved_weight * np.square(vectors).sum(axis=0))
        hessian += np.diag(np.full(len(hessian), penalty))
        return history @ np.linalg.solve(hessian, vectors[items].T)
