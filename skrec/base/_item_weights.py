"""Scores that are linear in the user's row."""

import numpy as np
from scipy import sparse

from skrec.base._similar_items import SimilarItemsMixin
from skrec.utils._mistaken_input import warn_of_ids
from skrec.utils._validation import check_item_indices


class ExplainMixin(SimilarItemsMixin):
    """A score is the sum of an item's weights over the user's history, whatever form they have.

    The estimator writes ``_weights_between(history, items)``: weights of some items for others, a
    new array of shape (n_history, n_items_asked).

    Parameters
    ----------
    n_jobs : int
        Number of threads of the fit, where it has any, of sparse products and of scoring. None
        means all cores, less where ``OMP_NUM_THREADS`` or a joblib worker says so.
    """

    def explain(self, X, items):
        """Split scores into what each item of the user's history contributes.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            The users' rows.
        items : array-like of int, of shape (n_explained,) or (n_users, n_explained)
            The items whose scores are split, the same for all users or a row for each, such as
            ``recommend`` returns them. -1 (padding) gives an empty row.

        Returns
        -------
        contributions : list of csr_array of shape (n_explained, n_items)
            One for each user: entry `[r, i]` is what history item `i` adds to the score of the
            `r`-th explained item. Rows sum to the scores of ``predict``.

        See Also
        --------
        skrec.explain : The same by ids, for Pipelines and searches too.
        """
        X = self._check_rows(X)
        warn_of_ids(items, self, "items")
        items = np.asarray(items)
        if items.ndim == 1:
            items = np.broadcast_to(items, (X.shape[0], len(items)))
        if items.ndim != 2 or len(items) != X.shape[0]:
            raise ValueError(
                f"items must have shape (n_explained,) or (n_users={X.shape[0]}, n_explained), "
                f"got {items.shape}."
            )
        check_item_indices(items[items != -1], self.n_features_in_)
        items = items.astype(np.intp)
        return [self._contributions(X[[user]], explained) for user, explained in enumerate(items)]

    def _contributions(self, row, explained):
        known = np.flatnonzero(explained != -1)
        weights = self._weights_of(row, explained[known])
        values = (row.data[:, None] * weights).T
        columns = np.tile(row.indices, len(known))
        lines = np.repeat(known, len(row.indices))
        return sparse.csr_array(
            (values.ravel(), (lines, columns)), shape=(len(explained), row.shape[1])
        )

    def _weights_of(self, row, items):
        """Weights of the items of a row for others, where they may depend on the row."""
        return self._weights_between(row.indices, items)


class ItemWeightsMixin(ExplainMixin):
    """A score is the sum of an item's weights over the user's history: ``X @ coef_``.

    ``_fit`` sets ``coef_``, sparse or dense; where it is sparse, so are the products, and
    ``recommend`` makes no dense scores. An estimator that has the weights in another form writes
    ``_score_rows``, ``_weights_between`` and ``_similarities`` anew.

    Attributes
    ----------
    coef_ : {ndarray, csr_array} of shape (n_items, n_items)
        Item weights with zero diagonal; column `j` predicts item `j`.
    """

    @property
    def _sparse_right(self):
        weights = getattr(self, "coef_", None)  # EASE's dual form has none
        return weights if sparse.issparse(weights) else None

    def _score_rows(self, X):
        if self._sparse_right is None:
            return np.ascontiguousarray(X @ self.coef_)
        return super()._score_rows(X)

    def _most_similar(self, items, k, n_threads):
        is_its_own = type(self)._similarities is not ItemWeightsMixin._similarities
        if is_its_own or self._sparse_right is None:
            return super()._most_similar(items, k, n_threads)
        from skrec.solvers._sparse_products import recommend_products

        # An item's weights are the scores of a user who has chosen nothing else.
        entries = np.ones(len(items), dtype=self.coef_.dtype), items, np.arange(len(items) + 1)
        users = sparse.csr_array(entries, shape=(len(items), self.n_features_in_))
        return recommend_products(
            lambda rows: rows, self.coef_, users, k, return_scores=True, n_threads=n_threads
        )

    def _weights_between(self, history, items):
        return _as_dense(self.coef_[history][:, items])

    def _similarities(self, items):
        return _as_dense(self.coef_[items])


def _as_dense(weights):
    return weights.toarray() if sparse.issparse(weights) else np.ascontiguousarray(weights)
