"""Ranking metrics against loops, scikit-learn and a table computed by hand."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.metrics import (
    average_precision_score,
    label_ranking_average_precision_score,
    ndcg_score,
)
from sklearn.metrics.pairwise import cosine_similarity

from skrec.metrics import (
    _hits,
    _lists,
    average_popularity,
    average_precision,
    coverage,
    diversity,
    gini,
    hit_rate,
    ndcg,
    novelty,
    precision,
    recall,
    reciprocal_rank,
)
from skrec.utils._blocks import top_k

METRICS = [ndcg, recall, precision, average_precision, reciprocal_rank, hit_rate]


def loop_over_users(recommended, held_out, k, relevance, rated_only):
    """The definitions, read aloud: one dict of metrics per user, None where it does not count."""
    answers = []
    for user, items in enumerate(recommended):
        entries = held_out[user : user + 1].tocoo()
        values = dict(zip(entries.coords[1], entries.data, strict=True))
        relevant = {i for i, v in values.items() if relevance is None or v >= relevance}
        if len(values) < 2 if rated_only else not relevant:
            answers.append(None)
            continue
        n_targets = len(values) if rated_only else len(relevant)
        hits = [item in relevant for item in items[:k]]
        found = [rank for rank, hit in enumerate(hits, start=1) if hit]
        ideal = sum(1 / np.log2(rank + 1) for rank in range(1, min(k, n_targets) + 1))
        answers.append(
            {
                ndcg: sum(1 / np.log2(rank + 1) for rank in found) / ideal,
                recall: len(found) / min(k, n_targets),
                "plain recall": len(found) / n_targets,
                precision: len(found) / k,
                average_precision: sum(n / rank for n, rank in enumerate(found, start=1))
                / min(k, n_targets),
                reciprocal_rank: 1 / found[0] if found else 0,
                hit_rate: float(bool(found)),
            }
        )
    return answers


def random_case(seed, rated_only=False):
    rng = np.random.default_rng(seed)
    n_users, n_items = rng.integers(1, 40), rng.integers(2, 30)
    n_columns = rng.integers(1, n_items + 4)
    counts = rng.integers(0, min(n_items, 8), n_users)
    counts[0] = 2
    held_out = sparse.lil_array((n_users, n_items))
    recommended = np.full((n_users, n_columns), -1)
    for user, count in enumerate(counts):
        items = rng.choice(n_items, count, replace=False)
        held_out[user, items] = rng.integers(1, 6, count)
        order = rng.permutation(items if rated_only else n_items)
        n_listed = min(n_columns, len(order), rng.integers(1, n_items + 1))
        recommended[user, :n_listed] = order[:n_listed]
    held_out = held_out.tocsr()
    held_out[0, held_out[[0]].indices] = 5  # somebody counts at every relevance
    held_out.data[rng.random(held_out.nnz) < 0.1] = 0  # a stored zero is an observation
    held_out.data[0] = 5
    k = int(rng.integers(1, n_columns + 1))
    return recommended, held_out, k


@pytest.mark.parametrize("table_size", [1, 64, 2**21])
@pytest.mark.parametrize("relevance, rated_only", [(None, False), (3, False), (4, True)])
@pytest.mark.parametrize("seed", range(12))
def test_metrics_agree_with_a_loop_over_users(
    seed, relevance, rated_only, table_size, monkeypatch
):
    monkeypatch.setattr(_hits, "_TABLE_SIZE", table_size)
    recommended, held_out, k = random_case(seed, rated_only)
    expected = loop_over_users(recommended, held_out, k, relevance, rated_only)
    options = {"relevance": relevance, "rated_only": rated_only}
    for metric in METRICS:
        values = [np.nan if user is None else user[metric] for user in expected]
        got = metric(recommended, held_out, k, **options, per_user=True)
        assert_allclose(got, values, rtol=1e-12, err_msg=metric.__name__)
        mean = metric(recommended, held_out, k, **options)
        assert isinstance(mean, float)
        assert_allclose(mean, np.nanmean(values), rtol=1e-12)
    plain = [np.nan if user is None else user["plain recall"] for user in expected]
    got = recall(recommended, held_out, k, truncated=False, per_user=True, **options)
    assert_allclose(got, plain, rtol=1e-12)


@pytest.fixture
def full_rankings():
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(50, 40))
    relevant = rng.random(scores.shape) < 0.15
    relevant[:, 7] = True
    return np.argsort(-scores, axis=1), relevant.astype(float), scores


@pytest.mark.parametrize("k", [1, 5, 10, 40])
def test_ndcg_agrees_with_scikit_learn(full_rankings, k):
    recommended, relevant, scores = full_rankings
    assert_allclose(ndcg(recommended, relevant, k), ndcg_score(relevant, scores, k=k))


def test_average_precision_of_full_rankings_agrees_with_scikit_learn(full_rankings):
    recommended, relevant, scores = full_rankings
    expected = [average_precision_score(*user) for user in zip(relevant, scores, strict=True)]
    assert_allclose(average_precision(recommended, relevant, per_user=True), expected)
    assert_allclose(
        average_precision(recommended, relevant),
        label_ranking_average_precision_score(relevant, scores),
    )


def test_reciprocal_rank_is_label_ranking_precision_of_one_label(full_rankings):
    recommended, relevant, scores = full_rankings
    one = np.zeros_like(relevant)
    one[np.arange(50), np.arange(50) % 40] = 1
    assert_allclose(
        reciprocal_rank(recommended, one), label_ranking_average_precision_score(one, scores)
    )


# Six users, five items, lists of k = 7 items. The columns of the last block: NDCG, recall,
# precision, average precision, reciprocal rank, hit rate, all @7.
SCORES = [
    [0.5, 0.9, 0.5, 0.1, 0.9],  # ties
    [0.0, 0.0, 0.0, 0.0, 0.0],  # nothing but ties
    [0.3, 0.2, 0.1, 0.0, 0.4],
    [0.5, 0.4, 0.3, 0.2, 0.1],  # one item left
    [0.1, 0.2, 0.3, 0.4, 0.5],  # no item left
    [0.9, 0.8, 0.7, 0.6, 0.5],
]
SEEN = [[], [1], [0], [0, 1, 2, 4], [0, 1, 2, 3, 4], []]
HELD_OUT = [[2, 4], [0], [], [3], [0], [0, 1, 2, 3, 4]]
LISTS = [
    [1, 4, 0, 2, 3, -1, -1],
    [0, 2, 3, 4, -1, -1, -1],
    [4, 1, 2, 3, -1, -1, -1],
    [3, -1, -1, -1, -1, -1, -1],
    [-1, -1, -1, -1, -1, -1, -1],
    [0, 1, 2, 3, 4, -1, -1],
]
NAN = np.nan
EXPECTED = [
    # hits at ranks 2 and 4: (0.63093 + 0.43068) / (1 + 0.63093); (1/2 + 2/4) / 2
    [0.650921, 1.0, 2 / 7, 0.5, 0.5, 1.0],
    [1.0, 1.0, 1 / 7, 1.0, 1.0, 1.0],
    [NAN, NAN, NAN, NAN, NAN, NAN],
    [1.0, 1.0, 1 / 7, 1.0, 1.0, 1.0],
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [1.0, 1.0, 5 / 7, 1.0, 1.0, 1.0],
]
MEANS = [0.730184, 0.8, 9 / 35, 0.7, 0.7, 0.8]


def rows_to_csr(rows, n_items):
    indptr = np.cumsum([0, *map(len, rows)])
    indices = np.array([item for row in rows for item in row])
    return sparse.csr_array((np.ones(len(indices)), indices, indptr), shape=(len(rows), n_items))


def test_table_computed_by_hand():
    scores = np.array(SCORES, dtype=float)
    seen, held_out = rows_to_csr(SEEN, 5), rows_to_csr(HELD_OUT, 5)
    scores[seen.toarray() > 0] = -np.inf
    lists, _ = top_k(scores, 7)
    assert_array_equal(lists, LISTS)
    for metric, column, mean in zip(METRICS, zip(*EXPECTED, strict=True), MEANS, strict=True):
        assert_allclose(metric(lists, held_out, per_user=True), column, atol=1e-6)
        assert_allclose(metric(lists, held_out), mean, atol=1e-6)
    # At k = 1: hits of users 1, 3 and 5.
    assert_allclose(recall(lists, held_out, 1), 3 / 5)
    assert_allclose(recall(lists, held_out, 1, truncated=False), (1 + 1 + 1 / 5) / 5)


def test_rated_only_table_computed_by_hand():
    held_out = np.array([[5, 1, 4, 2], [3, 2, 0, 0], [5, 0, 0, 0], [4, 5, 0, 0]])
    ranked = [[0, 1, 2, 3], [1, 0, -1, -1], [0, -1, -1, -1], [0, 1, -1, -1]]
    options = {"relevance": 4, "rated_only": True}
    # User 0: hits at ranks 1 and 3 of four held-out items. User 1 counts though it has no hit,
    # user 2 does not count: it has a single held-out item.
    got = ndcg(ranked, held_out, 4, per_user=True, **options)
    assert_allclose(got, [1.5 / 2.561606, 0, NAN, 1], atol=1e-6)
    assert_allclose(recall(ranked, held_out, 3, per_user=True, **options), [2 / 3, 0, NAN, 1])
    got = recall(ranked, held_out, 3, truncated=False, per_user=True, **options)
    assert_allclose(got, [2 / 4, 0, NAN, 1])


def test_perfect_lists_score_exactly_one():
    recommended = np.tile(np.arange(30), (4, 1))
    held_out = np.tile(np.arange(30) < 17, (4, 1))
    for metric in (ndcg, recall, average_precision, reciprocal_rank, hit_rate):
        assert metric(recommended, held_out) == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_gini_agrees_with_all_pairs(seed):
    rng = np.random.default_rng(seed)
    n_items = 12
    recommended = np.array([rng.choice(n_items - 2, 5, replace=False) for _ in range(9)])
    recommended[0, 3:] = -1
    listed = recommended[:, :4]
    counts = np.bincount(listed[listed >= 0], minlength=n_items)
    pairs = np.abs(counts[:, None] - counts[None, :]).sum()
    expected = pairs / (2 * n_items**2 * counts.mean())
    assert_allclose(gini(recommended, n_items, 4), expected)
    assert coverage(recommended, n_items, 4) == np.count_nonzero(counts) / n_items


def test_novelty_by_hand():
    popularity = [1.0, 0.5, 0.25, 0.0]
    recommended = [[0, 1, 2], [2, -1, -1], [-1, -1, -1]]
    assert_allclose(novelty(recommended, popularity, per_user=True), [1.0, 2.0, np.nan])
    assert novelty(recommended, popularity) == 1.5
    assert novelty(recommended, popularity, k=1) == 1.0
    with pytest.raises(ValueError, match="item 3 has 0 and so infinite novelty: smooth it"):
        novelty([[3]], popularity)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.coo_array])
def test_containers_of_held_out_agree(container):
    recommended, held_out, k = random_case(1)
    held_out.eliminate_zeros()
    expected = ndcg(recommended, held_out, k)
    assert (
        ndcg(recommended.astype(np.int32).tolist(), container(held_out.todense()), k) == expected
    )


def test_unsorted_held_out_is_neither_misread_nor_changed():
    held_out = sparse.csr_array(([5.0, 1.0], [2, 0], [0, 2]), shape=(1, 3))
    assert ndcg([[2, 1, 0]], held_out, 1, relevance=4) == 1.0
    assert_array_equal(held_out.indices, [2, 0])


@pytest.mark.parametrize(
    "recommended, options, error, message",
    [
        ([0, 1], {}, ValueError, r"recommended must be a 2-D array .* got shape \(2,\)"),
        ([[0.0], [1.0]], {}, ValueError, "2-D array of item indices.* dtype float64"),
        ([[0, 4], [1, 2]], {}, ValueError, r"in \[0, 3\], or -1 for padding, got 4"),
        ([[0, -2], [1, 2]], {}, ValueError, "got -2"),
        ([[0], [1], [2]], {}, ValueError, "one row per user each, got 3 and 2 rows"),
        ([[0], [1]], {"k": 0}, ValueError, "k must be an integer >= 1, got 0"),
        ([[0], [1]], {"k": 1.5}, TypeError, "k must be an integer >= 1, got 1.5"),
        ([[0], [1]], {"k": 3}, ValueError, "k=3 needs lists of 3 items.* has 1 columns"),
        ([[1, 1], [1, 2]], {}, ValueError, "row 0 repeats item 1"),
        ([[1], [1]], {"relevance": 9}, ValueError, "None of the 2 users counts"),
        ([[1], [1]], {"rated_only": True}, ValueError, "rated_only=True with relevance=None"),
        (
            [[1, 2], [1, 0]],
            {"rated_only": True, "relevance": 4},
            ValueError,
            "row 1 of recommended has item 0, which is not held out",
        ),
    ],
)
def test_wrong_input(recommended, options, error, message):
    held_out = np.array([[0, 5, 3, 0], [0, 2, 0, 1]])
    with pytest.raises(error, match=message):
        ndcg(recommended, held_out, **options)


def test_wrong_catalogue_input():
    with pytest.raises(ValueError, match="lists no item at all"):
        gini([[-1, -1]], 3)
    with pytest.raises(ValueError, match="lists no item at all"):
        coverage([[-1, -1]], 3)
    with pytest.raises(ValueError, match="n_items must be an integer >= 1, got 0"):
        coverage([[0]], 0)
    with pytest.raises(ValueError, match="from 1 to 3: divide counts by the number of users"):
        novelty([[0]], [3, 1])


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, sparse.coo_matrix, pd.DataFrame])
def test_metrics_of_lists_take_the_matrix_of_the_training(form):
    rng = np.random.default_rng(0)
    X = (rng.random((30, 12)) < 0.3) * rng.integers(1, 6, (30, 12))
    counts = (X > 0).sum(axis=0)
    lists = np.argsort(rng.random((9, 12)), axis=1)[:, :5]
    lists[0, 3:] = -1
    assert novelty(lists, form(X)) == novelty(lists, (counts + 1) / 31)
    assert_allclose(average_popularity(lists, form(X)), average_popularity(lists, counts / 30))
    by_hand = [counts[[item for item in row if item >= 0]].mean() / 30 for row in lists]
    assert_allclose(average_popularity(lists, form(X), per_user=True), by_hand)
    assert_allclose(average_popularity(lists, counts / 30, k=1), counts[lists[:, 0]].mean() / 30)
    for metric in (coverage, gini):
        assert metric(lists, form(X)) == metric(lists, 12)


@pytest.mark.parametrize("block", [1, 4, 512])
def test_diversity_is_the_mean_unlikeness_of_pairs(block, monkeypatch):
    monkeypatch.setattr(_lists, "_N_ROWS", block)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(12, 4)) * (rng.random((12, 4)) < 0.6)
    features[3] = 0
    lists = np.argsort(rng.random((9, 12)), axis=1)[:, :6]
    lists[0, 3:], lists[1, 1:], lists[2] = -1, -1, -1
    alike = cosine_similarity(features)
    expected = np.full(9, np.nan)
    for user, items in enumerate(lists):
        pairs = list(combinations(items[items >= 0], 2))
        if pairs:
            expected[user] = np.mean([1 - alike[pair] for pair in pairs])
    for form in (np.asarray, sparse.csr_array, sparse.coo_matrix, pd.DataFrame):
        found = diversity(lists, features=form(features), per_user=True)
        assert_allclose(found, expected)
        assert_allclose(diversity(lists, form(features.T), per_user=True), expected)
    assert_allclose(diversity(lists, features=features), np.nanmean(expected))
    short = diversity(lists[:, :2], features=features, per_user=True)
    assert_allclose(diversity(lists, k=2, features=features, per_user=True), short)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: diversity([[0, 1]]), "either X, .* or features=, .* got neither"),
        (lambda: diversity([[0, 1]], [[1, 2]], features=[[1], [2]]), "got both"),
        (lambda: diversity([[0, 1]], features=["comedy", "drama"]), r"row of numbers .*\(2,\)"),
        (lambda: diversity([[0, 1]], features=[["a"], ["b"]]), "OneHotEncoder"),
        (lambda: diversity([[0, 1]], [[1, 2]], k=1), "k must be >= 2, got 1"),
        (lambda: diversity([[0, 2]], [[1, 2]]), r"item indices in \[0, 1\].* got 2"),
        (lambda: novelty([[0.3, 0.9]], [[1, 2]]), "Of scores, .* model.recommend"),
        (lambda: novelty([["a", "b"]], [[1, 2]]), r"Ids .* Interactions.columns\(ids\)"),
        (lambda: novelty([0, 1], [[1, 2]]), r"of one user has two dimensions too: \[\[3"),
        (lambda: novelty([[0, 1]], ["Alien", "Brazil"]), "users x items matrix .* dtype <U6"),
        (lambda: novelty([[0, 1]], [0.5, np.nan]), "values from nan"),
        (lambda: average_popularity([[0, 1]], [5, 3]), "divide counts by the number of users"),
    ],
)
def test_metrics_of_lists_say_what_they_take(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_k_above_the_catalogue_needs_no_padding():
    assert_allclose(precision([[0, 1]], [[1, 1]], k=10), 0.2)
    assert ndcg([[0, 1]], [[1, 1]], k=10) == 1.0
