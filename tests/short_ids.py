"""Names of tests that fit on a line."""

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

LONGEST = 40


def short_id(value):
    """An estimator's class, the beginning of a long string or number; None: as pytest has it."""
    if isinstance(value, BaseEstimator):
        return type(value).__name__
    if isinstance(value, str | int) and len(str(value)) > LONGEST:
        return f"{str(value)[:LONGEST]}..."
    return None


def parametrize_with_sklearn_checks(estimators, **options):
    """scikit-learn's ``parametrize_with_checks``, with an estimator's class for its ``repr``."""
    mark = parametrize_with_checks(estimators, **options).mark
    check_id = mark.kwargs["ids"]
    return pytest.mark.parametrize(
        *mark.args, ids=lambda value: short_id(value) or check_id(value)
    )
