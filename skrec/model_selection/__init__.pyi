from ._compare import compare_recommenders
from ._comparison import Comparison
from ._item_split import ItemColdStartSplit
from ._split import StrongGeneralizationSplit, fold_in_split, interaction_split
from ._time_split import TimeSplit

__all__ = [
    "Comparison",
    "ItemColdStartSplit",
    "StrongGeneralizationSplit",
    "TimeSplit",
    "compare_recommenders",
    "fold_in_split",
    "interaction_split",
]
