"""Users who are held out inside ``fit``, for members that do not know them."""

from numbers import Integral

import numpy as np
from sklearn.model_selection import KFold, check_cv
from sklearn.utils import check_random_state

from skrec.utils._compat import safe_indexing
from skrec.utils._entry_splits import fold_in_split
from skrec.utils._validation import check_interactions

# Users held out by default: a share, and a number that tells weights apart well enough.
SHARE, MANY_USERS = 0.2, 5000


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
