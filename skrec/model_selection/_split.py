"""Splits of users, of each user's entries, and of all entries."""

from numbers import Integral, Real

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import Bunch, check_random_state

from skrec.utils._compat import (
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from skrec.utils._entry_splits import (
    FOLD_IN,
    checked_entries,
    count_held_out,
    fold_in_split,
    fraction,
    parse_fold_in,
    take_entries,
    timestamps_of,
)
from skrec.utils._entry_splits import interaction_split as interaction_split
from skrec.utils._validation import check_interactions

_LIANG_SEED = 98765
_LIANG_MIN_ITEMS = 5


class StrongGeneralizationSplit(BaseCrossValidator):
    """Split users into training, validation and test users, once.

    As ``cv=`` of scikit-learn it yields one pair of training and test users; the validation users
    are in neither. :meth:`partition` gives the matrices of all three, with the entries of
    validation and test users split into fold-in and held-out.

    Parameters
    ----------
    n_validation : float or int, default=0.1
        Share (float) or number (int) of validation users. May be 0.
    n_test : float or int, default=0.1
        Share (float) or number (int) of test users.
    fold_in : float or str, default=0.8
        What stays visible of a validation or test user's entries: a share, or all but the latest
        with "last", "last-5" or "last-20%", see :func:`fold_in_split`.
    min_users_per_item : int, default=0
        Items with fewer users are dropped before anything else.
    min_items_per_user : int, default=0
        Users with fewer of the remaining items are dropped next; items are not counted again.
    protocol : {"random", "liang2018"}, default="random"
        "liang2018" repeats the published procedure [1]_ draw by draw, see Notes.
    random_state : int, RandomState instance or None, default=None
        Controls the choice of users and of held-out entries. Pass an int for the same split at
        every call. Ignored by "liang2018", whose seed is part of the protocol.

    See Also
    --------
    fold_in_split : Split the entries of each user.
    skrec.metrics.ranking_scorer : Splits the entries of test users by itself.

    Notes
    -----
    In either protocol the users are permuted; the last are the test users, those before them the
    validation users. Items that no training user has are dropped from the validation and test
    rows.

    "liang2018" assumes rows in ascending order of the raw user ids, and columns in the order in
    which the ratings file lists a user's items, which for MovieLens-20M is that of the ids
    (:class:`skrec.Interactions` orders both so). ``X`` must be thresholded already. Users without
    entries, of whom a ratings file knows nothing, are dropped, and validation and test users with
    fewer than five entries keep them all. The published setting for MovieLens-20M is
    ``n_validation=n_test=10_000, min_items_per_user=5`` on ratings above 3.5.

    References
    ----------
    .. [1] D. Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018.
       :arxiv:`1802.05814`

    Examples
    --------
    >>> import numpy as np
    >>> from skrec.model_selection import StrongGeneralizationSplit
    >>> X = np.ones((20, 10))
    >>> parts = StrongGeneralizationSplit(random_state=0).partition(X)
    >>> parts.train.shape, parts.test_fold_in.nnz, parts.test_held_out.nnz
    ((16, 10), 16, 4)
    """

    _parameter_constraints = {
        "n_validation": [
            Interval(Real, 0, 1, closed="left"),
            Interval(Integral, 0, None, closed="left"),
        ],
        "n_test": [
            Interval(Real, 0, 1, closed="neither"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "fold_in": FOLD_IN,
        "min_users_per_item": [Interval(Integral, 0, None, closed="left")],
        "min_items_per_user": [Interval(Integral, 0, None, closed="left")],
        "protocol": [StrOptions({"random", "liang2018"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_validation=0.1,
        n_test=0.1,
        *,
        fold_in=0.8,
        min_users_per_item=0,
        min_items_per_user=0,
        protocol="random",
        random_state=None,
    ):
        self.n_validation = n_validation
        self.n_test = n_test
        self.fold_in = fold_in
        self.min_users_per_item = min_users_per_item
        self.min_items_per_user = min_items_per_user
        self.protocol = protocol
        self.random_state = random_state

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
            Always 1.
        """
        return 1

    def split(self, X, y=None, groups=None):
        """Yield the training and test users.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user.
        y : object, default=None
            Ignored.
        groups : object, default=None
            Ignored.

        Yields
        ------
        train : ndarray of int
            Rows of the training users, ascending.
        test : ndarray of int
            Rows of the test users, ascending.
        """
        X = check_interactions(X)
        (train, _, test), _, _ = self._choose_users(X)
        yield train, test

    def partition(self, X):
        """Build the matrices of all three groups of users.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user.

        Returns
        -------
        parts : :class:`~sklearn.utils.Bunch`
            Dictionary-like object, with the following attributes. Where `X` is
            :class:`~skrec.Interactions`, so are the matrices.

            train : csr_array
                Of shape (n_train_users, n_kept_items).
            validation_fold_in, validation_held_out : csr_array
                Of shape (n_validation_users, n_kept_items).
            test_fold_in, test_held_out : csr_array
                Of shape (n_test_users, n_kept_items).
            train_users, validation_users, test_users : ndarray of int
                Rows of `X`, ascending, in the order of the matrices' rows.
            kept_items : ndarray of int of shape (n_kept_items,)
                Columns of `X`, ascending: those that a training user has.

            Reviews of the training rows are ``reviews[train_users][:, kept_items]``, those of the
            others the same, ``.aligned_with`` their fold-in.
        """
        X = checked_entries(X)
        users, items, rng = self._choose_users(X)
        if isinstance(self.fold_in, str):
            timestamps_of(X, f"fold_in={self.fold_in!r}")
        items[np.setdiff1d(np.arange(X.shape[1]), X[users[0]].indices)] = False
        kept_items = np.flatnonzero(items)
        train, validation, test = (X[rows][:, kept_items] for rows in users)
        validation = self._hide(validation, rng)
        test = self._hide(test, rng)
        return Bunch(
            train=train,
            validation_fold_in=validation[0],
            validation_held_out=validation[1],
            test_fold_in=test[0],
            test_held_out=test[1],
            train_users=users[0],
            validation_users=users[1],
            test_users=users[2],
            kept_items=kept_items,
        )

    def _choose_users(self, X):
        validate_parameter_constraints(
            self._parameter_constraints, vars(self), caller_name=type(self).__name__
        )
        parse_fold_in(self.fold_in)
        liang = self.protocol == "liang2018"
        if liang and isinstance(self.fold_in, str):
            raise ValueError(
                f"protocol='liang2018' draws the entries that it hides, and fold_in="
                f"{self.fold_in!r} takes the latest: give a share, or choose protocol='random'."
            )
        rng = check_random_state(_LIANG_SEED if liang else self.random_state)
        items = np.bincount(X.indices, minlength=X.shape[1]) >= self.min_users_per_item
        if not items.any():
            raise ValueError(
                f"min_users_per_item={self.min_users_per_item} leaves none of the {X.shape[1]} "
                f"items: the one with most users has {np.bincount(X.indices).max(initial=0)}. "
                "Lower it."
            )
        rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        n_items_of_user = np.bincount(rows[items[X.indices]], minlength=X.shape[0])
        users = np.flatnonzero(n_items_of_user >= max(self.min_items_per_user, int(liang)))
        if not len(users):
            raise ValueError(
                f"min_items_per_user={self.min_items_per_user} leaves none of the {X.shape[0]} "
                f"users: the one with most entries has {n_items_of_user.max()}. Lower it."
            )
        n_validation = _n_users(self.n_validation, len(users))
        n_test = _n_users(self.n_test, len(users))
        n_train = len(users) - n_validation - n_test
        if n_train < 1 or n_test < 1 or (n_validation < 1 and self.n_validation > 0):
            raise ValueError(
                f"n_validation={self.n_validation} and n_test={self.n_test} make {n_validation} "
                f"validation and {n_test} test users of the {len(users)} users that pass the "
                f"filters (of {X.shape[0]}): at least one training and one test user must be "
                "left, and one validation user unless n_validation=0."
            )
        users = users[rng.permutation(len(users))]
        groups = np.split(users, [n_train, n_train + n_validation])
        return [np.sort(group) for group in groups], items, rng

    def _hide(self, X, rng):
        if self.protocol == "random":
            return fold_in_split(X, self.fold_in, random_state=rng) if X.shape[0] else (X, X)
        rng = np.random.RandomState(_LIANG_SEED)
        n_entries = np.diff(X.indptr)
        n_held_out = count_held_out(n_entries, self.fold_in)
        hidden = np.zeros(X.nnz, bool)
        for user in np.flatnonzero(n_entries >= _LIANG_MIN_ITEMS):
            drawn = rng.choice(n_entries[user], n_held_out[user], replace=False)
            hidden[X.indptr[user] + drawn] = True
        return take_entries(X, ~hidden), take_entries(X, hidden)


def _n_users(size, n_users):
    return int(size) if isinstance(size, Integral) else int(n_users * fraction(size))
