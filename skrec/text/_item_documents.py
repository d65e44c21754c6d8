"""The documents of items: what is written about each, or all its training reviews together."""

import narwhals as nw
import numpy as np
from scipy.sparse import csr_array, issparse

from skrec.reviews import as_documents
from skrec.text._vocabulary import Vocabulary
from skrec.utils._item_features import check_order, without_frame


class ItemDocumentsMixin:
    """A model that learns from a document of each item.

    Parameters
    ----------
    item_features : array-like of str or {array-like, sparse matrix, dataframe} of shape \
            (n_items, n_words)
        A document of each item, in the order of the columns of `X`: texts, or counts of words.
        Items that nobody has chosen are scored by theirs. None: the document of an item is all
        its training reviews together, if ``fit`` gets any.
    """

    def _learn_documents(self, X, reviews):
        """Learn the vocabulary, and count the words of each item's document.

        Returns
        -------
        words : csr_array of shape (n_items, n_words) or None
        """
        self._vocabulary, words = None, None
        if self.item_features is not None:
            ids = getattr(self, "feature_names_in_", None)
            documents = check_item_documents(self.item_features, X.shape[1], ids)
            self._vocabulary, words = Vocabulary.learn(
                self.vectorizer, documents, name="item_features"
            )
        elif reviews is not None:
            documents = reviews.entry_documents
            self._vocabulary, words = Vocabulary.learn(self.vectorizer, documents)
            entries = np.arange(X.nnz)
            by_item = csr_array((np.ones(X.nnz, np.float32), (X.indices, entries)))
            by_item.resize(X.shape[1], X.nnz)
            words = csr_array(by_item @ words)
        return words

    def _read_reviews(self, reviews):
        """Nothing: users are known by their choices or ratings."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.recommender_tags.reads_reviews = True
        return tags

    def __getstate__(self):
        return {**super().__getstate__(), "item_features": without_frame(self.item_features)}


def check_item_documents(documents, n_items, item_ids=None):
    """Validate a document of each item.

    Parameters
    ----------
    documents : array-like of str or {array-like, sparse matrix, dataframe} of shape \
            (n_items, n_words)
    n_items : int
        Number of columns of `X`.
    item_ids : ndarray of shape (n_items,), default=None
        Ids of the items, if they have any.

    Returns
    -------
    documents : ndarray of str of shape (n_items,) or csr_array of shape (n_items, n_words)
    """
    index = getattr(documents, "index", None)  # pandas alone has one that is no method
    if index is not None and not callable(index) and item_ids is not None:
        check_order(np.asarray(index), item_ids, "item_features")
    table = nw.from_native(documents, eager_only=True, allow_series=True, pass_through=True)
    if isinstance(table, nw.DataFrame | nw.Series):
        documents = table.to_numpy()
    found = as_documents(documents)
    if found.shape[0] != n_items:
        raise ValueError(
            f"item_features has {found.shape[0]} documents, X has {n_items} items: give one for "
            "each item, in the order of the columns of X, an empty one where nothing is written."
        )
    return csr_array(found) if issparse(found) else found
