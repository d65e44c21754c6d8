from ._error_by_history import ErrorByHistoryDisplay
from ._rating_calibration import RatingCalibrationDisplay
from ._rating_prediction import RatingPredictionDisplay

__all__ = ["ErrorByHistoryDisplay", "RatingCalibrationDisplay", "RatingPredictionDisplay"]
