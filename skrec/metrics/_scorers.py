"""Scorers for ``scoring=``: hide part of each test row, predict, and measure in one pass."""

import re
from copy import copy
from difflib import get_close_matches
from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array
from sklearn import get_config
from sklearn.utils.metadata_routing import MetadataRequest

from skrec.metrics._hits import (
    average,
    average_precision_by_user,
    find_hits,
    hit_rate_by_user,
    ndcg_by_user,
    precision_by_user,
    recall_by_user,
    reciprocal_rank_by_user,
)
from skrec.metrics._lists import (
    average_popularity_by_user,
    coverage,
    diversity_by_user,
    gini,
    novelty_by_user,
    popularity_of,
)
from skrec.metrics._predictions import Predictor
from skrec.metrics._rating import mae, rmse
from skrec.reviews import as_reviews
from skrec.utils._compat import Interval, register_scorers, validate_params
from skrec.utils._entry_splits import (
    FOLD_IN,
    checked_entries,
    fold_in_split,
    parse_fold_in,
    take_entries,
)
from skrec.utils._item_features import check_item_features
from skrec.utils._validation import check_finite_number, check_interactions, check_items

_BY_USER = {
    "ndcg": ndcg_by_user,
    "recall": recall_by_user,
    "precision": precision_by_user,
    "map": average_precision_by_user,
    "mrr": reciprocal_rank_by_user,
    "hit_rate": hit_rate_by_user,
}
_OF_LISTS = ("coverage", "novelty", "diversity", "neg_popularity", "neg_gini")
RANKING = (*_BY_USER, *_OF_LISTS)
# Those of the names that scikit-learn gets to know.
_CUTOFFS = (1, 5, 10, 20, 50, 100)
_RATING = {"neg_rmse": rmse, "neg_mae": mae}

_COMMON = {
    "metrics": [str, "array-like"],
    "fold_in": FOLD_IN,
    "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both")],
}


@validate_params(
    {
        **_COMMON,
        "relevance": [Interval(Real, None, None, closed="neither"), None],
        "rated_only": ["boolean"],
        "items": ["array-like", None],
        "item_features": ["array-like", "sparse matrix", None],
    },
    prefer_skip_nested_validation=True,
)
def ranking_scorer(
    metrics="ndcg@100",
    *,
    fold_in=0.8,
    relevance=None,
    rated_only=False,
    items=None,
    item_features=None,
    random_state=0,
):
    """Make a scorer of ranking metrics for ``scoring=``.

    With the defaults below, scikit-learn knows these scorers by the name of their metric, at the
    cut-offs 1, 5, 10, 20, 50 and 100: ``GridSearchCV(model, grid, scoring="ndcg@10")``.

    The scorer is a callable ``(estimator, X, y=None)``. It hides part of each row of `X`, asks for
    recommendations from the rest, and computes all metrics from that one answer. Items in the
    visible part are never recommended.

    Parameters
    ----------
    metrics : str or list of str, default="ndcg@100"
        A name and a cut-off: "ndcg@k", "recall@k" (denominator ``min(k, n_relevant)``),
        "precision@k", "map@k", "mrr@k", "hit_rate@k", "coverage@k", "neg_gini@k", and, by the
        scored users' visible entries, "novelty@k", "neg_popularity@k" (minus
        :func:`~skrec.metrics.average_popularity`) and, unless there are `item_features`,
        "diversity@k". Larger is better for all.
    fold_in : float or str, default=0.8
        What stays visible of each row: a share of its entries, or all but the latest with "last",
        "last-5" or "last-20%", for which `X` has to be :class:`~skrec.Interactions` with
        timestamps; see :func:`~skrec.model_selection.fold_in_split`. Ignored when `y` is a
        matrix.
    relevance : float, default=None
        Smallest value of a relevant held-out entry. None means that every entry is relevant.
    rated_only : bool, default=False
        Whether to rank each user's held-out items only, by ``predict``, see
        :func:`~skrec.metrics.ndcg`. Needs `relevance`.
    items : array-like, default=None
        Column indices of the items to rank, or a mask over all, such as those that are in stock.
        Held-out entries of others do not count, nor do the others as catalogue. None means all,
        and with :class:`~skrec.model_selection.ItemColdStartSplit` a fold's new items.
    item_features : {array-like, sparse matrix, dataframe}, default=None
        What "diversity@k" compares items by, of shape (n_items, n_features), such as genres as 0
        and 1. None means the scored users' visible entries.
    random_state : int, default=0
        Controls which entries are hidden. Always a number, so that every model that is compared
        has to find the same entries.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None, *, reviews=None)`` returns a float if `metrics` is a string,
        otherwise a dict of floats. A matrix `y` of the shape of `X` holds the held-out entries;
        `X` is then entirely visible. Any other `y` is ignored. `reviews` of the entries of `X` are
        handed on to the model, those of hidden entries left out; for cross-validation, which
        needs :class:`~skrec.Reviews`, with scikit-learn's metadata routing, ask for them with
        ``scorer.set_score_request(reviews=True)``.
        ``scorer.per_user(estimator, X, y=None)`` returns a dict of arrays of shape (n_users,),
        NaN for users that count in no average; coverage and neg_gini, which are properties of all
        lists together, are left out.
        `estimator` needs ``recommend`` or, like a Pipeline, ``predict`` with one column per item.

    See Also
    --------
    rating_scorer : The same for predicted ratings.
    skrec.model_selection.compare_recommenders : Compare models by a scorer.

    Examples
    --------
    >>> from sklearn.model_selection import cross_validate
    >>> from skrec import Popularity
    >>> from skrec.datasets import load_movielens_small
    >>> from skrec.metrics import ranking_scorer
    >>> X = load_movielens_small().X
    >>> scoring = ranking_scorer(["ndcg@10", "recall@20"])
    >>> sorted(cross_validate(Popularity(), X, cv=3, scoring=scoring))
    ['fit_time', 'score_time', 'test_ndcg@10', 'test_recall@20']
    """
    single, names = _metric_names(metrics)
    parsed = {name: _parse_ranking(name) for name in names}
    if relevance is not None:
        meaning = "the smallest value of a relevant entry, or None"
        relevance = check_finite_number(relevance, "relevance", meaning)
    if rated_only and relevance is None:
        raise ValueError(
            "rated_only=True with relevance=None counts every held-out entry as a hit, so the "
            "order does not matter: give the smallest relevant value, for example relevance=4."
        )
    of_lists = [name for name, (metric, _) in parsed.items() if metric in _OF_LISTS]
    if rated_only and of_lists:
        raise ValueError(
            f"rated_only=True recommends nothing from the catalogue, which {of_lists[0]!r} "
            "describes: leave that metric out, or use rated_only=False."
        )
    if item_features is not None and not any(
        metric == "diversity" for metric, _ in parsed.values()
    ):
        raise ValueError(
            "item_features are what 'diversity@k' compares items by, and metrics has none: add "
            "'diversity@10', or leave them out."
        )
    options = {
        "relevance": relevance,
        "rated_only": rated_only,
        "items": items,
        "item_features": item_features,
    }
    return _RankingScorer(parsed, single, fold_in, random_state, **options)


@validate_params(_COMMON, prefer_skip_nested_validation=True)
def rating_scorer(metrics="neg_rmse", *, fold_in=0.8, random_state=0):
    """Make a scorer of rating errors for ``scoring=``.

    With the defaults below, scikit-learn knows these scorers by the name of their metric, as in
    ``cross_val_score(model, X, scoring="neg_rmse")``.

    The scorer is a callable ``(estimator, X, y=None)``. It hides part of each row of `X` and
    compares what ``predict`` makes of the rest with the hidden entries.

    Parameters
    ----------
    metrics : str or list of str, default="neg_rmse"
        "neg_rmse" or "neg_mae". Larger is better.
    fold_in : float or str, default=0.8
        What stays visible of each row: a share of its entries, or all but the latest with "last",
        "last-5" or "last-20%", for which `X` has to be :class:`~skrec.Interactions` with
        timestamps; see :func:`~skrec.model_selection.fold_in_split`. Ignored when `y` is a
        matrix.
    random_state : int, default=0
        Controls which entries are hidden. Always a number, so that every model that is compared
        has to predict the same entries.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None, *, reviews=None)`` returns a float if `metrics` is a string,
        otherwise a dict of floats. A matrix `y` of the shape of `X` holds the held-out entries;
        `X` is then entirely visible. Any other `y` is ignored. `reviews` of the entries of `X` are
        handed on to the model, those of hidden entries left out; for cross-validation, which
        needs :class:`~skrec.Reviews`, with scikit-learn's metadata routing, ask for them with
        ``scorer.set_score_request(reviews=True)``.
        ``scorer.per_user(estimator, X, y=None)`` returns a dict of arrays of shape (n_users,),
        NaN for users without a held-out entry.

    See Also
    --------
    ranking_scorer : The same for recommended lists.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> from skrec import BiasBaseline
    >>> from skrec.datasets import load_movielens_small
    >>> from skrec.metrics import rating_scorer
    >>> X = load_movielens_small().X
    >>> cross_val_score(BiasBaseline(), X, cv=3, scoring=rating_scorer()).mean().round(1)
    np.float64(-0.9)
    """
    single, names = _metric_names(metrics)
    for name in names:
        if name.partition("@")[0] in RANKING:
            raise ValueError(
                f"{name!r} measures recommended lists, the metrics here predicted ratings: "
                f"ranking_scorer({name!r}) is its scorer."
            )
        if name not in _RATING:
            raise ValueError(_unknown(name, _near(name.lower(), _RATING), _RATING))
    return _RatingScorer({name: _RATING[name] for name in names}, single, fold_in, random_state)


class _Scorer:
    def __init__(self, metrics, single, fold_in, random_state):
        parse_fold_in(fold_in)
        self.metrics = metrics
        self.single = single
        self.fold_in = fold_in
        self.random_state = random_state
        self._requests = {}

    def __call__(self, estimator, X, y=None, *, reviews=None):
        scores, _ = self.evaluate(estimator, X, y, reviews=reviews)
        return next(iter(scores.values())) if self.single else scores

    def per_user(self, estimator, X, y=None, *, reviews=None):
        _, values = self.evaluate(estimator, X, y, reviews=reviews)
        return values

    def evaluate(self, estimator, X, y=None, *, reviews=None):
        """Both answers from one pass: (dict of floats, dict of arrays)."""
        if reviews is not None:
            reviews = as_reviews(reviews, X, check_interactions(X))
        if np.ndim(y) == 2 or getattr(y, "ndim", 0) == 2:
            fold_in, held_out = checked_entries(X), check_interactions(y, name="y")
            if held_out.shape != fold_in.shape:
                raise ValueError(
                    f"A matrix y holds the held-out entries and must have the shape of X, "
                    f"{fold_in.shape}, got {held_out.shape}."
                )
        else:
            fold_in, held_out = fold_in_split(X, self.fold_in, random_state=self.random_state)
            if reviews is not None:  # the texts of what is to be found would tell
                reviews = reviews.aligned_with(fold_in)
            held_out = check_interactions(held_out)  # the ids of the fold-in suffice
        return self._measure(Predictor(estimator, X, reviews), fold_in, held_out)

    def among(self, items):
        """Return the scorer for these items, of which alone there are held-out entries."""
        return self

    def set_score_request(self, **requests):
        """Ask scikit-learn's metadata routing for arguments, as in ``(reviews=True)``."""
        if not get_config()["enable_metadata_routing"]:
            raise RuntimeError(
                "set_score_request needs metadata routing: call "
                "sklearn.set_config(enable_metadata_routing=True) first."
            )
        self._requests.update(requests)
        return self

    def get_metadata_routing(self):
        """Tell scikit-learn's metadata routing which arguments are asked for."""
        routing = MetadataRequest(owner=self)
        for name, alias in self._requests.items():
            routing.score.add_request(param=name, alias=alias)
        return routing

    def __repr__(self):
        names = list(self.metrics)
        options = {**vars(self)}
        del options["metrics"], options["single"], options["_requests"]
        options = ", ".join(f"{name}={value!r}" for name, value in options.items())
        return f"{self._factory}({(names[0] if self.single else names)!r}, {options})"


class _RankingScorer(_Scorer):
    _factory = "ranking_scorer"

    def __init__(self, *args, relevance, rated_only, items, item_features):
        super().__init__(*args)
        self.relevance = relevance
        self.rated_only = rated_only
        self.items = items
        self.item_features = item_features

    def among(self, items):
        scorer = copy(self)
        scorer.items = items if self.items is None else self.items
        return scorer

    def _measure(self, predictor, fold_in, held_out):
        n_items = held_out.shape[1]
        longest = min(n_items, max(k for _, k in self.metrics.values()))
        features = self.item_features
        if features is not None:
            ids = getattr(fold_in, "item_ids", None)
            features = check_item_features(features, n_items, ids)
        items = None if self.items is None else check_items(self.items, n_items)
        if items is not None:
            held_out = take_entries(held_out, np.isin(held_out.indices, items))
        if self.rated_only:
            recommended = _rank_entries(
                predictor.predict_entries(fold_in, held_out), held_out, longest
            )
        else:
            recommended = predictor.recommend(fold_in, longest, items)
        hits = find_hits(recommended, held_out, self.relevance, self.rated_only)
        scores, per_user = {}, {}
        for name, (metric, k) in self.metrics.items():
            if metric == "coverage":
                scores[name] = coverage(*_numbered(recommended, n_items, items), k)
            elif metric == "neg_gini":
                scores[name] = -gini(*_numbered(recommended, n_items, items), k)
            else:
                lists = recommended[:, :k]
                if metric == "novelty":
                    values = novelty_by_user(lists, popularity_of(fold_in, smoothing=1))
                elif metric == "neg_popularity":
                    values = -average_popularity_by_user(lists, popularity_of(fold_in))
                elif metric == "diversity":
                    known = csr_array(fold_in.T) if features is None else features
                    values = diversity_by_user(lists, known)
                else:
                    values = np.where(hits.counts, _BY_USER[metric](hits, k), np.nan)
                per_user[name] = values
                scores[name] = average(values)
        return scores, per_user


class _RatingScorer(_Scorer):
    _factory = "rating_scorer"

    def _measure(self, predictor, fold_in, held_out):
        predicted = predictor.predict_entries(fold_in, held_out)
        scores = {name: -error(predicted, held_out) for name, error in self.metrics.items()}
        per_user = {
            name: -error(predicted, held_out, per_user=True)
            for name, error in self.metrics.items()
        }
        return scores, per_user


def _metric_names(metrics):
    single = isinstance(metrics, str)
    names = [metrics] if single else list(metrics)
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"metrics must be a name or a non-empty list of names, for example 'ndcg@100', got "
            f"{metrics!r}."
        )
    return single, names


def as_scorer(scoring):
    """Turn names of metrics into a scorer; anything else is returned as it is."""
    if not isinstance(scoring, str | list | tuple):
        return scoring
    names = [scoring] if isinstance(scoring, str) else scoring
    if names and all(name in _RATING for name in names):
        return rating_scorer(scoring)
    return ranking_scorer(scoring)


def counts_every_entry(scorer):
    """Whether a scorer takes every held-out entry for a hit, whatever its value."""
    return isinstance(scorer, _RankingScorer) and scorer.relevance is None


def _parse_ranking(name):
    metric, _, cutoff = name.partition("@")
    for of_ratings in (metric, f"neg_{metric.lower()}"):
        if of_ratings in _RATING:
            raise ValueError(
                f"{name!r} measures predicted ratings, the metrics here recommended lists: "
                f"rating_scorer({of_ratings!r}) is its scorer."
            )
    if metric not in RANKING:
        near = _near(re.sub(r"[^a-z_].*", "", metric.lower()), RANKING)
        cutoff = "".join(re.findall("[1-9][0-9]*", name)[:1]) or "10"
        raise ValueError(_unknown(name, near and f"{near}@{cutoff}", RANKING))
    if not re.fullmatch("[1-9][0-9]{0,17}", cutoff):
        raise ValueError(
            f"{name!r} needs a cut-off of at least 1, of 18 digits at most, after an '@', for "
            f"example '{metric}@20'."
        )
    if metric == "diversity" and cutoff == "1":
        raise ValueError(f"{name!r} is of single items: lists of two have a diversity.")
    return metric, int(cutoff)


def _near(name, known):
    return next(iter(get_close_matches(name, known, n=1)), None)


def _unknown(name, near, known):
    hint = f" Did you mean {near!r}?" if near else ""
    return f"Unknown metric {name!r}.{hint} The metrics are: {', '.join(known)}."


def _numbered(recommended, n_items, items):
    """Lists with the items numbered as candidates, and the number of these."""
    if items is None:
        return recommended, n_items
    return np.where(recommended < 0, -1, np.searchsorted(items, recommended)), len(items)


def _rank_entries(predicted, entries, k):
    """Each row's stored entries by falling prediction, ties by lower index, padded with -1."""
    lengths = np.diff(entries.indptr)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((entries.indices, -predicted, rows))
    ranks = np.arange(entries.nnz) - entries.indptr[rows]
    ranked = np.full((len(lengths), min(k, lengths.max(initial=1))), -1, dtype=np.intp)
    listed = ranks < k
    ranked[rows[listed], ranks[listed]] = entries.indices[order][listed]
    return ranked


register_scorers(
    {
        name: as_scorer(name)
        for name in [
            *(f"{metric}@{k}" for metric in RANKING for k in _CUTOFFS if metric != "diversity"),
            *(f"diversity@{k}" for k in _CUTOFFS[1:]),
            *_RATING,
        ]
    }
)
