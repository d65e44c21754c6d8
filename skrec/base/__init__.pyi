from ._factors import FactorMixin
from ._item_weights import ExplainMixin, ItemWeightsMixin
from ._ratings import RatingMixin, UncertainRatingMixin
from ._recommender import BaseRecommender, RecommenderTags
from ._sample_weight import AdditiveMixin, SampleWeightMixin
from ._similar_items import SimilarItemsMixin

__all__ = [
    "AdditiveMixin",
    "BaseRecommender",
    "ExplainMixin",
    "FactorMixin",
    "ItemWeightsMixin",
    "RatingMixin",
    "RecommenderTags",
    "SampleWeightMixin",
    "SimilarItemsMixin",
    "UncertainRatingMixin",
]
