"""Matrix factorisation of ratings by factors that are not negative."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from skrec.base import BaseRecommender, FactorMixin, RatingMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.factorization._non_negative_rows import NonNegativeSweeps, solve_non_negative
from skrec.solvers._sweeps import repeat_sweeps
from skrec.utils._compat import Interval, StrOptions
from skrec.utils._memory import check_memory


class NonNegativePMF(FactorMixin, RatingMixin, BaseRecommender):
    r"""Matrix factorisation of ratings by factors that are not negative (NMF of what is rated).

    A rating is about the inner product of a user's and an item's factors. They minimise

    .. math::
        \tfrac12 \sum_{(u,i)} (r_{ui} - u_u \cdot v_i)^2
        + \tfrac12 \sum_u \lambda_u \|u_u - m\|^2 + \tfrac12 \sum_i \lambda_i \|v_i - n\|^2
        \quad\text{with } u_u, v_i \ge 0

    over the observed entries, by sweeps of coordinate descent over users, then items. Each
    factor adds to a rating and none takes away: a factor is a taste that users have more or less
    of. The factors of a user to predict for, known or new, are the exact solution given the row.

    Parameters
    ----------
    n_components : int, default=16
        Number of factors, or tastes.
    l2 : float, default=3.5
        Penalty, of ratings in units of their standard deviation.
    l2_exponent : float, default=0.25
        How the penalty grows with the number n of ratings that a user or an item has: it is
        ``l2 * n**l2_exponent``.
    prior : {"mean", "zero"}, default="mean"
        What factors are drawn to. "mean": the average user and the average item, `m` and `n`,
        which are learned. "zero": 0
    max_iter : int, default=60
        Number of sweeps over users and items.
    tol : float, default=1e-4
        Training stops after a sweep that lowers the objective by less than this share of it.
    random_state : int, RandomState instance or None, default=None
        Controls the initial item factors, drawn evenly from half to one and a half times what
        makes the mean rating. Nothing else is random.
    verbose : int, default=0
        1 shows a progress bar with the objective.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_components)
        Factors of the items; of those without ratings the average of the others.
    user_mean_, item_mean_ : ndarray of shape (n_components,)
        Averages of the training users' and the items' factors, weighted by the penalties. A user
        without ratings has the first.
    loss_curve_ : list of float
        Objective after each half-sweep: users, items, users, ... It never rises.
    n_iter_ : int
        Number of sweeps.

    See Also
    --------
    PMF : Factors of either sign, with offsets and standard deviations.

    Notes
    -----
    Ratings must not be negative. :func:`skrec.update` fits again.

    References
    ----------
    .. [1] D. D. Lee and H. S. Seung, "Learning the Parts of Objects by Non-Negative Matrix
       Factorization", Nature 401, 1999. :doi:`10.1038/44565`
    .. [2] X. Luo, M. Zhou, Y. Xia and Q. Zhu, "An Efficient Non-Negative
       Matrix-Factorization-Based Approach to Collaborative Filtering for Recommender Systems",
       IEEE Transactions on Industrial Informatics 10(2), 2014. :doi:`10.1109/TII.2014.2308433`

    Examples
    --------
    >>> from skrec import NonNegativePMF
    >>> X = [[5, 5, 1, 0], [5, 0, 1, 1], [1, 1, 0, 5], [0, 1, 5, 5]]
    >>> model = NonNegativePMF(n_components=2, l2=0.1, random_state=0).fit(X)
    >>> model.predict([[0, 5, 0, 0]]).round(1)
    array([[5. , 4.9, 3.5, 3.7]])
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "l2": [Interval(Real, 0, None, closed="neither")],
        "l2_exponent": [Interval(Real, 0, 1, closed="both")],
        "prior": [StrOptions({"mean", "zero"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        **RATING_CONSTRAINTS,
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    _no_update = None

    def __init__(
        self,
        n_components=16,
        *,
        l2=3.5,
        l2_exponent=0.25,
        prior="mean",
        max_iter=60,
        tol=1e-4,
        clip=True,
        rating_scale=None,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.l2 = l2
        self.l2_exponent = l2_exponent
        self.prior = prior
        self.max_iter = max_iter
        self.tol = tol
        self.clip = clip
        self.rating_scale = rating_scale
        self.random_state = random_state
        self.verbose = verbose

    def _check_training(self, X, reset):
        X = super()._check_training(X, reset)
        if X.data.min(initial=0) < 0:
            raise ValueError(
                "Negative values in data passed to X: NonNegativePMF needs ratings of 0 or more, "
                f"got {self._in_ratings(X.data.min()):g}: add the same number to all of them, or "
                "use PMF."
            )
        return X

    def _fit(self, X):
        K = self.n_components
        check_memory(
            16 * sum(X.shape) * K,
            f"NonNegativePMF with {K} components on {X.shape[0]} users x {X.shape[1]} items",
            "use a smaller n_components",
        )
        typical = np.sqrt(X.data.mean(dtype=np.float64) / K) if X.nnz else 0.0
        draws = check_random_state(self.random_state).uniform(0.5, 1.5, (X.shape[1], K))
        penalty = float(self.l2), float(self.l2_exponent)
        sweeps = NonNegativeSweeps(X, typical, typical * draws, penalty, self.prior == "mean")
        losses = []

        def sweep():
            losses.extend(sweeps.sweep())
            before = losses[-3] if len(losses) > 2 else np.inf
            return losses[-1], before - losses[-1] <= self.tol * before < np.inf

        self.n_iter_ = repeat_sweeps(sweep, self.max_iter, "NonNegativePMF", self.verbose)
        self.loss_curve_ = losses
        self.user_mean_, self.item_mean_ = sweeps.means()
        self._penalty, self._user_prior = penalty, sweeps.priors[0]
        items = sweeps.sides[1]
        items[np.bincount(X.indices, minlength=X.shape[1]) == 0] = self.item_mean_
        self.item_embeddings_ = items.astype(X.dtype)

    def _fold_in(self, X):
        start = np.tile(self.user_mean_, (X.shape[0], 1))
        factors = solve_non_negative(
            X, self.item_embeddings_, self._penalty, self._user_prior, start
        )
        is_empty = np.diff(X.indptr) == 0
        factors[is_empty] = self.user_mean_
        return factors.astype(self.item_embeddings_.dtype), np.zeros(len(factors))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
