"""Gamma posteriors of factors whose products are rates of counts, one side at a time.

A count of a row and a column is Poisson with the rate ``sum_k t_k b_k``. The factors t of a row
have the prior Gamma(shape, q), with a rate q of the row's own that is Gamma(rate_shape,
rate_shape / rate_mean); those of columns are alike. All posteriors are taken as independent.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import digamma, gammaln

from skrec.solvers._compiled import compiled
from skrec.utils._blocks import effective_n_threads, map_blocks, row_blocks

MAX_PASSES = 500  # of a row that is solved to convergence
_SMALLEST_MOVE = 1e-6  # a share of the row's largest mean, where a solution is reached


class GammaPrior(NamedTuple):
    """Prior of the factors of a side's rows, and of the rate that those of a row share."""

    shape: float
    rate_shape: float
    rate_mean: float


class GammaSide:
    """Posteriors of the factors of one side's rows.

    Parameters
    ----------
    prior : GammaPrior
    means : ndarray of float64 of shape (n_rows, n_components)
        Expected factors to begin with, of exponential distributions.

    Attributes
    ----------
    shapes : ndarray of shape (n_rows, n_components)
        Shapes of the posteriors.
    means : ndarray of shape (n_rows, n_components)
        Expected factors.
    geometric : ndarray of shape (n_rows, n_components)
        Exponentials of their expected logarithms.
    rates : ndarray of shape (n_rows,)
        Expected rates of the rows' priors.
    """

    def __init__(self, prior, means):
        self.prior = prior
        self.shapes, self.means = np.ones_like(means), means
        self.geometric = means * np.exp(-np.euler_gamma)
        self._rate_shape = prior.rate_shape + means.shape[1] * prior.shape
        self._rate_rate = prior.rate_shape / prior.rate_mean
        self.rates = self._rate_shape / (self._rate_rate + means.sum(axis=1))

    def totals(self):
        """Expected factors, added up over the rows."""
        return self.means.sum(axis=0)

    def improve(self, counts, geometric, totals, n_passes=1):
        """Bring the posteriors, in place, to the best given those of the other side.

        Parameters
        ----------
        counts : csr_array of shape (n_rows, n_columns)
        geometric : ndarray of shape (n_columns, n_components)
            Of the other side.
        totals : ndarray of shape (n_components,)
            Of the other side.
        n_passes : int
            At most: the factors of a row depend on each other, and on the row's rate. Those of a
            row end where no mean moves any longer.

        Returns
        -------
        fit : float
            Sum over the entries of the count times the logarithm of ``sum_k t_k b_k``, as it was
            before, of the geometric means.
        """
        entries = counts.indptr, counts.indices, counts.data
        hyper = self.prior.shape, self._rate_shape, self._rate_rate
        tables = self.shapes, self.means, self.geometric, self.rates

        def improve_block(block):
            part = block.start, block.stop
            return _improve_rows(*part, entries, geometric, totals, hyper, tables, n_passes)

        n_threads = effective_n_threads()
        return sum(map_blocks(improve_block, row_blocks(len(self.means), 1, n_threads), n_threads))

    def divergence(self):
        """Kullback-Leibler divergence of the posteriors from their priors."""
        shape, rate_shape, _ = self.prior
        log_means = np.log(self.geometric)
        rate_rates = self._rate_shape / self.rates
        log_rates = digamma(self._rate_shape) - np.log(rate_rates)
        priors = (
            self.means.size * -gammaln(shape)
            + shape * self.means.shape[1] * log_rates.sum()
            + (shape - 1) * log_means.sum()
            - self.rates @ self.means.sum(axis=1)
            + len(self.means) * (rate_shape * np.log(self._rate_rate) - gammaln(rate_shape))
            + (rate_shape - 1) * log_rates.sum()
            - self._rate_rate * self.rates.sum()
        )
        entropies = _entropy(self.shapes, self.shapes / self.means)
        return float(-priors - entropies - _entropy(self._rate_shape, rate_rates))


def _entropy(shapes, rates):
    """Entropy of Gamma distributions, added up."""
    terms = shapes - np.log(rates) + gammaln(shapes) + (1 - shapes) * digamma(shapes)
    return terms.sum()


@compiled
def _digamma(x):
    total = 0.0
    while x < 6:
        total -= 1 / x
        x += 1
    square = 1 / (x * x)
    series = square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square / 240)))
    return total + np.log(x) - 0.5 / x - series


@compiled(any_order=True)
def _improve_rows(first, last, entries, features, totals, hyper, tables, n_passes):
    indptr, indices, counts = entries
    shape, rate_shape, rate_rate = hyper
    shapes, means, geometric, rates = tables
    n_factors = len(totals)
    gains = np.empty(n_factors)
    fit = 0.0
    for row in range(first, last):
        for i_pass in range(n_passes):
            found = geometric[row]
            gains[:] = 0
            for entry in range(indptr[row], indptr[row + 1]):
                inputs, count = features[indices[entry]], np.float64(counts[entry])
                product = 0.0
                for k in range(n_factors):
                    product += found[k] * inputs[k]
                if not product > 0:
                    continue
                if i_pass == 0:
                    fit += count * np.log(product)
                share = count / product
                for k in range(n_factors):
                    gains[k] += share * inputs[k]
            largest = largest_move = total = 0.0
            for k in range(n_factors):
                posterior_shape = shape + found[k] * gains[k]
                posterior_rate = rates[row] + totals[k]
                mean = posterior_shape / posterior_rate
                largest_move = max(largest_move, abs(mean - means[row, k]))
                largest = max(largest, mean)
                total += mean
                shapes[row, k], means[row, k] = posterior_shape, mean
                found[k] = np.exp(_digamma(posterior_shape)) / posterior_rate
            rates[row] = rate_shape / (rate_rate + total)
            if largest_move <= _SMALLEST_MOVE * largest:
                break
    return fit
