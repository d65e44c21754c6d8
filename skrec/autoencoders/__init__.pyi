from ._adversarial_vae import AdversarialVAE
from ._auto_rec import AutoRec
from ._cdae import CDAE
from ._elsa import ELSA
from ._enhanced_vae import EnhancedVAE
from ._flvae import FLVAE
from ._mult_dae import MultDAE
from ._mult_vae import MultVAE
from ._nbvae import NBVAE
from ._neural_ease import NeuralEASE
from ._ract import RaCT
from ._rec_vae import RecVAE
from ._vaeac import VAEAC
from ._vasp import VASP

__all__ = [
    "CDAE",
    "ELSA",
    "FLVAE",
    "NBVAE",
    "VAEAC",
    "VASP",
    "AdversarialVAE",
    "AutoRec",
    "EnhancedVAE",
    "MultDAE",
    "MultVAE",
    "NeuralEASE",
    "RaCT",
    "RecVAE",
]
