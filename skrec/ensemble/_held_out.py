"""Users who are held out inside ``fit``, for members that do not know them."""

from numbers import Integral

import numpy as np
from sklearn.model_selection import KFold, ShuffleSplit, check_cv
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
    for train, test in _folds(X, cv, rng.randint(2**31)):
        visible, hidden = fold_in_split(safe_indexing(X, test), random_state=rng)
        if isinstance(cv, str):
            fitted = fit()
        else:
            fitted = fit(safe_indexing(X, train), None if reviews is None else reviews[train])
        visible, hidden = check_interactions(visible), check_interactions(hidden)
        texts = None if reviews is None else reviews[test].aligned_with(visible)
        n_hidden += hidden.nnz
        yield fitted, visible, hidden, texts
    if n_hidden == 0:
        raise ValueError(
            "No user who is held out has two entries, of which one could be hidden, so that "
            f"nothing tells weights apart (n_samples={X.shape[0]}, n_features={X.shape[1]}): "
            "pass more users, or use VotingRecommender."
        )


def _folds(X, cv, seed):
    n_users = X.shape[0]
    if isinstance(cv, str):
        return [([], np.arange(n_users))]
    if cv is None:
        n_held_out = min(max(1, round(SHARE * n_users)), MANY_USERS)
        return ShuffleSplit(1, test_size=n_held_out, random_state=seed).split(X)
    if isinstance(cv, Integral):
        return KFold(cv, shuffle=True, random_state=seed).split(X)
    return check_cv(cv).split(X)
