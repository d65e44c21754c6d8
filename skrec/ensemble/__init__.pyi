from ._reranker import Reranker
from ._stacking import StackingRecommender
from ._voting import VotingRecommender

__all__ = ["Reranker", "StackingRecommender", "VotingRecommender"]
