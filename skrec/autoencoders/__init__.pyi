from ._auto_rec import AutoRec
from ._cdae import CDAE
from ._elsa import ELSA
from ._enhanced_vae import EnhancedVAE
from ._mult_dae import MultDAE
from ._mult_vae import MultVAE
from ._nbvae import NBVAE
from ._rec_vae import RecVAE

__all__ = ["CDAE", "ELSA", "NBVAE", "AutoRec", "EnhancedVAE", "MultDAE", "MultVAE", "RecVAE"]
