"""Networks over an item's vector and one that is pooled from the user's items."""

from numbers import Integral, Real

import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.neural._estimator import LAYER_CONSTRAINTS, TRAINING_CONSTRAINTS, USER_BATCH_CONSTRAINTS
from skrec.neural._layers import linear
from skrec.neural._negative_sampling import bpr_loss, draw_negatives, sampled_cross_entropy
from skrec.neural._pooled_rows import pick, sums, vector_sums
from skrec.neural._rating_or_ranking import L2_USER, RatingOrRankingMixin
from skrec.neural._weights import fitted_weights
from skrec.utils._compat import Interval, StrOptions
from skrec.utils._docstrings import complete_verbs

# Pairs that are scored at a time: their hidden layers stay in the cache.
N_PAIRS = 2**11
# Penalty by default where ratings are predicted; drawn negatives need none.
RATING_L2 = 50.0
START = 0.1  # standard deviation of the first vectors
RANKING_LOSSES = {"bpr": bpr_loss, "cross_entropy": sampled_cross_entropy}
POOLED_CONSTRAINTS = {
    **TRAINING_CONSTRAINTS,
    **USER_BATCH_CONSTRAINTS,
    **RATING_CONSTRAINTS,
    "loss": [StrOptions({*RANKING_LOSSES, "squared_error"})],
    "n_negatives": [Interval(Integral, 1, None, closed="left")],
    "dropout": LAYER_CONSTRAINTS["dropout"],
    "l2": [Interval(Real, 0, 1e38, closed="left"), None],  # as float32 has
}


class PooledNetwork(nn.Module):
    r"""Scores of pairs by a network over an item's vector and one pooled from the user's items.

    A user of the items :math:`J` is :math:`p = |J|^{-1/2} \sum_{j \in J} h_j`. Where ratings are
    predicted, it is :math:`|J|^{-1/2} \sum_j (h_j + e_j g_j)`, with :math:`e_j` what the offsets
    of the item and of the user leave of the rating. The user's own is the sum of what the item's
    leave, over their number plus a constant.

    A subclass writes

    - ``user_side(vectors)`` and ``item_side()``: what of the network can be computed for a user
      or an item alone, tensors of shape (n_users, ...) and (n_items, ...),
    - ``interact(users, items)``: from the sides of n users and of k items for each, or for all if
      the first axis has length 1, tensors of shape (n, ...) and (n or 1, k, ...), their scores,
      one of shape (n, k).

    Parameters
    ----------
    n_items, n_components : int
    loss : {"cross_entropy", "bpr", "squared_error"}
    n_negatives : int
    dropout : float
        Share of the entries that users are not pooled from, in training.
    """

    def __init__(self, n_items, n_components, *, loss, n_negatives, dropout):
        super().__init__()
        self.loss = loss
        self.n_negatives = n_negatives
        self.dropout = dropout
        self.history = nn.Parameter(torch.empty(n_items, n_components))
        rated = torch.empty(n_items, n_components) if loss == "squared_error" else None
        self.register_parameter("rated", None if rated is None else nn.Parameter(rated))
        self.output = linear(n_components, n_items)

    def init_vectors(self, generator):
        """Draw the vectors of items from a normal; all start with the same offset."""
        for vectors in (self.history, self.rated, self.output.weight):
            if vectors is not None:
                nn.init.normal_(vectors, std=START, generator=generator)
        nn.init.zeros_(self.output.bias)

    def encode(self, batch):  # -> (n_rows, n_components)
        return self._pool(batch)[0]

    def scores(self, batch):  # -> (n_rows, n_items)
        vectors, offsets = self._pool(batch)
        users, items = self.user_side(vectors), self.item_side()
        scores = vectors.new_empty(len(vectors), len(items))
        n_columns = min(len(items), N_PAIRS)
        for columns in torch.arange(len(items), device=scores.device).split(n_columns):
            right = items[columns][None]
            for rows in torch.arange(len(users), device=scores.device).split(
                max(1, N_PAIRS // n_columns)
            ):
                scores[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = self.interact(
                    users[rows], right
                )
        scores += self.output.bias
        return scores if offsets is None else scores.add_(offsets[:, None])

    def pair_scores(self, batch, rows, items):  # -> (n_pairs,)
        vectors, offsets = self._pool(batch)
        users, right = self.user_side(vectors), self.item_side()
        parts = [
            self.interact(users[row], right[item][:, None])[:, 0]
            for row, item in zip(rows.split(N_PAIRS), items.split(N_PAIRS), strict=True)
        ]
        scores = torch.cat(parts) + self.output.bias[items]
        return scores if offsets is None else scores + offsets[rows]

    def forward(self, batch, generator, progress):  # -> (n_rows,)
        kept = torch.ones_like(batch.values)
        if self.dropout:
            kept *= torch.empty_like(kept).uniform_(generator=generator) >= self.dropout
        vectors, offsets = self._pool(batch, kept, of_others=True)
        users, items = self.user_side(vectors), self.item_side()
        if self.loss == "squared_error":
            rated = self.interact(users, pick(items, batch.items)[:, None])[:, 0] + offsets
            errors = rated + self._offsets_of(batch.items) - batch.values
            return batch.sum_rows(errors**2)
        negatives = draw_negatives(batch, self.n_negatives, generator)
        chosen = torch.cat([batch.items[:, None], negatives.clamp(min=0)], dim=1)
        scores = self.interact(users, pick(items, chosen))
        scores = scores + self._offsets_of(chosen)
        others = scores[:, 1:].masked_fill(negatives < 0, -torch.inf)
        losses = RANKING_LOSSES[self.loss](scores[:, 0], others)
        # A user counts with the root of the number of entries.
        weights = batch.offsets.diff().clamp(min=1).to(losses.dtype).rsqrt()
        return batch.sum_rows(losses) * weights

    def _offsets_of(self, items):
        return pick(self.output.bias[:, None], items)[..., 0]

    def _pool(self, batch, kept=None, of_others=False):
        """Vectors and offsets of rows, or for each entry those of the others of its row."""
        kept = torch.ones_like(batch.values) if kept is None else kept
        counts = sums(kept, batch, of_others)
        vectors = vector_sums(self.history, batch, kept, of_others)
        offsets = None
        if self.rated is not None:
            left = kept * (batch.values - self.output.bias.detach()[batch.items])
            offsets = sums(left, batch, of_others) / (counts + L2_USER)
            vectors = vectors + vector_sums(self.rated, batch, left, of_others)
            vectors = vectors - offsets[:, None] * vector_sums(self.rated, batch, kept, of_others)
        return vectors * counts.clamp(min=1).rsqrt()[:, None], offsets


@complete_verbs
class PooledNetworkMixin(RatingOrRankingMixin):
    """An estimator whose module is a :class:`PooledNetwork` with a method ``init(generator)``.

    Parameters
    ----------
    dropout : float
        Share of the row that is dropped in training from what the user's vector is pooled from.
    l2 : float
        Penalty on half the squared vectors of the items, against the sum of the losses of all
        users. Losses of ratings are squared errors in units of the ratings' standard deviation.
        None: 50 for ratings, otherwise 0.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_embedding)
        Vectors of the items.
    item_offsets_ : ndarray of shape (n_items,)
        Offsets of the items, which are no part of the network.
    """

    item_embeddings_ = fitted_weights("output.weight", "Vectors of the items.")

    @property
    def item_offsets_(self):
        """Offsets of the items, an array of shape (n_items,)."""
        check_is_fitted(self)
        offsets = self._weights["output.bias"]
        return self._in_ratings(offsets) if self._predicts_ratings else offsets

    def _network_options(self):
        return {"loss": self.loss, "n_negatives": self.n_negatives, "dropout": self.dropout}

    def _init_module(self, module, data, generator):
        module.init(generator)
        self._start_offsets(module, data)

    def _trainer_options(self, data):
        rates = self.loss == "squared_error"
        l2 = (RATING_L2 if rates else 0.0) if self.l2 is None else self.l2
        # The trainer takes the mean over users, and Adam adds weight_decay * W to the gradient.
        decay = {"weight_decay": l2 / data.shape[0]}
        names = ["history", "output.weight", *(["rated"] if rates else [])]
        return {
            **super()._trainer_options(data),
            "optimizer__param_groups": [(name, decay) for name in names],
        }

    @property
    def _n_features_out(self):
        return self.item_embeddings_.shape[1]
