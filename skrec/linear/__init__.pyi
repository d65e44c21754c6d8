from ._bias import BiasBaseline
from ._ease import EASE
from ._popularity import Popularity

__all__ = ["EASE", "BiasBaseline", "Popularity"]
