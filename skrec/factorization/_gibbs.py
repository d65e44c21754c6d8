"""Conditional distributions of Bayesian matrix factorisation, and draws from them."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import wishart

from skrec.solvers._least_squares import factorize
from skrec.solvers._row_groups import gather, group_rows, map_groups, pad

_ADVICE = "use a smaller noise_precision or fewer n_components"


class NormalWishart(NamedTuple):
    r"""Distribution of the coefficients and the precision of a normal linear regression.

    :math:`\Lambda \sim W(\text{scale}, \text{degrees})`, and the coefficients given it are
    independent and normal around `coef`, those of input i with the precision
    :math:`\text{weights}_i \cdot \Lambda`. The inputs are orthogonal to each other.

    Parameters
    ----------
    coef : ndarray of shape (n_inputs, n_weights)
    weights : ndarray of shape (n_inputs,)
    scale : ndarray of shape (n_weights, n_weights)
    degrees : float
    """

    coef: np.ndarray
    weights: np.ndarray
    scale: np.ndarray
    degrees: float

    def given(self, rows, inputs):
        """Posterior, given draws of the normal distribution and their inputs.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_weights)
        inputs : ndarray of shape (n_rows, n_inputs)
            Orthogonal columns: a column of ones for the mean, and others of mean 0.

        Returns
        -------
        posterior : NormalWishart
        """
        weights = self.weights + np.square(inputs).sum(axis=0)
        coef = (self.weights[:, None] * self.coef + inputs.T @ rows) / weights[:, None]
        deviations, shift = rows - inputs @ coef, coef - self.coef
        inverse_scale = (
            np.linalg.inv(self.scale)
            + deviations.T @ deviations
            + shift.T @ (self.weights[:, None] * shift)
        )
        return NormalWishart(coef, weights, np.linalg.inv(inverse_scale), self.degrees + len(rows))

    def draw(self, rng):
        """Draw coefficients of shape (n_inputs, n_weights) and a precision."""
        scale = (self.scale + self.scale.T) / 2
        precision = np.atleast_2d(wishart.rvs(self.degrees, scale, random_state=rng))
        # x = L^-T z has the precision L L'.
        factor = np.linalg.cholesky(precision)
        noise = np.linalg.solve(factor.T, rng.standard_normal(self.coef.shape).T).T
        return self.coef + noise / np.sqrt(self.weights)[:, None], precision


class WeightsGiven(NamedTuple):
    """Normal distribution of the weights of each row of a group, given all else.

    Parameters
    ----------
    means : tensor of shape (n_rows, n_weights)
    factors : tensor of shape (n_rows, n_weights, n_weights)
        Lower Cholesky factors of the precisions.
    """

    means: torch.Tensor
    factors: torch.Tensor

    def draw(self, noise):
        """Turn standard normal numbers of shape (n_rows, n_weights) into draws."""
        spread = torch.linalg.solve_triangular(
            self.factors.transpose(1, 2), noise.unsqueeze(2), upper=True
        )
        return self.means + spread.squeeze(2)


def weights_given(group, features, offsets, noise_precision, mean, precision):
    """Distribution of the weights of each row of a group, given the other side's.

    Parameters
    ----------
    group : RowGroup
    features : tensor of shape (n_columns + 1, n_weights)
        What multiplies the weights, padded.
    offsets : tensor of shape (n_columns + 1,)
        What is added to the products, padded.
    noise_precision : float
    mean : tensor of shape (n_weights,) or (n_rows, n_weights)
        Of the prior, of all rows or of each.
    precision : tensor of shape (n_weights, n_weights)
        Of the prior.

    Returns
    -------
    distribution : WeightsGiven
    """
    inputs = gather(features, group)
    targets = group.values - gather(offsets, group) * group.is_entry
    moment = torch.bmm(inputs.mT, targets[:, :, None])
    factors = factorize(noise_precision * torch.bmm(inputs.mT, inputs) + precision, _ADVICE)
    right = noise_precision * moment + (mean @ precision)[..., None]
    return WeightsGiven(torch.cholesky_solve(right, factors).squeeze(2), factors)


def split_table(table, has_offsets):
    """What multiplies the weights of the other side, and what is added, both padded.

    Parameters
    ----------
    table : tensor of shape (n_rows, n_weights)
        Weights of one side, the offset last if there is one.
    has_offsets : bool

    Returns
    -------
    features : tensor of shape (n_rows + 1, n_weights)
    offsets : tensor of shape (n_rows + 1,)
    """
    if not has_offsets:
        return pad(table), pad(torch.zeros_like(table[:, 0]))
    features = torch.cat([table[:, :-1], torch.ones_like(table[:, -1:])], dim=1)
    return pad(features), pad(table[:, -1])


class Draw(NamedTuple):
    """What predictions need of one draw, or, stacked, of all.

    Parameters
    ----------
    items : ndarray of shape (n_items, n_weights)
    user_mean : ndarray of shape (n_weights,)
    user_precision : ndarray of shape (n_weights, n_weights)
    noise_precision : float
    """

    items: np.ndarray
    user_mean: np.ndarray
    user_precision: np.ndarray
    noise_precision: float


def draws(X, items, features, has_offsets, noise_precision, rng):
    """Draw from the posterior of matrix factorisation, each draw from the one before.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        Ratings in units of their standard deviation, without their mean.
    items : tensor of shape (n_items, n_weights)
        Weights to start from.
    features : ndarray of shape (n_items, n_features)
        What the items' weights are regressed on: orthogonal columns of mean 0.
    has_offsets : bool
    noise_precision : float or None
        None draws it.
    rng : RandomState

    Yields
    ------
    draw : Draw
    users : ndarray of shape (n_users, n_weights)
    """
    dtype, device, n_weights = X.dtype, items.device, items.shape[1]
    by_user, by_item = group_rows(X, device), group_rows(X.T.tocsr(), device)
    ones = [np.ones((n, 1)) for n in X.shape]
    inputs = np.hstack([ones[1], features])
    user_prior = _hyperprior(np.array([2.0]), n_weights)
    user_mean, user_precision = np.zeros(n_weights), np.eye(n_weights)
    precision, feature_weight = noise_precision or 2.0, 1.0
    while True:
        users, _ = _draw_side(
            by_user, items, has_offsets, precision, ones[0] * user_mean, user_precision, rng
        )
        weights = np.append(2.0, np.full(features.shape[1], feature_weight))
        posterior = _hyperprior(weights, n_weights).given(items.double().cpu().numpy(), inputs)
        coef, item_precision = posterior.draw(rng)
        if features.shape[1]:
            squares = np.einsum("ij,jk,ik->", coef[1:], item_precision, coef[1:])
            feature_weight = rng.gamma(1 + coef[1:].size / 2, 1 / (1 + squares / 2))
        items, squares = _draw_side(
            by_item, users, has_offsets, precision, inputs @ coef, item_precision, rng
        )
        if noise_precision is None:
            precision = rng.gamma(1 + X.nnz / 2, 1 / (1 + squares / 2))
        posterior = user_prior.given(users.double().cpu().numpy(), ones[0])
        (user_mean,), user_precision = posterior.draw(rng)
        of_users = user_mean.astype(dtype), user_precision.astype(dtype)
        yield Draw(items.cpu().numpy(), *of_users, precision), users.cpu().numpy()


def _hyperprior(weights, n_weights):
    coef = np.zeros((len(weights), n_weights))
    return NormalWishart(coef, weights, np.eye(n_weights), n_weights)


def _draw_side(groups, table, has_offsets, noise_precision, means, precision, rng):
    """Draw the weights of all rows, and return the sum of squared errors with them too."""
    features, offsets = split_table(table, has_offsets)
    means, precision, noise = (
        torch.as_tensor(part, dtype=table.dtype, device=table.device)
        for part in (means, precision, rng.standard_normal(means.shape))
    )
    weights = torch.empty_like(noise)

    def draw_rows(group):
        mean = means[group.rows]
        given = weights_given(group, features, offsets, noise_precision, mean, precision)
        weights[group.rows] = drawn = given.draw(noise[group.rows])
        predicted = torch.bmm(gather(features, group), drawn.unsqueeze(2)).squeeze(2)
        errors = (group.values - predicted - gather(offsets, group)) * group.is_entry
        return float(errors.square().sum(dtype=torch.float64))

    return weights, sum(map_groups(draw_rows, groups))
