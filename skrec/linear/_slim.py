"""SLIM: sparse linear weights between items."""

from numbers import Integral, Real

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skrec.base import BaseRecommender, ItemWeightsMixin, SampleWeightMixin
from skrec.linear._slim_solver import slim_weights
from skrec.solvers._offsets import with_data
from skrec.utils._blocks import effective_n_threads
from skrec.utils._compat import Interval, StrOptions
from skrec.utils._warnings import warn


class SLIM(ItemWeightsMixin, SampleWeightMixin, BaseRecommender):
    r"""Sparse linear method: each item is predicted from few others, by an elastic net.

    The weights minimise, for the (weighted) users' matrix :math:`X`,

    .. math::
        \tfrac12 \|X - XB\|_F^2 + \tfrac{l_2}{2} \|B\|_F^2 + l_1 \sum_{ij} |B_{ij}|
        \quad\text{subject to}\quad \operatorname{diag}(B) = 0,\; B \ge 0

    and the score of item `j` for a user with row `x` is :math:`\sum_i x_i B_{ij}`, so users seen
    in training and new ones are treated alike. Without `l1` and the sign this is :class:`EASE`.

    Parameters
    ----------
    l1 : float
        Penalty on the size of weights, in units of users: an item that has fewer users than this
        in common with another, over what its other weights explain, has no weight for it. The
        larger, the fewer weights are stored.
    l2 : float
        Penalty on the squared weights, in units of users, as that of EASE.
    positive : bool
        Whether weights must not be negative. False ranks better where negative evidence counts,
        and keeps several times as many weights.
    n_neighbors : int
        Number of items by cosine, among those with a positive one, that may have a weight for an
        item. No items x items matrix is made then, so that it is for large catalogues. None: all.
    solver : {"cd", "admm"}
        "cd": coordinate descent, column by column on threads; fast where weights are few. "admm":
        alternating directions, products of dense matrices in LAPACK's threads; takes the same time
        however many weights there are, and twice the memory. Not with `n_neighbors`.
    max_iter : int
        Most iterations of a column: sweeps over its weights, or products with the inverse.
    tol : float
        A column is finished where no single weight can lower its objective by more than this share
        of what the objective is without weights.
    n_jobs : int
        Number of threads over columns, of the sparse products and of scoring. None means all
        cores, less where ``OMP_NUM_THREADS`` or a joblib worker says so.

    Attributes
    ----------
    coef_ : csr_array of shape (n_items, n_items)
        Item weights with zero diagonal; column `j` predicts item `j`.
    n_iter_ : int
        Iterations of the column that took most.

    See Also
    --------
    EASE : All weights of all signs, in closed form.
    RP3beta : Weights from random walks, in a moment.

    Notes
    -----
    There is no ``partial_fit``; :func:`skrec.update` fits again. A
    :class:`~sklearn.exceptions.ConvergenceWarning` names the columns that are not finished after
    `max_iter` iterations. ``fit`` raises a MemoryError if the Gram matrix does not fit in the
    available memory.

    References
    ----------
    .. [1] X. Ning and G. Karypis, "SLIM: Sparse Linear Methods for Top-N Recommender Systems",
       ICDM 2011. :doi:`10.1109/ICDM.2011.134`
    .. [2] H. Steck, M. Dimakopoulou, N. Riabov and T. Jebara, "ADMM SLIM: Sparse Recommendations
       for Many Users", WSDM 2020. :doi:`10.1145/3336191.3371774`

    Examples
    --------
    >>> from skrec import SLIM
    >>> X = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]]
    >>> model = SLIM(l1=0.1, l2=1.0).fit(X)
    >>> model.coef_.toarray().round(2)
    array([[0.  , 0.44, 0.11, 0.  ],
           [0.6 , 0.  , 0.22, 0.  ],
           [0.1 , 0.15, 0.  , 0.3 ],
           [0.  , 0.  , 0.45, 0.  ]])
    """

    _parameter_constraints: dict = {
        "l1": [Interval(Real, 0, None, closed="left")],
        "l2": [Interval(Real, 0, None, closed="left")],
        "positive": ["boolean"],
        "n_neighbors": [Interval(Integral, 1, None, closed="left"), None],
        "solver": [StrOptions({"cd", "admm"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "n_jobs": [Integral, None],
    }

    _no_update = None

    def __init__(
        self,
        l1=1.0,
        l2=100.0,
        *,
        positive=True,
        n_neighbors=None,
        solver="cd",
        max_iter=1000,
        tol=1e-8,
        n_jobs=None,
    ):
        self.l1 = l1
        self.l2 = l2
        self.positive = positive
        self.n_neighbors = n_neighbors
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs

    def _fit(self, X, sample_weight):
        if self.solver == "admm" and self.n_neighbors is not None:
            raise ValueError(
                f"n_neighbors={self.n_neighbors} needs solver='cd': solver='admm' computes with "
                "all items at once. Leave one of them out."
            )
        rows = X
        if sample_weight is not None:
            scale = np.sqrt(sample_weight).astype(X.dtype)
            rows = with_data(X, X.data * np.repeat(scale, np.diff(X.indptr)))
        weights = slim_weights(
            rows,
            (self.l1, self.l2, self.positive, self.tol, self.max_iter),
            self.n_neighbors,
            self.solver,
            effective_n_threads(self.n_jobs),
        )
        self.coef_, n_iter, unfinished = weights
        self.n_iter_ = int(n_iter.max())
        if unfinished.any():
            warn(
                f"{unfinished.sum()} of {len(unfinished)} items are not finished after "
                f"max_iter={self.max_iter} iterations: raise it, or tol={self.tol:g}.",
                ConvergenceWarning,
            )

    def _update(self, change):
        self.fit(change.rows, sample_weight=change.sample_weight)
