from ._ctr import CTR
from ._deep_ltrs import DeepLTRS
from ._hft import HFT

__all__ = ["CTR", "HFT", "DeepLTRS"]
