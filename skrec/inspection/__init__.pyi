from ._error_by_history import ErrorByHistoryDisplay
from ._latent_space import LatentSpaceDisplay
from ._rating_calibration import RatingCalibrationDisplay
from ._rating_prediction import RatingPredictionDisplay
from ._sparsity import SparsityDisplay
from ._topics import TopicDisplay

__all__ = [
    "ErrorByHistoryDisplay",
    "LatentSpaceDisplay",
    "RatingCalibrationDisplay",
    "RatingPredictionDisplay",
    "SparsityDisplay",
    "TopicDisplay",
]
