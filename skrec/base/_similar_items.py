"""Items that are most similar to given ones."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skrec.utils._blocks import effective_n_threads, map_blocks, score_blocks, top_k
from skrec.utils._mistaken_input import warn_of_ids
from skrec.utils._validation import check_flag, check_item_indices, check_k


class SimilarItemsMixin:
    """``similar_items``, where a model has a geometry of the items.

    The estimator writes ``_similarities(items)``: the similarity of each item of an ndarray of
    intp to all items, a new float array of shape (n_queries, n_items).
    """

    def similar_items(self, items, k=10, *, return_scores=False):
        """Find the items most closely related to given ones.

        Parameters
        ----------
        items : array-like of int of shape (n_queries,)
            Item indices.
        k : int, default=10
            Number of neighbours.
        return_scores : bool, default=False
            Whether to return the similarities too. What they are, the class says.

        Returns
        -------
        indices : ndarray of shape (n_queries, k)
            Most similar first, never the item itself; padded with -1.
        scores : ndarray of shape (n_queries, k)
            Only if ``return_scores=True``.

        See Also
        --------
        skrec.similar_items : The same by ids, for Pipelines and searches too.
        """
        check_is_fitted(self)
        return_scores = check_flag(return_scores, "return_scores")
        k = check_k(k, n_items=self.n_features_in_)
        warn_of_ids(items, self, "items")
        items = check_item_indices(items, self.n_features_in_)
        n_threads = effective_n_threads(getattr(self, "n_jobs", None))
        indices, scores = self._most_similar(items, k, n_threads)
        return (indices, scores) if return_scores else indices

    def _most_similar(self, items, k, n_threads):
        def most_similar(block):
            similarities = self._similarities(items[block])
            similarities[np.arange(len(similarities)), items[block]] = -np.inf
            return top_k(similarities, k)

        blocks = score_blocks(len(items), self.n_features_in_, n_threads)
        found = map_blocks(most_similar, blocks, n_threads)
        return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))
