"""Whether the parts of a sparse matrix fit together, before compiled code relies on it."""

from itertools import chain

import numpy as np

_NUMBERS = "biuf"


def check_structure(X, name="X"):
    """Refuse a sparse matrix whose parts do not fit together.

    SciPy's compiled code, conversions between formats included, takes indices as they are: one
    that lies outside of the shape reads or writes foreign memory. This costs one look at each.

    Parameters
    ----------
    X : sparse array or matrix of any format
    name : str, default="X"
        What messages call it.

    Raises
    ------
    ValueError
        If it does not hold real numbers, is not two-dimensional, or has an entry outside of its
        shape.
    """
    if X.dtype.kind not in _NUMBERS:
        kind = "Complex data" if X.dtype.kind == "c" else f"Data of dtype {X.dtype}"
        raise ValueError(
            f"{kind} not supported: {name} must hold real numbers, got dtype {X.dtype}: convert "
            f"it, for example with {name}.astype(float)."
        )
    if X.ndim != 2:
        raise_not_two_dimensional(X, name)
    if X.format in ("csr", "csc", "bsr"):
        _check_compressed(X, name)
    elif X.format == "dia":
        if len(X.offsets) != len(X.data):
            _raise_damaged(f"{name} has diagonals without offsets", name)
    elif X.format == "lil":
        _check_lists(X, name)
    elif X.format == "dok":
        pairs = np.array(list(X.keys()), dtype=np.int64).reshape(-1, 2)
        _check_coordinates(X, pairs.T, name)
    else:
        if any(len(places) != len(X.data) or places.dtype.kind not in "iu" for places in X.coords):
            _raise_damaged(f"{name} must have an integer row and column for each entry", name)
        _check_coordinates(X, X.coords, name)


def _check_compressed(X, name):
    n_lines, n_places = X.shape[::-1] if X.format == "csc" else X.shape
    if X.format == "bsr":
        height, width = X.blocksize
        n_lines, n_places = n_lines // height, n_places // width
    indptr, indices = X.indptr, X.indices
    if not all(places.dtype.kind == "i" and places.itemsize >= 4 for places in (indptr, indices)):
        _raise_damaged(f"{name}.indices and {name}.indptr must be of dtype int32 or int64", name)
    if len(indptr) != n_lines + 1 or indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any():
        rule = f"must hold {n_lines + 1} positions that begin with 0 and never fall"
        _raise_damaged(f"{name}.indptr {rule}", name)
    n_stored = min(len(indices), len(X.data))
    if indptr[-1] > n_stored:
        rule = f"ends at {indptr[-1]}, but {name} stores {n_stored} entries"
        _raise_damaged(f"{name}.indptr {rule}", name)
    indices = indices[: indptr[-1]]
    position = _first_outside(indices, n_places)
    if position is None:
        return
    line = int(np.searchsorted(indptr, position, side="right")) - 1
    places = (line, indices[position])
    _raise_outside(X, places[::-1] if X.format == "csc" else places, name)


def _check_coordinates(X, coords, name):
    for places, size in zip(coords, X.shape, strict=True):
        position = _first_outside(places, size)
        if position is not None:
            _raise_outside(X, [places[position] for places in coords], name)


def _check_lists(X, name):
    lengths = [len(columns) for columns in X.rows]
    if len(lengths) != X.shape[0] or lengths != [len(values) for values in X.data]:
        rule = "must have a list of columns and one of values for each row, of equal lengths"
        _raise_damaged(f"{name} {rule}", name)
    columns = np.fromiter(chain.from_iterable(X.rows), np.int64, sum(lengths))
    position = _first_outside(columns, X.shape[1])
    if position is not None:
        row = np.searchsorted(np.cumsum(lengths), position, side="right")
        _raise_outside(X, (row, columns[position]), name)


def raise_not_two_dimensional(X, name):
    raise ValueError(
        f"Expected 2D input, got {name} of shape {X.shape}. Reshape your data: one user is "
        f"{name}[[0]], with two brackets, or {name}.reshape(1, -1)."
    )


def _first_outside(indices, size):
    """Position of the first index that is not in [0, size), or None."""
    if not len(indices):
        return None
    # Read as unsigned, a negative number is a large one: one pass finds both.
    if indices.view(f"u{indices.itemsize}").max() < size:
        return None
    return int(np.flatnonzero((indices < 0) | (indices >= size))[0])


def _raise_outside(X, places, name):
    row, column = (int(place) for place in places)
    if X.format == "bsr":
        row, column = row * X.blocksize[0], column * X.blocksize[1]
    raise ValueError(
        f"{name} has an entry at row {row}, column {column}, outside of its shape "
        f"{tuple(X.shape)}: give the shape= that its indices need, or, if its file is damaged, "
        "read it again."
    )


def _raise_damaged(rule, name):
    raise ValueError(
        f"{name} is damaged: {rule}. Build it again from its rows and columns, for example with "
        "scipy.sparse.coo_array((values, (rows, columns)), shape=shape)."
    )
