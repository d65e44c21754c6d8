"""The members of an ensemble: fitted side by side, and asked for the scores of a block of rows."""

from functools import partial

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skrec.base import BaseRecommender, RecommenderTags
from skrec.base._composition import take_apart, transform
from skrec.metrics._predictions import Predictor, final_estimator
from skrec.reviews import reviews_option
from skrec.utils._pair_blocks import score_pairs
from skrec.utils._progress import progress_bar
from skrec.utils._validation import check_interactions, check_item_ids


def recommender_tags(member):
    """What a member's answers mean; of another library's model it is assumed that they rank."""
    return getattr(get_tags(final_estimator(member)), "recommender_tags", RecommenderTags())


def reads_reviews(member):
    """Whether a member can be handed reviews; a Pipeline would not pass them on."""
    return not isinstance(member, Pipeline) and recommender_tags(member).reads_reviews


def fit_members(members, X, reviews=None, *, n_jobs=None, verbose=False, desc="fit"):
    """Fit a clone of each member on the same users.

    Parameters
    ----------
    members : list of (str, estimator)
    X : {csr_array, Interactions} of shape (n_users, n_items)
    reviews : Reviews, default=None
        Handed to the members that read some.
    n_jobs : int, default=None
        Number of members that are fitted at a time, each in a process of its own: the numbers of
        threads and the state of torch, which fits set, belong to a whole process.
    verbose : bool, default=False
        Whether to show a bar.
    desc : str, default="fit"
        What the bar says.

    Returns
    -------
    fitted : list of estimator
    """
    clones = [(name, clone(member)) for name, member in members]
    fitted = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_fit_member)(name, member, X, reviews if reads_reviews(member) else None)
        for name, member in clones
    )
    if verbose:
        fitted = progress_bar(fitted, desc=desc, total=len(clones), unit="fit")
    return list(fitted)


def _fit_member(name, member, X, reviews):
    try:
        return member.fit(X, None, **reviews_option(reviews))  # FrozenEstimator insists on y
    except Exception as error:
        error.add_note(f"This happened to the member {name!r} of an ensemble.")
        raise


def check_fitted_member(name, member, X, item_ids=None):
    """Refuse a member that is not to be fitted, but is not fitted, or on other items than X has.

    Parameters
    ----------
    name : str
    member : estimator
    X : sparse matrix of shape (n_users, n_items)
    item_ids : ndarray of shape (n_items,), default=None
        Ids of the columns of X, if they have some.
    """
    try:
        check_is_fitted(member)
    except NotFittedError as error:
        raise NotFittedError(
            f"The member {name!r} must be fitted, as the ensemble does not fit it, but "
            f"{final_estimator(member)!r} is not: fit it first, or let the ensemble do it. "
            "Clones, as in a search or in cross-validation, keep what is in a FrozenEstimator."
        ) from error
    n_items = getattr(member, "n_features_in_", X.shape[1])
    if n_items != X.shape[1]:
        raise ValueError(
            f"X has {X.shape[1]} items, but the member {name!r} was fitted on {n_items}: fit all "
            "members on the items of X, in their order."
        )
    if item_ids is not None:
        check_item_ids(item_ids, member, "X")


def is_frozen(member):
    """Whether scikit-learn's FrozenEstimator keeps a member from being fitted again."""
    return isinstance(member, FrozenEstimator)


def score_member(member, X, reviews=None):
    """Scores of a fitted member for a block of rows, as it ranks by them.

    They are those of its ``predict`` but for the clipping of ratings. No threads of its own are
    started: whoever calls this does so for several blocks at a time.

    Parameters
    ----------
    member : estimator
    X : csr_array of shape (n_rows, n_items)
    reviews : Reviews, default=None
        Of these rows.

    Returns
    -------
    scores : ndarray of shape (n_rows, n_items)
        A new one.
    """
    steps, final = take_apart(member)
    X = transform(steps, X)
    if not isinstance(final, BaseRecommender):
        return Predictor(final, X).scores(check_interactions(X))
    reviews = reviews if reads_reviews(member) else None
    X, read = final._check_input(_with_ids(X, final), reviews)
    return final._finite_scores(X) if read is None else final._finite_scores(X, read)


def pair_states(member, X, reviews=None):
    """What `rate_pairs` rates single pairs of these users from, where a member predicts ratings.

    Parameters
    ----------
    member : estimator
    X : csr_array of shape (n_users, n_items)
    reviews : Reviews or matrix, default=None
        Of these users.

    Returns
    -------
    states : object
    """
    model = _rates_pairs(member)
    if model is None:
        return X
    return model._pair_states(X, **reviews_option(reviews if reads_reviews(member) else None))


def rate_pairs(member, states, users, items):
    """Ratings of pairs of positions, before clipping: an array of shape (n_pairs,)."""
    model = _rates_pairs(member)
    if model is None:
        return score_pairs(partial(score_member, member), states, users, items)
    return model._as_ratings(model._score_pairs(states, users, items))


def _rates_pairs(member):
    """The model of a member if it rates single pairs, and nothing transforms its rows."""
    steps, final = take_apart(member)
    return final if not steps and recommender_tags(final).rates_pairs else None


def _with_ids(X, model):
    """Rows under the ids that a model was fitted with: without them it would warn."""
    item_ids = getattr(model, "feature_names_in_", None)
    if item_ids is None:
        return X
    X = check_interactions(X)
    X = csr_array((X.data, X.indices, X.indptr), shape=X.shape)
    X.item_ids = item_ids
    return X


def check_weights(weights, n_members):
    """Validate weights of members, one for each.

    Parameters
    ----------
    weights : array-like of shape (n_members,) or None
        None: all count the same.
    n_members : int

    Returns
    -------
    weights : ndarray of float64 of shape (n_members,)
    """
    if weights is None:
        return np.ones(n_members)
    array = np.asarray(weights)
    if array.shape != (n_members,) or array.dtype.kind not in "biuf":
        raise ValueError(
            f"weights must be one number for each of the {n_members} estimators, got {weights!r}."
        )
    if not (np.isfinite(array).all() and (array >= 0).all()):
        raise ValueError(
            f"weights must be finite and not negative, got {weights!r}: give 0 to a member that "
            "is not to count."
        )
    return array.astype(np.float64)
