"""Scores that are inner products of a user's and an item's factors."""

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from skrec.base._similar_items import SimilarItemsMixin
from skrec.solvers._pair_products import pair_products
from skrec.utils._docstrings import complete_verbs
from skrec.utils._validation import check_finite_answers


@complete_verbs
class FactorMixin(SimilarItemsMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """A score is the inner product of a user's and an item's factors, plus offsets of both.

    ``_fit`` sets ``item_embeddings_`` and, in the unit of scores, ``_item_offsets``, an array of
    shape (n_items,) or 0. The estimator writes ``_fold_in(X)``: factors of users and their
    offsets, arrays of shape (n_users, n_components) and (n_users,), from their rows alone.

    Parameters
    ----------
    n_components : int
        Number of factors.
    max_iter : int
        Number of sweeps over users and items.
    verbose : int
        1 shows a progress bar with the objective.
    fit_offsets : bool
        Whether users and items have offsets.
    device : str
        "cpu", "cuda" (or "cuda:1", ...), or "auto", which takes a CUDA GPU if there is one. A
        fitted model goes to the CPU where the device does not exist.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_components)
        Factors of the items.
    """

    _item_offsets = 0

    def transform(self, X):
        """Embed users.

        Returns
        -------
        embeddings : ndarray of shape (n_users, n_components)
            The users' factors, without their offsets.
        """
        factors, _ = self._fold_in(self._check_rows(X))
        check_finite_answers(self, factors)
        return factors

    @property
    def _n_features_out(self):
        return self.item_embeddings_.shape[1]

    def _score_rows(self, X, *read):
        factors, offsets = self._fold_in(X, *read)
        scores = factors @ self.item_embeddings_.T
        for offset in (offsets[:, None], self._item_offsets):
            if not np.any(offset):
                continue
            is_as_precise = np.result_type(scores, offset) == scores.dtype
            scores = np.add(scores, offset, out=scores if is_as_precise else None)
        return scores

    def _user_states(self, X):
        return self._fold_in(X)

    def _score_pairs(self, states, users, items):
        factors, offsets = states
        products = pair_products(factors, self.item_embeddings_, users, items)
        item_offsets = np.broadcast_to(self._item_offsets, len(self.item_embeddings_))
        return products + offsets[users] + item_offsets[items]

    def _similarities(self, items):
        """Cosines of the items' factors; 0 where an item has none."""
        return cosines(self.item_embeddings_, items)


def cosines(vectors, items):
    """Cosines of some vectors with all; 0 where one has no length.

    Parameters
    ----------
    vectors : ndarray of shape (n_items, n_components)
    items : ndarray of intp of shape (n_queries,)

    Returns
    -------
    cosines : ndarray of shape (n_queries, n_items)
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    lengths[lengths == 0] = 1
    found = (vectors[items] / lengths[items, None]) @ vectors.T
    return np.divide(found, lengths, out=found)
