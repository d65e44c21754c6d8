from . import autoencoders, datasets, inspection, linear, metrics, model_selection, utils
from ._rating_regressor import RatingRegressor
from .autoencoders import EnhancedVAE, MultDAE, MultVAE, RecVAE
from .base import BaseRecommender
from .interactions import Interactions
from .linear import EASE, BiasBaseline, Popularity

__all__ = [
    "EASE",
    "BaseRecommender",
    "BiasBaseline",
    "EnhancedVAE",
    "Interactions",
    "MultDAE",
    "MultVAE",
    "Popularity",
    "RatingRegressor",
    "RecVAE",
    "autoencoders",
    "datasets",
    "inspection",
    "linear",
    "metrics",
    "model_selection",
    "utils",
]
