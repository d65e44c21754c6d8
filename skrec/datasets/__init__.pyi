from ._amazon import fetch_amazon_fine_foods, fetch_amazon_reviews
from ._base import clear_data_home, get_data_home
from ._movielens import fetch_movielens, load_movielens_small
from ._read_interactions import read_interactions
from ._simulated import make_ratings_reviews

__all__ = [
    "clear_data_home",
    "fetch_amazon_fine_foods",
    "fetch_amazon_reviews",
    "fetch_movielens",
    "get_data_home",
    "load_movielens_small",
    "make_ratings_reviews",
    "read_interactions",
]
