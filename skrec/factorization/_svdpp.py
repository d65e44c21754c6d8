"""SVD++: matrix factorisation of ratings that reads, besides, which items a user has rated."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_random_state

from skrec.base import BaseRecommender, FactorMixin, RatingMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.factorization._implicit_factors import CPU, ImplicitSweeps, choice_sums, products_at
from skrec.solvers._alternating import Objective, fold_in
from skrec.solvers._offsets import with_data
from skrec.solvers._row_groups import group_rows
from skrec.solvers._sweeps import repeat_sweeps
from skrec.utils._compat import Interval
from skrec.utils._memory import check_memory


class SVDpp(FactorMixin, RatingMixin, BaseRecommender):
    r"""SVD++: a factorisation of ratings that also reads which items a user has rated.

    Every item j has implicit factors :math:`y_j`. Those of the items N(u) that a user has rated,
    whatever the ratings, add to the user's factors, which makes a rating

    .. math::
        \hat r_{ui} = \mu + b_u + c_i
        + q_i \cdot \Big(p_u + |N(u)|^{-1/2} \sum_{j \in N(u)} y_j\Big)

    `fit` minimises half the squared errors over the observed entries, plus penalties

    .. math::
        \tfrac12 \sum_u \lambda_u (b_u^2 + \|p_u\|^2)
        + \tfrac12 \sum_i \lambda_i (c_i^2 + \|q_i\|^2) + \tfrac12 \lambda_y \sum_j \|y_j\|^2

    for the users, the implicit factors and the items in turn. N(u) are the stored entries of the
    user's row. For a user to predict for, known or new, their part is a sum over the row, and the
    user's own factors and offset are the exact solution given it.

    Parameters
    ----------
    n_components : int, default=16
        Number of factors.
    l2 : float, default=1.2
        Penalty on squared factors and offsets, of ratings in units of their standard deviation.
    l2_exponent : float, default=0.5
        How that penalty grows with the number n of ratings that a user or an item has: it is
        ``l2 * n**l2_exponent``, where n counts as 25 if it is smaller.
    l2_implicit : float, default=80.0
        Penalty :math:`\lambda_y` on squared implicit factors, the same for all items. The larger
        it is, the closer the model comes to :class:`PMF`.
    max_iter : int, default=30
        Number of sweeps over users and items.
    tol : float, default=1e-4
        Training stops after a sweep that lowers the objective by less than this share of it.
    random_state : int, RandomState instance or None, default=None
        Controls the initial item factors, drawn from N(0, 0.1²). Nothing else is random.
    verbose : int, default=0
        1 shows a progress bar with the objective.

    Attributes
    ----------
    mean_ : float
        Mean of the ratings, which factors and offsets deviate from.
    item_embeddings_ : ndarray of shape (n_items, n_components)
        Factors of the items, 0 for items without ratings.
    item_offsets_ : ndarray of shape (n_items,)
        0 for items without ratings.
    implicit_embeddings_ : ndarray of shape (n_items, n_components)
        Implicit factors of the items, 0 for items without ratings.
    loss_curve_ : list of float
        Objective after each third of a sweep: users, implicit factors, items, users, ... It never
        rises by more than rounding.
    n_iter_ : int
        Number of sweeps.

    See Also
    --------
    PMF : Without implicit factors, and with standard deviations.
    BayesianPMF : Averages over the factors instead of choosing the most probable ones.

    Notes
    -----
    Computed in the precision of `X`, on all cores: pass float32 for speed.

    Users and items are solved for as by :class:`PMF`: exactly up to 31 components, and by two
    steps of conjugate gradients beyond. Between them, where the sums that stand in the parentheses
    are left as they are, the errors do not change, and the implicit factors are those of a ridge
    regression of the sums on the choices: two steps of conjugate gradients, ``10 * nnz * K``
    multiplications, as the entries of each user count together and never in pairs.

    ``transform`` gives a user's factors with the part of the choices.
    :func:`skrec.update` goes on from the items' factors, with all rows.

    References
    ----------
    .. [1] Y. Koren, "Factorization Meets the Neighborhood: a Multifaceted Collaborative Filtering
       Model", KDD 2008. :doi:`10.1145/1401890.1401944`

    Examples
    --------
    >>> from skrec import SVDpp
    >>> X = [[5, 5, 1, 0], [5, 0, 1, 1], [1, 1, 0, 5], [0, 1, 5, 5]]
    >>> model = SVDpp(n_components=1, l2=0.02, l2_implicit=1, random_state=0).fit(X)
    >>> model.predict([[5, 0, 0, 0]]).round(1)
    array([[4.9, 4.8, 2.8, 2.9]])
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "l2": [Interval(Real, 0, None, closed="neither")],
        "l2_exponent": [Interval(Real, 0, 1, closed="both")],
        "l2_implicit": [Interval(Real, 0, None, closed="neither")],
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
        l2=1.2,
        l2_exponent=0.5,
        l2_implicit=80.0,
        max_iter=30,
        tol=1e-4,
        clip=True,
        rating_scale=None,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.l2 = l2
        self.l2_exponent = l2_exponent
        self.l2_implicit = l2_implicit
        self.max_iter = max_iter
        self.tol = tol
        self.clip = clip
        self.rating_scale = rating_scale
        self.random_state = random_state
        self.verbose = verbose

    def _fit(self, X):
        rng = check_random_state(self.random_state)
        items = np.zeros((X.shape[1], self.n_components + 1), X.dtype)
        items[:, :-1] = 0.1 * rng.standard_normal((X.shape[1], self.n_components))
        self._sweep_from(items, np.zeros_like(items[:, :-1]), X)

    def _update(self, change):
        X = change.new.astype(self._item_table.dtype, copy=False)
        # New items begin in the middle of their prior.
        new = ((0, X.shape[1] - len(self._item_table)), (0, 0))
        self._sweep_from(np.pad(self._item_table, new), np.pad(self.implicit_embeddings_, new), X)

    def _sweep_from(self, items, implicit, X):
        """Learn from given factors of the items on."""
        check_memory(
            # Weights with what they are improved from, and the entries in both orders.
            4 * X.dtype.itemsize * sum(X.shape) * items.shape[1] + 40 * X.nnz,
            f"SVDpp with {self.n_components} components on {X.shape[0]} users x {X.shape[1]} items",
            "use a smaller n_components",
        )
        mean = float(X.data.mean(dtype=np.float64)) if X.nnz else 0.0
        objective = Objective(mean, self.l2, self.l2_exponent, True, None)
        sweeps = ImplicitSweeps(objective, X, items, implicit, self.l2_implicit)
        losses = []

        def sweep():
            losses.extend(sweeps.sweep())
            before = losses[-4] if len(losses) > 3 else np.inf
            return losses[-1], before - losses[-1] <= self.tol * before < np.inf

        self.n_iter_ = repeat_sweeps(sweep, self.max_iter, "SVDpp", self.verbose)
        self.loss_curve_, self._objective = losses[: 3 * self.n_iter_], objective
        self.mean_ = self._in_ratings(mean)
        _, self._item_table, self.implicit_embeddings_ = sweeps.sides

    @property
    def item_embeddings_(self):
        """Factors of the items, an array of shape (n_items, n_components)."""
        return self._item_table[:, :-1]

    @property
    def item_offsets_(self):
        """Offsets of the items, an array of shape (n_items,)."""
        return self._in_ratings(self._item_offsets)

    @property
    def _item_offsets(self):
        return self._item_table[:, -1]

    def _fold_in(self, X):
        table = self._item_table
        X = X.astype(table.dtype, copy=False)
        of_choices = choice_sums(X, self.implicit_embeddings_)
        own = with_data(X, X.data - products_at(X, of_choices, self.item_embeddings_))
        weights = fold_in(
            self._objective, group_rows(own, CPU), torch.from_numpy(table), X.shape[0]
        ).numpy()
        return weights[:, :-1] + of_choices, weights[:, -1] + self._objective.intercept
