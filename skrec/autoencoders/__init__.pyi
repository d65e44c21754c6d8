from ._enhanced_vae import EnhancedVAE
from ._mult_dae import MultDAE
from ._mult_vae import MultVAE
from ._rec_vae import RecVAE

__all__ = ["EnhancedVAE", "MultDAE", "MultVAE", "RecVAE"]
