"""What autoencoders of rows share: scores, embeddings, and how well they do on users."""

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from skrec.neural._batches import RowStore, check_float32
from skrec.neural._estimator import NeuralEstimatorMixin
from skrec.neural._held_out import hold_out_users
from skrec.solvers._torch_state import torch_state
from skrec.utils._blocks import row_blocks
from skrec.utils._compat import fit_context
from skrec.utils._docstrings import complete_verbs
from skrec.utils._validation import check_interactions, check_non_negative

# Users of whom one knows how an item stands with most.
SOME_USERS = 1000
# A batch of "auto": 50 is best with some hundred users, 100 with some thousand, 500 in the papers.
# Sizes between are multiples of the first, which suit the products' kernels.
SMALLEST_BATCH, LARGEST_BATCH, N_BATCHES = 50, 500, 50


@complete_verbs
class RowNetworkMixin(NeuralEstimatorMixin):
    """What a network that reads users' rows and scores items does around its module.

    Beside what :class:`NeuralEstimatorMixin` asks for, the module offers

    - ``module(batch, generator, progress)``: the objective of each row, in training,
    - ``scores(batch)``: of all items, from rows,
    - ``output``: the layer that has the items as its outputs.

    Parameters
    ----------
    batch_size : int or "auto"
        Users of an update. "auto": a fiftieth of those that are trained on, in round fifties and
        at most 500, so that an epoch makes enough updates with any number of users.
    early_stopping : bool
        Whether to hold users out, measure NDCG@100 on them after each epoch (minus RMSE where
        ratings are predicted), and keep the weights of the best epoch.
    validation_fraction : float
        Share of the training users that are held out for early stopping.

    Attributes
    ----------
    loss_curve_ : list of float
        Training objective per user, by epoch.
    validation_scores_ : list of float
        Scores on the users held out, by epoch. Only with ``early_stopping=True``.
    """

    _predicts_ratings = False
    _learns_choices = False  # whether an entry is a choice whatever its value, so none negative
    _no_update = None

    @fit_context
    def partial_fit(self, X, y=None, *, reviews=None):
        """Continue training with one pass over the given users.

        All of them are trained on: there is no early stopping. Schedules, such as that of `beta`,
        go on from where they stand.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            Rows of users, new or known.

        Returns
        -------
        self : estimator
            The fitted estimator.
        """
        resume = hasattr(self, "n_iter_")

        def learn(rows):
            self._make_a_pass(rows, resume)

        return self._learn(learn, X, reset=not resume)

    def _make_a_pass(self, X, resume=True):
        self._train(X, n_epochs=1, early_stopping=False, resume=resume, keep_optimizer=True)

    def _update(self, change):
        n_known = len(self._weights["output.weight"])
        if change.new.shape[1] > n_known:
            self._widen(change.new, n_known)
            self._introduce(change, n_known)
        added, _ = change.added
        if added.nnz:
            self._make_a_pass(added)

    def _introduce(self, change, n_known):
        """Set what new items start from, beyond the first weights of a fit."""
        if self._predicts_ratings or "output.bias" not in self._weights:
            return
        levels = self._levels_of_new_items(change.old, change.new[:, n_known:])
        self._weights["output.bias"][n_known:] = levels
        self._modules = {}

    @torch_state(training=True)
    def _levels_of_new_items(self, old, new):
        """Biases that put new items where known ones that are as popular stand with most users.

        With biases of their share of all choices they would stand above those: what most users
        are recommended of the known items is what suits them, and a bias suits nobody.

        Parameters
        ----------
        old : csr_array of shape (n_old_users, n_items)
        new : csr_array of shape (n_users, n_new_items)
        """
        n_known = old.shape[1] - new.shape[1]
        users = np.flatnonzero(np.diff(old.indptr))
        users = users[np.linspace(0, len(users) - 1, min(len(users), SOME_USERS)).astype(int)]
        scores = self._scores(self._scoring_module(), old[users])
        levels = np.sort(np.median(scores[:, :n_known], axis=0))
        counts = np.bincount(old.indices, minlength=old.shape[1])[:n_known]
        n_users = np.bincount(new.indices, minlength=new.shape[1])
        return np.interp(n_users, np.sort(counts), levels)

    def _score_rows(self, X):
        return self._scores(self._scoring_module(), X)

    def _scores(self, module, X):
        with torch_state():
            return self._outputs(module, _batch(module, self._inputs(X))).cpu().numpy()

    def _inputs(self, X):
        """What the module reads of validated rows."""
        return X

    def _outputs(self, module, batch):
        return module.scores(batch)

    def _check_training(self, X, reset):
        X = check_interactions(X, estimator=self, reset=reset)
        self._check_values(X)
        return X

    def _check_rows(self, X):
        X = super()._check_rows(X)
        if not self._predicts_ratings:
            check_float32(X)
        return X

    def _check_values(self, X):
        check_float32(X)
        if self._learns_choices:
            check_non_negative(X, f"the choices of {type(self).__name__} are")

    def _n_batch_users(self, n_users):
        """Users of an update, of so many that are trained on."""
        if self.batch_size != "auto":
            return int(self.batch_size)  # NumPy's own may be too small to multiply
        n_smallest = round(n_users / N_BATCHES / SMALLEST_BATCH)
        return min(max(n_smallest, 1) * SMALLEST_BATCH, LARGEST_BATCH)

    def _trainer_options(self, data):
        return {
            **super()._trainer_options(data),
            "batch_size": self._n_batch_users(data.shape[0]),
        }

    def _hold_out(self, X, seed):
        return hold_out_users(X, self.validation_fraction, seed)

    def _validation_score(self, module, data, held_out):
        return held_out.ndcg(lambda rows: self._scores(module, rows))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only |= self._learns_choices
        return tags


@complete_verbs
class RowAutoencoderMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin, RowNetworkMixin):
    """What an autoencoder of users' rows does around its module.

    In place of ``scores``, the module offers

    - ``encode(batch)``: the code of each row that predictions are made from,
    - ``hidden(code)`` and the linear layer ``output``: from codes to items. An estimator whose
      scores are others writes ``_outputs``.

    Parameters
    ----------
    n_components : int
        Length of the code.
    """

    def transform(self, X):
        """Embed users.

        Returns
        -------
        embeddings : ndarray of shape (n_users, n_embedding)
            The codes that predictions are made from, float32.
        """
        X = self._inputs(self._check_rows(X))
        blocks = row_blocks(X.shape[0], 4 * (X.shape[1] + 8 * self._n_features_out))
        module = self._scoring_module()
        with torch_state():
            codes = [module.encode(_batch(module, X[block])).cpu() for block in blocks]
        return torch.cat(codes).numpy()

    @property
    def _n_features_out(self):
        return self._options["n_components"]

    def _outputs(self, module, batch):
        return module.output(module.hidden(module.encode(batch)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _batch(module, X):
    return RowStore(X, module.output.weight.device).cut()
