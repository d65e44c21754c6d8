"""What any estimator answers for users given as rows, streamed in blocks."""

import narwhals as nw
import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skrec.reviews import reviews_option
from skrec.utils._blocks import (
    effective_n_threads,
    map_blocks,
    recommend_rows,
    row_blocks,
    score_block,
)
from skrec.utils._compat import BaseSearchCV
from skrec.utils._pair_blocks import score_pairs


def final_estimator(estimator):
    """Look through Pipelines and searches at the estimator that answers, fitted if they are."""
    while True:
        if isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        elif isinstance(estimator, BaseSearchCV):
            estimator = getattr(estimator, "best_estimator_", estimator.estimator)
        elif isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        else:
            return estimator


class Predictor:
    """Recommendations and predictions of an estimator that has ``recommend`` or ``predict``.

    Parameters
    ----------
    estimator : estimator
        Fitted recommender, Pipeline, search object, or anything with ``predict``.
    X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
        The caller's rows. Only their container counts: blocks are handed over in its kind.
    reviews : Reviews, default=None
        Of the rows that are asked about, all at once.
    """

    def __init__(self, estimator, X, reviews=None):
        self._estimator = estimator = getattr(estimator, "best_estimator_", estimator)
        if not hasattr(estimator, "predict") and not hasattr(estimator, "recommend"):
            raise TypeError(
                f"The estimator must have recommend or predict, got {estimator!r}, which has "
                "neither."
            )
        final = final_estimator(estimator)
        # Only of recommenders is it known that they may be called from several threads.
        is_recommender = hasattr(final, "recommend")
        n_jobs = getattr(final, "n_jobs", None)
        self._n_threads = effective_n_threads(n_jobs) if is_recommender else 1
        frame = nw.from_native(X, eager_only=True, pass_through=True)
        if isinstance(frame, nw.DataFrame) and hasattr(estimator, "feature_names_in_"):
            self._frame = frame
        else:
            self._frame = None
        self._dense = not hasattr(X, "tocsr")
        self._reviews = reviews

    def recommend(self, X, k, items=None):
        """Best `k` unseen items of each row of the csr_array `X`, padded with -1.

        Of all, or of `items`, sorted indices.
        """
        if self._frame is None and hasattr(self._estimator, "recommend"):
            options = reviews_option(self._reviews)
            if items is not None:  # a mask cannot be mistaken for ids
                options["items"] = np.isin(np.arange(X.shape[1]), items)
            return np.asarray(self._estimator.recommend(X, k=k, exclude_seen=True, **options))
        return self.rank(X, k, items=items)

    def rank(self, X, k, **options):
        """Best `k` items of each row of the csr_array `X` by ``predict``, as `recommend_rows`."""
        # The array may be one that the estimator keeps, and -inf is written into it.
        score_rows = lambda *block: np.array(self._predict(*block), order="C")  # noqa: E731
        options.update(reviews=self._reviews, n_threads=self._n_threads)
        return recommend_rows(score_rows, X, k, **options)

    def scores(self, X):
        """What ``predict`` answers for the csr_array `X`, in an array that nobody else has."""
        return np.array(self._predict(X), order="C")

    def predict_entries(self, X, entries):
        """Predictions from the rows of `X` at the stored entries of `entries` (both csr_array)."""

        def gather(block):
            wanted = entries[block]
            rows = np.repeat(np.arange(wanted.shape[0]), np.diff(wanted.indptr))
            scores = score_block(self._predict, block, X, self._reviews)
            return scores[rows, wanted.indices]

        blocks = row_blocks(X.shape[0], 8 * X.shape[1], self._n_threads)
        return np.concatenate(map_blocks(gather, blocks, self._n_threads))

    def predict_pairs(self, X, users, items, return_std=False):
        """Predictions from the rows of the csr_array `X` for pairs of its rows and columns.

        With `return_std`, which ``predict`` must have, also their standard deviations.
        """
        ratings = score_pairs(self._predict, X, users, items, self._n_threads)
        if not return_std:
            return ratings
        return ratings, score_pairs(self._predict_std, X, users, items, self._n_threads)

    def _predict(self, rows, reviews=None):
        answer = self._estimator.predict(self._contain(rows), **reviews_option(reviews))
        return self._check(answer, rows)

    def _predict_std(self, rows):
        return self._check(self._estimator.predict(self._contain(rows), return_std=True)[1], rows)

    def _check(self, scores, rows):
        scores = np.asarray(scores)
        if scores.shape != rows.shape:
            raise ValueError(
                f"predict must return a dense array with one row per user and one column per item,"
                f" {rows.shape}, but {type(self._estimator).__name__} returned shape "
                f"{scores.shape}."
            )
        scores = scores.astype(np.result_type(scores, np.float32), copy=False)
        # The minimum is NaN if anything is, and needs no temporary array.
        if np.isnan(scores.min()):
            raise ValueError(
                f"predict of {type(self._estimator).__name__} returned NaN, which has no rank."
            )
        return scores

    def _contain(self, rows):
        if self._frame is not None:
            return nw.from_numpy(
                rows.toarray(), schema=self._frame.columns, backend=self._frame.implementation
            ).to_native()
        return rows.toarray() if self._dense else rows
