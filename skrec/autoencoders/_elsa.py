"""ELSA: a linear autoencoder whose item weights are cosines of vectors."""

from sklearn.utils.validation import check_is_fitted

from skrec.base import BaseRecommender, ExplainMixin
from skrec.neural._directions import Directions, row_lengths, unit_rows
from skrec.neural._estimator import TRAINING_CONSTRAINTS, USER_BATCH_CONSTRAINTS
from skrec.neural._layers import init_glorot
from skrec.neural._row_autoencoder import RowAutoencoderMixin


class ELSA(RowAutoencoderMixin, ExplainMixin, BaseRecommender):
    r"""Linear autoencoder of low rank, with a zero diagonal, for catalogues of any size (ELSA).

    A user's scores are :math:`y = x(AA^\top - I)`, where the rows of :math:`A` are unit vectors of
    the items: an item's weight for another is the cosine of their vectors, and for itself 0. These
    are weights as those of EASE, but the matrix of items x items is never formed. Training
    minimises the squared distance of :math:`y / |y|` from :math:`x / |x|`.

    Parameters
    ----------
    n_components : int
        Length of the items' vectors, and so of the users'.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_components)
        The items' unit vectors :math:`A`.

    See Also
    --------
    EASE : Weights of full rank in closed form, for catalogues that leave memory for them.

    Notes
    -----
    Memory grows with items x components. The time of an update does, too, times the batch's users
    or the components, whichever are fewer: the loss is computed from the users' codes and the
    inner products of the components, not from rows of scores.

    A user without entries has the score 0 everywhere.

    References
    ----------
    .. [1] V. Vančura, R. Alves, P. Kasalický and P. Kordík, "Scalable Linear Shallow Autoencoder
       for Collaborative Filtering", RecSys 2022. :doi:`10.1145/3523227.3551482`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import ELSA
    >>> X = np.kron(np.eye(2), np.ones((30, 5)))
    >>> model = ELSA(8, early_stopping=False, random_state=0).fit(X)
    >>> model.recommend([[1, 1, 1, 1, 0, 0, 0, 0, 0, 0]], k=1)
    array([[4]])
    """

    _module_class = Directions
    _parameter_constraints: dict = {**TRAINING_CONSTRAINTS, **USER_BATCH_CONSTRAINTS}

    def __init__(
        self,
        n_components=256,
        *,
        learning_rate=0.01,
        batch_size=128,
        max_iter=50,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=5,
        warm_start=False,
        callbacks=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _module_options(self, data):
        return {"n_components": self.n_components}

    def _init_module(self, module, data, generator):
        init_glorot(module, generator)

    def _batch_cost(self, n_users, n_items):
        # The unit vectors, their gradient, and products of them that are kept for it.
        n_kept = min(self._n_batch_users(n_users), n_users, self.n_components)
        return 4 * n_items * (2 * self.n_components + n_kept), n_users

    def _validation_score(self, module, data, held_out):
        return super()._validation_score(module.measured(), data, held_out)

    def _restored_module(self):
        return super()._restored_module().measured()

    def _outputs(self, module, batch):
        return module.scores(batch)

    @property
    def item_embeddings_(self):
        """Unit vectors of the items, an array of shape (n_items, n_components)."""
        check_is_fitted(self)
        return unit_rows(self._weights["output.weight"])

    def _weights_between(self, history, items):
        vectors = self._weights["output.weight"]
        cosines = unit_rows(vectors[history]) @ unit_rows(vectors[items]).T
        return cosines * (history[:, None] != items)

    def _similarities(self, items):
        vectors = self._weights["output.weight"]
        return unit_rows(vectors[items]) @ vectors.T / row_lengths(vectors)
