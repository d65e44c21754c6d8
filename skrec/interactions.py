"""The bridge from a table of interactions to a users x items matrix, and back to ids."""

import sys
from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array, issparse

from skrec.utils._columns import (
    ItemColumns,
    as_ids,
    as_texts,
    as_timestamps,
    as_values,
    check_distinct,
    check_length,
    encode,
    positions,
    read_only,
)
from skrec.utils._frames import as_html_table, make_frame
from skrec.utils._interaction_tables import (
    as_columns,
    as_matrix,
    as_names,
    check_options,
    encode_items,
    find_ids,
    join_ids,
    refuse_repeated_pairs,
)
from skrec.utils._sparse_structure import check_structure

_N_SHOWN = 5


class Interactions(csr_array):
    """A sparse users x items matrix that knows the ids of its rows and columns; immutable.

    Usually made by :meth:`from_frame` or :meth:`from_arrays`. It is a ``csr_array``: models,
    transformers, splitters and searches take it as `X`. ``interactions[rows]`` are some of the
    users, ``interactions[:, columns]`` some of the items, with their ids, timestamps and reviews.
    What else SciPy computes from it, such as ``interactions > 3``, is a plain ``csr_array``.

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
    backend : str, default=None
        The library of the data frames that are made for these users: "pandas", "polars",
        "pyarrow" or another that narwhals knows. :meth:`from_frame` sets it to that of its
        table. None means the first of these three that is installed.

    Attributes
    ----------
    X : csr_array of shape (n_users, n_items)
        The same entries without the ids: a plain matrix.

    See Also
    --------
    skrec.recommend : Recommendations by these ids.
    skrec.datasets.load_movielens_small : A small real data set as `Interactions`.

    Examples
    --------
    >>> from skrec import Interactions
    >>> bought = Interactions.from_arrays(["ann", "bob", "ann"], ["tea", "tea", "jam"])
    >>> bought
    Interactions(2 users x 2 items, 3 entries, density 75.00%)
    >>> bought.toarray()
    array([[1., 1.],
           [0., 1.]], dtype=float32)
    >>> bought.user_ids, bought.item_ids
    (array(['ann', 'bob'], dtype=object), array(['jam', 'tea'], dtype=object))
    >>> bought[bought.rows(["bob"])].to_frame(backend="pandas")
      user item  value
    0  bob  tea    1.0
    """

    def __init__(
        self,
        X,
        user_ids,
        item_ids,
        item_names=None,
        timestamps=None,
        reviews=None,
        *,
        backend=None,
    ):
        if not issparse(X):
            raise TypeError(
                f"X must be a scipy sparse array or matrix, got {type(X).__name__}; "
                "Interactions.from_frame and Interactions.from_arrays make one from a table"
            )
        check_structure(X)
        X = csr_array(X)
        X = csr_array((as_values(X.data), X.indices, X.indptr), shape=X.shape)
        if not X.has_canonical_format:
            raise ValueError(
                "X must have ascending column indices without duplicates in each row; "
                "call X.sum_duplicates() first"
            )
        user_ids, item_ids = as_ids(user_ids, "user_ids"), as_ids(item_ids, "item_ids")
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
        self._set(X, user_ids, item_ids, item_names, timestamps, reviews, backend)

    def _set(self, X, user_ids, item_ids, item_names, timestamps, reviews, backend):
        fits = max(X.nnz, *X.shape) <= np.iinfo(np.int32).max
        index_dtype = np.int32 if fits else np.int64
        indices, indptr = (
            array.astype(index_dtype, copy=False) for array in (X.indices, X.indptr)
        )
        self.__class__ = _Interactions
        super().__init__((X.data, indices, indptr), shape=X.shape)
        for name in ("data", "indices", "indptr"):
            setattr(self, name, read_only(getattr(self, name)))
        vars(self).update(
            X=csr_array((self.data, self.indices, self.indptr), shape=self.shape),
            user_ids=read_only(user_ids),
            item_ids=read_only(item_ids),
            item_names=read_only(item_names),
            timestamps=read_only(timestamps),
            reviews=read_only(reviews),
            backend=backend,
        )

    @staticmethod
    def _of(*parts):
        """Make one of checked parts, in which a user may stand several times."""
        interactions = object.__new__(_Interactions)
        interactions._set(*parts)
        return interactions

    def __setattr__(self, name, value):
        if name in _FIELDS:
            raise AttributeError(
                f"{name} of Interactions cannot be changed: make new ones, such as "
                f"Interactions(X, user_ids, item_ids)"
            )
        super().__setattr__(name, value)

    def __setitem__(self, key, value):
        raise TypeError(
            "Interactions cannot be changed: change a copy of the matrix, interactions.X.copy()"
        )

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
            on. Entries of other items are dropped, with a warning (:meth:`reindex` is for doing
            that on purpose); a user left without any keeps an empty row. With None, the items of
            the table in ascending order.
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
            backend=df.implementation.name.lower(),
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
        backend=None,
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
        backend : str, default=None
            The library of the data frames that are made for these users; see
            :class:`Interactions`.

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
        check_options(duplicates, reviews, item_names)
        users, items = as_ids(users, "user ids"), as_ids(items, "item ids")
        values, timestamps, reviews = as_columns(users, items, values, timestamps, reviews)
        rows, user_ids = encode(users)
        cols, item_ids = encode_items(items, item_ids)
        known = cols >= 0
        if not known.all():
            rows, cols, values = rows[known], cols[known], values[known]
            timestamps = None if timestamps is None else timestamps[known]
            reviews = None if reviews is None else reviews[known]
        if duplicates == "error":
            refuse_repeated_pairs(rows * len(item_ids) + cols, user_ids, item_ids)
        X, timestamps, kept = as_matrix(
            rows, cols, values, timestamps, (len(user_ids), len(item_ids)), duplicates
        )
        if item_names is not None:
            item_names = [item_names.get(item, str(item)) for item in item_ids.tolist()]
        reviews = None if reviews is None else reviews[kept]
        return cls(X, user_ids, item_ids, item_names, timestamps, reviews, backend=backend)

    def rows(self, user_ids):
        """Find the rows of users.

        Parameters
        ----------
        user_ids : array-like of shape (n_found,)
            Ids of users, or the id of one.

        Returns
        -------
        rows : ndarray of intp of shape (n_found,)

        Raises
        ------
        ValueError
            If one is not among `user_ids`.

        Examples
        --------
        >>> from skrec import Interactions
        >>> Interactions.from_arrays(["ann", "bob"], ["tea", "tea"]).rows(["bob", "ann"])
        array([1, 0])
        """
        return find_ids(user_ids, self.user_ids, "user")

    def columns(self, item_ids):
        """Find the columns of items.

        Parameters
        ----------
        item_ids : array-like of shape (n_found,)
            Ids of items, or the id of one.

        Returns
        -------
        columns : ndarray of intp of shape (n_found,)
            A subclass of it, by which the methods of models know indices from ids.

        Raises
        ------
        ValueError
            If one is not among `item_ids`.

        Examples
        --------
        >>> from skrec import Interactions
        >>> Interactions.from_arrays([1, 1], [30, 20]).columns([30])
        ItemColumns([1])
        """
        return find_ids(item_ids, self.item_ids, "item").view(ItemColumns)

    def reindex(self, item_ids):
        """Take these items as columns, in this order.

        Parameters
        ----------
        item_ids : array-like of shape (n_items,)
            Ids of items, distinct, such as the ``feature_names_in_`` of a model. An item that
            nobody has gets an empty column.

        Returns
        -------
        interactions : Interactions
            Of the same users. Entries of other items are dropped; a user left without any keeps
            an empty row.

        Examples
        --------
        >>> from skrec import Interactions
        >>> bought = Interactions.from_arrays(["ann", "bob"], ["tea", "jam"])
        >>> bought.reindex(["tea", "salt"]).toarray()
        array([[1., 0.],
               [0., 0.]], dtype=float32)
        """
        item_ids = as_ids(item_ids, "item_ids")
        check_distinct("item_ids", item_ids)
        place = positions(self.item_ids, item_ids, "item of these interactions", "item_ids")
        cols = place[self.indices]
        known = np.flatnonzero(cols >= 0)
        X, _, kept = as_matrix(
            self._rows()[known],
            cols[known],
            self.data[known],
            None,
            (self.shape[0], len(item_ids)),
        )
        names = None
        if self.item_names is not None:
            name_of = dict(zip(self.item_ids.tolist(), self.item_names, strict=True))
            names = as_names(name_of.get(item, str(item)) for item in item_ids.tolist())
        return self._of(X, self.user_ids, item_ids, names, *self._of_entries(known[kept]))

    def update(self, new):
        """Merge with newer interactions, such as those of last night.

        Parameters
        ----------
        new : Interactions
            Of known and of new users and items. Of a pair that both have, its value, timestamp
            and review count. It has timestamps and reviews if, and only if, these interactions
            do.

        Returns
        -------
        interactions : Interactions
            The known users and items come first, in their order, then the new ones.

        See Also
        --------
        skrec.update : Teach a fitted model what is new.

        Examples
        --------
        >>> from skrec import Interactions
        >>> old = Interactions.from_arrays(["bob", "bob"], ["tea", "jam"], [5, 3])
        >>> new = Interactions.from_arrays(["ann", "bob"], ["salt", "jam"], [4, 1])
        >>> merged = old.update(new)
        >>> merged.user_ids, merged.item_ids
        (array(['bob', 'ann'], dtype=object), array(['jam', 'tea', 'salt'], dtype=object))
        >>> merged.toarray()
        array([[1., 5., 0.],
               [0., 0., 4.]], dtype=float32)
        """
        if not isinstance(new, Interactions):
            raise TypeError(
                f"new must be Interactions, got {type(new).__name__}; make them by "
                "Interactions.from_frame"
            )
        both = {}
        for name in ("timestamps", "reviews"):
            parts = getattr(self, name), getattr(new, name)
            if (parts[0] is None) != (parts[1] is None):
                has, lacks = ("new", "old") if parts[0] is None else ("old", "new")
                raise ValueError(
                    f"the {has} interactions have {name}, the {lacks} ones have none; give them "
                    "to both or to neither"
                )
            if name == "timestamps" and parts[0] is not None:
                kinds = ["datetimes" if part.dtype.kind == "M" else "numbers" for part in parts]
                if kinds[0] != kinds[1]:
                    raise ValueError(
                        f"the timestamps of the old interactions are {kinds[0]}, those of the new "
                        f"ones {kinds[1]}; convert one of them"
                    )
            both[name] = None if parts[0] is None else np.concatenate(parts)
        user_ids, rows = join_ids(self.user_ids, new.user_ids, "user")
        item_ids, cols = join_ids(self.item_ids, new.item_ids, "item")
        X, _, kept = as_matrix(
            np.append(self._rows(), rows[new._rows()]),
            np.append(self.indices, cols[new.indices]).astype(np.int64),
            np.append(self.data, new.data),
            None,
            (len(user_ids), len(item_ids)),
            "last",
        )
        names = None
        if self.item_names is not None or new.item_names is not None:
            known = {}
            for part in (self, new):
                if part.item_names is not None:
                    known.update(zip(part.item_ids.tolist(), part.item_names, strict=True))
            names = as_names(known.get(item, str(item)) for item in item_ids.tolist())
        timestamps, reviews = (
            None if values is None else values[kept] for values in both.values()
        )
        return self._of(X, user_ids, item_ids, names, timestamps, reviews, self.backend)

    def to_frame(self, backend=None):
        """Make a data frame with one row per interaction.

        Parameters
        ----------
        backend : str, default=None
            Library of the frame; None means `backend`.

        Returns
        -------
        frame : dataframe
            Columns user, item and value; timestamp, review and title where they are known.
        """
        columns = {
            "user": self.user_ids[self._rows()],
            "item": self.item_ids[self.indices],
            "value": self.data,
        }
        if self.timestamps is not None:
            columns["timestamp"] = self.timestamps
        if self.reviews is not None:
            columns["review"] = self.reviews
        if self.item_names is not None:
            columns["title"] = self.item_names[self.indices]
        return make_frame(columns, backend or self.backend)

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
        n_users, n_items = self.shape
        rows, cols = self._rows(), self.indices
        users, items = np.ones(n_users, dtype=bool), np.ones(n_items, dtype=bool)
        entries = np.ones(self.nnz, dtype=bool)
        changed = True
        while changed:
            before = users.sum() + items.sum()
            items &= np.bincount(cols[entries], minlength=n_items) >= min_users_per_item
            entries &= items[cols]
            users &= np.bincount(rows[entries], minlength=n_users) >= min_items_per_user
            entries &= users[rows]
            changed = until_stable and users.sum() + items.sum() < before
        return self._keep(entries, users, items, self.data)

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
        n_users, n_items = self.shape
        entries = self.data > threshold
        return self._keep(
            entries,
            np.ones(n_users, dtype=bool),
            np.ones(n_items, dtype=bool),
            np.ones_like(self.data),
        )

    def where(self, entries):
        """Keep the entries that a mask selects, such as those before some day.

        Parameters
        ----------
        entries : array-like of bool of shape (n_entries,)
            Aligned with ``X.data``, and so with `timestamps` and `reviews`.

        Returns
        -------
        interactions : Interactions
            Of the same users and items; those without any kept entry stay, empty.

        Examples
        --------
        >>> from skrec import Interactions
        >>> visits = Interactions.from_arrays([0, 0, 1], [0, 1, 1], timestamps=[10, 30, 20])
        >>> visits.where(visits.timestamps < 25).toarray()
        array([[1., 0.],
               [0., 1.]], dtype=float32)
        """
        entries = np.asarray(entries)
        if entries.dtype != bool or entries.shape != (self.nnz,):
            raise ValueError(
                f"entries must be a mask with a bool for each of the {self.nnz} entries, such as "
                f"interactions.timestamps < t, got shape {entries.shape} and dtype "
                f"{entries.dtype}"
            )
        n_users, n_items = self.shape
        users, items = np.ones(n_users, dtype=bool), np.ones(n_items, dtype=bool)
        return self._keep(entries, users, items, self.data)

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

    def __getitem__(self, key):
        """Take users, ``[rows]``, or items, ``[:, columns]``, with all that is known of them."""
        key = key if isinstance(key, tuple) else (key, ...)
        if len(key) == 2 and (key[1] is ... or _is_everything(key[1])) and _is_line(key[0]):
            return self._take_rows(_as_lines(key[0]))
        if len(key) == 2 and _is_everything(key[0]) and _is_line(key[1]):
            return self._take_columns(_as_lines(key[1]))
        for ids in key:
            if isinstance(ids, str):
                _as_lines(ids)  # raises
        return self.X[key[0] if len(key) == 2 and key[1] is ... else key]

    def _take_rows(self, rows):
        X = self.X[rows]
        entries = None
        if self.timestamps is not None or self.reviews is not None:
            entries = self._numbered()[rows].data
        return self._of(
            X,
            self.user_ids[rows],
            self.item_ids,
            self.item_names,
            *self._of_entries(entries),
        )

    def _take_columns(self, columns):
        numbered = self._numbered()[:, columns].sorted_indices()
        X = csr_array(
            (self.data[numbered.data], numbered.indices, numbered.indptr), shape=numbered.shape
        )
        check_distinct("columns", np.arange(self.shape[1])[columns])
        names = None if self.item_names is None else self.item_names[columns]
        return self._of(
            X, self.user_ids, self.item_ids[columns], names, *self._of_entries(numbered.data)
        )

    def _numbered(self):
        """The matrix with the number of each entry as its value."""
        return csr_array((np.arange(self.nnz), self.indices, self.indptr), shape=self.shape)

    def _of_entries(self, entries):
        """Timestamps and reviews of some entries, and the library."""
        return (
            None if self.timestamps is None else self.timestamps[entries],
            None if self.reviews is None else self.reviews[entries],
            self.backend,
        )

    def _rows(self):
        return np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))

    def _keep(self, entries, users, items, values):
        """Select by masks over the entries, users and items; every entry's ends are kept."""
        row_sizes = np.bincount(self._rows()[entries], minlength=self.shape[0])[users]
        indices = (np.cumsum(items) - 1)[self.indices[entries]]
        X = csr_array(
            (values[entries], indices, np.append(0, np.cumsum(row_sizes))),
            shape=(users.sum(), items.sum()),
        )
        return self._of(
            X,
            self.user_ids[users],
            self.item_ids[items],
            None if self.item_names is None else self.item_names[items],
            *self._of_entries(entries),
        )

    def __reduce__(self):
        """Copy through the constructor, as NumPy forgets on the way what is read-only."""
        return _restored, tuple(getattr(self, name) for name in _FIELDS)

    def __repr__(self):
        """Tell the sizes."""
        n_users, n_items = self.shape
        return (
            f"Interactions({n_users} users x {n_items} items, {self.nnz} entries, "
            f"density {self._density():.2%})"
        )

    __str__ = __repr__

    def _density(self):
        return self.nnz / max(1, self.shape[0] * self.shape[1])

    def _repr_html_(self):
        """Tell what matters, for notebooks."""
        return as_html_table("Interactions", self._facts())

    def _facts(self):
        n_users, n_items = self.shape
        facts = {
            "users": f"{n_users:,}: {_first(self.user_ids)}",
            "items": f"{n_items:,}: {_first(self.item_ids)}",
            "entries": f"{self.nnz:,}, {self._density():.2%} of all pairs",
        }
        if self.item_names is not None:
            facts["titles"] = _first(self.item_names)
        if not self.nnz:
            return facts
        low, high = self.data.min(), self.data.max()
        facts["values"] = f"all {low:g}" if low == high else f"{low:g} to {high:g}"
        for name, counts in {
            "of a user": np.diff(self.indptr),
            "of an item": np.bincount(self.indices, minlength=n_items),
        }.items():
            facts[name] = f"{np.median(counts):g} in the median, {counts.max():,} at most"
        if self.timestamps is not None:
            facts["timestamps"] = f"{self.timestamps.min()} to {self.timestamps.max()}"
        if self.reviews is not None:
            facts["reviews"] = f"{np.count_nonzero(self.reviews):,} that are not empty"
        return facts


_FIELDS = ("X", "user_ids", "item_ids", "item_names", "timestamps", "reviews", "backend")


class _Interactions(Interactions):
    """The class of all instances: SciPy makes results by ``type(self)(...)``, without ids."""

    def __new__(cls, *args, **kwargs):
        return csr_array(*args, **kwargs)


_Interactions.__name__ = _Interactions.__qualname__ = "Interactions"


def _restored(*fields):
    return Interactions._of(*fields)


def _is_everything(key):
    return isinstance(key, slice) and key == slice(None)


def _is_line(key):
    return not issparse(key) and np.ndim(key) < 2 and not isinstance(key, str)


def _as_lines(key):
    """What takes rows of an array; a single number becomes a list of one."""
    if isinstance(key, slice):
        return key
    lines = np.asarray(key)
    if not lines.size:
        lines = lines.astype(np.intp)
    if lines.dtype.kind not in "iub":
        raise TypeError(
            f"interactions are cut by numbers, slices or masks, got {key!r}; .rows(user_ids) and "
            ".columns(item_ids) find the numbers of ids"
        )
    return np.atleast_1d(lines)


def _first(values):
    more = ", ..." if len(values) > _N_SHOWN else ""
    return ", ".join(map(str, values[:_N_SHOWN].tolist())) + more
