"""VASP: a deep variational autoencoder times item weights."""

from torch import nn

from skrec.autoencoders._flvae import FLVAE, FLVAEModule
from skrec.neural._layers import ItemWeights


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
    _module_class = VASPModule
    _n_other_factors = 2

    def _init_module(self, module, data, generator):
        super()._init_module(module, data, generator)
        nn.init.zeros_(module.shallow.weight)
        nn.init.zeros_(module.shallow.bias)
