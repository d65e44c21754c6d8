from ._error_by_history import ErrorByHistoryDisplay
from ._latent_space import LatentSpaceDisplay
from ._rating_calibration import RatingCalibrationDisplay
from ._rating_prediction import RatingPredictionDisplay
from ._sparsity import SparsityDisplay
from ._topics import TopicDisplay
from ._training_curve import TrainingCurveDisplay

__all__ = [
    "ErrorByHistoryDisplay",
    "LatentSpaceDisplay",
    "RatingCalibrationDisplay",
    "RatingPredictionDisplay",
    "SparsityDisplay",
    "TopicDisplay",
    "TrainingCurveDisplay",
]
