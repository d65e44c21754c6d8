"""EASE: a linear item-item model with a closed form."""

from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted

from skrec.base import BaseRecommender
from skrec.linear._ease_weights import DualWeights, PrimalWeights
from skrec.linear._gram import check_memory, gram_upper
from skrec.utils._blocks import (
    effective_n_threads,
    map_blocks,
    row_blocks,
    top_k,
)
from skrec.utils._validation import (
    check_interactions,
    check_k,
    check_sample_weight,
    keep_state_on_error,
)


class EASE(BaseRecommender):
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
        "auto" takes the dual where users are fewer than items. The dual computes in float64
        whatever the `dtype`, as it takes differences of nearly equal numbers.
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
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_items,)
        Names of the items, if `X` had string column names.

    See Also
    --------
    Popularity : The same list for everybody.
    BiasBaseline : Rating prediction from user and item offsets.

    Notes
    -----
    The primal fit costs about ``n_items ** 3`` multiply-adds in LAPACK beside the sparse product,
    and one items x items buffer, which becomes ``coef_``. Scoring costs ``n_items`` multiply-adds
    for each entry of the user's history.

    ``fit`` keeps a copy of the training rows: the dual scores with them, and ``partial_fit``
    continues from them. They are part of a pickled model.

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
        n_jobs=None,
        device="cpu",
    ):
        self.l2 = l2
        self.dropout = dropout
        self.dtype = dtype
        self.method = method
        self.n_jobs = n_jobs
        self.device = device

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, reviews=None, sample_weight=None):
        """Learn the item weights.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user. Stored entries (dense input: the non-zeros) are the observations.
        y : object, default=None
            Ignored, present for API consistency.
        reviews : object, default=None
            Ignored: this model reads no text.
        sample_weight : array-like of shape (n_users,), default=None
            Non-negative weight of each user; None means 1.

        Returns
        -------
        self : EASE
            The fitted estimator.

        Raises
        ------
        MemoryError
            If the matrix to invert does not fit in the available memory.
        """
        with keep_state_on_error(self):
            rows = self._weighted_rows(X, sample_weight, reset=True)
            self._learn(rows, gram=None)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, *, reviews=None, sample_weight=None):
        """Add users and solve again: the result is that of one ``fit`` on all users so far.

        The Gram matrix is additive. From the second primal call on it is kept instead of the
        users' rows, which takes a second items x items array.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            Rows of the additional users.
        y : object, default=None
            Ignored, present for API consistency.
        reviews : object, default=None
            Ignored: this model reads no text.
        sample_weight : array-like of shape (n_users,), default=None
            Non-negative weight of each additional user; None means 1.

        Returns
        -------
        self : EASE
            The fitted estimator.
        """
        if not hasattr(self, "method_"):
            return self.fit(X, sample_weight=sample_weight)
        with keep_state_on_error(self):
            rows = self._weighted_rows(X, sample_weight, reset=False)
            if self._gram is None:
                rows = sparse.vstack([self._rows, rows], format="csr", dtype=rows.dtype)
            if self._gram is None and self._choose_method(rows.shape) == "dual":
                self._learn(rows, gram=None)
            else:
                self._check_memory("primal", rows.shape[0], rows.dtype, n_matrices=2)
                gram = gram_upper(rows, effective_n_threads(self.n_jobs))
                if self._gram is not None:
                    gram += self._gram
                self._learn(None, gram)
        return self

    def similar_items(self, items, k=10, *, return_scores=False):
        r"""Find the items most closely related to given ones.

        The similarity is the partial correlation :math:`-P_{ij} / \sqrt{P_{ii} P_{jj}}`: how two
        items go together once all the others are accounted for. It is symmetric and lies
        between -1 and 1.

        Parameters
        ----------
        items : array-like of int of shape (n_queries,)
            Item indices.
        k : int, default=10
            Number of neighbours.
        return_scores : bool, default=False
            Whether to return the similarities too.

        Returns
        -------
        indices : ndarray of shape (n_queries, k)
            Most similar first, never the item itself; padded with -1.
        scores : ndarray of shape (n_queries, k)
            Only if ``return_scores=True``.
        """
        check_is_fitted(self)
        k = check_k(k, n_items=self.n_features_in_)
        items = self._check_item_indices(items)

        def most_similar(block):
            similarity = self._weights.partial_correlations(items[block])
            similarity[np.arange(len(similarity)), items[block]] = -np.inf
            return top_k(similarity, k)

        n_threads = effective_n_threads(self.n_jobs)
        blocks = row_blocks(len(items), 4 * 8 * self.n_features_in_, n_threads)
        found = map_blocks(most_similar, blocks, n_threads)
        indices, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return (indices, scores) if return_scores else indices

    def explain(self, X, items):
        """Split scores into what each item of the user's history contributes.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            The users' rows.
        items : array-like of int, of shape (n_explained,) or (n_users, n_explained)
            The items whose scores are split, the same for all users or a row for each, such as
            :meth:`recommend` returns them. -1 (padding) gives an empty row.

        Returns
        -------
        contributions : list of csr_array of shape (n_explained, n_items)
            One for each user: entry `[r, i]` is what history item `i` adds to the score of the
            `r`-th explained item. Rows sum to the scores of ``predict``.
        """
        X = self._check_rows(X)
        items = np.asarray(items)
        if items.ndim == 1:
            items = np.broadcast_to(items, (X.shape[0], len(items)))
        if items.ndim != 2 or len(items) != X.shape[0]:
            raise ValueError(
                f"items must have shape (n_explained,) or (n_users={X.shape[0]}, n_explained), "
                f"got {items.shape}."
            )
        self._check_item_indices(items[items != -1])
        return [self._contributions(X[[user]], explained) for user, explained in enumerate(items)]

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

    def _contributions(self, row, explained):
        known = np.flatnonzero(explained != -1)
        weights = self._weights.between(row.indices, explained[known])
        values = (row.data[:, None] * weights).T
        columns = np.tile(row.indices, len(known))
        lines = np.repeat(known, len(row.indices))
        return sparse.csr_array(
            (values.ravel(), (lines, columns)), shape=(len(explained), row.shape[1])
        )

    def _check_item_indices(self, items):
        items = np.asarray(items)
        if items.size and items.dtype.kind not in "iu":
            raise TypeError(f"items must be integer item indices, got dtype {items.dtype}.")
        outside = items[(items < 0) | (items >= self.n_features_in_)]
        if items.ndim != 1 or outside.size:
            raise ValueError(
                f"items must be a 1-D array of indices in [0, {self.n_features_in_ - 1}], got "
                f"{outside[0] if outside.size else f'shape {items.shape}'}."
            )
        return items.astype(np.intp)

    def _weighted_rows(self, X, sample_weight, reset):
        """Validate users and scale each row by the root of its weight."""
        X = check_interactions(X, estimator=self, reset=reset)
        dtype = X.dtype if reset else self._dtype
        rows = X.astype(self.dtype or dtype, copy=False)
        if sample_weight is not None:
            # Where chunks of users are added, all of a chunk may have weight 0.
            weight = check_sample_weight(sample_weight, X, allow_all_zero=not reset)
            scale = np.sqrt(weight).astype(rows.dtype)
            data = rows.data * np.repeat(scale, np.diff(rows.indptr))
            rows = sparse.csr_array((data, rows.indices, rows.indptr), shape=rows.shape)
        if self.device == "cuda":
            _check_cuda()
        return rows

    def _choose_method(self, shape):
        if self.method != "auto":
            return self.method
        return "dual" if shape[0] < shape[1] else "primal"

    def _learn(self, rows, gram):
        """Solve from the users' rows, or from the Gram matrix where that has replaced them."""
        n_threads = effective_n_threads(self.n_jobs)
        method = "primal" if rows is None else self._choose_method(rows.shape)
        if method == "dual":
            self._check_memory("dual", rows.shape[0], rows.dtype)
            penalty = self._penalty(rows.multiply(rows).sum(axis=0, dtype=np.float64))
            weights = DualWeights(rows, penalty, n_threads, self.device)
            rows = weights.rows
        else:
            if gram is None:
                self._check_memory("primal", rows.shape[0], rows.dtype)
                matrix = gram_upper(rows, n_threads)
            else:
                matrix = gram.copy()
            diagonal = np.einsum("ii->i", matrix)
            diagonal += self._penalty(diagonal)
            weights = PrimalWeights(matrix, n_threads, self.device)
            # A copy, as the caller may change X in place later on.
            rows = None if rows is None else rows.copy()
        self.method_ = method
        self._weights, self._rows, self._gram = weights, rows, gram
        self._dtype = weights.dtype

    def _penalty(self, gram_diagonal):
        if not np.isfinite(gram_diagonal).all():
            raise ValueError(
                f"The squares of X overflow in {gram_diagonal.dtype}: scale X down, or use "
                "dtype='float64'."
            )
        return self.l2 + self.dropout / (1 - self.dropout) * gram_diagonal

    def _check_memory(self, method, n_users, dtype, n_matrices=1):
        """Raise a MemoryError that says what would fit, before anything large is allocated."""
        size = {"primal": self.n_features_in_, "dual": n_users}
        # The dual computes in float64. Beside the matrix there are its Gram product's panels.
        itemsizes = {"primal": np.dtype(dtype).itemsize, "dual": 8}
        needed = {name: 1.3 * n**2 * itemsizes[name] for name, n in size.items()}
        other = "dual" if method == "primal" else "primal"
        fixes = ["drop rare items (Interactions.filter(min_users_per_item=...))"]
        if method == "primal" and itemsizes[method] == 8:
            fixes.insert(0, "dtype='float32' needs half")
        if needed[other] < needed[method]:
            fixes.insert(0, f"method='{other}' needs {needed[other] / 2**30:.3g} GiB")
        check_memory(
            n_matrices * needed[method],
            f"EASE(method='{method}') on {n_users} users x {self.n_features_in_} items",
            ", or ".join(fixes),
        )


def _check_cuda():
    import torch

    if not torch.cuda.is_available():
        raise ValueError("device='cuda' needs a CUDA GPU, and torch finds none: use device='cpu'.")
