"""The bridge from a table of interactions to a users x items matrix, and back to ids."""

import sys
from dataclasses import dataclass, fields
from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array, issparse

from skrec.utils._columns import (
    as_ids,
    as_texts,
    as_timestamps,
    as_values,
    check_distinct,
    check_length,
    encode,
    first_repeated,
    merge_repeated,
    positions,
    read_only,
)
from skrec.utils._sparse_structure import check_structure

_DUPLICATES = {
    "error": "refuse",
    "last": "keep the row with the latest timestamp, or the last row without timestamps",
    "sum": "add the values",
    "mean": "average the values",
    "max": "keep the row with the largest value",
}


@dataclass(frozen=True, eq=False)
class Interactions:
    """A users x items matrix with the ids of its rows and columns; immutable.

    Usually made by :meth:`from_frame` or :meth:`from_arrays`. Its arrays are read-only: work on
    a copy, such as ``interactions.X.copy()``, to change one.

    Parameters
    ----------
    X : sparse array or matrix of shape (n_users, n_items)
        Stored entries are the observations, kept as a ``csr_array`` of float32. In each row the
        column indices must ascend, without duplicates.
    user_ids : array-like of shape (n_users,)
        Ids of the rows, distinct.
    item_ids : array-like of shape (n_items,)
        Ids of the columns, distinct.
    item_names : array-like of shape (n_items,), default=None
        Names to show for the items, such as titles.
    timestamps : array-like of shape (n_entries,), default=None
        Numbers or datetimes, aligned with ``X.data``. Dates and datetimes of Python become
        ``datetime64``, as those of NumPy and pandas are; with a time zone, they become UTC.
    reviews : array-like of shape (n_entries,), default=None
        Texts, aligned with ``X.data``.

    See Also
    --------
    skrec.datasets.load_movielens_small : A small real data set as `Interactions`.

    Examples
    --------
    >>> from skrec import Interactions
    >>> bought = Interactions.from_arrays(["ann", "bob", "ann"], ["tea", "tea", "jam"])
    >>> bought
    Interactions(2 users x 2 items, 3 entries, density 75.00%)
    >>> bought.X.toarray()
    array([[1., 1.],
           [0., 1.]], dtype=float32)
    >>> bought.user_ids, bought.item_ids
    (array(['ann', 'bob'], dtype=object), array(['jam', 'tea'], dtype=object))
    """

    X: csr_array
    user_ids: np.ndarray
    item_ids: np.ndarray
    item_names: np.ndarray | None = None
    timestamps: np.ndarray | None = None
    reviews: np.ndarray | None = None

    def __post_init__(self):
        """Check, convert and freeze the fields."""
        X = self.X
        if not issparse(X):
            raise TypeError(
                f"X must be a scipy sparse array or matrix, got {type(X).__name__}; "
                "Interactions.from_frame and Interactions.from_arrays make one from a table"
            )
        check_structure(X)
        X = csr_array(X)
        fits = max(X.nnz, *X.shape) <= np.iinfo(np.int32).max
        indices, indptr = (
            array.astype(np.int32 if fits else np.int64, copy=False)
            for array in (X.indices, X.indptr)
        )
        X = csr_array((as_values(X.data), indices, indptr), shape=X.shape)
        if not X.has_canonical_format:
            raise ValueError(
                "X must have ascending column indices without duplicates in each row; "
                "call X.sum_duplicates() first"
            )
        for name in ("data", "indices", "indptr"):
            setattr(X, name, read_only(getattr(X, name)))

        user_ids, item_ids = as_ids(self.user_ids, "user_ids"), as_ids(self.item_ids, "item_ids")
        item_names, timestamps, reviews = self.item_names, self.timestamps, self.reviews
        if item_names is not None:
            item_names = np.asarray(item_names, dtype=object)
        if timestamps is not None:
            timestamps = as_timestamps(timestamps)
        if reviews is not None:
            reviews = as_texts(reviews)
        check_length("user_ids", user_ids, X.shape[0], "row of X")
        check_length("item_ids", item_ids, X.shape[1], "column of X")
        check_length("item_names", item_names, X.shape[1], "column of X")
        check_length("timestamps", timestamps, X.nnz, "stored entry of X")
        check_length("reviews", reviews, X.nnz, "stored entry of X")
        check_distinct("user_ids", user_ids)
        check_distinct("item_ids", item_ids)
        for name, value in {
            "X": X,
            "user_ids": read_only(user_ids),
            "item_ids": read_only(item_ids),
            "item_names": read_only(item_names),
            "timestamps": read_only(timestamps),
            "reviews": read_only(reviews),
        }.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_frame(
        cls,
        df,
        *,
        user="user",
        item="item",
        value=None,
        review=None,
        timestamp=None,
        item_ids=None,
        item_names=None,
        duplicates="error",
    ):
        """Read a data frame with one row per interaction.

        Parameters
        ----------
        df : dataframe
            A pandas, polars or pyarrow table, or any other eager frame that narwhals supports.
        user, item : str, default="user", "item"
            Columns of the user and item ids: numbers, strings, or any hashable objects.
        value : str, default=None
            Column of the values, finite numbers. With None, every row counts 1.
        review : str, default=None
            Column of review texts; a missing text is read as "".
        timestamp : str, default=None
            Column of numbers, dates or datetimes; see :class:`Interactions`.
        item_ids : array-like of shape (n_items,), default=None
            The columns of `X`, in this order, such as the ``item_ids`` that a model was fitted
            on. Entries of other items are dropped; a user left without any keeps an empty row.
            With None, the items of the table in ascending order.
        item_names : mapping, default=None
            Names by item id. An item that it lacks is named by its id.
        duplicates : {"error", "last", "sum", "mean", "max"}, default="error"
            What becomes of several rows of one user and item: refuse; keep the row with the
            latest timestamp (the last row without timestamps); add or average the values; keep
            the row with the largest value (of equal ones, the one that "last" would keep). Their
            timestamp and review are those of the row that is kept. With "sum" and "mean" the
            timestamp is the latest, and reviews are an error.

        Returns
        -------
        interactions : Interactions
            Users (and items) in ascending order of their ids; by the name of their type first if
            types have no common order, as they first stand in the table if one type has none.

        Raises
        ------
        ValueError
            If a column is missing, an id is null, a value is not a finite number, or a pair of
            user and item is repeated and `duplicates` is "error". Where the message names a row
            of the table, the first is row 0.

        Examples
        --------
        >>> import pandas as pd
        >>> from skrec import Interactions
        >>> ratings = pd.DataFrame({"user": [7, 7, 3], "item": [1, 2, 1], "stars": [5, 3, 4]})
        >>> Interactions.from_frame(ratings, value="stars").X.toarray()
        array([[4., 0.],
               [5., 3.]], dtype=float32)
        """
        import narwhals as nw

        try:
            df = nw.from_native(df, eager_only=True)
        except TypeError as error:
            raise TypeError(
                f"df must be an eager data frame (pandas, polars, pyarrow, ...), got "
                f"{type(df).__module__}.{type(df).__name__}; collect a lazy frame first, and "
                "pass arrays to Interactions.from_arrays"
            ) from error
        columns = {
            "user": user,
            "item": item,
            "value": value,
            "review": review,
            "timestamp": timestamp,
        }
        arrays = {}
        for parameter, column in columns.items():
            if column is not None and column not in df.columns:
                raise ValueError(
                    f"column {column!r} is not in the table, which has {df.columns}; name the "
                    f"right one with {parameter}="
                )
            arrays[parameter] = None if column is None else df.get_column(column).to_numpy()
        return cls.from_arrays(
            arrays["user"],
            arrays["item"],
            arrays["value"],
            reviews=arrays["review"],
            timestamps=arrays["timestamp"],
            item_ids=item_ids,
            item_names=item_names,
            duplicates=duplicates,
        )

    @classmethod
    def from_arrays(
        cls,
        users,
        items,
        values=None,
        *,
        reviews=None,
        timestamps=None,
        item_ids=None,
        item_names=None,
        duplicates="error",
    ):
        """Read aligned arrays with one element per interaction; needs no data frame library.

        Parameters
        ----------
        users, items : array-like of shape (n_rows,)
            Ids: numbers, strings, or any hashable objects.
        values : array-like of shape (n_rows,), default=None
            Finite numbers. With None, every row counts 1.
        reviews : array-like of shape (n_rows,), default=None
            Review texts; a missing text (None, NaN) is read as "".
        timestamps : array-like of shape (n_rows,), default=None
            Numbers, dates or datetimes; see :class:`Interactions`.
        item_ids : array-like of shape (n_items,), default=None
            The columns of `X`, in this order; see :meth:`from_frame`.
        item_names : mapping, default=None
            Names by item id; see :meth:`from_frame`.
        duplicates : {"error", "last", "sum", "mean", "max"}, default="error"
            What becomes of several rows of one user and item; see :meth:`from_frame`.

        Returns
        -------
        interactions : Interactions
            As from :meth:`from_frame`.

        Raises
        ------
        ValueError
            As from :meth:`from_frame`.

        Examples
        --------
        >>> from skrec import Interactions
        >>> counts = Interactions.from_arrays([1, 1, 2], ["a", "a", "b"], duplicates="sum")
        >>> counts.X.toarray()
        array([[2., 0.],
               [0., 1.]], dtype=float32)
        """
        _check_options(duplicates, reviews, item_names)
        users, items = as_ids(users, "user ids"), as_ids(items, "item ids")
        values, timestamps, reviews = _as_columns(users, items, values, timestamps, reviews)
        rows, user_ids = encode(users)
        cols, item_ids = _encode_items(items, item_ids)
        known = cols >= 0
        if not known.all():
            rows, cols, values = rows[known], cols[known], values[known]
            timestamps = None if timestamps is None else timestamps[known]
            reviews = None if reviews is None else reviews[known]

        keys = rows * len(item_ids) + cols
        if duplicates == "error":
            _refuse_repeated(keys, user_ids, item_ids)
        keys, values, timestamps, kept = merge_repeated(keys, values, timestamps, duplicates)
        row_sizes = np.bincount(keys // len(item_ids), minlength=len(user_ids))
        X = csr_array(
            (values, keys % len(item_ids), np.append(0, np.cumsum(row_sizes))),
            shape=(len(user_ids), len(item_ids)),
        )
        if item_names is not None:
            item_names = [item_names.get(item, str(item)) for item in item_ids.tolist()]
        reviews = None if reviews is None else reviews[kept]
        return cls(X, user_ids, item_ids, item_names, timestamps, reviews)

    def filter(self, *, min_users_per_item=0, min_items_per_user=0, until_stable=False):
        """Keep the items with enough users, and then the users with enough of those items.

        Parameters
        ----------
        min_users_per_item : int, default=0
            Least number of entries of an item.
        min_items_per_user : int, default=0
            Least number of entries of a user, counted over the kept items.
        until_stable : bool, default=False
            Whether to repeat both steps until nothing changes. Without it, as in published
            protocols, a kept item may have lost users in the second step.

        Returns
        -------
        interactions : Interactions
            Without the other users and items. Nothing at all may be left.

        Examples
        --------
        >>> from skrec.datasets import load_movielens_small
        >>> load_movielens_small().filter(min_users_per_item=20, min_items_per_user=5)
        Interactions(610 users x 1297 items, 67898 entries, density 8.58%)
        """
        for name, least in [
            ("min_users_per_item", min_users_per_item),
            ("min_items_per_user", min_items_per_user),
        ]:
            if not isinstance(least, Integral) or least < 0:
                raise ValueError(f"{name} must be an int of at least 0, got {least!r}")
        n_users, n_items = self.X.shape
        rows, cols = self._rows(), self.X.indices
        users, items = np.ones(n_users, dtype=bool), np.ones(n_items, dtype=bool)
        entries = np.ones(self.X.nnz, dtype=bool)
        changed = True
        while changed:
            before = users.sum() + items.sum()
            items &= np.bincount(cols[entries], minlength=n_items) >= min_users_per_item
            entries &= items[cols]
            users &= np.bincount(rows[entries], minlength=n_users) >= min_items_per_user
            entries &= users[rows]
            changed = until_stable and users.sum() + items.sum() < before
        return self._keep(entries, users, items, self.X.data)

    def binarize(self, threshold):
        """Keep the entries above a threshold, with the value 1.

        Parameters
        ----------
        threshold : float
            Entries with a larger value are kept, as by
            :class:`sklearn.preprocessing.Binarizer`.

        Returns
        -------
        interactions : Interactions
            Of the same users and items; those without any kept entry stay, empty.

        Examples
        --------
        >>> from skrec import Interactions
        >>> ratings = Interactions.from_arrays([0, 0, 1], [0, 1, 1], [4.0, 3.5, 5.0])
        >>> ratings.binarize(3.5).X.toarray()
        array([[1., 0.],
               [0., 1.]], dtype=float32)
        """
        if not isinstance(threshold, Real):
            raise TypeError(f"threshold must be a number, got {threshold!r}")
        if isinstance(threshold, Integral) and abs(threshold) > sys.float_info.max:
            raise ValueError(
                f"threshold must be a number that a float can hold, got an integer of "
                f"{int(threshold).bit_length()} bits: make it smaller, or pass float('inf')"
            )
        n_users, n_items = self.X.shape
        entries = self.X.data > threshold
        return self._keep(
            entries,
            np.ones(n_users, dtype=bool),
            np.ones(n_items, dtype=bool),
            np.ones_like(self.X.data),
        )

    def decode(self, items):
        """Translate item indices, such as those that ``recommend`` returns, to item ids.

        Parameters
        ----------
        items : array-like of int
            Column indices of any shape; -1 stands for no item.

        Returns
        -------
        ids : ndarray of object
            Of the same shape; None where `items` is -1.

        Examples
        --------
        >>> from skrec import Interactions
        >>> Interactions.from_arrays([0, 0], ["tea", "jam"]).decode([[1, 0], [0, -1]])
        array([['tea', 'jam'],
               ['jam', None]], dtype=object)
        """
        items = np.asarray(items)
        n_items = len(self.item_ids)
        if items.size and items.dtype.kind not in "iu":
            raise TypeError(f"items must be integer column indices, got dtype {items.dtype}")
        if items.size and not -1 <= items.min() <= items.max() < n_items:
            raise ValueError(
                f"items must lie between 0 and {n_items - 1}, or be -1 for no item; got values "
                f"from {items.min()} to {items.max()}"
            )
        # The appended None is what the index -1 finds.
        ids = np.append(self.item_ids.astype(object), [None])
        return np.asarray(ids[items.astype(np.intp)], dtype=object)

    def _rows(self):
        return np.repeat(np.arange(self.X.shape[0]), np.diff(self.X.indptr))

    def _keep(self, entries, users, items, values):
        """Select by masks over the entries, users and items; every entry's ends are kept."""
        row_sizes = np.bincount(self._rows()[entries], minlength=self.X.shape[0])[users]
        indices = (np.cumsum(items) - 1)[self.X.indices[entries]]
        X = csr_array(
            (values[entries], indices, np.append(0, np.cumsum(row_sizes))),
            shape=(users.sum(), items.sum()),
        )
        return Interactions(
            X,
            self.user_ids[users],
            self.item_ids[items],
            None if self.item_names is None else self.item_names[items],
            None if self.timestamps is None else self.timestamps[entries],
            None if self.reviews is None else self.reviews[entries],
        )

    def __reduce__(self):
        """Copy through the constructor, as NumPy forgets on the way what is read-only."""
        return type(self), tuple(getattr(self, field.name) for field in fields(self))

    def __repr__(self):
        """Tell the sizes."""
        n_users, n_items = self.X.shape
        density = self.X.nnz / max(1, n_users * n_items)
        return (
            f"Interactions({n_users} users x {n_items} items, {self.X.nnz} entries, "
            f"density {density:.2%})"
        )


def _check_options(duplicates, reviews, item_names):
    if duplicates not in _DUPLICATES:
        raise ValueError(
            f"duplicates must be one of {list(_DUPLICATES)}, got {duplicates!r}; these mean: "
            + _duplicates_help()
        )
    if reviews is not None and duplicates in ("sum", "mean"):
        raise ValueError(
            f"duplicates={duplicates!r} makes one entry of several rows, whose reviews "
            "cannot be combined; use 'last' or 'max', or leave the reviews out"
        )
    if item_names is not None and not hasattr(item_names, "get"):
        raise TypeError(
            f"item_names must map item ids to names, got {type(item_names).__name__}; pass a dict"
        )


def _as_columns(users, items, values, timestamps, reviews):
    """Values, timestamps and reviews as arrays with an element for each row of a table."""
    n_rows = len(users)
    if n_rows == 0:
        raise ValueError("the table has no rows; at least one interaction is needed")
    values = np.ones(n_rows, dtype=np.float32) if values is None else as_values(values)
    timestamps = None if timestamps is None else as_timestamps(timestamps)
    reviews = None if reviews is None else as_texts(reviews)
    for name, column in [
        ("items", items),
        ("values", values),
        ("timestamps", timestamps),
        ("reviews", reviews),
    ]:
        check_length(name, column, n_rows, "element of users")
    return values, timestamps, reviews


def _encode_items(items, item_ids):
    """The column of each row's item, -1 where it has none, and the ids of the columns."""
    cols, found = encode(items)
    if item_ids is None:
        return cols, found
    item_ids = as_ids(item_ids, "item_ids")
    check_distinct("item_ids", item_ids)
    return positions(found, item_ids, "item of the table", "item_ids")[cols], item_ids


def _refuse_repeated(keys, user_ids, item_ids):
    repeated = first_repeated(keys)
    if repeated is None:
        return
    row, n_repeated = repeated
    user, item = divmod(keys[row], len(item_ids))
    raise ValueError(
        f"{n_repeated} pairs of user and item have several rows, the first of them "
        f"user {user_ids[user]} and item {item_ids[item]}; "
        f"choose duplicates= one of: {_duplicates_help()}"
    )


def _duplicates_help():
    return "; ".join(f"{rule!r}: {meaning}" for rule, meaning in _DUPLICATES.items())
