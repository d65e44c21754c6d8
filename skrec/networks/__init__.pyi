from ._conv_ncf import ConvNCF
from ._deep_latent_factor import DeepLatentFactor
from ._neu_mf import NeuMF
from ._vae_bmf import VAEBMF

__all__ = ["VAEBMF", "ConvNCF", "DeepLatentFactor", "NeuMF"]
