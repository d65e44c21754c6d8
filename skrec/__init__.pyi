from . import autoencoders, datasets, linear, metrics, model_selection, utils
from .autoencoders import AutoRec, EnhancedVAE, MultDAE, MultVAE, RecVAE, VAEBMF
from .base import BaseRecommender
from .interactions import Interactions
from .linear import EASE, BiasBaseline, Popularity

__all__ = [
    "VAEBMF",
    "EASE",
    "AutoRec",
    "BaseRecommender",
    "BiasBaseline",
    "EnhancedVAE",
    "Interactions",
    "MultDAE",
    "MultVAE",
    "Popularity",
    "RecVAE",
    "autoencoders",
    "datasets",
    "linear",
    "metrics",
    "model_selection",
    "utils",
]
