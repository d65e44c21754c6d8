from ._deep_latent_factor import DeepLatentFactor
from ._vae_bmf import VAEBMF

__all__ = ["VAEBMF", "DeepLatentFactor"]
