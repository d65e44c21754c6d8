"""Mean deviations between the ratings of two items, and what they predict.

A table of them is a tuple (indptr, indices, deviations, support), as of a sparse matrix of items x
items that has two values: how much higher the item of the row is rated than that of the column,
and the weight of the users who have rated both.
"""

import numpy as np

from skrec.solvers._compiled import compiled
from skrec.utils._blocks import map_blocks, row_blocks
from skrec.utils._memory import check_memory

_PAIRS_AT_A_TIME = 2**14


def add_users(old, X, weights, shrinkage, n_threads=1):
    """Take in further users' ratings.

    Parameters
    ----------
    old : tuple of ndarray
        A table of deviations, without rows for none.
    X : csr_array of shape (n_users, n_items)
    weights : ndarray of shape (n_users,)
    shrinkage : float
    n_threads : int, default=1

    Returns
    -------
    table : tuple of ndarray
    """
    by_item = X.T.tocsr()
    rows, columns = ((part.indptr, part.indices, part.data) for part in (X, by_item))
    blocks = row_blocks(X.shape[1], 16 * X.shape[1], n_threads, max_rows=64)
    n_partners = np.zeros(X.shape[1], np.int64)
    arguments = rows, columns, weights, old

    def count(block):
        _count_partners(block.start, block.stop, *arguments, n_partners)

    map_blocks(count, blocks, n_threads)
    indptr = np.concatenate([[0], np.cumsum(n_partners)])
    n_entries, dtype = int(indptr[-1]), old[2].dtype
    number = np.int32 if n_entries <= np.iinfo(np.int32).max else np.int64
    check_memory(
        n_entries * (np.dtype(number).itemsize + 2 * dtype.itemsize),
        f"SlopeOne on {X.shape[1]} items with {n_entries} deviations between two of them",
        "leave out items that few have rated, with Interactions.filter(min_users_per_item=...), "
        "or use CoClustering",
    )
    new = indptr.astype(number), np.empty(n_entries, number), *np.empty((2, n_entries), dtype)

    def fill(block):
        _fill_deviations(block.start, block.stop, *arguments, shrinkage, new)

    map_blocks(fill, blocks, n_threads)
    if not np.isfinite(new[3].max(initial=0)):
        raise ValueError(
            f"sample_weight must have sums over users that {dtype} can hold: divide all weights "
            "by a common factor."
        )
    return new


def rate_pairs(users, items, rows, table, weighted, scores, n_threads=1):
    """Rate single items for users that have ratings; the scores of the others are left alone.

    Parameters
    ----------
    users, items : ndarray of int of shape (n_pairs,)
    rows : tuple of (indptr, indices, data)
        Of the users.
    table : tuple of ndarray
    weighted : bool
    scores : ndarray of shape (n_pairs,)
        Written to.
    n_threads : int, default=1
    """
    order = np.argsort(users, kind="stable")

    def rate(block):
        pairs = order[block]
        _rate_pairs(pairs, users, items, rows, table, weighted, scores)

    map_blocks(rate, row_blocks(len(order), 1, n_threads, _PAIRS_AT_A_TIME), n_threads)


@compiled
def _count_partners(first, last, rows, by_item, weights, old, n_partners):
    """For items from `first` to before `last`, the number of items with a common user."""
    indptr, indices, _ = rows
    item_indptr, users, _ = by_item
    old_indptr, old_indices, _, _ = old
    last_seen = np.full(len(item_indptr) - 1, -1, np.int64)
    for item in range(first, last):
        n_found = 0
        if item < len(old_indptr) - 1:
            for place in range(old_indptr[item], old_indptr[item + 1]):
                last_seen[old_indices[place]] = item
                n_found += 1
        for place in range(item_indptr[item], item_indptr[item + 1]):
            user = users[place]
            if weights[user] == 0:
                continue
            for entry in range(indptr[user], indptr[user + 1]):
                other = indices[entry]
                if last_seen[other] != item:
                    last_seen[other] = item
                    n_found += 1
        n_partners[item] = n_found


@compiled
def _fill_deviations(first, last, rows, by_item, weights, old, shrinkage, new):
    """The table's rows of these items, of the users and of those in an old table."""
    indptr, indices, ratings = rows
    item_indptr, users, item_ratings = by_item
    old_indptr, old_indices, old_deviations, old_support = old
    new_indptr, new_indices, new_deviations, new_support = new
    n_items = len(item_indptr) - 1
    sums, support = np.zeros(n_items), np.zeros(n_items)
    smallest = np.finfo(new_support.dtype).tiny
    for item in range(first, last):
        if item < len(old_indptr) - 1:
            for place in range(old_indptr[item], old_indptr[item + 1]):
                other, weight = old_indices[place], np.float64(old_support[place])
                support[other] = weight
                sums[other] = old_deviations[place] * (weight + shrinkage)
        for place in range(item_indptr[item], item_indptr[item + 1]):
            user = users[place]
            weight = weights[user]
            if weight == 0:
                continue
            rating = np.float64(item_ratings[place])
            for entry in range(indptr[user], indptr[user + 1]):
                other = indices[entry]
                sums[other] += weight * (rating - ratings[entry])
                support[other] += weight
        place = new_indptr[item]
        for other in range(n_items):
            if support[other] > 0:
                new_indices[place] = other
                new_deviations[place] = sums[other] / (support[other] + shrinkage)
                new_support[place] = max(support[other], smallest)
                sums[other] = support[other] = 0
                place += 1


@compiled
def rate_rows(rows, table, weighted, scores):
    """Rate all items for each row that has ratings."""
    indptr, indices, ratings = rows
    table_indptr, table_indices, deviations, support = table
    n_items = scores.shape[1]
    sums, shares = np.empty(n_items), np.empty(n_items)
    for row in range(len(scores)):
        start, stop = indptr[row], indptr[row + 1]
        if start == stop:
            continue
        mean = _mean(ratings, start, stop)
        sums[:] = 0
        shares[:] = 0
        for entry in range(start, stop):
            other, above = indices[entry], ratings[entry] - mean
            for place in range(table_indptr[other], table_indptr[other + 1]):
                item = table_indices[place]
                if weighted:
                    # The deviation of the other from this item is that of this one, negated.
                    sums[item] += support[place] * (above - deviations[place])
                    shares[item] += support[place]
                else:
                    sums[item] -= deviations[place]
                    shares[item] += 1
        for item in range(n_items):
            scores[row, item] = mean + (sums[item] / shares[item] if shares[item] > 0 else 0.0)


@compiled
def _rate_pairs(pairs, users, items, rows, table, weighted, scores):
    """Rate these pairs, of which those of one user stand side by side."""
    indptr, indices, ratings = rows
    table_indptr, table_indices, deviations, support = table
    above, is_rated = np.zeros(len(table_indptr) - 1), np.zeros(len(table_indptr) - 1)
    user, start, stop, mean = -1, 0, 0, 0.0
    for pair in pairs:
        if users[pair] != user:
            for entry in range(start, stop):
                is_rated[indices[entry]] = 0
            user = users[pair]
            start, stop = indptr[user], indptr[user + 1]
            mean = _mean(ratings, start, stop)
            for entry in range(start, stop):
                is_rated[indices[entry]] = 1
                above[indices[entry]] = ratings[entry] - mean
        if start == stop:
            continue
        total = share = 0.0
        for place in range(table_indptr[items[pair]], table_indptr[items[pair] + 1]):
            other = table_indices[place]
            if weighted:
                weight = is_rated[other] * support[place]
                total += weight * (above[other] + deviations[place])
                share += weight
            else:
                total += is_rated[other] * deviations[place]
                share += is_rated[other]
        scores[pair] = mean + (total / share if share > 0 else 0.0)


@compiled
def _mean(ratings, start, stop):
    total = 0.0
    for entry in range(start, stop):
        total += ratings[entry]
    return total / max(stop - start, 1)
