"""EASE: a linear item-item model with a closed form."""

from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skrec.base import AdditiveMixin, BaseRecommender, ExplainMixin
from skrec.linear._ease_method import check_fits, fits
from skrec.linear._ease_rows import first_rows, scaled_features, sums_of_squares, weighted_rows
from skrec.linear._ease_solver import Regressions, solve_best
from skrec.linear._ease_weights import BlendedWeights
from skrec.solvers._gram import gram_upper
from skrec.utils._blocks import effective_n_threads
from skrec.utils._changes import check_learned, padded
from skrec.utils._compat import Interval, Options, StrOptions
from skrec.utils._item_features import check_item_features, without_frame


def _stores_rows(model):
    if not model.store_rows:
        raise AttributeError(
            "EASE(store_rows=False) has no partial_fit: it keeps neither the training rows nor "
            "their Gram matrix, to which more users would add. Use skrec.update(model, old, new) "
            "or fit on all users, or EASE(store_rows=True)."
        )
    return True


class EASE(ExplainMixin, AdditiveMixin, BaseRecommender):
    r"""Embarrassingly Shallow AutoEncoder, denoising (EDLAE), relaxed (RLAE), with item features.

    Every item is predicted from all the others by ridge regression. With the Gram matrix
    :math:`G = X^\top W X` of the (weighted) users, the weights minimise

    .. math::
        \|\sqrt{W}(X - XB)\|_F^2 + \sum_{ij} \lambda_i B_{ij}^2
        \quad\text{subject to}\quad \operatorname{diag}(B) \le \xi

    with :math:`\lambda_i = l_2 \bar{w} + \tfrac{p}{1-p}\, G_{ii}`, and have a closed form:
    :math:`P = (G + \Lambda)^{-1}`, :math:`B_{ij} = -d_j P_{ij}` off the diagonal, where
    :math:`d_j` is the larger of :math:`(1 - \xi) / P_{jj}` and :math:`\lambda_j`. The score of
    item `j` for a user with row `x` is :math:`\sum_{i \ne j} x_i B_{ij}`, so users seen in
    training and new ones are treated alike. EASE itself has :math:`\xi = 0` and :math:`W = I`.

    Parameters
    ----------
    l2 : float, default=500.0
        Penalty on the squared weights, in units of users (with other entries than 1, of their
        squares): an item that far fewer users than this have chosen is hardly used as evidence.
        Good values mostly lie between 50 and 2000; tune it on a logarithmic grid.
    dropout : float, default=0.0
        Probability `p` of dropping an entry from the input while the full row is predicted. 0 is
        EASE; ``p > 0`` is the full-rank EDLAE, whose expectation over all masks is taken in closed
        form.
    relaxation : float, default=0.0
        The largest share :math:`\xi` of an item that may be explained by itself, in [0, 1), before
        that is left out of the scores. 0 is EASE, where none may. Above 0, items that are easily
        predicted by others count for less as what is predicted; together with `dropout` or
        `user_power` values around 0.4 rank better.
    user_power : float, default=0.0
        Users with :math:`n_u` entries weigh :math:`n_u^{-\beta}`, beside their `sample_weight`: at
        0 those with long histories decide, at 1 all users count about the same. `l2` is multiplied
        by the mean :math:`\bar{w}` of that weight over all entries, so that it keeps its meaning.
        Good values lie between 0.3 and 0.7.
    item_features : {array-like, sparse matrix, dataframe} of shape (n_items, n_features)
        What is known of the items themselves: a row for each item, in the order of the columns of
        `X`. Numbers or booleans; categories have to be one-hot encoded. Items that nobody has
        chosen then get scores from those that are like them.
    feature_method : {"additive", "collective"}, default="additive"
        "additive" (Add-EASE): the scores are sums of those of two models, one of the users and an
        EASE of the features with the same `l2`, which gets the share `feature_weight`.
        "collective" (CEASE): the features, times `feature_weight`, are further rows of `X`, as if
        each were a user who has chosen the items that have it.
    feature_weight : float, default=0.5
        Only with `item_features`: how much they count; 0 leaves them out. At most 1 if they are
        additive.
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
    -1 and 1. Of additive features, it is the sum of both with the same shares.

    Neither `dropout` nor `relaxation` changes what the features are; `dropout` adds to the penalty
    what users have in common alone. The features are read at every fit, ``partial_fit`` and
    update, and are part of the pickled model as any parameter is, a data frame as an array.

    ``fit`` raises a MemoryError if the matrix to invert does not fit in the available memory; for
    catalogues of that size there are ``SANSA`` and ``ELSA``. It raises a LinAlgError
    if rounding errors leave nothing to invert.

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
    .. [3] J. Moon, H. Kim and J. Lee, "It's Enough: Relaxing Diagonal Constraints in Linear
       Autoencoders for Recommendation", SIGIR 2023. :arxiv:`2305.12922`
    .. [4] O. Jeunen, J. Van Balen and B. Goethals, "Closed-Form Models for Collaborative Filtering
       with Side-Information", RecSys 2020. :doi:`10.1145/3383313.3418480`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import EASE
    >>> X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]])
    >>> model = EASE(l2=1.0).fit(X)
    >>> model.recommend([[1, 0, 0, 0]], k=2)
    array([[1, 2]])

    Nobody has chosen item 4 yet. It has the features of items 2 and 3:

    >>> X = np.hstack([X, np.zeros((4, 1))])
    >>> features = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]])
    >>> model = EASE(l2=1.0, item_features=features).fit(X)
    >>> model.recommend([[0, 0, 1, 1, 0], [1, 1, 0, 0, 0]], k=1)
    array([[4],
           [2]])
    """

    _parameter_constraints: dict = {
        "l2": [Interval(Real, 0, None, closed="neither")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "relaxation": [Interval(Real, 0, 1, closed="left")],
        "user_power": [Interval(Real, 0, None, closed="left")],
        "item_features": ["array-like", "sparse matrix", None],
        "feature_method": [StrOptions({"additive", "collective"})],
        "feature_weight": [Interval(Real, 0, None, closed="left")],
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
        relaxation=0.0,
        user_power=0.0,
        item_features=None,
        feature_method="additive",
        feature_weight=0.5,
        dtype=None,
        method="auto",
        store_rows=True,
        n_jobs=None,
        device="cpu",
    ):
        self.l2 = l2
        self.dropout = dropout
        self.relaxation = relaxation
        self.user_power = user_power
        self.item_features = item_features
        self.feature_method = feature_method
        self.feature_weight = feature_weight
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

    def __getstate__(self):
        state = super().__getstate__()
        if not hasattr(self, "method_"):  # a copy that is to be fitted elsewhere
            return state
        return {**state, "item_features": without_frame(self.item_features)}

    def _check_training(self, X, reset):
        X = super()._check_training(X, reset)
        self._read_features(X.shape[1])
        if self.method == "dual" and not self.store_rows:
            raise ValueError(
                "method='dual' scores with the training rows, which store_rows=False leaves out: "
                "use method='primal', or store_rows=True."
            )
        if self.device == "cuda":
            _check_cuda()
        return X

    def _fit(self, X, sample_weight):
        self._solve(*self._weighted(X, sample_weight, self.dtype or X.dtype))

    def _add(self, X, sample_weight):
        self._check_user_power()
        rows, sums = self._weighted(X, sample_weight, self.dtype or self._dtype)
        sums += self._sums
        if self._gram is not None:
            check_fits("primal", *rows.shape, rows.dtype.itemsize, 2)
            gram = gram_upper(rows, effective_n_threads(self.n_jobs))
            gram += self._gram
            self._solve(rows, sums, gram, keep_gram=True)
        elif self._rows is not None:
            rows = sparse.vstack([self._rows, rows], format="csr", dtype=rows.dtype)
            self._solve(rows, sums, keep_gram=True)
        else:
            raise ValueError(
                "partial_fit needs the rows that this EASE was fitted on, which was with "
                "store_rows=False: fit again on all users."
            )

    def _check_user_power(self):
        if self.user_power != self._user_power:
            raise ValueError(
                f"user_power is {self.user_power:g}, but this EASE was fitted with "
                f"{self._user_power:g}, by which its users are weighted: fit again on all users."
            )

    def _check_learned(self, change):
        if self._gram is not None:
            squares = self._gram.diagonal()
        elif self._rows is not None:
            squares = sums_of_squares(self._rows)
        else:
            return
        self._check_user_power()
        old, _ = self._weighted(change.old, change.old_weight, self.dtype or self._dtype)
        check_learned(self, padded(squares, change.new.shape[1]), sums_of_squares(old))

    def _update(self, change):
        dtype = self.dtype or self._dtype
        new, sums = self._weighted(change.new, change.sample_weight, dtype)
        itemsize = new.dtype.itemsize
        if self._gram is None:
            # Where there is room for it, so that the next update needs the changed rows alone.
            keep_gram = self.store_rows and fits("primal", *new.shape, itemsize, 2)
            self._solve(new, sums, keep_gram=keep_gram)
            return
        check_fits("primal", *new.shape, itemsize, 3)
        n_known = len(self._gram)
        n_threads = effective_n_threads(self.n_jobs)
        gram = gram_upper(self._weighted(*change.added, dtype)[0], n_threads)
        gram -= gram_upper(self._weighted(*change.removed, dtype)[0], n_threads)
        gram[:n_known, :n_known] += self._gram
        # All rows judge the result.
        self._solve(new, sums, gram, keep_gram=self.store_rows)

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

    def _weighted(self, X, sample_weight, dtype):
        """Rows that are scaled by the roots of their weights, and what the weights add up to."""
        return weighted_rows(X.astype(dtype, copy=False), sample_weight, self.user_power)

    def _read_features(self, n_items):
        if self.item_features is None:
            return None
        if self.feature_method == "additive" and self.feature_weight > 1:
            raise ValueError(
                "feature_weight is a share, between 0 and 1, with feature_method='additive', got "
                f"{self.feature_weight:g}: lower it, or use feature_method='collective'."
            )
        ids = getattr(self, "feature_names_in_", None)
        return check_item_features(self.item_features, n_items, ids)

    def _solve(self, rows, sums, gram=None, *, keep_gram=False):
        """Solve from the users' rows, or from the Gram matrix where that has replaced them.

        `rows` are then those of the last chunk, and only judge the result.
        """
        mean_weight = sums[0] / sums[1] if sums[1] > 0 else 1.0
        features = self._read_features(rows.shape[1])
        is_additive = features is not None and self.feature_method == "additive"
        if features is not None:
            scale = 1.0 if is_additive else self.feature_weight * np.sqrt(mean_weight)
            features = scaled_features(features, scale, rows.dtype)
        regressions = Regressions(
            rows,
            self.l2 * mean_weight,
            self.dropout,
            self.relaxation,
            gram,
            None if is_additive else features,
        )
        threads = {"n_threads": effective_n_threads(self.n_jobs), "device": self.device}
        options = {"keep_gram": keep_gram, "store_rows": self.store_rows, **threads}
        solution = solve_best(regressions, self.method, **options)
        weights = solution.weights
        if is_additive:
            of_items = sparse.csr_array(features.T)
            as_rows = Regressions(of_items, self.l2, judges=rows, name="item_features")
            of_features = solve_best(as_rows, **threads)
            weights = BlendedWeights(weights, of_features.weights, self.feature_weight)
        self._rows = None
        if weights.method == "dual":
            self._rows = first_rows(solution.weights.rows, rows.shape[0])
        elif self.store_rows and not keep_gram:
            self._rows = rows.copy()  # the caller may change X in place later on
        self._weights, self._gram, self._sums = weights, solution.gram, sums
        self._user_power = self.user_power
        self.method_, self._dtype = weights.method, weights.dtype


def _check_cuda():
    import torch

    if not torch.cuda.is_available():
        raise ValueError("device='cuda' needs a CUDA GPU, and torch finds none: use device='cpu'.")
