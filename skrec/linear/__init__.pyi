from ._bias import BiasBaseline
from ._ease import EASE
from ._graph_filter import GraphFilter
from ._popularity import Popularity

__all__ = ["EASE", "BiasBaseline", "GraphFilter", "Popularity"]
