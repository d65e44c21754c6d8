from ._bias import BiasBaseline
from ._ease import EASE
from ._graph_filter import GraphFilter
from ._popularity import Popularity
from ._sansa import SANSA
from ._slim import SLIM

__all__ = ["EASE", "SANSA", "SLIM", "BiasBaseline", "GraphFilter", "Popularity"]
