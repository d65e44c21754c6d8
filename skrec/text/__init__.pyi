from ._ctr import CTR
from ._cvae import CVAE
from ._deep_conn import DeepCoNN
from ._deep_ltrs import DeepLTRS
from ._hft import HFT
from ._trans_net import TransNet

__all__ = ["CTR", "CVAE", "HFT", "DeepCoNN", "DeepLTRS", "TransNet"]
