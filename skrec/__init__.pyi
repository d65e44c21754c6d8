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
from .autoencoders import (
    VAEBMF,
    AutoRec,
    DeepLatentFactor,
    DeepLTRS,
    EnhancedVAE,
    MultDAE,
    MultVAE,
    RecVAE,
)
from .base import BaseRecommender
from .factorization import PMF, BayesianPMF
from .interactions import Interactions
from .linear import EASE, BiasBaseline, Popularity
from .reviews import Reviews

__all__ = [
    "EASE",
    "PMF",
    "VAEBMF",
    "AutoRec",
    "BaseRecommender",
    "BayesianPMF",
    "BiasBaseline",
    "DeepLTRS",
    "DeepLatentFactor",
    "EnhancedVAE",
    "Interactions",
    "MultDAE",
    "MultVAE",
    "Popularity",
    "RatingRegressor",
    "RecVAE",
    "Reviews",
    "autoencoders",
    "datasets",
    "factorization",
    "inspection",
    "linear",
    "metrics",
    "model_selection",
    "utils",
]
