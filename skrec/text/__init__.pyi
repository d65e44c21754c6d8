from ._deep_ltrs import DeepLTRS

__all__ = ["DeepLTRS"]
