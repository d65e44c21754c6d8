"""Training of iALS by sweeps: how many, and from where; who is held out."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from skrec.factorization._ials_solver import Sweeps, in_own_axes
from skrec.neural._batches import check_float32
from skrec.neural._held_out import hold_out_users
from skrec.solvers._devices import resolve_device
from skrec.solvers._sweeps import repeat_sweeps
from skrec.utils._compat import Interval, StrOptions
from skrec.utils._memory import check_memory
from skrec.utils._validation import check_non_negative

SWEEP_CONSTRAINTS = {
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "warm_start": ["boolean"],
    "dtype": [StrOptions({"float32", "float64"})],
    "device": [str],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


class SweepTrainingMixin:
    """Sweeps over users and items, from items' factors on.

    The estimator writes ``_objective_of(X)``, ``_initial_items(n_items, rng, dtype)`` and
    ``_solve_for(X, objective, items)``, which folds rows in.

    Parameters
    ----------
    max_iter : int
        Number of sweeps over users and items.
    tol : float
        Training stops after a sweep that lowers the objective by less than this share of it.
    early_stopping : bool
        Whether to hold users out, measure NDCG@100 on them after each sweep, and keep the best.
    validation_fraction : float
        Share of the users that is held out then, and not trained on.
    n_iter_no_change : int
        Sweeps without a better score after which early stopping ends the training.
    warm_start : bool
        Whether ``fit`` goes on from the items' factors of the fit before.
    dtype : {"float32", "float64"}
        Precision of all computations.
    device : str
        Where exact solutions are computed, those for rows to score and those of
        ``solver="cholesky"``: "cpu", "cuda" (or "cuda:1", ...), or "auto", which takes a CUDA GPU
        if there is one. A fitted model goes to the CPU where the device does not exist. The
        other solvers train on the CPU, on all its cores.
    random_state : int, RandomState instance or None
        Controls the initial item factors, drawn from a normal distribution of variance
        0.01 / `n_components`, and who is held out.
    verbose : int
        1 shows a progress bar with the objective.

    Attributes
    ----------
    loss_curve_ : list of float
        Objective after each sweep. It never rises by more than rounding.
    n_iter_ : int
        Number of sweeps.
    validation_scores_ : list of float
        NDCG@100 of the users held out, by sweep. Only with ``early_stopping=True``.
    best_iteration_ : int
        The sweep whose factors were kept, from 1; 0 is what ``warm_start`` or an update began
        with. Only with ``early_stopping=True``.
    """

    _no_update = None

    def _continues_training(self):
        return self.warm_start and hasattr(self, "n_iter_")

    def _check_training(self, X, reset):
        return self._check_values(super()._check_training(X, reset), self.dtype)

    def _check_rows(self, X):
        return self._check_values(super()._check_rows(X), self.item_embeddings_.dtype)

    def _check_values(self, X, dtype):
        if dtype == "float32":
            check_float32(X)
        return check_non_negative(X, f"{type(self).__name__} needs")

    def _fit(self, X):
        if not self._continues_training():
            self._sweep_from(None, X)
            return
        self._sweep_from(self._items_so_far(), X)

    def _items_so_far(self):
        n_components = self.item_embeddings_.shape[1]
        if self.n_components != n_components:
            raise ValueError(
                f"Training goes on with {n_components} components, but n_components is "
                f"{self.n_components} now: set it back, or fit anew with warm_start=False."
            )
        return self.item_embeddings_

    def _update(self, change):
        # New items begin in the middle of their prior.
        items = self._items_so_far()
        n_new_items = change.new.shape[1] - len(items)
        self._sweep_from(np.pad(items, ((0, n_new_items), (0, 0))), change.new)

    def _sweep_from(self, start, X):
        """Learn, from items' factors on or from random ones."""
        X = X.astype(self.dtype, copy=False)
        n_components = self.n_components if start is None else start.shape[1]
        check_memory(
            # Both sides' factors, the items' of the best and the last sweep, and the entries in
            # both orders.
            X.dtype.itemsize * 2 * sum(X.shape) * n_components + 24 * X.nnz,
            f"{type(self).__name__} with {n_components} components on {X.shape[0]} users x "
            f"{X.shape[1]} items",
            "use a smaller n_components",
        )
        device = resolve_device(self.device, needs_float64=True)
        rng = check_random_state(self.random_state)
        if start is None:
            items = self._initial_items(X.shape[1], rng, self.dtype)
        else:
            items = start.astype(self.dtype)  # a copy
        held_out = None
        if self.early_stopping:
            X, held_out = hold_out_users(X, self.validation_fraction, rng.randint(2**31 - 1))
        objective = self._objective_of(X)
        sweeps = Sweeps(objective, objective.weighted(X), items, self.solver, device)
        losses, scores, best = [], [], (-np.inf, None, 0)

        def score(items):
            items = in_own_axes(items)

            def score_rows(rows):
                return self._solve_for(rows, objective, items)[0] @ items.T

            return held_out.ndcg(score_rows)

        if held_out is not None and start is not None:
            best = (score(start), start, 0)

        def sweep():
            nonlocal best
            losses.append(sweeps.sweep())
            gain = losses[-2] - losses[-1] if len(losses) > 1 else np.inf
            is_over = gain < self.tol * losses[-1]
            if held_out is not None:
                scores.append(score(sweeps.items))
                if scores[-1] > best[0]:
                    best = (scores[-1], sweeps.items, len(losses))
                is_over |= len(losses) - best[2] >= self.n_iter_no_change
            return losses[-1], is_over

        self.n_iter_ = repeat_sweeps(sweep, self.max_iter, type(self).__name__, self.verbose)
        self.loss_curve_, self._objective = losses[: self.n_iter_], objective
        vars(self).pop("validation_scores_", None)
        vars(self).pop("best_iteration_", None)
        if held_out is not None:
            self.validation_scores_ = scores[: self.n_iter_]
            self.best_iteration_ = best[2]
        found = best[1] if held_out is not None else sweeps.items
        self.item_embeddings_ = in_own_axes(found)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = [self.dtype]
        return tags
