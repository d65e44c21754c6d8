from . import datasets, linear, metrics, model_selection, utils
from .base import BaseRecommender
from .interactions import Interactions
from .linear import EASE, BiasBaseline, Popularity

__all__ = [
    "EASE",
    "BaseRecommender",
    "BiasBaseline",
    "Interactions",
    "Popularity",
    "datasets",
    "linear",
    "metrics",
    "model_selection",
    "utils",
]
