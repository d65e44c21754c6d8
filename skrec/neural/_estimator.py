"""The scikit-learn side of training on torch: fit, continue, stop early, pickle."""

import warnings
from copy import deepcopy
from numbers import Integral, Real
from threading import Lock

import numpy as np
import torch
from sklearn.utils import check_random_state

from skrec.neural._batches import RowStore
from skrec.neural._cost import check_cost, training_cost
from skrec.neural._trainer import EndOfEpoch, Progress, Trainer, Validation, without_state
from skrec.neural._weights import as_arrays, as_tensors, load_optimizer, optimizer_arrays
from skrec.solvers._devices import place, resolve_device
from skrec.solvers._torch_state import torch_state
from skrec.utils._compat import CallbackSupportMixin, Interval, fit_context
from skrec.utils._progress import progress_bar
from skrec.utils._validation import keep_state_on_error

TRAINING_CONSTRAINTS = {
    "n_components": [Interval(Integral, 1, None, closed="left")],
    "hidden_layer_sizes": ["array-like"],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
    "warm_start": ["boolean"],
    "callbacks": [list, None],
    "device": [str],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


_MODULES_LOCK = Lock()


class NeuralEstimatorMixin(CallbackSupportMixin):
    """What training on torch is to scikit-learn, whatever the module learns from.

    The estimator names a ``_module_class`` and writes

    - ``_module_options(X)``: its keyword arguments beside the number of items,
    - ``_init_module(module, X, generator)``: draws the weights,
    - ``_check_training_rows(X, reset)``: validates `X`,
    - ``_hold_out(X, seed)``: the part of `X` to train on, and a function that gives the score of
      a module on the rest;

    and where the defaults do not do, ``_training_part``, ``_batch_cost``, ``_refill``, ``_store``,
    ``_trainer_options`` and ``_fitted_state``. Training runs within :func:`torch_state`, and so
    must whatever the estimator computes with torch when it predicts.
    """

    _trainer_class = Trainer
    _keep_start = False  # whether the initial weights are a model to fall back on

    @fit_context
    def fit(self, X, y=None, *, reviews=None):
        """Learn from users.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user. Stored entries (dense input: the non-zeros) are the observations.
        y : object, default=None
            Ignored, present for API consistency.
        reviews : object, default=None
            Ignored: this model reads no text.

        Returns
        -------
        self : estimator
            The fitted estimator. Ctrl-C during training keeps the model so far, with a warning.

        Raises
        ------
        ValueError
            If the loss is not finite, or if there is nobody to hold out for early stopping.
        """
        context = self._init_callback_context(max_subtasks=self.max_iter)
        with keep_state_on_error(self):
            resume = self.warm_start and hasattr(self, "n_iter_")
            X = self._check_training_rows(X, reset=not resume)
            if context is not None:
                context.call_on_fit_task_begin(estimator=self, X=X)
            self._train(
                X,
                n_epochs=self.max_iter,
                hold_out=self.early_stopping,
                resume=resume,
                keep_optimizer=self.warm_start,
                context=context,
            )
            if context is not None:
                context.call_on_fit_task_end(estimator=self, X=X, reconstruction_attributes=dict)
        return self

    @torch_state(training=True)
    def _train(self, X, *, n_epochs, hold_out, resume, keep_optimizer, context=None):
        """Train a module and take its weights over."""
        placement = place(self.device)
        start = Progress(self.n_updates_, self.n_iter_) if resume else Progress(0, 0)
        split_seed, seed = placement.from_first(lambda: self._draw_seeds(start.n_updates))
        init_seed, noise_seed, shuffle_seed = np.random.SeedSequence(seed).generate_state(3)
        validation = None
        everything = X
        if hold_out:
            X, score = self._hold_out(X, split_seed)
            validation = Validation(
                lambda module: placement.from_first(lambda: score(module)),
                self.n_iter_no_change,
                getattr(self, "n_annealing_epochs", 0),
                self._keep_start,
            )
        if X.nnz == 0:
            raise ValueError("X has no entries to learn from: all its rows are empty.")
        X = self._training_part(X)

        options = self._module_options(X)
        self._check_cost(X.shape, options, n_copies=2 if validation else 1, placement=placement)
        # Whatever the process's default dtype is.
        module = self._module_class(X.shape[1], **options).to(torch.float32)
        if resume:
            self._check_same_network(module, options)
            module.load_state_dict(as_tensors(self._weights))
        else:
            self._init_module(module, X, torch.Generator().manual_seed(int(init_seed)))
        self._refill(module)

        def snapshot(trainer):
            return {**_snapshot(trainer), **self._fitted_state(trainer.module, everything)}

        self._options = options
        silent = not (self.verbose and placement.process == 0)
        name = type(self).__name__
        with progress_bar(total=n_epochs, desc=name, unit="epoch", silent=silent) as bar:
            report = {"estimator": self, "X": X}
            callbacks = [
                *([("validation", validation)] if validation else []),
                *(self.callbacks or []),
                ("end_of_epoch", EndOfEpoch(context, report, snapshot, bar, validation)),
            ]
            noise_generator = torch.Generator(placement.device)
            trainer = placement.make_trainer(
                self._trainer_class,
                module,
                rng=np.random.default_rng(shuffle_seed),
                generator=noise_generator.manual_seed(int(noise_seed) + placement.process),
                start=start,
                lr=self.learning_rate,
                batch_size=getattr(self, "batch_size", None),
                max_epochs=n_epochs,
                callbacks=callbacks,
                verbose=0,
                **self._trainer_options(X),
            )
            if resume and self._optimizer_state:
                load_optimizer(trainer.optimizer_, self._optimizer_state)
            trainer.partial_fit(self._store(X, placement.device))

        self._take_over(trainer, validation, snapshot)
        self._optimizer_state = optimizer_arrays(trainer.optimizer_) if keep_optimizer else None

    def _check_cost(self, shape, options, n_copies, placement):
        """Say what training costs before anything is allocated."""
        batch_bytes, n_rows = self._batch_cost(*shape)
        cost = training_cost(
            lambda: self._module_class(shape[1], **options),
            n_copies=n_copies,
            batch_bytes=batch_bytes,
            n_rows=n_rows,
        )
        parameters = [
            name
            for name in ("hidden_layer_sizes", "n_components", "batch_size")
            if hasattr(self, name)
        ]
        fixes = (
            f"smaller {', '.join(parameters)} need less, and so do fewer items "
            "(Interactions.filter(min_users_per_item=...))"
        )
        what = f"{type(self).__name__} on {shape[0]} users x {shape[1]} items"
        check_cost(cost, what, fixes, placement.device)

    def _batch_cost(self, n_users, n_items):
        """Bytes of a batch's buffers, and rows that pass the dense layers in an epoch.

        Zeros where both are small beside the weights, or grow with the ratings alone.
        """
        return 0, 0

    def _training_part(self, X):
        """Rows to train on; an empty row says nothing."""
        is_empty = np.diff(X.indptr) == 0
        return X[~is_empty] if is_empty.any() else X

    def _refill(self, module):
        """Set what a module has from the data at hand, and not from the fit before."""

    def _store(self, X, device):
        """What the trainer cuts its batches from."""
        return RowStore(X, device)

    def _trainer_options(self, X):
        """Parameters of the trainer beyond the common ones."""
        return {}

    def _fitted_state(self, module, X):
        """Fitted attributes beyond the common ones; `X` has the entries held out too."""
        return {}

    def _check_same_network(self, module, options):
        """Raise an error where training cannot go on with the weights of the fit before."""
        shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
        known = {name: value.shape for name, value in self._weights.items()}
        before = self._module_class(self.n_features_in_, **self._options)
        trained, trained_before = (
            [name for name, _ in network.named_parameters()] for network in (module, before)
        )
        likelihood = options.get("likelihood")
        if (
            shapes == known
            and trained == trained_before
            and likelihood == self._options.get("likelihood")
        ):
            return
        changed = [name for name in options if options[name] != self._options[name]]
        changed = ", ".join(changed) or "the number of users"
        raise ValueError(
            f"{type(self).__name__} cannot go on training: {changed} changed since the fit "
            "before, which makes another network. Set warm_start=False and fit anew."
        )

    def _take_over(self, trainer, validation, snapshot):
        """Set the fitted attributes from a trainer that has come to its end."""
        start = trainer.start.n_epochs
        records = _complete_epochs(trainer)
        if not records:
            raise KeyboardInterrupt
        if len(records) < len(trainer.history):
            warnings.warn(
                f"Training was interrupted in epoch {len(trainer.history)}: the model so far is "
                "kept.",
                stacklevel=5,
            )
        vars(self).update(snapshot(trainer))
        self.loss_curve_ = (self.loss_curve_ if start else []) + [
            record["train_loss"] for record in records
        ]
        if validation is None:
            for name in ("validation_scores_", "best_iteration_"):
                vars(self).pop(name, None)
            return
        earlier = getattr(self, "validation_scores_", [np.nan] * start) if start else []
        self.validation_scores_ = earlier + [record["valid_score"] for record in records]
        if validation.best_epoch_ or not start or not hasattr(self, "best_iteration_"):
            self.best_iteration_ = start + validation.best_epoch_

    def _draw_seeds(self, n_updates):
        """Seeds of the users held out and of everything else.

        Where ``random_state`` is a number, a fit that continues holds the same users out again,
        but does not repeat the noise.
        """
        if isinstance(self.random_state, Integral):
            return int(self.random_state), [int(self.random_state), n_updates]
        rng = check_random_state(self.random_state)
        return draw_seed(rng), [draw_seed(rng)]

    @torch_state(training=True)  # the module outlives the state in which it is asked for
    def _scoring_module(self):
        device = resolve_device(self.device, missing_ok=True)
        with _MODULES_LOCK:  # rows are scored from several threads
            if device not in self._modules:
                module = self._restored_module()
                self._modules[device] = module.requires_grad_(False).eval().to(device)
            return self._modules[device]

    def _restored_module(self):
        """The module that predictions are made with."""
        module = self._module_class(self.n_features_in_, **self._options)
        # Shares the memory of the arrays where the device can.
        module.load_state_dict(as_tensors(self._weights), assign=True)
        return module

    def __getstate__(self):
        state = super().__getstate__()
        if "_modules" in state:
            state = {**state, "_modules": {}}
        if state.get("callbacks"):
            state = {**state, "callbacks": [without_state(one) for one in state["callbacks"]]}
        return state


def check_hidden_layer_sizes(sizes, at_least=0, name="hidden_layer_sizes"):
    """Validate widths of at least so many layers and return them as a list."""
    sizes = list(sizes)
    if len(sizes) < at_least:
        raise ValueError(f"{name} needs at least {at_least} layer, got {sizes}.")
    for size in sizes:
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(
                f"{name} must hold integers >= 1, the widths of the layers, got "
                f"{size!r} in {sizes}."
            )
    return [int(size) for size in sizes]


def draw_seed(rng):
    return int(rng.randint(2**31 - 1))


def _complete_epochs(trainer):
    return [record for record in trainer.history if "dur" in record]


def _snapshot(trainer):
    """Attributes of a fitted estimator, be it in the middle of training."""
    return {
        "_weights": deepcopy(as_arrays(trainer.module)),  # training may go on in the same memory
        "_modules": {},
        "n_iter_": trainer.start.n_epochs + len(_complete_epochs(trainer)),
        "n_updates_": trainer.n_updates_,
    }
