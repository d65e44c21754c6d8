"""EASE: a linear item-item model with a closed form."""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg import LinAlgWarning
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skrec.base import AdditiveMixin, BaseRecommender, ItemWeightsMixin
from skrec.linear._ease_accuracy import N_PLACES, TOLERATED, misplaced
from skrec.linear._ease_method import costs, memory
from skrec.linear._ease_weights import DualWeights, PrimalWeights
from skrec.solvers._gram import gram_upper, symmetric_product
from skrec.solvers._offsets import with_data
from skrec.utils._blocks import effective_n_threads
from skrec.utils._changes import check_learned, padded
from skrec.utils._compat import Interval, Options, StrOptions
from skrec.utils._memory import available_memory, check_memory
from skrec.utils._warnings import warn


def _stores_rows(model):
    if not model.store_rows:
        raise AttributeError(
            "EASE(store_rows=False) has no partial_fit: it keeps neither the training rows nor "
            "their Gram matrix, to which more users would add. Use skrec.update(model, old, new) "
            "or fit on all users, or EASE(store_rows=True)."
        )
    return True


class EASE(ItemWeightsMixin, AdditiveMixin, BaseRecommender):
    r"""Embarrassingly Shallow AutoEncoder, and its denoising variant EDLAE.

    Every item is predicted from all the others by ridge regression. With the Gram matrix
    :math:`G = X^\top W X` of the (weighted) users, the weights minimise

    .. math::
        \|\sqrt{W}(X - XB)\|_F^2 + \sum_{ij} \lambda_i B_{ij}^2
        \quad\text{subject to}\quad \operatorname{diag}(B) = 0

    with :math:`\lambda_i = l_2 + \tfrac{p}{1-p}\, G_{ii}`, and have a closed form:
    :math:`P = (G + \Lambda)^{-1}`, :math:`B_{ij} = -P_{ij} / P_{jj}` off the diagonal.
    The score of item `j` for a user with row `x` is :math:`\sum_i x_i B_{ij}`, so users seen in
    training and new ones are treated alike.

    Parameters
    ----------
    l2 : float, default=500.0
        Penalty on the squared weights, in units of users: an item that far fewer users than this
        have chosen is hardly used as evidence. Good values mostly lie between 50 and 2000; tune
        it on a logarithmic grid.
    dropout : float, default=0.0
        Probability `p` of dropping an entry from the input while the full row is predicted. 0 is
        EASE; ``p > 0`` is the full-rank EDLAE, whose expectation over all masks is taken in closed
        form.
    dtype : {"float32", "float64"}, default=None
        Precision of the fit and of the scores. None keeps that of `X`. float32 halves time and
        memory, and suffices unless `l2` is small.
    method : {"auto", "primal", "dual"}, default="auto"
        "primal" inverts an items x items matrix. "dual" inverts a users x users matrix and never
        forms an items x items one, neither in ``fit`` nor for scores. Both give the same scores.
        "auto" takes the one that fits in memory and needs fewer operations for a fit and for
        scoring the training users once, which mostly is the dual where users are far fewer than
        items; and the other one where the first would lose digits. The dual computes in float64
        whatever the `dtype`, as it takes differences of nearly equal numbers.
    store_rows : bool, default=True
        Whether ``fit`` keeps a copy of the training rows. False: the fitted model is its weights
        alone, without data of persons. It is smaller, has no ``partial_fit``, and takes the
        primal form.
    n_jobs : int, default=None
        Number of threads of the sparse products and of scoring. None means all cores, less where
        ``OMP_NUM_THREADS`` or a joblib worker says so. LAPACK has its own number of threads, see
        ``threadpoolctl``.
    device : {"cpu", "cuda"}, default="cpu"
        Where the matrix is inverted: "cpu" uses LAPACK, "cuda" uses torch's Cholesky
        factorisation. The fitted weights are NumPy arrays either way.

    Attributes
    ----------
    coef_ : ndarray of shape (n_items, n_items)
        Item weights with zero diagonal; column `j` predicts item `j`. Only after a primal fit.
    method_ : {"primal", "dual"}
        The method used.

    See Also
    --------
    Popularity : The same list for everybody.
    BiasBaseline : Rating prediction from user and item offsets.

    Notes
    -----
    The primal fit costs about ``n_items ** 3`` multiply-adds in LAPACK beside the sparse product,
    and one items x items buffer, which becomes ``coef_``. Scoring costs ``n_items`` multiply-adds
    for each entry of the user's history.

    Where rounding errors could matter (a small `l2`, entries that are large or of very different
    sizes), ``fit`` refines the scores of up to 256 training users once. A
    :class:`scipy.linalg.LinAlgWarning` says if more than 0.5 % of their first ten places then go
    to other items, or if the condition number leaves no digit, and what helps.

    ``similar_items`` goes by the partial correlation :math:`-P_{ij} / \sqrt{P_{ii} P_{jj}}`: how
    two items go together once all the others are accounted for. It is symmetric and lies between
    -1 and 1.

    ``fit`` raises a MemoryError if the matrix to invert does not fit in the available memory, and
    a LinAlgError if rounding errors leave nothing to invert.

    ``fit`` keeps a copy of the training rows: the dual scores with them, and ``partial_fit``
    continues from them. They are part of a pickled model, unless it was fitted with
    ``store_rows=False``. From the second primal ``partial_fit`` on, or the first primal
    :func:`skrec.update`, the Gram matrix, which is additive, is kept instead, which takes a second
    items x items array; "auto" chooses anew as long as there are rows.

    References
    ----------
    .. [1] H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
       :doi:`10.1145/3308558.3313710`
    .. [2] H. Steck, "Autoencoders that don't overfit towards the Identity", NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import EASE
    >>> X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]])
    >>> model = EASE(l2=1.0).fit(X)
    >>> model.recommend([[1, 0, 0, 0]], k=2)
    array([[1, 2]])
    """

    _parameter_constraints: dict = {
        "l2": [Interval(Real, 0, None, closed="neither")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "dtype": [
            StrOptions({"float32", "float64"}),
            Options(type, {np.float32, np.float64}),
            None,
        ],
        "method": [StrOptions({"auto", "primal", "dual"})],
        "store_rows": ["boolean"],
        "n_jobs": [Integral, None],
        "device": [StrOptions({"cpu", "cuda"})],
    }

    def __init__(
        self,
        l2=500.0,
        *,
        dropout=0.0,
        dtype=None,
        method="auto",
        store_rows=True,
        n_jobs=None,
        device="cpu",
    ):
        self.l2 = l2
        self.dropout = dropout
        self.dtype = dtype
        self.method = method
        self.store_rows = store_rows
        self.n_jobs = n_jobs
        self.device = device

    _no_update = None

    @available_if(_stores_rows)
    def partial_fit(self, X, y=None, *, reviews=None, sample_weight=None):
        """Add users: the result is that of one ``fit`` on all users so far.

        Not with ``store_rows=False``.

        Returns
        -------
        self : estimator
            The fitted estimator. If this fails, it is as it was before.
        """
        return super().partial_fit(X, y, reviews=reviews, sample_weight=sample_weight)

    def _fit(self, X, sample_weight):
        self._solve_best(self._weighted_rows(X, sample_weight, self.dtype or X.dtype))

    def _add(self, X, sample_weight):
        rows = self._weighted_rows(X, sample_weight, self.dtype or self._dtype)
        if self._gram is not None:
            self._check_memory("primal", rows.shape[0], rows.dtype, n_matrices=2)
            gram = gram_upper(rows, effective_n_threads(self.n_jobs))
            gram += self._gram
            self._solve_best(rows, gram, keep_gram=True)
        elif self._rows is not None:
            rows = sparse.vstack([self._rows, rows], format="csr", dtype=rows.dtype)
            self._solve_best(rows, keep_gram=True)
        else:
            raise ValueError(
                "partial_fit needs the rows that this EASE was fitted on, which was with "
                "store_rows=False: fit again on all users."
            )

    def _check_learned(self, change):
        if self._gram is not None:
            squares = self._gram.diagonal()
        elif self._rows is not None:
            squares = _sums_of_squares(self._rows)
        else:
            return
        dtype = self.dtype or self._dtype
        old = self._weighted_rows(change.old, change.old_weight, dtype)
        check_learned(self, padded(squares, change.new.shape[1]), _sums_of_squares(old))

    def _update(self, change):
        dtype = self.dtype or self._dtype
        new = self._weighted_rows(change.new, change.sample_weight, dtype)
        if self._gram is None:
            # Where there is room for it, so that the next update needs the changed rows alone.
            self._solve_best(new, keep_gram=self.store_rows and self._fits("primal", new, 2))
            return
        self._check_memory("primal", new.shape[0], dtype, n_matrices=3)
        n_known = len(self._gram)
        n_threads = effective_n_threads(self.n_jobs)
        gram = gram_upper(self._weighted_rows(*change.added, dtype), n_threads)
        gram -= gram_upper(self._weighted_rows(*change.removed, dtype), n_threads)
        gram[:n_known, :n_known] += self._gram
        # All rows judge the result.
        self._solve_best(new, gram, keep_gram=self.store_rows)

    @property
    def coef_(self):
        """Item weights of a primal fit."""
        check_is_fitted(self)
        if self.method_ == "dual":
            raise AttributeError(
                "coef_ does not exist after a dual fit, which never forms an items x items matrix:"
                " use EASE(method='primal'), or explain() for the weights behind a score."
            )
        return self._weights.coef

    def _score_rows(self, X):
        return self._weights.scores(X)

    def _weights_between(self, history, items):
        return self._weights.between(history, items)

    def _similarities(self, items):
        return self._weights.partial_correlations(items)

    def _weighted_rows(self, X, sample_weight, dtype):
        """Scale each row by the root of its weight."""
        if self.method == "dual" and not self.store_rows:
            raise ValueError(
                "method='dual' scores with the training rows, which store_rows=False leaves out: "
                "use method='primal', or store_rows=True."
            )
        if self.device == "cuda":
            _check_cuda()
        rows = X.astype(dtype, copy=False)
        if sample_weight is None:
            return rows
        scale = np.sqrt(sample_weight).astype(rows.dtype)
        return with_data(rows, rows.data * np.repeat(scale, np.diff(rows.indptr)))

    def _methods(self, rows, n_matrices):
        """Methods to try one after the other, as long as digits are lost."""
        if self.method != "auto" or not self.store_rows:
            return [self.method if self.store_rows else "primal"]
        n_users, n_items = rows.shape
        itemsize = rows.dtype.itemsize
        lengths = np.diff(rows.indptr), np.bincount(rows.indices, minlength=n_items)
        cost = costs(*lengths, itemsize, self.device)
        first, second = sorted(cost, key=cost.get)
        if not self._fits(first, rows, n_matrices) and self._fits(second, rows, n_matrices):
            return [second]
        # With as many users as items, the leverages are near to 1 wherever digits are short.
        return [first] if second == "dual" and n_users >= n_items else [first, second]

    def _solve_best(self, rows, gram=None, *, keep_gram=False):
        """Solve from the users' rows, or from the Gram matrix where that has replaced them.

        `rows` are then those of the last chunk, and only judge the result.
        """
        n_matrices = 1 + keep_gram
        methods = ["primal"] if gram is not None else self._methods(rows, n_matrices)
        solutions, error = [], None
        for method in methods:
            if method != methods[0] and not self._fits(method, rows, n_matrices):
                break
            try:
                solutions.append(self._solve(method, rows, gram, keep_gram))
            except np.linalg.LinAlgError as failed:
                error = failed if error is None or method == "primal" else error
                continue
            if solutions[-1].doubt is None:
                break
        if not solutions:
            raise error
        best = min(solutions, key=lambda found: (found.doubt is not None, found.misplaced))
        if best.doubt is not None:
            warn(best.doubt, LinAlgWarning)
        self._weights, self._rows, self._gram = best.weights, best.rows, best.gram
        self.method_ = self._weights.method
        self._dtype = self._weights.dtype

    def _solve(self, method, rows, gram, keep_gram):
        n_threads = effective_n_threads(self.n_jobs)
        users = rows
        dual_may_help = gram is None and self.store_rows and rows.shape[0] < self.n_features_in_
        if method == "dual":
            self._check_memory("dual", rows.shape[0], rows.dtype)
            diagonal = _sums_of_squares(rows)
            penalty = self._penalty(diagonal, rows.dtype)
            weights = DualWeights(rows, penalty, n_threads, self.device)
            rows = weights.rows
        else:
            if gram is None:
                self._check_memory("primal", rows.shape[0], rows.dtype, 1 + keep_gram)
                gram = gram_upper(rows, n_threads)
            diagonal = gram.diagonal().astype(np.float64)
            penalty = self._penalty(diagonal, rows.dtype)
            matrix = gram.copy() if keep_gram else gram
            weights = PrimalWeights(matrix, penalty, n_threads, self.device)
            rows, gram = (None, gram) if keep_gram else (self._kept(rows), None)

        def gram_product(left):
            return (left @ users.T) @ users if gram is None else symmetric_product(left, gram)

        share = misplaced(weights, users, diagonal, penalty, gram_product, n_threads)
        return _Solution(weights, rows, gram, share, self._doubt(weights, share, dual_may_help))

    def _kept(self, rows):
        # A copy, as the caller may change X in place later on.
        return rows.copy() if self.store_rows else None

    def _doubt(self, weights, share, dual_may_help):
        """Why the weights are not to be trusted and what helps, or None."""
        dtype = weights.working_dtype
        if weights.reciprocal_condition < np.finfo(dtype).eps:
            condition = f"reciprocal condition number {weights.reciprocal_condition:.1e}"
            reason = f"The penalised Gram matrix is ill-conditioned ({condition}) in {dtype}"
        elif share > TOLERATED:
            reason = (
                f"Rounding errors of method='{weights.method}' in {dtype} give {share:.1%} of the "
                f"first {N_PLACES} places to other items"
            )
        else:
            return None
        fixes = ["dtype='float64'"] if dtype == np.float32 else []
        if self.method == "dual":
            fixes.append("method='primal'")
        elif self.method == "primal" and dual_may_help:
            fixes.append("method='dual'")
        return f"{reason}: use {' or '.join([*fixes, 'a larger l2'])}."

    def _penalty(self, gram_diagonal, dtype):
        largest = gram_diagonal.max()
        if not np.isfinite(largest):
            raise ValueError(
                f"The squares of X overflow in {dtype}: scale X down, or use dtype='float64'."
            )
        penalty = self.l2 + self.dropout / (1 - self.dropout) * gram_diagonal
        # No weight is larger than the largest entry of the Gram matrix over the penalty.
        smallest_normal = float(np.finfo(dtype).tiny)
        if 0 < largest < self.l2 * smallest_normal:
            fix = " or dtype='float64'" if dtype == np.float32 else ""
            raise ValueError(
                f"l2={self.l2:g} makes every weight smaller than {dtype} can hold beside this X: "
                f"use an l2 of at most {largest / smallest_normal:.1g}{fix}."
            )
        return penalty

    def _fits(self, method, rows, n_matrices):
        needed = memory(rows.shape[0], self.n_features_in_, rows.dtype.itemsize)[method]
        return (n_matrices if method == "primal" else 1) * needed <= available_memory()

    def _check_memory(self, method, n_users, dtype, n_matrices=1):
        """Raise a MemoryError that says what would fit, before anything large is allocated."""
        itemsize = np.dtype(dtype).itemsize
        needed = memory(n_users, self.n_features_in_, itemsize)
        other = "dual" if method == "primal" else "primal"
        fixes = ["drop rare items (Interactions.filter(min_users_per_item=...))"]
        if method == "primal" and itemsize == 8:
            fixes.insert(0, "dtype='float32' needs half")
        if needed[other] < needed[method]:
            storing = "" if self.store_rows else " with store_rows=True"
            fixes.insert(0, f"method='{other}'{storing} needs {needed[other] / 2**30:.3g} GiB")
        check_memory(
            n_matrices * needed[method],
            f"EASE(method='{method}') on {n_users} users x {self.n_features_in_} items",
            ", or ".join(fixes),
        )


class _Solution(NamedTuple):
    """Weights, what is kept for the next chunk of users, and what speaks against the weights."""

    weights: PrimalWeights | DualWeights
    rows: sparse.csr_array | None
    gram: np.ndarray | None
    misplaced: float
    doubt: str | None


def _sums_of_squares(rows):
    """Diagonal of the Gram matrix."""
    return rows.multiply(rows).sum(axis=0, dtype=np.float64)


def _check_cuda():
    import torch

    if not torch.cuda.is_available():
        raise ValueError("device='cuda' needs a CUDA GPU, and torch finds none: use device='cpu'.")
