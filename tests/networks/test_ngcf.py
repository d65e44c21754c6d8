"""NGCF: its layers node by node, and the vectors that its scores are products of."""

import numpy as np
import pytest
import torch
from initial_weights import check_uniform
from numpy.testing import assert_allclose

from skrec import NGCF, BiasBaseline

SMALL = {"early_stopping": False, "max_iter": 2, "random_state": 0}


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    X = (rng.random((14, 8)) < 0.4) * 1.0
    X[3], X[:, 6] = 0, 0
    return X


def leaky(values):
    return np.where(values > 0, values, 0.2 * values)


def layer(weights, number, node, total, count):
    W1, b1, W2, b2 = (
        weights[f"layers.{number}.{part}.{kind}"]
        for part in ("means", "products")
        for kind in ("weight", "bias")
    )
    mean = (total + node) / (count + 1)
    return leaky(W1 @ mean + b1) + leaky(W2 @ (node * mean) + b2)


def node_by_node(X, weights, n_layers):
    """Nodes of users and items in each layer; those of users start from zero."""
    users, items = [np.zeros((len(X), 3))], [weights["output.weight"]]
    for number in range(n_layers):
        u, v = users[-1], items[-1]
        next_users = [
            layer(
                weights,
                number,
                u[i],
                sum((v[j] for j in np.flatnonzero(row)), np.zeros(3)),
                row.sum(),
            )
            for i, row in enumerate(X)
        ]
        next_items = [
            layer(
                weights,
                number,
                v[j],
                sum((u[i] for i in np.flatnonzero(column)), np.zeros(3)),
                column.sum(),
            )
            for j, column in enumerate(X.T)
        ]
        users.append(np.array(next_users))
        items.append(np.array(next_items))
    return users, items


def unit(nodes):
    return nodes / np.maximum(np.linalg.norm(nodes, axis=1, keepdims=True), 1e-12)


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_scores_are_those_of_layers_node_by_node(X, n_layers):
    model = NGCF(3, n_layers=n_layers, **SMALL).fit(X)
    users, items = node_by_node(X, model._weights, n_layers)
    expected = sum(unit(u) @ unit(v).T for u, v in zip(users[1:], items[1:], strict=True))
    assert_allclose(model.predict(X), expected * 10, rtol=1e-4, atol=1e-5)


def test_new_rows_pass_through_the_layers_of_training(X):
    model = NGCF(3, n_layers=2, **SMALL).fit(X)
    _, items = node_by_node(X, model._weights, 2)
    x = np.array([1.0, 0, 1, 1, 0, 0, 0, 0])
    user, vectors = np.zeros(3), []
    for number in range(2):
        user = layer(model._weights, number, user, x @ items[number], 3)
        vectors.append(unit(user[None]))
    expected = 10 * sum(u @ unit(v).T for u, v in zip(vectors, items[1:], strict=True))
    assert_allclose(model.predict(x[None]), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("loss", "scale"), [("softmax", 10), ("bpr", 1)])
def test_scores_are_sums_of_cosines(X, loss, scale):
    model = NGCF(4, n_layers=3, loss=loss, **SMALL).fit(X)
    assert_allclose(np.linalg.norm(model.item_embeddings_, axis=1), scale * np.sqrt(3), rtol=1e-5)
    assert_allclose(np.linalg.norm(model.transform(X), axis=1), np.sqrt(3), rtol=1e-5)
    assert model.transform(X).shape == (14, 12)


def test_ratings_start_from_the_offsets(X):
    rated = X * np.random.default_rng(1).integers(1, 6, X.shape)
    model = NGCF(4, loss="squared_error", **{**SMALL, "learning_rate": 1e-9}).fit(rated)
    expected = BiasBaseline(l2_user=15, l2_item=10).fit(rated).predict(rated)
    assert_allclose(model.predict(rated), expected, atol=0.12)


def test_weights_start_glorot_uniform():
    model = NGCF(60, n_layers=2)
    module = model._module_class(400, **model._module_options(None))
    model._init_module(module, None, torch.Generator().manual_seed(0))
    check_uniform(module.output.weight.detach(), np.sqrt(6 / 460))
    check_uniform(module.layers[1].products.weight.detach(), np.sqrt(6 / 120))
