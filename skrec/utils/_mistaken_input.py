"""Input that is likely to be mistaken for something else: stopped, or warned about."""

from contextlib import contextmanager

import narwhals as nw
import numpy as np
from scipy import sparse

from skrec.utils._columns import ItemColumns
from skrec.utils._warnings import warn

# Names of columns without case, spaces and punctuation.
USER_NAMES = {"user", "userid", "uid", "customer", "customerid", "reviewerid", "visitorid"}
ITEM_NAMES = {
    f"{thing}{suffix}"
    for thing in (
        *("item", "movie", "product", "book", "track", "artist", "article", "song", "game"),
        "business",
    )
    for suffix in ("", "id")
} | {"iid", "asin", "isbn"}

_MAX_COLUMNS = 5
_N_TRIED = 1000
_MAX_STARS = 10
_MIN_RATINGS = 100
_FIX = (
    "make a matrix of it with skrec.Interactions.from_frame(table, user=..., item=..., value=...)"
)

FOR_IDS = "For ids there are skrec.recommend, skrec.similar_items and skrec.explain."


def refuse_long_table(X, name):
    """Stop at a table with a row for each interaction; warn where that is only likely.

    Parameters
    ----------
    X : {array-like, sparse matrix, dataframe}
    name : str
        What messages call it.
    """
    if sparse.issparse(X):
        return
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        names = ["".join(filter(str.isalnum, str(column))).lower() for column in frame.columns]
        if not USER_NAMES.isdisjoint(names) and not ITEM_NAMES.isdisjoint(names):
            raise ValueError(
                f"{name} must be a users x items matrix with a column for each item, but its "
                f"columns {frame.columns} are those of a long table: {_FIX}."
            )
    try:
        shape = np.shape(X)
        if len(shape) != 2 or not 2 <= shape[1] <= _MAX_COLUMNS:
            return
        table = np.asarray(X)[:: max(1, shape[0] // _N_TRIED), :2].astype(np.float64)
    except (TypeError, ValueError):  # rows of several lengths, and texts, are refused later on
        return
    if _looks_long(table):
        warn(
            f"{name} is read as {shape[0]} users x {shape[1]} items, but looks like a long table, "
            "whose first two columns are ids of users and items: if it is one, make a matrix of "
            "it with skrec.Interactions.from_arrays(users, items, values)."
        )


def _looks_long(ids):
    """Whether hardly any row repeats the two ids in it, though there are fewer ids than rows."""
    if len(ids) < 20 or not (np.isfinite(ids).all() and (ids == np.trunc(ids)).all()):
        return False
    n_distinct = min(len(np.unique(column)) for column in ids.T)
    n_pairs = len(np.unique(ids, axis=0))
    # In a matrix of counts most users have the same few ones, 0 among them.
    return n_pairs > 0.95 * len(ids) and n_distinct > 5 and (ids > 0).mean() > 0.9


@contextmanager
def texts_refused(X, name):
    """Where the block cannot convert `X` to numbers, say that it holds texts, if it does."""
    try:
        yield
    except ValueError as error:
        values = () if sparse.issparse(X) else np.asarray(X, dtype=object).flat
        text = next((value for value in values if isinstance(value, str | bytes)), None)
        if text is None:
            raise
        raise ValueError(
            f"{name} must be a users x items matrix of numbers, but holds the text {text!r}: if "
            f"it is a table with a row for each interaction, {_FIX}."
        ) from error


def warn_of_ratings(X, model):
    """Warn a model of choices of entries that look like ratings, the low ones among them.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    model : str
        Its name.
    """
    if X.nnz < _MIN_RATINGS:
        return
    values = X.data[:: max(1, X.nnz // _N_TRIED)]
    low, high = values.min(), values.max()
    steps = 2 * values
    on_a_scale = 0 < low < high <= _MAX_STARS and (steps == np.trunc(steps)).all()
    # Of counts most are the smallest there are; ratings crowd in the upper part of their scale.
    if on_a_scale and len(np.unique(values)) > 3 and values.mean() - low > 0.6 * (high - low):
        warn(
            f"X looks like ratings from {low:g} to {high:g}, and {model} takes every entry for a "
            "choice, a low rating too: keep what is liked, as by Interactions.binarize(3.5) or "
            "sklearn.preprocessing.Binarizer, or use a model of ratings, such as PMF."
        )


def warn_of_numbers_for_counts(counts):
    """Warn of a table of pairs whose only further column cannot be the counts of a text.

    Parameters
    ----------
    counts : csr_array of shape (n_pairs, n_terms)
    """
    if counts.shape[1] == 1 and counts.shape[0] > 1:
        warn(
            "X has one column after the ids of user and item, which is read as the counts of one "
            "term in each review: if it is something else, such as ratings or times, leave it "
            "out; if it is the texts, put a text vectorizer in front, in a ColumnTransformer."
        )


def warn_of_ids(items, estimator, name):
    """Warn of numbers that are read as column indices, where the items' ids are numbers, too.

    Parameters
    ----------
    items : array-like
        Masks and matrices cannot be mistaken, and what ``Interactions.columns`` finds is known to
        be no ids.
    estimator : estimator
        Fitted.
    name : str
        What messages call the items.
    """
    ids = getattr(estimator, "feature_names_in_", None)
    if ids is None or ids.dtype.kind not in "iu" or isinstance(items, ItemColumns):
        return
    items = np.asarray(items)
    if items.ndim != 1 or not items.size or items.dtype.kind not in "iu":
        return
    # Numbers that are no ids are indices, such as ``recommend`` answers.
    if not np.array_equal(ids, np.arange(len(ids))) and np.isin(items, ids).all():
        warn(
            f"The numbers in {name} are read as column indices, from 0 to {len(ids) - 1}, but the "
            f"ids of the items that {type(estimator).__name__} was fitted on are integers too, "
            f"such as {ids[0]}. {FOR_IDS} For indices, give what data.columns(ids) returns."
        )
