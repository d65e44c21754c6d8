"""Pipelines and searches, seen as steps that transform and the model at their end."""

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skrec.base._recommender import BaseRecommender
from skrec.metrics._predictions import Predictor
from skrec.reviews import Reviews
from skrec.utils._blocks import row_blocks
from skrec.utils._compat import BaseSearchCV
from skrec.utils._validation import check_interactions


def take_apart(model):
    """Find what transforms and what answers in a fitted Pipeline, a search, or both, nested.

    Parameters
    ----------
    model : estimator
        Fitted.

    Returns
    -------
    steps : list of transformer
        What the rows go through, in this order.
    final : estimator
        What gets them then.
    """
    steps = []
    while isinstance(model, Pipeline | BaseSearchCV | FrozenEstimator):
        check_is_fitted(model)
        if isinstance(model, FrozenEstimator):
            model = model.estimator
        elif isinstance(model, Pipeline):
            *before, (_, last) = model.steps
            steps += [step for _, step in before if step is not None and step != "passthrough"]
            model = last
        elif hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        else:
            raise ValueError(
                f"{type(model).__name__} has compared models with refit=False, and has kept none "
                "that could answer: fit it again with refit=True."
            )
    check_is_fitted(model)
    return steps, model


def transform(steps, X):
    """Hand rows through steps that keep the columns, so that these are still the same items."""
    n_items = X.shape[1]
    for step in steps:
        X = step.transform(X)
        if X.shape[1] != n_items:
            raise ValueError(
                f"{type(step).__name__} makes {X.shape[1]} columns of the {n_items} items, so "
                "that nobody knows which ids they have: choose items before the Pipeline, as "
                "Interactions.filter or Interactions.reindex does, and let its steps keep them."
            )
    return X


def best_items(steps, final, X, k, *, exclude_seen=True, items=None, exclude=None):
    """Rank items for rows that go through steps, by what stands in the rows before.

    Parameters
    ----------
    steps : list of transformer
    final : estimator
        One that has ``predict`` with a column for each item; a recommender ranks by itself.
    X : {Interactions, csr_array, dataframe} of shape (n_users, n_items)
    k : int
    exclude_seen : bool, default=True
        Leave out the items stored in the rows of `X`, whatever the steps make of them.
    items, exclude : ndarray of bool or csr_array of shape (n_users, n_items), default=None
        Candidates and items that are left out: a mask, or those of each user.

    Returns
    -------
    indices : ndarray of intp of shape (n_users, k)
        Padded with -1.
    scores : ndarray of shape (n_users, k)
    """
    rows = transform(steps, X)
    if isinstance(exclude, np.ndarray):
        items, exclude = _without(items, exclude), None
    if isinstance(items, np.ndarray) and not items.any():
        return np.full((X.shape[0], k), -1), np.full((X.shape[0], k), -np.inf)
    if exclude_seen and steps:
        seen = seen_items(check_interactions(X))
        exclude, exclude_seen = seen if exclude is None else exclude + seen, False
    options = {"exclude_seen": exclude_seen, "exclude": exclude, "return_scores": True}
    if isinstance(final, BaseRecommender):
        return final.recommend(rows, k, items=items, **options, **_reviews(steps, final, X, rows))
    if isinstance(items, np.ndarray):
        items = np.flatnonzero(items)
    return Predictor(final, rows).rank(check_interactions(rows), k, items=items, **options)


def seen_items(X):
    """The stored entries of a csr_array, whatever their values are."""
    return csr_array((np.ones(X.nnz), X.indices, X.indptr), shape=X.shape)


def _without(items, exclude):
    """Candidates, all of them or those of each user, without those of a mask."""
    if not issparse(items):
        return ~exclude if items is None else items & ~exclude
    items = csr_array(items.multiply(~exclude))
    items.eliminate_zeros()
    return items


def explain_items(steps, final, X, items):
    """What each item of a user's history adds to the scores of some items, as ``explain`` has it.

    Parameters
    ----------
    steps : list of transformer
    final : estimator
        One that has ``explain``.
    X : {Interactions, csr_array, dataframe} of shape (n_users, n_items)
    items : ndarray of intp of shape (n_users, n_explained)
        Padded with -1.

    Yields
    ------
    contributions : csr_array of shape (n_explained, n_items)
        Of the next user.
    """
    rows = transform(steps, X)
    for block in row_blocks(*items.shape):
        yield from final.explain(rows[block], items[block])


def _reviews(steps, final, X, rows):
    """The reviews of Interactions, which steps lose on the way, where the model reads them."""
    texts = getattr(X, "reviews", None)
    if not steps or texts is None or not get_tags(final).recommender_tags.reads_reviews:
        return {}
    return {"reviews": Reviews.from_interactions(X).aligned_with(check_interactions(rows))}
