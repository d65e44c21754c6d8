"""What neighbours' ratings are deviations from, and what is compared of them."""

import numpy as np

from skrec.solvers._offsets import less_offsets, with_data
from skrec.solvers._rating_neighbors import KINDS, Rule

# A smaller variance, in the unit of all ratings, is the rounding of 0.
_SMALLEST_VARIANCE = 1e-12


class Center:
    """Centres and scales: a deviation is ``(rating - user - item) / (user scale * item scale)``.

    Parameters
    ----------
    kind : {"none", "mean", "zscore", "baseline"}
    based_on : {"user", "item"}
        Whose means are taken.
    X : csr_array of shape (n_users, n_items)
        Training ratings, in their standard deviation.
    offsets : tuple of (mean, item_offsets, l2) or None
        Of the baseline, for `less_offsets`.
    """

    def __init__(self, kind, based_on, X, offsets):
        self.kind = kind
        self.mean = float(X.data.mean()) if X.nnz else 0.0
        self.offsets = offsets
        has_means = kind in ("mean", "zscore")
        self.has_user_means = has_means and based_on == "user"
        self.items, self.item_scales = np.zeros(X.shape[1]), np.ones(X.shape[1])
        if kind == "baseline":
            self.items = offsets[1]
        elif has_means and based_on == "item":
            self.items, self.item_scales = self._moments(X.T.tocsr())

    def users(self, X):
        """Centres and scales of users, by their rows; two arrays of shape (n_users,)."""
        if self.has_user_means:
            return self._moments(X)
        ones = np.ones(X.shape[0])
        if self.kind == "baseline":
            return self.offsets[0] + less_offsets(X, self.offsets)[1], ones
        return (self.mean if self.kind == "none" else 0.0) * ones, ones

    def deviations(self, X):
        """Of every rating of the users with these rows."""
        users, scales = (np.repeat(values, np.diff(X.indptr)) for values in self.users(X))
        deviations = (X.data - users - self.items[X.indices]) / scales
        return with_data(X, deviations / self.item_scales[X.indices])

    def ratings(self, X, deviations, users=None, items=None):
        """Turn deviations of whole rows, or of pairs of positions, into ratings."""
        centers, scales = self.users(X)
        if users is None:
            users, items = (slice(None), None), slice(None)
        ratings = deviations * scales[users]
        ratings *= self.item_scales[items]
        ratings += centers[users]
        ratings += self.items[items]
        return ratings

    def _moments(self, X):
        """Mean of each row, and its standard deviation where that is to be divided by."""
        lengths = np.diff(X.indptr)
        rows = np.repeat(np.arange(X.shape[0]), lengths)
        n_entries = np.maximum(lengths, 1)
        means = self.mean + np.bincount(rows, X.data - self.mean, X.shape[0]) / n_entries
        if self.kind == "mean":
            return means, np.ones(X.shape[0])
        variances = np.bincount(rows, (X.data - means[rows]) ** 2, X.shape[0]) / n_entries
        # In place of a deviation of 0 that of all ratings, which is the unit.
        return means, np.sqrt(np.where(variances > _SMALLEST_VARIANCE, variances, 1.0))


class Comparison:
    """What of the ratings is compared, and by which rule.

    Parameters
    ----------
    similarity : {"cosine", "msd", "pearson", "pearson_baseline"}
    center : Center
        With the offsets of the baseline, if that is what is compared.
    scale : float
        Unit of the differences of "msd".
    min_support : int
    shrinkage : float
    """

    def __init__(self, similarity, center, scale, min_support, shrinkage):
        self.similarity = similarity
        self.mean, self.offsets = center.mean, center.offsets
        # A single residual in common has a cosine of 1 with any other.
        least = 2 if similarity == "pearson_baseline" else 1
        self.rule = Rule(KINDS[similarity], scale, max(min_support, least), float(shrinkage))

    def __call__(self, X):
        if self.similarity == "pearson_baseline":
            return less_offsets(X, self.offsets)[0]
        # Sums of squares about a mean lose the fewest digits near to it.
        return with_data(X, X.data - self.mean) if self.similarity == "pearson" else X
