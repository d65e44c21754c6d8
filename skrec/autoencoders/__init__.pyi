from ._auto_rec import AutoRec
from ._elsa import ELSA
from ._enhanced_vae import EnhancedVAE
from ._flvae import FLVAE
from ._mult_dae import MultDAE
from ._mult_vae import MultVAE
from ._neural_ease import NeuralEASE
from ._rec_vae import RecVAE
from ._vaeac import VAEAC
from ._vasp import VASP

__all__ = [
    "ELSA",
    "FLVAE",
    "VAEAC",
    "VASP",
    "AutoRec",
    "EnhancedVAE",
    "MultDAE",
    "MultVAE",
    "NeuralEASE",
    "RecVAE",
]
