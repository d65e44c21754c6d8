"""Matrix factorisation with noise of unequal size, by variational inference."""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state

from skrec.base import BaseRecommender, FactorMixin, UncertainRatingMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.factorization._variational import (
    Inference,
    Scales,
    Weights,
    fold_in,
    row_bytes,
)
from skrec.solvers._offsets import with_data
from skrec.solvers._pair_products import pair_products
from skrec.solvers._sweeps import repeat_sweeps
from skrec.utils._blocks import effective_n_threads, map_blocks, row_blocks
from skrec.utils._compat import Interval, StrOptions
from skrec.utils._memory import check_memory
from skrec.utils._pair_blocks import blocks_of_pairs

DOF = [Interval(Real, 2, None, closed="neither"), StrOptions({"auto"}), None]


class RobustPMF(FactorMixin, UncertainRatingMixin, BaseRecommender):
    r"""TODO"""

    _no_update = "its posterior of the items belongs to all training users together"

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "user_dof": DOF,
        "item_dof": DOF,
        "rating_dof": DOF,
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
        tol=1e-4,
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
        size = self.n_components + 2
        check_memory(
            8 * (sum(X.shape) * size * (size + 3) // 2 + 8 * X.nnz),
            f"RobustPMF with {self.n_components} components on {X.shape[0]} users x {X.shape[1]} "
            "items",
            "use a smaller n_components",
        )
        rng = check_random_state(self.random_state)
        draws = 0.3 * rng.standard_normal((X.shape[1], self.n_components))
        self._mean = float(X.data.mean(dtype=np.float64)) if X.nnz else 0.0
        self.mean_ = self._in_ratings(self._mean)
        dofs = [
            np.inf if d is None else d for d in (self.user_dof, self.item_dof, self.rating_dof)
        ]
        rated = np.flatnonzero(np.bincount(X.indices, minlength=X.shape[1]))
        rows = self._centered(X)[np.flatnonzero(np.diff(X.indptr))][:, rated]
        inference = Inference(rows, draws[rated], dofs, effective_n_threads(self.n_jobs))
        losses = []

        def sweep():
            bound = inference.sweep(learn_priors=len(losses) >= 3)
            losses.append(-bound / max(rows.nnz, 1))
            gain = losses[-2] - losses[-1] if len(losses) > 4 else np.inf
            return losses[-1], gain < self.tol

        self.n_iter_ = repeat_sweeps(sweep, self.max_iter, "RobustPMF", self.verbose)
        self.loss_curve_ = losses
        self._keep(inference, rated, X.shape[1])

    def _keep(self, inference, rated, n_items):
        """Keep what rows are inferred from; items without ratings have their prior."""
        prior, (_, scales, ratings) = inference.priors[1], inference.scales
        weights = Weights.of(
            np.tile(prior.mean, (n_items, 1)),
            np.broadcast_to(np.linalg.inv(prior.precision), (n_items, *prior.precision.shape)),
            inference.fixed[1],
        )
        for kept, found in zip(weights, inference.weights[1], strict=True):
            kept[rated] = found
        of_items = Scales.of_prior(scales.dof, n_items)
        of_items.shapes[rated], of_items.means[rated] = scales.shapes, scales.means
        self._given = inference.given(0)._replace(others=weights, other_scales=of_items.means)
        self._item_variances = of_items.expected_variances / inference.precision
        self._item_variances *= Scales.of_prior(ratings.dof, 1).expected_variances[0]
        self.user_dof_, self.item_dof_, self.rating_dof_ = (s.dof for s in inference.scales)

    def _centered(self, X):
        return with_data(X, X.data.astype(np.float64) - self._mean)

    @property
    def item_embeddings_(self):
        """Factors of the items, an array of shape (n_items, n_components)."""
        return self._given.others.means[:, :-2]

    @property
    def _item_offsets(self):
        return self._given.others.means[:, -1]

    @property
    def item_offsets_(self):
        """Offsets of the items, an array of shape (n_items,)."""
        return self._in_ratings(self._item_offsets)

    @property
    def item_noise_variances_(self):
        """Variance of the noise of each item's ratings, an array of shape (n_items,)."""
        return self._in_squared_ratings(self._item_variances)

    def _infer(self, X):
        """Posteriors of the vectors of users, and by what the variance of their noise differs."""
        n_threads = effective_n_threads(self.n_jobs)
        blocks = row_blocks(X.shape[0], row_bytes(self._given.others), n_threads)
        X = self._centered(X)
        found = map_blocks(lambda block: fold_in(X[block], self._given), blocks, n_threads)
        weights, scales = zip(*found, strict=True)
        weights = Weights(*(np.concatenate(parts) for parts in zip(*weights, strict=True)))
        return weights, np.concatenate([part.expected_variances for part in scales])

    def _fold_in(self, X):
        (means, _), _ = self._infer(X)
        return means[:, :-2], means[:, -2] + self._mean

    def _score_rows_std(self, X):
        users, scales = self._infer(X)
        items = self._given.others
        latent = users.means @ items.means.T
        variances = np.maximum(users.squares @ items.squares.T - latent**2, 0)
        variances += scales[:, None] * self._item_variances
        return latent + self._mean, np.sqrt(variances)

    def _user_states(self, X):
        return _UserStates(X, *self._fold_in(X))

    def _score_pairs(self, states, users, items):
        return super()._score_pairs(states[1:], users, items)

    def _score_pairs_std(self, states, users, items):
        latent, variances = np.empty((2, len(users)))
        known = self._given.others
        for X, pairs, rows in blocks_of_pairs(states.X, users, row_bytes(known)):
            found, scales = self._infer(X)
            columns = items[pairs]
            latent[pairs] = pair_products(found.means, known.means, rows, columns)
            squares = pair_products(found.squares, known.squares, rows, columns)
            variances[pairs] = np.maximum(squares - latent[pairs] ** 2, 0)
            variances[pairs] += scales[rows] * self._item_variances[columns]
        return latent + self._mean, np.sqrt(variances)


class _UserStates(NamedTuple):
    """Rows of users, which deviations are found from, and what was found from them."""

    X: sparse.csr_array
    factors: np.ndarray
    offsets: np.ndarray
