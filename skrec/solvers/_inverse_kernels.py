"""The compiled loops behind the sparse approximate inverse: a small regression for each column."""

import numpy as np

from skrec.solvers._compiled import compiled
from skrec.solvers._product_kernels import _offer


@compiled
def _products_before(i, rows, columns, head, sums, met, touched):
    """Inner products of column `i` with those before it; return how many `touched` lists."""
    if i < len(head):
        for column in range(i):
            touched[column], sums[column] = column, head[column, i]
        return i
    row_indptr, row_indices, row_data = rows
    column_indptr, column_indices, column_data = columns
    n_touched = 0
    for entry in range(column_indptr[i], column_indptr[i + 1]):
        row, factor = column_indices[entry], column_data[entry]
        for place in range(row_indptr[row], row_indptr[row + 1]):
            column = row_indices[place]
            if column >= i:
                break
            if met[column] != i:
                met[column] = i
                sums[column] = 0
                touched[n_touched] = column
                n_touched += 1
            sums[column] += factor * row_data[place]
    return n_touched


@compiled
def _sort(values):
    for end in range(1, len(values)):
        value, place = values[end], end
        while place > 0 and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value


@compiled
def _fill_gram(names, columns, head, latest, chain, gram):
    """Inner products of some columns, below the diagonal of `gram`.

    Those of two columns of the head are known. The others' entries are chained by their row, and
    met by all that come after and by the head's: only pairs that have a row in common cost.
    """
    indptr, indices, data = columns
    earlier, places, values = chain
    n_head = 0
    while n_head < len(names) and names[n_head] < len(head):
        n_head += 1
    for place in range(n_head):
        for other in range(place):
            gram[place, other] = head[names[other], names[place]]
    n_entries = 0
    for place in range(n_head, len(names)):
        for other in range(place):
            gram[place, other] = 0
        for entry in range(indptr[names[place]], indptr[names[place] + 1]):
            row, value = indices[entry], data[entry]
            link = latest[row]
            while link >= 0:
                gram[place, places[link]] += value * values[link]
                link = earlier[link]
            earlier[n_entries], places[n_entries], values[n_entries] = latest[row], place, value
            latest[row] = n_entries
            n_entries += 1
    if n_entries:
        for place in range(n_head):
            for entry in range(indptr[names[place]], indptr[names[place] + 1]):
                link = latest[indices[entry]]
                while link >= 0:
                    gram[places[link], place] += data[entry] * values[link]
                    link = earlier[link]
    for place in range(n_head, len(names)):
        for entry in range(indptr[names[place]], indptr[names[place] + 1]):
            latest[indices[entry]] = -1


@compiled
def _regress_last(size, gram, diagonal, weights):
    """Regress the last of `size` columns on the others; return the residual's square.

    The Gram matrix stands below the diagonal and stays; its factor is written on and above it.
    """
    for i in range(size):
        line = gram[i, i:size]
        line[0] = diagonal[i]
        for j in range(i + 1, size):
            gram[i, j] = gram[j, i]
        done = i - i % 4
        for k in range(0, done, 4):  # four at a time, as writing costs more than multiplying
            a, b, c, d = gram[k, i], gram[k + 1, i], gram[k + 2, i], gram[k + 3, i]
            first, second = gram[k, i:size], gram[k + 1, i:size]
            third, fourth = gram[k + 2, i:size], gram[k + 3, i:size]
            for j in range(size - i):
                line[j] -= a * first[j] + b * second[j] + c * third[j] + d * fourth[j]
        for k in range(done, i):
            a, first = gram[k, i], gram[k, i:size]
            for j in range(size - i):
                line[j] -= a * first[j]
        if i < size - 1:
            scale = 1 / np.sqrt(line[0]) if line[0] > 0 else np.nan
            for j in range(size - i):
                line[j] *= scale
    for i in range(size - 2, -1, -1):
        total = gram[i, size - 1]
        for j in range(i + 1, size - 1):
            total -= gram[i, j] * weights[j]
        weights[i] = total / gram[i, i]
    return gram[size - 1, size - 1]


@compiled
def _keep_strongest(size, n_kept, near, gram, diagonal, weights, strength, order):
    """Keep the columns whose weight tells most, in their order, with their inner products."""
    n_chosen = 0
    for place in range(size):
        value = weights[place] * weights[place] * diagonal[place]
        n_chosen = _offer(value, np.int32(place), strength[:n_kept], order[:n_kept], n_chosen)
    order[n_kept] = size
    _sort(order[: n_kept + 1])
    for place in range(n_kept + 1):
        near[place], diagonal[place] = near[order[place]], diagonal[order[place]]
        for other in range(place):
            gram[place, other] = gram[order[place], order[other]]


@compiled
def inverse_rows(first, last, n_kept, n_tried, rows, columns, squares, head, penalty):
    """Rows of the factor from `first` to `last`: lengths, residuals, then indices and entries."""
    lengths, residuals = np.zeros(last - first, dtype=np.int64), np.zeros(last - first)
    indices = np.empty((last - first) * (n_kept + 1), dtype=np.int32)
    data = np.empty((last - first) * (n_kept + 1))
    sums, touched = np.empty(last), np.empty(last, dtype=np.int32)
    met = np.full(last, -1, dtype=np.int32)  # for which row `sums` holds
    near, order = np.empty(n_tried + 1, dtype=np.int32), np.empty(n_tried + 1, dtype=np.int32)
    strength, weights = np.empty(n_tried + 1), np.empty(n_tried + 1)
    diagonal, gram = np.empty(n_tried + 1), np.empty((n_tried + 1, n_tried + 1))
    latest = np.full(len(rows[0]) - 1, -1, dtype=np.int32)
    chain = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32), np.empty(0)
    n_entries = 0
    for i in range(first, last):
        n_touched = _products_before(i, rows, columns, head, sums, met, touched)
        size = 0
        for column in touched[:n_touched]:
            if sums[column] != 0 and squares[column] > 0:
                value = abs(sums[column]) / np.sqrt(squares[column])
                size = _offer(value, column, strength[:n_tried], near[:n_tried], size)
        _sort(near[:size])
        needed = 0
        for place in range(size):
            gram[size, place] = sums[near[place]]
            diagonal[place] = squares[near[place]] + penalty
            if near[place] >= len(head):
                needed += columns[0][near[place] + 1] - columns[0][near[place]]
        near[size], diagonal[size] = i, squares[i] + penalty
        if needed > len(chain[0]):
            capacity = 2 * needed
            chain = (
                np.empty(capacity, dtype=np.int32),
                np.empty(capacity, dtype=np.int32),
                np.empty(capacity),
            )
        _fill_gram(near[:size], columns, head, latest, chain, gram)
        residual = _regress_last(size + 1, gram, diagonal, weights)
        if size > n_kept:
            _keep_strongest(size, n_kept, near, gram, diagonal, weights, strength, order)
            size = n_kept
            residual = _regress_last(size + 1, gram, diagonal, weights)
        for place in range(size):
            indices[n_entries + place] = near[place]
            data[n_entries + place] = -weights[place]
        indices[n_entries + size], data[n_entries + size] = i, 1
        n_entries += size + 1
        lengths[i - first], residuals[i - first] = size + 1, residual
    return lengths, residuals, indices[:n_entries], data[:n_entries]
