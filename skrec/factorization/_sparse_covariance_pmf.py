"""Matrix factorisation of ratings with covariances of the factors, which are sparse."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from skrec.base import BaseRecommender, UncertainRatingMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.factorization._gaussian_factors import GaussianFactorsMixin
from skrec.factorization._variational import Sweeps, Weights, weights_given
from skrec.solvers._devices import resolve_device, to_tensor
from skrec.solvers._offsets import centered
from skrec.solvers._row_groups import group_rows
from skrec.solvers._sweeps import repeat_sweeps
from skrec.utils._compat import Interval
from skrec.utils._memory import check_memory


class SparseCovariancePMF(GaussianFactorsMixin, UncertainRatingMixin, BaseRecommender):
    r"""Probabilistic matrix factorisation with covariances of the factors, which are sparse.

    The model of :class:`PMF`, whose priors are learned: the factors and the offset of a user are
    normal with the covariance :math:`\Sigma_U`, those of an item with :math:`\Sigma_V`. What is
    not on the diagonal of these is penalised, so that few factors go together, while the
    variances, and that of the noise, are those that suit the ratings. There is no other penalty.

    Parameters
    ----------
    l1 : float
        Penalty :math:`\lambda` on the absolute covariances beside the diagonal, in units of users
        and of items: each adds as much. 0 leaves the covariances free; with a large one the
        factors are independent a priori.
    max_iter : int
        Number of sweeps over users and items.
    tol : float
        Training stops after a sweep that lowers the objective by less than this share of it.
    random_state : int, RandomState instance or None
        Controls the initial item factors, drawn from N(0, 0.3²). Nothing else is random.
    verbose : int
        1 shows a progress bar with the objective.

    Attributes
    ----------
    user_covariance_, item_covariance_ : ndarray of shape (n_weights, n_weights)
        Of the factors and, the last, the offset, in squares of ``rating_unit_``.
    loss_curve_ : list of float
        Objective after each half-sweep: users, items, users, ... It never rises.
    n_iter_ : int
        Number of sweeps.

    See Also
    --------
    BayesianPMF : Averages over draws of the covariances too.
    PMF : The most probable factors, with a given penalty.

    Notes
    -----
    The paper [1]_ finds the most probable factors. Their second moments are then a poor guide to
    the prior: where ratings are few the factors are drawn to 0, the covariances follow, and both
    would end there. Here the factors have normal distributions in place of single values, as in
    variational inference [2]_, and the second moments count their variances too. For all users,
    then all items, in turn, the distributions given the others are exact; then :math:`\Sigma`
    follows, by majorisation and minimisation of

    .. math::
        \tfrac12 \log\det \Sigma + \tfrac12 \operatorname{tr}(\Sigma^{-1} S)
        + \lambda \sum_{k \ne l} |\Sigma_{kl}|

    with the mean second moments :math:`S`, and the noise. Each step lowers the objective, minus a
    bound of the logarithm of the density of the ratings, plus the penalties. It has local minima.

    A user to predict for, known or new, gets the distribution given the user's row. With
    ``return_std=True`` the variance of the inner product is exact for these distributions, and
    the noise is added. A half-sweep takes about ``2 * K**2`` multiplications a rating and
    ``K**3`` a row, where K is the number of weights; the items' covariances are kept,
    ``n_items * K**2 / 2`` numbers.

    References
    ----------
    .. [1] J. Shi, N. Wang, Y. Xia, D.-Y. Yeung, I. King and J. Jia, "SCMF: Sparse Covariance
       Matrix Factorization for Collaborative Filtering", IJCAI 2013.
    .. [2] Y. J. Lim and Y. W. Teh, "Variational Bayesian Approach to Movie Rating Prediction",
       KDD Cup and Workshop 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import SparseCovariancePMF
    >>> X = np.kron([[5, 1], [1, 5]], np.ones((4, 4)))
    >>> model = SparseCovariancePMF(n_components=1, random_state=0).fit(X)
    >>> model.predict([[5, 5, 0, 0, 0, 0, 0, 0]]).round(1)
    array([[5., 5., 5., 5., 1., 1., 1., 1.]])
    """

    _no_update = "its prior covariances belong to all training users together"

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "l1": [Interval(Real, 0, None, closed="left")],
        "fit_offsets": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        **RATING_CONSTRAINTS,
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=16,
        *,
        l1=0.05,
        fit_offsets=True,
        max_iter=20,
        tol=1e-4,
        clip=True,
        rating_scale=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.l1 = l1
        self.fit_offsets = fit_offsets
        self.max_iter = max_iter
        self.tol = tol
        self.clip = clip
        self.rating_scale = rating_scale
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _fit(self, X):
        n_weights = self.n_components + int(self.fit_offsets)
        check_memory(
            # Means and covariances of both sides, one of them before and after a half-sweep.
            X.dtype.itemsize * (sum(X.shape) + max(X.shape)) * n_weights * (n_weights + 3) // 2,
            f"SparseCovariancePMF with {self.n_components} components on {X.shape[0]} users x "
            f"{X.shape[1]} items",
            "use a smaller n_components",
        )
        self._mean = float(X.data.mean(dtype=np.float64)) if X.nnz else 0.0
        self._has_offsets = self.fit_offsets
        rng = check_random_state(self.random_state)
        items = 0.3 * rng.standard_normal((X.shape[1], n_weights))
        items[:, self.n_components :] = 0
        device = resolve_device(self.device, needs_float64=True)
        X, start = centered(X, self._mean, X.dtype), items.astype(X.dtype)
        sweeps = Sweeps(X, start, self.l1, self.fit_offsets, self.tol, device)
        self.loss_curve_ = sweeps.losses
        self.n_iter_ = repeat_sweeps(
            sweeps.sweep, self.max_iter, "SparseCovariancePMF", self.verbose
        )
        self._item_table, self._item_covariances = (part.cpu().numpy() for part in sweeps.items)
        self.user_covariance_, self.item_covariance_ = sweeps.priors
        self._noise_variance = sweeps.noise_variance

    def _weights_of(self, X):
        device = resolve_device(self.device, missing_ok=True, needs_float64=True)
        items = self._item_table, self._item_covariances
        weights, _ = weights_given(
            group_rows(centered(X, self._mean, self._item_table.dtype), device),
            X.shape[0],
            Weights(*(to_tensor(part, device) for part in items)),
            self._has_offsets,
            self._noise_variance,
            self.user_covariance_,
        )
        return tuple(part.cpu().numpy() for part in weights)
