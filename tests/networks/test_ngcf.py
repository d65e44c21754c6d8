"""NGCF: its layers node by node, and the vectors that its scores are products of."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skrec import NGCF

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
