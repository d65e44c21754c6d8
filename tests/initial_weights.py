"""Whether first weights are drawn from the distribution that is stated."""

import numpy as np
from scipy.stats import kstest


def check_uniform(values, bound):
    """Values are uniform within a bound on both sides of zero."""
    values = np.asarray(values, dtype=np.float64).ravel()
    assert np.abs(values).max() <= bound * (1 + 1e-6)
    assert kstest(values, "uniform", args=(-bound, 2 * bound)).pvalue > 1e-5


def check_normal(values, mean, deviation):
    """Values are normal."""
    values = np.asarray(values, dtype=np.float64).ravel()
    assert kstest(values, "norm", args=(mean, deviation)).pvalue > 1e-5
