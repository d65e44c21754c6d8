"""The contract that every recommender keeps."""

from dataclasses import dataclass, field, fields
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skrec.metrics import ranking_scorer, rating_scorer  # with any model come names of scorers
from skrec.reviews import as_reviews
from skrec.utils._blocks import (
    distinct_rows,
    effective_n_threads,
    map_blocks,
    recommend_rows,
    row_blocks,
    score_block,
)
from skrec.utils._compat import fit_context
from skrec.utils._docstrings import complete_docstrings
from skrec.utils._mistaken_input import warn_of_ratings
from skrec.utils._validation import (
    check_finite_answers,
    check_flag,
    check_interactions,
    check_k,
    check_representable,
    check_rule,
    keep_state_on_error,
)


@dataclass
class RecommenderTags:
    """What a recommender's answers mean, for checks and default scores.

    Parameters
    ----------
    predicts_ratings : bool, default=False
        Whether ``predict`` answers in the units of the entries of ``X``. ``score`` is then minus
        the root mean squared error on held-out entries, otherwise NDCG@100.
    predicts_std : bool, default=False
        Whether ``predict`` takes ``return_std=True``.
    rates_pairs : bool, default=False
        Whether there is a quick way to single ratings, without whole rows of them:
        ``_pair_states(X)`` for validated users, with ``reviews`` where the model reads them, and
        ``_rate_pairs(states, users, items)``, with ``return_std`` where it predicts deviations.
    personalized : bool, default=True
        Whether the order of the recommended items depends on the user's history.
    reads_reviews : bool, default=False
        Whether the model learns from review texts.
    """

    predicts_ratings: bool = False
    predicts_std: bool = False
    rates_pairs: bool = False
    personalized: bool = True
    reads_reviews: bool = False


@dataclass
class _Tags(Tags):
    recommender_tags: RecommenderTags = field(default_factory=RecommenderTags)


class BaseRecommender(BaseEstimator):
    """Base class of all recommenders: a row of ``X`` is a user, and a user is a sample.

    A subclass writes ``_fit``, which learns from a users x items matrix, and ``_score_rows``,
    which scores a block of users by their rows alone. Everything else (validation, the state kept
    where a fit fails, row blocks, threads, ranking, leaving out seen items, scoring, and what its
    docstrings share with others) is done here, once.

    Attributes
    ----------
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_items,)
        Names of the items, if `X` had string column names.

    Notes
    -----
    ``_fit(X)`` receives a validated ``csr_array``, which may share memory with the caller's, and
    sets attributes. A model that needs other entries than finite ones writes ``_check_training``
    too.

    ``_score_rows(X)`` receives a validated ``csr_array`` and returns a new C-ordered float array
    of shape (n_rows, n_items). A row's scores may depend on nothing but that row.
    ``predict`` and ``recommend`` hand over each distinct row of a call once, so that equal rows
    tie to the last digit, which no product of matrices promises by itself.

    Where scores are products of sparse matrices, a model sets ``_sparse_right``, a csr_array of
    shape (n_inner, n_items), in place of ``_score_rows``. ``_sparse_left(X)`` returns what a block
    of rows is to be multiplied with it, by default the rows themselves. ``recommend`` then makes
    no dense scores.

    A model that reads reviews says so in its tags. Its ``_fit`` takes validated
    :class:`~skrec.Reviews`, or None, as ``reviews``. It writes ``_read_reviews(reviews)``, which
    makes of those something that is cut by rows, such as a sparse matrix; the block's part of it
    is the second argument of ``_score_rows``, if there are reviews.

    A model for :func:`skrec.update` sets ``_no_update = None``, and writes
    ``_update(change)`` if it can do better than to fit again. The change has the rows that it was
    fitted on, ``change.old``, those that it is to be fitted on,
    ``change.new``, and which differ: ``change.removed`` and ``change.added``. All have as many
    columns as there are items now, which may be more than before.

    If the estimator has an ``n_jobs`` parameter, it sets the number of threads.

    Parameters and attributes that a subclass does not document are taken from the docstrings of
    its base classes, with the defaults of its own signature.
    """

    _parameter_constraints: dict = {}
    # Why `update` refuses; None where there is an `_update`.
    _no_update = "it cannot exchange what it has learned of a user"
    # Whether `fit` warns of ratings that are taken for choices.
    _warns_of_ratings = True

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        complete_docstrings(cls)

    def _update(self, change):
        self.fit(change.rows)

    def _check_learned(self, change):
        """Refuse an update if the model can tell that it was not fitted on ``change.old``."""

    @fit_context
    def fit(self, X, y=None, *, reviews=None):
        """Learn from users.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user. Stored entries (dense input: the non-zeros) are the observations.
        y : object, default=None
            Ignored, present for API consistency.
        reviews : object, default=None
            Ignored: this model reads no text.

        Returns
        -------
        self : estimator
            The fitted estimator. If ``fit`` fails, it is as it was before.
        """
        return self._learn(self._fit, X, reviews, reset=not self._continues_training())

    def _learn(self, learn, X, reviews=None, *, reset, **options):
        """Let a method learn from validated users; the state is kept if that fails."""
        with keep_state_on_error(self):
            rows = self._check_training(X, reset)
            tags = self.__sklearn_tags__().recommender_tags
            if self._warns_of_ratings and tags.personalized and not tags.predicts_ratings:
                warn_of_ratings(rows, type(self).__name__)
            if tags.reads_reviews:
                options["reviews"] = as_reviews(reviews, X, rows)
            learn(rows, **options)
        return self

    def _continues_training(self):
        """Whether ``fit`` goes on from the fit before."""
        return False

    def _check_training(self, X, reset):
        """Validate rows to learn from, and set or compare the number of items."""
        return check_interactions(X, estimator=self, reset=reset)

    def predict(self, X, *, reviews=None):
        """Score every item for every user.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user, seen in training or not.
        reviews : {Reviews, array-like of str, matrix}, default=None
            Reviews of the stored entries. Ignored by models that read no text.

        Returns
        -------
        scores : ndarray of shape (n_users, n_items)
            Larger is better. This is dense: prefer :meth:`recommend` for many users.
        """
        X, read, positions = distinct_rows(*self._check_input(X, reviews))
        scores = self._score_all_rows(X, read)
        return scores if positions is None else scores[positions]

    # What sparse rows are multiplied with; None where scores are computed densely.
    _sparse_right = None

    def _sparse_left(self, X):
        return X

    def _score_rows(self, X):
        from skrec.solvers._sparse_products import dense_product

        return dense_product(self._sparse_left(X), self._sparse_right)

    def _score_all_rows(self, X, read):
        n_threads = effective_n_threads(getattr(self, "n_jobs", None))
        blocks = row_blocks(X.shape[0], 8 * X.shape[1], n_threads)
        first = score_block(self._finite_scores, blocks[0], X, read)
        if len(blocks) == 1:
            return self._as_answers(first)
        scores = np.empty(X.shape, dtype=first.dtype)
        scores[blocks[0]] = first

        def fill(block):
            scores[block] = score_block(self._finite_scores, block, X, read)

        map_blocks(fill, blocks[1:], n_threads)
        return self._as_answers(scores)

    def recommend(
        self,
        X,
        k=10,
        *,
        reviews=None,
        exclude_seen=True,
        items=None,
        exclude=None,
        return_scores=False,
    ):
        """Recommend the best `k` items to every user.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user, seen in training or not.
        k : int, default=10
            Length of each list. At most 1000 more than there are items.
        reviews : {Reviews, array-like of str, matrix}, default=None
            Reviews of the stored entries. Ignored by models that read no text.
        exclude_seen : bool, default=True
            Leave out the items stored in the user's row.
        items : {array-like, sparse matrix}, default=None
            Candidate items: column indices or a mask over the items for all users, or a matrix of
            shape (n_users, n_items) whose non-zero entries are the candidates of each user, who
            may have none. None means all.
        exclude : {array-like, sparse matrix}, default=None
            Items that are never recommended, in the same forms. None means none.
        return_scores : bool, default=False
            Whether to return the scores too.

        Returns
        -------
        indices : ndarray of intp of shape (n_users, k)
            Item indices, best first, ties by lower index. A row that runs out of items is padded
            with -1.
        scores : ndarray of shape (n_users, k)
            Only if ``return_scores=True``: the scores of ``predict``, ``-inf`` where the index is
            -1. The order is that before ``predict`` clips, where it does.

        See Also
        --------
        skrec.recommend : The same by ids, for Pipelines and searches too.
        """
        k = check_k(k)
        exclude_seen = check_flag(exclude_seen, "exclude_seen")
        return_scores = check_flag(return_scores, "return_scores")
        users = X
        X, read = self._check_input(X, reviews)
        k = check_k(k, n_items=X.shape[1])
        if items is not None:
            items = check_rule(items, users, "items", estimator=self)
        if exclude is not None:
            exclude = check_rule(exclude, users, "exclude", estimator=self)
        answer = self._recommend(
            X,
            k,
            read,
            exclude_seen=exclude_seen,
            items=items,
            exclude=exclude,
            return_scores=return_scores,
            n_threads=effective_n_threads(getattr(self, "n_jobs", None)),
        )
        if not return_scores:
            return answer
        indices, scores = answer
        scores = self._as_answers(scores)
        scores[indices < 0] = -np.inf
        return indices, scores

    def _recommend(self, X, k, read, **options):
        if self._sparse_right is None:
            return recommend_rows(self._finite_scores, X, k, reviews=read, **options)
        from skrec.solvers._sparse_products import recommend_products

        check = partial(check_finite_answers, self)
        right = self._sparse_right
        return recommend_products(self._sparse_left, right, X, k, check=check, **options)

    def score(self, X, y=None, *, reviews=None):
        """Measure how well held-out entries are recommended or predicted.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            The users to evaluate; their fold-in entries if `y` is a matrix.
        y : {array-like, sparse matrix} of shape (n_users, n_items), default=None
            Held-out entries of the same users. If None or one-dimensional, a fifth of the
            entries of each row of `X` is held out, the same at every call.
        reviews : {Reviews, array-like of str, matrix}, default=None
            Reviews of the stored entries of `X`; those of entries that are held out are not
            read. In cross-validation only :class:`Reviews`, which is cut along with `X`. Ignored
            by models that read no text.

        Returns
        -------
        score : float
            Larger is better: NDCG@100, or minus the root mean squared error for models that
            predict ratings.
        """
        ratings = self.__sklearn_tags__().recommender_tags.predicts_ratings
        scorer = rating_scorer("neg_rmse") if ratings else ranking_scorer("ndcg@100")
        if reviews is None or not self.__sklearn_tags__().recommender_tags.reads_reviews:
            return scorer(self, X, y)
        return scorer(self, X, y, reviews=reviews)

    def _as_answers(self, scores):
        """What users get for scores that have been ranked; a mixin may clip them."""
        return scores

    def _validate_params(self):
        super()._validate_params()
        check_representable(self.get_params(deep=False))

    def _finite_scores(self, X, *read):
        """Scores of a block, in the unit of answers, or an error that says that they overflow."""
        with np.errstate(over="ignore", invalid="ignore"):
            scores = self._score_rows(X, *read)
        check_finite_answers(self, scores)
        return scores

    def _check_rows(self, X):
        check_is_fitted(self)
        return check_interactions(X, estimator=self)

    def _check_input(self, X, reviews):
        """Validated rows, and what the model reads of their reviews, or None."""
        rows = self._check_rows(X)
        if not self.__sklearn_tags__().recommender_tags.reads_reviews:
            return rows, None
        reviews = as_reviews(reviews, X, rows)
        return rows, None if reviews is None else self._read_reviews(reviews)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return _Tags(**{field.name: getattr(tags, field.name) for field in fields(tags)})
