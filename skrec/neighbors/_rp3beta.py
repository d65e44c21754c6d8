"""RP3beta: random walks of three steps, from the user over items and users to items."""

from numbers import Integral, Real

import numpy as np
from scipy import sparse

from skrec.base import BaseRecommender, ItemWeightsMixin
from skrec.solvers._similarities import nearest_columns
from skrec.utils._blocks import effective_n_threads
from skrec.utils._compat import Interval
from skrec.utils._validation import check_non_negative


class RP3beta(ItemWeightsMixin, BaseRecommender):
    r"""Random walks of three steps, with popular items taken down (RP3beta; P3alpha if beta is 0).

    From an item of the user's history a walk goes to one of the users who have chosen it, and on
    to one of that user's items, each with a probability in proportion to the entry, raised to the
    power :math:`\alpha`. With the row-normalised matrices :math:`P_{UI}` of :math:`X` and
    :math:`P_{IU}` of :math:`X^\top`, the weight of item `i` for item `j` is

    .. math::
        B_{ij} = \frac{\sum_u (P_{IU})_{iu}^\alpha\, (P_{UI})_{uj}^\alpha}{n_j^\beta}

    where :math:`n_j` counts the users of item `j`. Each item keeps the `n_neighbors` items that
    weigh most for it, and scores the sum of their weights over the user's history.

    Parameters
    ----------
    n_neighbors : int
        Number of items from which an item is predicted: what is kept of each column of the
        weights. Keeping them by row instead ranks far worse.
    alpha : float
        Exponent of the steps' probabilities. Below 1 it brings them nearer to each other, without
        which the kept neighbours of an item are mostly rare ones.
    beta : float
        Exponent of the popularity that weights are divided by. 0: P3alpha, which recommends
        popular items.

    See Also
    --------
    EASE : Weights that account for all other items at once.

    Notes
    -----
    The products are computed in blocks of items: memory holds the weights that are kept, and for
    each thread a block of them before they are chosen. The sum of the paper over the user's items
    leaves the first step's probability out, which is the same for all items that are ranked.

    There is no ``partial_fit``: sums over users add up before the neighbours are chosen, but all
    pairs of items would have to be kept for it. :func:`skrec.update` fits again.

    References
    ----------
    .. [1] B. Paudel, F. Christoffel, C. Newell and A. Bernstein, "Updatable, Accurate, Diverse,
       and Scalable Recommendations for Interactive Applications", ACM TiiS 7(1), 2017.
       :doi:`10.1145/2955101`
    .. [2] C. Cooper, S. H. Lee, T. Radzik and Y. Siantos, "Random Walks in Recommender Systems:
       Exact Computation and Simulations", WWW 2014 Companion. :doi:`10.1145/2567948.2579244`

    Examples
    --------
    >>> from skrec import RP3beta
    >>> X = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]]
    >>> model = RP3beta(n_neighbors=2).fit(X)
    >>> model.recommend([[1, 0, 0, 0]], k=2)
    array([[1, 2]])
    """

    _parameter_constraints: dict = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "n_jobs": [Integral, None],
    }

    _no_update = None

    def __init__(self, n_neighbors=100, *, alpha=0.6, beta=0.6, n_jobs=None):
        self.n_neighbors = n_neighbors
        self.alpha = alpha
        self.beta = beta
        self.n_jobs = n_jobs

    def _check_training(self, X, reset):
        X = super()._check_training(X, reset)
        return check_non_negative(X, "the probabilities of RP3beta need")

    def _fit(self, X):
        n_users = np.bincount(X.indices[X.data > 0], minlength=X.shape[1])
        rarity = np.maximum(n_users, 1.0) ** -self.beta
        to_users = step_probabilities(X.T.tocsr(), self.alpha).T
        to_items = step_probabilities(X, self.alpha)
        to_items.data *= rarity[to_items.indices].astype(X.dtype)
        n_threads = effective_n_threads(self.n_jobs)
        self.coef_ = nearest_columns(to_users, to_items, self.n_neighbors, n_threads).tocsr()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags


def step_probabilities(X, alpha):
    """Divide each row by its sum, and raise its entries to a power; what is 0 stays away.

    Parameters
    ----------
    X : csr_array of shape (n_rows, n_columns)
    alpha : float

    Returns
    -------
    probabilities : csr_array of shape (n_rows, n_columns)
    """
    probabilities = sparse.csr_array(X, copy=True)
    probabilities.eliminate_zeros()
    lengths = np.diff(probabilities.indptr)
    # The largest entry is divided out first: a sum of the largest floats overflows.
    for reduce in (np.maximum, np.add):
        rows = np.flatnonzero(lengths)
        totals = reduce.reduceat(probabilities.data, probabilities.indptr[rows])
        probabilities.data /= np.repeat(totals, lengths[rows])
    probabilities.data **= alpha
    return probabilities
