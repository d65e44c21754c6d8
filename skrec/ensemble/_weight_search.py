"""Weights of members that raise a metric, or lower the squared error, on held-out users."""

import numpy as np
from scipy.optimize import nnls

# Votes that are given, one at a time: the weights of the best mixture are multiples of one in as
# many as it has, up to this.
N_VOTES = 20


def search_weights(values_of, n_members):
    """Maximise the mean of users' values over non-negative weights whose sum is 1.

    Members are chosen one after the other, each as often as it helps: the next vote goes to the
    one with which the mean is largest (ensemble selection with replacement). Of the mixtures on
    the way the best is taken.

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
    votes = np.zeros(n_members)
    best_mean, best = -np.inf, votes
    for n_votes in range(1, N_VOTES + 1):
        mixtures = (votes + np.eye(n_members)) / n_votes
        means = [np.nanmean(values_of(weights)) for weights in mixtures]
        chosen = int(np.argmax(means))
        votes[chosen] += 1
        if means[chosen] > best_mean:
            best_mean, best = means[chosen], mixtures[chosen]
    return best


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
