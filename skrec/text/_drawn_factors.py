"""Factors of users and items where items are drawn to what their texts say of them."""

import numpy as np
import torch

from skrec.solvers._drawn_rows import solve_drawn
from skrec.solvers._offsets import MIN_RATINGS, fit_offsets, less_offsets
from skrec.solvers._pair_products import pair_products
from skrec.solvers._row_groups import group_rows
from skrec.solvers._sweeps import repeat_sweeps
from skrec.utils._entry_splits import interaction_split

CPU = torch.device("cpu")
PENALTIES = (3.0, 6.0, 12.0, 25.0, 50.0, 100.0, 400.0)


class DrawnFactors:
    """Alternating least squares whose items are drawn to priors of their own.

    Parameters
    ----------
    priors : ndarray of shape (n_items, n_components)
    unobserved_weight, l2, l2_item : float
        As of :class:`~skrec.CTR`.

    Attributes
    ----------
    is_known : ndarray of bool of shape (n_items,)
        Items that have entries: of the others nobody is known to have left them out.
    """

    def __init__(self, priors, unobserved_weight, l2, l2_item):
        self.priors = priors
        self.unobserved_weight = unobserved_weight
        self.l2, self.l2_item = l2, l2_item

    def users(self, rows, items):
        """Factors of users, exactly, an array of shape (n_users, n_components).

        Parameters
        ----------
        rows : csr_array of float64 of shape (n_users, n_items)
        items : ndarray of shape (n_items, n_components)
        """
        return self._solve_users(group_rows(rows, CPU), items)[0]

    def _solve_users(self, groups, items):
        known = items[self.is_known]
        return solve_drawn(groups, items, self.unobserved_weight * (known.T @ known), self.l2)

    def fit(self, rows, items, max_iter, tol, name="", verbose=0):
        """Improve users and items in turn.

        Parameters
        ----------
        rows : csr_array of float64 of shape (n_users, n_items)
            Targets.
        items : ndarray of shape (n_items, n_components)
            Factors to start from.
        max_iter : int
        tol : float
        name : str
            Of the model.
        verbose : int

        Returns
        -------
        items : ndarray of shape (n_items, n_components)
            Those of items without entries are their priors.
        losses : list of float
            The objective after each sweep.
        """
        by_user, by_item = group_rows(rows, CPU), group_rows(rows.T.tocsr(), CPU)
        self.is_known = np.bincount(rows.indices, minlength=rows.shape[1]) > 0
        losses = []

        def sweep():
            nonlocal items
            users, _ = self._solve_users(by_user, items)
            gram = self.unobserved_weight * (users.T @ users)
            items, loss = solve_drawn(by_item, users, gram, self.l2_item, self.priors)
            losses.append(loss + self.l2 * float(np.square(users).sum()))
            before = losses[-2] if len(losses) > 1 else np.inf
            return losses[-1], before - losses[-1] <= tol * before < np.inf

        n_sweeps = repeat_sweeps(sweep, max_iter, name, verbose)
        return items, losses[:n_sweeps]


def choose_l2(X, priors, start, l2_item, l2_offset, max_iter, tol):
    """Penalty on users' factors that rates a tenth of the ratings best.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        Ratings.
    priors, start : ndarray of shape (n_items, n_components)
    l2_item, l2_offset : float
    max_iter : int
    tol : float

    Returns
    -------
    l2 : float
        One of `PENALTIES`; 12 if there are too few ratings to tell.
    """
    if X.nnz < MIN_RATINGS:
        return 12.0
    known, held_out = interaction_split(X.astype(np.float64), 0.1, random_state=0)
    offsets = (*fit_offsets(known, l2_offset, l2_offset), l2_offset)
    rows, of_users = less_offsets(known, offsets)
    users = np.repeat(np.arange(X.shape[0]), np.diff(held_out.indptr))
    left = held_out.data - offsets[0] - offsets[1][held_out.indices] - of_users[users]

    def error(l2):
        factors = DrawnFactors(priors, 0.0, l2, l2_item)
        items, _ = factors.fit(rows, start, max_iter, tol)
        found = pair_products(factors.users(rows, items), items, users, held_out.indices)
        return float(np.square(left - found).sum())

    return min(PENALTIES, key=error)
