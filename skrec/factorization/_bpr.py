"""BPR: item vectors learned from pairs, of which the user's own item is to rank first."""

from numbers import Integral, Real

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from skrec.base import BaseRecommender, FactorMixin
from skrec.factorization._bpr_module import PooledRanking
from skrec.neural._estimator import BATCH_CONSTRAINTS, TRAINING_CONSTRAINTS
from skrec.neural._row_autoencoder import RowAutoencoderMixin
from skrec.utils._compat import Interval, StrOptions
from skrec.utils._validation import check_non_negative

_NON_NEGATIVE = Interval(Real, 0, None, closed="left")


class BPR(FactorMixin, RowAutoencoderMixin, BaseRecommender):
    r"""Matrix factorisation by pairs: BPR, and WARP as ``loss="warp"``."""

    _module_class = PooledRanking
    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **BATCH_CONSTRAINTS,
        "loss": [StrOptions({"bpr", "warp"})],
        "n_negatives": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        **dict.fromkeys(
            ["user_l2", "item_l2", "negative_l2", "user_power", "negative_power"],
            [_NON_NEGATIVE],
        ),
    }

    def __init__(
        self,
        n_components=64,
        *,
        loss="bpr",
        n_negatives=8,
        negative_power=0.0,
        user_power=0.5,
        dropout=0.5,
        user_l2=0.0,
        item_l2=0.0,
        negative_l2=0.0,
        learning_rate=0.01,
        batch_size=64,
        max_iter=50,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=5,
        warm_start=False,
        callbacks=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.loss = loss
        self.n_negatives = n_negatives
        self.negative_power = negative_power
        self.user_power = user_power
        self.dropout = dropout
        self.user_l2 = user_l2
        self.item_l2 = item_l2
        self.negative_l2 = negative_l2
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    _OPTIONS = (
        "n_components",
        "loss",
        "n_negatives",
        "negative_power",
        "user_power",
        "dropout",
        "user_l2",
        "item_l2",
        "negative_l2",
    )

    def _module_options(self, data):
        return {name: getattr(self, name) for name in self._OPTIONS}

    def _init_module(self, module, data, generator):
        module.init(generator)

    def _refill(self, module, data):
        module.count(torch.from_numpy(np.bincount(data.indices, minlength=data.shape[1])))

    def _check_values(self, X):
        super()._check_values(X)
        check_non_negative(X, "the choices of BPR are")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    @property
    def item_embeddings_(self):
        """Vectors of the items that are ranked, an array of shape (n_items, n_components)."""
        check_is_fitted(self)
        return self._weights["output.weight"]

    @property
    def item_offsets_(self):
        """Offsets of the items, an array of shape (n_items,)."""
        check_is_fitted(self)
        return self._item_offsets

    @property
    def _item_offsets(self):
        return self._weights["output.bias"]

    def _fold_in(self, X):
        factors = pooled(X, self._weights["history"])
        return factors, np.zeros(len(factors), dtype=factors.dtype)


def pooled(X, vectors):
    """Sum of the vectors of each row's items, over the square root of their number."""
    lengths = np.diff(X.indptr)
    values = np.repeat(np.maximum(lengths, 1).astype(vectors.dtype) ** -0.5, lengths)
    return sparse.csr_array((values, X.indices, X.indptr), shape=X.shape) @ vectors
