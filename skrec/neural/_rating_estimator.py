"""What models on torch share that predict ratings from the entries of a user."""

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from skrec.base._ratings import RatingMixin
from skrec.metrics import rmse
from skrec.neural._batches import check_float32
from skrec.neural._estimator import NeuralEstimatorMixin
from skrec.neural._held_out import hold_out_entries
from skrec.utils._docstrings import complete_verbs
from skrec.utils._validation import check_finite_answers


@complete_verbs
class NeuralRatingMixin(
    RatingMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, NeuralEstimatorMixin
):
    """Early stopping on entries instead of users, and embeddings of users.

    A user's ratings are all that such a model has of the user, and part of what it has of the
    items: users held out as a whole would be missed in both.

    The estimator writes ``_embed(X)``, the embeddings of users, and ``_rate_held_out(module, data,
    users, items)``: ratings of pairs by a module in training on `data`.

    Parameters
    ----------
    early_stopping : bool
        Whether to hold ratings out, measure minus RMSE on them after each epoch, and keep the
        weights of the best epoch. Ratings, not users: what a model has of the items would miss
        those of users who are held out.
    validation_fraction : float
        Share of the ratings that are held out for early stopping.
    warm_start : bool
        Whether ``fit`` continues from the weights of the fit before, the optimiser's state
        included. The rows of `X` must be the same users.

    Attributes
    ----------
    validation_scores_ : list of float
        Scores on the ratings held out, by epoch. Only with ``early_stopping=True``.
    """

    def transform(self, X):
        """Embed users.

        Returns
        -------
        embeddings : ndarray of shape (n_users, n_components)
            float32.
        """
        embeddings = self._embed(self._check_rows(X))
        check_finite_answers(self, embeddings)
        return embeddings

    @property
    def _n_features_out(self):
        return self.item_embeddings_.shape[1]

    def _in_units(self, X):
        # In double precision: offsets are taken off before the module gets what is left.
        return super()._in_units(X.astype(np.float64, copy=False))

    def _check_rows(self, X):
        X = super()._check_rows(X)
        check_float32(X, self.rating_unit_)
        return X

    def _check_training(self, X, reset):
        return self._check_ratings(X, reset)

    def _hold_out(self, X, seed):
        return hold_out_entries(X, self.validation_fraction, seed)

    def _validation_score(self, module, data, held_out):
        users = np.repeat(np.arange(held_out.shape[0]), np.diff(held_out.indptr))
        return self._neg_rmse(self._rate_held_out(module, data, users, held_out.indices), held_out)

    def _neg_rmse(self, scores, held_out):
        """Minus the RMSE in ratings; scores and held-out entries are in the unit."""
        if self.clip:
            scores = np.clip(scores, *(end / self.rating_unit_ for end in self.rating_range_))
        return -self._in_ratings(rmse(scores, held_out))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
