"""Autoencoders that explain a row by a likelihood of its entries, and draw rows from it."""

import numpy as np
import torch
from scipy.special import expit, softmax
from sklearn.utils import check_random_state

from skrec.base import RatingMixin
from skrec.neural._batches import RowStore, check_float32
from skrec.neural._estimator import draw_seed
from skrec.neural._row_autoencoder import RowAutoencoderMixin
from skrec.neural._weights import fitted_weights
from skrec.solvers._torch_state import torch_state
from skrec.utils._blocks import row_blocks
from skrec.utils._docstrings import complete_verbs
from skrec.utils._validation import check_k

# Counts above it are no longer exact in double precision.
LARGEST_TOTAL = 1e15


@complete_verbs
class LikelihoodAutoencoderMixin(RowAutoencoderMixin):
    """An autoencoder with layers of hidden units, whose outputs are logarithms of odds.

    Beside what :class:`RowAutoencoderMixin` asks for, the module offers ``draw(batch,
    generator)``: a random code of each row.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int
        Widths of the encoder's hidden layers; the decoder has the same in reverse.
    dropout : float
        Probability of dropping an entry from an encoder's input.
    n_annealing_updates : int
        `beta` rises by ``1 / n_annealing_updates`` with each update until it is reached, from 0.
        0 means that it holds from the start.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_hidden)
        Weights of the output layer.
    """

    likelihood = "multinomial"
    _counts = "multinomial"  # the likelihood of entries of any size
    item_embeddings_ = fitted_weights(
        "output.weight", "Weights of the output layer, an array of shape (n_items, n_hidden)."
    )

    def predict(self, X, *, reviews=None):
        """Score every item for every user.

        Returns
        -------
        scores : ndarray of shape (n_users, n_items)
            Outputs of the last layer, float32: logarithms of odds. Larger is better.
        """
        return super().predict(X, reviews=reviews)

    def sample(self, X, n_samples=1, *, random_state=None):
        """Draw new rows from the posterior predictive distribution of users.

        A code is drawn given the user's row, then a row given the code.

        Parameters
        ----------
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
        generator = torch.Generator(device).manual_seed(draw_seed(rng))
        samples = np.empty((n_samples, *X.shape), dtype=np.float32)
        totals = self._totals(X)
        for block in row_blocks(X.shape[0], 16 * X.shape[1]):
            batch = RowStore(X[block], device).cut()
            for sample in samples:
                with torch_state():
                    outputs = self._drawn_by(module, module.draw(batch, generator))
                sample[block] = self._draw_rows(outputs.cpu().numpy(), totals[block], rng)
        return samples

    def _drawn_by(self, module, code):
        """What `_draw_rows` draws rows with, given their codes."""
        return module.output(module.hidden(code))

    def _totals(self, X):
        """Number of items to draw for each row; zeros where the likelihood counts none."""
        if self._options.get("likelihood", "multinomial") != "multinomial":
            return np.zeros(X.shape[0], dtype=np.int64)
        totals = np.asarray(X.sum(axis=1, dtype=np.float64)).round()
        if totals.max(initial=0) > LARGEST_TOTAL:
            raise ValueError(
                f"sample draws as many items as the entries of a row add up to, which must be at "
                f"most {LARGEST_TOTAL:.0e}, got {totals.max():.3g}: scale X down."
            )
        return totals.astype(np.int64)

    def _draw_rows(self, outputs, totals, rng):
        if self._options.get("likelihood") == "bernoulli":
            return rng.random_sample(outputs.shape) < expit(outputs)
        weights = softmax(outputs.astype(np.float64), axis=1)
        return np.array([rng.multinomial(*draw) for draw in zip(totals, weights, strict=True)])

    @property
    def _likelihood(self):
        """The likelihood that the next training has."""
        return self.likelihood

    def _batch_cost(self, n_users, n_items):
        n_buffers = 2 if self.likelihood == "bernoulli" else 1
        n_rows = min(self._n_batch_users(n_users), n_users)
        return 4 * n_buffers * n_rows * n_items, self._n_passes * n_users

    @property
    def _n_passes(self):
        """Passes over the users in an epoch."""
        return 1

    def _check_values(self, X):
        super()._check_values(X)
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
                f", or use likelihood={self._counts!r}."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = not self._predicts_ratings
        return tags


@complete_verbs
class RatedRowAutoencoderMixin(RatingMixin, LikelihoodAutoencoderMixin):
    """An autoencoder of users' rows that, with a gaussian likelihood, is a rating model.

    Parameters
    ----------
    likelihood : {"multinomial", "gaussian", "bernoulli"}
        What the entries of a row are. "multinomial": counts. "bernoulli": all entries are zeros
        and ones. "gaussian": ratings, with a noise as large as their own deviation and the
        unobserved ones left out; the model then predicts ratings (the VAE-CF and DAE-CF of the
        rating literature).
    clip : bool
        Whether ``predict`` keeps to the range of the ratings. ``recommend`` ranks by the values
        before clipping. Ignored unless ``likelihood="gaussian"``.
    rating_scale : tuple of (float, float)
        Lowest and highest possible rating. Others are an error in ``fit``. None means the range
        of the ratings seen in ``fit``. Ignored unless ``likelihood="gaussian"``.

    Attributes
    ----------
    rating_unit_ : float
        Standard deviation of the ratings, the unit of losses. Only with a gaussian likelihood.
    rating_range_ : tuple of (float, float)
        `rating_scale`, or the smallest and largest rating seen in ``fit``. Only with a gaussian
        likelihood.
    """

    @property
    def _predicts_ratings(self):
        # As it was fitted, if it was: the parameter may have been changed since.
        fitted = getattr(self, "_options", {})
        return fitted.get("likelihood", self.likelihood) == "gaussian"

    def predict(self, X, *, reviews=None):
        """Score every item for every user.

        Returns
        -------
        scores : ndarray of shape (n_users, n_items)
            Outputs of the last layer, float32; larger is better. With a gaussian likelihood they
            are ratings, otherwise logarithms of odds.
        """
        return super().predict(X, reviews=reviews)

    def _check_training(self, X, reset):
        if self.likelihood == "gaussian":
            return self._check_ratings(X, reset)
        self._forget_ratings()
        return LikelihoodAutoencoderMixin._check_training(self, X, reset)

    def _check_rows(self, X):
        X = super()._check_rows(X)
        if self._predicts_ratings:
            check_float32(X, self.rating_unit_)
        return X

    def _validation_score(self, module, data, held_out):
        if self.likelihood != "gaussian":
            return super()._validation_score(module, data, held_out)
        return self._in_ratings(held_out.neg_rmse(lambda rows: self._scores(module, rows)))

    def _draw_rows(self, outputs, totals, rng):
        if not self._predicts_ratings:
            return super()._draw_rows(outputs, totals, rng)
        return self._in_ratings(outputs + rng.standard_normal(outputs.shape))
