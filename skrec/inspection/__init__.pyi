from ._latent_space import LatentSpaceDisplay
from ._sparsity import SparsityDisplay
from ._topics import TopicDisplay

__all__ = ["LatentSpaceDisplay", "SparsityDisplay", "TopicDisplay"]
