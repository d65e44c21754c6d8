"""What neighbours' ratings are deviations from: means, and deviations, of users and of items."""

import numpy as np

from skrec.solvers._offsets import less_offsets, with_data

# A smaller variance, in the unit of all ratings, is the rounding of 0.
_SMALLEST_VARIANCE = 1e-12


class Center:
    """Centres and scales of ratings: ``(rating - user - item) / (user scale * item scale)``.

    Parameters
    ----------
    kind : {"none", "mean", "zscore", "baseline"}
    of_users : bool
        Whether means are those of users, or of items.
    X : csr_array of shape (n_users, n_items)
        Training ratings, in their standard deviation.
    offsets : tuple of (mean, item_offsets, l2) or None
        Of the baseline, for `less_offsets`.
    """

    def __init__(self, kind, of_users, X, offsets):
        self.kind = kind
        self.of_users = of_users and kind in ("mean", "zscore")
        self.offsets = offsets
        self.mean = float(X.data.mean()) if X.nnz else 0.0
        n_items = X.shape[1]
        self.items, self.item_scales = np.zeros(n_items), np.ones(n_items)
        if kind == "baseline":
            self.items = offsets[1]
        elif kind in ("mean", "zscore") and not of_users:
            self.items, self.item_scales = self._moments(X.T.tocsr())

    def users(self, X):
        """Centres and scales of users, by their rows; two arrays of shape (n_users,)."""
        if self.of_users:
            return self._moments(X)
        ones = np.ones(X.shape[0])
        if self.kind == "baseline":
            return self.offsets[0] + less_offsets(X, self.offsets)[1], ones
        return (self.mean if self.kind == "none" else 0.0) * ones, ones

    def deviations(self, X):
        """Every rating less its centre, over its scale."""
        users, scales = (np.repeat(values, np.diff(X.indptr)) for values in self.users(X))
        deviations = (X.data - users - self.items[X.indices]) / scales
        return with_data(X, deviations / self.item_scales[X.indices])

    def _moments(self, X):
        """Mean of each row, and its standard deviation where that is to be divided by."""
        lengths = np.diff(X.indptr)
        rows = np.repeat(np.arange(X.shape[0]), lengths)
        n_entries = np.maximum(lengths, 1)
        # Sums of deviations, with which the rounding of large means does not matter.
        means = np.bincount(rows, X.data - self.mean, X.shape[0]) / n_entries
        means += self.mean
        if self.kind == "mean":
            return means, np.ones(X.shape[0])
        variances = np.bincount(rows, (X.data - means[rows]) ** 2, X.shape[0]) / n_entries
        # A deviation of 0 stands for that of all ratings, which is the unit.
        return means, np.sqrt(np.where(variances > _SMALLEST_VARIANCE, variances, 1.0))
