from . import (
    autoencoders,
    datasets,
    factorization,
    inspection,
    linear,
    metrics,
    model_selection,
    utils,
)
from ._rating_regressor import RatingRegressor
from .autoencoders import VAEBMF, AutoRec, DeepLatentFactor, EnhancedVAE, MultDAE, MultVAE, RecVAE
from .base import BaseRecommender
from .factorization import PMF, BayesianPMF
from .interactions import Interactions
from .linear import EASE, BiasBaseline, Popularity

__all__ = [
    "EASE",
    "PMF",
    "VAEBMF",
    "AutoRec",
    "BaseRecommender",
    "BayesianPMF",
    "BiasBaseline",
    "DeepLatentFactor",
    "EnhancedVAE",
    "Interactions",
    "MultDAE",
    "MultVAE",
    "Popularity",
    "RatingRegressor",
    "RecVAE",
    "autoencoders",
    "datasets",
    "factorization",
    "inspection",
    "linear",
    "metrics",
    "model_selection",
    "utils",
]
