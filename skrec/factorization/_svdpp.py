"""SVD++: matrix factorisation of ratings that reads, besides, which items a user has rated."""

import numpy as np
from sklearn.utils import check_random_state

from skrec.base import BaseRecommender, FactorMixin, RatingMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.factorization._implicit_factors import ImplicitSweeps, check_size, users_with_choices
from skrec.factorization._pmf import PMF
from skrec.solvers._alternating import Objective

_AS_PMF = "n_components", "l2", "l2_exponent", "max_iter", "tol", "random_state", "verbose"


class SVDpp(FactorMixin, RatingMixin, BaseRecommender):
    r"""SVD++: a factorisation of ratings that also reads which items a user has rated.

    The items N(u) that a user has rated, the stored entries of the row, add implicit factors
    :math:`y_j` of theirs to the user's own, whatever the ratings:

    .. math::
        \hat r_{ui} = \mu + b_u + c_i
        + q_i \cdot \Big(p_u + |N(u)|^{-1/2} \sum_{j \in N(u)} y_j\Big)

    `fit` minimises the squared errors over the observed entries plus :math:`\sum_u \lambda_u
    (b_u^2 + \|p_u\|^2) + \sum_i \lambda_i (c_i^2 + \|q_i\|^2) + \lambda_y \sum_j \|y_j\|^2`, for
    the users, the implicit factors and the items in turn. For a user to predict for, known or new,
    :math:`p_u` and :math:`b_u` are the exact solution given the rest.

    Parameters
    ----------
    n_components : int, default=16
        Number of factors, and of implicit ones.
    l2 : float, default=1.2
        Penalty on squared factors and offsets, where ratings have the standard deviation 1.
    l2_exponent : float, default=0.5
        A user or an item with n ratings, at least 25, is penalised by ``l2 * n**l2_exponent``.
    l2_implicit : float, default=80.0
        Penalty :math:`\lambda_y` on squared implicit factors, the same for all items.
    max_iter : int, default=30
        Number of sweeps over users, implicit factors and items.
    tol : float, default=1e-4
        The sweep that lowers the objective by less than this share of it is the last.
    random_state : int, RandomState instance or None, default=None
        Controls the initial item factors, drawn from N(0, 0.1²). Nothing else is random.
    verbose : int, default=0
        1 shows a progress bar and the objective.

    Attributes
    ----------
    mean_ : float
        Mean of the training ratings.
    item_offsets_ : ndarray of shape (n_items,)
        0 for items without ratings, as are their factors.
    implicit_embeddings_ : ndarray of shape (n_items, n_components)
        The implicit factors.
    loss_curve_ : list of float
        Half the objective after each third of a sweep. It only rises by rounding.
    n_iter_ : int
        Sweeps that were made.

    See Also
    --------
    PMF : The limit of a large `l2_implicit`, with standard deviations.

    Notes
    -----
    Computed in the precision of `X`, on all cores: pass float32 for speed. Users and items are
    solved for as by :class:`PMF`. Between them the sums in the parentheses, which ``transform``
    gives, stay as they are, and with them the errors: on a ridge regression of the sums on the
    choices two steps of conjugate gradients are made, by ``6 * nnz * n_components`` additions.
    :func:`skrec.update` goes on from the items' factors.

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
    array([[4.9, 4.8, 2.7, 2.8]])
    """

    _parameter_constraints: dict = {
        **{name: PMF._parameter_constraints[name] for name in _AS_PMF},
        "l2_implicit": PMF._parameter_constraints["l2"],
        **RATING_CONSTRAINTS,
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
        check_size(X, self.n_components)
        shape = X.shape[1], self.n_components
        draws = 0.1 * check_random_state(self.random_state).standard_normal(shape)
        items = np.pad(draws.astype(X.dtype), ((0, 0), (0, 1)))
        self._sweep_from(X, items, np.zeros(shape, X.dtype))

    def _update(self, change):
        items, implicit = self._tables
        # New items begin in the middle of their prior.
        new = ((0, change.new.shape[1] - len(items)), (0, 0))
        X = change.new.astype(items.dtype, copy=False)
        self._sweep_from(X, np.pad(items, new), np.pad(implicit, new))

    def _sweep_from(self, X, items, implicit):
        mean = float(X.data.mean(dtype=np.float64)) if X.nnz else 0.0
        self._objective = Objective(mean, self.l2, self.l2_exponent, True, None)
        sweeps = ImplicitSweeps(self._objective, X, items, implicit, self.l2_implicit)
        self.n_iter_, self.loss_curve_ = sweeps.repeat(self.max_iter, self.tol, self.verbose)
        _, items, self.implicit_embeddings_ = sweeps.sides
        self.item_embeddings_, self._item_offsets = items[:, :-1].copy(), items[:, -1].copy()
        self.mean_, self.item_offsets_ = map(self._in_ratings, (mean, self._item_offsets))

    @property
    def _tables(self):
        items = np.column_stack([self.item_embeddings_, self._item_offsets])
        return items, self.implicit_embeddings_

    def _fold_in(self, X):
        users = users_with_choices(self._objective, X, *self._tables)
        return users[:, :-1], users[:, -1] + self._objective.intercept
