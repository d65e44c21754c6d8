"""Rated pairs of user and item, with the words written about them, cut by users or by items."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import csr_array, hstack
from sklearn.preprocessing import normalize

from skrec.neural._batches import RowStore, SparseBatch


@dataclass(frozen=True)
class RatedPairs:
    """Ratings, and the words of each.

    Parameters
    ----------
    ratings : csr_array of shape (n_users, n_items)
        Less their offsets, if any.
    words : csr_array of shape (n_entries, n_words) or None
        Counts, aligned with the entries of `ratings`.
    """

    ratings: csr_array
    words: csr_array | None

    @property
    def shape(self):
        return self.ratings.shape

    @property
    def n_words(self):
        return 0 if self.words is None else self.words.shape[1]


@dataclass(frozen=True)
class SideBatch:
    """Some users and all that they rated, or some items and all who rated them.

    Parameters
    ----------
    side : {"user", "item"}
        What a row is.
    inputs : SparseBatch
        Rows of ratings and words, for the encoder.
    ratings : SparseBatch
        Observed ratings; their columns number the elements of `others`.
    others : int64 tensor of shape (n_others,)
        Which of the other side are rated here.
    words : SparseBatch or None
        A row for each rating.
    scale : float
        Rows of this side for each pair in the data: what turns a mean over rows into one over
        pairs.
    n_total : int
        Rows in the batch over all processes.
    """

    side: str
    inputs: SparseBatch
    ratings: SparseBatch
    others: torch.Tensor
    words: SparseBatch | None
    scale: float
    n_total: int


class SideStore(torch.utils.data.Dataset):
    """Rated pairs as rows of one side; rows without a rating are left out of the batches.

    Parameters
    ----------
    side : {"user", "item"}
    ratings : csr_array of shape (n_rows, n_others)
    inputs : csr_array of shape (n_rows, n_others + n_words)
    entries : ndarray of int of shape (n_entries,)
        Row of `words` of each rating.
    words : RowStore or None
    device : torch.device
    """

    def __init__(self, side, ratings, inputs, entries, words, device):
        self.side = side
        self.rated = np.flatnonzero(np.diff(ratings.indptr))
        self.scale = len(self.rated) / ratings.nnz
        self.inputs = RowStore(inputs, device)
        self._ratings = RowStore(ratings, device)
        self._indptr = ratings.indptr
        self._entries = entries
        self._words = words

    def __len__(self):
        return len(self.rated)

    def batches(self, batch_size, order=None, process=0, n_processes=1):
        """Yield batches of about equal size, as rows of a batch are normalised by each other.

        Parameters
        ----------
        batch_size : int
            Most rows of a batch over all processes.
        order : ndarray of int, default=None
            Order of the rows that have ratings. None means as they stand.
        process, n_processes : int, default=(0, 1)
            Which share of each batch is cut here.
        """
        rows = self.rated if order is None else self.rated[order]
        for part in np.array_split(rows, -(-len(rows) // batch_size)):
            yield replace(self.cut(part[process::n_processes]), n_total=len(part))

    def cut(self, rows):
        """Take rows by their numbers."""
        ratings = self._ratings.cut(rows)
        others, columns = torch.unique(ratings.items, return_inverse=True)
        words = None
        if self._words is not None:
            lengths = np.diff(self._indptr)[rows]
            ends = np.cumsum(lengths)
            positions = np.arange(lengths.sum()) + np.repeat(
                self._indptr[rows] - (ends - lengths), lengths
            )
            words = self._words.cut(self._entries[positions])
        return SideBatch(
            side=self.side,
            inputs=self.inputs.cut(rows),
            ratings=replace(ratings, items=columns, n_items=len(others)),
            others=others,
            words=words,
            scale=self.scale,
            n_total=len(rows),
        )


class BothSides(torch.utils.data.Dataset):
    """Rated pairs from both sides.

    Parameters
    ----------
    pairs : RatedPairs
    scale_words : bool
        As of :func:`encoder_rows`.
    device : torch.device
    """

    def __init__(self, pairs, scale_words, device):
        words = None if pairs.words is None else RowStore(pairs.words, device)
        entries = np.arange(pairs.ratings.nnz)
        by_item = item_rows(pairs.ratings, entries)
        self.users = SideStore(
            "user",
            pairs.ratings,
            encoder_rows(pairs.ratings, sum_words(pairs.ratings, pairs.words), scale_words),
            entries,
            words,
            device,
        )
        ratings, item_words = rated_by_item(pairs, by_item)
        self.items = SideStore(
            "item",
            ratings,
            encoder_rows(ratings, item_words, scale_words),
            by_item.data,
            words,
            device,
        )
        self.n_pairs = pairs.ratings.nnz

    def __len__(self):
        return len(self.users)


def item_rows(ratings, values):
    """A value of each rating, as rows of items: a csr_array of shape (n_items, n_users)."""
    return csr_array((values, ratings.indices, ratings.indptr), shape=ratings.shape).T.tocsr()


def rated_by_item(pairs, by_item=None):
    """Ratings of each item, and sums of the words about it.

    Parameters
    ----------
    pairs : RatedPairs
    by_item : csr_array of shape (n_items, n_users), default=None
        Number of each rating; None means that it is still to be found.

    Returns
    -------
    ratings : csr_array of shape (n_items, n_users)
    words : csr_array of shape (n_items, n_words) or None
    """
    if by_item is None:
        by_item = item_rows(pairs.ratings, np.arange(pairs.ratings.nnz))
    ratings = csr_array(
        (pairs.ratings.data[by_item.data], by_item.indices, by_item.indptr), shape=by_item.shape
    )
    words = None if pairs.words is None else pairs.words[by_item.data]
    return ratings, sum_words(ratings, words)


def sum_words(ratings, words):
    """Add the words of all ratings of a row.

    Parameters
    ----------
    ratings : csr_array of shape (n_rows, n_columns)
    words : csr_array of shape (n_entries, n_words) or None

    Returns
    -------
    sums : csr_array of shape (n_rows, n_words) or None
    """
    if words is None:
        return None
    entries = np.arange(ratings.nnz)
    shape = (ratings.shape[0], ratings.nnz)
    ones = np.ones(ratings.nnz, dtype=words.dtype)
    return csr_array(csr_array((ones, entries, ratings.indptr), shape=shape) @ words)


def encoder_rows(ratings, words, scale_words):
    """Rows of ratings and words side by side.

    Parameters
    ----------
    ratings : csr_array of shape (n_rows, n_columns)
    words : csr_array of shape (n_rows, n_words) or None
        Sums of counts.
    scale_words : bool
        Whether to take logarithms of ``1 + count``, and to scale them to unit length.

    Returns
    -------
    rows : csr_array of shape (n_rows, n_columns + n_words)
    """
    if words is None:
        return ratings
    if scale_words:
        words = normalize(words.log1p())
    return csr_array(hstack([ratings, words], format="csr"))
