"""Probabilistic matrix factorisation with noise of unequal size, by variational inference."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from skrec.base import BaseRecommender, FactorMixin, UncertainRatingMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.factorization._gaussian_factors import UserStates
from skrec.factorization._robust_answers import RatingPosterior
from skrec.factorization._robust_sweeps import Inference
from skrec.solvers._sweeps import repeat_sweeps
from skrec.utils._blocks import effective_n_threads
from skrec.utils._compat import Interval, StrOptions
from skrec.utils._memory import check_memory

_DOF = [Interval(Real, 2, None, closed="neither"), StrOptions({"auto"}), None]


class RobustPMF(FactorMixin, UncertainRatingMixin, BaseRecommender):
    r"""Matrix factorisation of ratings whose noise differs between users, items or ratings.

    The model of :class:`PMF`, where some users and some items are rated with more noise than
    others: :math:`r_{ui} \sim N(\mu + b_u + c_i + f_u \cdot g_i,\ 1 / (\tau \alpha_u \gamma_i
    \omega_{ui}))`. Factors and offsets have normal priors, the factors of the precision gamma
    priors, :math:`\alpha_u \sim \Gamma(\nu/2, \nu/2)`, which makes a Student-t distribution of the
    noise. Who contradicts everything else gets a small weight, so gross errors do little harm.

    The posterior is approximated by independent distributions of each of these variables. `fit`
    improves them in turn, and with them the priors, the precision and the degrees of freedom
    :math:`\nu`. There is no penalty to tune.

    Parameters
    ----------
    n_components : int
        Number of factors. More ratings bear more: on MovieLens 1M 32 are better than 16.
    user_dof, item_dof : float, "auto" or None
        Degrees of freedom :math:`\nu` of the noise's size, which differs between users and between
        items the more the smaller they are. Above 2, where the variance is finite. "auto": learned
        from the data, between 3 and 1000. None: the size does not differ.
    rating_dof : float, "auto" or None
        Those of each rating's own noise; 4 guards against gross errors in single ratings. With all
        three None this is variational PMF with normal noise.
    max_iter : int
        Number of sweeps over users and items. From the sixth on the priors are learned, too.
    tol : float
        Training stops after a sweep that raises the bound by less than this for each rating.
    n_jobs : int
        Number of threads. None: all cores, as scikit-learn counts them.
    random_state : int, RandomState instance or None
        Controls the initial item factors, drawn from N(0, 0.3²). Nothing else is random.
    verbose : int
        1 shows a progress bar with the bound.

    Attributes
    ----------
    mean_ : float
        Mean of the ratings, which factors and offsets deviate from.
    item_embeddings_ : ndarray of shape (n_items, n_components)
        Factors of the items, the mean of their prior for items without ratings.
    item_offsets_ : ndarray of shape (n_items,)
    item_noise_variances_ : ndarray of shape (n_items,)
        In units of squared ratings, the variance of the noise of the items' ratings by users who
        are as exact as the average.
    user_dof_, item_dof_, rating_dof_ : float
        Degrees of freedom, infinite for None.
    loss_curve_ : list of float
        After each sweep minus the lower bound of the log likelihood (and of the density of the
        priors), for each rating. It never rises.
    n_iter_ : int
        Sweeps that were made.

    See Also
    --------
    BayesianPMF : Averages over draws from the posterior; the noise is the same for all.
    PMF : The most probable factors: faster.

    Notes
    -----
    Computed in double precision, with ratings in units of their standard deviation. For a user or
    an item with n ratings a sweep takes about ``n * K**2 / 2 + K**3`` multiplications for K
    factors; ``rating_dof`` doubles the first part. Both sides' second moments are held:
    ``(n_users + n_items) * K**2 / 2`` numbers, of which the items' are kept.

    A user, known or new, is predicted from the user's row alone, alternating between the
    posteriors of the user's vector and noise until they rest.

    ``predict(X, return_std=True)`` accounts for what is not known of the factors of both sides and
    of the noise. With noise of users and items the rating is close to normal around the mean. With
    that of ratings, it is close to a Student-t distribution with ``rating_dof_`` = :math:`\nu`
    degrees of freedom, which has the scale :math:`s\sqrt{1 - 2/\nu}` for the deviation s:
    ``scipy.stats.t(nu, mean, std * sqrt(1 - 2 / nu))`` has its density and its intervals.

    References
    ----------
    .. [1] B. Lakshminarayanan, G. Bouchard and C. Archambeau, "Robust Bayesian Matrix
       Factorisation", AISTATS 2011. https://proceedings.mlr.press/v15/lakshminarayanan11a.html

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import RobustPMF
    >>> X = np.tile([[5, 5, 1, 0], [5, 0, 1, 1], [1, 1, 0, 5], [0, 1, 5, 5]], (10, 1))
    >>> model = RobustPMF(n_components=1, random_state=0).fit(X)
    >>> ratings, std = model.predict([[5, 5, 0, 0], [0, 0, 0, 0]], return_std=True)
    >>> ratings.round()
    array([[5., 5., 1., 1.],
           [3., 3., 3., 3.]])
    >>> std.round().astype(int)
    array([[0, 0, 0, 0],
           [2, 2, 2, 2]])
    """

    _no_update = "its posterior of the items belongs to all training users together"

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "user_dof": _DOF,
        "item_dof": _DOF,
        "rating_dof": _DOF,
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        **RATING_CONSTRAINTS,
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=16,
        *,
        user_dof="auto",
        item_dof="auto",
        rating_dof=None,
        max_iter=30,
        tol=1e-3,
        clip=True,
        rating_scale=None,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.user_dof = user_dof
        self.item_dof = item_dof
        self.rating_dof = rating_dof
        self.max_iter = max_iter
        self.tol = tol
        self.clip = clip
        self.rating_scale = rating_scale
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _fit(self, X):
        check_memory(
            # Second moments of both sides, and the entries with their scales in both orders.
            8 * (sum(X.shape) * (self.n_components + 2) ** 2 + 8 * X.nnz),
            f"RobustPMF with {self.n_components} components on {X.shape[0]} users x {X.shape[1]} "
            "items",
            "use a smaller n_components",
        )
        mean = float(X.data.mean(dtype=np.float64)) if X.nnz else 0.0
        self.mean_ = self._in_ratings(mean)
        rng = check_random_state(self.random_state)
        items = 0.3 * rng.standard_normal((X.shape[1], self.n_components))
        dofs = self.user_dof, self.item_dof, self.rating_dof
        inference = Inference(X, mean, items, dofs, effective_n_threads(self.n_jobs))
        losses = []

        def sweep():
            losses.append(-inference.sweep())
            is_over = inference.learns and losses[-2] - losses[-1] < self.tol
            return losses[-1], is_over

        self.n_iter_ = repeat_sweeps(sweep, self.max_iter, "RobustPMF", self.verbose)
        self.loss_curve_ = losses[: self.n_iter_]
        self.user_dof_, self.item_dof_, self.rating_dof_ = inference.dofs
        self._posterior = RatingPosterior.of(inference, X.shape[1], mean)

    @property
    def item_embeddings_(self):
        """Factors of the items, an array of shape (n_items, n_components)."""
        return self._posterior.items.means[:, :-2]

    @property
    def _item_offsets(self):
        return self._posterior.items.means[:, -1]

    @property
    def item_offsets_(self):
        """Offsets of the items, an array of shape (n_items,)."""
        return self._in_ratings(self._item_offsets)

    @property
    def item_noise_variances_(self):
        """Variance of the noise of each item's ratings, an array of shape (n_items,)."""
        return self._in_squared_ratings(self._posterior.item_variances)

    def _fold_in(self, X):
        users, _ = self._posterior.infer(X, effective_n_threads(self.n_jobs))
        return users.means[:, :-2], users.means[:, -2] + self._posterior.mean

    def _score_rows_std(self, X):
        return self._posterior.moments(X, effective_n_threads(self.n_jobs))

    def _user_states(self, X):
        return UserStates(X, *self._fold_in(X))

    def _score_pairs(self, states, users, items):
        return super()._score_pairs((states.factors, states.offsets), users, items)

    def _score_pairs_std(self, states, users, items):
        n_threads = effective_n_threads(self.n_jobs)
        return self._posterior.pair_moments(states.X, users, items, n_threads)
