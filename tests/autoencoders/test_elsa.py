"""ELSA: its weights written out, and what makes it scale."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from initial_weights import check_uniform
from scipy import sparse

from skrec import ELSA
from skrec.neural._batches import RowStore
from skrec.neural._directions import Directions
from skrec.neural._layers import init_glorot
from skrec.neural._trainer import Progress
from skrec.utils._changes import update_rows

SMALL = {"early_stopping": False, "max_iter": 5, "random_state": 0}


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    taste = np.repeat(np.eye(3), 5, axis=1)[rng.integers(0, 3, 60)]
    X = (rng.random(taste.shape) < 0.1 + 0.5 * taste) * 1.0
    return sparse.csr_array(X[X.any(axis=1)])


@pytest.fixture(scope="module")
def model(X):
    return ELSA(6, **SMALL).fit(X)


def weights(model):
    """A A^T - I, items x items."""
    A = model.item_embeddings_.astype(np.float64)
    return A @ A.T - np.eye(len(A))


def objective(module, X):
    batch = RowStore(X, torch.device("cpu")).cut()
    return module(batch, None, Progress(0, 1))


def test_scores_are_those_of_weights_without_a_diagonal(model, X):
    np.testing.assert_allclose(np.linalg.norm(model.item_embeddings_, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(np.diag(weights(model)), 0, atol=1e-6)
    np.testing.assert_allclose(model.predict(X), X @ weights(model), atol=1e-5)
    np.testing.assert_allclose(model.predict(3 * X), 3 * model.predict(X), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.transform(X), X @ model.item_embeddings_, atol=1e-5)


def test_orthogonal_items_score_nothing(model, X):
    model = deepcopy(model)
    model._weights = {"output.weight": 3 * np.eye(15, dtype=np.float32)}
    model._options, model._modules = {"n_components": 15}, {}
    np.testing.assert_allclose(model.predict(X), 0, atol=1e-6)


def test_scale_of_rows_and_vectors_does_not_matter_to_the_loss(X):
    module = Directions(15, 4)
    init_glorot(module, torch.Generator().manual_seed(0))
    X = X.astype(np.float32)
    expected = objective(module, X)
    scaled = sparse.csr_array(X * np.geomspace(1e-15, 1e15, X.shape[0], dtype=np.float32)[:, None])
    torch.testing.assert_close(objective(module, scaled), expected)
    with torch.no_grad():
        module.output.weight *= torch.linspace(0.1, 10, 15)[:, None]
    torch.testing.assert_close(objective(module, X), expected)


def test_training_lowers_the_squared_distance_of_unit_rows(X):
    model = ELSA(15, batch_size=60, **{**SMALL, "max_iter": 60}).fit(X)

    def loss(B):
        x, y = X.toarray(), X @ B
        x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))
        return np.mean(np.sum((x - y) ** 2, axis=1))

    np.testing.assert_allclose(model.loss_curve_[-1], loss(weights(model)), rtol=1e-2)
    assert loss(weights(model)) < 0.6 * model.loss_curve_[0]
    # No other vectors nearby are better.
    A, rng = model.item_embeddings_, np.random.default_rng(0)
    for _ in range(20):
        other = A + 0.05 * rng.standard_normal(A.shape)
        other /= np.linalg.norm(other, axis=1, keepdims=True)
        assert loss(other @ other.T - np.eye(15)) > loss(weights(model))


def test_explain_and_similar_items(model, X):
    items = model.recommend(X[:4], k=3)
    items[0, 0] = X.indices[0]  # an item of the history says nothing of itself
    scores = model.predict(X[:4])
    for user, contributions in enumerate(model.explain(X[:4], items)):
        np.testing.assert_allclose(
            contributions.sum(axis=1), scores[user][items[user]], rtol=1e-4, atol=1e-6
        )
    indices, cosines = model.similar_items([0, 7], k=14, return_scores=True)
    expected = weights(model)
    for item, found, values in zip([0, 7], indices, cosines, strict=True):
        assert set(found) == set(range(15)) - {item}
        np.testing.assert_allclose(values, expected[item][found], atol=1e-6)


def test_weights_start_glorot_uniform():
    module = Directions(300, 50)
    init_glorot(module, torch.Generator().manual_seed(0))
    check_uniform(module.output.weight.detach(), np.sqrt(6 / 350))


def test_new_items_get_vectors_and_the_known_keep_theirs(X):
    model = ELSA(6, **SMALL).fit(X[:, :12])
    before = model.item_embeddings_
    old = X[:, :12]
    wider = sparse.csr_array(sparse.hstack([old, sparse.csr_array((X.shape[0], 3))]))
    update_rows(model, old, wider)
    assert model.item_embeddings_.shape == (15, 6)
    np.testing.assert_array_equal(model.item_embeddings_[:12], before)


def test_vectors_that_grow_beyond_floats_are_an_error(X):
    with pytest.raises(ValueError, match="not finite"):
        ELSA(4, learning_rate=1e25, **SMALL).fit(X)


def test_negative_entries_are_dislikes(X):
    signed = X.copy()
    signed.data[::4] = -1
    model = ELSA(6, **SMALL).fit(signed)
    np.testing.assert_allclose(model.predict(signed), signed @ weights(model), atol=1e-5)
