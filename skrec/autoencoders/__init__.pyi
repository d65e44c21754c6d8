from ._adversarial_vae import AdversarialVAE
from ._auto_rec import AutoRec
from ._elsa import ELSA
from ._enhanced_vae import EnhancedVAE
from ._mult_dae import MultDAE
from ._mult_vae import MultVAE
from ._ract import RaCT
from ._rec_vae import RecVAE

__all__ = [
    "ELSA",
    "AdversarialVAE",
    "AutoRec",
    "EnhancedVAE",
    "MultDAE",
    "MultVAE",
    "RaCT",
    "RecVAE",
]
