"""The scikit-learn side of every model on torch: fit, continue, score, embed, draw, pickle."""

import warnings
from copy import deepcopy
from numbers import Integral, Real
from threading import Lock

import numpy as np
import torch
from scipy.special import expit, softmax
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from skrec.neural._batches import RowStore
from skrec.neural._callback_support import CallbackSupportMixin
from skrec.neural._devices import place, resolve_device
from skrec.neural._held_out import hold_out_users
from skrec.neural._trainer import EndOfEpoch, Progress, Trainer, Validation, without_state
from skrec.neural._weights import as_arrays, as_tensors, load_optimizer, optimizer_arrays
from skrec.utils._blocks import row_blocks
from skrec.utils._validation import check_interactions, check_k, keep_state_on_error

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


class NeuralRecommenderMixin(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, CallbackSupportMixin
):
    """What an estimator on torch does around its module.

    The estimator names a ``_module_class``, writes ``_module_options()``, its keyword arguments
    beside the number of items, and ``_init_module(module, X, generator)``, which draws the
    weights. The module offers

    - ``module(batch, generator, progress)``: the objective of each row, in training,
    - ``encode(batch)``: the code of each row that predictions are made from,
    - ``draw(batch, generator)``: a random code of each row,
    - ``hidden(code)`` and the linear layer ``output``: from codes to items.
    """

    _trainer_class = Trainer

    @_fit_context(prefer_skip_nested_validation=True)
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

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, *, reviews=None):
        """Continue training with one pass over the given users.

        All of them are trained on: there is no early stopping. Schedules, such as that of `beta`,
        go on from where they stand.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            Rows of users, new or known.
        y : object, default=None
            Ignored, present for API consistency.
        reviews : object, default=None
            Ignored: this model reads no text.

        Returns
        -------
        self : estimator
            The fitted estimator.
        """
        with keep_state_on_error(self):
            resume = hasattr(self, "n_iter_")
            X = self._check_training_rows(X, reset=not resume)
            self._train(X, n_epochs=1, hold_out=False, resume=resume, keep_optimizer=True)
        return self

    def predict(self, X, *, reviews=None):
        """Score every item for every user.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user, seen in training or not.
        reviews : object, default=None
            Ignored: this model reads no text.

        Returns
        -------
        scores : ndarray of shape (n_users, n_items)
            Outputs of the last layer, float32; larger is better. With a gaussian likelihood they
            are ratings, otherwise logarithms of odds.
        """
        scores = super().predict(X)
        if self._options.get("likelihood") == "gaussian" and self.clip:
            np.clip(scores, *self.rating_range_, out=scores)
        return scores

    def transform(self, X):
        """Embed users.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user, seen in training or not.

        Returns
        -------
        embeddings : ndarray of shape (n_users, n_embedding)
            The codes that predictions are made from, float32.
        """
        X = self._check_rows(X)
        blocks = row_blocks(X.shape[0], 4 * (X.shape[1] + 8 * self._n_features_out))
        module = self._scoring_module()
        with torch.inference_mode():
            codes = [self._encode(module, X[block]).cpu() for block in blocks]
        return torch.cat(codes).numpy()

    def sample(self, X, n_samples=1, *, random_state=None):
        """Draw new rows from the posterior predictive distribution of users.

        A code is drawn given the user's row, then a row given the code.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user, seen in training or not.
        n_samples : int, default=1
            Number of rows drawn for each user.
        random_state : int, RandomState instance or None, default=None
            Controls the draws.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_users, n_items)
            Draws of the likelihood, float32: counts that sum to the total of the user's row,
            rounded (multinomial), zeros and ones (bernoulli), or ratings (gaussian).
        """
        n_samples = check_k(n_samples, name="n_samples")
        X = self._check_rows(X)
        self._check_values(X)
        module = self._scoring_module()
        rng = check_random_state(random_state)
        device = module.output.weight.device
        generator = torch.Generator(device).manual_seed(_draw_seed(rng))
        samples = np.empty((n_samples, *X.shape), dtype=np.float32)
        totals = np.asarray(X.sum(axis=1)).round().astype(np.int64)
        for block in row_blocks(X.shape[0], 16 * X.shape[1]):
            batch = RowStore(X[block], device).cut()
            for sample in samples:
                with torch.inference_mode():
                    outputs = module.output(module.hidden(module.draw(batch, generator)))
                sample[block] = self._draw_rows(outputs.cpu().numpy(), totals[block], rng)
        return samples

    @property
    def item_embeddings_(self):
        """Weights of the output layer, an array of shape (n_items, n_hidden)."""
        check_is_fitted(self)
        return self._weights["output.weight"]

    @property
    def _likelihood(self):
        return getattr(self, "likelihood", "multinomial")

    @property
    def _n_features_out(self):
        return self._options["n_components"]

    def _score_rows(self, X):
        return self._scores(self._scoring_module(), X)

    def _scores(self, module, X):
        with torch.inference_mode():
            return module.output(module.hidden(self._encode(module, X))).cpu().numpy()

    def _encode(self, module, X):
        return module.encode(RowStore(X, module.output.weight.device).cut())

    def _draw_rows(self, outputs, totals, rng):
        likelihood = self._options.get("likelihood", "multinomial")
        if likelihood == "gaussian":
            return outputs + rng.standard_normal(outputs.shape)
        if likelihood == "bernoulli":
            return rng.random_sample(outputs.shape) < expit(outputs)
        weights = softmax(outputs.astype(np.float64), axis=1)
        return np.array([rng.multinomial(*draw) for draw in zip(totals, weights, strict=True)])

    def _check_training_rows(self, X, reset):
        X = check_interactions(X, estimator=self, reset=reset)
        self._check_values(X)
        if self._likelihood == "gaussian" and X.nnz:
            earlier = () if reset else getattr(self, "rating_range_", ())
            seen = np.append(X.data, earlier)
            self.rating_range_ = (seen.min(), seen.max())
        return X

    def _check_values(self, X):
        likelihood = self._likelihood
        if likelihood != "gaussian" and X.nnz and X.data.min() < 0:
            raise ValueError(
                f"Negative values in data passed to X: {type(self).__name__} with a {likelihood} "
                f"likelihood needs non-negative entries, got {X.data.min()}. Leave dislikes out, "
                "for example with Interactions.binarize(threshold)."
            )
        if likelihood == "bernoulli" and X.nnz and X.data.max() > 1:
            raise ValueError(
                f"{type(self).__name__} with a bernoulli likelihood needs entries in [0, 1], got "
                f"{X.data.max()}: make X binary, for example with Interactions.binarize(threshold)"
                ", or use likelihood='multinomial'."
            )

    def _train(self, X, *, n_epochs, hold_out, resume, keep_optimizer, context=None):
        """Train a module and take its weights over."""
        placement = place(self.device)
        start = Progress(self.n_updates_, self.n_iter_) if resume else Progress(0, 0)
        split_seed, seed = placement.from_first(lambda: self._draw_seeds(start.n_updates))
        init_seed, noise_seed, shuffle_seed = np.random.SeedSequence(seed).generate_state(3)
        validation = None
        if hold_out:
            X, held_out = hold_out_users(X, self.validation_fraction, split_seed)
            validation = Validation(
                lambda module: placement.from_first(lambda: self._measure(module, held_out)),
                self.n_iter_no_change,
                getattr(self, "n_annealing_epochs", 0),
            )
        is_empty = np.diff(X.indptr) == 0
        if is_empty.any():  # such a row says nothing
            X = X[~is_empty]
        if X.shape[0] == 0:
            raise ValueError("X has no entries to learn from: all its rows are empty.")

        options = self._module_options()
        module = self._module_class(X.shape[1], **options)
        if resume:
            self._check_same_network(module, options)
            module.load_state_dict(as_tensors(self._weights))
        else:
            self._init_module(module, X, torch.Generator().manual_seed(int(init_seed)))

        self._options = options
        silent = not (self.verbose and placement.process == 0)
        with tqdm(total=n_epochs, desc=type(self).__name__, unit="epoch", disable=silent) as bar:
            report = {"estimator": self, "X": X}
            callbacks = [
                *([("validation", validation)] if validation else []),
                *(self.callbacks or []),
                ("end_of_epoch", EndOfEpoch(context, report, _snapshot, bar, validation)),
            ]
            noise_generator = torch.Generator(placement.device)
            trainer = placement.make_trainer(
                self._trainer_class,
                module,
                rng=np.random.default_rng(shuffle_seed),
                generator=noise_generator.manual_seed(int(noise_seed) + placement.process),
                start=start,
                lr=self.learning_rate,
                batch_size=self.batch_size,
                max_epochs=n_epochs,
                callbacks=callbacks,
                verbose=0,
                **self._trainer_options(),
            )
            if resume and self._optimizer_state:
                load_optimizer(trainer.optimizer_, self._optimizer_state)
            trainer.partial_fit(RowStore(X, placement.device))

        self._take_over(trainer, validation)
        self._optimizer_state = optimizer_arrays(trainer.optimizer_) if keep_optimizer else None

    def _trainer_options(self):
        """Parameters of the trainer beyond the common ones."""
        return {}

    def _check_same_network(self, module, options):
        """Raise an error where training cannot go on with the weights of the fit before."""
        shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
        known = {name: value.shape for name, value in self._weights.items()}
        likelihood = options.get("likelihood")
        if shapes == known and likelihood == self._options.get("likelihood"):
            return
        changed = [name for name in options if options[name] != self._options[name]]
        raise ValueError(
            f"{type(self).__name__} cannot go on training: {', '.join(changed)} changed since the "
            "fit before, which makes another network. Set warm_start=False and fit anew."
        )

    def _take_over(self, trainer, validation):
        """Set the fitted attributes from a trainer that has come to its end."""
        start = trainer.start.n_epochs
        records = _complete_epochs(trainer)
        if not records:
            raise KeyboardInterrupt
        if len(records) < len(trainer.history):
            warnings.warn(
                f"Training was interrupted in epoch {len(trainer.history)}: the model so far is "
                "kept.",
                stacklevel=4,
            )
        vars(self).update(_snapshot(trainer))
        self.loss_curve_ = (self.loss_curve_ if start else []) + [
            record["train_loss"] for record in records
        ]
        if validation is None:
            for name in ("validation_scores_", "best_iteration_"):
                vars(self).pop(name, None)
            return
        earlier = getattr(self, "validation_scores_", [np.nan] * start) if start else []
        self.validation_scores_ = earlier + [record["valid_score"] for record in records]
        if validation.best_epoch_:
            self.best_iteration_ = start + validation.best_epoch_
        elif not hasattr(self, "best_iteration_"):
            self.best_iteration_ = start

    def _draw_seeds(self, n_updates):
        """Seeds of the users held out and of everything else.

        Where ``random_state`` is a number, a fit that continues holds the same users out again,
        but does not repeat the noise.
        """
        if isinstance(self.random_state, Integral):
            return int(self.random_state), [int(self.random_state), n_updates]
        rng = check_random_state(self.random_state)
        return _draw_seed(rng), [_draw_seed(rng)]

    def _measure(self, module, held_out):
        measure = held_out.neg_rmse if self._likelihood == "gaussian" else held_out.ndcg
        return measure(lambda rows: self._scores(module, rows))

    def _scoring_module(self):
        device = resolve_device(self.device, missing_ok=True)
        with _MODULES_LOCK:  # rows are scored from several threads
            if device not in self._modules:
                module = self._module_class(self.n_features_in_, **self._options)
                # Shares the memory of the arrays where the device can.
                module.load_state_dict(as_tensors(self._weights), assign=True)
                self._modules[device] = module.requires_grad_(False).eval().to(device)
            return self._modules[device]

    def __getstate__(self):
        state = super().__getstate__()
        if "_modules" in state:
            state = {**state, "_modules": {}}
        if state.get("callbacks"):
            state = {**state, "callbacks": [without_state(one) for one in state["callbacks"]]}
        return state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.positive_only = self._likelihood != "gaussian"
        tags.recommender_tags.predicts_ratings = self._likelihood == "gaussian"
        return tags


def check_hidden_layer_sizes(sizes, at_least=0):
    """Validate widths of at least so many layers and return them as a list."""
    sizes = list(sizes)
    if len(sizes) < at_least:
        raise ValueError(f"hidden_layer_sizes needs at least {at_least} layer, got {sizes}.")
    for size in sizes:
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(
                f"hidden_layer_sizes must hold integers >= 1, the widths of the layers, got "
                f"{size!r} in {sizes}."
            )
    return [int(size) for size in sizes]


def _draw_seed(rng):
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
