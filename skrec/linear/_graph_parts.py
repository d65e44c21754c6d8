"""The two parts of a graph filter: fitted, and put together to scores."""

import numpy as np
from scipy import sparse

from skrec.linear._graph_signals import (
    before_last_product,
    item_graph,
    leading_vectors,
    normalized,
    norms,
    row_scale,
    scale_columns,
    scale_rows,
    unit_rows,
)
from skrec.solvers._sparse_products import dense_product
from skrec.utils._blocks import effective_n_threads
from skrec.utils._validation import check_non_negative

MOST_COMPONENTS = 150  # of "auto"


class GraphPartsMixin:
    """What :class:`~skrec.GraphFilter` learns, and how it scores."""

    _no_update = None

    def _check_training(self, X, reset):
        if self.order > 1 and self.filter == "sgfcf":
            raise ValueError(
                f"order={self.order} needs filter='gf-cf': the sums that SGFCF divides by may be "
                "negative with it."
            )
        if self.order > 1 and not self.linear_weight:
            raise ValueError(
                f"order={self.order} has no meaning with linear_weight=0, which leaves the linear "
                "filter out: use order=1, or a positive linear_weight."
            )
        if not self.n_components and not self.linear_weight:
            raise ValueError(
                "n_components=0 and linear_weight=0 leave nothing to score by: one of them has to "
                "be positive."
            )
        X = super()._check_training(X, reset)
        return check_non_negative(X, "the degrees of GraphFilter need")

    def _fit(self, X):
        R, self._item_scale = normalized(X, self.user_power, self.item_power)
        n_components = self.n_components
        if n_components == "auto":
            n_components = min(MOST_COMPONENTS, max(1, X.shape[0] // 5))
        self.singular_values_, vectors = leading_vectors(R, n_components)
        shares = self.singular_values_ / self.singular_values_.max(initial=0)
        self._half_powers = (shares ** (self.spectral_power / 2)).astype(X.dtype)
        self.item_embeddings_ = vectors.astype(X.dtype) * self._half_powers
        self._answers = self.item_embeddings_
        if self.filter == "gf-cf":
            scale = np.where(self._item_scale > 0, self._item_scale, np.inf)
            self._answers = (self._answers / scale[:, None]).astype(X.dtype)
        self.coef_ = sparse.csr_array((X.shape[1], X.shape[1]), dtype=X.dtype)
        if self.linear_weight:
            n_threads = effective_n_threads(self.n_jobs)
            graph = item_graph(R, self.n_neighbors, self.linear_power, n_threads)
            self.coef_ = graph.astype(X.dtype)
        self._sums = self._answers.sum(axis=0), self.coef_.sum(axis=1)
        # As they were in this fit: a parameter that is set later waits for the next one.
        self._fitted_filter, self._fitted_order = self.filter, self.order
        self._fitted_weight, self._fitted_power = self.linear_weight, self.user_power

    def _fold_in(self, X):
        factors = row_scale(X, self._fitted_power)[:, None] * self._parts(X)[0]
        return factors.astype(self.item_embeddings_.dtype), np.zeros(X.shape[0])

    def _parts(self, X):
        """Spectral embeddings of rows, and what is left before a last product with ``coef_``."""
        scaled = scale_columns(X, self._item_scale)
        rows = scaled if self._fitted_filter == "sgfcf" else X
        return scaled @ self.item_embeddings_, before_last_product(
            rows, self.coef_, self._fitted_order
        )

    def _scaled_parts(self, X, like=None):
        """The parts, scaled as they stand in the scores of these rows, or of another one."""
        factors, left = self._parts(X)
        if self._fitted_filter == "gf-cf":
            return factors, self._fitted_weight * left
        whole = (factors, left) if like is None else self._parts(like)
        spectral, linear = (part @ sums for part, sums in zip(whole, self._sums, strict=True))
        spectral = np.maximum(spectral, norms(whole[0] * self._half_powers))
        spectral, linear = (np.where(sums > 0, sums, 1) for sums in (spectral, linear))
        return factors / spectral[:, None], scale_rows(left, self._fitted_weight / linear)

    @property
    def _sparse_right(self):
        return None if self.item_embeddings_.shape[1] else self.coef_

    def _sparse_left(self, X):
        return self._scaled_parts(X)[1]

    def _score_rows(self, X):
        factors, left = self._scaled_parts(X)
        scores = factors @ self._answers.T
        if self.coef_.nnz:
            scores += dense_product(left, self.coef_)
        return scores

    def _weights_of(self, row, items):
        units = unit_rows(row.indices, row)
        factors, left = self._scaled_parts(units, like=row)
        return factors @ self._answers[items].T + (left @ self.coef_)[:, items].toarray()

    def _similarities(self, items):
        return self._score_rows(unit_rows(items, self.coef_))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
