"""Variational matrix factorisation: a normal distribution of the weights of each row.

The weights of a row of one side are normal with the prior covariance of that side. Those of both
sides are taken as independent of each other, and the free energy is what such distributions
minimise: minus a lower bound of the logarithm of the ratings' density.
"""

from typing import NamedTuple

import numpy as np
import torch

from skrec.base._ratings import SMALLEST_NOISE
from skrec.factorization._gibbs import split_table
from skrec.solvers._least_squares import factorize
from skrec.solvers._row_groups import gather, group_rows, map_groups, pad
from skrec.solvers._uncertainty import pack, unpack

START = 0.1  # Standard deviation of the items' weights around their first means.
SMALLEST_VARIANCE = 1e-6
MAX_STEPS = 50
MAX_HALVINGS = 30
TOLERANCE = 1e-8
_ADVICE = "use fewer n_components"


class Weights(NamedTuple):
    """Normal distributions of the weights of one side's rows.

    Parameters
    ----------
    means : tensor of shape (n_rows, n_weights)
        The offset is the last, if there is one.
    covariances : tensor of shape (n_rows, n_weights * (n_weights + 1) / 2)
        Packed.
    """

    means: torch.Tensor
    covariances: torch.Tensor


class Spread(NamedTuple):
    """What the free energy depends on, beside the prior covariances and the noise.

    Parameters
    ----------
    errors : float
        Expectation of the sum of the squared errors.
    log_determinants : float
        Sum of those of the rows' covariances.
    moments : ndarray of shape (n_weights, n_weights)
        Mean over the rows of the expectation of the outer product of their weights.
    """

    errors: float
    log_determinants: float
    moments: np.ndarray


def weights_given(groups, n_rows, others, has_offsets, noise_variance, prior):
    """Best distributions of the weights of one side's rows, given those of the other side.

    Parameters
    ----------
    groups : list of RowGroup
        The rows' ratings, without the mean.
    n_rows : int
    others : Weights
    has_offsets : bool
    noise_variance : float
    prior : ndarray of shape (n_weights, n_weights)
        Covariance.

    Returns
    -------
    weights : Weights
    spread : Spread
    """
    features, offsets = split_table(others.means, has_offsets)
    covariances = pad(others.covariances)
    like = {"dtype": features.dtype, "device": features.device}
    prior_precision = torch.as_tensor(np.linalg.inv(prior), **like)
    weights = Weights(
        torch.empty((n_rows, features.shape[1]), **like),
        torch.empty((n_rows, covariances.shape[1]), **like),
    )

    def solve(group):
        inputs = gather(features, group)
        targets = (group.values - gather(offsets, group)) * group.is_entry
        matrices = torch.bmm(inputs.mT, inputs)
        moments = torch.bmm(inputs.mT, targets[:, :, None])
        of_others = unpack(gather(covariances, group).sum(dim=1))
        errors = targets.square().sum(dtype=torch.float64)
        if has_offsets:
            errors += of_others[:, -1, -1].sum(dtype=torch.float64)
            moments[:, :-1, 0] -= of_others[:, :-1, -1]
            of_others[:, -1], of_others[:, :, -1] = 0, 0
        matrices += of_others
        factors = factorize(matrices / noise_variance + prior_precision, _ADVICE)
        means = torch.cholesky_solve(moments / noise_variance, factors)
        inverses = torch.cholesky_inverse(factors)
        weights.means[group.rows] = means[:, :, 0]
        weights.covariances[group.rows] = pack(inverses)
        second = torch.bmm(means, means.mT) + inverses
        errors += (second * matrices).sum(dtype=torch.float64)
        errors -= 2 * (means * moments).sum(dtype=torch.float64)
        determinants = -2 * factors.diagonal(dim1=1, dim2=2).log().sum(dtype=torch.float64)
        return float(errors), float(determinants), second.sum(dim=0, dtype=torch.float64)

    errors, determinants, second = zip(*map_groups(solve, groups), strict=True)
    second = torch.stack(second).sum(dim=0).cpu().numpy() / n_rows
    return weights, Spread(sum(errors), sum(determinants), second)


class Sweeps:
    """Alternating sweeps, each of which lowers the free energy plus penalties.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        Ratings in units of their standard deviation, without their mean.
    items : ndarray of shape (n_items, n_weights)
        Means of the items' weights to start from.
    l1 : float
    has_offsets : bool
    tol : float
    device : torch.device
    """

    def __init__(self, X, items, l1, has_offsets, tol, device):
        self._groups = group_rows(X, device), group_rows(X.T.tocsr(), device)
        self._n_rows, self._n_ratings = X.shape, X.nnz
        self._l1, self._has_offsets, self._tol = l1, has_offsets, tol
        n_weights = items.shape[1]
        means = torch.as_tensor(items, device=device)
        covariances = pack(START**2 * torch.eye(n_weights, dtype=means.dtype, device=device)[None])
        self._sides = [None, Weights(means, covariances.expand(len(items), -1))]
        self.priors = [np.eye(n_weights)] * 2
        items = items.astype(np.float64)
        moments = items.T @ items / len(items) + START**2 * np.eye(n_weights)
        start = Spread(0.0, len(items) * n_weights * np.log(START**2), moments)
        self._divergences = [0.0, divergence(start, self.priors[1], len(items), l1)]
        self.noise_variance = 0.5
        self.losses = []

    @property
    def items(self):
        """Distributions of the items' weights."""
        return self._sides[1]

    def sweep(self):
        """Improve both sides; return the objective, and whether it has hardly fallen."""
        sides, priors, divergences = list(self._sides), list(self.priors), list(self._divergences)
        noise_variance, losses = self.noise_variance, []
        for side, n_rows in enumerate(self._n_rows):
            sides[side], spread = weights_given(
                self._groups[side],
                n_rows,
                sides[1 - side],
                self._has_offsets,
                noise_variance,
                priors[side],
            )
            priors[side] = sparse_covariance(spread.moments, self._l1, priors[side])
            divergences[side] = divergence(spread, priors[side], n_rows, self._l1)
            noise_variance = max(spread.errors / max(self._n_ratings, 1), SMALLEST_NOISE)
            misfit = self._n_ratings * np.log(2 * np.pi * noise_variance)
            losses.append((misfit + spread.errors / noise_variance) / 2 + sum(divergences))
        self._sides, self.priors, self._divergences = sides, priors, divergences
        self.noise_variance = noise_variance
        self.losses.extend(losses)
        before = self.losses[-3] if len(self.losses) > 2 else np.inf
        return losses[-1], before - losses[-1] <= self._tol * abs(before) < np.inf


def divergence(spread, prior, n_rows, l1):
    """Kullback-Leibler divergence of one side's weights from their prior, and its penalty.

    Parameters
    ----------
    spread : Spread
    prior : ndarray of shape (n_weights, n_weights)
        Covariance.
    n_rows : int
    l1 : float

    Returns
    -------
    divergence : float
    """
    in_mean = covariance_loss(prior, spread.moments, l1) - len(prior)
    return (n_rows * in_mean - spread.log_determinants) / 2


def sparse_covariance(moments, l1, start):
    r"""Lower :math:`\log\det \Sigma + \operatorname{tr} \Sigma^{-1} S + 2 \lambda |\Sigma|`.

    The norm adds up what is not on the diagonal. The logarithm is concave, so that it lies below
    its tangent: each step goes down the gradient, and shrinks what is not on the diagonal by as
    much as the norm asks for, with a length that is halved until the function falls. Without a
    penalty S itself is the minimum, and its diagonal with a large one: of these and `start` the
    best comes first.

    Parameters
    ----------
    moments : ndarray of shape (n_weights, n_weights)
        S, positive definite.
    l1 : float
    start : ndarray of shape (n_weights, n_weights)

    Returns
    -------
    covariance : ndarray of shape (n_weights, n_weights)
        Its eigenvalues are at least `SMALLEST_VARIANCE`.
    """
    moments = _floored(moments)
    candidates = [start, moments, np.diag(np.diag(moments))]
    values = [covariance_loss(one, moments, l1) for one in candidates]
    value, covariance = min(values), candidates[int(np.argmin(values))]
    if l1 == 0:
        return covariance
    # In units of the deviations, steps are as long for small variances as for large ones.
    deviations = np.sqrt(np.diag(moments))
    units = np.outer(deviations, deviations)
    length = 1.0
    for _ in range(MAX_STEPS):
        inverse = np.linalg.inv(covariance)
        steps = length * units**2
        gradient = inverse - inverse @ moments @ inverse
        before = value
        for _ in range(MAX_HALVINGS):
            candidate = _shrunk(covariance - steps * gradient, l1, 2 * steps)
            found = covariance_loss(candidate, moments, l1)
            if found < value:
                covariance, value = candidate, found
                break
            length, steps = length / 2, steps / 2
        if not before - value > TOLERANCE:
            break
        length *= 2
    return covariance


def _shrunk(covariance, l1, steps):
    """Bring all that is not on the diagonal nearer to 0."""
    with np.errstate(over="ignore"):  # of an enormous penalty, which leaves the diagonal
        by = l1 * steps
    shrunk = np.sign(covariance) * np.maximum(np.abs(covariance) - by, 0)
    np.fill_diagonal(shrunk, np.diag(covariance))
    return (shrunk + shrunk.T) / 2


def covariance_loss(covariance, moments, l1):
    """What `sparse_covariance` lowers; infinite where an eigenvalue is too small."""
    values, vectors = np.linalg.eigh(covariance)
    if values[0] < SMALLEST_VARIANCE * (1 - 1e-9):
        return np.inf
    scaled = (vectors.T @ moments @ vectors).diagonal() / values
    off = np.abs(covariance[~np.eye(len(covariance), dtype=bool)]).sum()
    with np.errstate(over="ignore"):
        penalty = l1 * (2 * off)
    return float(np.log(values).sum() + scaled.sum() + penalty)


def _floored(covariance):
    values, vectors = np.linalg.eigh(covariance)
    if values[0] >= SMALLEST_VARIANCE:
        return covariance
    return (vectors * np.maximum(values, SMALLEST_VARIANCE)) @ vectors.T
