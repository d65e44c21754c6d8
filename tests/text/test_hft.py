"""HFT: its objective by loops, its gradient, its limits, and items that nobody has rated."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import check_grad
from scipy.special import softmax
from sklearn.feature_extraction.text import CountVectorizer

from skrec import HFT, BiasBaseline, Reviews
from skrec.solvers._offsets import less_offsets
from skrec.text._drawn_factors import DrawnFactors
from skrec.text._hft import ItemObjective

WORDS = CountVectorizer(token_pattern=r"\w+")


def ratings(seed=0, n_users=60):
    """Two groups of users and of items; nobody has rated the last two items, one of each."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n_users)[:, None] % 2 == np.arange(12) % 2
    X = np.where(groups, 5.0, 1.0) * (rng.random((n_users, 12)) < 0.6)
    X[:, 10:] = 0
    return sparse.csr_array(X)


def texts():
    return np.array([["green tea leaves", "dark roast coffee"][item % 2] for item in range(12)])


def small(**changes):
    options = {"vectorizer": WORDS, "item_features": texts(), "l2": 0.5, "l2_offset": 4}
    return HFT(3, **{**options, "random_state": 0, **changes})


def problem(weight=1.7):
    rng = np.random.default_rng(1)
    rows = ratings()
    rows.data = rng.normal(size=rows.nnz)
    words = sparse.csr_array(rng.poisson(0.7, (12, 6)).astype(float))
    objective = ItemObjective(rows, 0.3, words, weight)
    state = objective.start(rng.normal(size=(12, 3)), rng)
    state += 0.3 * rng.normal(size=len(state))
    return objective, state, rng.normal(size=(60, 3))


def test_the_objective_is_the_formula():
    objective, state, users = problem()
    items, scale, logits = objective.parts(state)
    rows, words = objective.rows.toarray(), objective.words.toarray()
    expected = 0.3 * np.square(items).sum()
    for user, item in zip(*rows.nonzero(), strict=True):
        expected += (rows[user, item] - users[user] @ items[item]) ** 2
    share = 1.7 * objective.rows.nnz / words.sum()
    for item, word in zip(*words.nonzero(), strict=True):
        topics = np.exp(scale * items[item]) / np.exp(scale * items[item]).sum()
        of_word = [np.exp(logit[word]) / np.exp(logit).sum() for logit in logits]
        expected -= share * words[item, word] * np.log(topics @ of_word)
    assert_allclose(objective.value(state, users)[0], expected)


def test_the_gradient_is_that_of_finite_differences():
    objective, state, users = problem()
    error = check_grad(
        lambda state: objective.value(state, users)[0],
        lambda state: objective.value(state, users)[1],
        state,
    )
    assert error < 1e-4 * np.linalg.norm(objective.value(state, users)[1])


def test_rounds_never_raise_the_objective():
    losses = small(max_iter=8).fit(ratings()).loss_curve_
    assert len(losses) > 2
    assert np.diff(losses).max() < 1e-8 * abs(losses[0])


def test_without_texts_it_is_matrix_factorisation():
    X = ratings()
    model = small(text_weight=0, max_iter=200, n_steps=200).fit(X)
    start = np.random.RandomState(0).standard_normal((12, 3))
    residual = X.copy()
    residual.data = X.data / model.rating_unit_
    rows, _ = less_offsets(residual, model._offsets)
    factors = DrawnFactors(np.zeros((12, 3)), 0.0, 0.5, 0.5)
    items, losses = factors.fit(rows, 0.1 * start, 2000, 0.0)
    assert_allclose(model.loss_curve_[-1], losses[-1], rtol=1e-3)
    expected = factors.users(rows, items) @ items.T
    assert_allclose(model.transform(X) @ model.item_embeddings_.T, expected, atol=0.1)
    with pytest.raises(ValueError, match="knows no words"):
        model.topics()


def test_of_full_rows_it_is_a_singular_value_decomposition_with_smaller_values():
    X = np.random.default_rng(0).integers(1, 6, (12, 7)).astype(float)
    options = {"text_weight": 0, "l2": 0.3, "l2_offset": 2, "max_iter": 100, "n_steps": 100}
    model = HFT(7, **options, clip=False, random_state=0).fit(X)
    offsets = BiasBaseline(l2_user=2, l2_item=2, clip=False).fit(X).predict(X)
    left, values, right = np.linalg.svd((X - offsets) / model.rating_unit_, full_matrices=False)
    expected = offsets + model.rating_unit_ * (left * np.maximum(values - 0.3, 0)) @ right
    assert_allclose(model.predict(X), expected, atol=0.02)
    assert_allclose(
        model.loss_curve_[-1],
        (np.minimum(values, 0.3) ** 2).sum() + 2 * 0.3 * np.maximum(values - 0.3, 0).sum(),
        rtol=1e-3,
    )


def test_factors_that_are_penalised_away_leave_the_offsets():
    rng = np.random.default_rng(1)
    X = sparse.csr_array((rng.random((60, 12)) < 0.6) * rng.integers(1, 6, (60, 12)) * 1.0)
    model = small(text_weight=0, l2=1e9, l2_offset=3).fit(X)
    assert_allclose(model.predict(X), BiasBaseline(l2_user=3, l2_item=3).fit(X).predict(X))


def test_topics_are_even_where_their_scale_is_zero():
    objective, state, users = problem()
    items, _, _ = objective.parts(state)
    state[items.size] = 0
    _, gradient = objective.value(state, users)
    without = ItemObjective(objective.rows, 0.3, None, 0)
    without.start(items, np.random.RandomState(0))
    _, plain = without.value(np.r_[items.ravel(), 0.0], users)
    assert_allclose(gradient[: items.size], plain[: items.size])


def test_items_that_nobody_has_rated_are_rated_by_their_texts():
    X = ratings()
    likes_tea = np.arange(60) % 2 == 0
    scores = small().fit(X).predict(X)
    assert (((scores[:, 10] > scores[:, 11]) == likes_tea).mean()) > 0.9
    swapped = np.r_[texts()[:10], texts()[11:9:-1]]
    other = small(item_features=swapped).fit(X).predict(X)
    assert (((other[:, 10] > other[:, 11]) == likes_tea).mean()) < 0.1


def test_documents_are_training_reviews_that_are_not_read_again():
    X = ratings()
    written = Reviews.from_documents(X, texts()[X.nonzero()[1]])
    model = small(item_features=None).fit(X, reviews=written)
    assert {"tea", "coffee"} <= set(model.topics(3).ravel())
    assert_allclose(model.topic_word_.sum(axis=1), 1)
    assert_allclose(model.item_topics_, softmax(model.peakiness_ * model.item_embeddings_, axis=1))
    other = Reviews.from_documents(X, ["roast"] * X.nnz)
    assert_array_equal(model.predict(X, reviews=written), model.predict(X, reviews=other))


def test_counts_that_add_up_to_more_than_float32_holds():
    counts = np.full((12, 3), 3e38)
    as_many = HFT(2, item_features=counts, l2=0.5, l2_offset=4, random_state=0).fit(ratings())
    assert np.isfinite(as_many.predict(ratings())).all()
    assert_allclose(as_many.topic_word_, 1 / 3, atol=0.2)
