"""CVAE: its bound by loops, its limits, and items that nobody has chosen."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from skrec import CTR, CVAE, Reviews
from skrec.neural._batches import RowStore
from skrec.neural._layers import init_glorot
from skrec.text._cvae import TextTraining, TextVAE, shares, standardised

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
    options |= {
        "hidden_layer_sizes": (8,),
        "learning_rate": 0.02,
        "max_iter": 4,
        "n_text_epochs": 50,
    }
    return CVAE(2, **{**options, **changes})


@pytest.mark.parametrize("counts", [True, False])
def test_the_bound_is_that_of_the_formula(counts, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.random((4, 5)) * (rng.random((4, 5)) < 0.6)
    x = x if counts else rng.normal(size=(4, 5))
    vae = TextVAE(5, [4, 3], 2, beta=0.3, counts=counts)
    init_glorot(vae, generator)
    for bias in vae.biases:
        torch.nn.init.normal_(bias, generator=generator)
    vae.factors, vae.pull = torch.randn(4, 2, generator=generator), 1.7
    batch = RowStore(sparse.csr_array(x.astype(np.float32)), torch.device("cpu")).cut()
    noise = torch.randn(4, 2, generator=torch.Generator().manual_seed(5)).numpy()
    found = vae(batch, torch.Generator().manual_seed(5), None).detach().numpy()

    w = {name: value.detach().double().numpy() for name, value in vae.named_parameters()}

    def sigmoid(t):
        return 1 / (1 + np.exp(-t))

    hidden = np.tanh(x @ w["first.weight"] + w["first.bias"])
    hidden = np.tanh(hidden @ w["others.0.weight"].T + w["others.0.bias"])
    mean = hidden @ w["mean.weight"].T + w["mean.bias"]
    log_var = hidden @ w["log_var.weight"].T + w["log_var.bias"]
    z = mean + np.exp(log_var / 2) * noise
    hidden = np.tanh(z @ w["widen.weight"].T + w["widen.bias"])
    hidden = np.tanh(hidden @ w["others.0.weight"] + w["biases.0"])
    out = hidden @ w["first.weight"].T + w["biases.1"]
    if counts:
        nll = -(x * np.log(sigmoid(out)) + (1 - x) * np.log(1 - sigmoid(out))).sum(axis=1)
    else:
        nll = np.square(x - out).sum(axis=1) / 2
    kl = (np.exp(log_var) + mean**2 - 1 - log_var).sum(axis=1) / 2
    apart = np.square(vae.factors.numpy() - z).sum(axis=1)
    assert_allclose(found, nll + 0.3 * kl + 1.7 / 2 * apart, rtol=1e-5)


@pytest.mark.parametrize("feedback", ["choices", "ratings"])
def test_items_that_nobody_has_chosen_are_scored_by_their_texts(feedback):
    X = choices()
    if feedback == "ratings":
        X = sparse.csr_array(np.where(X.toarray() > 0, 5.0, 1.0) * (np.arange(12) < 10))
    model = small(feedback=feedback).fit(X)
    assert_allclose(model.item_embeddings_[10:], model.item_codes_[10:])
    scores = model.predict(X)
    likes_tea = np.arange(40) % 2 == 0
    assert ((scores[:, 10] > scores[:, 11]) == likes_tea).mean() > 0.9


def test_without_texts_it_is_alternating_least_squares():
    X = choices()
    model = CVAE(2, random_state=3, max_iter=4, l2=0.5, l2_item=0.5).fit(X)
    same = CTR(2, random_state=3, max_iter=4, tol=0, l2=0.5, l2_item=0.5).fit(X)
    assert_array_equal(model.item_embeddings_, same.item_embeddings_)
    assert_array_equal(model.loss_curve_, same.loss_curve_)
    assert model.text_loss_curve_ == []
    assert_array_equal(model.item_codes_, 0)


def test_little_penalty_lets_go_of_the_texts():
    # What users explain alone: with ever smaller penalties the prior is nothing beside the data.
    X = choices(n_users=400)
    options = {"l2": 1e-6, "l2_item": 1e-6, "max_iter": 60}
    with_texts = small(**options).fit(X).predict(X)
    without = CVAE(2, random_state=0, **options).fit(X).predict(X)
    assert_allclose(with_texts[:, :10], without[:, :10], atol=1e-3)


def test_the_limit_of_a_large_penalty_is_a_regression_on_codes():
    X = choices()
    model = small(l2=0.5, l2_item=1e9).fit(X)
    codes = model.item_codes_
    assert_allclose(model.item_embeddings_, codes, atol=1e-6)
    row = X.toarray()[0]
    known = codes[:10]
    hessian = 0.1 * known.T @ known + codes[row > 0].T @ codes[row > 0] + 0.5 * np.eye(2)
    assert_allclose(
        model.predict(X[:1])[0], codes @ np.linalg.solve(hessian, codes.T @ row), atol=1e-6
    )


def test_with_codes_that_stay_it_is_ctr(monkeypatch):
    X = choices()
    pretrain = TextTraining.train
    monkeypatch.setattr(
        TextTraining,
        "train",
        lambda self, n, factors=None, l2=0: None if factors is not None else pretrain(self, n),
    )
    model = small(l2=2).fit(X)
    rows = X.astype(np.float64)
    items, losses = model._factors.fit(rows, model.item_embeddings_, 100, 1e-12)
    priors = model.item_codes_
    users = model._factors.users(rows, items)
    for item in range(10):
        column = X.toarray()[:, item]
        hessian = 0.1 * users.T @ users + users[column > 0].T @ users[column > 0]
        right = users.T @ column + 10 * priors[item]
        expected = np.linalg.solve(hessian + 10 * np.eye(2), right)
        assert_allclose(items[item], expected, atol=1e-4)
    assert losses[0] <= model.loss_curve_[-1]


def test_codes_follow_the_factors():
    X = choices()
    apart = {}
    for l2_item in (1e-3, 30.0):
        model = small(l2_item=l2_item, max_iter=30).fit(X)
        difference = model.item_embeddings_ - model.item_codes_
        apart[l2_item] = np.square(difference[:10]).mean() / model.item_codes_.var()
    assert apart[30.0] < 0.2 * apart[1e-3]
    assert len(model.text_loss_curve_) == 50 + 29


def test_vectors_of_any_sign_are_read_as_texts_are():
    X = choices()
    rng = np.random.default_rng(0)
    vectors = np.where(np.arange(12)[:, None] % 2, 1.0, -1.0) * [1, 2, 0.5] + 5e-2 * rng.normal(
        size=(12, 3)
    )
    model = small(item_features=vectors).fit(X)
    scores = model.predict(X)
    assert ((scores[:, 10] > scores[:, 11]) == (np.arange(40) % 2 == 0)).mean() > 0.9
    # The unit of each column does not matter.
    other = small(item_features=vectors * [3, 1e5, 1e-5] + [0.1, -7, 0]).fit(X)
    assert_allclose(other.predict(X), scores, rtol=1e-3, atol=1e-3)


def test_documents_are_the_training_reviews_where_none_are_given():
    X = choices()
    words = [f"{texts()[item]} {user}" for user, item in zip(*X.nonzero(), strict=True)]
    reviews = Reviews.from_documents(X, words)
    model = small(item_features=None).fit(X, reviews=reviews)
    counts = WORDS.fit_transform(words).toarray()
    items = X.nonzero()[1]
    by_item = np.array([counts[items == item].sum(axis=0) for item in range(12)])
    given = small(item_features=by_item).fit(X)
    assert_allclose(model.item_embeddings_, given.item_embeddings_, rtol=1e-5)
    assert_array_equal(model.item_codes_[10:], 0)  # nothing is written about them
    other = Reviews.from_documents(X, ["roast"] * X.nnz)
    assert_array_equal(model.predict(X, reviews=reviews), model.predict(X, reviews=other))


def test_models_are_pickled_without_their_documents():
    model = small().fit(choices())
    assert not hasattr(model, "_texts")
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(choices()), model.predict(choices()))


def test_scales_of_documents():
    found = shares(sparse.csr_array([[2.0, 0, 4], [0, 0, 0], [0, 1, 0]])).toarray()
    assert_array_equal(found, [[0.5, 0, 1], [0, 0, 0], [0, 1, 0]])
    found = standardised(np.array([[-1.0, 3, 1e308], [1.0, 3, -1e308]])).toarray()
    assert_allclose(found, [[-1, 0, 1], [1, 0, -1]])


def test_texts_without_words_are_items_without_texts():
    features = texts()
    features[11] = ""
    model = small(item_features=features).fit(choices())
    assert_array_equal(model.item_codes_[11], 0)
    assert np.any(model.item_codes_[10] != 0)
