"""Models on the same folds, within the time that there is."""

from typing import NamedTuple

import numpy as np

from skrec._cli._trials import Fold, Refused, run_trial
from skrec.model_selection._compare import _tabulate
from skrec.utils._progress import progress_bar

# Where there are more than twice as many users to learn from, a fit to these tells the time.
N_PROBED = 250
N_PROBED_TEST = 100


class Compared(NamedTuple):
    """What came of a comparison.

    Parameters
    ----------
    comparison : Comparison
    left_out : dict of str to str
        Models that were not compared, each with the reason.
    n_folds : int
        Folds on which all of the others were.
    is_interrupted : bool
        Whether Ctrl-C was pressed.
    """

    comparison: dict
    left_out: dict
    n_folds: int
    is_interrupted: bool


def compare(settings, folds, scoring, clock):
    """Fit models to each fold in turn, as long as there is time.

    Parameters
    ----------
    settings : list of Setting
        The first is compared whatever time it takes.
    folds : list of Fold
    scoring : scorer
    clock : Clock

    Returns
    -------
    compared : Compared

    Raises
    ------
    Refused
        If no model can be fitted.
    KeyboardInterrupt
        If Ctrl-C was pressed before any was.
    """
    trials = {setting.name: [] for setting in settings}
    left_out = {}
    is_interrupted = False
    total = len(settings) * len(folds)
    with progress_bar(desc="comparing", total=total, unit="fit", leave=False, disable=None) as bar:
        try:
            for number, fold in enumerate(folds):
                if number and sum(done[0].seconds for done in trials.values()) > clock.left():
                    break
                for setting in settings:
                    if setting.name in left_out:
                        continue
                    bar.set_postfix(model=setting.row.name)
                    if number == 0 and any(trials.values()):
                        reason = _too_long(setting, fold, scoring, clock)
                        if reason:
                            left_out[setting.name] = reason
                            del trials[setting.name]
                            continue
                    try:
                        trials[setting.name].append(run_trial(setting, fold, scoring))
                    except Refused as refused:
                        left_out[setting.name] = str(refused)
                        del trials[setting.name]
                    bar.update()
        except KeyboardInterrupt:
            is_interrupted = True
    trials = {name: done for name, done in trials.items() if done}
    if not trials and is_interrupted:
        raise KeyboardInterrupt
    if not trials:
        name, reason = next(iter(left_out.items()))
        raise Refused(f"{name}: {reason}")
    n_folds = min(map(len, trials.values()))
    trials = {name: done[:n_folds] for name, done in trials.items()}
    n_users = sum(fold.test.shape[0] for fold in folds[:n_folds])
    return Compared(_tabulate(trials, n_users), left_out, n_folds, is_interrupted)


def _too_long(setting, fold, scoring, clock):
    """Say so if the first fold takes more time than is left."""
    if clock.left() <= 0:
        return "no time was left; a larger --budget gives it some"
    n_train, n_test = fold.train.shape[0], fold.test.shape[0]
    if n_train <= 2 * N_PROBED:
        return None
    rng = np.random.default_rng(0)
    rows = np.sort(rng.permutation(n_train)[:N_PROBED])
    test_rows = np.sort(rng.permutation(n_test)[:N_PROBED_TEST])
    held_out = None if fold.held_out is None else fold.held_out[test_rows]
    few = Fold(fold.train[rows], fold.test[test_rows], held_out)
    for _ in range(2):  # what is imported or compiled for the first time is no measure
        try:
            trial = run_trial(setting, few, scoring)
        except Refused as refused:
            return str(refused)
        seconds = trial.fit_time * n_train / len(rows) + trial.score_time * n_test / len(test_rows)
        if seconds <= clock.left():
            return None
    return (
        f"it would take about {seconds:.0f} s, and {clock.left():.0f} s were left; a larger "
        "--budget gives it more"
    )
