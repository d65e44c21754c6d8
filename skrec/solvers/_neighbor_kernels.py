"""The compiled loops behind neighbours of ratings: similarities, and means over the nearest."""

import numpy as np

from skrec.solvers._compiled import compiled
from skrec.solvers._product_kernels import _sift_down

COSINE, DIFFERENCES, CORRELATION = range(3)
# Sums for a pair: of all the number of common entries, and then of the products and both squares,
# of the squared differences, or of the products, both squares and both values.
_N_SUMS = 4, 2, 6

# Correlations below are rounding of 0.
_SMALLEST_CORRELATION = 1e-9
# The part of a sum of squares about a mean that may be its rounding, for each entry.
_ROUNDING = 1e-13
# Leaves 32 of the 53 digits: similarities that differ by rounding alone tie.
_SPLIT = 2.0**21 + 1


@compiled
def _add_common(row, kind, left, right, sums, touched):
    """Sum over what a row shares with each column; return how many do, listed in `touched`."""
    left_indptr, left_indices, left_data = left
    right_indptr, right_indices, right_data = right
    n_touched = 0
    for entry in range(left_indptr[row], left_indptr[row + 1]):
        inner, a = left_indices[entry], left_data[entry]
        for place in range(right_indptr[inner], right_indptr[inner + 1]):
            column, b = right_indices[place], right_data[place]
            found = sums[column]
            if found[0] == 0:
                touched[n_touched] = column
                n_touched += 1
            found[0] += 1
            if kind == DIFFERENCES:
                found[1] += (a - b) * (a - b)
            else:
                found[1] += a * b
                found[2] += a * a
                found[3] += b * b
                if kind == CORRELATION:
                    found[4] += a
                    found[5] += b
    return n_touched


@compiled
def _similarity(found, kind, scale):
    """Of two whose common entries have these sums."""
    if kind == DIFFERENCES:
        return 1 / (found[1] / found[0] / scale / scale + 1)
    n, product, left, right = found[0], found[1], found[2], found[3]
    if kind == CORRELATION:
        left, right = n * left, n * right
        smallest_left, smallest_right = n * _ROUNDING * left, n * _ROUNDING * right
        product = n * product - found[4] * found[5]
        left -= found[4] * found[4]
        right -= found[5] * found[5]
        if left <= smallest_left or right <= smallest_right:
            return 0.0
    elif left == 0 or right == 0:
        return 0.0
    correlation = product / (np.sqrt(left) * np.sqrt(right))
    return correlation if correlation > _SMALLEST_CORRELATION else 0.0


@compiled
def similarities(first, last, left, right, n_columns, rule):
    """Positive similarities of some rows: how many each row has, and their columns and values."""
    kind, scale, min_support, shrinkage = rule
    capacity = 0
    for row in range(first, last):
        n_shared = 0
        for entry in range(left[0][row], left[0][row + 1]):
            n_shared += right[0][left[1][entry] + 1] - right[0][left[1][entry]]
        capacity += min(n_columns, n_shared)
    lengths = np.zeros(last - first, dtype=np.int64)
    columns = np.empty(capacity, dtype=np.int32)
    values = np.empty(capacity)
    sums = np.zeros((n_columns, _N_SUMS[kind]))
    touched = np.empty(n_columns, dtype=np.int32)
    n_found = 0
    for row in range(first, last):
        n_before = n_found
        for column in touched[: _add_common(row, kind, left, right, sums, touched)]:
            found = sums[column]
            if found[0] >= min_support:
                value = _similarity(found, kind, scale)
                if shrinkage > 0:
                    value *= (found[0] - 1) / (found[0] - 1 + shrinkage)
                if value > 0:
                    large = value * _SPLIT
                    columns[n_found], values[n_found] = column, large - (large - value)
                    n_found += 1
            found[:] = 0
        lengths[row - first] = n_found - n_before
    return lengths, columns[:n_found], values[:n_found]


@compiled
def _bring_to_front(k, values, entries, size):
    """Exchange until the `k` largest values come first; of equal ones, those that came first."""
    for place in range(k // 2 - 1, -1, -1):
        _sift_down(values, entries, k, place)
    for place in range(k, size):
        if values[place] > values[0]:  # the smallest that is kept, and the latest of these
            values[0], entries[0] = values[place], entries[place]
            _sift_down(values, entries, k)


@compiled
def neighbor_means(
    starts, stops, out_starts, asked, near, known, n_columns, k, min_neighbors, out
):
    """Means over the nearest, for each group and the rows of `known` that it asks for.

    A group's row of `near` has its similarities to the columns of `known`. Of the entries of an
    asked row the `k` most similar count; of equally similar ones those that come first.
    """
    near_indptr, near_indices, near_data = near
    known_indptr, known_indices, known_data = known
    similar = np.zeros(n_columns)
    values, entries = np.empty(n_columns + 1), np.empty(n_columns + 1, dtype=np.int64)
    for group in range(len(starts)):
        for place in range(near_indptr[group], near_indptr[group + 1]):
            similar[near_indices[place]] = near_data[place]
        for place in range(starts[group], stops[group]):
            row = asked[place]
            size = 0
            for entry in range(known_indptr[row], known_indptr[row + 1]):
                value = similar[known_indices[entry]]
                values[size], entries[size] = value, entry
                size += value > 0  # a branch would take longer
            if size > k:
                _bring_to_front(k, values, entries, size)
                size = k
            if size >= min_neighbors:
                total = weighted = 0.0
                for number in range(size):
                    total += values[number]
                    weighted += values[number] * known_data[entries[number]]
                out[out_starts[group] + place - starts[group]] = weighted / total
        for place in range(near_indptr[group], near_indptr[group + 1]):
            similar[near_indices[place]] = 0
