"""BPR and WARP: a user's choices are ranked before what the user has not chosen."""

from numbers import Integral, Real

import numpy as np

from skrec.base import BaseRecommender, FactorMixin
from skrec.factorization._bpr_module import LOSSES, OPTIONS, PooledRanking, pooled
from skrec.neural._estimator import TRAINING_CONSTRAINTS, USER_BATCH_CONSTRAINTS
from skrec.neural._row_autoencoder import RowAutoencoderMixin
from skrec.neural._weights import fitted_weights
from skrec.utils._compat import Interval, StrOptions
from skrec.utils._validation import check_non_negative


class BPR(FactorMixin, RowAutoencoderMixin, BaseRecommender):
    r"""Factors learned from pairs: a choice ranks before what was not chosen (BPR, WARP).

    Items are scored by :math:`f_j = u^\top v_j + b_j`, where a user's factors are pooled from the
    `n` items of the row, whatever their values: :math:`u = n^{-1/2} \sum_i w_i`. For training a
    choice is left out of the factors that it is ranked by. With negatives `j`, items that the
    user has not chosen, the loss of a choice `i` is

    .. math::
        \text{BPR: } -\log \sigma(f_i - f_j), \qquad
        \text{WARP: } \log \lfloor (n_{\text{items}} - 1) / k \rfloor \, (1 - f_i + f_j)_+

    BPR's is a mean over the negatives. WARP's is that of the first, the `k`-th, which the choice
    is not ahead of by 1: the fewer are drawn until then, the lower must be its rank. Vectors of
    users, which the papers learn, would say nothing of new ones: pooling, as in FISM, does.
    Without ``explain``, as offsets are no part of what the history adds.

    Parameters
    ----------
    loss : {"bpr", "warp"}
        WARP weighs the top of the list more.
    n_negatives : int
        Items drawn for each choice at each pass. WARP, which takes one, gains from 20.
    negative_power : float
        Negatives are drawn in proportion to their number of users plus 1 to this power.
    user_power : float
        A user's loss is divided by the number of choices to this power.
    dropout : float
        Share of the row that is dropped in training from what the factors are pooled from.
    user_l2, item_l2, negative_l2 : float
        Penalties on half the squared length of the user's factors, of :math:`v_i`, and of
        :math:`v_j` (a mean over those that count), in units of the loss of a choice.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_components)
        Vectors :math:`v`, float32.
    item_offsets_ : ndarray of shape (n_items,)
        Offsets :math:`b`, which are the scores of a user without choices.

    References
    ----------
    .. [1] S. Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback",
       UAI 2009. :arxiv:`1205.2618`
    .. [2] J. Weston, S. Bengio and N. Usunier, "WSABIE: Scaling Up to Large Vocabulary Image
       Annotation", IJCAI 2011. :doi:`10.5591/978-1-57735-516-8/IJCAI11-460`
    .. [3] S. Kabbur, X. Ning and G. Karypis, "FISM: Factored Item Similarity Models for Top-N
       Recommender Systems", KDD 2013. :doi:`10.1145/2487575.2487589`

    Examples
    --------
    >>> from skrec import BPR
    >>> X = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0]]
    >>> BPR(8, early_stopping=False, random_state=0).fit(X).recommend([[1, 0, 0, 0]], k=1)
    array([[1]])
    """

    _module_class = PooledRanking
    item_embeddings_ = fitted_weights("output.weight", "Vectors by which items are ranked.")
    item_offsets_ = _item_offsets = fitted_weights("output.bias", "Offsets of the items.")
    _parameter_constraints: dict = {
        **dict.fromkeys(OPTIONS, [Interval(Real, 0, 1e38, closed="left")]),  # as float32 has
        **TRAINING_CONSTRAINTS,
        **USER_BATCH_CONSTRAINTS,
        "loss": [StrOptions(set(LOSSES))],
        "n_negatives": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
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
        learning_rate=0.005,
        batch_size=32,
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

    def _module_options(self, data):
        return {name: getattr(self, name) for name in OPTIONS}

    def _init_module(self, module, data, generator):
        module.init(generator)

    def _refill(self, module, data):
        module.count(np.bincount(data.indices, minlength=data.shape[1]))

    def _check_values(self, X):
        super()._check_values(X)
        check_non_negative(X, "the choices of BPR are")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _fold_in(self, X):
        factors = pooled(X, self._weights["history"])
        return factors, np.zeros(len(factors), dtype=factors.dtype)
