"""Half-sweeps over the entries of a matrix: one side's weights, then the other's, and so on."""

from itertools import pairwise
from math import ceil

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

from skrec.solvers._row_kernels import conjugate_gradient_rows, subspace_rows
from skrec.utils._blocks import effective_n_threads, map_blocks
from skrec.utils._jobs import is_one_of_several
from skrec.utils._progress import progress_bar
from skrec.utils._warnings import warn

# Conjugate gradients from where the weights stand: a third step is hardly seen after some sweeps.
N_STEPS = 2
# Weights that are solved for at once: all of them up to so many, or blocks of about that width.
MAX_EXACT = 32
WIDTH = 16
_LOSS_ENTRIES = 2**16  # at a time
_SHARES = 4  # of a thread, so that none waits for long


class EntrySweeps:
    """Entries in the order of the rows and in that of the columns, and their residuals.

    Parameters
    ----------
    X : csr_array of shape (n_rows, n_columns)
        Whose entries there are.
    residuals : ndarray of shape (X.nnz,)
        Prediction less target of each entry; kept up to date, in place.
    confidences : ndarray of shape (X.nnz,)
        Weight of each entry's squared residual.
    """

    def __init__(self, X, residuals, confidences):
        places = np.arange(X.nnz, dtype=X.indices.dtype)
        by_column = sparse.csr_array((places, X.indices, X.indptr), shape=X.shape).T.tocsr()
        self._order = by_column.data
        self._sides = (
            (X.indptr, X.indices, confidences),
            (by_column.indptr, by_column.indices, confidences[self._order]),
        )
        self.residuals, self._confidences = residuals, confidences

    def loss(self):
        """Weighted sum of the squared residuals."""
        parts = gen_batches(max(1, len(self.residuals)), _LOSS_ENTRIES)
        return sum(
            float(
                (np.square(self.residuals[part]) * self._confidences[part]).sum(dtype=np.float64)
            )
            for part in parts
        )

    def improve(self, side, solver, features, diagonal, penalties, table):
        """Improve the weights of one side's rows, in place.

        Parameters
        ----------
        side : {0, 1}
            Rows or columns.
        solver : {"cg", "subspace"}
        features : ndarray of shape (n_others, n_weights)
            What the weights are multiplied with, of the other side; C-ordered.
        diagonal : ndarray of shape (n_weights,)
            Penalties on the squared weights of every row.
        penalties : ndarray of shape (n_rows,)
            Further ones, of each row.
        table : ndarray of shape (n_rows, n_weights)
            C-ordered.

        Returns
        -------
        solved : bool
            False if a problem is singular to rounding.
        """
        entries = self._sides[side]
        residuals = self.residuals if side == 0 else self.residuals[self._order]
        n_weights = features.shape[1]
        if solver == "cg":
            improve_rows, option = conjugate_gradient_rows, N_STEPS
        else:
            improve_rows = subspace_rows
            n_blocks = 1 if n_weights <= MAX_EXACT else ceil(n_weights / WIDTH)
            option = ceil(n_weights / n_blocks)
        arrays = entries, residuals, features, diagonal, penalties, table, option
        n_threads = effective_n_threads()
        shares = _shares(entries[0], n_threads * _SHARES if n_threads > 1 else 1)
        solved = map_blocks(lambda share: improve_rows(*share, *arrays), shares, n_threads)
        if side == 1:
            self.residuals[self._order] = residuals
        return all(solved)


def _shares(indptr, n_shares):
    """Cut rows into pairs of (first, last) with about as many entries each."""
    work = indptr + np.arange(len(indptr))  # a row without entries is some work, too
    bounds = np.searchsorted(work, np.linspace(0, work[-1], n_shares + 1))
    bounds = np.unique(np.r_[0, bounds, len(indptr) - 1])
    return [(int(first), int(last)) for first, last in pairwise(bounds)]


def repeat_sweeps(sweep, max_iter, name, verbose):
    """Make sweeps until they are over; Ctrl-C ends them too, from the second on.

    Where this is one of several fits, Ctrl-C ends them all.

    Parameters
    ----------
    sweep : callable
        ``sweep()`` returns the objective, and whether there is nothing left to gain.
    max_iter : int
    name : str
        Of the model, for the progress bar.
    verbose : int

    Returns
    -------
    n_sweeps : int
        Those that have been finished.
    """
    n_sweeps = 0
    try:
        with progress_bar(total=max_iter, desc=name, silent=not verbose) as bar:
            while n_sweeps < max_iter:
                objective, is_over = sweep()
                n_sweeps += 1
                bar.set_postfix(objective=f"{objective:.6g}")
                bar.update()
                if is_over:
                    bar.finish()
                    break
    except KeyboardInterrupt:
        if n_sweeps == 0 or is_one_of_several():
            raise
        warn(f"Training was interrupted in sweep {n_sweeps + 1}: the model so far is kept.")
    return n_sweeps
