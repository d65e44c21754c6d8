"""Splits of the items: what a model says of those that nobody has chosen yet."""

from numbers import Integral

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skrec.utils._compat import Interval, validate_parameter_constraints
from skrec.utils._entry_splits import checked_entries, take_entries


class ItemColdStartSplit:
    """Split items and users: new items are ranked for new users.

    Items and users are dealt into `n_splits` folds each. The items of a fold have no entry in its
    training matrix, as if they came out tomorrow; their columns stay, so that
    ``item_features=`` fits. Its users are not in training: a model has to find what they have of
    the new items by what they have of the others. :func:`compare_recommenders` takes it as
    ``cv``, and ranks the new items among themselves.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2. Each item is new in one of them, and each user tested by one.
    random_state : int, RandomState instance or None, default=None
        Controls how items and users are dealt. Pass an int for the same folds at every call.

    See Also
    --------
    StrongGeneralizationSplit : Split users alone.
    skrec.metrics.ranking_scorer : With ``items=``, ranks any items among themselves.

    Notes
    -----
    Training users lose their entries of the new items, and test users count if they have entries
    of both, new items and others. Documents of items that are made of their reviews tell what is
    not known of a new item yet, unless they are made anew for each fold, of other reviews than
    those of ``test_users``.

    Examples
    --------
    >>> import numpy as np
    >>> from skrec.model_selection import ItemColdStartSplit
    >>> X = np.ones((8, 6))
    >>> for part in ItemColdStartSplit(n_splits=2, random_state=0).partitions(X):
    ...     print(part.new_items, part.test_users, part.train.nnz, part.held_out.nnz)
    [2 3 4] [0 1 5 7] 12 12
    [0 1 5] [2 3 4 6] 12 12
    """

    _parameter_constraints = {
        "n_splits": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, n_splits=5, *, random_state=None):
        self.n_splits = n_splits
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
        """
        return self.n_splits

    def split(self, X, y=None, groups=None):
        """Refuse to split rows, as scikit-learn's searches would ask for.

        Parameters
        ----------
        X : object
            Ignored.
        y : object, default=None
            Ignored.
        groups : object, default=None
            Ignored.
        """
        raise TypeError(
            "ItemColdStartSplit cannot split rows: a row is a user, and the training users lose "
            "their entries of new items. Use ItemColdStartSplit(...).partitions(X), or compare "
            "settings by compare_recommenders(models, X, cv=ItemColdStartSplit(...)); pairs of "
            "user and item are split by scikit-learn's GroupKFold with groups=items."
        )

    def partitions(self, X):
        """Yield the parts of each fold.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user.

        Yields
        ------
        part : :class:`~sklearn.utils.Bunch`
            Dictionary-like object, with the following attributes. The matrices have all users and
            items of `X`; where `X` is :class:`~skrec.Interactions`, so are they.

            train : csr_array
                Entries of the training users, none of them of a new item. The test users' rows
                are empty.
            fold_in : csr_array
                Entries that the test users have of the other items.
            held_out : csr_array
                Entries that they have of the new items; none for users without a fold-in.
            new_items : ndarray of int
                Columns of the new items, ascending.
            test_users : ndarray of int
                Rows of the test users, ascending.
        """
        validate_parameter_constraints(
            self._parameter_constraints, vars(self), caller_name=type(self).__name__
        )
        X = checked_entries(X)
        for n, name in zip(X.shape, ("users", "items"), strict=True):
            if n < self.n_splits:
                raise ValueError(
                    f"n_splits={self.n_splits} is more than the {n} {name} of X: lower it."
                )
        rng = check_random_state(self.random_state)
        fold_of_user, fold_of_item = (rng.permutation(n) % self.n_splits for n in X.shape)
        rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        for fold in range(self.n_splits):
            tested, is_new = fold_of_user[rows] == fold, fold_of_item[X.indices] == fold
            train, fold_in = ~tested & ~is_new, tested & ~is_new
            held_out = tested & is_new & np.isin(rows, rows[fold_in])
            for mask, what in ((train, "training"), (held_out, "test")):
                if not mask.any():
                    raise ValueError(
                        f"n_splits={self.n_splits} makes a fold without {what} entries, of the "
                        f"{X.nnz} entries of X: lower it, or choose another random_state."
                    )
            yield Bunch(
                train=take_entries(X, train),
                fold_in=take_entries(X, fold_in),
                held_out=take_entries(X, held_out),
                new_items=np.flatnonzero(fold_of_item == fold),
                test_users=np.flatnonzero(fold_of_user == fold),
            )
