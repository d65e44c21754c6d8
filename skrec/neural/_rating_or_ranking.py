"""Networks of users' rows that rank, and with a squared error rate."""

import numpy as np
import torch

from skrec.base._ratings import RatingMixin
from skrec.metrics import rmse
from skrec.neural._batches import RowStore, check_float32
from skrec.neural._row_autoencoder import RowAutoencoderMixin
from skrec.solvers._offsets import centered, fit_offsets
from skrec.solvers._torch_state import torch_state
from skrec.utils._docstrings import complete_verbs
from skrec.utils._pair_blocks import blocks_of_pairs
from skrec.utils._validation import check_non_negative

# Penalties on the offsets of users and items, as of BiasBaseline.
L2_USER, L2_ITEM = 15.0, 10.0


@complete_verbs
class RatingOrRankingMixin(RatingMixin, RowAutoencoderMixin):
    """A network of users' rows that ranks, or with ``loss="squared_error"`` predicts ratings.

    Beside what :class:`NeuralEstimatorMixin` asks for, the module offers

    - ``module(batch, generator, progress)``: the objective of each row, in training,
    - ``encode(batch)``: the codes of rows that ``transform`` gives,
    - ``scores(batch)``: of all items for each row of a batch,
    - ``pair_scores(batch, rows, items)``: of single pairs; asked for where ratings are predicted,
    - the linear layer ``output``, whose weights are vectors of the items and whose bias has an
      offset of each.

    Where ratings are predicted, the values of a batch are the ratings less their mean, in their
    unit, and scores are what is to be added to the mean. The estimator has the parameters
    ``loss``, ``clip`` and ``rating_scale``; "loss" is one of its module's options.

    Parameters
    ----------
    loss : {"cross_entropy", "bpr", "squared_error"}
        "cross_entropy": each choice is a one, and its negatives are zeros. "bpr": each choice
        ranks before its negatives. "squared_error": the entries are ratings, which the model
        then predicts, and unobserved ones are left out.
    n_negatives : int
        Items drawn for each choice at each pass, of those that the user has not chosen. Of no
        use with ``loss="squared_error"``.
    clip : bool
        Whether ``predict`` keeps to the range of the ratings. ``recommend`` ranks by the values
        before clipping. Of no use unless ``loss="squared_error"``.
    rating_scale : tuple of (float, float)
        Lowest and highest possible rating. Others are an error in ``fit``. None means the range
        of the ratings seen in ``fit``. Of no use unless ``loss="squared_error"``.

    Attributes
    ----------
    mean_ : float
        Mean of the ratings. Only with ``loss="squared_error"``.
    rating_unit_ : float
        Standard deviation of the ratings, the unit of losses. Only with
        ``loss="squared_error"``.
    rating_range_ : tuple of (float, float)
        `rating_scale`, or the smallest and largest rating seen in ``fit``. Only with
        ``loss="squared_error"``.
    """

    @property
    def _predicts_ratings(self):
        # As it was fitted, if it was: the parameter may have been changed since.
        if hasattr(self, "_options"):
            return hasattr(self, "mean_")
        return self.loss == "squared_error"

    def predict(self, X, *, reviews=None):
        """Score every item for every user.

        Returns
        -------
        scores : ndarray of shape (n_users, n_items)
            Larger is better. With ``loss="squared_error"`` they are ratings.
        """
        return super().predict(X, reviews=reviews)

    def _check_training(self, X, reset):
        if self.loss != "squared_error":
            self._forget_ratings()
            return RowAutoencoderMixin._check_training(self, X, reset)
        X = self._check_ratings(X, reset)
        if reset or not hasattr(self, "mean_"):
            self._mean = float(X.data.mean(dtype=np.float64)) if X.nnz else 0.0
            self.mean_ = self._in_ratings(self._mean)
        return X

    def _check_values(self, X):
        super()._check_values(X)
        check_non_negative(X, f"the choices of {type(self).__name__} are")

    def _check_rows(self, X):
        X = super()._check_rows(X)
        if self._predicts_ratings:
            check_float32(X, self.rating_unit_)
        return X

    def _in_units(self, X):
        # In double precision: the mean is taken off before the module gets what is left.
        return super()._in_units(X.astype(np.float64, copy=False))

    def _training_data(self, X, reviews):
        X = super()._training_data(X, reviews)
        return self._centered(X) if self.loss == "squared_error" else X

    def _start_offsets(self, module, data):
        """Let the items' offsets begin as those that fit the ratings best."""
        if self.loss == "squared_error":
            _, offsets = fit_offsets(data, L2_USER, L2_ITEM)
            module.output.bias.data.copy_(torch.from_numpy(offsets))

    def _inputs(self, X):
        return self._centered(X) if self._predicts_ratings else X

    def _centered(self, X):
        return centered(X, self._mean, X.dtype)

    def _validation_score(self, module, data, held_out):
        if self.loss != "squared_error":
            return super()._validation_score(module, data, held_out)
        hidden = held_out.hidden
        users = np.repeat(np.arange(hidden.shape[0]), np.diff(hidden.indptr))
        rated = self._rate(module, held_out.visible, users, hidden.indices)
        if self.clip:
            rated = np.clip(rated, *(end / self.rating_unit_ for end in self.rating_range_))
        return -self._in_ratings(rmse(rated, hidden))

    def _scores(self, module, X):
        scores = super()._scores(module, X)
        return scores + self._mean if self._predicts_ratings else scores

    def _outputs(self, module, batch):
        return module.scores(batch)

    def _score_pairs(self, states, users, items):
        return self._rate(self._scoring_module(), states, users, items)

    def _rate(self, module, X, users, items):
        """Ratings of pairs of row and item, in the unit, an array of shape (n_pairs,)."""
        X = self._centered(X)
        device = module.output.weight.device
        rated = np.empty(len(users))
        for rows, pairs, positions in blocks_of_pairs(X, users):
            batch = RowStore(rows, device).cut()
            with torch_state():
                pair = (torch.as_tensor(part, device=device) for part in (positions, items[pairs]))
                rated[pairs] = module.pair_scores(batch, *pair).cpu().numpy()
        return rated + self._mean

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = not self._predicts_ratings
        return tags
