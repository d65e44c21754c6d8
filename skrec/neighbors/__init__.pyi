from ._item_knn import ItemKNN
from ._rating_knn import RatingKNN
from ._rp3beta import RP3beta
from ._user_knn import UserKNN

__all__ = ["ItemKNN", "RP3beta", "RatingKNN", "UserKNN"]
