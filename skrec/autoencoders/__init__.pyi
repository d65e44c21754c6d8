from ._auto_rec import AutoRec
from ._deep_latent_factor import DeepLatentFactor
from ._enhanced_vae import EnhancedVAE
from ._mult_dae import MultDAE
from ._mult_vae import MultVAE
from ._rec_vae import RecVAE

__all__ = ["AutoRec", "DeepLatentFactor", "EnhancedVAE", "MultDAE", "MultVAE", "RecVAE"]
