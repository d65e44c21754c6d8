"""What members answer to held-out users, kept for the items that can come to the top."""

import numpy as np
from scipy import sparse

from skrec.ensemble._members import score_member
from skrec.ensemble._normalization import normalize_rows
from skrec.utils._blocks import effective_n_threads, map_blocks, row_blocks, top_k


class Candidates:
    """Unseen items of held-out users with the score of each member.

    Kept are each member's best items, and those that are held out. An item that no member has
    among its best is taken for one that their sum does not have there either.

    Parameters
    ----------
    visible, hidden : csr_array of shape (n_users, n_items)
        What members see of the users' entries, and what is held out.
    items : ndarray of int of shape (n_users, n_kept)
        Ascending, padded with -1.
    scores : ndarray of float32 of shape (n_members, n_users, n_kept)
    """

    def __init__(self, visible, hidden, items, scores):
        self.visible = visible
        self.hidden = hidden
        self.n_members = len(scores)
        self._items = items
        self._scores = scores

    def weighted(self, weights):
        """What recommends by the weighted sum, for a scorer."""
        return _Weighted(self, weights)

    def rank(self, weights, k):
        """Best `k` items of each user by the weighted sum, padded with -1."""
        total = np.tensordot(weights.astype(np.float32), self._scores, axes=1)
        total[self._items < 0] = -np.inf
        positions, _ = top_k(total, k)
        ranked = np.take_along_axis(self._items, positions, axis=1)
        return np.where(positions < 0, -1, ranked)

    @classmethod
    def joined(cls, parts):
        """The same of the users of several parts."""
        visible, hidden = (
            sparse.csr_array(sparse.vstack([getattr(part, name) for part in parts]))
            for name in ("visible", "hidden")
        )
        width = max(part._items.shape[1] for part in parts)

        def pad(array, value):
            short = width - array.shape[-1]
            widths = [(0, 0)] * (array.ndim - 1) + [(0, short)]
            return np.pad(array, widths, constant_values=value)

        items = np.concatenate([pad(part._items, -1) for part in parts])
        scores = np.concatenate([pad(part._scores, 0) for part in parts], axis=1)
        return cls(visible, hidden, items, scores)


class _Weighted:
    def __init__(self, candidates, weights):
        self._candidates = candidates
        self._weights = weights

    def recommend(self, X, k, exclude_seen):
        return self._candidates.rank(self._weights, k)


def find_candidates(members, visible, hidden, reviews, how, n_best, n_jobs=None):
    """Ask fitted members for their best items, in blocks of users.

    Parameters
    ----------
    members : list of estimator
        Fitted.
    visible, hidden : csr_array of shape (n_users, n_items)
    reviews : Reviews or None
        Of the visible entries.
    how : str or None
        See `normalize_rows`.
    n_best : int
        Number of items kept of each user and member.
    n_jobs : int, default=None

    Returns
    -------
    candidates : Candidates
    """

    def score(block):
        rows = visible[block]
        texts = None if reviews is None else reviews[block]
        seen = _mask(rows)
        kept = _mask(hidden[block])
        scores = [normalize_rows(score_member(one, rows, texts), how) for one in members]
        for answer in scores:
            best, _ = top_k(np.where(seen, -np.inf, answer), min(n_best, answer.shape[1]))
            user, rank = np.nonzero(best >= 0)
            kept[user, best[user, rank]] = True
        return kept.sum(axis=1), np.nonzero(kept)[1], [answer[kept] for answer in scores]

    n_threads = effective_n_threads(n_jobs)
    n_users, n_items = visible.shape
    blocks = row_blocks(n_users, 8 * (len(members) + 3) * n_items, n_threads)
    answers = map_blocks(score, blocks, n_threads)
    counts, found, values = (list(part) for part in zip(*answers, strict=True))
    counts = np.concatenate(counts)
    is_kept = np.arange(max(1, counts.max(initial=0))) < counts[:, None]
    items = np.full(is_kept.shape, -1, dtype=np.intp)
    items[is_kept] = np.concatenate(found)
    scores = np.zeros((len(members), *is_kept.shape), dtype=np.float32)
    for member, parts in enumerate(zip(*values, strict=True)):
        scores[member][is_kept] = np.concatenate(parts)
    return Candidates(visible, hidden, items, scores)


def predict_entries(members, visible, hidden, reviews, n_jobs=None):
    """Ratings that fitted members predict for held-out entries, before clipping.

    Parameters
    ----------
    members : list of estimator
    visible, hidden : csr_array of shape (n_users, n_items)
    reviews : Reviews or None
        Of the visible entries.
    n_jobs : int, default=None

    Returns
    -------
    predicted : ndarray of shape (n_entries, n_members)
        A row for each stored entry of `hidden`.
    """

    def score(block):
        wanted = _mask(hidden[block])
        texts = None if reviews is None else reviews[block]
        answers = [score_member(one, visible[block], texts)[wanted] for one in members]
        return np.column_stack(answers)

    n_threads = effective_n_threads(n_jobs)
    blocks = row_blocks(visible.shape[0], 16 * visible.shape[1], n_threads)
    return np.concatenate(map_blocks(score, blocks, n_threads))


def _mask(rows):
    mask = np.zeros(rows.shape, dtype=bool)
    mask[np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr)), rows.indices] = True
    return mask
