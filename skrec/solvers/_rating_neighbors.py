"""Similarities over what two rows have both rated, and means of ratings over the nearest."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from skrec.solvers import _neighbor_kernels as kernels
from skrec.utils._blocks import map_blocks, row_blocks

KINDS = {
    "cosine": kernels.COSINE,
    "msd": kernels.DIFFERENCES,
    "pearson": kernels.CORRELATION,
    "pearson_baseline": kernels.COSINE,
}


class Rule(NamedTuple):
    """How two rows are compared by what they have in common.

    Parameters
    ----------
    kind : int
        One of `KINDS`: the cosine of the common entries, 1 / (mean squared difference + 1), or
        the correlation.
    scale : float
        Unit of the differences.
    min_support : int
        With fewer common entries they are not similar.
    shrinkage : float
        The similarity is multiplied by (n - 1) / (n - 1 + shrinkage), where there are n.
    """

    kind: int
    scale: float
    min_support: int
    shrinkage: float


class Asked(NamedTuple):
    """Rows that are asked for, by groups.

    Parameters
    ----------
    starts, stops : ndarray of int64 of shape (n_groups,)
        Where in `rows` those of each group stand.
    out_starts : ndarray of int64 of shape (n_groups,)
        Where the answers of each group begin.
    rows : ndarray of int64
    n_answers : int
    """

    starts: np.ndarray
    stops: np.ndarray
    out_starts: np.ndarray
    rows: np.ndarray
    n_answers: int


def similarities(left, right, rule, n_threads=1):
    """Positive similarities of each row of `left` and each column of `right`.

    Parameters
    ----------
    left : csr_array of float64 of shape (n_rows, n_inner)
    right : csr_array of float64 of shape (n_inner, n_columns)
        Stored entries are the observations, those of 0 too.
    rule : Rule
    n_threads : int, default=1

    Returns
    -------
    similarities : csr_array of shape (n_rows, n_columns)
        Rows are not sorted. Values are rounded to 32 binary digits, so that those tie which are
        equal but for the rounding of sums.
    """
    shape = left.shape[0], right.shape[1]
    left, right = _parts(left), _parts(right)
    parts = map_blocks(
        lambda block: kernels.similarities(
            block.start, block.stop, left, right, shape[1], tuple(rule)
        ),
        row_blocks(shape[0], 12 * shape[1], n_threads),
        n_threads,
    )
    lengths, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return sparse.csr_array((values, columns, indptr), shape=shape)


def neighbor_means(near, known, asked, k, min_neighbors):
    """Mean of the nearest entries of each row that is asked for, weighted by similarity.

    Parameters
    ----------
    near : csr_array of float64 of shape (n_groups, n_columns)
        Positive similarities of each group to the columns of `known`.
    known : csr_array of float64 of shape (n_rows, n_columns)
        Sorted.
    asked : Asked
        For which rows of `known` of each group.
    k : int
        Number of entries that count, the most similar; of equally similar ones those of lower
        column.
    min_neighbors : int
        With fewer the mean is 0.

    Returns
    -------
    means : ndarray of shape (n_answers,)
    """
    means = np.zeros(asked.n_answers)
    k = min(k, known.shape[1])
    kernels.neighbor_means(
        *asked[:4], _parts(near), _parts(known), known.shape[1], k, min_neighbors, means
    )
    return means


def all_rows(n_groups, n_rows):
    """Ask for each row in each group; answers are those of one group after the other."""
    out_starts = n_rows * np.arange(n_groups)
    zeros = np.zeros_like(out_starts)
    return Asked(zeros, zeros + n_rows, out_starts, np.arange(n_rows), n_groups * n_rows)


def pairs_by_group(groups, rows):
    """Ask for pairs of group and row, which are sorted by group."""
    ends = np.searchsorted(groups, np.arange(groups[-1] + 2))
    return Asked(ends[:-1], ends[1:], ends[:-1], rows.astype(np.int64), len(rows))


def _parts(X):
    # One type of each, so that there is one version of the compiled loops.
    return X.indptr.astype(np.int64, copy=False), X.indices.astype(np.int32, copy=False), X.data
