"""The order of a user's candidates: by scores, by each other, and by what a list may hold."""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn import get_config

from skrec.ensemble._list_order_kernel import order_candidates
from skrec.metrics._lists import popularity_of, unit_rows
from skrec.solvers._sparse_products import dense_product
from skrec.utils._blocks import map_blocks, row_blocks
from skrec.utils._columns import as_ids, encode, is_null
from skrec.utils._item_features import check_item_features, check_order

# Users of a block: many share the similarities of their candidates.
_BLOCK_ROWS = 2048
# Of the largest score: deviations below are rounding, and the candidates are tied.
_SMALLEST_DEVIATION = 1e-6


class ListRules(NamedTuple):
    """What reorders candidates, beside their scores.

    Parameters
    ----------
    diversity : float
        What an item gains that is wholly unlike all above it, in standard deviations.
    unit : {csr_array, ndarray} of shape (n_items, n_features) or None
        Rows of length 1, whose products are the similarities. None: `diversity` is 0.
    novelty : ndarray of shape (n_items,) or None
        What items gain wherever they stand, in standard deviations.
    categories : csr_array of shape (n_items, n_categories) or None
        The entries are those of each item. None: there is no cap.
    cap : int or None
        Most items of a category.
    """

    diversity: float = 0.0
    unit: object = None
    novelty: np.ndarray | None = None
    categories: sparse.csr_array | None = None
    cap: int | None = None


def reorder(items, scores, rules, n_kept, n_threads=1):
    """Choose from each user's candidates the best next item, again and again.

    Parameters
    ----------
    items : ndarray of intp of shape (n_users, n_candidates)
        In any order; -1 is none.
    scores : ndarray of shape (n_users, n_candidates)
    rules : ListRules
    n_kept : int
        Length of the lists. A longer one begins with the shorter.
    n_threads : int, default=1

    Returns
    -------
    chosen : ndarray of intp of shape (n_users, n_kept)
        Best first, padded with -1.
    values : ndarray of shape (n_users, n_kept)
        Never increasing, ties by lower index, and at least the candidate's score; padded with
        ``-inf``.
    """
    chosen = np.full((len(items), n_kept), -1, dtype=np.intp)
    values = np.full(chosen.shape, -np.inf, dtype=scores.dtype)
    if rules.cap is None:
        groups = np.zeros(1, dtype=np.int32), np.zeros(0, dtype=np.int32), 0
    else:
        groups = rules.categories.indptr, rules.categories.indices, rules.categories.shape[1]

    def fill(block):
        listed = items[block] >= 0
        safe = np.where(listed, items[block], 0)
        own = np.where(listed, scores[block], 0)
        with np.errstate(over="ignore"):  # the caller checks the result
            unit, lift = _spread(own, listed)
            gains = np.zeros(safe.shape)
            if rules.novelty is not None:
                gains += unit[:, None] * rules.novelty[safe]
            if rules.cap is not None:  # what fits stands above what exceeds the cap
                gains += lift[:, None]
            weights = rules.diversity * unit
        places, likeness = np.zeros_like(safe), np.zeros((1, 1), dtype=np.float32)
        if rules.unit is not None:
            distinct, places = np.unique(safe, return_inverse=True)
            likeness = similarities(rules.unit[distinct])
        order_candidates(
            *(np.ascontiguousarray(items[block]), own, gains, weights),
            *(places.reshape(safe.shape), likeness, groups, rules.cap or 0),
            *(chosen[block], values[block]),
        )

    map_blocks(fill, _blocks(items.shape, rules, n_threads), n_threads)
    return chosen, values


def similarities(unit):
    """Cosines of rows of length 1, in float32, which hides rounding."""
    products = dense_product(unit, unit.T.tocsr()) if sparse.issparse(unit) else unit @ unit.T
    return np.minimum(products, 1).astype(np.float32)


def _blocks(shape, rules, n_threads):
    """Blocks of users whose candidates' similarities to each other fit in memory."""
    n_users, n_candidates = shape
    max_rows = _BLOCK_ROWS
    if rules.unit is not None:
        bytes_each = get_config()["working_memory"] * 2**20 / n_threads
        n_affordable = int(np.sqrt(bytes_each / 24))  # the products, cut at 1, and in float32
        if n_affordable < rules.unit.shape[0]:
            max_rows = max(1, n_affordable // n_candidates)
    max_rows = min(max_rows, -(-n_users // n_threads))
    return row_blocks(n_users, 64 * n_candidates, n_threads, max_rows)


def _spread(scores, listed):
    """Standard deviation of each user's scores, 0 where all are tied; and more than their range.

    Rounding makes no difference between ties.
    """
    counts = np.maximum(listed.sum(axis=1), 1)
    largest = np.abs(scores).max(axis=1, initial=0).astype(float)  # others have score 0
    largest[largest == 0] = 1
    scaled = scores / largest[:, None]  # as squares of large scores overflow
    centred = np.where(listed, scaled - (scaled.sum(axis=1) / counts)[:, None], 0)
    deviation = np.sqrt(np.square(centred).sum(axis=1) / counts)
    deviation[deviation <= _SMALLEST_DEVIATION] = 0
    return deviation * largest, (np.ptp(scaled, axis=1) + 1) * largest


def read_rules(
    X,
    item_ids,
    *,
    diversity=0.0,
    popularity_discount=0.0,
    item_features=None,
    max_per_category=None,
    categories=None,
):
    """Validate what is known of the items, and compute what lists are made by.

    Parameters
    ----------
    X : csr_array of shape (n_users, n_items)
        The training users, in whom items are counted, and compared without features.
    item_ids : ndarray of shape (n_items,) or None
    diversity, popularity_discount, item_features, max_per_category, categories
        As of :class:`~skrec.Reranker`.

    Returns
    -------
    rules : ListRules
    """
    features = unit = novelty = groups = None
    if item_features is not None:
        features = check_item_features(item_features, X.shape[1], item_ids)
    if categories is not None:
        groups = read_categories(categories, X.shape[1], item_ids)
    if max_per_category is None:
        groups = None
    elif groups is None and features is None:
        raise ValueError(
            f"max_per_category={max_per_category} needs to know the categories: give categories=, "
            "a label of each item, or item_features=."
        )
    elif groups is None:
        groups = read_categories(features, X.shape[1])
    if diversity > 0:
        unit, _ = unit_rows(X.T.tocsr() if features is None else features)
    if popularity_discount > 0:  # by bits, as skrec.metrics.novelty
        novelty = -popularity_discount * np.log2(popularity_of(X, smoothing=1))
    return ListRules(diversity, unit, novelty, groups, max_per_category)


def read_categories(categories, n_items, item_ids=None):
    """Make a matrix of the categories of items.

    Parameters
    ----------
    categories : array-like of shape (n_items,) or a matrix of shape (n_items, n_categories)
        A label of each, null for none; or non-zero entries for those that an item has.
    n_items : int
    item_ids : ndarray of shape (n_items,), default=None

    Returns
    -------
    categories : csr_array of shape (n_items, n_categories)
    """
    is_array = hasattr(categories, "ndim")  # sparse ones are no sequences of objects
    labels = categories if is_array else np.asarray(categories, dtype=object)
    if labels.ndim != 1:
        found = check_item_features(categories, n_items, item_ids, "categories")
        found = sparse.csr_array(found, copy=True)
        found.eliminate_zeros()
        return found
    index = getattr(labels, "index", None)  # a series of pandas alone has one
    if index is not None and item_ids is not None:
        check_order(np.asarray(index), item_ids, "categories")
    labels = np.asarray(labels, dtype=object)
    if len(labels) != n_items:
        raise ValueError(
            f"categories has {len(labels)} labels, X has {n_items} items: give one for each item, "
            "in the order of the columns of X, None for an item without a category."
        )
    items = np.flatnonzero([not is_null(label) for label in labels])
    codes, distinct = encode(as_ids(labels[items], "categories"))
    return sparse.csr_array(
        (np.ones(len(items)), (items, codes)), shape=(n_items, max(1, len(distinct)))
    )
