"""Training users that count more or less."""

from skrec.utils._compat import fit_context
from skrec.utils._docstrings import complete_verbs
from skrec.utils._validation import check_sample_weight


@complete_verbs
class SampleWeightMixin:
    """``fit`` with a weight for each user.

    ``_fit(X, sample_weight)`` gets them validated, or None where all users count the same; a model
    that reads reviews takes these as well, as ``reviews``.
    """

    @fit_context
    def fit(self, X, y=None, *, reviews=None, sample_weight=None):
        """Learn from users.

        Returns
        -------
        self : estimator
            The fitted estimator. If ``fit`` fails, it is as it was before.
        """
        reset = not self._continues_training()
        return self._learn(self._fit, X, reviews, reset=reset, sample_weight=sample_weight)

    def _learn(self, learn, X, reviews=None, *, reset, sample_weight=None):
        def learn_weighted(rows, **read):
            weight = None
            if sample_weight is not None:
                # Where chunks of users are added, all of a chunk may have weight 0.
                weight = check_sample_weight(sample_weight, rows, allow_all_zero=not reset)
            learn(rows, weight, **read)

        return super()._learn(learn_weighted, X, reviews, reset=reset)


@complete_verbs
class AdditiveMixin(SampleWeightMixin):
    """``partial_fit`` where chunks of users add up to one ``fit`` on all of them.

    ``_add(X, sample_weight)`` gets the additional users, and changes nothing in place.
    """

    @fit_context
    def partial_fit(self, X, y=None, *, reviews=None, sample_weight=None):
        """Add users: the result is that of one ``fit`` on all users so far.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            Rows of the additional users.
        sample_weight : array-like of shape (n_users,), default=None
            Non-negative weight of each additional user; None means 1.

        Returns
        -------
        self : estimator
            The fitted estimator. If this fails, it is as it was before.
        """
        is_first = not hasattr(self, "n_features_in_")
        learn = self._fit if is_first else self._add
        return self._learn(learn, X, reviews, reset=is_first, sample_weight=sample_weight)
