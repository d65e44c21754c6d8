from . import autoencoders, datasets, linear, metrics, model_selection, utils
from .autoencoders import (
    VAEBMF,
    AutoRec,
    DeepLatentFactor,
    EnhancedVAE,
    MultDAE,
    MultVAE,
    RecVAE,
)
from .base import BaseRecommender
from .interactions import Interactions
from .linear import EASE, BiasBaseline, Popularity

__all__ = [
    "EASE",
    "VAEBMF",
    "AutoRec",
    "BaseRecommender",
    "BiasBaseline",
    "DeepLatentFactor",
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
