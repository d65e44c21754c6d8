from . import autoencoders, datasets, linear, metrics, model_selection, utils
from .autoencoders import VAEBMF, AutoRec, EnhancedVAE, MultDAE, MultVAE, RecVAE
from .base import BaseRecommender
from .interactions import Interactions
from .linear import EASE, BiasBaseline, Popularity

__all__ = [
    "EASE",
    "VAEBMF",
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
