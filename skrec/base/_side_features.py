"""Features of users and items, which stand beside the ratings."""

from functools import partial

from scipy import sparse

from skrec.utils._compat import fit_context
from skrec.utils._docstrings import complete_verbs
from skrec.utils._item_features import check_item_features, read_features, without_frame
from skrec.utils._validation import check_finite_answers


@complete_verbs
class SideFeaturesMixin:
    """Verbs with ``user_features``, and a parameter ``item_features``, of a model with factors.

    ``_fit(X, user_features, item_features)`` gets both validated, or None. ``_fold_in(X,
    user_features)`` and ``_score_rows(X, user_features)`` get those of the rows asked for, if
    there are any.

    Parameters
    ----------
    item_features : {array-like, sparse matrix, dataframe} of shape (n_items, n_features)
        What is known of the items themselves: a row for each item, in the order of the columns of
        `X`. Numbers or booleans; categories have to be one-hot encoded. Items that nobody has
        rated are predicted from those that are like them.

    Attributes
    ----------
    n_user_features_in_ : int
        Number of features of the users; 0 if ``fit`` got none.
    """

    @fit_context
    def fit(self, X, y=None, *, reviews=None, user_features=None):
        """Learn from users.

        Returns
        -------
        self : estimator
            The fitted estimator. If ``fit`` fails, it is as it was before.
        """
        learn = partial(self._learn_both, user_features=user_features)
        return self._learn(learn, X, reviews, reset=True)

    def _learn_both(self, X, user_features):
        of_users, of_items = self._check_user_features(user_features, X), None
        if self.item_features is not None:
            ids = getattr(self, "feature_names_in_", None)
            of_items = check_item_features(self.item_features, X.shape[1], ids)
        self.n_user_features_in_ = 0 if of_users is None else of_users.shape[1]
        self._fit(X, of_users, of_items)

    def predict(self, X, *, reviews=None, user_features=None):
        """Predict every user's rating of every item.

        Returns
        -------
        ratings : ndarray of shape (n_users, n_items)
        """
        return super().predict(X, reviews=user_features)

    def recommend(
        self,
        X,
        k=10,
        *,
        reviews=None,
        user_features=None,
        exclude_seen=True,
        items=None,
        exclude=None,
        return_scores=False,
    ):
        """Recommend the best `k` items to every user.

        Parameters
        ----------
        k : int, default=10
            Length of each list. At most 1000 more than there are items.
        exclude_seen : bool, default=True
            Leave out the items stored in the user's row.
        items : {array-like, sparse matrix}, default=None
            Candidate items: column indices or a mask over the items for all users, or a matrix of
            shape (n_users, n_items) whose non-zero entries are the candidates of each user, who
            may have none. None means all.
        exclude : {array-like, sparse matrix}, default=None
            Items that are never recommended, in the same forms. None means none.
        return_scores : bool, default=False
            Whether to return the scores too.

        Returns
        -------
        indices : ndarray of intp of shape (n_users, k)
            Item indices, best first, ties by lower index. A row that runs out of items is padded
            with -1.
        scores : ndarray of shape (n_users, k)
            Only if ``return_scores=True``: the scores of ``predict``, ``-inf`` where the index is
            -1. The order is that before ``predict`` clips, where it does.
        """
        return super().recommend(
            X,
            k,
            reviews=user_features,
            exclude_seen=exclude_seen,
            items=items,
            exclude=exclude,
            return_scores=return_scores,
        )

    def transform(self, X, *, user_features=None):
        """Embed users.

        Returns
        -------
        embeddings : ndarray of shape (n_users, n_components)
            The users' factors, without their offsets.
        """
        factors, _ = self._fold_in(*self._check_input(X, user_features))
        check_finite_answers(self, factors)
        return factors

    def _user_states(self, X, user_features=None):
        return self._fold_in(X, self._check_asked(user_features, X))

    def _check_input(self, X, user_features):
        X = self._check_rows(X)
        return X, self._check_asked(user_features, X)

    def _check_asked(self, user_features, X):
        features, n_expected = (
            self._check_user_features(user_features, X),
            self.n_user_features_in_,
        )
        if features is not None and features.shape[1] != n_expected:
            raise ValueError(
                f"user_features has {features.shape[1]} columns, {type(self).__name__} was fitted "
                f"with {n_expected}: "
                + ("give those that fit got, in their order." if n_expected else "leave them out.")
            )
        return features

    def _check_user_features(self, user_features, X):
        """Validated features of users as a csr_array, or None."""
        if user_features is None:
            return None
        features = read_features(user_features, "user_features", "user")
        if features.shape[0] != X.shape[0]:
            raise ValueError(
                f"user_features has {features.shape[0]} rows, X has {X.shape[0]} users: give a "
                "row for each user, in the order of the rows of X."
            )
        return sparse.csr_array(features)

    def __getstate__(self):
        state = super().__getstate__()
        if not hasattr(self, "n_user_features_in_"):  # a copy that is to be fitted elsewhere
            return state
        return {**state, "item_features": without_frame(self.item_features)}
