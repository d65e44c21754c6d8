"""CTR: its objective by loops, its limits, and items that nobody has chosen."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.decomposition import NMF
from sklearn.feature_extraction.text import CountVectorizer

from skrec import CTR, BiasBaseline, Reviews
from skrec.solvers._drawn_rows import solve_drawn
from skrec.solvers._row_groups import group_rows
from skrec.text import _drawn_factors
from skrec.text._drawn_factors import CPU, PENALTIES, DrawnFactors

WORDS = CountVectorizer(token_pattern=r"\w+")


def choices(seed=0, n_users=40):
    """Two groups of users and of items; nobody has chosen the last two items, one of each."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n_users)[:, None] % 2 == np.arange(12) % 2
    X = (rng.random((n_users, 12)) < np.where(groups, 0.7, 0.05)) * 1.0
    X[:, 10:] = 0
    return sparse.csr_array(X)


def texts():
    return np.array([["green tea leaves", "dark roast coffee"][item % 2] for item in range(12)])


def small(**changes):
    options = {"vectorizer": WORDS, "item_features": texts(), "random_state": 0}
    options |= {"topic_model": NMF(2, random_state=0), **changes}
    return CTR(2, **options)


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_rows_are_the_solutions_of_their_normal_equations(weight):
    rng = np.random.default_rng(0)
    X = choices()
    X.data = rng.normal(size=X.nnz)
    features, priors = rng.normal(size=(12, 3)), rng.normal(size=(40, 3))
    found, loss = solve_drawn(
        group_rows(X, CPU), features, weight * features.T @ features, 0.7, priors
    )
    expected_loss = 0.0
    for row, prior, weights in zip(X.toarray(), priors, found, strict=True):
        if not row.any():
            assert_array_equal(weights, prior)
            continue
        own = features[row != 0]
        hessian = own.T @ own + weight * features.T @ features + 0.7 * np.eye(3)
        assert_allclose(weights, np.linalg.solve(hessian, own.T @ row[row != 0] + 0.7 * prior))
        expected_loss += np.square(row[row != 0] - own @ weights).sum()
        expected_loss += weight * np.square(features @ weights).sum()
        expected_loss += 0.7 * np.square(weights - prior).sum()
    assert_allclose(loss, expected_loss)


def test_the_objective_is_the_formula_and_never_rises():
    X = choices()
    model = small(tol=0, max_iter=200, l2=0.4, l2_item=3.0, unobserved_weight=0.2).fit(X)
    items, topics = model.item_embeddings_, model.item_topics_
    assert np.diff(model.loss_curve_).max() < 1e-9
    users = model.transform(X)
    scores = users @ items.T
    is_known = X.sum(axis=0) > 0
    expected = (
        np.square(1 - scores[X.nonzero()]).sum() + 0.2 * np.square(scores[:, is_known]).sum()
    )
    expected += 0.4 * np.square(users).sum() + 3 * np.square(items - topics)[is_known].sum()
    assert_allclose(model.loss_curve_[-1], expected, rtol=1e-6)


def test_without_texts_it_is_alternating_least_squares():
    X = choices()
    model = CTR(2, random_state=3, max_iter=30, tol=0, l2=0.5, l2_item=0.5).fit(X)
    assert model.topic_model_ is None
    assert_array_equal(model.item_topics_, 0)
    items = 0.1 / np.sqrt(2) * np.random.RandomState(3).standard_normal((12, 2))
    items[10:] = 0
    for _ in range(30):
        for side in (X.toarray(), X.toarray().T):
            hessian = 0.1 * items.T @ items + 0.5 * np.eye(2)
            items = np.array(
                [
                    np.linalg.solve(hessian + items[row > 0].T @ items[row > 0], items.T @ row)
                    for row in side
                ]
            )
    assert_allclose(model.item_embeddings_, items, atol=1e-8)


def test_the_limit_of_a_large_penalty_is_a_regression_on_topics():
    X = choices()
    model = small(l2=0.5, l2_item=1e9).fit(X)
    topics = model.item_topics_
    assert_allclose(model.item_embeddings_, topics, atol=1e-6)
    row = X.toarray()[0]
    known = topics[:10]
    hessian = 0.1 * known.T @ known + topics[row > 0].T @ topics[row > 0] + 0.5 * np.eye(2)
    expected = topics @ np.linalg.solve(hessian, topics.T @ row)
    assert_allclose(model.predict(X[:1])[0], expected, atol=1e-6)


@pytest.mark.parametrize("feedback", ["choices", "ratings"])
def test_items_that_nobody_has_chosen_are_scored_by_their_texts(feedback):
    X = choices()
    if feedback == "ratings":
        X = sparse.csr_array(np.where(X.toarray() > 0, 5.0, 1.0) * (np.arange(12) < 10))
    model = small(feedback=feedback).fit(X)
    scores = model.predict(X)
    likes_tea = np.arange(40) % 2 == 0
    assert_allclose(model.item_embeddings_[10:], model.item_topics_[10:])
    likes_more = (scores[:, 10] > scores[:, 11]) == likes_tea
    assert likes_more.mean() > 0.9
    other = small(feedback=feedback, item_features=texts()[::-1]).fit(X)
    assert not np.allclose(other.predict(X)[:, 10:], scores[:, 10:])


def test_documents_are_the_training_reviews_where_none_are_given():
    X = choices()
    words = [f"{texts()[item]} {user}" for user, item in zip(*X.nonzero(), strict=True)]
    reviews = Reviews.from_documents(X, words)
    model = CTR(2, vectorizer=WORDS, random_state=0).fit(X, reviews=reviews)
    counts = WORDS.fit_transform(words).toarray()
    items = X.nonzero()[1]
    by_item = np.array([counts[items == item].sum(axis=0) for item in range(12)])
    given = CTR(2, item_features=by_item, random_state=0).fit(X)
    assert_allclose(model.item_embeddings_, given.item_embeddings_)
    assert_allclose(model.item_topics_[10:], 0)
    # What users write is not read where they are scored.
    other = Reviews.from_documents(X, ["roast"] * X.nnz)
    assert_array_equal(model.predict(X, reviews=reviews), model.predict(X, reviews=other))


def test_topics_have_words_and_come_from_any_topic_model():
    model = small(topic_model=NMF(3, random_state=0)).fit(choices())
    assert model.item_embeddings_.shape == (12, 3)
    assert_allclose(model.topic_word_.sum(axis=1), 1)
    assert {"tea", "coffee"} <= set(model.topics(3).ravel())
    assert_allclose(np.square(model.item_topics_).mean(), 1)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(choices()), model.predict(choices()))


def test_penalties_of_ratings_are_chosen_by_ratings_held_out(monkeypatch):
    rng = np.random.default_rng(0)
    X = sparse.csr_array((rng.random((400, 12)) < 0.6) * rng.integers(1, 6, (400, 12)) * 1.0)
    noise = CTR(2, feedback="ratings", random_state=0).fit(X)
    assert noise._factors.l2 >= 25
    X.data = np.where(sum(X.nonzero()) % 2, 1.0, 5.0)
    assert CTR(2, feedback="ratings", random_state=0).fit(X)._factors.l2 == PENALTIES[0]
    assert CTR(2, feedback="ratings", l2=7, random_state=0).fit(X)._factors.l2 == 7
    monkeypatch.setattr(_drawn_factors, "MIN_RATINGS", 10**6)
    assert CTR(2, feedback="ratings", random_state=0).fit(X)._factors.l2 == 12


def test_ratings_without_anything_to_learn_are_those_of_the_offsets():
    rng = np.random.default_rng(1)
    X = sparse.csr_array((rng.random((60, 12)) < 0.6) * rng.integers(1, 6, (60, 12)) * 1.0)
    model = CTR(2, feedback="ratings", l2=1e9, l2_offset=3, random_state=0).fit(X)
    expected = BiasBaseline(l2_user=3, l2_item=3).fit(X).predict(X)
    assert_allclose(model.predict(X), expected, atol=1e-5)


def test_a_model_is_refitted_from_ratings_to_choices():
    X = choices()
    model = small(feedback="ratings").fit(5 * X)
    assert model.rating_range_ == (5, 5)
    model.set_params(feedback="choices").fit(X)
    assert not hasattr(model, "rating_range_")
    assert_array_equal(model.predict(X), small().fit(X).predict(X))


def test_factors_without_entries_keep_to_their_priors():
    priors = np.random.default_rng(0).normal(size=(12, 2))
    items, losses = DrawnFactors(priors, 0.1, 1.0, 2.0).fit(choices(), priors, 3, 0.0)
    assert_array_equal(items[10:], priors[10:])
    assert len(losses) == 3


def test_documents_without_any_word_say_nothing():
    X = choices()
    model = CTR(2, item_features=np.zeros((12, 3)), random_state=3).fit(X)
    assert_array_equal(model.item_topics_, 0)
    assert_array_equal(model.predict(X), CTR(2, random_state=3).fit(X).predict(X))
    some = np.zeros((12, 3))
    some[:6] = np.eye(3)[np.arange(6) % 3]
    assert_array_equal(small(item_features=some).fit(X).item_topics_[6:], 0)
