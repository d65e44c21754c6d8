from . import estimator_checks
from ._validation import check_interactions, keep_state_on_error

__all__ = ["check_interactions", "estimator_checks", "keep_state_on_error"]
