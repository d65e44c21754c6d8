"""SLIM: sparse linear weights between items."""

from numbers import Integral, Real

from skrec.base import BaseRecommender, ItemWeightsMixin, SampleWeightMixin
from skrec.linear._ease_rows import weighted_rows
from skrec.linear._slim_solver import slim_weights
from skrec.utils._blocks import effective_n_threads
from skrec.utils._compat import Interval, StrOptions


class SLIM(ItemWeightsMixin, SampleWeightMixin, BaseRecommender):
    r"""Sparse linear method: each item is predicted from few others, by an elastic net.

    The weights minimise

    .. math::
        \tfrac12 \|\sqrt{W}(X - XB)\|_F^2 + \tfrac{l_2}{2} \|B\|_F^2 + l_1 \sum_{ij} |B_{ij}|
        \quad\text{subject to}\quad \operatorname{diag}(B) = 0,\; B \ge 0

    with the users' weights :math:`W`, and the score of item `j` for a user with row `x` is
    :math:`\sum_i x_i B_{ij}`. Without `l1` and the sign this is :class:`EASE`.

    Parameters
    ----------
    l1 : float
        Penalty on the size of weights, in units of users (with other entries than 1, of their
        squares): an item that has fewer users than this
        in common with another, beyond those whom other weights explain, has no weight for it.
        The larger, the fewer weights are stored.
    l2 : float
        Penalty on the squared weights, in units of users, like that of EASE.
    user_power : float
        Users with `n` entries count ``n ** -user_power`` times, beside their `sample_weight`;
        `l1` and `l2` are multiplied by the mean of that over all entries. 0 is the published
        model, where long histories decide.
    positive : bool
        Whether weights must not be negative. Without that there are several times as many.
    n_neighbors : int
        Number of items that may have a weight for an item: those of largest cosine, if that is
        above 0. There is no items x items matrix then, which is for large catalogues; with a few
        thousand items, all of them take less time. None means all, as do all but one.
    solver : {"cd", "admm"}
        "cd": coordinate descent, column by column on threads, fast where weights are few.
        "admm": alternating directions, products of dense matrices on LAPACK's threads. It takes
        the same time however many weights there are, and is for those without sign or with a
        small `l1`. Not with `n_neighbors`.
    max_iter : int
        Most iterations of a column: sweeps over its weights, or products with the inverse.
    tol : float
        A column is finished where no single weight can lower its objective by more than this share
        of what the objective is without weights.

    Attributes
    ----------
    coef_ : csr_array of shape (n_items, n_items)
        Item weights with zero diagonal; column `j` predicts item `j`.
    n_iter_ : int
        Iterations of the column that took most.

    See Also
    --------
    EASE : All weights, of both signs, in closed form.
    RP3beta : Weights from random walks, in a moment.

    Notes
    -----
    ``fit`` says with a :class:`~sklearn.exceptions.ConvergenceWarning` if columns are not finished
    after `max_iter` iterations, and raises a MemoryError if the Gram matrix does not fit in the
    available memory. There is no ``partial_fit``; :func:`skrec.update` fits again.

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
    >>> model = SLIM(l1=0.1, l2=1.0, user_power=0).fit(X)
    >>> model.coef_.toarray().round(2)
    array([[0.  , 0.44, 0.11, 0.  ],
           [0.6 , 0.  , 0.22, 0.  ],
           [0.1 , 0.15, 0.  , 0.3 ],
           [0.  , 0.  , 0.45, 0.  ]])
    """

    _parameter_constraints: dict = {
        "l1": [Interval(Real, 0, None, closed="left")],
        "l2": [Interval(Real, 0, None, closed="left")],
        "user_power": [Interval(Real, 0, None, closed="left")],
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
        l1=0.5,
        l2=150.0,
        *,
        user_power=0.5,
        positive=True,
        n_neighbors=None,
        solver="cd",
        max_iter=1000,
        tol=1e-8,
        n_jobs=None,
    ):
        self.l1 = l1
        self.l2 = l2
        self.user_power = user_power
        self.positive = positive
        self.n_neighbors = n_neighbors
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs

    def _fit(self, X, sample_weight):
        rows, sums = weighted_rows(X, sample_weight, self.user_power)
        self.coef_, self.n_iter_ = slim_weights(
            rows,
            self.l1,
            self.l2,
            unit=sums[0] / sums[1] if sums[1] > 0 else 1.0,
            n_neighbors=self.n_neighbors,
            solver=self.solver,
            n_threads=effective_n_threads(self.n_jobs),
            positive=self.positive,
            tol=self.tol,
            max_iter=self.max_iter,
        )

    def _update(self, change):
        self.fit(change.rows, sample_weight=change.sample_weight)
