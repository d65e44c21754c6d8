"""Users who are held out inside ``fit``, and the weights that are learned from them."""

from numbers import Integral

import numpy as np
from sklearn.model_selection import KFold, check_cv
from sklearn.utils import check_random_state

from skrec.ensemble._candidates import Candidates, find_candidates, predict_entries
from skrec.ensemble._weight_search import least_squares_weights, search_weights
from skrec.metrics import ranking_scorer
from skrec.utils._compat import safe_indexing
from skrec.utils._entry_splits import fold_in_split
from skrec.utils._validation import check_interactions

# Users held out by default: a share, and a number that tells weights apart well enough.
SHARE, MANY_USERS = 0.2, 5000
# Best items that are kept of each held-out user and member, at least.
BEST_ITEMS = 200


def held_out_parts(fit, X, reviews, cv, random_state):
    """Fit members without some of the users, of whose entries a fifth is hidden, fold by fold.

    Parameters
    ----------
    fit : callable
        Takes rows and their reviews, or None, and returns what it has fitted on them.
    X : {csr_array, Interactions} of shape (n_users, n_items)
    reviews : Reviews or None
    cv : int, splitter, iterable, None or "prefit"
        See `StackingRecommender`. With "prefit", `fit` gets no rows.
    random_state : int, RandomState instance or None

    Yields
    ------
    fitted : object
        From `fit`.
    visible, hidden : csr_array of shape (n_held_out, n_items)
    reviews : Reviews or None
        Of the visible entries.
    """
    rng = check_random_state(random_state)
    n_hidden = 0
    for train, test in _folds(X, cv, rng):
        visible, hidden = fold_in_split(safe_indexing(X, test), random_state=rng)
        visible, hidden = check_interactions(visible), check_interactions(hidden)
        n_hidden += hidden.nnz
        if isinstance(cv, str):
            fitted = fit()
        else:
            fitted = fit(safe_indexing(X, train), None if reviews is None else reviews[train])
        texts = None if reviews is None else reviews[test].aligned_with(visible)
        yield fitted, visible, hidden, texts
    if n_hidden == 0:
        raise _too_few(X)


def _folds(X, cv, rng):
    if isinstance(cv, str):
        return [([], np.arange(X.shape[0]))]
    if cv is None:
        return [_hold_out(X, rng)]
    if isinstance(cv, Integral):
        return KFold(cv, shuffle=True, random_state=rng.randint(2**31)).split(X)
    return check_cv(cv).split(X)


def _hold_out(X, rng):
    able = np.flatnonzero(np.diff(X.indptr) >= 2)
    n_held_out = min(max(1, round(SHARE * X.shape[0])), MANY_USERS, len(able))
    test = np.sort(rng.permutation(able)[:n_held_out])
    train = np.setdiff1d(np.arange(X.shape[0]), test)
    if not len(test) or not len(train):
        raise _too_few(X)
    return train, test


def _too_few(X):
    return ValueError(
        "Weights are learned from users who are held out, with two entries at least, of which one "
        f"is hidden, for which X is too small (n_samples={X.shape[0]}, n_features={X.shape[1]}): "
        "pass more users, or use VotingRecommender."
    )


def rating_weights(parts, n_jobs=None):
    """Weights for members that predict ratings.

    Parameters
    ----------
    parts : iterable of (list of estimator, csr_array, csr_array, Reviews or None)
        What `held_out_parts` yields.
    n_jobs : int, default=None

    Returns
    -------
    weights : ndarray of shape (n_members,)
    score_of : callable
        Of any weights, minus the root mean squared error of the hidden ratings.
    """
    answers = [(predict_entries(*part, n_jobs=n_jobs), part[2].data) for part in parts]
    predicted, ratings = map(np.concatenate, zip(*answers, strict=True))
    weights = least_squares_weights(predicted, ratings)
    return weights, lambda weights: -np.sqrt(np.square(predicted @ weights - ratings).mean())


def list_weights(parts, metric, how, n_jobs=None):
    """Weights with which hidden entries come to the top of lists.

    Parameters
    ----------
    parts : iterable of (list of estimator, csr_array, csr_array, Reviews or None)
        What `held_out_parts` yields.
    metric : str
        Such as "ndcg@100".
    how : str or None
        See `normalize_rows`.
    n_jobs : int, default=None

    Returns
    -------
    weights : ndarray of shape (n_members,)
    score_of : callable
        Of any weights, the metric's mean over the users.
    """
    scorer, k = check_list_metric(metric)
    options = {"how": how, "n_best": max(BEST_ITEMS, 5 * k), "n_jobs": n_jobs}
    found = Candidates.joined([find_candidates(*part, **options) for part in parts])

    def values_of(weights):
        return scorer.per_user(found.weighted(weights), found.visible, found.hidden)[metric]

    weights = search_weights(values_of, found.n_members)
    return weights, lambda weights: np.nanmean(values_of(weights))


def check_list_metric(name):
    """Make the scorer of a metric of each user's list; return it and the cut-off."""
    scorer = ranking_scorer(name)
    ((metric, k),) = scorer.metrics.values()
    if metric in ("coverage", "neg_gini"):
        raise ValueError(
            f"metric={name!r} is of all lists together, and says nothing of a user, by whom "
            "weights are told apart: choose another, such as 'ndcg@100'."
        )
    return scorer, k
