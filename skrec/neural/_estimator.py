"""The scikit-learn side of training on torch: fit, continue, stop early, pickle."""

from contextlib import contextmanager
from copy import deepcopy
from numbers import Integral, Real
from threading import Lock
from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils import check_random_state

from skrec.neural._batches import RowStore
from skrec.neural._cost import check_cost, training_cost
from skrec.neural._trainer import EndOfEpoch, Progress, Trainer, Validation, without_state
from skrec.neural._weights import (
    as_arrays,
    as_tensors,
    load_optimizer,
    optimizer_arrays,
    put_into,
)
from skrec.solvers._devices import place, resolve_device
from skrec.solvers._torch_state import torch_state
from skrec.utils._compat import CallbackSupportMixin, Interval, StrOptions
from skrec.utils._docstrings import complete_verbs
from skrec.utils._jobs import is_one_of_several
from skrec.utils._progress import progress_bar
from skrec.utils._warnings import warn

TRAINING_CONSTRAINTS = {
    "n_components": [Interval(Integral, 1, None, closed="left")],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
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
BATCH_CONSTRAINTS = {"batch_size": [Interval(Integral, 1, None, closed="left")]}
# Where an update is made of users, see RowAutoencoderMixin.
USER_BATCH_CONSTRAINTS = {"batch_size": [*BATCH_CONSTRAINTS["batch_size"], StrOptions({"auto"})]}
LAYER_CONSTRAINTS = {
    "hidden_layer_sizes": ["array-like"],
    "dropout": [Interval(Real, 0, 1, closed="left")],
}
# Of a term of the objective: in float32, of which the largest is 3e38, larger ones overflow.
TERM_WEIGHT = Interval(Real, 0, 1e30, closed="left")
# Parameters of which smaller ones make training cheaper.
SIZES = (
    "hidden_layer_sizes",
    "decoder_layer_sizes",
    "n_components",
    "n_channels",
    "n_negatives",
    "batch_size",
)

_MODULES_LOCK = Lock()


class Seeds(NamedTuple):
    """Seeds of one fit, of what is held out, the weights, the noise and the order of batches."""

    hold_out: int
    init: int
    noise: int
    shuffle: int


@complete_verbs
class NeuralEstimatorMixin(CallbackSupportMixin):
    """What training on torch is to scikit-learn, whatever the module learns from.

    The estimator names a ``_module_class`` and writes

    - ``_hold_out(X, seed)``: validated rows as a part to train on and a part held out,
    - ``_module_options(data)``: the module's keyword arguments beside the number of columns,
    - ``_init_module(module, data, generator)``: draws the weights,
    - ``_validation_score(module, data, held_out)``: how well a module does; larger is better.

    `data` is what ``_training_data(X, reviews)`` makes of the rows to train on: by default those
    that are not empty. It has the ``shape`` of what the module reads, and holds whatever else
    training and validation need of these rows. Where the defaults do not do, the estimator also
    writes ``_refill``, ``_store``, ``_trainer_options``, ``_fitted_state`` and ``_batch_cost``.

    Training runs within :func:`torch_state`, and so must whatever the estimator computes with
    torch when it predicts.

    Parameters
    ----------
    learning_rate : float
        Step size of Adam.
    max_iter : int
        Number of epochs.
    n_iter_no_change : int
        Epochs without a better score after which training stops. None: never before `max_iter`.
    warm_start : bool
        Whether ``fit`` continues from the weights of the fit before, the optimiser's state and
        annealing, if there is any, included.
    callbacks : list of skorch callbacks
        Called during training. They see the training loss as ``train_loss`` and the score of
        early stopping as ``valid_score``.
    device : str
        "cpu", "cuda" (or "cuda:1", ...), "mps", or "auto", which takes a CUDA GPU if there
        is one. A fitted model goes to the CPU where the device does not exist.
    random_state : int, RandomState instance or None
        Controls the initial weights, the order of the batches, the noise and what is held out.
        Pass an int for the same model at every fit.
    verbose : int
        1 shows a progress bar with the loss, the score, the best one, and the time left until
        `max_iter`, which early stopping may not need.

    Attributes
    ----------
    n_iter_ : int
        Number of epochs that were made.
    n_updates_ : int
        Number of updates that were made.
    loss_curve_ : list of float
        Training objective, a mean over what an update is made of, by epoch.
    validation_scores_ : list of float
        Scores on what was held out, by epoch. Only with ``early_stopping=True``.
    best_iteration_ : int
        The epoch whose weights were kept, from 1. Only with ``early_stopping=True``.
    """

    _trainer_class = Trainer
    _validation_class = Validation
    _keep_start = False  # whether the initial weights are a model to fall back on
    _n_annealing_epochs = 0  # of which none counts as one without a better score
    _cheaper_models = ""  # what to use where training is too dear

    def fit(self, X, y=None, *, reviews=None):
        """Learn from users.

        Returns
        -------
        self : estimator
            The fitted estimator; as it was before, if ``fit`` fails. Ctrl-C after the first epoch
            keeps the model so far, the best epoch's with early stopping, with a warning; but not
            where this is one of several fits, as in a search or an ensemble, all of which it ends.

        Raises
        ------
        ValueError
            If the loss is not finite, or if there is nobody to hold out for early stopping.
        """
        return super().fit(X, y, reviews=reviews)

    def _validate_params(self):
        for name, value in self.get_params(deep=False).items():
            if name.endswith("_layer_sizes") and isinstance(value, Integral):
                raise ValueError(
                    f"The {name!r} parameter of {type(self).__name__} must hold a width for each "
                    f"layer, a tuple such as ({value},), got {value!r}."
                )
        super()._validate_params()

    def _continues_training(self):
        return self.warm_start and hasattr(self, "n_iter_")

    def _fit(self, X, reviews=None):
        context = self._init_callback_context(max_subtasks=self.max_iter)
        if context is not None:
            context.call_on_fit_task_begin(estimator=self, X=X)
        self._train(
            X,
            reviews,
            n_epochs=self.max_iter,
            early_stopping=self.early_stopping,
            resume=self._continues_training(),
            keep_optimizer=self.warm_start,
            context=context,
        )
        if context is not None:
            context.call_on_fit_task_end(estimator=self, X=X, reconstruction_attributes=dict)

    @torch_state(training=True)
    def _train(
        self,
        X,
        reviews=None,
        *,
        n_epochs,
        early_stopping,
        resume,
        keep_optimizer,
        context=None,
    ):
        """Train a module and take its weights over."""
        placement = place(self.device)
        start = Progress(self.n_updates_, self.n_iter_) if resume else Progress(0, 0)
        seeds = placement.from_first(lambda: self._draw_seeds(start.n_updates))
        training, held_out = self._hold_out(X, seeds.hold_out) if early_stopping else (X, None)
        if training.nnz == 0:
            raise ValueError("X has no entries to learn from: all its rows are empty.")
        data = self._training_data(training, reviews)
        options = self._module_options(data)
        self._check_cost(data.shape, options, 2 if early_stopping else 1, placement.device)
        module = self._make_module(data, options, seeds.init, resume)
        validation = self._make_validation(data, held_out, placement) if early_stopping else None

        def snapshot(trainer):
            """Attributes of a fitted estimator, be it in the middle of training."""
            n_epochs = start.n_epochs + len(complete_epochs(trainer, validation))
            state = {"n_iter_": n_epochs, **self._fitted_state(trainer.module, X, data)}
            return {"_options": options, **_trained_state(trainer), **state}

        silent = not (self.verbose and placement.process == 0)
        name = type(self).__name__
        with progress_bar(total=n_epochs, desc=name, unit="epoch", silent=silent) as bar:
            report = {"estimator": self, "X": training}
            callbacks = [
                *([("validation", validation)] if validation else []),
                *(self.callbacks or []),
                ("end_of_epoch", EndOfEpoch(context, report, snapshot, bar, validation)),
            ]
            trainer = self._make_trainer(
                module,
                data,
                seeds,
                placement,
                start=start,
                max_epochs=n_epochs,
                callbacks=callbacks,
            )
            if resume and self._optimizer_state:
                load_optimizer(trainer.optimizer_, self._optimizer_state)
            with self._name_what_needs_memory(data.shape):
                trainer.partial_fit(self._store(data, placement.device))
            if len(complete_epochs(trainer, validation)) == len(trainer.history):
                bar.finish()
        self._take_over(trainer, validation, snapshot)
        self._optimizer_state = optimizer_arrays(trainer.optimizer_) if keep_optimizer else None

    def _make_module(self, data, options, seed, resume):
        """The module with its first weights, or with those of the fit before."""
        # Whatever the process's default dtype is.
        module = self._module_class(data.shape[1], **options).to(torch.float32)
        if resume:
            self._check_same_network(module, options)
            module.load_state_dict(as_tensors(self._weights))
        else:
            self._init_module(module, data, torch.Generator().manual_seed(seed))
        self._refill(module, data)
        return module

    def _widen(self, X, n_known):
        """Give the network inputs and outputs for the items of `X` beyond those that it knows.

        They start as in the first epoch of a fit; all other weights stay. The optimiser, whose
        moments are those of the network before, starts anew.
        """
        data = self._training_data(X, None)
        module = self._module_class(X.shape[1], **self._options).to(torch.float32)
        seed = self._draw_seeds(self.n_updates_).init
        self._init_module(module, data, torch.Generator().manual_seed(seed))
        self._weights = {
            name: put_into(fresh, self._weights[name], n_known)
            for name, fresh in as_arrays(module).items()
        }
        self._modules, self._optimizer_state = {}, None

    def _make_validation(self, data, held_out, placement):
        def score(module):
            return placement.from_first(lambda: self._validation_score(module, data, held_out))

        return self._validation_class(
            score, self.n_iter_no_change, self._n_annealing_epochs, self._keep_start
        )

    def _make_trainer(self, module, data, seeds, placement, **options):
        noise = torch.Generator(placement.device).manual_seed(seeds.noise + placement.process)
        return placement.make_trainer(
            self._trainer_class,
            module,
            rng=np.random.default_rng(seeds.shuffle),
            generator=noise,
            lr=self.learning_rate,
            verbose=0,
            **options,
            **self._trainer_options(data),
        )

    def _check_cost(self, shape, options, n_copies, device):
        """Say what training costs before anything is allocated."""
        batch_bytes, n_rows = self._batch_cost(*shape)
        cost = training_cost(
            lambda: self._module_class(shape[1], **options),
            n_copies=n_copies,
            batch_bytes=batch_bytes,
            n_rows=n_rows,
        )
        check_cost(cost, *self._what_and_how_to_fix(shape), device)

    @contextmanager
    def _name_what_needs_memory(self, shape):
        """Raise a MemoryError of ours where torch cannot allocate what training needs."""
        try:
            yield
        except RuntimeError as error:
            if "tried to allocate" not in str(error).lower():
                raise
            what, fixes = self._what_and_how_to_fix(shape)
            raise MemoryError(f"Training {what} needs more than there is: {fixes}.") from error

    def _what_and_how_to_fix(self, shape):
        """What is trained and what makes it cheaper, for messages."""
        sizes = [name for name in SIZES if name in self.get_params(deep=False)]
        fixes = (
            f"smaller {', '.join(sizes)} need less, and so do fewer items "
            f"(Interactions.filter(min_users_per_item=...)){self._cheaper_models}"
        )
        return f"{type(self).__name__} on {shape[0]} users x {shape[1]} items", fixes

    def _batch_cost(self, n_users, n_items):
        """Bytes of a batch's buffers, and rows that pass the dense layers in an epoch.

        Zeros where both are small beside the weights, or grow with the ratings alone.
        """
        return 0, 0

    def _training_data(self, X, reviews):
        """What a module is trained on; an empty row says nothing."""
        is_empty = np.diff(X.indptr) == 0
        return X[~is_empty] if is_empty.any() else X

    def _refill(self, module, data):
        """Set what a module has from the data at hand, and not from the fit before."""

    def _store(self, data, device):
        """What the trainer cuts its batches from."""
        return RowStore(data, device)

    def _trainer_options(self, data):
        """Parameters of the trainer beyond those that all have."""
        return {"batch_size": self.batch_size}

    def _fitted_state(self, module, X, data):
        """Fitted attributes beyond the common ones; `X` has the entries held out too."""
        return {}

    def _check_same_network(self, module, options):
        """Raise an error where training cannot go on with the weights of the fit before."""
        shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
        known = {name: value.shape for name, value in self._weights.items()}
        if (
            shapes == known
            and _trainable(module) == self._trainable
            and options.get("likelihood") == self._options.get("likelihood")
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
        records = complete_epochs(trainer, validation)
        # A callback that ends training, as skorch's do by the same exception, ends an epoch first.
        is_interrupted = len(records) < len(trainer.history)
        if not records or (is_interrupted and is_one_of_several()):
            raise KeyboardInterrupt
        if is_interrupted:
            warn(
                f"Training was interrupted in epoch {len(trainer.history)}: the model so far is "
                "kept.",
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
        """Draw the seeds of a fit.

        Where ``random_state`` is a number, a fit that continues holds the same out again, but
        does not repeat the noise.
        """
        if isinstance(self.random_state, Integral):
            hold_out = int(self.random_state)
            entropy = [hold_out, n_updates]
        else:
            rng = check_random_state(self.random_state)
            hold_out = draw_seed(rng)
            entropy = [draw_seed(rng)]
        return Seeds(hold_out, *map(int, np.random.SeedSequence(entropy).generate_state(3)))

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


def check_equal_sizes(sizes, estimator, name="hidden_layer_sizes"):
    """Validate widths of layers whose outputs are added and return them as a list."""
    sizes = check_hidden_layer_sizes(sizes, at_least=1, name=name)
    if len(set(sizes)) > 1:
        raise ValueError(
            f"{name} of {type(estimator).__name__} must be equal, as the layers' outputs are "
            f"added, got {sizes}: use for example {(max(sizes),) * len(sizes)}."
        )
    return sizes


def draw_seed(rng):
    return int(rng.randint(2**31 - 1))


def complete_epochs(trainer, validation):
    """Records of the epochs that were neither interrupted in training nor in validation."""
    last_key = "dur" if validation is None else "valid_score"
    return [record for record in trainer.history if last_key in record]


def _trainable(module):
    return [name for name, _ in module.named_parameters()]


def _trained_state(trainer):
    return {
        "_weights": deepcopy(as_arrays(trainer.module)),  # training may go on in the same memory
        "_trainable": _trainable(trainer.module),
        "_modules": {},
        "n_updates_": trainer.n_updates_,
    }
