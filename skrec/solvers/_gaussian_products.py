"""Moments of inner products of independent vectors, normal with diagonal covariances.

Vectors of one side are a pair: their means and their variances, a row each. With weights, what is
meant is the product :math:`\\sum_d w_d u_d v_d`.
"""

import numpy as np
import torch

from skrec.solvers._pair_products import pair_products


def variance_terms(left, right, weights=None):
    r"""Factors whose products, summed over terms and coordinates, are variances of products.

    .. math:: \sum_d w_d^2 \mu_d^2 t_d + w_d^2 s_d (\nu_d^2 + t_d)

    for means and variances :math:`\mu, s` of the one vector and :math:`\nu, t` of the other.

    Parameters
    ----------
    left, right : pair of ndarray or tensor of shape (n_left or n_right, n_components)
    weights : ndarray or tensor of shape (n_components,), default=None
        None means 1.

    Returns
    -------
    left, right : pair of ndarray or tensor of the same shapes
    """
    (left_mean, left_var), (right_mean, right_var) = left, right
    left_terms = left_mean**2, left_var
    if weights is not None:
        left_terms = tuple(weights**2 * term for term in left_terms)
    return left_terms, (right_var, right_mean**2 + right_var)


def variance_factors(left, right, weights=None):
    """Arrays whose rows have variances of products as their inner products.

    Parameters
    ----------
    left, right, weights
        As of :func:`variance_terms`.

    Returns
    -------
    left : ndarray or tensor of shape (n_left, 2 * n_components)
    right : ndarray or tensor of shape (n_right, 2 * n_components)
    """
    return tuple(
        torch.cat(terms, dim=1) if torch.is_tensor(terms[0]) else np.concatenate(terms, axis=1)
        for terms in variance_terms(left, right, weights)
    )


def pair_moments(left, right, rows, columns, weights=None):
    """Mean and variance of the product of a row of `left` and a row of `right`, for each pair.

    Parameters
    ----------
    left, right : pair of ndarray of shape (n_left or n_right, n_components)
    rows, columns : ndarray of int of shape (n_pairs,)
    weights : ndarray of shape (n_components,), default=None

    Returns
    -------
    means, variances : ndarray of shape (n_pairs,)
    """
    weighted = left[0] if weights is None else weights * left[0]
    means = pair_products(weighted, right[0], rows, columns)
    return means, pair_products(*variance_factors(left, right, weights), rows, columns)


def expected_squared_errors(values, left, right):
    """Expected squared errors of values around products of vectors, each with a pair of its own.

    Parameters
    ----------
    values : tensor of shape (n_pairs,)
    left, right : pair of tensor of shape (n_pairs, n_components)

    Returns
    -------
    errors : tensor of shape (n_pairs,)
    """
    terms = zip(*variance_terms(left, right), strict=True)
    variances = sum(one * other for one, other in terms)
    return (values - (left[0] * right[0]).sum(dim=1)) ** 2 + variances.sum(dim=1)
