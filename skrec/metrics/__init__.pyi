from ._lists import average_popularity, coverage, diversity, gini, novelty
from ._ranking import (
    average_precision,
    hit_rate,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)
from ._rating import mae, rmse, standard_error
from ._scorers import ranking_scorer, rating_scorer

__all__ = [
    "average_popularity",
    "average_precision",
    "coverage",
    "diversity",
    "gini",
    "hit_rate",
    "mae",
    "ndcg",
    "novelty",
    "precision",
    "ranking_scorer",
    "rating_scorer",
    "recall",
    "reciprocal_rank",
    "rmse",
    "standard_error",
]
