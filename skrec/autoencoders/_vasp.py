"""VASP: a deep variational autoencoder times item weights."""

from torch import nn

from skrec.autoencoders._flvae import FLVAE, FLVAEModule
from skrec.neural._layers import ItemWeights
from skrec.neural._weights import fitted_weights


class VASPModule(FLVAEModule):
    """FLVAE with a shallow path beside it.

    Parameters
    ----------
    n_items : int
    *args, **options
        Of FLVAEModule.
    """

    def __init__(self, n_items, *args, **options):
        super().__init__(n_items, *args, **options)
        self.shallow = ItemWeights(n_items)

    def logits(self, batch, code):  # -> list of (n_rows, n_items)
        return [*super().logits(batch, code), self.shallow(batch.normalized())]


class VASP(FLVAE):
    r"""Deep variational autoencoder with a shallow parallel path (VASP).

    The probability of an item is that of :class:`FLVAE` times :math:`\sigma(c + x B / |x|)`, where
    the weights :math:`B` of items for items have a zero diagonal, as EASE's, and :math:`c` are
    offsets. All is trained together, as FLVAE is: the deep path learns what whole histories have
    in common, the shallow one what pairs of items do.

    Attributes
    ----------
    coef_ : ndarray of shape (n_items, n_items)
        Weights :math:`B` of the shallow path; column `j` is of item `j` as what is predicted.

    See Also
    --------
    FLVAE : The deep path alone.
    NeuralEASE : The shallow path alone.
    VotingRecommender : Sums of the scores of models that are trained apart.

    Notes
    -----
    The paper's network is far larger than the defaults, and its shallow path has neither offsets
    nor rows of unit length. Its figures are for MovieLens 20M and Netflix.

    Beside what the deep path needs, training takes 20 bytes for each pair of items, or 24 if it
    stops early.

    References
    ----------
    .. [1] V. Vančura and P. Kordík, "Deep Variational Autoencoder with Shallow Parallel Path for
       Top-N Recommendation (VASP)", ICANN 2021. :arxiv:`2102.05774`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec import VASP
    >>> X = np.kron(np.eye(2), np.ones((40, 4)))
    >>> sizes = {"hidden_layer_sizes": (16,), "decoder_layer_sizes": (16,)}
    >>> model = VASP(8, **sizes, learning_rate=0.01, random_state=0).fit(X)
    >>> model.recommend([[0, 0, 0, 0, 1, 1, 1, 0]], k=1)
    array([[7]])
    """

    _module_class = VASPModule
    _n_other_factors = 2
    _cheaper_models = ", or FLVAE, whose memory does not grow with the square of the items"
    coef_ = fitted_weights(
        "shallow.weight", "Weights of the shallow path, an array of shape (n_items, n_items)."
    )

    def _init_module(self, module, data, generator):
        super()._init_module(module, data, generator)
        nn.init.zeros_(module.shallow.weight)
        nn.init.zeros_(module.shallow.bias)
