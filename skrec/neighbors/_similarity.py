"""Weightings of entries, and similarities of items or of users: what neighbours are chosen by."""

from numbers import Integral, Real

import numpy as np

from skrec.solvers._offsets import with_data
from skrec.solvers._sparse_products import Denominator
from skrec.utils._compat import Interval, StrOptions
from skrec.utils._validation import check_non_negative

_OTHERWISE = ", or use similarity='cosine' without a weighting"
_K1, _B = 1.2, 0.75  # of BM25, as they are usually set


class SimilarityMixin:
    """Neighbours by inner products of weighted entries; :class:`ItemKNN` has the formulas.

    Parameters
    ----------
    similarity : {"cosine", "asymmetric", "jaccard", "conditional"}
        Of an item (or user) and a candidate for its neighbour, see the notes of
        :class:`~skrec.ItemKNN`.
    asymmetry : float
        Exponent of ``similarity="asymmetric"``, from 0 to 1, which no other takes. 0.5 is the
        cosine; with more, candidates with many entries are less of a neighbour. None: 0.6.
    shrinkage : float
        Is added to the denominator, so that similarities which rest on few entries count less. Its
        unit is that of products of (weighted) entries.
    weighting : {"tf-idf", "bm25"} or None
        Weights of the entries that are compared, which must not be negative then, see the notes
        of :class:`~skrec.ItemKNN`. None: the entries as they are.
    n_jobs : int
        Number of threads of the sparse products. None means all cores, less where
        ``OMP_NUM_THREADS`` or a joblib worker says so.
    """

    _parameter_constraints: dict = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "similarity": [StrOptions({"cosine", "asymmetric", "jaccard", "conditional"})],
        "asymmetry": [Interval(Real, 0, 1, closed="both"), None],
        "shrinkage": [Interval(Real, 0, None, closed="left")],
        "weighting": [StrOptions({"tf-idf", "bm25"}), None],
        "n_jobs": [Integral, None],
    }

    def _check_training(self, X, reset):
        if self.asymmetry is not None and self.similarity != "asymmetric":
            raise ValueError(
                f"asymmetry={self.asymmetry} has no meaning with similarity={self.similarity!r}: "
                "leave it None, or use similarity='asymmetric'."
            )
        X = super()._check_training(X, reset)
        return check_signs(X, self._why_non_negative())

    def _why_non_negative(self):
        if self.weighting is not None:
            return f"weighting={self.weighting!r} needs"
        return "similarity='jaccard' needs" if self.similarity == "jaccard" else None

    def _comparison(self, unit):
        """Exponent and shrinkage of the denominator, for entries that are divided by a unit."""
        given = 0.6 if self.asymmetry is None else self.asymmetry
        exponents = {"cosine": 0.5, "asymmetric": given, "conditional": 1.0, "jaccard": None}
        return exponents[self.similarity], self.shrinkage / unit / unit

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self._why_non_negative() is not None
        return tags


def check_signs(X, reason):
    """Refuse negative entries if there is a reason to, which names what does not bear them."""
    return X if reason is None else check_non_negative(X, reason, _OTHERWISE)


def denominator(squares, candidates, asymmetry, shrinkage):
    """What inner products are divided by.

    Parameters
    ----------
    squares : ndarray of shape (n_choosing,)
        Squared norms of those whose neighbours are chosen, the rows of the product.
    candidates : ndarray of shape (n_candidates,)
        Squared norms of those among whom they are chosen, its columns.
    asymmetry : float or None
        Exponent of `candidates`. None: Jaccard's denominator.
    shrinkage : float

    Returns
    -------
    denominator : Denominator
    """
    zeros = np.zeros(len(squares)), np.zeros(len(candidates))
    if asymmetry is None:
        return Denominator(*zeros, squares + shrinkage, candidates, 1.0)
    factors = squares ** (1 - asymmetry), candidates**asymmetry
    return Denominator(*factors, zeros[0] + shrinkage, zeros[1], 0.0)


def in_unit(X):
    """Divide by a power of two, exactly, so that squares stay within floats; return it too."""
    unit = 2.0 ** np.floor(np.log2(np.abs(X.data).max(initial=0) or 1.0))
    return with_data(X, X.data / X.dtype.type(unit)), float(unit)


def squared_norms(X):
    """The sum of the squares of each row, in float64."""
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    return np.bincount(rows, np.square(X.data, dtype=np.float64), X.shape[0])


class Weights:
    """Weights of entries, learned from documents whose entries count their terms.

    Items are documents of their users, and users are documents of their items.

    Parameters
    ----------
    kind : {"tf-idf", "bm25"} or None
    X : csr_array of shape (n_documents, n_terms)
        Without negative entries, if there is a weighting.
    """

    def __init__(self, kind, X):
        self.kind = kind
        if kind is not None:
            n_documents = np.bincount(X.indices[X.data > 0], minlength=X.shape[1])
            self.idf = np.log((1 + X.shape[0]) / (1 + n_documents))
        if kind == "bm25":
            self.largest = X.data.max(initial=0) or 1.0
            self.mean_length = (X / self.largest).sum() / X.shape[0]

    def __call__(self, X):
        """Weight the entries of documents, known or not."""
        if self.kind is None:
            return X
        data = np.sqrt(X.data) if self.kind == "tf-idf" else self._saturated(X)
        return with_data(X, (data * self.idf[X.indices]).astype(X.dtype, copy=False))

    def _saturated(self, X):
        lengths = (X / self.largest).sum(axis=1) / (self.mean_length or 1.0)
        lengths = np.repeat(1 - _B + _B * lengths, np.diff(X.indptr))
        with np.errstate(over="ignore", divide="ignore"):
            return (_K1 + 1) / (1 + _K1 * lengths / X.data)
