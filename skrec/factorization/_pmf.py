"""Probabilistic matrix factorisation by alternating least squares."""

from numbers import Integral, Real

import numpy as np
import torch
from scipy.special import logit
from sklearn.utils import check_random_state

from skrec.base import BaseRecommender, UncertainRatingMixin
from skrec.base._ratings import RATING_CONSTRAINTS, SMALLEST_NOISE
from skrec.factorization._gaussian_factors import GaussianFactorsMixin
from skrec.factorization._pmf_sweeps import ExactSweeps, StepSweeps, choose_solver
from skrec.solvers._alternating import Objective, add_rows, fold_in, uncertainty
from skrec.solvers._devices import resolve_device, to_tensor
from skrec.solvers._row_groups import gather, group_rows, map_groups
from skrec.solvers._sweeps import repeat_sweeps
from skrec.utils._compat import Interval, StrOptions, fit_context
from skrec.utils._memory import check_memory

# Share of the ratings that one side's weights leave to estimate the noise from, at least.
SMALLEST_UNUSED_SHARE = 1e-3
CPU = torch.device("cpu")


class PMF(GaussianFactorsMixin, UncertainRatingMixin, BaseRecommender):
    r"""Probabilistic matrix factorisation of ratings.

    A rating is normally distributed around the inner product of a user's and an item's factors,
    plus an offset of each: :math:`r_{ui} \sim N(\mu + b_u + c_i + u_u \cdot v_i, \sigma^2)`, with
    normal priors on all of them. `fit` finds the most probable ones, which minimise

    .. math::
        \tfrac12 \sum_{(u,i)} (r_{ui} - \mu - b_u - c_i - u_u \cdot v_i)^2
        + \tfrac12 \sum_u \lambda_u (b_u^2 + \|u_u\|^2)
        + \tfrac12 \sum_i \lambda_i (c_i^2 + \|v_i\|^2)

    over the observed entries, for all users, then for all items, in turn. The factors of a user
    to predict for, known or new, are the exact solution given the user's row.

    Parameters
    ----------
    l2 : float, default=1.1
        Penalty on squared factors and offsets, of ratings in units of their standard deviation.
    l2_exponent : float, default=0.5
        How the penalty grows with the number n of ratings that a user or an item has: it is
        ``l2 * n**l2_exponent``, where n counts as 25 if it is smaller. 0 is the paper's penalty,
        the same for all, for which `l2` around 10 suits. 1 is that of "weighted-lambda" [2]_, for
        which 0.06 suits. What lies between predicts better than either.
    link : {"identity", "logistic"}, default="identity"
        How a rating comes from the latent value. "logistic" squashes it into the range of the
        ratings. Its least-squares problems are solved by Gauss-Newton steps, one a sweep.
    solver : {"auto", "cg", "subspace", "cholesky"}, default="auto"
        How a side is improved. "cholesky": by exact solutions, in batches. "subspace": exactly up
        to 32 weights, and over blocks of 16 beyond, one after the other. "cg": by two steps of
        conjugate gradients. "auto": "subspace" up to 32 weights and "cg" beyond, "cholesky" on
        a GPU and with a logistic link, which leaves no other choice.
    max_iter : int, default=30
        Number of sweeps over users and items.
    tol : float, default=1e-4
        Training stops after a sweep that lowers the objective by less than this share of it.
    device : str, default="auto"
        "cpu", "cuda" (or "cuda:1", ...), or "auto", which takes a CUDA GPU if there is one. A
        fitted model goes to the CPU where the device does not exist. "cg" and "subspace" train
        on the CPU, on all its cores.
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
        0 for items without ratings, or with ``fit_offsets=False``.
    noise_variance_ : float
        In units of squared ratings, an estimate of :math:`\sigma^2`: the mean squared training
        error, corrected for the degrees of freedom that the users' and the items' weights take up.
    loss_curve_ : list of float
        Objective after each half-sweep: users, items, users, ... It never rises.
    n_iter_ : int
        Number of sweeps.

    See Also
    --------
    BayesianPMF : Averages over the factors instead of choosing the most probable ones.
    BiasBaseline : The offsets alone.

    Notes
    -----
    The penalties act on ratings divided by their standard deviation, so that the unit of the
    ratings does not matter: those times ten get predictions times ten.

    Computed in the precision of `X`: pass float32 for speed. For a user or an item with n ratings
    a sweep takes about ``n * K * m + m**3 / 3`` multiplications by exact solutions, where K is
    the number of weights and m the smaller of n and K, and ``6 * n * K`` by conjugate gradients.

    ``predict(X, return_std=True)`` takes the factors of a user given the items', and those of an
    item given the training users', as normal with the second derivatives of the objective at the
    optimum (Laplace's approximation), independent of each other. The variance of their inner
    product is then exact, and the noise is added. With ``l2_exponent > 0`` the penalty is small,
    and so the prior wide, where ratings are few: there the deviation is rather too large. The
    items' covariances are kept for it: ``n_items * K**2 / 2`` numbers.

    ``partial_fit`` needs no other numbers: the inverses of the covariances hold all that an
    item's weights depend on, the training users' factors taken as they are. Those of the users
    that it adds are solved for from their rows, then the items' anew. The mean, the unit and the
    noise stay those of ``fit``, and so does ``loss_curve_``.

    References
    ----------
    .. [1] A. Mnih and R. Salakhutdinov, "Probabilistic Matrix Factorization", NIPS 2007.
    .. [2] Y. Zhou, D. Wilkinson, R. Schreiber and R. Pan, "Large-Scale Parallel Collaborative
       Filtering for the Netflix Prize", AAIM 2008. :doi:`10.1007/978-3-540-68880-8_32`

    Examples
    --------
    >>> from skrec import PMF
    >>> X = [[5, 5, 1, 0], [5, 0, 1, 1], [1, 1, 0, 5], [0, 1, 5, 5]]
    >>> model = PMF(n_components=1, l2=0.02, random_state=0).fit(X)
    >>> model.predict([[5, 0, 0, 0]]).round(1)
    array([[4.9, 4.8, 2.8, 2.9]])
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "l2": [Interval(Real, 0, None, closed="neither")],
        "l2_exponent": [Interval(Real, 0, 1, closed="both")],
        "fit_offsets": ["boolean"],
        "link": [StrOptions({"identity", "logistic"})],
        "solver": [StrOptions({"auto", "cg", "subspace", "cholesky"})],
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
        l2=1.1,
        l2_exponent=0.5,
        fit_offsets=True,
        link="identity",
        solver="auto",
        max_iter=30,
        tol=1e-4,
        clip=True,
        rating_scale=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.l2 = l2
        self.l2_exponent = l2_exponent
        self.fit_offsets = fit_offsets
        self.link = link
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.clip = clip
        self.rating_scale = rating_scale
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    _no_update = None

    @fit_context
    def partial_fit(self, X, y=None, *, reviews=None):
        """Add users: their factors are solved for, and then those of the items anew.

        The users so far keep the part that they have in the items' factors. `X` has rows of users
        that the model has not learned from: those of others would count twice.

        Returns
        -------
        self : estimator
            The fitted estimator. If this fails, it is as it was before.
        """
        is_first = not hasattr(self, "n_features_in_")
        return self._learn(self._fit if is_first else self._add, X, reset=is_first)

    def _add(self, X):
        # On the CPU, as few users are added at a time; in double precision for the inverses.
        X = X.astype(np.float64, copy=False)
        items = torch.from_numpy(self._item_table.astype(np.float64))
        users = fold_in(self._objective, group_rows(X, CPU), items, X.shape[0])
        covariances = self._item_covariances.astype(np.float64) / self._noise_variance
        items, covariances = add_rows(
            self._objective,
            group_rows(X.T.tocsr(), CPU),
            torch.from_numpy(self._item_counts.astype(np.float64)),
            items,
            torch.from_numpy(covariances),
            users,
        )
        dtype = self._item_table.dtype
        self._item_table = items.numpy().astype(dtype)
        self._item_covariances = (covariances.numpy() * self._noise_variance).astype(dtype)
        self._item_counts = self._item_counts + np.bincount(X.indices, minlength=X.shape[1])
        self.n_iter_ += 1

    def _update(self, change):
        X = change.new.astype(self._item_table.dtype, copy=False)
        self._check_memory(X, self._item_table.shape[1])
        n_new_items = X.shape[1] - len(self._item_table)
        link = "identity" if self._objective.logistic is None else "logistic"
        if (self._objective.has_offsets, link) != (self.fit_offsets, self.link):
            raise ValueError(
                "PMF cannot go on: fit_offsets or link changed since the fit before, which makes "
                "another model. Fit anew."
            )
        # New items begin in the middle of their prior.
        items = np.pad(self._item_table, ((0, n_new_items), (0, 0)))
        self._alternate_from(items, X)

    def _fit(self, X):
        self._check_memory(X, self.n_components + 1)
        rng = check_random_state(self.random_state)
        draws = 0.1 * rng.standard_normal((X.shape[1], self.n_components))
        items = np.hstack([draws, np.zeros((X.shape[1], int(self.fit_offsets)))])
        self._alternate_from(items.astype(X.dtype), X)

    def _check_memory(self, X, n_weights):
        check_memory(
            # Weights of both sides, and the items' packed covariances.
            X.dtype.itemsize * (sum(X.shape) + X.shape[1] * n_weights // 2) * n_weights,
            f"PMF with {self.n_components} components on {X.shape[0]} users x {X.shape[1]} items",
            "use a smaller n_components",
        )

    def _alternate_from(self, items, X):
        """Learn from given weights of the items on."""
        device = resolve_device(self.device, needs_float64=True)
        mean = float(X.data.mean(dtype=np.float64)) if X.nnz else 0.0
        self._mean = mean
        self._objective = self._make_objective(mean)
        users, self._item_table = self._alternate(X, items, device)
        self._item_counts = np.bincount(X.indices, minlength=X.shape[1])
        by_user, by_item = group_rows(X, device), group_rows(X.T.tocsr(), device)
        tables = (torch.as_tensor(table, device=device) for table in (users, self._item_table))
        self._set_uncertainty(by_user, by_item, *tables)

    @property
    def item_offsets_(self):
        """Offsets of the items, an array of shape (n_items,)."""
        offsets = self._item_offsets
        return self._in_ratings(offsets) if self._objective.logistic is None else offsets

    @property
    def _has_offsets(self):
        return self._objective.has_offsets

    def _make_objective(self, mean):
        if self.link == "identity":
            return Objective(mean, self.l2, self.l2_exponent, self.fit_offsets, None)
        low, high = (end / self.rating_unit_ for end in self.rating_range_)
        if not low < high:
            raise ValueError(
                f"link='logistic' needs a range of ratings, but all in X are "
                f"{self.rating_range_[0]:g}: give rating_scale=(lowest, highest), or use "
                "link='identity'."
            )
        # Ratings that are all at one end have an infinite latent mean.
        intercept = float(logit(np.clip((mean - low) / (high - low), 0.01, 0.99)))
        return Objective(intercept, self.l2, self.l2_exponent, self.fit_offsets, (low, high))

    def _alternate(self, X, items, device):
        """Make sweeps from given item weights, and return the weights of both sides."""
        solver = choose_solver(self.solver, self._objective, items.shape[1], device)
        if solver == "cholesky":
            sweeps = ExactSweeps(self._objective, X, items, device)
        else:
            sweeps = StepSweeps(self._objective, X, items, solver)
        losses = []

        def sweep():
            losses.extend(sweeps.sweep())
            before = losses[-3] if len(losses) > 2 else np.inf
            return losses[-1], before - losses[-1] <= self.tol * before < np.inf

        self.n_iter_ = repeat_sweeps(sweep, self.max_iter, "PMF", self.verbose)
        self.loss_curve_ = losses
        return sweeps.sides

    def _set_uncertainty(self, by_user, by_item, users, items):
        """Set the noise's variance and the items' covariances, from the posterior at the optimum.

        In units of the noise's variance the covariance of a row's weights is the inverse of the
        second derivatives H, and they take up trace(H^-1 (H - penalty)) degrees of freedom.
        """
        features, offsets = self._objective.features(users), self._objective.latent_offsets(users)

        def squared_errors(group):
            latent = torch.bmm(gather(features, group), items[group.rows].unsqueeze(2)).squeeze(2)
            latent = latent + gather(offsets, group)
            errors = (group.values - self._objective.ratings(latent)) * group.is_entry
            return float(errors.square().sum(dtype=torch.float64))

        squares = sum(map_groups(squared_errors, by_item))
        n_ratings = sum(float(group.lengths.sum(dtype=torch.float64)) for group in by_item)
        freedom, _ = uncertainty(self._objective, by_user, users, items, with_covariances=False)
        item_freedom, covariances = uncertainty(self._objective, by_item, items, users)
        # Each side's share alone is below 1, their sum need not be where ratings are few.
        unused = max(n_ratings, 1.0)
        for taken in (freedom, item_freedom):
            unused *= max(1 - taken / max(n_ratings, 1.0), SMALLEST_UNUSED_SHARE)
        self._noise_variance = max(squares / unused, SMALLEST_NOISE)
        self._item_covariances = covariances.cpu().numpy() * self._noise_variance

    def _fold_in(self, X):
        groups, table = self._prepare(X)
        weights = fold_in(self._objective, groups, table, X.shape[0]).cpu().numpy()
        return self._factors_and_offsets(weights)

    def _factors_and_offsets(self, weights):
        factors, offsets = self._split(weights)
        return factors, offsets + self._objective.intercept

    def _prepare(self, X):
        device = resolve_device(self.device, missing_ok=True, needs_float64=True)
        table = to_tensor(self._item_table, device)
        return group_rows(X.astype(self._item_table.dtype, copy=False), device), table

    def _weights_of(self, X):
        groups, table = self._prepare(X)
        users = fold_in(self._objective, groups, table, X.shape[0])
        _, covariances = uncertainty(self._objective, groups, users, table)
        return users.cpu().numpy(), covariances.cpu().numpy() * self._noise_variance

    def _score_rows(self, X):
        return self._ratings(super()._score_rows(X))

    def _score_pairs(self, states, users, items):
        return self._ratings(super()._score_pairs(states, users, items))

    def _with_std(self, latent, variance):
        """Ratings and their standard deviations from latent values and variances."""
        slopes = self._objective.slopes(torch.from_numpy(latent)).numpy()
        std = np.sqrt(variance.dtype.type(self._noise_variance) + variance * slopes**2)
        return self._ratings(latent), std

    def _ratings(self, latent):
        return self._objective.ratings(torch.from_numpy(latent)).numpy()
