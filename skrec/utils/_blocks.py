"""Row blocks on threads, and exact top-k: how every model's scores are streamed."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from joblib import effective_n_jobs
from scipy.sparse import csr_array, issparse
from sklearn import get_config
from sklearn.utils import gen_batches

from skrec.utils._compat import openmp_effective_n_threads

# Enough for the users of a block to share most of their items, and for the interpreter's share of
# the time to vanish; few enough for the scores of a block to stay in the last-level cache.
MAX_BLOCK_ROWS = 256
# Scores of a block, beyond which memory would be taken from the system anew for each.
_BLOCK_SCORES = 2**23
# Scores that are ranked at a time: what is made of them stays in the cache, and in memory that
# the process has already.
_RANKED = 2**20


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
        return openmp_effective_n_threads()
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


def score_blocks(n_rows, n_items, n_threads=1):
    """Blocks of rows whose scores of all items are computed and ranked at a time.

    Parameters
    ----------
    n_rows, n_items : int
    n_threads : int, default=1

    Returns
    -------
    blocks : list of slice
    """
    max_rows = min(MAX_BLOCK_ROWS, max(1, _BLOCK_SCORES // n_items))
    # Scores, and of those that are ranked at a time a partitioned copy and the comparison.
    return row_blocks(n_rows, 3 * 8 * n_items, n_threads, max_rows)


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
    best_columns, best_values = _best(scores, min(k, scores.shape[1]))
    n_rows, n_kept = best_columns.shape
    indices = np.full((n_rows, k), -1, dtype=np.intp)
    values = np.full((n_rows, k), -np.inf, dtype=scores.dtype)
    indices[:, :n_kept] = best_columns
    values[:, :n_kept] = best_values
    return indices, values


def _best(scores, n_kept):
    """`top_k` for as many columns as there are at most, without padding."""
    n_rows, n_items = scores.shape
    if scores.size > _RANKED and n_rows > 1:
        parts = [
            _best(scores[rows], n_kept) for rows in gen_batches(n_rows, max(1, _RANKED // n_items))
        ]
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))
    if n_kept == n_items:
        columns = np.broadcast_to(np.arange(n_kept), scores.shape)
        values = scores
    else:
        columns, values = _largest_in_index_order(scores, n_kept)
    if np.isnan(values).any():
        raise ValueError(
            "The scores contain NaN, which has no rank: the model has diverged or overflowed. Fit "
            "it again, on data of smaller magnitude or in float64."
        )
    order = np.argsort(-values, axis=1, kind="stable")
    values = np.take_along_axis(values, order, axis=1)
    columns = np.take_along_axis(columns, order, axis=1)
    columns[values == -np.inf] = -1
    return columns, values


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


def distinct_rows(X, reviews=None):
    """Keep one of the rows that are equal, so that they get equal scores whatever computes them.

    Products of matrices, and functions of the elements of an array, may differ in the last digit
    between the end of an array and the rest of it.

    Parameters
    ----------
    X : csr_array of shape (n_rows, n_items)
        Sorted, without duplicates.
    reviews : sparse matrix of n_rows rows, default=None
        Rows are equal only if theirs are. None: there is none. Of anything else but a sparse
        matrix nothing is known, and all rows are kept.

    Returns
    -------
    X : csr_array of shape (n_distinct, n_items)
    reviews : sparse matrix of n_distinct rows or None
    positions : ndarray of int of shape (n_rows,) or None
        Where each row is found; None if all are kept, in their order.
    """
    if X.shape[0] == 1 or (reviews is not None and not issparse(reviews)):
        return X, reviews, None
    parts = [X] if reviews is None else [X, csr_array(reviews)]
    hashes = sum(_row_hashes(part, seed) for seed, part in enumerate(parts))
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    first = first[inverse]
    kept = np.unique(first)
    again = np.flatnonzero(first != np.arange(len(first)))
    if len(again) == 0 or not all(_are_equal(part[again], part[first[again]]) for part in parts):
        return X, reviews, None  # all distinct, or, once in 10^9 times, a hash that hides it
    reviews = None if reviews is None else reviews[kept]
    return X[kept], reviews, np.searchsorted(kept, first)


def _row_hashes(X, seed):
    """A 64-bit hash of each row: the sum of those of its entries (splitmix64)."""
    sums = np.zeros(X.nnz + 1, dtype=np.uint64)
    for start in range(0, X.nnz, 2**15):  # so that what is computed stays in the cache
        entries = slice(start, start + 2**15)
        hashes = X.data[entries].astype(np.float64).view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        hashes += X.indices[entries].astype(np.uint64) * np.uint64(0xD1B54A32D192ED03)
        hashes += np.uint64(seed + 1)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
            hashes ^= hashes >> np.uint64(shift)
            hashes *= np.uint64(factor)
        sums[1:][entries] = hashes
    np.cumsum(sums, out=sums)
    return sums[X.indptr[1:]] - sums[X.indptr[:-1]]


def _are_equal(A, B):
    parts = [(getattr(A, name), getattr(B, name)) for name in ("indptr", "indices", "data")]
    return all(np.array_equal(*pair) for pair in parts)


def score_block(score_rows, block, X, reviews=None):
    """Call `score_rows` on a block of rows, and of what was read of their reviews, if anything."""
    return score_rows(X[block]) if reviews is None else score_rows(X[block], reviews[block])


def recommend_rows(
    score_rows,
    X,
    k,
    *,
    reviews=None,
    exclude_seen=True,
    items=None,
    exclude=None,
    return_scores=False,
    n_threads=1,
):
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
    items : ndarray of intp or csr_array of shape (n_users, n_items), default=None
        Sorted candidate items, or the stored entries of each user's row; None means all.
    exclude : ndarray of intp or csr_array of shape (n_users, n_items), default=None
        Items that are left out, in the same forms; None means none.
    return_scores : bool, default=False
    n_threads : int, default=1

    Returns
    -------
    indices : ndarray of shape (n_users, k)
    scores : ndarray of shape (n_users, k)
        Only if ``return_scores=True``.
    """
    n_users, n_items = X.shape
    X, reviews, positions = distinct_rows(X, reviews)
    candidates = None if items is None or issparse(items) else items
    n_kept = min(k, n_items if candidates is None else len(candidates))
    per_user = issparse(items) or issparse(exclude)
    if per_user and positions is not None:  # users of equal rows share scores, but not rules
        order = np.argsort(positions, kind="stable")
        starts = np.searchsorted(positions, np.arange(X.shape[0] + 1), sorter=order)
    n_lists = n_users if per_user else X.shape[0]
    indices = np.full((n_lists, k), -1, dtype=np.intp)

    def best(block):
        rows = X[block]
        scores = score_rows(rows) if reviews is None else score_rows(rows, reviews[block])
        if exclude_seen:
            scores[_entries(rows)] = -np.inf
        if not per_user or positions is None:
            return [choose(block, scores)]
        users = order[starts[block.start] : starts[block.stop]]
        parts = np.split(users, np.arange(len(scores), len(users), len(scores)))
        return [choose(part, scores[positions[part] - block.start]) for part in parts]

    def choose(users, scores):
        """List the best for these rows of `indices`; return the rows and the scores."""
        if issparse(exclude):
            scores[_entries(exclude[users])] = -np.inf
        elif exclude is not None:
            scores[:, exclude] = -np.inf
        if issparse(items):
            allowed = _entries(items[users])
            kept = scores[allowed]
            scores.fill(-np.inf)
            scores[allowed] = kept
        if candidates is not None:
            scores = np.take(scores, candidates, axis=1)
        columns, values = _best(scores, n_kept)
        if candidates is not None:
            columns = np.where(columns < 0, -1, candidates[columns])
        indices[users, :n_kept] = columns
        return users, values if return_scores else None

    blocks = score_blocks(X.shape[0], n_items, n_threads)
    chosen = [part for parts in map_blocks(best, blocks, n_threads) for part in parts]
    answers = [indices]
    if return_scores:
        answers.append(np.full((n_lists, k), -np.inf, dtype=chosen[0][1].dtype))
        for users, values in chosen:
            answers[1][users, :n_kept] = values
    if positions is not None and not per_user:
        answers = [answer[positions] for answer in answers]
    return tuple(answers) if return_scores else answers[0]


def _entries(rows):
    """Where the stored entries of a csr_array stand."""
    return np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr)), rows.indices
