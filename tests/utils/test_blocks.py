"""Exact top-k against sorting, and row blocks."""

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context

from skrec.utils import _blocks
from skrec.utils._blocks import (
    distinct_rows,
    effective_n_threads,
    map_blocks,
    row_blocks,
    score_blocks,
    top_k,
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_values", [1, 2, 5, 1000])
@pytest.mark.parametrize("k", [1, 3, 19, 20, 25])
def test_top_k_is_a_stable_sort(dtype, n_values, k):
    rng = np.random.default_rng(n_values)
    scores = rng.integers(0, n_values, (50, 20)).astype(dtype)
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    scores[7] = -np.inf
    before = scores.copy()
    indices, values = top_k(scores, k)
    np.testing.assert_array_equal(scores, before)
    assert values.dtype == dtype
    for row, found, found_values in zip(scores, indices, values, strict=True):
        expected = sorted(range(20), key=lambda i: (-row[i], i))[:k]
        expected = [i for i in expected if row[i] > -np.inf]
        padding = k - len(expected)
        np.testing.assert_array_equal(found, expected + [-1] * padding)
        np.testing.assert_array_equal(found_values, [*row[expected], *[-np.inf] * padding])


@pytest.mark.parametrize("n_ranked", [1, 30, 70, 999])
def test_rows_that_are_ranked_in_parts_are_ranked_as_one(n_ranked, monkeypatch):
    scores = np.random.default_rng(0).integers(0, 9, (50, 20)).astype(float)
    expected = top_k(scores, 6)
    monkeypatch.setattr(_blocks, "_RANKED", n_ranked)
    for ours, theirs in zip(top_k(scores, 6), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match="NaN, which has no rank"):
        top_k(np.where(scores == 8, np.nan, scores), 6)


def test_blocks_of_scores_shrink_as_the_catalogue_grows():
    sizes = [max(b.stop - b.start for b in score_blocks(5000, n)) for n in (500, 150_000, 10**8)]
    assert sizes[0] == 256
    assert sizes[1] * 150_000 <= 2**23 < (sizes[1] + 1) * 150_000
    assert sizes[2] == 1
    with config_context(working_memory=1):
        assert max(b.stop - b.start for b in score_blocks(5000, 500, 4)) * 500 * 24 * 4 <= 2**20


def test_row_blocks_cover_the_rows_within_working_memory():
    with config_context(working_memory=1):
        blocks = row_blocks(1000, row_bytes=2**20 // 10, n_threads=2)
    assert blocks[0] == slice(0, 5)
    np.testing.assert_array_equal(
        np.concatenate([np.arange(1000)[b] for b in blocks]), range(1000)
    )
    with config_context(working_memory=1):
        assert row_blocks(3, row_bytes=2**30) == [slice(0, 1), slice(1, 2), slice(2, 3)]
    assert len(row_blocks(1000, row_bytes=8)) == 4
    assert row_blocks(1000, row_bytes=8, max_rows=1000) == [slice(0, 1000)]


@pytest.mark.parametrize("n_threads", [1, 4])
def test_map_blocks_keeps_order_and_raises_the_first_error(n_threads):
    assert map_blocks(lambda i: i * i, range(9), n_threads) == [i * i for i in range(9)]
    done = []

    def fail(i):
        if i == 2:
            raise KeyError(i)
        done.append(i)

    with pytest.raises(KeyError, match="2"):
        map_blocks(fail, range(1000), n_threads)
    assert len(done) < 1000


@pytest.mark.parametrize("k", [1, 3, 4, 6])
def test_nan_has_no_rank(k):
    with pytest.raises(ValueError, match="NaN, which has no rank"):
        top_k(np.array([[1.0, 2, 3, 4], [1, np.nan, 0, 2]]), k)


def test_number_of_threads(monkeypatch):
    assert effective_n_threads(3) == 3
    assert effective_n_threads() >= 1
    assert effective_n_threads(-1) >= 1
    with pytest.raises(ValueError, match="n_jobs"):
        effective_n_threads(0)


def test_distinct_rows_are_kept_once():
    rng = np.random.default_rng(0)
    X = sparse.random_array((40, 9), density=0.3, format="csr", rng=rng)
    users = np.r_[rng.integers(0, 40, 200), 3, 3]
    kept, reviews, positions = distinct_rows(X[users])
    assert reviews is None
    assert kept.shape[0] == len(np.unique(X.toarray()[users], axis=0))
    np.testing.assert_array_equal(kept[positions].toarray(), X[users].toarray())


def test_rows_that_differ_are_all_kept():
    X = sparse.csr_array(np.r_[np.eye(5), 2 * np.eye(5), np.zeros((1, 5))])
    assert distinct_rows(X)[2] is None
    same = X[[0, 0, 1]]
    reviews = sparse.csr_array(np.array([[1.0, 0], [0, 1], [1, 0]]))
    assert distinct_rows(same, reviews)[2] is None
    np.testing.assert_array_equal(distinct_rows(same, reviews[[0, 0, 0]])[2], [0, 0, 1])
    assert distinct_rows(same, ["a", "b", "c"])[2] is None
