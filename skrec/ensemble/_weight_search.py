"""Weights of members that raise a metric, or lower the squared error, on held-out users."""

import numpy as np
from scipy.optimize import nnls

N_ROUNDS = 10


def search_weights(values_of, n_members):
    """Maximise the mean of users' values over non-negative weights whose sum is 1.

    One member after the other gets the share of the whole at which the mean is largest, the
    others keeping their proportions: first those that are better alone. The weights change only
    where the mean gain is above its standard error, so that few users do not decide.

    Parameters
    ----------
    values_of : callable
        Takes weights of shape (n_members,), returns values of shape (n_users,), NaN for users
        that do not count.
    n_members : int

    Returns
    -------
    weights : ndarray of shape (n_members,)
    """
    alone = [np.nanmean(values_of(one)) for one in np.eye(n_members)]
    order = np.argsort(-np.array(alone), kind="stable")
    weights = np.full(n_members, 1 / n_members)
    values = values_of(weights)
    for _ in range(N_ROUNDS):
        before = weights
        for member in order:
            weights, values = _best_share(values_of, member, weights, values)
        if np.array_equal(weights, before):
            break
    return weights


def _best_share(values_of, member, weights, values):
    """Choose one member's share, on a coarse grid and then on a fine one around its best."""
    others = np.where(np.arange(len(weights)) == member, 0, weights)
    if not others.any():
        return weights, values
    others /= others.sum()
    tried = {}

    def try_shares(shares):
        for share in shares:
            if share not in tried:
                mixed = (1 - share) * others
                mixed[member] = share
                tried[share] = mixed, values_of(mixed)
        return max(tried, key=lambda share: np.nanmean(tried[share][1]))

    best = try_shares(k / 10 for k in range(11))
    best = try_shares(k / 40 for k in range(41) if abs(k / 40 - best) < 0.1)
    mixed, gained = tried[best]
    return (mixed, gained) if _is_gain(gained - values) else (weights, values)


def _is_gain(differences):
    """Whether the mean is above its standard error."""
    differences = differences[~np.isnan(differences)]
    error = differences.std() / np.sqrt(max(1, len(differences) - 1))
    return differences.mean() > error


def least_squares_weights(predicted, ratings):
    """Minimise the squared error over non-negative weights whose sum is 1.

    With the errors ``E`` of the members in columns, ``|E w|`` is smallest over the simplex in the
    direction in which ``|E v|^2 + (sum(v) - 1)^2`` is smallest over all non-negative ``v``:
    non-negative least squares.

    Parameters
    ----------
    predicted : ndarray of shape (n_ratings, n_members)
    ratings : ndarray of shape (n_ratings,)

    Returns
    -------
    weights : ndarray of shape (n_members,)
    """
    errors = (predicted - ratings[:, None]).astype(np.float64)
    size = np.sqrt(np.square(errors).mean()) or 1.0
    triangle = np.linalg.qr(errors / (size * np.sqrt(len(errors))), mode="r")
    n_members = errors.shape[1]
    weights, _ = nnls(
        np.vstack([triangle, np.ones(n_members)]), np.append(np.zeros(len(triangle)), 1.0)
    )
    return weights / weights.sum()
