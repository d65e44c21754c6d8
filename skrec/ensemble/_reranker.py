"""Lists of another recommender, made more varied, less popular, or balanced."""

from functools import partial
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.base import MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags

from skrec.base import BaseRecommender, RecommenderTags
from skrec.base._composition import seen_items, take_apart, transform
from skrec.ensemble._list_order import read_rules, reorder
from skrec.ensemble._rules import among_seen, merge_lists, with_seen, without
from skrec.metrics._predictions import final_estimator
from skrec.reviews import as_reviews
from skrec.utils._blocks import top_k
from skrec.utils._compat import HasMethods, Interval, fit_context
from skrec.utils._item_features import without_frame
from skrec.utils._validation import (
    check_finite_answers,
    check_interactions,
    check_item_ids,
    keep_state_on_error,
)

_KNOBS = (
    "diversity",
    "popularity_discount",
    "item_features",
    "max_per_category",
    "categories",
)


class Reranker(MetaEstimatorMixin, BaseRecommender):
    r"""Another recommender's lists, made more diverse, less popular, or balanced by category.

    Of a user's best `n_candidates` the list takes the one first, and then always that which adds
    most to those above it (maximal marginal relevance). With the model's score :math:`s_i` and
    the standard deviation :math:`\sigma` of the candidates' scores that is the largest

    .. math::
        s_i + \sigma \Big(\beta \log_2 \frac{1}{p_i}
        + \delta\, \big(1 - \max_{j \text{ above}} \cos(v_i, v_j)\big)\Big)

    where :math:`p_i` is the share of the training users who have the item, and of one more who
    has them all, :math:`v_i` its features, and :math:`\delta` and :math:`\beta` are `diversity`
    and `popularity_discount`.

    Parameters
    ----------
    estimator : estimator
        A recommender, or a Pipeline or a search that ends in one; a clone of it is fitted. One
        that is fitted already stays so in scikit-learn's :class:`~sklearn.frozen.FrozenEstimator`.
    diversity : float
        What an item gains that is wholly unlike every item above it, in standard deviations of
        the candidates' scores.
    popularity_discount : float
        What an item gains for each bit of novelty: twice as rare is one bit. In the same unit.
    item_features : {array-like, sparse matrix, dataframe} of shape (n_items, n_features)
        What items are compared by: a row for each, in the order of the columns of `X`. Genres as
        0 and 1, the tf-idf of texts, or the factors of a model. None: they are as alike as the
        training users who have them.
    max_per_category : int
        Most items of a category in the list. None: as many as come. Those beyond it follow when
        no other candidate is left.
    categories : array-like of shape (n_items,) or (n_items, n_categories)
        A label of each item, or a matrix whose non-zero entries are the categories of an item,
        which counts in each. None: those of `item_features`.
    n_candidates : int
        Number of items that are reordered. All others follow in the model's order.
    n_jobs : int
        Number of threads that answer; the fit has those of the `estimator`. None means all cores,
        less where ``OMP_NUM_THREADS`` or a joblib worker says so.

    Attributes
    ----------
    estimator_ : estimator
        The fitted model.

    See Also
    --------
    skrec.metrics.diversity : How unlike the items of a list are, by the same cosines.
    skrec.metrics.novelty : How rare they are, in the same bits.

    Notes
    -----
    The candidates are a user's best items that are neither in the user's row nor left out by
    ``recommend(items=..., exclude=...)``: the list is diverse among what may be in it, and its
    scores are not those of ``predict``, which leaves nothing out. With ``exclude_seen=False`` the
    items of the row come in by the model's own scores, and count for no other item.

    What is added is never negative, so that scores fall along the list, and that of 10 begins the
    list of 20. With a cap, what fits is raised above what does not. Negative cosines count as 0,
    and a rating model's scores are those before it clips them: they rank, and are no ratings.

    Memory holds for each user the candidates, and for the users of a block the similarities of
    their candidates to each other; these, and the work, grow with the square of `n_candidates`.
    With `diversity` and without `item_features` the fitted model keeps the training rows, by
    which it compares items.

    References
    ----------
    .. [1] J. Carbonell and J. Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering
       Documents and Producing Summaries", SIGIR 1998. :doi:`10.1145/290941.291025`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import EASE, Reranker
    >>> X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 1]])
    >>> genres = ["western", "western", "western", "musical"]
    >>> EASE(l2=1.0).fit(X).recommend([[1, 0, 0, 0]], k=3)
    array([[1, 2, 3]])
    >>> model = Reranker(EASE(l2=1.0), max_per_category=1, categories=genres).fit(X)
    >>> model.recommend([[1, 0, 0, 0]], k=3)
    array([[1, 3, 2]])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"])],
        "diversity": [Interval(Real, 0, None, closed="left")],
        "popularity_discount": [Interval(Real, 0, None, closed="left")],
        "item_features": ["array-like", "sparse matrix", None],
        "max_per_category": [Interval(Integral, 1, None, closed="left"), None],
        "categories": ["array-like", "sparse matrix", None],
        "n_candidates": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
    }

    _no_update = "the model that it wraps may have none"

    def __init__(
        self,
        estimator,
        *,
        diversity=0.0,
        popularity_discount=0.0,
        item_features=None,
        max_per_category=None,
        categories=None,
        n_candidates=100,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.diversity = diversity
        self.popularity_discount = popularity_discount
        self.item_features = item_features
        self.max_per_category = max_per_category
        self.categories = categories
        self.n_candidates = n_candidates
        self.n_jobs = n_jobs

    @fit_context
    def fit(self, X, y=None, *, reviews=None):
        """Fit a clone of the estimator, and learn how popular and how alike items are.

        Parameters
        ----------
        reviews : {Reviews, array-like of str, matrix}, default=None
            Reviews of the stored entries, for an estimator that reads them.

        Returns
        -------
        self : Reranker
            The fitted estimator. If ``fit`` fails, it is as it was before.
        """
        with keep_state_on_error(self):
            rows = self._check_training(X, reset=True)
            names = getattr(self, "feature_names_in_", None)
            knobs = {name: getattr(self, name) for name in _KNOBS}
            rules = read_rules(rows, names, **knobs)
            given = {"reviews": as_reviews(reviews, X, rows)} if self._reads_reviews() else {}
            # Interactions bring the ids, and the times by which a search may split.
            users = X if sparse.issparse(X) else rows
            self.estimator_ = clone(self.estimator).fit(users, None, **given)
            self._rules, self._n_candidates = rules, self.n_candidates
        return self

    def _check_training(self, X, reset):
        if not isinstance(final_estimator(self.estimator), BaseRecommender):
            raise TypeError(
                "estimator must be a recommender, or a Pipeline or a search that ends in one, got "
                f"{self.estimator!r}."
            )
        rows = super()._check_training(X, reset)
        if isinstance(self.estimator, FrozenEstimator):
            fitted = self.estimator.estimator
            check_interactions(_under_its_names(rows, fitted), estimator=fitted)
            if hasattr(self, "feature_names_in_"):
                check_item_ids(self.feature_names_in_, fitted, "X")
        return rows

    def _score_rows(self, X, *read):
        model, rows, _ = self._take_apart(X)
        scores = model._finite_scores(rows, *read)
        seen = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)), X.indices
        of_seen = scores[seen]
        scores[seen] = -np.inf
        n_candidates = min(self._n_candidates, X.shape[1])
        items, values = reorder(*top_k(scores, n_candidates), self._rules, n_candidates)
        listed = items >= 0
        scores[np.nonzero(listed)[0], items[listed]] = values[listed]
        scores[seen] = of_seen
        return scores

    def _recommend(self, X, k, read, *, exclude_seen, items, exclude, return_scores, n_threads):
        model, rows, is_changed = self._take_apart(X)
        best_of_model = partial(model._recommend, return_scores=True, n_threads=n_threads)
        n_first = min(self._n_candidates, X.shape[1])
        seen = seen_items(X)
        if is_changed and isinstance(exclude, np.ndarray):  # else repeated for each user
            items, exclude = without(items, exclude, X.shape), None
        found, scores = best_of_model(
            *(rows, max(k, n_first), read),
            exclude_seen=not is_changed,
            items=items,
            exclude=with_seen(exclude, seen) if is_changed else exclude,
        )
        first = found[:, :n_first], scores[:, :n_first]
        first = reorder(*first, self._rules, min(k, n_first), n_threads)
        check_finite_answers(self, first[1][first[0] >= 0])
        lists = [first, (found[:, n_first:k], scores[:, n_first:k])]
        if not exclude_seen:
            rules = {"items": among_seen(items, seen), "exclude": exclude}
            lists.append(best_of_model(rows, k, read, exclude_seen=False, **rules))
        answer = merge_lists(lists, k)
        return answer if return_scores else answer[0]

    def _take_apart(self, X):
        """The model at the end, the rows that it gets, and whether steps have changed them."""
        steps, model = take_apart(self.estimator_)
        rows = transform(steps, X) if steps else _under_its_names(X, model)
        return model, model._check_rows(rows), bool(steps)

    def _reads_reviews(self):
        estimator = self.estimator
        if isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        if not isinstance(estimator, BaseRecommender):  # a Pipeline does not hand them on
            return False
        return get_tags(estimator).recommender_tags.reads_reviews

    def _read_reviews(self, reviews):
        return final_estimator(self.estimator_)._read_reviews(reviews)

    def __getstate__(self):
        state = super().__getstate__()
        if not hasattr(self, "estimator_"):  # a copy that is to be fitted elsewhere
            return state
        plain = {name: without_frame(state[name]) for name in ("item_features", "categories")}
        return {**state, **plain}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        of_model = get_tags(self.estimator)
        model = final_estimator(self.estimator)
        tags.input_tags.positive_only = of_model.input_tags.positive_only
        tags.non_deterministic = of_model.non_deterministic
        if isinstance(model, BaseRecommender):
            known = get_tags(model).recommender_tags
            tags.recommender_tags = RecommenderTags(
                personalized=known.personalized, reads_reviews=self._reads_reviews()
            )
        return tags


def _under_its_names(X, model):
    """Rows with the names of the items that a model was fitted on, as they are the same items."""
    X = sparse.csr_array(X)
    X.item_ids = getattr(model, "feature_names_in_", None)
    return X
