"""Warnings that point at the line of whoever called the package."""

import inspect
import warnings

# What may stand between the caller's line and the place that warns.
_LIBRARIES = {"skrec", "sklearn", "skorch", "torch", "contextlib"}


def warn(message, category=UserWarning):
    """Warn at the first frame outside the package and the libraries that call it back.

    Parameters
    ----------
    message : str
    category : class, default=UserWarning
    """
    frame, stacklevel = inspect.currentframe().f_back, 2
    while frame.f_back and frame.f_globals["__name__"].partition(".")[0] in _LIBRARIES:
        frame, stacklevel = frame.f_back, stacklevel + 1
    warnings.warn(message, category, stacklevel=stacklevel)
