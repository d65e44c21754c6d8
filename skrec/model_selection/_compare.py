"""Comparison of models on the same held-out users."""

from numbers import Integral
from time import perf_counter

import numpy as np
from scipy import stats
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.model_selection import KFold, check_cv
from sklearn.utils import Bunch, get_tags, indexable
from sklearn.utils.parallel import Parallel, delayed

from skrec.metrics import standard_error
from skrec.metrics._predictions import final_estimator
from skrec.metrics._scorers import as_scorer, counts_every_entry
from skrec.model_selection._comparison import COLUMNS, Comparison
from skrec.model_selection._item_split import ItemColdStartSplit
from skrec.model_selection._time_split import TimeSplit
from skrec.reviews import as_reviews, reviews_option
from skrec.utils._compat import safe_indexing
from skrec.utils._progress import progress_bar
from skrec.utils._sparse_structure import check_structure
from skrec.utils._validation import check_interactions
from skrec.utils._warnings import warn


def compare_recommenders(
    estimators, X, *, reviews=None, cv=5, scoring=None, n_jobs=None, verbose=0
):
    """Cross-validate several models on the same users and the same hidden entries.

    Parameters
    ----------
    estimators : dict of str to estimator
        The models by name. They are cloned.
    X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
        One row per user; :class:`~skrec.Interactions` with timestamps where `cv` or `scoring` goes
        by time.
    reviews : {Reviews, array-like of str, matrix} or dict of str to these, default=None
        Reviews of the stored entries of `X`, cut along with the users. Every model gets them, in
        ``fit`` and in the scorer. A dict gives them to the models of these names only: so one
        model is compared with texts and without.
    cv : int, splitter or iterable of (train, test), default=5
        How users are split. An int means ``KFold(cv, shuffle=True, random_state=0)``. A
        :class:`TimeSplit` splits the entries in its place: models learn from the users who have a
        past, and are tested on those who have entries in the test period, by all their past,
        which may be nothing. An :class:`ItemColdStartSplit` takes items from training, and they
        are ranked among themselves.
    scoring : str, list of str or scorer, default=None
        Names of metrics, such as "ndcg@10", or what :func:`~skrec.metrics.ranking_scorer` or
        :func:`~skrec.metrics.rating_scorer` return. None means
        ``["ndcg@100", "recall@20", "recall@50"]``.
    n_jobs : int, default=None
        Number of fits at a time, as in joblib. None means 1; the models may still use threads.
    verbose : int, default=0
        1 shows a progress bar on standard error.

    Returns
    -------
    comparison : Comparison
        A dict of arrays with one element for each metric and model, the best model of a metric
        first. Printed, it is a table. Its columns:

        model, metric : str
            Their names.
        mean : float
            Mean over the folds, as :func:`sklearn.model_selection.cross_validate` gives it.
        standard_error : float
            That of the values of all test users.
        difference : float
            `mean` minus that of the best model of the metric.
        p_value : float
            Of a two-sided paired t-test of the users' values against those of the best model; NaN
            for the best one. It takes the users as independent, although models of different
            folds share training users, and users as one sample each, so let `cv` test none twice
            (several periods of a :class:`TimeSplit` do: the p-values are then too small).
        n_users : int
            Number of test users that count.
        fit_time, score_time : float
            Mean seconds per fold.

        For metrics that have no value per user (coverage, neg_gini), `standard_error` and
        `p_value` are NaN and `n_users` is the number of all test users.

    Examples
    --------
    >>> from skrec import EASE, Popularity
    >>> from skrec.datasets import load_movielens_small
    >>> from skrec.model_selection import compare_recommenders
    >>> X = load_movielens_small().binarize(3.5).filter(min_users_per_item=10).X
    >>> models = {"popularity": Popularity(), "EASE": EASE(l2=100)}
    >>> table = compare_recommenders(models, X, cv=3)
    >>> [str(model) for model in table["model"][:2]]
    ['EASE', 'popularity']
    """
    if not isinstance(estimators, dict) or not estimators:
        raise TypeError(
            "estimators must be a non-empty dict of names to estimators, for example "
            f"{{'EASE': EASE()}}, got {estimators!r}."
        )
    scoring = as_scorer(["ndcg@100", "recall@20", "recall@50"] if scoring is None else scoring)
    if not hasattr(scoring, "evaluate"):
        raise TypeError(
            "scoring must have values per user for the paired tests: use names of metrics, such "
            f"as 'ndcg@10', ranking_scorer(...) or rating_scorer(...), got {scoring!r}."
        )
    if issparse(X):
        check_structure(X)  # before its rows are cut
    (X,) = indexable(X)
    _warn_of_rankings_of_ratings(estimators, X, scoring)
    folds = _folds(X, cv)
    reviews_of = _reviews_by_model(reviews, estimators, X)
    tasks = [(name, fold) for name in estimators for fold in range(len(folds))]
    parallel = Parallel(n_jobs=n_jobs, return_as="generator")
    outcomes = parallel(
        delayed(_fit_and_evaluate)(
            name, clone(estimators[name]), X, reviews_of.get(name), folds[fold], scoring
        )
        for name, fold in tasks
    )
    if verbose:
        outcomes = progress_bar(
            outcomes, desc="compare_recommenders", total=len(tasks), unit="fit"
        )
    by_model = {name: [] for name in estimators}
    for (name, _), outcome in zip(tasks, outcomes, strict=True):
        by_model[name].append(outcome)
    table = _tabulate(by_model, sum(_n_tested(fold) for fold in folds))
    table.backend = getattr(X, "backend", None)
    return table


def _warn_of_rankings_of_ratings(estimators, X, scoring):
    values = check_interactions(X).data
    if not counts_every_entry(scoring) or not values.size or values.min() == values.max():
        return
    for name, estimator in estimators.items():
        tags = getattr(get_tags(final_estimator(estimator)), "recommender_tags", None)
        if tags is not None and tags.predicts_ratings:
            warn(
                f"The model {name!r} predicts ratings, but is judged by lists in which every "
                "rating counts as a hit, a low one too: name the smallest one that counts, as in "
                "scoring=ranking_scorer('ndcg@10', relevance=4), or measure errors of ratings by "
                "scoring='neg_rmse'."
            )
            return


def _folds(X, cv):
    """Pairs of training and test rows; or the parts of a split of the entries."""
    if isinstance(cv, TimeSplit | ItemColdStartSplit):
        return list(cv.partitions(X))
    cv = KFold(cv, shuffle=True, random_state=0) if isinstance(cv, Integral) else check_cv(cv)
    return list(cv.split(X))


def _n_tested(fold):
    if isinstance(fold, Bunch):
        return np.count_nonzero(np.diff(fold.held_out.indptr))
    return len(fold[1])


def _reviews_by_model(reviews, estimators, X):
    if reviews is None:
        return {}
    entries = check_interactions(X)
    if not isinstance(reviews, dict):
        return dict.fromkeys(estimators, as_reviews(reviews, X, entries))
    unknown = [name for name in reviews if name not in estimators]
    if unknown:
        raise ValueError(
            f"reviews are given to models of the names {unknown}, but there are only "
            f"{list(estimators)}: name the models as in estimators."
        )
    return {name: as_reviews(given, X, entries) for name, given in reviews.items()}


def _fit_and_evaluate(name, estimator, X, reviews, fold, scoring):
    train, test, held_out = _cut(X, reviews, fold)
    if isinstance(fold, Bunch):
        scoring = scoring.among(fold.get("new_items"))
    try:
        start = perf_counter()
        rows, read = train()
        estimator.fit(rows, **read)
        fitted = perf_counter()
        rows, read = test()
        scores, per_user = scoring.evaluate(estimator, rows, held_out, **read)
    except Exception as error:
        error.add_note(f"This happened to the model {name!r} in compare_recommenders.")
        raise
    return scores, per_user, fitted - start, perf_counter() - fitted


def _cut(X, reviews, fold):
    """What to fit on, what to ask about (functions, as cutting counts), what to find there."""

    def take(X, reviews, rows):
        read = reviews_option(None if reviews is None else reviews[rows])
        return safe_indexing(X, rows), read

    if not isinstance(fold, Bunch):
        train, test = fold
        return lambda: take(X, reviews, train), lambda: take(X, reviews, test), None
    known, tested = (np.flatnonzero(np.diff(part.indptr)) for part in (fold.train, fold.held_out))
    of_train, of_fold_in = (
        None if reviews is None else reviews.aligned_with(part)
        for part in (fold.train, fold.fold_in)
    )
    return (
        lambda: take(fold.train, of_train, known),
        lambda: take(fold.fold_in, of_fold_in, tested),
        fold.held_out[tested],
    )


def _tabulate(by_model, n_users):
    rows = []
    for metric in next(iter(by_model.values()))[0][0]:
        means = {
            name: float(np.mean([outcome[0][metric] for outcome in outcomes]))
            for name, outcomes in by_model.items()
        }
        values = {
            name: np.concatenate([outcome[1].get(metric, [np.nan]) for outcome in outcomes])
            for name, outcomes in by_model.items()
        }
        ranked = sorted(means, key=means.get, reverse=True)
        best = ranked[0]
        for name in ranked:
            has_users = metric in by_model[name][0][1]
            rows.append(
                (
                    name,
                    metric,
                    means[name],
                    standard_error(values[name]),
                    means[name] - means[best],
                    np.nan if name == best else paired_p_value(values[name], values[best]),
                    np.count_nonzero(~np.isnan(values[name])) if has_users else n_users,
                    float(np.mean([outcome[2] for outcome in by_model[name]])),
                    float(np.mean([outcome[3] for outcome in by_model[name]])),
                )
            )
    columns = zip(*rows, strict=True)
    return Comparison(
        {column: np.array(data) for column, data in zip(COLUMNS, columns, strict=True)}
    )


def paired_p_value(first, second):
    """Two-sided p-value of the paired t-test, over the pairs without NaN."""
    difference = first - second
    both = ~np.isnan(difference)
    if np.count_nonzero(both) < 2:
        return np.nan
    # Of a constant difference the statistic is 0 / 0 or infinite.
    if np.ptp(difference[both]) == 0:
        return float(not difference[both].any())
    return float(stats.ttest_rel(first[both], second[both]).pvalue)
