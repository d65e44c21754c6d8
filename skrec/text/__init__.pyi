from ._ctr import CTR
from ._deep_ltrs import DeepLTRS

__all__ = ["CTR", "DeepLTRS"]
