from ._auto_rec import AutoRec
from ._deep_latent_factor import DeepLatentFactor
from ._enhanced_vae import EnhancedVAE
from ._mult_dae import MultDAE
from ._mult_vae import MultVAE
from ._rec_vae import RecVAE
from ._vae_bmf import VAEBMF

__all__ = [
    "VAEBMF",
    "AutoRec",
    "DeepLatentFactor",
    "EnhancedVAE",
    "MultDAE",
    "MultVAE",
    "RecVAE",
]
