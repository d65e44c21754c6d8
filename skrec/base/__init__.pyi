from ._ratings import RatingMixin, UncertainRatingMixin
from ._recommender import BaseRecommender, RecommenderTags
from ._sample_weight import AdditiveMixin, SampleWeightMixin

__all__ = [
    "AdditiveMixin",
    "BaseRecommender",
    "RatingMixin",
    "RecommenderTags",
    "SampleWeightMixin",
    "UncertainRatingMixin",
]
