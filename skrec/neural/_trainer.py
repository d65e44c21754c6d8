"""skorch's training loop over sparse batches, and the callbacks that every fit uses."""

from copy import copy
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer

from skrec.neural._batch_linear import full_batch


class StopTraining(KeyboardInterrupt):
    """Ends the training loop in the way that skorch's own early stopping does."""


class Progress(NamedTuple):
    """How far training has come, earlier fits that this one continues included.

    Parameters
    ----------
    n_updates : int
        Updates made.
    n_epochs : int
        Epochs begun.
    """

    n_updates: int
    n_epochs: int


class ShuffledBatches:
    """All rows of a store once, in random order, in batches.

    Parameters
    ----------
    store : RowStore
    batch_size : int
        Rows of a batch over all processes.
    rng : numpy.random.Generator
        Equal in all processes.
    placement : Placement
        Which share of each batch is cut here.
    """

    def __init__(self, store, batch_size, rng, placement):
        self.store = store
        self.batch_size = batch_size
        self.rng = rng
        self.placement = placement

    def __iter__(self):
        order = self.rng.permutation(len(self.store))
        share = self.placement.process, self.placement.n_processes
        for batch in self.store.batches(self.batch_size, order, *share):
            yield batch, None


class Trainer(NeuralNet):
    """Minimises the mean of what the module returns for each row of a batch.

    Parameters
    ----------
    module : torch.nn.Module
        ``module(batch, generator, progress)`` returns a tensor of shape (n_rows,).
    rng : numpy.random.Generator
        Shuffles the rows.
    generator : torch.Generator
        Noise of the module, on its device.
    start : Progress
        Where the fit that this one continues has ended.
    placement : Placement
        The device, and the position among the processes that train together.
    **kwargs
        Parameters of skorch's NeuralNet.
    """

    def __init__(self, module, *, rng, generator, start, placement, **kwargs):
        super().__init__(
            module,
            criterion=object,  # the module returns the loss itself
            optimizer=partial(torch.optim.Adam, fused=True),
            train_split=None,
            **kwargs,
        )
        self.rng = rng
        self.generator = generator
        self.start = start
        self.placement = placement

    @property
    def _default_callbacks(self):
        return [("epoch_timer", EpochTimer())]

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Count the updates from those of the fit before."""
        self.n_updates_ = self.start.n_updates

    @property
    def progress(self):
        """How far training has come."""
        return Progress(self.n_updates_, self.start.n_epochs + len(self.history))

    def get_iterator(self, dataset, training=False):
        """Shuffle the rows anew at each pass."""
        return ShuffledBatches(dataset, self.batch_size, self.rng, self.placement)

    def train_step(self, batch, **fit_params):
        """Make an update; what is quicker for batches of one size is used for the full ones."""
        with full_batch(batch[0].n_total == self.batch_size):
            return super().train_step(batch, **fit_params)

    def infer(self, x, **fit_params):
        """Ask the module for the objective of each row of a batch."""
        return self.module_(x, self.generator, self.progress)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Take the mean over the rows of all processes.

        Data-parallel training averages the gradients over the processes, hence the factor.
        """
        return y_pred.sum() * (self.placement.n_processes / X.n_total)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Make one pass over the rows, without waiting for the device after each batch."""
        if iterator is None:
            return
        losses, sizes = [], []
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            losses.append(step["loss"].detach())
            sizes.append(batch[0].n_total)
            if self.placement.device.type == "cpu" and self.placement.n_processes == 1:
                self.check_finite(losses[-1:])
            self.n_updates_ += 1
            self.notify("on_batch_end", batch=batch, training=training, **step)
        losses = self.placement.mean(torch.stack(losses))
        self.check_finite(losses)
        values = losses.tolist()
        first = len(self.history[-1]["batches"]) - len(values)
        for record, value, size in zip(
            self.history[-1]["batches"][first:], values, sizes, strict=True
        ):
            record.update({f"{prefix}_loss": value, f"{prefix}_batch_size": size})
        self.history.record(f"{prefix}_loss", float(np.average(values, weights=sizes)))

    def check_finite(self, tensors):
        """Raise an error that says where training stands, unless all numbers are finite."""
        if all(torch.isfinite(tensor).all() for tensor in tensors):
            return
        sizes = " or ".join(f"{name} (it is {size})" for name, size in self.step_sizes.items())
        raise ValueError(
            f"The loss is not finite in epoch {len(self.history)}, so training has diverged: use "
            f"a smaller {sizes}, or entries of X of smaller magnitude."
        )

    @property
    def step_sizes(self):
        """Parameters that set the size of the steps, and their values."""
        return {"learning_rate": self.lr}

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Check what the last update has left."""
        super().on_train_end(net, X=X, y=y, **kwargs)
        self.check_finite(self.module.state_dict().values())


class Validation(Callback):
    """Records a score of held-out users after each epoch and keeps the best weights.

    Parameters
    ----------
    score : callable
        ``score(module)`` returns a float, larger is better.
    n_iter_no_change : int or None
        Epochs without a better score after which `is_over` is set.
    n_annealing_epochs : int, default=0
        Epochs of training of which none counts as one without a better score.
    keep_start : bool, default=False
        Whether what training starts from is a model that is kept if no epoch is better. What an
        earlier fit has left always is.
    """

    def __init__(self, score, n_iter_no_change, n_annealing_epochs=0, keep_start=False):
        self.score = score
        self.n_iter_no_change = n_iter_no_change
        self.n_annealing_epochs = n_annealing_epochs
        self.keep_start = keep_start

    def on_train_begin(self, net, **kwargs):
        """Forget earlier training, but for the weights that it has left."""
        self.best_score_, self.best_epoch_, self.best_weights_ = -np.inf, 0, None
        self.n_without_better_ = 0
        self.is_over_ = False
        self.start_score_, self.start_weights_ = -np.inf, None
        if net.start.n_epochs > 0:
            self._keep(net, self.score(net.module), epoch=0)
        elif self.keep_start:
            # Epochs may be worse at first: they are compared with it in the end alone.
            self.start_score_, self.start_weights_ = self.score(net.module), _copy_weights(net)

    def on_epoch_end(self, net, **kwargs):
        """Score the module of this epoch."""
        score = self.score(net.module)
        net.history.record("valid_score", score)
        if score > self.best_score_:
            self._keep(net, score, epoch=len(net.history))
            self.n_without_better_ = 0
        elif net.progress.n_epochs > self.n_annealing_epochs:
            self.n_without_better_ += 1
        self.is_over_ = self.n_without_better_ == self.n_iter_no_change

    def on_train_end(self, net, **kwargs):
        """Put the best weights back."""
        if self.start_score_ >= self.best_score_ and self.start_weights_ is not None:
            self.best_score_, self.best_epoch_ = self.start_score_, 0
            self.best_weights_ = self.start_weights_
        if self.best_weights_ is not None:
            net.module.load_state_dict(self.best_weights_)

    def _keep(self, net, score, epoch):
        weights = _copy_weights(net)  # before the rest, as Ctrl-C may come meanwhile
        self.best_score_, self.best_epoch_, self.best_weights_ = score, epoch, weights


def _copy_weights(net):
    return {name: value.detach().clone() for name, value in net.module.state_dict().items()}


class EndOfEpoch(Callback):
    """Reports each epoch to scikit-learn's callbacks and a progress bar; ends training if asked.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext or None
        Context of the fit.
    report : dict
        `estimator` and `X`, for scikit-learn's callbacks.
    snapshot : callable
        ``snapshot(net)`` returns the attributes of an estimator fitted so far.
    bar : progress bar
        Of :func:`progress_bar`.
    validation : Validation or None
    """

    def __init__(self, context, report, snapshot, bar, validation):
        self.context = context
        self.report = report
        self.snapshot = snapshot
        self.bar = bar
        self.validation = validation
        self.task_ = None

    def on_epoch_begin(self, net, **kwargs):
        """Open a task."""
        if self.context is not None:
            self.task_ = self.context.subcontext(task_name="epoch")
            self.task_.call_on_fit_task_begin(
                **self.report, reconstruction_attributes=lambda: self.snapshot(net)
            )

    def on_epoch_end(self, net, **kwargs):
        """Close the task, and stop where a callback or the validation score says so."""
        record = net.history[-1]
        shown = {"loss": f"{record['train_loss']:.4g}"}
        if self.validation is not None:
            shown["score"] = f"{record['valid_score']:.4g}"
            best, epoch = self.validation.best_score_, self.validation.best_epoch_
            shown["best"] = f"{best:.4g} in epoch {epoch}"
        self.bar.set_postfix(shown)
        self.bar.update()
        stop = self._close_task(net)
        if stop or (self.validation is not None and self.validation.is_over_):
            raise StopTraining

    def on_train_end(self, net, **kwargs):
        """Close the task of an epoch that was interrupted, or ended by another callback."""
        self._close_task(net)

    def _close_task(self, net):
        if self.task_ is None:
            return False
        task, self.task_ = self.task_, None
        return task.call_on_fit_task_end(
            **self.report, reconstruction_attributes=lambda: self.snapshot(net)
        )


def without_state(callback):
    """A skorch callback as it was before training: its state ends in an underscore."""
    if isinstance(callback, tuple):
        return callback[0], without_state(callback[1])
    if isinstance(callback, type):
        return callback
    callback = copy(callback)
    for name in [name for name in vars(callback) if name.endswith("_")]:
        delattr(callback, name)
    return callback
