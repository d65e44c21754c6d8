"""The compiled loops behind sweeps: better weights of some rows, given those of the other side.

For each row with the entries e they minimise, from where its weights w stand,

    sum_e c_e (t_e - f_e'w)^2 + w'(diag(d) + penalty I) w

A row's residuals, f_e'w - t_e, are kept up to date, so that no pass over the features is needed to
begin with them.
"""

import numpy as np

from skrec.solvers._compiled import compiled

_UNROLLED = 16
# Twice what a step may lower the objective by, where targets are about 1: less is rounding, and
# far below it weights that go to 0 have squares that no float holds.
_SMALLEST_GAIN = 1e-30


@compiled(any_order=True)
def conjugate_gradient_rows(
    first, last, entries, residuals, features, diagonal, penalties, table, n_steps
):
    """Some steps of conjugate gradients, preconditioned by the diagonal."""
    indptr, indices, confidences = entries
    n_weights = features.shape[1]
    zero = features.dtype.type(0)
    gradient, scale = np.empty(n_weights, features.dtype), np.empty(n_weights, features.dtype)
    direction, ridge = np.empty(n_weights, features.dtype), np.empty(n_weights, features.dtype)
    longest = 0
    for row in range(first, last):
        longest = max(longest, indptr[row + 1] - indptr[row])
    moves = np.empty(longest, features.dtype)
    for row in range(first, last):
        start, stop = indptr[row], indptr[row + 1]
        weights, penalty = table[row], penalties[row]
        if start == stop:
            weights[:] = 0
            continue
        for k in range(n_weights):
            ridge[k] = diagonal[k] + penalty
            scale[k] = ridge[k]
            gradient[k] = ridge[k] * weights[k]
        for entry in range(start, stop):
            inputs = features[indices[entry]]
            confidence = confidences[entry]
            error = confidence * residuals[entry]
            for k in range(n_weights):
                gradient[k] += error * inputs[k]
                scale[k] += confidence * inputs[k] * inputs[k]
        length = zero
        for k in range(n_weights):
            direction[k] = -gradient[k] / scale[k]
            length -= gradient[k] * direction[k]
        for step in range(n_steps):
            if not length > _SMALLEST_GAIN:
                break
            curvature = zero
            for k in range(n_weights):
                curvature += ridge[k] * direction[k] * direction[k]
            for entry in range(start, stop):
                inputs = features[indices[entry]]
                move = zero
                for k in range(n_weights):
                    move += inputs[k] * direction[k]
                moves[entry - start] = move
                curvature += confidences[entry] * move * move
            size = length / curvature
            for k in range(n_weights):
                weights[k] += size * direction[k]
            for entry in range(start, stop):
                residuals[entry] += size * moves[entry - start]
            if step == n_steps - 1:
                break
            for k in range(n_weights):
                gradient[k] += size * ridge[k] * direction[k]
            for entry in range(start, stop):
                inputs = features[indices[entry]]
                change = size * confidences[entry] * moves[entry - start]
                for k in range(n_weights):
                    gradient[k] += change * inputs[k]
            previous, length = length, zero
            for k in range(n_weights):
                length += gradient[k] * gradient[k] / scale[k]
            ratio = length / previous
            for k in range(n_weights):
                direction[k] = ratio * direction[k] - gradient[k] / scale[k]
    return True


@compiled(any_order=True)
def _solve(matrix, vector):
    """Solve in place by Cholesky, from the lower triangle; whether rounding leaves a solution."""
    size = len(vector)
    for row in range(size):
        for column in range(row):
            total = matrix[row, column]
            for k in range(column):
                total -= matrix[row, k] * matrix[column, k]
            matrix[row, column] = total * matrix[column, column]
        total = matrix[row, row]
        for k in range(row):
            total -= matrix[row, k] * matrix[row, k]
        if not total > 0:
            return False
        matrix[row, row] = 1 / np.sqrt(total)
    for row in range(size):
        total = vector[row]
        for k in range(row):
            total -= matrix[row, k] * vector[k]
        vector[row] = total * matrix[row, row]
    for row in range(size - 1, -1, -1):
        solved = vector[row] * matrix[row, row]
        vector[row] = solved
        for k in range(row):
            vector[k] -= matrix[row, k] * solved
    return True


@compiled(any_order=True)
def _add_products(left, rights, n_columns, products):
    """Add the inner products of a vector and of rows, as many as there are products."""
    n_rights = len(products)
    for row in range(0, n_rights - 3, 4):
        first, second, third, fourth = (
            rights[row],
            rights[row + 1],
            rights[row + 2],
            rights[row + 3],
        )
        a = b = c = d = left.dtype.type(0)
        for column in range(n_columns):
            value = left[column]
            a += value * first[column]
            b += value * second[column]
            c += value * third[column]
            d += value * fourth[column]
        products[row] += a
        products[row + 1] += b
        products[row + 2] += c
        products[row + 3] += d
    for row in range(n_rights - n_rights % 4, n_rights):
        right = rights[row]
        a = left.dtype.type(0)
        for column in range(n_columns):
            a += left[column] * right[column]
        products[row] += a


@compiled(any_order=True)
def subspace_rows(first, last, entries, residuals, features, diagonal, penalties, table, width):
    """The exact minimum over each block of so many weights, one after the other."""
    indptr, indices, confidences = entries
    n_weights = features.shape[1]
    longest = 0
    for row in range(first, last):
        longest = max(longest, _padded(indptr[row + 1] - indptr[row]))
    # By weight, so that the inner loops are those over entries, which are many; errors come first.
    inputs = np.zeros((width + 1, longest), features.dtype)
    shares, scaled = np.zeros(longest, features.dtype), np.empty(longest, features.dtype)
    hessian = np.empty((width, width + 1), features.dtype)
    step = np.empty(width, features.dtype)
    for row in range(first, last):
        start, stop = indptr[row], indptr[row + 1]
        weights, penalty = table[row], penalties[row]
        n_entries = stop - start
        if n_entries == 0:
            weights[:] = 0
            continue
        n_padded = _padded(n_entries)
        inputs[:, n_entries:n_padded] = 0
        errors = inputs[0]
        for entry in range(n_entries):
            errors[entry] = residuals[start + entry]
            shares[entry] = confidences[start + entry]
        for low in range(0, n_weights, width):
            size = min(width, n_weights - low)
            for entry in range(n_entries):
                found = features[indices[start + entry]]
                for k in range(size):
                    inputs[k + 1, entry] = found[low + k]
            for k in range(size):
                ridge = diagonal[low + k] + penalty
                products, unscaled = hessian[k, : k + 2], inputs[k + 1]
                products[:] = 0
                for entry in range(n_padded):
                    scaled[entry] = shares[entry] * unscaled[entry]
                _add_products(scaled, inputs, n_padded, products)
                step[k] = products[0] + ridge * weights[low + k]
                products[k + 1] += ridge
            if not _solve(hessian[:size, 1:], step[:size]):
                return False
            for k in range(size):
                change, unscaled = step[k], inputs[k + 1]
                weights[low + k] -= change
                for entry in range(n_padded):
                    errors[entry] -= change * unscaled[entry]
        for entry in range(n_entries):
            residuals[start + entry] = errors[entry]
    return True


@compiled
def _padded(length):
    """So long that vector instructions leave no remainder, which would take longer than they."""
    return (length + _UNROLLED - 1) // _UNROLLED * _UNROLLED
