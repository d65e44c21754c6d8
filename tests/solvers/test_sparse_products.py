"""Products of sparse matrices, cut to their largest entries, beside the same made dense."""

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context

from skrec.base import BaseRecommender, ItemWeightsMixin
from skrec.solvers._sparse_products import (
    Denominator,
    dense_product,
    largest_entries,
    largest_off_diagonal,
    recommend_products,
)
from skrec.utils._blocks import recommend_rows

N_USERS, N_ITEMS = 300, 40


def random_rows(seed, shape=(N_USERS, N_ITEMS), density=0.1, signed=False):
    rng = np.random.default_rng(seed)
    low = -3 if signed else 1
    dense = (rng.random(shape) < density) * rng.integers(low, 4, shape).astype(float)
    return sparse.csr_array(dense)


def both_ways(X, right, k, **options):
    """By sparse products, and by dense scores of the same rows."""
    found = recommend_products(lambda rows: rows, right, X, k, return_scores=True, **options)
    options.pop("check", None)
    dense = recommend_rows(
        lambda rows: (rows @ right).toarray(), X, k, return_scores=True, **options
    )
    return found, dense


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("k", [1, 7, 40, 45])
def test_lists_are_those_of_dense_scores(k, signed):
    # Whole numbers, so that there are many ties; most items of a row have no product.
    X, right = random_rows(0, density=0.05), random_rows(1, (N_ITEMS, N_ITEMS), 0.1, signed)
    for exclude_seen in (True, False):
        found, dense = both_ways(X, right, k, exclude_seen=exclude_seen, n_threads=2)
        np.testing.assert_array_equal(found[0], dense[0])
        np.testing.assert_array_equal(found[1], dense[1])


def test_rules_for_everybody_and_for_each_user():
    X, right = random_rows(2), random_rows(3, (N_ITEMS, N_ITEMS), 0.2, signed=True)
    for_each = random_rows(4, density=0.3)
    wide = sparse.csr_array(for_each, copy=True)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    some = np.array([0, 3, 4, 17, 39])
    for rules in (
        {"items": some},
        {"exclude": some},
        {"items": for_each},
        {"exclude": wide},
        {"items": for_each, "exclude": some},
        {"items": some, "exclude": for_each},
        {"items": random_rows(5, density=0.2), "exclude": for_each},
    ):
        found, dense = both_ways(X, right, 6, **rules)
        np.testing.assert_array_equal(found[0], dense[0])
        np.testing.assert_array_equal(found[1], dense[1])


def test_the_scores_are_those_of_the_dense_product():
    X = random_rows(6).astype(np.float32)
    right = random_rows(7, (N_ITEMS, N_ITEMS), 0.3, signed=True).astype(np.float32)
    right.data /= 10
    product = dense_product(X, right)
    assert product.dtype == np.float32
    np.testing.assert_allclose(product, (X @ right).toarray(), rtol=1e-6, atol=1e-7)
    indices, scores = recommend_products(lambda rows: rows, right, X, 5, return_scores=True)
    np.testing.assert_array_equal(scores, np.take_along_axis(product, indices, axis=1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_largest_off_diagonal(dtype):
    left = random_rows(8, (N_ITEMS, 30), 0.3, signed=True).astype(dtype)
    right = random_rows(9, (30, N_ITEMS), 0.3).astype(dtype)
    rng = np.random.default_rng(10)
    parts = [rng.integers(0, 3, N_ITEMS).astype(float) for _ in range(4)]
    product = (left @ right).toarray()
    divisor = np.outer(parts[0], parts[1]) + parts[2][:, None] + parts[3] - 0.25 * product
    quotient = np.where(divisor > 0, product / np.where(divisor > 0, divisor, 1), 0)
    for expected, denominator in ((product, None), (quotient, Denominator(*parts, 0.25))):
        expected = np.maximum(expected.astype(dtype), 0)
        np.fill_diagonal(expected, 0)
        order = np.argsort(-expected, axis=1, kind="stable")[:, :4]
        kept = np.zeros_like(expected)
        np.put_along_axis(kept, order, np.take_along_axis(expected, order, axis=1), axis=1)
        for n_threads in (1, 2):
            found = largest_off_diagonal(left, right, 4, n_threads, denominator=denominator)
            assert found.dtype == dtype and found.has_sorted_indices
            np.testing.assert_array_equal(found.toarray(), kept)


@pytest.mark.parametrize("working_memory", [0.001, 1024])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_largest_entries_of_a_product_of_any_shape(dtype, working_memory):
    left, right = random_rows(14, (70, 30)).astype(dtype), random_rows(15, (30, 50)).astype(dtype)
    parts = [np.random.default_rng(16).random(n) for n in (70, 50, 70, 50)]
    expected = (left @ right).toarray()
    expected = (expected / (np.outer(*parts[:2]) + parts[2][:, None] + parts[3])).astype(dtype)
    order = np.argsort(-expected, axis=1, kind="stable")
    for k in (1, 6, 50, 60):
        kept = np.zeros_like(expected)
        best = np.take_along_axis(expected, order[:, :k], axis=1)
        np.put_along_axis(kept, order[:, :k], best, axis=1)
        with config_context(working_memory=working_memory):
            found = largest_entries(left, right, k, 2, denominator=Denominator(*parts, 0.0))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.toarray(), kept)


class Weighted(ItemWeightsMixin, BaseRecommender):
    def _fit(self, X):
        self.coef_ = random_rows(11, (X.shape[1], X.shape[1]), 0.2, signed=True)


def test_a_model_with_sparse_weights_makes_no_dense_scores(monkeypatch):
    model = Weighted().fit(random_rows(12))
    X = random_rows(13)
    scores = model.predict(X)
    monkeypatch.setattr(model, "_score_rows", None)
    indices, values = model.recommend(X, k=3, return_scores=True)
    np.testing.assert_array_equal(values, np.take_along_axis(scores, indices, axis=1))


def test_scores_that_overflow_are_refused():
    model = Weighted().fit(random_rows(12))
    X = sparse.csr_array(np.full((2, N_ITEMS), 1e308))
    X.data[: N_ITEMS // 2] = 1
    for exclude_seen in (True, False):
        answer = model.recommend(X[:1] * 1e-300, k=3, exclude_seen=exclude_seen)
        assert answer.shape == (1, 3)
    with pytest.raises(ValueError, match="Scores of Weighted must be finite"):
        model.recommend(X, k=3, exclude_seen=False)


class GivenWeights(ItemWeightsMixin, BaseRecommender):
    def __init__(self, weights):
        self.weights = weights

    def _fit(self, X):
        self.coef_ = self.weights


@pytest.mark.parametrize("k", [3, 45])
def test_similar_items_by_sparse_weights_are_those_by_dense_ones(k):
    weights = random_rows(8, (N_ITEMS, N_ITEMS), 0.2, signed=True)
    items = [7, 3, 3, 39]
    dense = GivenWeights(weights.toarray()).fit(random_rows(9))
    sparse_ = GivenWeights(weights).fit(random_rows(9))
    found = sparse_.similar_items(items, k, return_scores=True)
    expected = dense.similar_items(items, k, return_scores=True)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
