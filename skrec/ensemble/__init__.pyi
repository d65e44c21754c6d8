from ._reranker import Reranker

__all__ = ["Reranker"]
