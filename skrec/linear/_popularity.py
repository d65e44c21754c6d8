"""Popularity: the same list for everybody."""

import numpy as np

from skrec.base import AdditiveMixin, BaseRecommender
from skrec.utils._blocks import recommend_rows
from skrec.utils._changes import check_learned, padded


class Popularity(AdditiveMixin, BaseRecommender):
    """Recommend the items that most users have interacted with.

    A calibration row: a personalised model that does not beat it has learned nothing about
    users, and its published values tell whether a data split is the published one.

    Attributes
    ----------
    popularity_ : ndarray of shape (n_items,)
        Number (sum of the weights) of the users who have an entry for the item.

    See Also
    --------
    EASE : A personalised linear model.

    Examples
    --------
    >>> from skrec import Popularity
    >>> model = Popularity().fit([[1, 1, 0], [0, 1, 0], [0, 1, 1]])
    >>> model.popularity_
    array([1., 3., 1.])
    >>> model.recommend([[0, 1, 0]], k=2)
    array([[0, 2]])
    """

    _no_update = None

    def _fit(self, X, sample_weight):
        self.popularity_ = count_users(X, sample_weight)

    def _add(self, X, sample_weight):
        with np.errstate(over="ignore"):
            total = self.popularity_ + count_users(X, sample_weight)
        if not np.isfinite(total).all():
            raise ValueError(
                "sample_weight must have a finite sum over all users so far, which overflows for "
                f"item {np.flatnonzero(~np.isfinite(total))[0]}: divide all weights by a common "
                "factor."
            )
        self.popularity_ = total

    def _check_learned(self, change):
        known = padded(self.popularity_, change.new.shape[1])
        check_learned(self, known, count_users(change.old, change.old_weight))

    def _update(self, change):
        known = padded(self.popularity_, change.new.shape[1])
        # Rounding may leave less than nothing of weights that are all taken away again.
        self.popularity_ = np.maximum(known - count_users(*change.removed), 0)
        self._add(*change.added)

    def _score_rows(self, X):
        return np.tile(self.popularity_, (X.shape[0], 1))

    def _recommend(self, X, k, read, **options):
        # Without further rules no list goes below its length and the items that a user has.
        reach = k + np.diff(X.indptr).max(initial=0)
        has_rules = options["items"] is not None or options["exclude"] is not None
        if has_rules or reach >= X.shape[1]:
            return super()._recommend(X, k, read, **options)
        top = np.sort(np.argsort(-self.popularity_, kind="stable")[:reach])
        counts = self.popularity_[top]
        answer = recommend_rows(
            lambda rows: np.tile(counts, (rows.shape[0], 1)), X[:, top], k, **options
        )
        indices = answer[0] if options["return_scores"] else answer
        indices[:] = np.where(indices < 0, -1, top[indices])
        return answer

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.recommender_tags.personalized = False
        return tags


def count_users(X, sample_weight=None):
    """Users of every item, or the sums of their weights.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    sample_weight : ndarray of shape (n_users,), default=None

    Returns
    -------
    counts : ndarray of shape (n_items,)
    """
    if sample_weight is not None:
        sample_weight = np.repeat(sample_weight, np.diff(X.indptr))
    return np.bincount(X.indices, weights=sample_weight, minlength=X.shape[1]).astype(float)
