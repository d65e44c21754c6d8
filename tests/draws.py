"""Whether draws have the moments that are stated: within five standard errors of them."""

import numpy as np


def check_means(draws, expected):
    """The means of independent draws along the first axis."""
    draws = np.asarray(draws, dtype=np.float64)
    error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    apart = np.abs(draws.mean(axis=0) - np.asarray(expected, dtype=np.float64))
    assert (apart <= 5 * error).all(), (apart, error)


def check_variances(draws, expected):
    """The variances of independent draws along the first axis."""
    draws = np.asarray(draws, dtype=np.float64)
    check_means((draws - draws.mean(axis=0)) ** 2, expected)


def check_coverage(z, is_new):
    """Nine tenths of standardised errors lie within 1.645, in the mean over the rows.

    Errors of a row have what was learned of it in common; those of two rows are independent.
    """
    inside = np.ma.array(np.abs(z) < 1.645, mask=~is_new)
    check_means(inside.mean(axis=1).compressed(), 0.9)
