"""One model on one part of the data: fitted, scored, timed, and stopped by Ctrl-C."""

import signal
import warnings
from contextlib import contextmanager
from time import perf_counter
from typing import NamedTuple

from skrec._cli._output import note


class Fold(NamedTuple):
    """Data to learn from, and data to be judged by.

    Parameters
    ----------
    train, test : Interactions of shape (n_users, n_items)
    held_out : Interactions of the shape of `test` or None
        What is to be found from `test`. With None, part of each row of `test` is hidden.
    """

    train: object
    test: object
    held_out: object = None


class Trial(NamedTuple):
    """What `compare_recommenders` needs to know of a model on a fold."""

    scores: dict
    per_user: dict
    fit_time: float
    score_time: float

    @property
    def seconds(self):
        """Time of both."""
        return self.fit_time + self.score_time


class Refused(Exception):
    """What a model says against its parameters, the data, or the memory that there is."""


class Clock:
    """The time that is left.

    Parameters
    ----------
    seconds : float
        From now on.
    """

    def __init__(self, seconds):
        self._end = perf_counter() + seconds

    def left(self):
        """Count the seconds, down to 0."""
        return max(0.0, self._end - perf_counter())

    def part(self, share):
        """Give a share of what is left a clock of its own."""
        return Clock(share * self.left())


def run_trial(setting, fold, scoring):
    """Fit and score a model.

    Parameters
    ----------
    setting : Setting
    fold : Fold
    scoring : scorer
        Of `ranking_scorer` or `rating_scorer`.

    Returns
    -------
    trial : Trial

    Raises
    ------
    Refused
        Where the model cannot do it.
    KeyboardInterrupt
        Also where the model would keep what it has learned so far.
    """
    with reported_warnings(setting.row.name), _interrupts():
        try:
            start = perf_counter()
            model = setting.make().fit(fold.train)
            fitted = perf_counter()
            scores, per_user = scoring.evaluate(model, fold.test, fold.held_out)
        except (ValueError, MemoryError, ArithmeticError) as error:
            raise Refused(" ".join(str(error).split())) from error
        except RuntimeError as error:
            if type(error).__name__ != "OutOfMemoryError":  # of torch, which may not be loaded
                raise
            raise Refused(" ".join(str(error).split())) from error
    return Trial(scores, per_user, fitted - start, perf_counter() - fitted)


@contextmanager
def _interrupts():
    """Raise at the end of the block where Ctrl-C has been taken for an end of training."""
    pressed = []
    before = signal.getsignal(signal.SIGINT)

    def notice(number, frame):
        pressed.append(number)
        before(number, frame)

    if not callable(before):  # Ctrl-C is ignored, as under nohup
        yield
        return
    signal.signal(signal.SIGINT, notice)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


_noted = set()


@contextmanager
def reported_warnings(name):
    """Make one-line notes of warnings, once each."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        message = f"{name}: {warning.message}"
        if message not in _noted:
            _noted.add(message)
            note(message)
