from ._ctr import CTR
from ._deep_conn import DeepCoNN
from ._deep_ltrs import DeepLTRS

__all__ = ["CTR", "DeepCoNN", "DeepLTRS"]
