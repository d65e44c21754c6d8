from ._stacking import StackingRecommender
from ._voting import VotingRecommender

__all__ = ["StackingRecommender", "VotingRecommender"]
