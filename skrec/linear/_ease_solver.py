"""EASE's regressions, solved by the form that is exact, fits in memory and costs least."""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg import LinAlgWarning

from skrec.linear._ease_accuracy import doubt, misplaced
from skrec.linear._ease_method import check_fits, costs, fits
from skrec.linear._ease_rows import sums_of_squares
from skrec.linear._ease_weights import DualWeights, PrimalWeights
from skrec.solvers._gram import add_gram_upper, gram_upper, symmetric_product
from skrec.utils._warnings import warn


class Regressions(NamedTuple):
    """Each item regressed on all others.

    Parameters
    ----------
    rows : csr_array of shape (n_users, n_items)
        Users, each scaled by the root of its weight. Where there is a `gram`, they only judge the
        result.
    l2, dropout, relaxation : float
    gram : ndarray of shape (n_items, n_items), default=None
        Upper triangle of the users' Gram matrix, where it has replaced their rows.
    features : {csr_array, ndarray} of shape (n_items, n_features), default=None
        Columns that count as more users, but for the dropout.
    judges : csr_array of shape (n_judges, n_items), default=None
        Users whose scores have to be exact. None means `rows`.
    name : str, default="X"
        What messages call the rows.
    """

    rows: sparse.csr_array
    l2: float
    dropout: float = 0.0
    relaxation: float = 0.0
    gram: np.ndarray | None = None
    features: sparse.csr_array | np.ndarray | None = None
    judges: sparse.csr_array | None = None
    name: str = "X"

    @property
    def all_rows(self):
        """Users, and the features below them."""
        if self.features is None:
            return self.rows
        features = sparse.csr_array(self.features.T, dtype=self.rows.dtype)
        return sparse.vstack([self.rows, features], format="csr")

    def penalty(self, gram_diagonal):
        """Penalty on the weights of each item, from the diagonal of the users' Gram matrix."""
        dtype = self.rows.dtype
        largest = gram_diagonal.max()
        if not np.isfinite(largest):
            raise ValueError(
                f"The squares of {self.name} overflow in {dtype}: scale {self.name} down, or use "
                "dtype='float64'."
            )
        # No weight is larger than the largest entry of the Gram matrix over the penalty.
        smallest_normal = float(np.finfo(dtype).tiny)
        if 0 < largest < self.l2 * smallest_normal:
            fix = " or dtype='float64'" if dtype == np.float32 else ""
            raise ValueError(
                f"l2={self.l2:g} makes every weight smaller than {dtype} can hold beside "
                f"{self.name}: use an l2 of at most {largest / smallest_normal:.1g}{fix}."
            )
        return self.l2 + self.dropout / (1 - self.dropout) * gram_diagonal


class Solution(NamedTuple):
    """Weights, the Gram matrix if it is kept, and what speaks against the weights."""

    weights: PrimalWeights | DualWeights
    gram: np.ndarray | None
    misplaced: float
    doubt: str | None


def solve_best(
    regressions, method="auto", *, keep_gram=False, store_rows=True, n_threads=1, device="cpu"
):
    """Solve by a form that loses no digits, or by the best one, with a warning.

    Parameters
    ----------
    regressions : Regressions
    method : {"auto", "primal", "dual"}, default="auto"
        Which forms are tried.
    keep_gram : bool, default=False
        Whether a primal solution comes with the users' Gram matrix.
    store_rows : bool, default=True
        False rules the dual out.
    n_threads : int, default=1
    device : {"cpu", "cuda"}, default="cpu"

    Returns
    -------
    solution : Solution
    """
    rows, n_matrices = regressions.all_rows, 1 + keep_gram
    asked, n_users, n_items = method, *rows.shape
    itemsize = rows.dtype.itemsize
    if regressions.gram is not None or not store_rows:
        methods = ["primal"]
    elif asked != "auto":
        methods = [asked]
    else:
        methods = _methods_to_try(rows, n_matrices, device)
    solutions, error = [], None
    for method in methods:
        if method != methods[0] and not fits(method, n_users, n_items, itemsize, n_matrices):
            break
        if regressions.gram is None:
            check_fits(method, n_users, n_items, itemsize, n_matrices, store_rows)
        try:
            solution = _solve(regressions, rows, method, keep_gram, n_threads, device)
        except np.linalg.LinAlgError as failed:
            error = failed if error is None or method == "primal" else error
            continue
        # The dual computes in float64 whatever the dtype, but the other form would not.
        may_be_narrow = asked == "auto" or solution.weights.method == "primal"
        fixes = ["dtype='float64'"] if may_be_narrow and rows.dtype == np.float32 else []
        if asked == "dual":
            fixes.append("method='primal'")
        elif asked == "primal" and regressions.gram is None and store_rows and n_users < n_items:
            fixes.append("method='dual'")
        why = doubt(solution.weights, solution.misplaced, fixes)
        solutions.append(solution._replace(doubt=why))
        if why is None:
            break
    if not solutions:
        raise error
    best = min(solutions, key=lambda found: (found.doubt is not None, found.misplaced))
    if best.doubt is not None:
        warn(best.doubt, LinAlgWarning)
    return best


def _methods_to_try(rows, n_matrices, device):
    """Methods to try one after the other, as long as digits are lost."""
    n_users, n_items = rows.shape
    itemsize = rows.dtype.itemsize
    lengths = np.diff(rows.indptr), np.bincount(rows.indices, minlength=n_items)
    cost = costs(*lengths, itemsize, device)
    first, second = sorted(cost, key=cost.get)
    shape = n_users, n_items, itemsize, n_matrices
    if not fits(first, *shape) and fits(second, *shape):
        return [second]
    # With as many users as items, the leverages are near to 1 wherever digits are short.
    return [first] if second == "dual" and n_users >= n_items else [first, second]


def _solve(regressions, all_rows, method, keep_gram, n_threads, device):
    users, features, gram = regressions.rows, regressions.features, regressions.gram
    options = n_threads, device, regressions.relaxation
    if method == "dual":
        of_users = sums_of_squares(users)
        penalty = regressions.penalty(of_users)
        diagonal = of_users if features is None else sums_of_squares(all_rows)
        weights = DualWeights(all_rows, penalty, *options)
    else:
        if gram is None:
            gram = gram_upper(users, n_threads)
        penalty = regressions.penalty(gram.diagonal().astype(np.float64))
        matrix = gram.copy() if keep_gram else gram
        if features is not None:
            add_gram_upper(matrix, features, n_threads)
        diagonal = matrix.diagonal().astype(np.float64)
        weights = PrimalWeights(matrix, penalty, *options)
        gram = gram if keep_gram else None

    def gram_product(left):
        product = (left @ users.T) @ users if gram is None else symmetric_product(left, gram)
        return product if features is None else product + (left @ features) @ features.T

    judges = users if regressions.judges is None else regressions.judges
    share = misplaced(weights, judges, diagonal, penalty, gram_product, n_threads)
    return Solution(weights, gram, share, None)
