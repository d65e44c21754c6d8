"""Conditional distributions of Bayesian matrix factorisation, and draws from them."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import wishart

from skrec.solvers._least_squares import factorize
from skrec.solvers._row_groups import gather

_ADVICE = "use a smaller noise_precision or fewer n_components"


class NormalWishart(NamedTuple):
    r"""Distribution of the mean and precision of a normal distribution.

    :math:`\Lambda \sim W(\text{scale}, \text{degrees})`, and the mean given it is normal around
    `mean` with the precision :math:`\text{weight} \cdot \Lambda`.

    Parameters
    ----------
    mean : ndarray of shape (n_weights,)
    weight : float
    scale : ndarray of shape (n_weights, n_weights)
    degrees : float
    """

    mean: np.ndarray
    weight: float
    scale: np.ndarray
    degrees: float

    def given(self, rows):
        """Posterior, given draws of the normal distribution.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_weights)

        Returns
        -------
        posterior : NormalWishart
        """
        n_rows = len(rows)
        center = rows.mean(axis=0)
        deviations = rows - center
        shift = center - self.mean
        weight = self.weight + n_rows
        inverse_scale = (
            np.linalg.inv(self.scale)
            + deviations.T @ deviations
            + self.weight * n_rows / weight * np.outer(shift, shift)
        )
        return NormalWishart(
            mean=(self.weight * self.mean + n_rows * center) / weight,
            weight=weight,
            scale=np.linalg.inv(inverse_scale),
            degrees=self.degrees + n_rows,
        )

    def draw(self, rng):
        """Draw a mean of shape (n_weights,) and a precision of (n_weights, n_weights)."""
        scale = (self.scale + self.scale.T) / 2
        precision = np.atleast_2d(wishart.rvs(self.degrees, scale, random_state=rng))
        # x = L^-T z has the precision L L'.
        factor = np.linalg.cholesky(self.weight * precision)
        return self.mean + np.linalg.solve(
            factor.T, rng.standard_normal(len(self.mean))
        ), precision


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
    mean : tensor of shape (n_weights,)
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
    right = noise_precision * moment + (precision @ mean)[:, None]
    return WeightsGiven(torch.cholesky_solve(right, factors).squeeze(2), factors)
