"""ItemKNN: an item is predicted from its nearest items."""

from skrec.base import BaseRecommender, ItemWeightsMixin
from skrec.neighbors._similarity import (
    SimilarityMixin,
    Weights,
    denominator,
    in_unit,
    squared_norms,
)
from skrec.solvers._similarities import nearest_columns
from skrec.utils._blocks import effective_n_threads


class ItemKNN(SimilarityMixin, ItemWeightsMixin, BaseRecommender):
    r"""Item neighbours: a score is the sum of similarities over the user's history.

    Each item keeps the `n_neighbors` items of largest positive similarity to it, and scores
    :math:`\sum_i x_{ui}\, s_{ij}` over those of them that are in the user's row.

    Parameters
    ----------
    n_neighbors : int
        Number of items from which an item is predicted: what is kept of each column of the
        weights. Keeping them by row instead ranks far worse.

    See Also
    --------
    RP3beta : Similarities by random walks.
    EASE : Weights that know of all other items.
    UserKNN : Neighbours among users.

    Notes
    -----
    An item `c` is compared with a candidate `n` by the inner products of their columns,
    :math:`G_{cn} = \sum_u w_{uc} w_{un}`, with shrinkage :math:`s` and asymmetry :math:`a`:

    - "cosine": :math:`G_{cn} / (\sqrt{G_{cc} G_{nn}} + s)`;
    - "asymmetric": :math:`G_{cn} / (G_{cc}^{1-a} G_{nn}^a + s)`;
    - "jaccard": :math:`G_{cn} / (G_{cc} + G_{nn} - G_{cn} + s)`, also named after Tanimoto where
      entries are not binary;
    - "conditional": :math:`G_{cn} / (G_{nn} + s)`; of binary entries this is the share of the
      users of `n` who have chosen `c`.

    Here :math:`w_{ui}` are the entries as they are. With ``weighting="tf-idf"`` they are
    :math:`\sqrt{x_{ui}}\, t_u` with :math:`t_u = \log\frac{1 + n_{items}}{1 + n_u}`, so that a
    user who has chosen :math:`n_u` items, nearly all there are, says little about any two of
    them. With "bm25" they are :math:`\frac{2.2\, x_{ui}}{x_{ui} + 1.2 (0.25 + 0.75\, l_i)} t_u`,
    where :math:`l_i` is the sum of the entries of item `i` over its mean. Entries must then not
    be negative, nor with "jaccard". Scores add up the entries of the user without weights.

    The products are computed item by item: memory holds the similarities that are kept.

    There is no ``partial_fit``: products add up over users before the neighbours are chosen, but
    all pairs of items would have to be kept for it. :func:`skrec.update` fits again.

    References
    ----------
    .. [1] M. Deshpande and G. Karypis, "Item-Based Top-N Recommendation Algorithms", ACM TOIS
       22(1), 2004. :doi:`10.1145/963770.963776`
    .. [2] F. Aiolli, "Efficient Top-N Recommendation for Very Large Scale Binary Rated Datasets",
       RecSys 2013. :doi:`10.1145/2507157.2507189`
    .. [3] M. Ferrari Dacrema, S. Boglio, P. Cremonesi and D. Jannach, "A Troubling Analysis of
       Reproducibility and Progress in Recommender Systems Research", ACM TOIS 39(2), 2021.
       :doi:`10.1145/3434185`

    Examples
    --------
    >>> from skrec import ItemKNN
    >>> X = [[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1]]
    >>> model = ItemKNN(n_neighbors=2, weighting=None).fit(X)
    >>> model.coef_.toarray().round(2)
    array([[0.  , 0.82, 0.  , 0.  ],
           [0.82, 0.  , 0.5 , 0.  ],
           [0.41, 0.5 , 0.  , 0.71],
           [0.  , 0.  , 0.71, 0.  ]])
    >>> model.recommend([[0, 0, 1, 0]], k=2)
    array([[3, 1]])
    """

    _no_update = None

    def __init__(
        self,
        n_neighbors=100,
        *,
        similarity="cosine",
        asymmetry=None,
        shrinkage=0.0,
        weighting="tf-idf",
        n_jobs=None,
    ):
        self.n_neighbors = n_neighbors
        self.similarity = similarity
        self.asymmetry = asymmetry
        self.shrinkage = shrinkage
        self.weighting = weighting
        self.n_jobs = n_jobs

    def _fit(self, X):
        items = X.T.tocsr()
        items, unit = in_unit(Weights(self.weighting, items)(items))
        squares = squared_norms(items)
        self.coef_ = nearest_columns(
            items.T,
            items.T,
            self.n_neighbors,
            effective_n_threads(self.n_jobs),
            denominator=denominator(squares, squares, *self._comparison(unit)),
        ).tocsr()
