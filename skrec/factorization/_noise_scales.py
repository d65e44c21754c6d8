"""Gamma distributions of factors of the noise's precision: posteriors and degrees of freedom."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, gammaln

DOF_RANGE = 3.0, 1000.0


class Scales(NamedTuple):
    """Gamma posteriors of factors of the precision.

    Parameters
    ----------
    dof : float
        Degrees of freedom of the prior, Gamma(dof / 2, dof / 2); infinite: all are 1.
    shapes, means : ndarray of shape (n,)
    """

    dof: float
    shapes: np.ndarray
    means: np.ndarray

    @classmethod
    def of_prior(cls, dof, n):
        return cls(dof, np.full(n, dof / 2), np.ones(n))

    def given(self, counts, means):
        """Posteriors of the same prior with these means, each given so many ratings."""
        return self._replace(shapes=(self.dof + counts) / 2 + np.zeros(len(means)), means=means)

    @property
    def expected_variances(self):
        """Expectation of the inverse, by which the variance is multiplied."""
        if np.isinf(self.dof):
            return self.means
        return self.shapes / (self.means * (self.shapes - 1))

    @property
    def expected_logs(self):
        if np.isinf(self.dof):
            return np.zeros_like(self.means)
        return digamma(self.shapes) - np.log(self.shapes / self.means)

    def learned(self):
        """The same posteriors with the degrees of freedom that fit them best."""
        surplus = 1 + np.mean(self.expected_logs - self.means)

        def slope(dof):
            return np.log(dof / 2) - digamma(dof / 2) + surplus

        low, high = DOF_RANGE
        if slope(low) <= 0:
            return self._replace(dof=low)
        return self._replace(dof=high if slope(high) >= 0 else brentq(slope, low, high))

    def bound(self):
        """Expected logarithm of the prior plus the entropy."""
        if np.isinf(self.dof):
            return 0.0
        half, logs = self.dof / 2, self.expected_logs
        priors = half * np.log(half) - gammaln(half) + (half - 1) * logs - half * self.means
        rates = self.shapes / self.means
        entropies = self.shapes - np.log(rates) + gammaln(self.shapes)
        entropies += (1 - self.shapes) * digamma(self.shapes)
        return float((priors + entropies).sum())


def scale_means(dof, counts, errors):
    """Posterior means, given numbers of ratings and expected squared errors over the variance."""
    return np.ones_like(errors) if np.isinf(dof) else (dof + counts) / (dof + errors)
