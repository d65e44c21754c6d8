from ._compare import Comparison, compare_recommenders
from ._split import StrongGeneralizationSplit, fold_in_split, interaction_split

__all__ = [
    "Comparison",
    "StrongGeneralizationSplit",
    "compare_recommenders",
    "fold_in_split",
    "interaction_split",
]
