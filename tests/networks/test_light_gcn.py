"""LightGCN: propagation over the whole graph, and the linear filter that it is."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from skrec import LightGCN

SMALL = {"early_stopping": False, "max_iter": 2, "random_state": 0}


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    X = (rng.random((14, 8)) < 0.4) * 1.0
    X[3], X[:, 6] = 0, 0
    return X


def brute_force(X, vectors, n_layers):
    """Scores of all users by the adjacency of users and items, in one dense matrix."""
    n_users = len(X)
    A = np.block([[np.zeros((n_users, n_users)), X], [X.T, np.zeros((len(X.T), len(X.T)))]])
    degrees = np.maximum(A.sum(axis=1), 1)
    A = A / np.sqrt(np.outer(degrees, degrees))
    layer = np.vstack([np.zeros((n_users, vectors.shape[1])), vectors])
    total = layer
    for _ in range(n_layers):
        layer = A @ layer
        total = total + layer
    mean = total / (n_layers + 1)
    return mean[:n_users] @ mean[n_users:].T


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
def test_scores_are_those_of_propagation_over_the_graph(X, n_layers):
    model = LightGCN(3, n_layers=n_layers, learning_rate=0.1, **SMALL).fit(X)
    vectors = model._weights["output.weight"].astype(float)
    assert_allclose(model.predict(X), brute_force(X, vectors, n_layers), rtol=1e-4, atol=1e-6)


def test_new_rows_are_scored_by_the_graph_of_training(X):
    model = LightGCN(3, **SMALL).fit(X)
    E = model._weights["output.weight"]
    degrees = np.maximum(X.sum(axis=0), 1)
    R = X / np.sqrt(np.outer(np.maximum(X.sum(axis=1), 1), degrees))
    H = E + R.T @ R @ E
    x = np.array([1.0, 0, 1, 1, 0, 0, 0, 0])
    expected = x / np.sqrt(degrees * 3) @ H @ H.T / 16
    assert_allclose(model.predict(x[None])[0], expected, rtol=1e-4)


def test_untrained_with_unit_vectors_it_is_a_linear_filter(X):
    model = LightGCN(8, n_layers=2, **SMALL).fit(X)
    module = model._restored_module()
    module.output.weight.data = module.output.weight.new_tensor(np.eye(8))
    model._edges = None
    model._refill(module, sparse.csr_array(X))
    history, items = (table.detach().numpy() for table in module.propagate())
    degrees = np.maximum(X.sum(axis=0), 1)
    R = X / np.sqrt(np.outer(np.maximum(X.sum(axis=1), 1), degrees))
    assert_allclose(history * 3, np.diag((X.sum(axis=0) > 0) / np.sqrt(degrees)), atol=1e-6)
    assert_allclose(items * 3, np.eye(8) + R.T @ R, atol=1e-6)


def test_vectors_start_from_a_normal_of_a_tenth():
    model = LightGCN(50)
    X = sparse.csr_array(np.ones((2, 400)))
    import torch

    module = model._module_class(400, **model._module_options(X))
    model._init_module(module, X, torch.Generator().manual_seed(0))
    vectors = module.output.weight.detach().numpy()
    assert_allclose([vectors.mean(), vectors.std()], [0, 0.1], atol=2e-3)
