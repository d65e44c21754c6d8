"""What estimators that predict ratings share: the range of ratings, single pairs, uncertainty."""

from numbers import Real

import numpy as np

from skrec.utils._blocks import effective_n_threads, map_blocks, row_blocks, score_block
from skrec.utils._validation import check_interactions

# Noise that is estimated is kept above this, so that a standard deviation is never zero.
SMALLEST_NOISE = 1e-6

RATING_CONSTRAINTS = {"clip": ["boolean"], "rating_scale": ["array-like", None]}


class RatingMixin:
    """Predictions in units of ratings, clipped to their range.

    The estimator has the parameters ``clip`` and ``rating_scale``, and calls ``_check_ratings`` in
    ``fit``. It writes ``_score_rows``, as for every recommender; where single ratings cost less
    than whole rows, also ``_user_states`` and ``_score_pairs``.
    """

    def predict(self, X, *, reviews=None):
        """Predict every user's rating of every item.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user, seen in training or not.
        reviews : object, default=None
            Ignored: this model reads no text.

        Returns
        -------
        ratings : ndarray of shape (n_users, n_items)
        """
        return self._clip(super().predict(X, reviews=reviews))

    def _check_ratings(self, X):
        """Validate training ratings and set ``rating_range_``."""
        X = check_interactions(X, estimator=self, reset=True)
        seen = (float(X.data.min()), float(X.data.max())) if X.nnz else (0.0, 0.0)
        if self.rating_scale is None:
            self.rating_range_ = seen
            return X
        low, high = check_rating_scale(self.rating_scale)
        _check_within(X, low, high)
        self.rating_range_ = (low, high)
        return X

    def _check_rows(self, X):
        X = super()._check_rows(X)
        if self.rating_scale is not None:
            _check_within(X, *check_rating_scale(self.rating_scale))
        return X

    def _clip(self, ratings):
        return np.clip(ratings, *self.rating_range_, out=ratings) if self.clip else ratings

    def _user_states(self, X):
        """What single ratings of each user are predicted from; for row i at position i."""
        return X

    def _score_pairs(self, states, users, items):
        """Rating of an item by a user, for each pair of positions; an array of (n_pairs,)."""
        return score_pairs(self._score_rows, states, users, items, getattr(self, "n_jobs", None))

    def _rate_pairs(self, states, users, items):
        return self._clip(self._score_pairs(states, users, items))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.recommender_tags.predicts_ratings = True
        return tags


class UncertainRatingMixin(RatingMixin):
    """Predictions of ratings with a standard deviation.

    The estimator writes ``_score_rows_std(X)`` and ``_score_pairs_std(states, users, items)``
    beside the methods without ``_std``; they return the mean and the standard deviation.
    """

    def predict(self, X, *, reviews=None, return_std=False):
        """Predict every user's rating of every item.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user, seen in training or not.
        reviews : object, default=None
            Ignored: this model reads no text.
        return_std : bool, default=False
            Whether to return the standard deviation of each rating too.

        Returns
        -------
        ratings : ndarray of shape (n_users, n_items)
        std : ndarray of shape (n_users, n_items)
            Only if ``return_std=True``: of the rating itself, noise included, before clipping.
        """
        if not return_std:
            return super().predict(X, reviews=reviews)
        X, read = self._check_input(X, reviews)
        X, place = self._distinct_rows(X, read)
        n_threads = effective_n_threads(getattr(self, "n_jobs", None))
        blocks = row_blocks(X.shape[0], 32 * X.shape[1], n_threads)
        answers = map_blocks(
            lambda block: score_block(self._score_rows_std, block, X, read), blocks, n_threads
        )
        ratings, std = (np.concatenate(parts)[place] for parts in zip(*answers, strict=True))
        return self._clip(ratings), std

    def _rate_pairs(self, states, users, items, return_std=False):
        if not return_std:
            return super()._rate_pairs(states, users, items)
        ratings, std = self._score_pairs_std(states, users, items)
        return self._clip(ratings), std

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.recommender_tags.predicts_std = True
        return tags


def _check_within(X, low, high):
    """Raise an error where a rating lies outside a declared scale."""
    # In the precision of the ratings: the nearest float32 to 0.3 is above 0.3.
    is_outside = (X.data < X.dtype.type(low)) | (X.data > X.dtype.type(high))
    if is_outside.any():
        raise ValueError(
            f"Ratings in X must lie within rating_scale=({low:g}, {high:g}), got "
            f"{X.data[is_outside][0]:g}: correct the entry, or give the scale that the ratings "
            "have."
        )


def check_rating_scale(scale):
    """Validate a declared scale and return its ends as floats."""
    ends = list(scale)
    if (
        len(ends) != 2
        or not all(isinstance(end, Real) and np.isfinite(end) for end in ends)
        or not ends[0] < ends[1]
    ):
        raise ValueError(
            f"rating_scale must be two finite numbers, the lowest rating and the highest, got "
            f"{scale!r}: give for example (1, 5), or None for the range seen in fit."
        )
    return float(ends[0]), float(ends[1])


def score_pairs(score_rows, X, users, items, n_jobs=None):
    """Scores of pairs of user and item, from whole rows of scores, in blocks of users.

    Parameters
    ----------
    score_rows : callable
        Takes a block of rows of `X`, returns an array of shape (n_block, n_items).
    X : csr_array of shape (n_users, n_items)
    users, items : ndarray of int of shape (n_pairs,)
        Rows and columns of `X`.
    n_jobs : int, default=None

    Returns
    -------
    scores : ndarray of shape (n_pairs,)
    """
    scores = np.empty(len(users))

    def score(block):
        rows, pairs, positions = block
        scores[pairs] = score_rows(rows)[positions, items[pairs]]

    n_threads = effective_n_threads(n_jobs)
    map_blocks(score, blocks_of_pairs(X, users, 8 * X.shape[1], n_threads), n_threads)
    return scores


def blocks_of_pairs(X, users, row_bytes=0, n_threads=1):
    """Cut pairs of user and item into blocks of users.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    users : ndarray of int of shape (n_pairs,)
        Rows of `X`.
    row_bytes : int, default=0
        Bytes that the work on one row holds at its peak.
    n_threads : int, default=1

    Returns
    -------
    blocks : list of tuple of (csr_array, ndarray, ndarray)
        Rows of `X`, the pairs of their users, and each such pair's position among the rows.
    """
    asked, position = np.unique(users, return_inverse=True)
    order = np.argsort(position, kind="stable")
    starts = np.searchsorted(position[order], np.arange(len(asked) + 1))
    blocks = []
    for block in row_blocks(len(asked), max(row_bytes, 1), n_threads):
        pairs = order[starts[block.start] : starts[block.stop]]
        blocks.append((X[asked[block]], pairs, position[pairs] - block.start))
    return blocks
