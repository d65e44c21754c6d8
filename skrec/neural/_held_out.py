"""What is held out of training for early stopping, and how well a model does on it."""

import numpy as np

from skrec.metrics import ndcg, rmse
from skrec.utils._blocks import recommend_rows, row_blocks
from skrec.utils._entry_splits import fold_in_split, interaction_split
from skrec.utils._validation import check_share


def hold_out_users(X, fraction, seed):
    """Split users off, and hide a fifth of the entries of each.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    fraction : float
        Share of the users; only those with at least two entries are taken.
    seed : int

    Returns
    -------
    training : csr_array of shape (n_training_users, n_items)
        Rows of the other users.
    held_out : HeldOutUsers
    """
    rng = np.random.RandomState(seed)
    candidates = np.flatnonzero(np.diff(X.indptr) >= 2)
    n_held_out = min(max(1, round(fraction * X.shape[0])), len(candidates))
    users = np.sort(rng.permutation(candidates)[:n_held_out])
    training = X[np.setdiff1d(np.arange(X.shape[0]), users)]
    if n_held_out == 0 or training.nnz == 0:
        raise ValueError(
            f"early_stopping=True holds out validation_fraction={fraction:g} of the users, of "
            "those with at least two entries, and trains on the others, for which X is too small "
            f"(n_samples={X.shape[0]}, n_features={X.shape[1]}, {len(candidates)} users with two "
            "entries): lower validation_fraction, or use early_stopping=False."
        )
    check_share(fraction, X.shape[0], "validation_fraction", "users")
    return training, HeldOutUsers(*fold_in_split(X[users], random_state=rng))


class HeldOutUsers:
    """Users on whom a model is measured after each epoch.

    Parameters
    ----------
    visible, hidden : csr_array of shape (n_users, n_items)
        What the model sees of their entries, and what it has to find.
    """

    def __init__(self, visible, hidden):
        self.visible = visible
        self.hidden = hidden

    def ndcg(self, score_rows):
        """NDCG@100 of the scores that a function gives to blocks of rows."""
        recommended = recommend_rows(score_rows, self.visible, 100)
        return ndcg(recommended, self.hidden)

    def neg_rmse(self, score_rows):
        """Minus the root mean squared error of the ratings that a function predicts."""
        blocks = row_blocks(self.visible.shape[0], 8 * self.visible.shape[1])
        predicted = []
        for block in blocks:
            wanted = self.hidden[block]
            rows = np.repeat(np.arange(wanted.shape[0]), np.diff(wanted.indptr))
            predicted.append(score_rows(self.visible[block])[rows, wanted.indices])
        return -rmse(np.concatenate(predicted), self.hidden)


def hold_out_entries(X, fraction, seed):
    """Split entries off, whoever they belong to.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
    fraction : float
        Share of the entries.
    seed : int

    Returns
    -------
    training, held_out : csr_array of shape (n_users, n_items)
    """
    n_held_out = X.nnz - int(X.nnz * (1 - fraction))
    if not 0 < n_held_out < X.nnz:
        raise ValueError(
            f"early_stopping=True holds validation_fraction={fraction:g} of the entries out and "
            f"trains on the others, for which X is too small (it has {X.nnz} entries): lower "
            "validation_fraction, or use early_stopping=False."
        )
    check_share(fraction, X.nnz, "validation_fraction", "entries of X")
    return interaction_split(X, fraction, random_state=seed)
