"""Successive halving: many settings on few users, and the better half of them on more."""

from typing import NamedTuple

import numpy as np
from sklearn.model_selection import ParameterGrid

from skrec._cli._trials import Fold, Refused, run_trial
from skrec.utils._progress import progress_bar

VALIDATION_SHARE = 0.2
N_VALIDATED = 2000  # more users would tell little more
LEAST_TRAINED = 100
MOST_RUNGS = 5


class Reached(NamedTuple):
    """How far a setting came."""

    setting: object
    n_users: int
    score: float
    seconds: float


class Found(NamedTuple):
    """What came of a search.

    Parameters
    ----------
    best : list of Reached
        Of each model the best setting that got furthest, the best model first.
    n_tried : int
        Settings that were tried, on few users at least.
    n_settings : int
        Settings that there are.
    left_out : dict of str to str
        Models of which no setting could be tried, each with the reason.
    is_interrupted : bool
        Whether Ctrl-C was pressed.
    """

    best: list
    n_tried: int
    n_settings: int
    left_out: dict
    is_interrupted: bool


def grid(settings):
    """List the settings of a search, those of all models in turn; each model's own comes first.

    Parameters
    ----------
    settings : list of Setting
        What is changed in them stays as it is.

    Returns
    -------
    candidates : list of Setting
    """
    rng = np.random.default_rng(0)
    by_model = []
    for setting in settings:
        free = {k: v for k, v in setting.row.search.items() if k not in setting.changes}
        points = list(ParameterGrid(free)) if free else []
        points = [points[at] for at in rng.permutation(len(points))]
        own = setting.make().get_params(deep=False)
        others = [point for point in points if any(own[k] != v for k, v in point.items())]
        by_model.append([setting, *(setting.with_changes(point) for point in others)])
    longest = max(map(len, by_model))
    return [
        candidates[turn]
        for turn in range(longest)
        for candidates in by_model
        if turn < len(candidates)
    ]


def rungs(n_train):
    """List the numbers of users to learn from, doubling up to all of them."""
    sizes = [n_train]
    while len(sizes) < MOST_RUNGS and sizes[-1] // 2 >= LEAST_TRAINED:
        sizes.append(sizes[-1] // 2)
    return sizes[::-1]


def search(settings, X, scoring, metric, clock):
    """Find good settings within a time.

    A fifth of the users judges. Each rung has twice as many of the others to learn from as the
    one before, and gets an equal share of the time that is left; where that is too little for
    all, the settings that come last, or take longest, are left out. The better half goes on.

    Parameters
    ----------
    settings : list of Setting
    X : Interactions of shape (n_users, n_items)
    scoring : scorer
    metric : str
        What decides; larger is better.
    clock : Clock

    Returns
    -------
    found : Found

    Raises
    ------
    Refused
        If no setting can be fitted.
    KeyboardInterrupt
        If Ctrl-C was pressed before any was.
    """
    users = np.random.default_rng(0).permutation(X.shape[0])
    n_validated = min(N_VALIDATED, max(1, int(VALIDATION_SHARE * len(users))))
    validation, users = X[np.sort(users[:n_validated])], users[n_validated:]
    candidates = grid(settings)
    n_settings, sizes = len(candidates), rungs(len(users))
    reached, left_out, is_interrupted = {}, {}, False
    try:
        for rung, size in enumerate(sizes):
            fold = Fold(X[np.sort(users[:size])], validation)
            growth = size / sizes[rung - 1] if rung else 1
            share = clock.part(1 / (len(sizes) - rung))
            title = f"tuning on {size} users"
            for setting, trial in _affordable(
                candidates, fold, scoring, share, reached, growth, left_out, title
            ):
                reached[setting.name] = Reached(
                    setting, size, float(trial.scores[metric]), trial.seconds
                )
            here = [at for at in reached.values() if at.n_users == size]
            here.sort(key=lambda at: -at.score)
            candidates = [at.setting for at in here[: (len(here) + 1) // 2]]
            if not candidates or (rung and len(candidates) == 1):
                break
    except KeyboardInterrupt:
        is_interrupted = True
    if not reached:
        if is_interrupted:
            raise KeyboardInterrupt
        name, reason = next(iter(left_out.items()))
        raise Refused(f"{name}: {reason}")
    ranked = sorted(reached.values(), key=lambda at: (-at.n_users, -at.score))
    best = {}
    for at in ranked:
        best.setdefault(at.setting.row.name, at)
    left_out = {name: reason for name, reason in left_out.items() if name not in best}
    return Found(list(best.values()), len(reached), n_settings, left_out, is_interrupted)


def _affordable(candidates, fold, scoring, clock, reached, growth, left_out, title):
    """Yield settings and their trials, but for those that would take longer than is left."""
    seconds = {}  # by model, of this rung
    with progress_bar(
        desc=title, total=len(candidates), unit="fit", leave=False, disable=None
    ) as bar:
        for setting in candidates:
            bar.update()
            model = setting.row.name
            if setting.name in reached:
                expected = growth * reached[setting.name].seconds
            else:
                expected = np.mean(seconds[model]) if model in seconds else 0
            if (seconds or reached) and expected >= clock.left():
                left_out.setdefault(model, "no time was left; a larger --budget gives it some")
                continue
            try:
                trial = run_trial(setting, fold, scoring)
            except Refused as refused:
                left_out[model] = str(refused)
                continue
            seconds.setdefault(model, []).append(trial.seconds)
            best = max(reached.values(), key=lambda at: (at.n_users, at.score), default=None)
            if best is not None:
                bar.set_postfix_str(f"best so far {best.setting.name}")
            yield setting, trial
