from . import autoencoders, datasets, inspection, linear, metrics, model_selection, utils
from .autoencoders import AutoRec, DeepLTRS, EnhancedVAE, MultDAE, MultVAE, RecVAE
from .base import BaseRecommender
from .interactions import Interactions
from .linear import EASE, BiasBaseline, Popularity
from .reviews import Reviews

__all__ = [
    "EASE",
    "AutoRec",
    "BaseRecommender",
    "BiasBaseline",
    "DeepLTRS",
    "EnhancedVAE",
    "Interactions",
    "MultDAE",
    "MultVAE",
    "Popularity",
    "RecVAE",
    "Reviews",
    "autoencoders",
    "datasets",
    "inspection",
    "linear",
    "metrics",
    "model_selection",
    "utils",
]
