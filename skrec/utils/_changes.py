"""What became of the rows that a model was fitted on, and the update that follows from it."""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skrec.utils._validation import check_interactions, check_sample_weight, keep_state_on_error


class Change(NamedTuple):
    """Rows that a model was fitted on, and those that have taken their place.

    Parameters
    ----------
    rows : {csr_array, Interactions} of shape (n_users, n_items)
        The new rows as the caller has them, such as ``fit`` takes them.
    old : csr_array of shape (n_old_users, n_items)
        The old rows, with columns for the new items.
    new : csr_array of shape (n_users, n_items)
        The new rows as the model has validated them; the first `n_old_users` are the old users'.
    users : ndarray of intp
        Numbers of the new users, and of the old ones whose rows are other ones now; ascending.
    sample_weight : ndarray of shape (n_users,) or None
    """

    rows: object
    old: sparse.csr_array
    new: sparse.csr_array
    users: np.ndarray
    sample_weight: np.ndarray | None

    @property
    def added(self):
        """Rows that are now to be learned from, and their weights."""
        return self.new[self.users], self._weights(self.users)

    @property
    def removed(self):
        """Rows that no longer hold, and their weights."""
        users = self.users[self.users < self.old.shape[0]]
        return self.old[users], self._weights(users)

    @property
    def old_weight(self):
        """Weights of the old rows, or None."""
        return self._weights(slice(self.old.shape[0]))

    def _weights(self, users):
        return None if self.sample_weight is None else self.sample_weight[users]


def update_rows(model, old, new, *, sample_weight=None):
    """Let a fitted model learn what became of its users; its state is kept if that fails.

    The model says how: its ``_no_update`` is None, or the reason why it cannot, and its
    ``_update(change)`` gets a `Change`. The number of items is then the new one already.

    Parameters
    ----------
    model : estimator
        Fitted on `old`.
    old, new : {array-like, sparse matrix, Interactions}
        The first rows and columns of `new` are those of `old`.
    sample_weight : array-like of shape (n_new_rows,), default=None

    Returns
    -------
    model : estimator
    """
    check_is_fitted(model)
    if not hasattr(model, "_no_update"):
        inside = {
            "best_estimator_": "update its best_estimator_",
            "steps": "update its last step, with `old` and `new` as the others transform them",
        }
        fix = next((fix for name, fix in inside.items() if hasattr(model, name)), "fit it again")
        raise TypeError(f"update takes a recommender, got {type(model).__name__}: {fix}.")
    reason = model._no_update
    if reason is not None:
        raise TypeError(
            f"{type(model).__name__} has no sound update, as {reason}: fit again on all users, "
            "model.fit(new)."
        )
    if sample_weight is not None and not has_fit_parameter(model, "sample_weight"):
        raise TypeError(
            f"{type(model).__name__} takes no sample_weight in fit, and so none in an update: "
            "leave it out."
        )
    model._validate_params()
    old = check_interactions(old, estimator=model, name="old")
    n_known = model.n_features_in_
    with keep_state_on_error(model):
        checked = check_interactions(new, estimator=model, reset=True)  # the width and the names
        users = changed_rows(old, checked)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, checked)
        entries, shape = (old.data, old.indices, old.indptr), (old.shape[0], checked.shape[1])
        old = sparse.csr_array(entries, shape)
        validated = model._check_training(new, reset=False)
        change = Change(new, old, validated, users, sample_weight)
        model._check_learned(change)
        if len(users) or model.n_features_in_ > n_known:
            model._update(change)
    return model


def changed_rows(old, new):
    """Numbers of the rows of `new` that are not the row of `old` with that number.

    Parameters
    ----------
    old, new : csr_array
        In canonical form. The first columns of `new` are those of `old`.

    Returns
    -------
    rows : ndarray of intp
        Ascending; rows beyond those of `old` are among them.
    """
    n_old = old.shape[0]
    lengths, new_lengths = np.diff(old.indptr), np.diff(new.indptr[: n_old + 1])
    is_changed = np.ones(new.shape[0], dtype=bool)
    is_changed[:n_old] = lengths != new_lengths
    compared = ~is_changed[:n_old]
    entries, new_entries = np.repeat(compared, lengths), np.repeat(compared, new_lengths)
    n_new_entries = new.indptr[n_old]
    differs = old.indices[entries] != new.indices[:n_new_entries][new_entries]
    differs |= old.data[entries] != new.data[:n_new_entries][new_entries]
    owners = np.repeat(np.arange(n_old)[compared], lengths[compared])
    is_changed[owners[differs]] = True
    return np.flatnonzero(is_changed)


def padded(sums, n_items):
    """Sums of the known items, and 0 for the new ones."""
    wider = np.zeros(n_items)
    wider[: len(sums)] = sums
    return wider


def check_learned(model, found, expected):
    """Refuse an update where what a model has added up is not what `old` adds up to.

    Parameters
    ----------
    model : estimator
    found, expected : ndarray of shape (n_items,)
        A sum for each item.
    """
    differs = ~np.isclose(found, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max(initial=0))
    if differs.any():
        item = np.argmax(differs)
        raise ValueError(
            f"{type(model).__name__} was not fitted on `old`, or with other sample_weight: item "
            f"{item} adds up to {found[item]:g} in the model, to {expected[item]:g} in `old`. "
            "Pass what it was fitted on, or fit again, model.fit(new)."
        )
