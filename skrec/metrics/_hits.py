"""Where recommended lists meet held-out entries, and what each user's metrics make of it."""

from typing import NamedTuple

import numpy as np

# Bytes of the lookup table below: small enough to stay in cache.
_TABLE_SIZE = 2**21


class Hits(NamedTuple):
    """Where recommended lists meet the held-out entries: all that the metrics need."""

    rows: np.ndarray  # (n_hits,) user of each hit, ascending
    ranks: np.ndarray  # (n_hits,) its column in `recommended`, ascending within a user
    n_targets: np.ndarray  # (n_users,) length of the ideal list
    counts: np.ndarray  # (n_users,) whether the user counts in averages


def find_hits(recommended, held_out, relevance=None, rated_only=False):
    """Look every recommended item up among the held-out entries.

    Parameters
    ----------
    recommended : ndarray of int of shape (n_users, k)
        Each in [-1, n_items).
    held_out : csr_array of shape (n_users, n_items)
        In canonical format.
    relevance : float, default=None
    rated_only : bool, default=False

    Returns
    -------
    hits : Hits
    """
    n_users, n_items = held_out.shape
    rows = np.repeat(np.arange(n_users), np.diff(held_out.indptr))
    relevant = np.ones(held_out.nnz, bool) if relevance is None else held_out.data >= relevance
    n_rows = max(1, _TABLE_SIZE // (n_items + 1))
    # A row of the table says of each item: 0 not held out, 1 held out, 2 relevant. The first
    # column stands for the padding.
    table = np.zeros(n_rows * (n_items + 1), np.int8)
    state = np.empty(recommended.shape, np.int8)
    for start in range(0, n_users, n_rows):
        stop = min(start + n_rows, n_users)
        entries = slice(held_out.indptr[start], held_out.indptr[stop])
        cells = (rows[entries] - start) * (n_items + 1) + held_out.indices[entries] + 1
        table[cells] = 1 + relevant[entries]
        offsets = np.arange(stop - start)[:, None] * (n_items + 1) + 1
        np.take(table, recommended[start:stop] + offsets, out=state[start:stop], mode="clip")
        table[cells] = 0

    n_relevant = np.bincount(rows[relevant], minlength=n_users)
    n_held_out = np.diff(held_out.indptr)
    hit_rows, ranks = np.nonzero(state == 2)
    _check_hits(recommended, state, hit_rows, ranks, n_items, rated_only)
    if rated_only:
        return Hits(hit_rows, ranks, n_held_out, n_held_out >= 2)
    return Hits(hit_rows, ranks, n_relevant, n_relevant >= 1)


def _check_hits(recommended, state, rows, ranks, n_items, rated_only):
    # Only a repeated hit changes a metric of hits, and hits are few.
    keys = np.sort(rows * n_items + recommended[rows, ranks])
    repeated = keys[1:][keys[1:] == keys[:-1]]
    if repeated.size:
        row, item = divmod(int(repeated[0]), n_items)
        raise ValueError(
            f"recommended lists an item at most once per row, but row {row} repeats item {item}."
        )
    if rated_only:
        foreign = np.argwhere((state == 0) & (recommended >= 0))
        if foreign.size:
            row, rank = foreign[0]
            raise ValueError(
                "rated_only=True is about the order of the user's own held-out items, but row "
                f"{row} of recommended has item {recommended[row, rank]}, which is not held out: "
                "rank the held-out items only, or use rated_only=False."
            )


def _sum_by_user(hits, k, gains):
    within = hits.ranks < k
    return np.bincount(hits.rows[within], gains[within], minlength=len(hits.n_targets))


def ndcg_by_user(hits, k):
    ideal_length = np.minimum(hits.n_targets, k)
    discounts = 1 / np.log2(np.arange(2, max(ideal_length.max(), hits.ranks.max(initial=0)) + 3))
    ideal = np.cumsum(discounts)[np.maximum(ideal_length, 1) - 1]
    return _sum_by_user(hits, k, discounts[hits.ranks]) / ideal


def recall_by_user(hits, k, truncated=True):
    length = np.minimum(hits.n_targets, k) if truncated else hits.n_targets
    return _sum_by_user(hits, k, np.ones(len(hits.rows))) / np.maximum(length, 1)


def precision_by_user(hits, k):
    return _sum_by_user(hits, k, np.ones(len(hits.rows))) / k


def average_precision_by_user(hits, k):
    starts = np.searchsorted(hits.rows, np.arange(len(hits.n_targets)))
    ordinals = np.arange(1, len(hits.rows) + 1) - starts[hits.rows]
    length = np.maximum(np.minimum(hits.n_targets, k), 1)
    return _sum_by_user(hits, k, ordinals / (hits.ranks + 1)) / length


def reciprocal_rank_by_user(hits, k):
    first = np.diff(hits.rows, prepend=-1) > 0
    return _sum_by_user(hits, k, first / (hits.ranks + 1))


def hit_rate_by_user(hits, k):
    return np.minimum(_sum_by_user(hits, k, np.ones(len(hits.rows))), 1.0)


def average(values):
    """Mean over the users that count (those without NaN)."""
    counted = values[~np.isnan(values)]
    if not counted.size:
        raise ValueError(
            f"None of the {len(values)} users counts in the average: each lacks a relevant "
            "held-out entry (two held-out entries for rated_only=True) or has an empty list. Hold "
            "out more of each row, or lower relevance."
        )
    return float(counted.mean())
