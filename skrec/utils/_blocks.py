"""Row blocks on threads, and exact top-k: how every model's scores are streamed."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from joblib import effective_n_jobs
from sklearn import get_config
from sklearn.utils import gen_batches
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

# Enough for the users of a block to share most of their items, and for the interpreter's share of
# the time to vanish; few enough for the scores of a block to stay in the last-level cache.
MAX_BLOCK_ROWS = 256


def effective_n_threads(n_jobs=None):
    """Number of threads behind an ``n_jobs`` parameter.

    Parameters
    ----------
    n_jobs : int, default=None
        None means as many as scikit-learn's own multi-threaded estimators use (all cores, less
        where ``OMP_NUM_THREADS`` or a joblib worker says so). Negative numbers count from the
        number of cores, as in joblib.

    Returns
    -------
    n_threads : int
    """
    if n_jobs is None:
        return _openmp_effective_n_threads()
    return effective_n_jobs(n_jobs)


def row_blocks(n_rows, row_bytes, n_threads=1, max_rows=MAX_BLOCK_ROWS):
    """Cut rows into slices whose working set fits scikit-learn's ``working_memory``.

    Parameters
    ----------
    n_rows : int
    row_bytes : int
        Bytes that the work on one row holds at its peak.
    n_threads : int, default=1
        Number of blocks in flight at a time.
    max_rows : int, default=MAX_BLOCK_ROWS
        Most rows of a block.

    Returns
    -------
    blocks : list of slice
    """
    affordable = int(get_config()["working_memory"] * 2**20 // (row_bytes * n_threads))
    return list(gen_batches(n_rows, max(1, min(affordable, max_rows))))


def map_blocks(function, blocks, n_threads=1):
    """Apply `function` to each block on a pool of threads and list the results in order.

    The first error stops the remaining blocks and is raised. BLAS keeps its own number of threads:
    that setting belongs to the whole process, and OpenBLAS does not let one thread undo what
    another has set, so calls that overlap could leave it changed for good.
    """
    n_threads = min(n_threads, len(blocks))
    if n_threads <= 1:
        return [function(block) for block in blocks]
    executor = ThreadPoolExecutor(n_threads)
    try:
        return list(executor.map(function, blocks))
    finally:
        executor.shutdown(cancel_futures=True)


def distinct_rows(X):
    """Find the rows that equal an earlier row, entry by entry.

    The last digits of a row's scores may depend on where in a block it stands: kernels treat the
    edges of a matrix apart, and vectors by their alignment. Rows that are scored once are equal.

    Parameters
    ----------
    X : csr_array of shape (n_rows, n_columns)

    Returns
    -------
    first : ndarray of int of shape (n_distinct,)
        Numbers of the rows that differ from all rows before them, ascending.
    place : ndarray of int of shape (n_rows,)
        Position in `first` of the row that each row equals.
    """
    lengths = np.diff(X.indptr)
    # Rows of equal sums of mixed bits are compared below.
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_mixed_bits(X))])
    _, first, place = np.unique(
        sums[X.indptr[1:]] - sums[X.indptr[:-1]], return_index=True, return_inverse=True
    )
    earliest = first[place]
    rows = np.arange(len(lengths))
    rows = rows[(earliest != rows) & (lengths[earliest] == lengths)]
    entries, others = _entries_of(X, rows), _entries_of(X, earliest[rows])
    differs = (X.indices[entries] != X.indices[others]) | (X.data[entries] != X.data[others])
    owners = np.repeat(np.arange(len(rows)), lengths[rows])
    rows = rows[np.bincount(owners[differs], minlength=len(rows)) == 0]
    equal = np.arange(len(lengths))
    equal[rows] = earliest[rows]
    return np.unique(equal, return_inverse=True)


def _mixed_bits(X):
    """A number for each entry, from its column and value."""
    mixed = X.data.view(f"u{X.data.itemsize}").astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed *= 2 * X.indices.astype(np.uint64) + np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0x94D049BB133111EB)
    return mixed


def _entries_of(X, rows):
    """Positions of the entries of rows, one row after another."""
    lengths = np.diff(X.indptr)[rows]
    ends = np.cumsum(lengths)
    return np.arange(lengths.sum()) + np.repeat(X.indptr[rows] - (ends - lengths), lengths)


def top_k(scores, k):
    """The `k` largest scores of each row, best first, ties by lower index.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_items)
        C-ordered floats; ``-inf`` marks what must not be chosen. NaN is an error.
    k : int

    Returns
    -------
    indices : ndarray of shape (n_rows, k)
        Padded with -1 where a row runs out of items.
    values : ndarray of shape (n_rows, k)
        Padded with ``-inf``.
    """
    n_rows, n_items = scores.shape
    n_kept = min(k, n_items)
    if n_kept == n_items:
        columns = np.broadcast_to(np.arange(n_items), scores.shape)
        values = scores
    else:
        columns, values = _largest_in_index_order(scores, n_kept)
    if np.isnan(values).any():
        raise ValueError(
            "The scores contain NaN, which has no rank: the model has diverged or overflowed. Fit "
            "it again, on data of smaller magnitude or in float64."
        )
    order = np.argsort(-values, axis=1, kind="stable")
    indices = np.full((n_rows, k), -1, dtype=np.intp)
    best = np.full((n_rows, k), -np.inf, dtype=scores.dtype)
    best[:, :n_kept] = np.take_along_axis(values, order, axis=1)
    indices[:, :n_kept] = np.take_along_axis(columns, order, axis=1)
    indices[best == -np.inf] = -1
    return indices, best


def _largest_in_index_order(scores, k):
    # Selecting the k-th value and comparing with it is several times faster than argpartition,
    # and shows which rows have a tie at the boundary.
    n_rows, n_items = scores.shape
    largest = np.partition(scores, n_items - k, axis=1)[:, n_items - k :]  # NaN counts as such
    if np.isnan(largest).any():
        return np.zeros((n_rows, k), dtype=np.intp), largest
    kth = largest[:, 0]
    flat = np.flatnonzero(scores >= kth[:, None])
    if len(flat) > n_rows * k:
        rows = flat // n_items
        tied = scores.ravel()[flat] == kth[rows]
        n_tied_wanted = k - np.bincount(rows[~tied], minlength=n_rows)
        running = np.concatenate([[0], np.cumsum(tied)])
        row_starts = np.searchsorted(rows, np.arange(n_rows))
        rank_in_row = running[1:] - running[row_starts][rows]
        flat = flat[~tied | (rank_in_row <= n_tied_wanted[rows])]
    values = scores.ravel()[flat].reshape(n_rows, k)
    return (flat % n_items).reshape(n_rows, k), values


def score_block(score_rows, block, X, reviews=None):
    """Call `score_rows` on a block of rows, and of what was read of their reviews, if anything."""
    return score_rows(X[block]) if reviews is None else score_rows(X[block], reviews[block])


def recommend_rows(score_rows, X, k, *, reviews=None, exclude_seen=True, items=None, n_threads=1):
    """Best `k` items of each row of `X`, streamed so that no users x items array exists.

    Parameters
    ----------
    score_rows : callable
        Takes a block of rows of `X`, returns a new C-ordered (n_block, n_items) float array.
    X : csr_array of shape (n_users, n_items)
    k : int
    reviews : object, default=None
        Cut along with the rows for a second argument of `score_rows`. None: there is none.
    exclude_seen : bool, default=True
        Leave out the stored entries of each row.
    items : ndarray of int, default=None
        Sorted candidate items; None means all.
    n_threads : int, default=1

    Returns
    -------
    indices : ndarray of shape (n_users, k)
    scores : ndarray of shape (n_users, k)
    """

    def best(block):
        rows = X[block]
        scores = score_block(score_rows, block, X, reviews)
        if exclude_seen:
            scores[
                np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr)), rows.indices
            ] = -np.inf
        if items is None:
            return top_k(scores, k)
        indices, values = top_k(np.take(scores, items, axis=1), k)
        return np.where(indices < 0, -1, items[indices]), values

    # scores, the partitioned copy, and the comparison
    blocks = row_blocks(X.shape[0], 3 * 8 * X.shape[1], n_threads)
    indices, scores = zip(*map_blocks(best, blocks, n_threads), strict=True)
    return np.concatenate(indices), np.concatenate(scores)
