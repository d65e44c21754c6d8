from ._conv_ncf import ConvNCF
from ._deep_latent_factor import DeepLatentFactor
from ._light_gcn import LightGCN
from ._neu_mf import NeuMF
from ._ngcf import NGCF
from ._vae_bmf import VAEBMF

__all__ = ["NGCF", "VAEBMF", "ConvNCF", "DeepLatentFactor", "LightGCN", "NeuMF"]
