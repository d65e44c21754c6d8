"""Factors of users and items where items are drawn to what their texts say of them."""

import numpy as np
import torch

from skrec.solvers._drawn_rows import solve_drawn
from skrec.solvers._offsets import fit_offsets, less_offsets
from skrec.solvers._pair_products import pair_products
from skrec.solvers._row_groups import group_rows
from skrec.solvers._sweeps import repeat_sweeps
from skrec.utils._entry_splits import interaction_split

CPU = torch.device("cpu")
PENALTIES = (3.0, 6.0, 12.0, 25.0, 50.0, 100.0, 400.0)
OFFSET_PENALTIES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
L2, L2_OFFSET = 12.0, 4.0
MIN_RATINGS = 100  # to choose penalties by


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
        self.is_known = np.ones(len(priors), dtype=bool)

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


def choose_penalties(
    X, priors, start, *, l2_item=None, l2=None, l2_offset=None, max_iter=15, tol=1e-4
):
    """Penalties with which a tenth of the ratings is rated best, after learning from the others.

    That on offsets comes first, beside factors with the penalty `L2`: how far offsets are to be
    shrunk depends on what is there to explain the rest.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        Ratings.
    priors, start : ndarray of shape (n_items, n_components)
    l2_item : float, default=None
        None means that of users.
    l2, l2_offset : float, default=None
        Those that are given stay.
    max_iter : int, default=15
    tol : float, default=1e-4

    Returns
    -------
    l2 : float
        Of `PENALTIES`; `L2` if there are too few ratings to tell.
    l2_offset : float
        Of `OFFSET_PENALTIES`; `L2_OFFSET` if there are too few ratings to tell.
    """
    if X.nnz < MIN_RATINGS:
        return L2 if l2 is None else l2, L2_OFFSET if l2_offset is None else l2_offset
    known, held_out = interaction_split(X.astype(np.float64), 0.1, random_state=0)
    users, items = np.repeat(np.arange(X.shape[0]), np.diff(held_out.indptr)), held_out.indices

    def error(l2, l2_offset):
        offsets = (*fit_offsets(known, l2_offset, l2_offset), l2_offset)
        rows, of_users = less_offsets(known, offsets)
        left = held_out.data - offsets[0] - offsets[1][items] - of_users[users]
        factors = DrawnFactors(priors, 0.0, l2, l2 if l2_item is None else l2_item)
        of_items, _ = factors.fit(rows, start, max_iter, tol)
        found = pair_products(factors.users(rows, of_items), of_items, users, items)
        return float(np.square(left - found).sum())

    if l2_offset is None:
        typical = L2 if l2 is None else l2
        l2_offset = min(OFFSET_PENALTIES, key=lambda penalty: error(typical, penalty))
    if l2 is None:
        l2 = min(PENALTIES, key=lambda penalty: error(penalty, l2_offset))
    return l2, l2_offset
