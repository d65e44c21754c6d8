from ._bias import BiasBaseline
from ._ease import EASE
from ._graph_filter import GraphFilter
from ._popularity import Popularity
from ._slim import SLIM

__all__ = ["EASE", "SLIM", "BiasBaseline", "GraphFilter", "Popularity"]
