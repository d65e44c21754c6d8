"""Decisions by ids: what to recommend, what is similar, and why, from any fitted model."""

import narwhals as nw
import numpy as np

from skrec._model_table import MODELS
from skrec._rating_regressor import RatingRegressor
from skrec.base import BaseRecommender
from skrec.base._composition import best_items, explain_items, take_apart
from skrec.interactions import Interactions
from skrec.utils._answers import largest_shares, neighbors_frame, recommendations_frame
from skrec.utils._columns import ItemColumns, as_ids
from skrec.utils._compat import safe_indexing
from skrec.utils._frames import as_backend, make_frame
from skrec.utils._id_rules import as_lists, find, join_lists, read_rule
from skrec.utils._mistaken_input import refuse_long_table
from skrec.utils._validation import check_flag, check_interactions, check_item_ids, check_k


def recommend(model, data=None, k=10, *, users=None, items=None, exclude=None, exclude_seen=True):
    """Recommend items to users, by their ids.

    Parameters
    ----------
    model : estimator
        Fitted: a recommender, a Pipeline or a search that ends in one, also one in the other, or
        any estimator whose ``predict`` has a column for each item.
    data : {Interactions, dataframe}, default=None
        The users' rows: what they have, whether the model was fitted on it or not. Its items must
        be those that the model was fitted on. A data frame is one of users x items, with ids of
        items as columns and ids of users as the index; where there is none, as in polars, users
        are numbered from 0. A :class:`RatingRegressor` takes None, as it knows its users' ratings.
    k : int, default=10
        Length of each list.
    users : collection of shape (n_users,), default=None
        Ids of the users who are asked about. None means all of `data`.
    items : {collection, mapping, dataframe}, default=None
        Candidates: ids of items, for each user the same; or a mapping from user ids to such
        collections, which has all the users who are asked about; or a table of them with the
        columns user and item. None means all items.
    exclude : {collection, mapping, dataframe}, default=None
        Items that are never recommended, in the same forms. A mapping need not have all users.
    exclude_seen : bool, default=True
        Leave out what stands in the user's row of `data`, whatever a Pipeline makes of it.

    Returns
    -------
    frame : dataframe
        Columns user, item, rank (from 1) and score, and title if `data` has names of items; best
        first. Of the library of the table that `data` was read from, or else of the first of
        pandas, polars and pyarrow. A user for whom there are fewer than `k` items has fewer rows.

    Raises
    ------
    TypeError
        If `data` has no ids, as a matrix.
    ValueError
        If an id is unknown, or if the model was fitted on other items. Behind transformers of
        scikit-learn, which keep no ids, only the number of items is compared.

    See Also
    --------
    BaseRecommender.recommend : The same by rows and column indices, as arrays.

    Examples
    --------
    >>> import skrec
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import Binarizer
    >>> from skrec import EASE
    >>> from skrec.datasets import load_movielens_small
    >>> ratings = load_movielens_small()
    >>> model = make_pipeline(Binarizer(threshold=3.5), EASE(l2=200)).fit(ratings)
    >>> skrec.recommend(model, ratings, k=2, users=[7, 600]).drop(columns="score")
       user  item  rank                                              title
    0     7  2571     1                                 Matrix, The (1999)
    1     7  1198     2  Raiders of the Lost Ark (Indiana Jones and the...
    2   600  1080     1                Monty Python's Life of Brian (1979)
    3   600  4878     2                                Donnie Darko (2001)

    Only of some, or for each user other ones:

    >>> stock = {7: [1, 2, 3, 2571], 600: []}
    >>> skrec.recommend(model, ratings, users=[7, 600], items=stock, exclude=[3]).item.tolist()
    [2571, 2]
    """
    k, exclude_seen = check_k(k), check_flag(exclude_seen, "exclude_seen")
    steps, final = take_apart(model)
    options = {"exclude_seen": exclude_seen, "items": items, "exclude": exclude}
    if isinstance(final, RatingRegressor):
        _check_alone(final, steps, data)
        return final.recommend(users, k, **options)
    if not hasattr(final, "predict"):
        raise TypeError(
            f"model must have predict, with a column for each item, but {final!r} has none: "
            "choose a recommender."
        )
    data, asked, X = _read_users(data, users, steps, final)
    k = check_k(k, n_items=data.shape[1])
    for name in ("items", "exclude"):
        options[name] = read_rule(
            options[name], name, asked.user_ids, data.user_ids, data.item_ids, "data"
        )
    answer = _nothing(k)
    if asked.shape[0]:
        answer = best_items(steps, final, X, k, **options)
    return recommendations_frame(
        asked.user_ids, data.item_ids, data.item_names, *answer, data.backend
    )


def similar_items(model, items, k=10, *, data=None):
    """Find the items that are most closely related to given ones, by ids.

    Parameters
    ----------
    model : estimator
        Fitted: a recommender that has ``similar_items``, a Pipeline or a search that ends in one,
        or a :class:`RatingRegressor` of one.
    items : collection of shape (n_items,)
        Ids of items.
    k : int, default=10
        Number of neighbours.
    data : {Interactions, dataframe}, default=None
        Where ids and names of the items are taken from, as in :func:`recommend`. It can be left
        out where the model was fitted on one itself, without a Pipeline.

    Returns
    -------
    frame : dataframe
        Columns item, neighbor, rank (from 1) and score, and title, of the neighbour, if `data` has
        names of items; the most similar first. What the scores are, the class of the model says.

    Raises
    ------
    TypeError
        If the model has no ``similar_items``.
    ValueError
        If an id is unknown, or if the model was fitted on other items. Behind transformers of
        scikit-learn, which keep no ids, only the number of items is compared.

    Examples
    --------
    >>> import skrec
    >>> from skrec import EASE
    >>> from skrec.datasets import load_movielens_small
    >>> likes = load_movielens_small().binarize(3.5).filter(min_users_per_item=10)
    >>> model = EASE(l2=100).fit(likes)
    >>> skrec.similar_items(model, [1], k=2, data=likes).drop(columns="score")
       item  neighbor  rank               title
    0     1      3114     1  Toy Story 2 (1999)
    1     1        34     2         Babe (1995)
    """
    k = check_k(k)
    steps, final = take_apart(model)
    backend, names, n_more = None, None, 0
    if isinstance(final, RatingRegressor):
        _check_alone(final, steps, data)
        item_ids, backend, n_more = final.item_ids_, final._backend, 1
        _, final = take_apart(final.estimator_)
    _check_verb(final, "similar_items")
    if data is not None:
        data, _ = _as_interactions(data)
        check_item_ids(data.item_ids, final, "data")
        item_ids, names, backend = data.item_ids, data.item_names, data.backend
    elif not n_more:
        item_ids = getattr(final, "feature_names_in_", None)
        if item_ids is None:
            raise ValueError(
                f"{type(final).__name__} was fitted on a matrix, so that its items have no ids: "
                "give data=, the Interactions that the matrix is of."
            )
    if len(item_ids) + n_more != final.n_features_in_:
        raise ValueError(
            f"data must have the items that {type(final).__name__} was fitted on, which are "
            f"{final.n_features_in_}, got {len(item_ids)}: give the Interactions that it was "
            "fitted on."
        )
    k = check_k(k, n_items=len(item_ids))
    columns = find(items, item_ids, "items", "the model")
    answer = _nothing(k)
    if len(columns):
        indices, scores = final.similar_items(
            columns.view(ItemColumns), k + n_more, return_scores=True
        )
        # The column of unknown items, which is the last, is nobody's neighbour.
        order = np.argsort(indices == len(item_ids), axis=1, kind="stable")[:, :k]
        answer = (np.take_along_axis(part, order, axis=1) for part in (indices, scores))
    return neighbors_frame(columns, item_ids, names, *answer, backend)


def explain(model, data, items=None, *, users=None, k=10, n_reasons=3):
    """Tell which items of their history speak for what is recommended to users, by ids.

    Parameters
    ----------
    model : estimator
        Fitted: a recommender that has ``explain``, or a Pipeline or a search that ends in one.
    data : {Interactions, dataframe}
        The users' rows, as in :func:`recommend`.
    items : {collection, mapping, dataframe}, default=None
        What is explained: ids of items, for each user the same; or a mapping from user ids to such
        collections; or a table with the columns user and item, such as :func:`recommend` returns.
        None means the best `k` that the user has not seen.
    users : collection of shape (n_users,), default=None
        Ids of the users who are asked about. None means those of `items` where it has lists of
        users, and all of `data` otherwise.
    k : int, default=10
        Number of recommendations, where `items` is None.
    n_reasons : int, default=3
        Most items of the history for each explained one.

    Returns
    -------
    frame : dataframe
        Columns user, item, because (an item of the user's history) and share (its part of all that
        speaks for the item, the largest first), and title and because_title if `data` has names.
        An item for which nothing in the history speaks has no row.

    Raises
    ------
    TypeError
        If the model has no ``explain``.
    ValueError
        If an id is unknown, or if the model was fitted on other items. Behind transformers of
        scikit-learn, which keep no ids, only the number of items is compared.

    Examples
    --------
    >>> import skrec
    >>> from skrec import EASE
    >>> from skrec.datasets import load_movielens_small
    >>> likes = load_movielens_small().binarize(3.5).filter(min_users_per_item=10)
    >>> model = EASE(l2=100).fit(likes)
    >>> why = skrec.explain(model, likes, users=[7], k=1, n_reasons=2)
    >>> why[["title", "because_title", "share"]].round(2)
                    title            because_title  share
    0  Matrix, The (1999)  Sixth Sense, The (1999)   0.10
    1  Matrix, The (1999)   American Beauty (1999)   0.09
    """
    k, n_reasons = check_k(k), check_k(n_reasons, "n_reasons")
    steps, final = take_apart(model)
    _check_verb(final, "explain")
    lists = None if items is None else as_lists(items, "items")
    if lists is not None and users is None:
        users = list(lists)
    data, asked, X = _read_users(data, users, steps, final)
    if items is None:
        explained, _ = best_items(steps, final, X, k) if asked.shape[0] else _nothing(k)
    elif lists is None:
        explained = find(items, data.item_ids, "items", "data")
        explained = np.tile(explained, (asked.shape[0], 1))
    else:
        explained = _padded(lists, asked.user_ids, data.item_ids)
    found = {"user": [], "item": [], "because": [], "share": []}
    of_users = explain_items(steps, final, X, explained) if explained.size else ()
    for user, contributions in enumerate(of_users):
        for line, item in enumerate(explained[user]):
            entries = slice(*contributions.indptr[line : line + 2])
            because, shares = largest_shares(
                contributions.indices[entries], contributions.data[entries], n_reasons
            )
            found["user"] += [user] * len(because)
            found["item"] += [item] * len(because)
            found["because"] += because.tolist()
            found["share"] += shares.tolist()
    user, item, because = (
        np.array(found[name], dtype=np.intp) for name in ("user", "item", "because")
    )
    columns = {
        "user": asked.user_ids[user],
        "item": data.item_ids[item],
        "because": data.item_ids[because],
        "share": np.array(found["share"], dtype=np.float64),
    }
    if data.item_names is not None:
        columns["title"] = data.item_names[item]
        columns["because_title"] = data.item_names[because]
    return make_frame(columns, data.backend)


def _nothing(k):
    return np.empty((0, k), dtype=np.intp), np.empty((0, k))


def _padded(lists, user_ids, item_ids):
    """Columns of the items of each of some users, padded with -1."""
    users = user_ids.tolist()
    without = [user for user in users if user not in lists]
    if without:
        raise ValueError(
            f"items must have a list for every user who is asked about, and has none for "
            f"{without[0]!r}: add one, which may be empty, or ask about users=items.keys() alone."
        )
    columns, lengths = join_lists([lists[user] for user in users], item_ids, "items", "data")
    padded = np.full((len(users), lengths.max(initial=0)), -1)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = columns
    return padded


def _read_users(data, users, steps, final):
    """All that data is of, the users who are asked about, and what the model gets for those."""
    data, given = _as_interactions(data)
    check_item_ids(data.item_ids, [*steps, final][0], "data")
    rows = None if users is None else find(users, data.user_ids, "users", "data")
    asked = data if rows is None else data[rows]
    if given is data or (isinstance(final, BaseRecommender) and not steps):
        return data, asked, asked
    # Transformers and models of other packages want the data frame that they know.
    return data, asked, given if rows is None else safe_indexing(given, rows)


def _as_interactions(data):
    """Interactions, of a data frame of users x items if it is one, and what was given."""
    if isinstance(data, Interactions):
        return data, data
    frame = nw.from_native(data, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        raise TypeError(
            "data must be Interactions, or a data frame of users x items, as answers are by ids, "
            f"got {type(data).__name__}: give what the matrix was made from, "
            "Interactions.from_frame(table), or Interactions(X, user_ids, item_ids)."
        )
    refuse_long_table(data, "data")
    index = nw.maybe_get_index(frame)
    user_ids = np.arange(len(frame)) if index is None else as_ids(np.asarray(index), "the index")
    item_ids = as_ids(list(frame.columns), "the columns")
    X = check_interactions(data, name="data")
    return Interactions(X, user_ids, item_ids, backend=as_backend(frame)), data


def _check_alone(regressor, steps, data):
    if steps:
        raise TypeError(
            f"{type(steps[0]).__name__} stands before {type(regressor).__name__} in a Pipeline, "
            "and may change ids: call recommend of the last step, with the ids that it got."
        )
    if data is not None:
        raise TypeError(
            f"{type(regressor).__name__} answers from the ratings that it was fitted on: leave "
            "data out, and name the users by users=."
        )


def _check_verb(final, verb):
    if hasattr(final, verb):
        return
    names = [name for name, row in MODELS.items() if hasattr(row.load(), verb)]
    raise TypeError(
        f"{type(final).__name__} has no {verb}. The models that have it: {', '.join(names)}."
    )
