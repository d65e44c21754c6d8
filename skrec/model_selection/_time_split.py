"""Splits at a moment that is the same for everybody: nothing is learned from the future."""

from datetime import timedelta
from numbers import Integral, Real

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import Bunch, check_consistent_length

from skrec.utils._columns import as_timestamps
from skrec.utils._compat import Interval, validate_parameter_constraints
from skrec.utils._entry_splits import fraction, is_interactions, timestamps_of


class TimeSplit(BaseCrossValidator):
    """Split at moments in time: train on what was before, test on what came next.

    For a users x items matrix, :meth:`partitions` cuts the entries of :class:`~skrec.Interactions`
    by their timestamps, and :func:`compare_recommenders` takes it as ``cv``. For a table of
    ratings it is a splitter of scikit-learn, with the times as ``groups``:
    ``cross_validate(RatingRegressor(), pairs, y, cv=TimeSplit(), groups=times)``.

    Parameters
    ----------
    n_splits : int, default=1
        Number of test periods. They are the last ones, of `test_size` each and without overlap;
        each has all that was before it for training (rolling origin).
    test_size : float, int or timedelta, default=0.2
        Of each test period. A number below 1 is a share of the entries; they are a few more where
        the period would otherwise begin between entries of the same time. A larger number, or for
        datetimes a ``timedelta``, is a duration in the unit of the timestamps: the test period is
        what lies less than that before its end, the last of them ending with the last entry.
    min_items : int, default=0
        Users with fewer entries before a test period are not tested by it: :meth:`partitions`
        leaves their later entries out. With 0, users of whom nothing is known count too; every
        model can but answer them all alike. :meth:`split` ignores it.

    See Also
    --------
    fold_in_split : With ``fold_in="last"``, hide each user's latest entries, whenever that was.
    StrongGeneralizationSplit : Split users.

    Notes
    -----
    No training entry is as late as a test entry: entries of the same time are never divided. A
    number of splits and a test size that leave nothing to train on, or a test period without
    entries, are an error.

    Examples
    --------
    >>> from skrec import Interactions
    >>> from skrec.model_selection import TimeSplit
    >>> seen = Interactions.from_arrays(
    ...     ["ann", "ann", "bob", "bob"], ["tea", "jam", "tea", "salt"], timestamps=[1, 4, 2, 3]
    ... )
    >>> for part in TimeSplit(n_splits=2, test_size=0.25).partitions(seen):
    ...     print(part.time, part.train.nnz, part.held_out.to_frame("pandas").item.tolist())
    3 2 ['salt']
    4 3 ['jam']
    """

    # Tells scikit-learn's metadata routing that `groups`, the times, are always wanted.
    __metadata_request__split = {"groups": True}

    _parameter_constraints = {
        "n_splits": [Interval(Integral, 1, None, closed="left")],
        # In this order: NumPy counts its timedelta64 among the integers.
        "test_size": [timedelta, np.timedelta64, Interval(Real, 0, None, closed="neither")],
        "min_items": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(self, n_splits=1, test_size=0.2, *, min_items=0):
        self.n_splits = n_splits
        self.test_size = test_size
        self.min_items = min_items

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return the number of splits.

        Parameters
        ----------
        X : object, default=None
            Ignored.
        y : object, default=None
            Ignored.
        groups : object, default=None
            Ignored.

        Returns
        -------
        n_splits : int
        """
        return self.n_splits

    def split(self, X, y=None, groups=None):
        """Yield training and test rows of a table with a row for each rating.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_ratings, n_features)
            Pairs of user and item, as of :class:`~skrec.RatingRegressor`.
        y : object, default=None
            Ignored.
        groups : array-like of shape (n_ratings,), default=None
            The time of each row, numbers or datetimes. It has to be given.

        Yields
        ------
        train : ndarray of int
            Rows before the test period, ascending.
        test : ndarray of int
            Rows of the test period, ascending.
        """
        if is_interactions(X):
            raise TypeError(
                "TimeSplit cannot split the rows of Interactions: a row is a user, and a moment "
                "divides the entries of a user. Use TimeSplit(...).partitions(data), or "
                "compare_recommenders(models, data, cv=TimeSplit(...)); or split users, and hide "
                "the latest entries of each by ranking_scorer(..., fold_in='last')."
            )
        if groups is None:
            raise ValueError(
                "TimeSplit needs the time of each row: pass groups=times, as in "
                "cross_validate(model, pairs, y, cv=TimeSplit(), groups=times)."
            )
        times = as_timestamps(groups)
        check_consistent_length(X, times)
        for train, test, _ in self._periods(times):
            yield np.flatnonzero(train), np.flatnonzero(test)

    def partitions(self, data):
        """Yield the past and the test period of users x items matrices.

        Parameters
        ----------
        data : Interactions
            With timestamps.

        Yields
        ------
        part : :class:`~sklearn.utils.Bunch`
            Dictionary-like object, with the following attributes. The matrices have all users and
            items of `data`, so that their rows and columns are the same.

            train : Interactions
                The entries before the test period. A user without a past has an empty row, an
                item that nobody had an empty column.
            fold_in : Interactions
                What is known of each user when the test period begins: the same entries.
            held_out : Interactions
                The entries of the test period, of users with at least `min_items` before. Users
                without any count in no average.
            time : scalar
                The time of the first entry of the test period.
        """
        if not is_interactions(data):
            raise TypeError(
                f"data must be Interactions with timestamps, got {type(data).__name__}: make them "
                "by Interactions.from_frame(table, timestamp=...); rows of a table of ratings are "
                "split by .split(X, y, groups=times)."
            )
        n_entries = np.diff(data.indptr)
        for train, test, time in self._periods(timestamps_of(data, "TimeSplit")):
            past = data.where(train)
            test &= np.repeat(np.diff(past.indptr) >= self.min_items, n_entries)
            if not test.any():
                raise ValueError(
                    f"No user of the test period from {time} on has min_items={self.min_items} "
                    "entries before: lower min_items, or choose another n_splits or test_size."
                )
            yield Bunch(train=past, fold_in=past, held_out=data.where(test), time=time)

    def _periods(self, times):
        """Yield masks of training and test, and the first moment of the test."""
        validate_parameter_constraints(
            self._parameter_constraints, vars(self), caller_name=type(self).__name__
        )
        if isinstance(self.test_size, bool):
            raise ValueError(
                f"test_size must be a share below 1 or a duration, got {self.test_size}."
            )
        ascending = np.sort(times)
        starts = [_start(ascending, self.test_size, n) for n in range(self.n_splits, 0, -1)]
        what = f"n_splits={self.n_splits} and test_size={self.test_size}"
        if not len(times) or starts[0] == 0:
            raise ValueError(
                f"{what} leave none of the {len(times)} entries for training: lower one of them."
            )
        stops = [*starts[1:], len(times)]
        if min(np.subtract(stops, starts)) == 0:
            raise ValueError(
                f"{what} make a test period without entries: raise test_size, or lower n_splits."
            )
        for start, stop in zip(starts, stops, strict=True):
            train, until = times < ascending[start], times <= ascending[stop - 1]
            yield train, until & ~train, ascending[start]


def _start(ascending, test_size, n_periods):
    """Position, among ascending times, where the last so many periods begin."""
    is_number = isinstance(test_size, Real) and not isinstance(test_size, np.timedelta64)
    if is_number and test_size < 1:
        n_train = int(len(ascending) * (1 - n_periods * fraction(test_size)))
        if n_train <= 0:
            return 0
        return np.searchsorted(ascending, ascending[min(n_train, len(ascending) - 1)], "left")
    if is_number == (ascending.dtype.kind == "M"):
        unit = "datetimes: give a timedelta" if is_number else "numbers: give a number"
        raise ValueError(
            f"test_size={test_size!r} is a duration in another unit than the timestamps, which "
            f"are {unit}, or a share of the entries below 1."
        )
    if not len(ascending):
        return 0
    if is_number:
        begin = ascending[-1].item() - n_periods * test_size
    else:
        try:
            begin = ascending[-1] - n_periods * np.timedelta64(test_size)
        except TypeError as error:  # months and years
            raise ValueError(
                f"test_size={test_size!r} has no fixed length: give days or a smaller unit."
            ) from error
    return np.searchsorted(ascending, begin, "right")
