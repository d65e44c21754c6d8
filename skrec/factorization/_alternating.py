"""Alternating least squares: the weights of one side's rows, given those of the other side.

A table holds the weights of one side, a row each: the factors and, in a model with offsets, the
offset in the last column. The latent value of a pair is the inner product of the factors plus both
offsets; a link makes a rating of it.
"""

from typing import NamedTuple

import torch

from skrec.factorization._least_squares import factorize, normal_equations, solve
from skrec.utils._row_groups import gather, map_groups, pad

# Rows with fewer ratings are penalised as if they had so many: a prior that grows wider the less
# is known fits noise where all rows are short.
SMALLEST_COUNT = 25
MAX_HALVINGS = 10
MAX_FOLD_IN_STEPS = 50


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
        return self.l2 * group.lengths.clamp(min=SMALLEST_COUNT) ** self.l2_exponent

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
        return low + (high - low) * torch.sigmoid(latent)

    def slopes(self, latent):
        """Derivative of the rating with respect to the latent value."""
        if self.logistic is None:
            return torch.ones_like(latent)
        low, high = self.logistic
        share = torch.sigmoid(latent)
        return (high - low) * share * (1 - share)


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
    features, offsets = objective.features(table), objective.latent_offsets(table)
    weights = weights.clone()
    losses = torch.zeros(len(weights), dtype=torch.float64, device=weights.device)
    step = _exact_step if objective.logistic is None else _damped_step

    def improve_rows(group):
        weights[group.rows], losses[group.rows] = step(
            objective, group, weights[group.rows], gather(features, group), gather(offsets, group)
        )

    map_groups(improve_rows, groups)
    return weights, losses


def _exact_step(objective, group, weights, features, offsets):
    targets = (group.values - offsets) * group.is_entry
    gram, moment = normal_equations(features, targets)
    weights = solve(factorize(_add_penalties(gram, objective.penalties(group))), moment)
    explained = (weights * moment).sum(dim=1, dtype=torch.float64)
    return weights, (targets.square().sum(dim=1, dtype=torch.float64) - explained) / 2


def _damped_step(objective, group, weights, features, offsets):
    """Gauss-Newton step, halved for the rows that it would make worse."""
    penalties = objective.penalties(group)

    def residuals_and_losses(weights):
        latent = torch.bmm(features, weights.unsqueeze(2)).squeeze(2) + offsets
        residuals = (group.values - objective.ratings(latent)) * group.is_entry
        squares = residuals.square().sum(dim=1, dtype=torch.float64)
        penalty = penalties * weights.square().sum(dim=1, dtype=torch.float64)
        return latent, residuals, (squares + penalty) / 2

    latent, residuals, losses = residuals_and_losses(weights)
    gram, moment = normal_equations(features * objective.slopes(latent).unsqueeze(2), residuals)
    step = solve(factorize(_add_penalties(gram, penalties)), moment - penalties[:, None] * weights)
    improved = torch.zeros_like(losses, dtype=torch.bool)
    for _ in range(MAX_HALVINGS):
        candidates = torch.where(improved[:, None], weights, weights + step)
        _, _, candidate_losses = residuals_and_losses(candidates)
        accepted = ~improved & (candidate_losses < losses)
        weights = torch.where(accepted[:, None], candidates, weights)
        losses = torch.where(accepted, candidate_losses, losses)
        improved |= accepted
        if improved.all():
            break
        step = step / 2
    return weights, losses


def fold_in(objective, groups, table, n_rows):
    """Weights that minimise the objective of each row, given those of the other side.

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
    weights = table.new_zeros(n_rows, table.shape[1])
    tolerance = max(1e-8, 50 * torch.finfo(weights.dtype).eps)
    for _ in range(1 if objective.logistic is None else MAX_FOLD_IN_STEPS):
        before = weights
        weights, _ = improve(objective, groups, weights, table)
        # Each row on its own, or its weights would depend on those it is solved with.
        moved = (weights - before).abs().amax(dim=1)
        if (moved <= tolerance * weights.abs().amax(dim=1)).all():
            break
    return weights


def precision_factors(objective, group, weights, table):
    """Cholesky factors of the second derivatives (Gauss-Newton's) of each row's objective.

    Parameters
    ----------
    objective : Objective
    group : RowGroup
    weights : tensor of shape (n_group_rows, n_weights)
    table : tensor of shape (n_columns, n_weights)

    Returns
    -------
    factors : tensor of shape (n_group_rows, n_weights, n_weights)
    """
    features = gather(objective.features(table), group)
    latent = torch.bmm(features, weights.unsqueeze(2)).squeeze(2)
    latent = latent + gather(objective.latent_offsets(table), group)
    scaled = features * objective.slopes(latent).unsqueeze(2)
    gram = torch.bmm(scaled.transpose(1, 2), scaled)
    return factorize(_add_penalties(gram, objective.penalties(group)))


def _add_penalties(gram, penalties):
    gram.diagonal(dim1=1, dim2=2).add_(penalties[:, None])
    return gram
