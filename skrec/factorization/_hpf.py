"""HPF: counts as Poisson draws whose rates are products of Gamma factors."""

from numbers import Integral, Real

import numpy as np
from scipy.special import gammaln
from sklearn.utils import check_random_state

from skrec.base import BaseRecommender, FactorMixin
from skrec.solvers._poisson_rows import MAX_PASSES, GammaPrior, GammaSide
from skrec.solvers._sweeps import repeat_sweeps
from skrec.utils._compat import Interval
from skrec.utils._memory import check_memory
from skrec.utils._validation import check_non_negative

# Of the largest count, and of priors' parameters: beyond, sums or their logarithms overflow.
LARGEST_COUNT = 1e15
PRIOR = Interval(Real, 0.01, 1e4, closed="both")


class HPF(FactorMixin, BaseRecommender):
    r"""Hierarchical Poisson factorisation of counts (HPF).

    How often a user has chosen an item, 0 included, is a Poisson draw with the rate
    :math:`\theta_u \cdot \beta_i` of factors that are not negative:

    .. math::
        y_{ui} \sim \operatorname{Poisson}(\theta_u \cdot \beta_i), \quad
        \theta_{uk} \sim \Gamma(a, \xi_u), \quad \xi_u \sim \Gamma(a', a' / b')

    with the same for items. Users differ by :math:`\xi_u` in how much they choose at all, items
    in how popular they are, and each choice counts only against the user's budget, so that items
    which are not chosen weigh little. Coordinate ascent brings the posteriors, taken as
    independent, to the largest evidence lower bound. A user is ranked for by expected counts,
    given the posterior of the user's factors, which the row alone decides.

    Parameters
    ----------
    n_components : int, default=30
        Number of factors.
    shape : float, default=0.3
        Shape `a` of factors' priors, from 0.01: the smaller, the fewer factors a row has.
    rate_shape : float, default=0.3
        Shape `a'` of the rates' priors, from 0.01: the smaller, the more users differ in how much
        they choose, and items in how popular they are.
    rate_mean : float, default=1.0
        Mean `b'` of the rates' priors.
    tol : float, default=1e-5
        Training stops after a sweep that raises the evidence lower bound by less than this share
        of it.
    random_state : int, RandomState instance or None, default=None
        Controls the first factors, drawn evenly from half to one and a half times what makes the
        mean count. Nothing else is random.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_components)
        Expected factors of the items.
    loss_curve_ : list of float
        Negative evidence lower bound after each sweep's users. It never rises.
    n_iter_ : int
        Number of sweeps over both sides.

    See Also
    --------
    NBVAE : Counts that vary more than a Poisson's.
    IALS : The same kind of factors, of either sign, by least squares.

    Notes
    -----
    A sweep takes about ``8 * nnz * n_components`` multiplications on all cores; entries of zero
    cost nothing. Entries may be any numbers of 0 or more.

    ``transform`` gives expected factors of users. They are brought to convergence with the items'
    fixed, by up to 500 passes of coordinate ascent from the prior, for training users as for new
    ones.

    References
    ----------
    .. [1] P. Gopalan, J. M. Hofman and D. M. Blei, "Scalable Recommendation with Hierarchical
       Poisson Factorization", UAI 2015. :arxiv:`1311.1704`

    Examples
    --------
    >>> from skrec import HPF
    >>> X = [[3, 1, 0, 0], [5, 2, 1, 0], [0, 0, 1, 2], [0, 0, 4, 3]]
    >>> model = HPF(2, random_state=0).fit(X)
    >>> model.recommend([[0, 0, 2, 0]], k=1)
    array([[3]])
    """

    _no_update = None
    _warns_of_ratings = False  # a large entry is a choice that was made often

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "shape": [PRIOR],
        "rate_shape": [PRIOR],
        "rate_mean": [PRIOR],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=30,
        *,
        shape=0.3,
        rate_shape=0.3,
        rate_mean=1.0,
        max_iter=100,
        tol=1e-5,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.shape = shape
        self.rate_shape = rate_shape
        self.rate_mean = rate_mean
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    def _check_training(self, X, reset):
        return self._check_counts(super()._check_training(X, reset))

    def _check_rows(self, X):
        return self._check_counts(super()._check_rows(X))

    def _check_counts(self, X):
        check_non_negative(X, "HPF needs")
        if X.data.max(initial=0) > LARGEST_COUNT:
            raise ValueError(
                f"X has entries of up to {X.data.max():g}, HPF takes counts of at most "
                f"{LARGEST_COUNT:g}: divide them all by the same number."
            )
        return X

    def _fit(self, X):
        rng = check_random_state(self.random_state)
        self._sweep_from(rng.uniform(0.5, 1.5, (X.shape[1], self.n_components)), X)

    def _update(self, change):
        means, n_new = self.item_embeddings_, change.new.shape[1] - len(self.item_embeddings_)
        typical = np.full((n_new, means.shape[1]), means.mean())
        self._sweep_from(np.vstack([means, typical]), change.new)

    def _sweep_from(self, start, X):
        n_components = start.shape[1]
        check_memory(
            8 * 5 * sum(X.shape) * n_components + 24 * X.nnz,
            f"HPF with {n_components} components on {X.shape[0]} users x {X.shape[1]} items",
            "use a smaller n_components",
        )
        prior = GammaPrior(float(self.shape), float(self.rate_shape), float(self.rate_mean))
        rate = max(X.sum(dtype=np.float64), 1.0) / np.prod(X.shape, dtype=np.float64)
        typical = np.sqrt(rate / n_components)
        items = GammaSide(prior, start * (typical / start.mean()))
        users = GammaSide(prior, np.full((X.shape[0], n_components), typical))
        by_item = X.T.tocsr()
        constant = float(gammaln(X.data.astype(np.float64) + 1).sum())
        losses = []

        def sweep():
            users.improve(X, items.geometric, items.totals())
            totals = users.totals()
            rest = constant + totals @ items.totals() + users.divergence() + items.divergence()
            losses.append(rest - items.improve(by_item, users.geometric, totals))
            gain = losses[-2] - losses[-1] if len(losses) > 1 else np.inf
            return losses[-1], gain < self.tol * abs(losses[-1])

        self.n_iter_ = repeat_sweeps(sweep, self.max_iter, "HPF", self.verbose)
        self.loss_curve_ = losses[: self.n_iter_]
        self.item_embeddings_ = items.means
        self._prior, self._geometric = prior, items.geometric

    def _fold_in(self, X):
        start = np.full((X.shape[0], self._geometric.shape[1]), self._prior.shape)
        users = GammaSide(self._prior, start)
        users.improve(X, self._geometric, self.item_embeddings_.sum(axis=0), MAX_PASSES)
        return users.means, np.zeros(X.shape[0])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
