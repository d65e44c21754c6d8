"""Alternating least squares: the weights of one side's rows, given those of the other side.

A table holds the weights of one side, a row each: the factors and, in a model with offsets, the
offset in the last column. The latent value of a pair is the inner product of the factors plus both
offsets; a link makes a rating of it.
"""

from typing import NamedTuple

import torch

from skrec.solvers._least_squares import factorize, posterior, ridge
from skrec.solvers._row_groups import gather, map_groups, pad
from skrec.solvers._uncertainty import pack, unpack

# Rows with fewer ratings are penalised as if they had so many: a prior that grows wider the less
# is known fits noise where all rows are short.
SMALLEST_COUNT = 25
MAX_HALVINGS = 10
MAX_FOLD_IN_STEPS = 50
_ADVICE = "use a larger l2"


class Objective(NamedTuple):
    """Half the sum of squared errors plus half the penalties.

    Parameters
    ----------
    intercept : float
        Latent value of a pair whose weights are all zero.
    l2 : float
    l2_exponent : float
        The penalty on the squared weights of a row with n ratings is ``l2 * n**l2_exponent``,
        where n is at least `SMALLEST_COUNT`.
    has_offsets : bool
    logistic : tuple of (float, float) or None
        Range of the ratings, which the logistic function of the latent value is scaled to. None
        means that the latent value is the rating.
    """

    intercept: float
    l2: float
    l2_exponent: float
    has_offsets: bool
    logistic: tuple | None

    def penalties(self, group):
        """Penalty of each row of a group."""
        return self.penalty(group.lengths)

    def penalty(self, counts):
        """Penalty of rows with so many ratings."""
        return self.l2 * counts.clamp(min=SMALLEST_COUNT) ** self.l2_exponent

    def features(self, table):
        """What multiplies the weights of the other side, padded."""
        if self.has_offsets:
            table = torch.cat([table[:, :-1], torch.ones_like(table[:, -1:])], dim=1)
        return pad(table)

    def latent_offsets(self, table):
        """What the weights of the other side are added to, padded."""
        offsets = table[:, -1] if self.has_offsets else torch.zeros_like(table[:, 0])
        return pad(offsets + self.intercept)

    def ratings(self, latent):
        """Rating of each latent value."""
        if self.logistic is None:
            return latent
        low, high = self.logistic
        return low + (high - low) * _sigmoid(latent)

    def slopes(self, latent):
        """Derivative of the rating with respect to the latent value."""
        if self.logistic is None:
            return torch.ones_like(latent)
        low, high = self.logistic
        share = _sigmoid(latent)
        return (high - low) * share * (1 - share)


def _sigmoid(latent):
    # torch.sigmoid rounds the last elements of an array, which do not fill a vector, otherwise.
    return latent.neg().exp_().add_(1).reciprocal_()


def improve(objective, groups, weights, table):
    """Make one half-sweep: better weights of all rows, the best ones if ratings are latent values.

    Parameters
    ----------
    objective : Objective
    groups : list of RowGroup
    weights : tensor of shape (n_rows, n_weights)
        Where to start from; not changed.
    table : tensor of shape (n_columns, n_weights)
        Weights of the other side.

    Returns
    -------
    weights : tensor of shape (n_rows, n_weights)
    losses : float64 tensor of shape (n_rows,)
        Part of the objective that depends on each row's weights.
    """
    step = _steps(objective, table)
    improved = torch.empty_like(weights)
    losses = torch.empty(len(weights), dtype=torch.float64, device=weights.device)

    def improve_rows(group):
        of_group, of_losses = step(group, weights)
        improved.index_copy_(0, group.rows, of_group)
        losses.index_copy_(0, group.rows, of_losses)

    map_groups(improve_rows, groups)
    return improved, losses


def _steps(objective, table):
    """The step of a group's rows, given the weights of all rows."""
    features, offsets = objective.features(table), objective.latent_offsets(table)

    def step(group, weights):
        inputs = gather(features, group), gather(offsets, group)
        if objective.logistic is None:
            return _exact_step(objective, group, *inputs)
        return _damped_step(objective, group, weights.index_select(0, group.rows), *inputs)

    return step


def _exact_step(objective, group, features, offsets):
    targets = (group.values - offsets) * group.is_entry
    weights, losses = ridge(features, targets[:, :, None], objective.penalties(group), _ADVICE)
    return weights[:, :, 0], losses[:, 0, 0] / 2


def _damped_step(objective, group, weights, features, offsets):
    """Gauss-Newton step, halved for the rows that it would make worse."""
    penalties = objective.penalties(group)

    def evaluate(weights):
        products = torch.bmm(features, weights.unsqueeze(2)).squeeze(2)
        residuals = (group.values - objective.ratings(products + offsets)) * group.is_entry
        squares = residuals.square().sum(dim=1, dtype=torch.float64)
        penalty = penalties * weights.square().sum(dim=1, dtype=torch.float64)
        return products, residuals, (squares + penalty) / 2

    products, residuals, losses = evaluate(weights)
    slopes = objective.slopes(products + offsets)
    targets = residuals + slopes * products
    scaled = features * slopes[:, :, None]
    best, _ = ridge(scaled, targets[:, :, None], penalties, _ADVICE, with_losses=False)
    step = best[:, :, 0] - weights
    improved = torch.zeros_like(losses, dtype=torch.bool)
    # Next to the minimum a step is right to more digits than the losses can tell.
    bounds = losses * (1 + 4 * torch.finfo(weights.dtype).eps)
    for _ in range(MAX_HALVINGS):
        candidates = torch.where(improved[:, None], weights, weights + step)
        _, _, candidate_losses = evaluate(candidates)
        accepted = ~improved & (candidate_losses < bounds)
        weights = torch.where(accepted[:, None], candidates, weights)
        losses = torch.where(accepted, candidate_losses, losses)
        improved |= accepted
        if improved.all():
            break
        step = step / 2
    return weights, losses


def fold_in(objective, groups, table, n_rows):
    """Weights that minimise the objective of each row, given those of the other side.

    Rows do not wait for each other: with other rows beside it a row's weights differ by rounding
    alone, or, with a logistic link, by what the tolerance of the last step leaves.

    Parameters
    ----------
    objective : Objective
    groups : list of RowGroup
    table : tensor of shape (n_columns, n_weights)
    n_rows : int

    Returns
    -------
    weights : tensor of shape (n_rows, n_weights)
    """
    step = _steps(objective, table)
    weights = table.new_zeros(n_rows, table.shape[1])
    tolerance = max(1e-8, 50 * torch.finfo(weights.dtype).eps)

    def solve(group):
        moves = torch.ones(len(group.rows), 1, dtype=torch.bool, device=weights.device)
        for _ in range(1 if objective.logistic is None else MAX_FOLD_IN_STEPS):
            before = weights.index_select(0, group.rows)
            # A row rests once it has converged, however long its neighbours take.
            after = torch.where(moves, step(group, weights)[0], before)
            weights.index_copy_(0, group.rows, after)
            moved = (after - before).abs().amax(dim=1, keepdim=True)
            moves &= moved > tolerance * after.abs().amax(dim=1, keepdim=True)
            if not moves.any():
                break

    map_groups(solve, groups)
    return weights


def add_rows(objective, groups, counts, weights, covariances, table):
    """Weights of one side after entries of more rows of the other side, by normal equations.

    What the entries so far say of a row's weights w is a quadratic function with its minimum at
    them. Its second derivatives are the inverse covariances H. With those of the new entries the
    minimum moves; with a logistic link by one Gauss-Newton step.

    Parameters
    ----------
    objective : Objective
    groups : list of RowGroup
        The new entries of each row.
    counts : float64 tensor of shape (n_rows,)
        Entries of each row so far.
    weights : float64 tensor of shape (n_rows, n_weights)
    covariances : float64 tensor of shape (n_rows, n_weights * (n_weights + 1) / 2)
        As `uncertainty` gives them.
    table : float64 tensor of shape (n_columns, n_weights)
        Weights of the other side's new rows.

    Returns
    -------
    weights, covariances : tensors
        New ones, of the same shapes.
    """
    features, offsets = objective.features(table), objective.latent_offsets(table)
    weights, covariances = weights.clone(), covariances.clone()

    def add(group):
        n_before = counts[group.rows]
        more = objective.penalty(n_before + group.lengths) - objective.penalty(n_before)
        inputs = gather(features, group)
        before = weights[group.rows].unsqueeze(2)
        products = torch.bmm(inputs, before).squeeze(2)
        latent = products + gather(offsets, group)
        slopes = objective.slopes(latent)
        inputs = inputs * slopes[:, :, None]
        targets = (group.values - objective.ratings(latent) + slopes * products) * group.is_entry
        known = torch.cholesky_inverse(factorize(unpack(covariances[group.rows]), _ADVICE))
        moments = torch.bmm(known, before) + torch.bmm(inputs.mT, targets[:, :, None])
        known = known + torch.bmm(inputs.mT, inputs)
        known.diagonal(dim1=1, dim2=2).add_(more[:, None])
        factors = factorize(known, _ADVICE)
        weights[group.rows] = torch.cholesky_solve(moments, factors).squeeze(2)
        covariances[group.rows] = pack(torch.cholesky_inverse(factors))

    map_groups(add, [group for group in groups if group.columns.shape[1] > 0])
    return weights, covariances


def uncertainty(objective, groups, weights, table, with_covariances=True):
    """Degrees of freedom and covariances of the weights of rows, by Laplace's approximation.

    Parameters
    ----------
    objective : Objective
    groups : list of RowGroup
    weights : tensor of shape (n_rows, n_weights)
    table : tensor of shape (n_columns, n_weights)
        Weights of the other side.
    with_covariances : bool, default=True

    Returns
    -------
    freedom : float
        What the weights of all rows take up together.
    covariances : tensor of shape (n_rows, n_weights * (n_weights + 1) / 2) or None
        Inverses of the second derivatives (Gauss-Newton's) of each row's objective, packed.
    """
    features, offsets = objective.features(table), objective.latent_offsets(table)
    n_weights = weights.shape[1]
    covariances = None
    if with_covariances:
        covariances = weights.new_empty(len(weights), n_weights * (n_weights + 1) // 2)

    def add(group):
        inputs = gather(features, group)
        if objective.logistic is not None:
            latent = torch.bmm(inputs, weights.index_select(0, group.rows).unsqueeze(2)).squeeze(2)
            latent = latent + gather(offsets, group)
            inputs = inputs * objective.slopes(latent).unsqueeze(2)
        penalties = objective.penalties(group)
        freedom, inverses = posterior(inputs, penalties, _ADVICE, with_covariances)
        if with_covariances:
            covariances.index_copy_(0, group.rows, pack(inverses))
        return float(freedom.sum(dtype=torch.float64))

    return sum(map_groups(add, groups)), covariances
