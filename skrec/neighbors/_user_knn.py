"""UserKNN: a row is answered by the training rows that are nearest to it."""

from scipy import sparse

from skrec.base import BaseRecommender
from skrec.neighbors._similarity import (
    SimilarityMixin,
    Weights,
    check_signs,
    denominator,
    in_unit,
    squared_norms,
)
from skrec.solvers._offsets import with_data
from skrec.solvers._sparse_products import largest_entries
from skrec.utils._compat import fit_context
from skrec.utils._validation import check_finite_answers


class UserKNN(SimilarityMixin, BaseRecommender):
    r"""User neighbours: a score is the sum of the entries of similar training users.

    Of a row, in training or not, the `n_neighbors` training rows of largest positive similarity
    are found, and items score :math:`\sum_v s_{uv}\, x_{vi}` over these.

    Parameters
    ----------
    n_neighbors : int
        Number of training users from whom a row is answered. Of equally similar ones, those come
        first that stand first in the training data.

    Attributes
    ----------
    rows_ : csr_array of shape (n_users, n_items)
        The training rows.

    See Also
    --------
    ItemKNN : Neighbours among items; similar items and explanations.

    Notes
    -----
    Similarities and weightings are those of :class:`ItemKNN`, with users in the place of items and
    items in that of users: weights of entries lessen the popular items, and the number that sets
    "bm25" apart is the sum of the row over the mean of the training rows. Rows are added up
    without the weights.

    Training is only storing, so ``partial_fit`` and :func:`skrec.update` are exact, and a new row
    needs no refit. No user is looked up: a training user who is asked again is among its own
    neighbours, as another with an equal row is, and adds nothing to items that it has not.

    The similarities of a row are computed and cut one row at a time, and nothing of users x users
    is stored. A row costs a step for each entry of the users with whom it shares an item.

    References
    ----------
    .. [1] P. Resnick, N. Iacovou, M. Suchak, P. Bergstrom and J. Riedl, "GroupLens: An Open
       Architecture for Collaborative Filtering of Netnews", CSCW 1994.
       :doi:`10.1145/192844.192905`
    .. [2] F. Aiolli, "Efficient Top-N Recommendation for Very Large Scale Binary Rated Datasets",
       RecSys 2013. :doi:`10.1145/2507157.2507189`

    Examples
    --------
    >>> from skrec import UserKNN
    >>> X = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]]
    >>> model = UserKNN(n_neighbors=2).fit(X)
    >>> model.recommend([[0, 1, 0, 0]], k=2)
    array([[0, 2]])
    """

    _no_update = None

    def __init__(
        self,
        n_neighbors=50,
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

    @fit_context
    def partial_fit(self, X, y=None, *, reviews=None):
        """Add users: the result is that of one ``fit`` on all users so far.

        Returns
        -------
        self : estimator
            The fitted estimator; if this fails, as it was before.
        """
        is_first = not hasattr(self, "n_features_in_")
        return self._learn(self._fit if is_first else self._add, X, reviews, reset=is_first)

    def _fit(self, X):
        self.rows_ = X.copy()
        self._weights = Weights(self.weighting, X)
        rows, self._unit = in_unit(self._weights(X))
        self._squares = squared_norms(rows)
        self._by_item = rows.T.tocsr()
        # As they were in this fit: a parameter that is set later waits for the next one.
        self._n_kept, self._compared = self.n_neighbors, self._comparison(self._unit)
        self._why_signs_matter = self._why_non_negative()

    def _add(self, X):
        self._fit(sparse.vstack([self.rows_, X], format="csr"))

    def _check_rows(self, X):
        return check_signs(super()._check_rows(X), self._why_signs_matter)

    @property
    def _sparse_right(self):
        return self.rows_

    def _sparse_left(self, X):
        rows = self._weights(X)
        rows = with_data(rows, rows.data / X.dtype.type(self._unit))
        squares = squared_norms(rows)
        check_finite_answers(self, squares)
        divisors = denominator(squares, self._squares, *self._compared)
        return largest_entries(rows, self._by_item, self._n_kept, denominator=divisors)
