"""Popularity: the same list for everybody."""

import numpy as np

from skrec.base import BaseRecommender
from skrec.utils._validation import (
    check_interactions,
    check_sample_weight,
    keep_state_on_error,
)


class Popularity(BaseRecommender):
    """Recommend the items that most users have interacted with.

    A calibration row: a personalised model that does not beat it has learned nothing about
    users, and its published values tell whether a data split is the published one.

    Attributes
    ----------
    popularity_ : ndarray of shape (n_items,)
        Number (sum of the weights) of the users who have an entry for the item.
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_items,)
        Names of the items, if `X` had string column names.

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

    def fit(self, X, y=None, *, reviews=None, sample_weight=None):
        """Count the users of every item.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user. Stored entries (dense input: the non-zeros) are the observations.
        y : object, default=None
            Ignored, present for API consistency.
        reviews : object, default=None
            Ignored: this model reads no text.
        sample_weight : array-like of shape (n_users,), default=None
            Non-negative weight of each user; None means 1.

        Returns
        -------
        self : Popularity
            The fitted estimator.
        """
        with keep_state_on_error(self):
            self.popularity_ = self._count(X, sample_weight, reset=True)
        return self

    def partial_fit(self, X, y=None, *, reviews=None, sample_weight=None):
        """Count additional users: the result is that of one ``fit`` on all users so far.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            Rows of the additional users.
        y : object, default=None
            Ignored, present for API consistency.
        reviews : object, default=None
            Ignored: this model reads no text.
        sample_weight : array-like of shape (n_users,), default=None
            Non-negative weight of each additional user; None means 1.

        Returns
        -------
        self : Popularity
            The fitted estimator.
        """
        if not hasattr(self, "popularity_"):
            return self.fit(X, sample_weight=sample_weight)
        with np.errstate(over="ignore"):
            total = self.popularity_ + self._count(X, sample_weight, reset=False)
        if not np.isfinite(total).all():
            raise ValueError(
                "sample_weight must have a finite sum over all users so far, which overflows for "
                f"item {np.flatnonzero(~np.isfinite(total))[0]}: divide all weights by a common "
                "factor."
            )
        self.popularity_ = total
        return self

    def _count(self, X, sample_weight, reset):
        X = check_interactions(X, estimator=self, reset=reset)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X, allow_all_zero=not reset)
            sample_weight = np.repeat(sample_weight, np.diff(X.indptr))
        return np.bincount(X.indices, weights=sample_weight, minlength=X.shape[1]).astype(float)

    def _score_rows(self, X):
        return np.tile(self.popularity_, (X.shape[0], 1))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.recommender_tags.personalized = False
        return tags
