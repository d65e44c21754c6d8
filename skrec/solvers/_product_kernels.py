"""The compiled loops behind products of sparse matrices: rows are added up, cut and forgotten."""

import numpy as np

from skrec.solvers._compiled import compiled


@compiled
def _add_products(row, left, right, sums, is_touched, touched):
    """Add up a row of the product; return how many columns have one, listed in `touched`."""
    left_indptr, left_indices, left_data = left
    right_indptr, right_indices, right_data = right
    n_touched = 0
    for entry in range(left_indptr[row], left_indptr[row + 1]):
        factor = left_data[entry]
        inner = left_indices[entry]
        for place in range(right_indptr[inner], right_indptr[inner + 1]):
            column = right_indices[place]
            if not is_touched[column]:
                is_touched[column] = True
                touched[n_touched] = column
                n_touched += 1
            sums[column] += factor * right_data[place]
    return n_touched


@compiled
def _is_worse(value, column, other_value, other_column):
    return value < other_value or (value == other_value and column > other_column)


@compiled
def _sift_down(values, columns, size, place=0):
    """Restore a heap whose worst entry is first, after one was replaced, by default the first."""
    value, column = values[place], columns[place]
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and _is_worse(
            values[child + 1], columns[child + 1], values[child], columns[child]
        ):
            child += 1
        if not _is_worse(values[child], columns[child], value, column):
            break
        values[place], columns[place] = values[child], columns[child]
        place = child
    values[place], columns[place] = value, column


@compiled
def _offer(value, column, values, columns, size):
    """Keep an entry if it is among the best; return how many are kept."""
    if size == len(values):
        if _is_worse(values[0], columns[0], value, column):
            values[0], columns[0] = value, column
            _sift_down(values, columns, size)
        return size
    place = size
    while place > 0:
        parent = (place - 1) // 2
        if not _is_worse(value, column, values[parent], columns[parent]):
            break
        values[place], columns[place] = values[parent], columns[parent]
        place = parent
    values[place], columns[place] = value, column
    return size + 1


@compiled
def _sort_best_first(values, columns, size):
    for end in range(size - 1, 0, -1):
        values[0], values[end] = values[end], values[0]
        columns[0], columns[end] = columns[end], columns[0]
        _sift_down(values, columns, end)


@compiled
def largest_entries(first, last, k, left, right, names, diagonal, denominator):
    n_columns = len(names)
    sums = np.zeros(n_columns, dtype=left[2].dtype)
    is_touched = np.zeros(n_columns, dtype=np.bool_)
    touched = np.empty(n_columns, dtype=np.int32)
    chosen = np.full((last - first, k), -1, dtype=np.int32)
    largest = np.zeros((last - first, k), dtype=left[2].dtype)
    for row in range(first, last):
        columns, values = chosen[row - first], largest[row - first]
        n_touched = _add_products(row, left, right, sums, is_touched, touched)
        size = 0
        for column in touched[:n_touched]:
            value = sums[column]
            is_touched[column] = False
            if denominator is not None:
                rows, factors, row_terms, column_terms, overlap = denominator
                divisor = rows[row] * factors[column] + row_terms[row] + column_terms[column]
                divisor -= overlap * value
                value = value / divisor if divisor > 0 else 0.0
            sums[column] = value
            value = sums[column]  # in the precision in which it is kept and compared
            sums[column] = 0
            is_wanted = value > 0 and (size < k or value >= values[0])
            if is_wanted and (diagonal or names[column] != row):
                size = _offer(value, names[column], values, columns, size)
    return chosen, largest


@compiled
def best_of_products(k, left, right, is_open, blocked, allowed):
    n_rows, n_columns = len(left[0]) - 1, len(is_open)
    sums = np.zeros(n_columns, dtype=left[2].dtype)
    is_touched = np.zeros(n_columns, dtype=np.bool_)
    touched = np.empty(n_columns, dtype=np.int32)
    is_free = is_open.copy()
    chosen = np.full((n_rows, k), -1, dtype=np.intp)
    best = np.full((n_rows, k), -np.inf, dtype=left[2].dtype)
    is_finite = True
    for row in range(n_rows):
        columns, values = chosen[row], best[row]
        n_touched = _add_products(row, left, right, sums, is_touched, touched)
        if blocked is not None:
            for indptr, indices in blocked:
                for column in indices[indptr[row] : indptr[row + 1]]:
                    is_free[column] = False
        size = 0
        if allowed is not None:
            for column in allowed[1][allowed[0][row] : allowed[0][row + 1]]:
                if is_free[column]:
                    size = _offer(sums[column], column, values, columns, size)
        else:
            for column in touched[:n_touched]:
                if sums[column] > 0 and is_free[column]:
                    size = _offer(sums[column], column, values, columns, size)
            if size < k:  # those without a product come next, before negative ones
                size = 0
                for column in range(n_columns):
                    if is_free[column]:
                        size = _offer(sums[column], column, values, columns, size)
        _sort_best_first(values, columns, size)
        if blocked is not None:
            for indptr, indices in blocked:
                for column in indices[indptr[row] : indptr[row + 1]]:
                    is_free[column] = is_open[column]
        for column in touched[:n_touched]:
            is_finite &= np.isfinite(sums[column])
            sums[column] = 0
            is_touched[column] = False
    if not is_finite:
        best[:] = np.nan
    return chosen, best


@compiled
def add_to_dense(left, right, product):
    left_indptr, left_indices, left_data = left
    right_indptr, right_indices, right_data = right
    for row in range(len(product)):
        sums = product[row]
        for entry in range(left_indptr[row], left_indptr[row + 1]):
            factor = left_data[entry]
            inner = left_indices[entry]
            for place in range(right_indptr[inner], right_indptr[inner + 1]):
                sums[right_indices[place]] += factor * right_data[place]
