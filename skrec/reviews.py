"""Review texts that are cut along with the users they belong to."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, issparse

from skrec.interactions import Interactions
from skrec.utils._columns import as_texts, read_only
from skrec.utils._sparse_structure import check_structure
from skrec.utils._validation import check_interactions

# The others cannot tell a stored 0, which is the first document, from no entry.
_INDEX_FORMATS = ("csr", "csc", "coo", "lil", "dok")


@dataclass(frozen=True, eq=False, repr=False)
class Reviews:
    """One document for each observed entry of a users x items matrix; immutable.

    A row is a user, as in `X`: scikit-learn's cross-validation cuts both together, as in
    ``GridSearchCV(model, grid).fit(X, reviews=reviews)``. Models take plain lists and matrices of
    documents as well, but not in cross-validation: scikit-learn would leave them whole, or cut
    them by users where they are as many as these. Usually made by :meth:`from_documents`,
    :meth:`from_interactions` or :meth:`from_frame`.

    Parameters
    ----------
    index : sparse array or matrix of shape (n_users, n_items)
        Number of the document of each pair, from 0; a stored 0 is the first document. Of any
        format but bsr and dia, which cannot tell a stored 0 from no entry.
    documents : array-like of str or {array-like, sparse matrix} of shape (n_documents, n_terms)
        Texts (a missing one is read as ""), or counts of terms.

    See Also
    --------
    DeepLTRS : A model that reads reviews.

    Notes
    -----
    ``reviews[rows]`` are those of some users, ``reviews[:, items]`` those of some items, such as
    the ``kept_items`` of :meth:`StrongGeneralizationSplit.partition
    <skrec.model_selection.StrongGeneralizationSplit.partition>`. They share the documents,
    without copying them; pickled, they carry the documents of their own pairs only.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from skrec import Reviews
    >>> X = csr_array([[5, 0, 1], [0, 4, 0]])
    >>> reviews = Reviews.from_documents(X, ["delicious", "stale", "good tea"])
    >>> reviews
    Reviews(2 users x 3 items, 3 texts)
    >>> reviews[[1]].entry_documents
    array(['good tea'], dtype=object)
    """

    index: csr_array
    documents: np.ndarray | csr_array

    def __post_init__(self):
        """Check, convert and freeze the fields."""
        given = self.index
        if not issparse(given) or given.ndim != 2 or given.format not in _INDEX_FORMATS:
            raise TypeError(
                "index must be a two-dimensional scipy sparse array or matrix of one of the "
                f"formats {', '.join(_INDEX_FORMATS)}, got {type(given).__name__}; "
                "Reviews.from_documents makes one of the ratings"
            )
        check_structure(given, "index")
        documents = as_documents(self.documents)
        index = csr_array(given)
        if not index.has_canonical_format:
            index = index.sorted_indices()
        # Of a repeated pair, the conversion has added the numbers up or has kept both.
        if index.nnz < given.nnz or not index.has_canonical_format:
            raise ValueError("index must hold each pair of user and item once at most")
        numbers = index.data
        if numbers.dtype.kind not in "iu":
            raise TypeError(f"index must hold integers, got dtype {numbers.dtype}")
        n_documents = documents.shape[0]
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < n_documents:
            raise ValueError(
                f"index must hold document numbers from 0 to {n_documents - 1}, got values from "
                f"{numbers.min()} to {numbers.max()}"
            )
        self._set(index, documents)

    def _set(self, index, documents):
        for array in (index, documents):
            if issparse(array):
                for name in ("data", "indices", "indptr"):
                    setattr(array, name, read_only(getattr(array, name)))
        object.__setattr__(self, "index", index)
        object.__setattr__(
            self, "documents", documents if issparse(documents) else read_only(documents)
        )

    @classmethod
    def _of(cls, index, documents):
        """Make one of checked parts."""
        reviews = object.__new__(cls)
        reviews._set(index, documents)
        return reviews

    @classmethod
    def from_documents(cls, X, documents):
        """Take a document for each stored entry of a users x items matrix.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            The observations; of dense input, the non-zeros.
        documents : array-like of str or {array-like, sparse matrix} of shape (n_entries, n_terms)
            Texts, or counts of terms, in row-major order of `X`, that is aligned with
            ``csr_array(X).data``.

        Returns
        -------
        reviews : Reviews
        """
        if issparse(X):
            check_structure(X)
            X = csr_array(X)
        else:
            X = check_interactions(X)
        documents = as_documents(documents)
        if documents.shape[0] != X.nnz:
            raise ValueError(
                f"reviews are not aligned with X: there are {documents.shape[0]} documents for "
                f"{X.nnz} observed entries. Give one for each entry, in row-major order; where X "
                "is cut by cross-validation, give Reviews.from_documents(X, documents), which is "
                "cut along with it."
            )
        return cls(csr_array((np.arange(X.nnz), X.indices, X.indptr), shape=X.shape), documents)

    @classmethod
    def from_interactions(cls, interactions):
        """Take the reviews of `Interactions`, aligned with its ``X``.

        Parameters
        ----------
        interactions : Interactions
            With reviews.

        Returns
        -------
        reviews : Reviews
        """
        if interactions.reviews is None:
            raise ValueError(
                "the interactions have no reviews; name their column when the interactions are "
                "made: Interactions.from_frame(df, review=...)"
            )
        return cls.from_documents(interactions.X, interactions.reviews)

    @classmethod
    def from_frame(
        cls,
        df,
        *,
        user="user",
        item="item",
        review="review",
        value=None,
        timestamp=None,
        item_ids=None,
        duplicates="error",
    ):
        """Read the reviews of a data frame with one row per interaction.

        They are aligned with the ``X`` of :meth:`Interactions.from_frame` with the same arguments.

        Parameters
        ----------
        df : dataframe
            A pandas, polars or pyarrow table, or any other eager frame that narwhals supports.
        user, item : str, default="user", "item"
            Columns of the user and item ids.
        review : str, default="review"
            Column of review texts; a missing text is read as "".
        value : str, default=None
            Column of the values. It matters for ``duplicates="max"`` only.
        timestamp : str, default=None
            Column of numbers, dates or datetimes. It matters for ``duplicates`` only.
        item_ids : array-like of shape (n_items,), default=None
            The columns, in this order. With None, the items of the table in ascending order.
        duplicates : {"error", "last", "max"}, default="error"
            What becomes of several rows of one user and item.

        Returns
        -------
        reviews : Reviews
        """
        return cls.from_interactions(
            Interactions.from_frame(
                df,
                user=user,
                item=item,
                value=value,
                review=review,
                timestamp=timestamp,
                item_ids=item_ids,
                duplicates=duplicates,
            )
        )

    @property
    def shape(self):
        """Number of users and of items."""
        return self.index.shape

    def __len__(self):
        return self.shape[0]

    @property
    def entry_documents(self):
        """Texts (an array of str) or counts (csr_array) of all pairs, in row-major order."""
        return self.documents[self.index.data]

    def __getitem__(self, key):
        """Take users, or ``[:, items]``: by number, slice, numbers or mask."""
        key = key if isinstance(key, tuple) else (key, ...)  # scikit-learn writes [rows, ...]
        if len(key) == 2 and key[1] is ...:
            return self._of(self.index[_positions(key[0])], self.documents)
        if len(key) == 2 and isinstance(key[0], slice) and key[0] == slice(None):
            return self._of(self.index[:, _positions(key[1])].sorted_indices(), self.documents)
        raise TypeError(
            "reviews are cut by users or by items at a time, as in reviews[rows][:, items], got "
            f"{key!r}"
        )

    def aligned_with(self, X):
        """Keep the reviews of the entries of `X` only.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            A part of the entries that there are reviews of, such as one side of
            :func:`~skrec.model_selection.fold_in_split`.

        Returns
        -------
        reviews : Reviews

        Raises
        ------
        ValueError
            If there is no review of an entry of `X`.
        """
        X = check_interactions(X)
        self._check_shape(X)
        kept, wanted = _keys(self.index), _keys(X)
        position = np.searchsorted(kept, wanted)
        missing = kept[np.minimum(position, len(kept) - 1)] != wanted if len(kept) else wanted >= 0
        if missing.any():
            raise ValueError(
                f"reviews are not aligned with X: {missing.sum()} entries of X have none, the "
                f"first of them {_pair(wanted[missing][0], X)}. Give one for each entry, an empty "
                "one where nothing was written."
            )
        index = csr_array((self.index.data[position], X.indices, X.indptr), shape=X.shape)
        return self._of(index, self.documents)

    def _check_shape(self, X):
        if self.shape != X.shape:
            raise ValueError(
                f"reviews are not aligned with X: they are of {self.shape[0]} users x "
                f"{self.shape[1]} items, X of {X.shape[0]} x {X.shape[1]}. Cut them by the same "
                "users and items, as in reviews[users][:, items]."
            )

    def __reduce__(self):
        """Leave the documents of other rows behind."""
        numbers, position = np.unique(self.index.data, return_inverse=True)
        index = csr_array((position, self.index.indices, self.index.indptr), shape=self.shape)
        return Reviews, (index, self.documents[numbers])

    def __repr__(self):
        """Tell the sizes."""
        kind = "sets of counts" if issparse(self.documents) else "texts"
        return f"Reviews({self.shape[0]} users x {self.shape[1]} items, {self.index.nnz} {kind})"


def as_reviews(reviews, X, entries):
    """Turn what a caller gave as ``reviews`` into `Reviews` with just the entries of `X`.

    Parameters
    ----------
    reviews : Reviews, array-like of str, matrix of shape (n_entries, n_terms), or None
        None stands for those of `X`, if it is `Interactions` that has some.
    X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
        As the caller gave it.
    entries : csr_array of shape (n_users, n_items)
        The same, validated.

    Returns
    -------
    reviews : Reviews or None

    Raises
    ------
    ValueError
        If an entry has no review, or a review no entry.
    """
    if reviews is None:
        if not isinstance(X, Interactions) or X.reviews is None:
            return None
        reviews = X.reviews
    if not isinstance(reviews, Reviews):
        # Sorting the columns of X would lose the order of the documents.
        reviews = Reviews.from_documents(X if issparse(X) else entries, reviews)
    aligned = reviews.aligned_with(entries)
    if reviews.index.nnz > entries.nnz:
        kept = _keys(reviews.index)
        unobserved = kept[~np.isin(kept, _keys(entries), assume_unique=True)]
        raise ValueError(
            f"reviews are not aligned with X: {len(unobserved)} are of pairs that X has no entry "
            f"for, the first of them {_pair(unobserved[0], entries)}. Where they are held out, "
            "give reviews.aligned_with(X)."
        )
    return aligned


def reviews_option(reviews):
    """Keyword arguments that any estimator takes if it has nothing to do with reviews."""
    return {} if reviews is None else {"reviews": reviews}


def _keys(X):
    """One ascending number for each stored pair."""
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    return rows * X.shape[1] + X.indices


def _pair(key, X):
    user, item = divmod(int(key), X.shape[1])
    return f"(user {user}, item {item})"


def _positions(chosen):
    """What sparse arrays take for rows or columns; a single number becomes a list of one."""
    if isinstance(chosen, slice):
        return chosen
    numbers = np.asarray(chosen)
    if not numbers.size:
        numbers = numbers.astype(np.intp)
    if numbers.ndim > 1 or numbers.dtype.kind not in ("iub" if numbers.ndim else "iu"):
        raise TypeError(
            f"reviews are cut by a number, a slice, an array of numbers or a mask, got {chosen!r}"
        )
    return np.atleast_1d(numbers)


def as_documents(documents):
    """Convert to a one-dimensional array of texts, or to a csr_array of counts."""
    # Of a list of texts NumPy would make an array with room for the longest in each place.
    table = documents if hasattr(documents, "shape") else np.asarray(documents, dtype=object)
    n_dimensions = len(table.shape)
    if n_dimensions == 1 and not issparse(table):
        return as_texts(table)
    if n_dimensions != 2:
        raise TypeError(
            "documents must be a sequence of texts, or counts of terms with a row for each "
            f"document, got one {type(documents).__name__} of {n_dimensions} dimensions: make it "
            "a list"
        )
    if issparse(table):
        check_structure(table, "documents")
        return csr_array(table)
    try:
        return csr_array(np.asarray(table, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"documents of two dimensions must be counts of terms, numbers ({error}); give texts "
            "in one dimension, such as one column of a data frame"
        ) from error
