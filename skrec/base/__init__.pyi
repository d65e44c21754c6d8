from ._ratings import RatingMixin, UncertainRatingMixin
from ._recommender import BaseRecommender, RecommenderTags

__all__ = ["BaseRecommender", "RatingMixin", "RecommenderTags", "UncertainRatingMixin"]
