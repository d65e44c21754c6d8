"""Rating models as scikit-learn regressors over pairs of user and item."""

from copy import copy

import numpy as np
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    RegressorMixin,
    clone,
)
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d, get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from skrec.base import RecommenderTags
from skrec.base._composition import best_items, take_apart
from skrec.metrics._predictions import Predictor, final_estimator
from skrec.utils._answers import recommendations_frame
from skrec.utils._blocks import recommend_rows
from skrec.utils._columns import encode, locate
from skrec.utils._compat import HasMethods, StrOptions, fit_context
from skrec.utils._frames import as_backend
from skrec.utils._id_rules import read_ids, read_rule
from skrec.utils._keyed_features import (
    aligned,
    encode_all,
    read_keyed_features,
    without_keyed_frame,
)
from skrec.utils._pair_tables import as_table, merge_pairs, read_pairs, refuse_repeated
from skrec.utils._validation import check_flag, check_k, keep_state_on_error


def _default_estimator():
    from skrec.factorization import PMF  # imports torch, which other models need not

    return PMF(random_state=0)


class RatingRegressor(RegressorMixin, MetaEstimatorMixin, BaseEstimator):
    """A rating model as a scikit-learn regressor over pairs of user and item.

    A sample is a rating: a row of `X` holds the ids of a user and an item, and `y` the ratings.
    So scikit-learn's splitters cut the ratings instead of the users, and its regression scores,
    searches and curves apply. A prediction draws on the user's ratings in the training data; a
    user or an item that is not there gets the answer that the model gives without any rating.

    Parameters
    ----------
    estimator : estimator, default=None
        A model whose ``predict`` answers in ratings for rows of a users x items matrix, such as
        :class:`PMF`, ``MultVAE(likelihood="gaussian")``, or a Pipeline or a search that ends in
        one. It is cloned. None means ``PMF(random_state=0)``.
    duplicates : {"mean", "last", "error"}, default="mean"
        What becomes of several ratings of one user and item. "mean": their average, which least
        squares makes of repeated measurements, and which is the same for every order of the
        rows; the counts of their reviews are added up. "last": the last row. "error": refuse,
        naming the first such pair.
    user_features : {dataframe, tuple}, default=None
        What is known of users beside their ratings, for a model whose ``fit`` takes
        `user_features`, such as :class:`MDACF`: a data frame of numbers with a column "user" of
        ids, a pandas frame of them with the ids as its index, or a tuple of the ids and a matrix
        of shape (n_ids, n_user_features), dense or sparse. Who is not in it has zeros.
    item_features : {dataframe, tuple}, default=None
        What is known of items, for a model that has the parameter `item_features`, such as
        :class:`BayesianPMF`: in the same forms, with a column "item".

    Attributes
    ----------
    estimator_ : estimator
        The fitted model. It has one column more than there are items, the last, without
        ratings: it stands for every item that is not in ``item_ids_``.
    user_ids_ : ndarray of shape (n_users,)
        Ids of the users: the rows of the matrix that the model was fitted on. Users of
        `user_features` are among them without having rated. They are in ascending order; by the
        name of their type first if types have no common order, such as numbers and strings; and
        as they first stand in `X` if ids of one type have none.
    item_ids_ : ndarray of shape (n_items,)
        Ids of the items, in such an order: the columns of that matrix but the last. Items of
        `item_features` are among them without having a rating.
    n_user_ratings_ : ndarray of shape (n_users,)
        Number of training ratings of each user.
    n_item_ratings_ : ndarray of shape (n_items,)
        Number of training ratings of each item.
    n_features_in_ : int
        Number of columns of `X`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns of `X`, if it is a data frame with string column names.

    See Also
    --------
    skrec.metrics.rating_scorer : The same errors for users that are not in the training data.
    skrec.inspection.RatingPredictionDisplay : Predicted against true ratings.

    Notes
    -----
    Ids are numbers, strings or other hashable objects, in a data frame, an array, a list of rows,
    or the first two columns of a sparse matrix, where 0 is an id too. Whole numbers are the same
    ids in a matrix of floats as in one of integers, and dates are the same in any unit. If none of
    the ids to predict for is known, and none could be, as among strings and numbers, that is an
    error.

    The columns after the second are the document-term counts of each rating's review, as a
    ``ColumnTransformer`` with a text vectorizer makes them. Beside sparse counts ids have to be
    numbers: strings go through ``OrdinalEncoder(handle_unknown="use_encoded_value",
    unknown_value=-1)``, whose -1 is an unknown user or item. Only a model that reads reviews gets
    them; with any other they are ignored, whatever they hold. Inside a Pipeline or a search they
    would not reach it, which is an error: put that around the `RatingRegressor`. The reviews of
    the pairs to predict are never used: they would be written after the rating.

    Of the training data, a fitted regressor keeps the ids, who has rated what, and what the model
    rates pairs from. That is an offset of each user with :class:`BiasBaseline`, and latent
    factors with :class:`AutoRec`, :class:`VAEBMF`, :class:`DeepLatentFactor` and
    :class:`DeepLTRS`. It is the matrix of the ratings with all others: :class:`PMF` needs it for
    standard deviations, :class:`BayesianPMF` for the factors of each sample, and any model that
    predicts whole rows, a Pipeline among them, gets these rows.

    Features are aligned with the rows and columns of the matrix in each ``fit``, so one table
    serves every fold of a cross-validation. Who is in a table without having a rating in the
    training data is rated by the features. They go to the model itself, not through a Pipeline
    or a search: put that around the `RatingRegressor`.

    ``score`` is the coefficient of determination, as of every regressor.

    Examples
    --------
    >>> from skrec import BiasBaseline, RatingRegressor
    >>> pairs = [["ann", "tea"], ["ann", "jam"], ["bob", "tea"], ["bob", "jam"], ["cid", "tea"]]
    >>> model = RatingRegressor(BiasBaseline(l2_user=1, l2_item=1))
    >>> model.fit(pairs, [5, 4, 3, 1, 4]).predict([["cid", "jam"], ["bob", "tea"]]).round(2)
    array([2.91, 2.96])

    An unknown user, an unknown item, and both:

    >>> model.predict([["dan", "tea"], ["ann", "salt"], ["dan", "salt"]]).round(2)
    array([3.87, 4.16, 3.4 ])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "duplicates": [StrOptions({"mean", "last", "error"})],
        "user_features": "no_validation",  # whose tables are read by _read_features
        "item_features": "no_validation",
    }

    def __init__(
        self, estimator=None, *, duplicates="mean", user_features=None, item_features=None
    ):
        self.estimator = estimator
        self.duplicates = duplicates
        self.user_features = user_features
        self.item_features = item_features

    @fit_context
    def fit(self, X, y):
        """Fit the model on the matrix of the ratings.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_ratings, n_features)
            The ids of the user and the item of each rating. Further columns are the counts of
            its review, ignored unless the model reads reviews.
        y : array-like of shape (n_ratings,)
            The ratings, finite numbers.

        Returns
        -------
        self : RatingRegressor
            The fitted estimator.
        """
        with keep_state_on_error(self):
            table = as_table(X)
            validate_data(self, X, y, skip_check_array=True)
            y = column_or_1d(y, dtype=np.float64, input_name="y", warn=True)
            assert_all_finite(y, input_name="y")
            estimator = _default_estimator() if self.estimator is None else self.estimator
            check_predicts_ratings(estimator)
            of_users, of_items = self._read_features(estimator)
            users, items, counts = read_pairs(table, _reads_reviews(estimator, table.shape[1] - 2))
            check_consistent_length(users, y)
            if self.duplicates == "error":
                refuse_repeated(users, items)
            users, self.user_ids_ = encode_all(users, of_users)
            items, self.item_ids_ = encode_all(items, of_items)
            shape = len(self.user_ids_), len(self.item_ids_) + 1
            ratings, counts = merge_pairs(users, items, y, counts, shape, self.duplicates)
            ratings = _in_smallest_precision(ratings)
            self.n_user_ratings_ = np.diff(ratings.indptr)
            self.n_item_ratings_ = np.bincount(ratings.indices, minlength=shape[1])[:-1]
            reviews = {} if counts is None else {"reviews": counts}
            rows, known = {}, {}  # of the users who are fitted on, and of everybody
            if of_users is not None:
                known = {"user_features": aligned(of_users, self.user_ids_)}
                rows = {"user_features": known["user_features"][:-1]}
            self._seen = ratings.indices, np.append(ratings.indptr, ratings.indptr[-1:])
            self._backend = as_backend(table)
            model = clone(estimator)
            if of_items is not None:
                model.set_params(item_features=aligned(of_items, self.item_ids_))
            self.estimator_ = model.fit(ratings, **reviews, **rows)
            check_predicts_ratings(self.estimator_)  # as a search may have chosen otherwise
            model, self._states = _chosen(self.estimator_), _with_empty_row(ratings)
            if _recommender_tags(model).rates_pairs:
                self._states = model._pair_states(self._states, **reviews, **known)
        return self

    def _read_features(self, estimator):
        """The tables of features, as far as there are any that the estimator reads."""
        if getattr(final_estimator(estimator), "item_features", None) is not None:
            raise ValueError(
                "The item_features of the estimator have a row for each column of some matrix, "
                "of which RatingRegressor makes its own: give item_features=(ids, features) to "
                "RatingRegressor instead."
            )
        found = []
        for key in ("user", "item"):
            table = getattr(self, f"{key}_features")
            if table is not None:
                _check_reads_features(estimator, f"{key}_features")
                table = read_keyed_features(table, key)
            found.append(table)
        return found

    def predict(self, X, return_std=False):
        """Predict the rating of each pair.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_pairs, n_features)
            The ids of users and items, known or not. Further columns are not read.
        return_std : bool, default=False
            Whether to return the standard deviation of each rating too. Only where ``predict`` of
            the model has this option.

        Returns
        -------
        ratings : ndarray of shape (n_pairs,)
        std : ndarray of shape (n_pairs,)
            Only if ``return_std=True``: of the rating itself, noise included.
        """
        check_is_fitted(self)
        return_std = check_flag(return_std, "return_std")
        final = final_estimator(self.estimator_)
        if return_std and not _recommender_tags(final).predicts_std:
            raise ValueError(
                f"return_std=True needs a model whose predict has return_std, but "
                f"{type(final).__name__} has none: leave it out, or choose another estimator."
            )
        table = as_table(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        users, items, _ = read_pairs(table)
        users = locate(users, self.user_ids_, "user id of X", "the training data")
        items = locate(items, self.item_ids_, "item id of X", "the training data")
        model = _chosen(self.estimator_)
        options = {"return_std": True} if return_std else {}
        if _recommender_tags(model).rates_pairs:
            return model._rate_pairs(self._states, users, items, **options)
        return Predictor(model, self._states).predict_pairs(self._states, users, items, **options)

    def recommend(self, users=None, k=10, *, items=None, exclude=None, exclude_seen=True):
        """Recommend the items with the highest predicted ratings, by ids.

        Parameters
        ----------
        users : collection of shape (n_users,), default=None
            Ids of users. One who is not in the training data gets what the model answers without
            any rating. None means all of ``user_ids_``.
        k : int, default=10
            Length of each list.
        items : {collection, mapping, dataframe}, default=None
            Candidates: ids of items, for each user the same; or a mapping from user ids to such
            collections, which has all `users`; or a table of them with the columns user and item.
            None means all of ``item_ids_``.
        exclude : {collection, mapping, dataframe}, default=None
            Items that are never recommended, in the same forms. A mapping need not have all users.
        exclude_seen : bool, default=True
            Leave out what the user has rated in the training data.

        Returns
        -------
        frame : dataframe
            Columns user, item, rank (from 1) and score, which is the predicted rating, best first;
            the order is that before ``predict`` clips, where it does. Of the library of the data
            frame that ``fit`` got, or else of the first of pandas, polars and pyarrow.

        Examples
        --------
        >>> import pandas as pd
        >>> from skrec import BiasBaseline, RatingRegressor
        >>> pairs = pd.DataFrame({"user": ["ann", "ann", "bob"], "item": ["tea", "jam", "tea"]})
        >>> model = RatingRegressor(BiasBaseline()).fit(pairs, [5, 3, 4])
        >>> model.recommend(["bob", "dan"], k=1).round(2)
          user item  rank  score
        0  bob  jam     1   3.90
        1  dan  tea     1   4.08
        """
        check_is_fitted(self)
        n_items = len(self.item_ids_)
        k = check_k(k, n_items=n_items)
        exclude_seen = check_flag(exclude_seen, "exclude_seen")
        users = self.user_ids_ if users is None else read_ids(users, "users")
        rows = np.empty(0, dtype=np.intp)
        if len(users):
            rows = locate(users, self.user_ids_, "id of users", "the training data")
        new = users[rows == len(self.user_ids_)]
        known = np.concatenate([self.user_ids_, encode(new)[1]]) if len(new) else self.user_ids_
        items, exclude = (
            read_rule(rule, name, users, known, self.item_ids_, "the training data")
            for rule, name in ((items, "items"), (exclude, "exclude"))
        )
        answer = np.empty((0, k), dtype=np.intp), np.empty((0, k))
        if len(users):
            options = {"items": items, "exclude": exclude, "exclude_seen": exclude_seen}
            answer = self._best_items(rows, k, **options)
        return recommendations_frame(users, self.item_ids_, None, *answer, self._backend)

    def _best_items(self, rows, k, *, items, exclude, exclude_seen):
        """Rank items for positions of users; the last is that of all who are unknown."""
        model, n_items = _chosen(self.estimator_), len(self.item_ids_)
        if not _recommender_tags(model).rates_pairs:
            # The last column stands for unknown items, and is no candidate.
            items = np.ones(n_items, dtype=bool) if items is None else items
            items, exclude = (_with_empty_column(rule) for rule in (items, exclude))
            options = {"items": items, "exclude": exclude, "exclude_seen": exclude_seen}
            return best_items(*take_apart(model), self._states[rows], k, **options)
        free = copy(model)
        if hasattr(free, "clip"):
            free.clip = False

        def score(_, numbers):
            users = numbers.toarray()[:, 0] - 1
            if sparse.issparse(self._states):
                return free._finite_scores(self._states[users])[:, :n_items].copy()
            pairs = np.repeat(users, n_items), np.tile(np.arange(n_items), len(users))
            return free._rate_pairs(self._states, *pairs).reshape(-1, n_items)

        indices, indptr = self._seen
        seen = sparse.csr_array(
            (np.ones(len(indices), dtype=bool), indices, indptr), shape=(len(indptr) - 1, n_items)
        )
        items, exclude = (
            np.flatnonzero(rule) if isinstance(rule, np.ndarray) else rule
            for rule in (items, exclude)
        )
        # The positions are cut along with the rows, of which equal ones of other users differ.
        numbers = sparse.csr_array(rows[:, None] + 1)
        indices, scores = recommend_rows(
            score,
            seen[rows],
            k,
            reviews=numbers,
            items=items,
            exclude=exclude,
            exclude_seen=exclude_seen,
            return_scores=True,
        )
        scores = model._as_answers(scores)
        scores[indices < 0] = -np.inf
        return indices, scores

    def __getstate__(self):
        state = super().__getstate__()
        if not hasattr(self, "estimator_"):  # a copy that is to be fitted elsewhere
            return state
        names = {"user": "user_features", "item": "item_features"}
        frames = {name: without_keyed_frame(state[name], key) for key, name in names.items()}
        return {**state, **frames}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        # The tag input_tags.string stays False though strings are ids: for scikit-learn's checks
        # it says that ids need not be hashable either.
        tags.regressor_tags.poor_score = True  # on numbers that are no ids
        return tags


def _chosen(estimator):
    """The model that a search has chosen, which rates single pairs where the search cannot."""
    return getattr(estimator, "best_estimator_", estimator)


def _recommender_tags(estimator):
    # Of anybody else's models it is taken on trust that they predict ratings.
    return getattr(get_tags(estimator), "recommender_tags", RecommenderTags(predicts_ratings=True))


def _reads_reviews(estimator, n_counts):
    final = final_estimator(estimator)
    reads = _recommender_tags(final).reads_reviews
    if reads and n_counts > 0 and final is not estimator:
        raise ValueError(
            f"{final!r} reads reviews, but not inside {type(estimator).__name__}, which does not "
            f"pass them on, and X has {n_counts} columns of counts: give the model itself to "
            "RatingRegressor and put the Pipeline or the search around that, or leave these "
            "columns out."
        )
    return reads


def _check_reads_features(estimator, name):
    final = final_estimator(estimator)
    if name == "item_features":
        reads, place = name in final.get_params(deep=False), "no such parameter"
    else:
        # Anybody else's model could not be told of the users whose pairs it is to rate.
        reads = has_fit_parameter(final, name) and _recommender_tags(final).rates_pairs
        place = "no such argument of fit"
    if not reads:
        raise ValueError(
            f"{name} needs a model that reads them, but {type(final).__name__} has {place}: "
            f"leave {name} out, or choose another estimator."
        )
    if final is not estimator:
        raise ValueError(
            f"{name} do not reach {type(final).__name__} inside {type(estimator).__name__}, "
            "which does not pass them on: give the model itself to RatingRegressor, and put the "
            "Pipeline or the search around that."
        )


def check_predicts_ratings(estimator):
    final = final_estimator(estimator)
    if get_tags(final).target_tags.required:
        raise ValueError(
            f"The estimator must be one that learns from a users x items matrix alone, but "
            f"{final!r} needs a target: choose a recommender, such as PMF()."
        )
    if not _recommender_tags(final).predicts_ratings:
        fix = "choose a model of ratings, such as PMF()"
        if hasattr(final, "rating_scale"):
            fix += ', or set its loss to "squared_error", or its likelihood to "gaussian"'
        raise ValueError(
            f"The estimator must predict ratings, but the scores of {final!r} only rank: {fix}."
        )


def _in_smallest_precision(X):
    """Make the entries float32, with which models are faster, where that loses nothing."""
    with np.errstate(over="ignore"):
        single = X.data.astype(np.float32)
    if not np.array_equal(single, X.data):
        return X
    return sparse.csr_array((single, X.indices, X.indptr), shape=X.shape)


def _with_empty_column(rule):
    """Append an item that a mask, or a matrix, does not have."""
    if not sparse.issparse(rule):
        return rule if rule is None else np.append(rule, False)
    n_users, n_items = rule.shape
    return sparse.csr_array((rule.data, rule.indices, rule.indptr), shape=(n_users, n_items + 1))


def _with_empty_row(X):
    """Append the row of every unknown user."""
    n_users, n_items = X.shape
    indptr = np.append(X.indptr, X.indptr[-1:])
    return sparse.csr_array((X.data, X.indices, indptr), shape=(n_users + 1, n_items))
