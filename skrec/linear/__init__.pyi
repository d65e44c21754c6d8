from ._bias import BiasBaseline
from ._ease import EASE
from ._popularity import Popularity
from ._sansa import SANSA

__all__ = ["EASE", "SANSA", "BiasBaseline", "Popularity"]
