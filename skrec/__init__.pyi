from . import (
    autoencoders,
    base,
    datasets,
    ensemble,
    factorization,
    inspection,
    linear,
    metrics,
    model_selection,
    neighbors,
    networks,
    text,
    utils,
)
from ._decisions import explain, recommend, similar_items
from ._rating_regressor import RatingRegressor
from ._update import update
from .autoencoders import ELSA, AutoRec, EnhancedVAE, MultDAE, MultVAE, RecVAE
from .base import BaseRecommender
from .ensemble import Reranker, StackingRecommender, VotingRecommender
from .factorization import (
    BPR,
    IALS,
    MDACF,
    PMF,
    BayesianPMF,
    CoClustering,
    NonNegativePMF,
    RobustPMF,
    SparseCovariancePMF,
    SVDpp,
)
from .interactions import Interactions
from .linear import EASE, SANSA, SLIM, BiasBaseline, GraphFilter, Popularity
from .neighbors import ItemKNN, RatingKNN, RP3beta, SlopeOne, UserKNN
from .networks import VAEBMF, ConvNCF, DeepLatentFactor, NeuMF
from .reviews import Reviews
from .text import DeepLTRS

__all__ = [
    "BPR",
    "EASE",
    "ELSA",
    "IALS",
    "MDACF",
    "PMF",
    "SANSA",
    "SLIM",
    "VAEBMF",
    "AutoRec",
    "BaseRecommender",
    "BayesianPMF",
    "BiasBaseline",
    "CoClustering",
    "ConvNCF",
    "DeepLTRS",
    "DeepLatentFactor",
    "EnhancedVAE",
    "GraphFilter",
    "Interactions",
    "ItemKNN",
    "MultDAE",
    "MultVAE",
    "NeuMF",
    "NonNegativePMF",
    "Popularity",
    "RP3beta",
    "RatingKNN",
    "RatingRegressor",
    "RecVAE",
    "Reranker",
    "Reviews",
    "RobustPMF",
    "SVDpp",
    "SlopeOne",
    "SparseCovariancePMF",
    "StackingRecommender",
    "UserKNN",
    "VotingRecommender",
    "autoencoders",
    "base",
    "datasets",
    "ensemble",
    "explain",
    "factorization",
    "inspection",
    "linear",
    "metrics",
    "model_selection",
    "neighbors",
    "networks",
    "recommend",
    "similar_items",
    "text",
    "update",
    "utils",
]
