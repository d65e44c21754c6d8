from ._rp3beta import RP3beta

__all__ = ["RP3beta"]
