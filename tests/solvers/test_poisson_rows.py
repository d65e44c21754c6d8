"""Posteriors of Gamma factors: loops over the formulas, and the evidence lower bound."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.integrate import quad
from scipy.special import digamma, gammaln
from scipy.stats import gamma

from skrec.solvers._poisson_rows import GammaPrior, GammaSide, _digamma

PRIOR = GammaPrior(0.4, 1.5, 0.7)


def problem(seed=0, n_factors=3):
    rng = np.random.default_rng(seed)
    counts = sparse.csr_array(rng.poisson(0.6, (12, 8)).astype(float))
    counts = sparse.csr_array(counts.toarray() * (np.arange(12)[:, None] != 4))
    rows, columns = (GammaSide(PRIOR, rng.random((n, n_factors)) + 0.1) for n in counts.shape)
    return counts, rows, columns


def bound(counts, rows, columns):
    """Evidence lower bound, each posterior from its parameters, by loops."""
    total = 0.0
    for row, line in enumerate(counts.toarray()):
        for column, count in enumerate(line):
            total -= rows.means[row] @ columns.means[column]
            if count:
                product = rows.geometric[row] @ columns.geometric[column]
                total += count * np.log(product) - gammaln(count + 1)
    for side in (rows, columns):
        n_factors = side.means.shape[1]
        rate_shape = PRIOR.rate_shape + n_factors * PRIOR.shape
        for row in range(len(side.means)):
            rate_rate = rate_shape / side.rates[row]
            own = gamma(rate_shape, scale=1 / rate_rate)
            prior_rate = PRIOR.rate_shape / PRIOR.rate_mean
            log_rate = digamma(rate_shape) - np.log(rate_rate)
            total += own.entropy() + PRIOR.rate_shape * np.log(prior_rate)
            total += (PRIOR.rate_shape - 1) * log_rate - prior_rate * side.rates[row]
            total -= gammaln(PRIOR.rate_shape)
            for shape, mean in zip(side.shapes[row], side.means[row], strict=True):
                total += gamma(shape, scale=mean / shape).entropy()
                log_mean = digamma(shape) - np.log(shape / mean)
                total += PRIOR.shape * log_rate + (PRIOR.shape - 1) * log_mean
                total -= side.rates[row] * mean + gammaln(PRIOR.shape)
    return total


def found_bound(counts, rows, columns, fit):
    return (
        fit
        - gammaln(counts.data + 1).sum()
        - rows.totals() @ columns.totals()
        - rows.divergence()
        - columns.divergence()
    )


def test_digamma_and_its_expectation():
    for x in (0.01, 0.3, 1, 5.9, 6, 1e4, 1e15):
        assert_allclose(_digamma(x), digamma(x), rtol=1e-9)
    law = gamma(0.7, scale=2)
    expected, _ = quad(lambda x: np.log(x) * law.pdf(x), 0, np.inf, limit=200)
    assert_allclose(_digamma(0.7) + np.log(2), expected, rtol=1e-5)


def test_an_update_is_the_formulas():
    counts, rows, columns = problem()
    rates, geometric = rows.rates.copy(), rows.geometric.copy()
    fit = rows.improve(counts, columns.geometric, columns.totals())
    expected_fit = 0.0
    for row, line in enumerate(counts.toarray()):
        shape = np.full(3, PRIOR.shape)
        for column in np.flatnonzero(line):
            weights = geometric[row] * columns.geometric[column]
            shape += line[column] * weights / weights.sum()
            expected_fit += line[column] * np.log(weights.sum())
        mean = shape / (rates[row] + columns.means.sum(axis=0))
        assert_allclose(rows.shapes[row], shape)
        assert_allclose(rows.means[row], mean)
        assert_allclose(rows.geometric[row], np.exp(digamma(shape)) * mean / shape)
        rate = (PRIOR.rate_shape + 3 * PRIOR.shape) / (
            PRIOR.rate_shape / PRIOR.rate_mean + mean.sum()
        )
        assert_allclose(rows.rates[row], rate)
    assert_allclose(fit, expected_fit)


def test_the_evidence_lower_bound_is_the_sum_of_its_terms_and_never_falls():
    counts, rows, columns = problem(1)
    flipped = counts.T.tocsr()
    bounds = []
    for _ in range(30):
        rows.improve(counts, columns.geometric, columns.totals())
        bounds.append(bound(counts, rows, columns))
        before = rows.divergence() + columns.divergence() + rows.totals() @ columns.totals()
        fit = columns.improve(flipped, rows.geometric, rows.totals())
        assert_allclose(fit - gammaln(counts.data + 1).sum() - before, bounds[-1])
        bounds.append(bound(counts, rows, columns))
    assert np.diff(bounds).min() > -1e-9
    assert bounds[-1] > bounds[0] + 1


def test_passes_end_at_the_best_posterior_of_a_row():
    counts, rows, columns = problem(2)
    rows.improve(counts, columns.geometric, columns.totals(), 2000)
    other = GammaSide(PRIOR, np.random.default_rng(9).random(rows.means.shape))
    for _ in range(3000):
        other.improve(counts, columns.geometric, columns.totals())
    assert_allclose(rows.means, other.means, rtol=1e-3, atol=1e-4)


def test_a_single_flat_factor_is_the_product_of_totals():
    """With a prior that says nothing, expected counts are those of rows times columns."""
    rng = np.random.default_rng(3)
    counts = sparse.csr_array(rng.poisson(30, (20, 10)).astype(float))
    flat = GammaPrior(0.01, 0.01, 0.01)
    rows, columns = (GammaSide(flat, np.ones((n, 1))) for n in counts.shape)
    for _ in range(200):
        rows.improve(counts, columns.geometric, columns.totals())
        columns.improve(counts.T.tocsr(), rows.geometric, rows.totals())
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    assert_allclose(rows.means @ columns.means.T, expected, rtol=1e-3)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_threads_do_not_matter(n_threads, monkeypatch):
    counts, rows, columns = problem(4)
    expected = GammaSide(PRIOR, rows.means.copy())
    expected.improve(counts, columns.geometric, columns.totals(), 5)
    monkeypatch.setattr("skrec.solvers._poisson_rows.effective_n_threads", lambda: n_threads)
    rows.improve(counts, columns.geometric, columns.totals(), 5)
    np.testing.assert_array_equal(rows.means, expected.means)
