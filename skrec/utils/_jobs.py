"""Whether a fit is one of several, all of which Ctrl-C is meant for."""

import inspect


def is_one_of_several():
    """Whether what calls this runs as one of joblib's jobs.

    Searches, cross-validation and ensembles fit their models so, be it one after the other in this
    process; the refit at the end of a search is not among them.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == "joblib.parallel":
            return True
        frame = frame.f_back
    return False
