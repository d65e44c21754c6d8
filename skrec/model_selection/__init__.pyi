from ._compare import compare_recommenders
from ._comparison import Comparison
from ._split import StrongGeneralizationSplit, fold_in_split, interaction_split
from ._time_split import TimeSplit

__all__ = [
    "Comparison",
    "StrongGeneralizationSplit",
    "TimeSplit",
    "compare_recommenders",
    "fold_in_split",
    "interaction_split",
]
