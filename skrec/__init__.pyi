from . import autoencoders, datasets, factorization, linear, metrics, model_selection, utils
from .autoencoders import EnhancedVAE, MultDAE, MultVAE, RecVAE
from .base import BaseRecommender
from .factorization import PMF, BayesianPMF
from .interactions import Interactions
from .linear import EASE, BiasBaseline, Popularity

__all__ = [
    "EASE",
    "PMF",
    "BaseRecommender",
    "BayesianPMF",
    "BiasBaseline",
    "EnhancedVAE",
    "Interactions",
    "MultDAE",
    "MultVAE",
    "Popularity",
    "RecVAE",
    "autoencoders",
    "datasets",
    "factorization",
    "linear",
    "metrics",
    "model_selection",
    "utils",
]
