"""From a task to a judgement: the users, the folds, the search, the comparison."""

from typing import NamedTuple

import click
import numpy as np
from sklearn.model_selection import KFold

from skrec._cli._comparing import Compared, compare
from skrec._cli._halving import Found, search
from skrec._cli._options import rated
from skrec._cli._trials import Fold, Refused

N_FOLDS = 5
TEST_SHARE = 0.2
TUNING_SHARE = 0.7  # of the time; the rest is for the comparison of what was found


class Judged(NamedTuple):
    """What is reported of a task.

    Parameters
    ----------
    task : Task
        With the data that were compared on.
    folds : list of Fold
        Those that were planned.
    found : Found or None
        Of the search, if there was one.
    compared : Compared or None
        None if Ctrl-C ended the search.
    """

    task: object
    folds: list
    found: Found
    compared: Compared

    @property
    def left_out(self):
        """Models that were not compared, with the reasons."""
        found = {} if self.found is None else self.found.left_out
        compared = {} if self.compared is None else self.compared.left_out
        return {**found, **compared}

    @property
    def is_interrupted(self):
        """Whether Ctrl-C was pressed."""
        return self.compared is None or self.compared.is_interrupted

    @property
    def best(self):
        """Name of the best setting."""
        if self.compared is None:
            return self.found.best[0].setting.name
        comparison = self.compared.comparison
        return str(comparison["model"][list(comparison["metric"]).index(self.task.metrics[0])])

    def best_setting(self, settings):
        """Find the best setting, among those that were given or found."""
        found = [] if self.found is None else [reached.setting for reached in self.found.best]
        return next(setting for setting in [*found, *settings] if setting.name == self.best)


def prepare(task, file, min_items_per_user, folds, time_split):
    """Leave out small users, and cut the folds.

    Returns
    -------
    task : Task
    folds : list of Fold
    """
    data = task.data.filter(min_items_per_user=min_items_per_user).filter(min_users_per_item=1)
    n_parts = N_FOLDS if folds == 1 else folds
    n_users = data.X.shape[0]
    if n_users < (1 if time_split else n_parts):
        raise click.UsageError(
            f"{file}: only {n_users} of {task.data.X.shape[0]} users have at least "
            f"{min_items_per_user} items{rated(task.min_rating)}, too few for "
            f"{n_parts} folds; lower --min-items-per-user, --min-rating or --folds"
        )
    task = task._replace(data=data)
    if not time_split:
        splits = list(KFold(n_parts, shuffle=True, random_state=0).split(np.arange(n_users)))
        return task, [Fold(data[train], data[test]) for train, test in splits[:folds]]
    from skrec.model_selection import TimeSplit

    if data.timestamps is None:
        raise click.UsageError(
            f"{file} has no column of timestamps for --time-split; name it with --timestamp"
        )
    # Of users who are new in a test period nothing is known, and all models are equal.
    split = TimeSplit(n_splits=folds, test_size=TEST_SHARE, min_items=1)
    try:
        parts = list(split.partitions(data))
    except ValueError as error:
        raise click.UsageError(f"{file}: --time-split: {error}") from error
    return task, [_future(part) for part in parts]


def _future(part):
    """Learn from the users who were there before, and judge by those who come after."""
    known, judging = (np.flatnonzero(np.diff(side.indptr)) for side in (part.train, part.held_out))
    return Fold(part.train[known], part.fold_in[judging], part.held_out[judging])


def judge(task, settings, folds, tuned, clock):
    """Compare settings, or what a search makes of them.

    Parameters
    ----------
    task : Task
    settings : list of Setting
    folds : list of Fold
    tuned : bool
    clock : Clock

    Returns
    -------
    judged : Judged
    """
    try:
        found = None
        if tuned:
            found = search(
                settings, folds[0].train, task.scoring, task.metrics[0], clock.part(TUNING_SHARE)
            )
            if found.is_interrupted:
                return Judged(task, folds, found, None)
            settings = [reached.setting for reached in found.best]
        return Judged(task, folds, found, compare(settings, folds, task.scoring, clock))
    except Refused as refused:
        raise click.UsageError(str(refused)) from refused
