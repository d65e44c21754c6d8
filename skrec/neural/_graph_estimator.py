"""What recommenders on the graph of users and items share."""

from numbers import Integral, Real

import numpy as np
from scipy import sparse

from skrec.base._factors import cosines
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.base._similar_items import SimilarItemsMixin
from skrec.neural._estimator import TRAINING_CONSTRAINTS, USER_BATCH_CONSTRAINTS
from skrec.neural._graph import L2_ITEM, L2_USER
from skrec.neural._rating_or_ranking import RatingOrRankingMixin
from skrec.neural._weights import as_tensors
from skrec.solvers._offsets import fit_offsets, less_offsets, with_data
from skrec.solvers._torch_state import torch_state
from skrec.utils._compat import Interval, StrOptions
from skrec.utils._docstrings import complete_verbs

GRAPH_CONSTRAINTS = {
    **TRAINING_CONSTRAINTS,
    **USER_BATCH_CONSTRAINTS,
    **RATING_CONSTRAINTS,
    "n_layers": [Interval(Integral, 1, 10, closed="both")],
    "loss": [StrOptions({"softmax", "bpr", "squared_error"})],
    "n_negatives": [Interval(Integral, 1, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="neither")],
    "l2": [Interval(Real, 0, 1e38, closed="left")],  # as float32 has
}


@complete_verbs
class GraphRecommenderMixin(RatingOrRankingMixin, SimilarItemsMixin):
    """A network on the graph of users and items, in which no user has weights.

    Its module is a :class:`~skrec.neural._graph.GraphNetwork`. The graph is that of the users who
    were trained on: those of ``partial_fit`` are added to it.

    Parameters
    ----------
    n_components : int
        Length of the items' vectors in the first layer.
    n_layers : int
        How often vectors are passed on along the edges, at most 10.
    loss : {"softmax", "bpr", "squared_error"}
        "softmax": choices are draws of items, with the softmax of the scores as probabilities.
        "bpr", as in the paper: each ranks before items that are drawn for it. "squared_error":
        the entries are ratings, which the model then predicts.
    n_negatives : int
        Items drawn for each choice, of those that the user has not chosen. Of no use without
        ``loss="bpr"``.
    dropout : float
        Share of each row that is hidden, at random at each pass, and to be predicted from the
        rest: no entry is read where it is predicted.
    l2 : float
        Penalty on half the squared length of a hidden entry's vector in the first layer, in
        units of the loss of an entry.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_embedding)
        What users are multiplied by, after propagation over the graph, float32.
    """

    _edges = _no_update = None

    def _fit(self, X, reviews=None):
        self._edges = None  # those of the fit before are not added to
        super()._fit(X, reviews)

    def _module_options(self, data):
        names = ("n_components", "n_layers", "loss", "n_negatives", "dropout", "l2")
        return {name: getattr(self, name) for name in names}

    def _batch_cost(self, n_users, n_items):
        n_nodes = (n_users + n_items) * self.n_components * self.n_layers
        n_rows = min(self._n_batch_users(n_users), n_users)
        n_scores = n_rows * n_items if self.loss == "softmax" else 0
        # Nodes, what they are made of, and the gradients of both.
        return 4 * (4 * n_nodes + n_scores), n_users if n_scores else 0

    def _refill(self, module, data):
        edges = self._edges_with(data)
        if self.loss == "squared_error":
            mean, offsets = fit_offsets(edges, L2_USER, L2_ITEM)
            offsets += mean
            edges, _ = less_offsets(edges, (0.0, offsets, L2_USER))
        else:
            offsets = np.zeros(edges.shape[1])
            edges = with_data(edges, np.ones(edges.nnz))
        module.set_data(edges, offsets)

    def _edges_with(self, data):
        """The rows of the graph: those that it had before training goes on, and these."""
        if self._edges is None:
            return data
        return sparse.csr_array(sparse.vstack([self._edges, data], format="csr"))

    def _fitted_state(self, module, X, data):
        module.measured()
        tables = {name: getattr(module, name) for name in ("history", "items", "offsets")}
        tables = {name: table.cpu().numpy().copy() for name, table in tables.items()}
        return {
            "_edges": self._edges_with(data).astype(np.float32),
            "_tables": tables,
            "item_embeddings_": tables["items"],
        }

    def _restored_module(self):
        return super()._restored_module().set_tables(**as_tensors(self._tables))

    def _validation_score(self, module, data, held_out):
        with torch_state():
            module.measured()
        return super()._validation_score(module, data, held_out)

    def _update(self, change):
        kept = np.setdiff1d(np.arange(change.new.shape[0]), change.users)
        self._edges = self._training_data(change.new[kept], None)
        super()._update(change)
        added, _ = change.added
        if not added.nnz:  # no pass was made, which would have propagated over the new edges
            module = super()._restored_module()
            self._refill(module, added)
            vars(self).update(self._fitted_state(module, change.new, added), _modules={})

    def _similarities(self, items):
        return cosines(self.item_embeddings_, items)

    @property
    def _n_features_out(self):
        return self.item_embeddings_.shape[1]
