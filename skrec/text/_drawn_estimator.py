"""What models share whose items' factors are drawn to what texts say of the items."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from skrec.base import BaseRecommender, FactorMixin, RatingMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.solvers._offsets import fit_offsets, less_offsets, with_data
from skrec.text._drawn_factors import DrawnFactors, choose_penalties
from skrec.text._item_documents import ItemDocumentsMixin
from skrec.utils._compat import HasMethods, Interval, StrOptions
from skrec.utils._memory import check_memory
from skrec.utils._validation import check_non_negative

L2_CHOICES = 5.0
DRAWN_CONSTRAINTS = {
    "n_components": [Interval(Integral, 1, None, closed="left")],
    "feedback": [StrOptions({"choices", "ratings"})],
    "vectorizer": [HasMethods(["fit_transform", "transform"]), None],
    "item_features": ["array-like", "sparse matrix", None],
    "unobserved_weight": [Interval(Real, 0, 1e6, closed="left")],
    "l2": [Interval(Real, 1e-6, 1e12, closed="both"), None],
    "l2_item": [Interval(Real, 1e-6, 1e12, closed="both")],
    "l2_offset": [Interval(Real, 0, None, closed="neither"), None],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    **RATING_CONSTRAINTS,
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


class DrawnFactorsMixin(ItemDocumentsMixin, FactorMixin, RatingMixin):
    r"""Ridge regressions of users and of items, whose priors the estimator learns from texts.

    It writes ``_learn_priors(X, reviews, rng)``, an array of shape (n_items, n_components), and
    ``_alternate(rows, items)``, which improves items with ``_factors`` and returns them and the
    losses.

    Parameters
    ----------
    feedback : {"choices", "ratings"}
        What entries are. "choices": :math:`y` is 1, and all pairs have the weight
        `unobserved_weight` besides. "ratings": :math:`y` is what the offsets of user and item
        leave of the rating, in units of their deviation, and :math:`\alpha` is 0.
    unobserved_weight : float
        Weight :math:`\alpha` of all pairs. Of no use with ``feedback="ratings"``.
    l2 : float
        Penalty :math:`\lambda_u` of users. None: 5 for choices, and for ratings that of 3, 6, 12,
        25, 50, 100 or 400 which rates a tenth of them best, after learning from the others.
    l2_offset : float
        Penalty on the offsets of users and items, in units of ratings. None: the best of 1, 2, 4,
        8, 16 and 32 for a tenth of them, before `l2`. Of no use with ``feedback="choices"``.
    """

    tol = 1e-4

    @property
    def _predicts_ratings(self):
        # As it was fitted, if it was: the parameter may have been changed since.
        if hasattr(self, "item_embeddings_"):
            return hasattr(self, "rating_unit_")
        return self.feedback == "ratings"

    def _check_training(self, X, reset):
        if self.feedback == "ratings":
            return super()._check_training(X, reset)
        self._forget_ratings()
        return self._check_choices(BaseRecommender._check_training(self, X, reset))

    def _check_rows(self, X):
        X = super()._check_rows(X)
        return X if self._predicts_ratings else self._check_choices(X)

    def _check_choices(self, X):
        check_non_negative(X, f"the choices of {type(self).__name__} are")
        return with_data(X, np.ones_like(X.data))

    def _fit(self, X, reviews):
        rng = check_random_state(self.random_state)
        check_memory(
            16 * sum(X.shape) * self.n_components + 24 * X.nnz,
            f"{type(self).__name__} with {self.n_components} components on {X.shape[0]} users x "
            f"{X.shape[1]} items",
            "use a smaller n_components",
        )
        priors = self._learn_priors(X, reviews, rng)
        n_components = priors.shape[1]
        start = priors + 0.1 / np.sqrt(n_components) * rng.standard_normal(priors.shape)
        self._offsets, self._item_offsets = None, 0
        l2_item = float(self.l2_item)
        weight, l2 = float(self.unobserved_weight), self.l2
        if self.feedback == "ratings":
            weight, given = 0.0, {"l2": l2, "l2_offset": self.l2_offset}
            sweeps = {"max_iter": self.max_iter, "tol": self.tol}
            l2, unit = choose_penalties(X, priors, start, l2_item=l2_item, **given, **sweeps)
            self._offsets = (*fit_offsets(X, unit, unit), unit)
            self._item_offsets = self._offsets[0] + self._offsets[1]
        l2 = L2_CHOICES if l2 is None else float(l2)
        rows, _ = self._without_offsets(X)
        self._factors = DrawnFactors(priors, weight, l2, l2_item)
        self.item_embeddings_, self.loss_curve_ = self._alternate(rows, start)
        self.n_iter_ = len(self.loss_curve_)

    def _without_offsets(self, X):
        if self._offsets is None:
            return X.astype(np.float64), np.zeros(X.shape[0])
        return less_offsets(X, self._offsets)

    def _fold_in(self, X):
        rows, offsets = self._without_offsets(X)
        return self._factors.users(rows, self.item_embeddings_), offsets

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = not self._predicts_ratings
        return tags
