"""Scores of different models on one scale, row by row."""

import numpy as np
from scipy.stats import rankdata

# Of a row's largest score: a smaller deviation may be float32's rounding, and tells nothing.
SMALLEST_DEVIATION = 1e-6


def normalize_rows(scores, how):
    """Bring the scores of each row onto a common scale; the order within a row stays.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_items)
        Floats, which may be overwritten.
    how : {"zscore", "rank", "minmax"} or None
        "zscore": mean 0 and standard deviation 1. "rank": from 0 for the lowest score to 1 for
        the highest, in equal steps; ties get their mean. "minmax": the lowest becomes 0, the
        highest 1. None: they stay as they are. Of a row whose scores are all the same, up to
        rounding, "zscore" and "minmax" make zeros.

    Returns
    -------
    scores : ndarray of shape (n_rows, n_items)
        Of the same precision.
    """
    if how == "zscore":
        return _standardize(scores)
    if how == "minmax":
        return _stretch(scores)
    if how == "rank":
        ranks = rankdata(scores, axis=1).astype(scores.dtype)
        ranks -= 1
        ranks /= max(1, scores.shape[1] - 1)
        return ranks
    return scores


def _standardize(scores):
    # The largest is divided out first: squares of large scores overflow.
    scores /= _or_one(np.abs(scores).max(axis=1, keepdims=True), 0)
    scores -= scores.mean(axis=1, keepdims=True, dtype=np.float64).astype(scores.dtype)
    deviations = np.linalg.norm(scores, axis=1, keepdims=True) / np.sqrt(scores.shape[1])
    scores *= deviations > SMALLEST_DEVIATION
    scores /= _or_one(deviations, SMALLEST_DEVIATION)
    return scores


def _stretch(scores):
    scores /= _or_one(np.abs(scores).max(axis=1, keepdims=True), 0)
    scores -= scores.min(axis=1, keepdims=True)
    ranges = scores.max(axis=1, keepdims=True)
    scores *= ranges > SMALLEST_DEVIATION
    scores /= _or_one(ranges, SMALLEST_DEVIATION)
    return scores


def _or_one(divisors, smallest):
    return np.where(divisors > smallest, divisors, 1).astype(divisors.dtype)
