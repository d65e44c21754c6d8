"""NeuMF: its parts written out, and limits that are known."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skrec import NeuMF
from skrec.networks._neu_mf import NeuMFModule

SMALL = {"early_stopping": False, "max_iter": 3, "random_state": 0}
OPTIONS = {"loss": "bpr", "n_negatives": 1, "dropout": 0.0}


def choices(n_users=30, n_items=9, density=0.4, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.random((n_users, n_items)) < density).astype(float)


def pooled(model, X):
    counts = np.maximum((X > 0).sum(axis=1, keepdims=True), 1)
    return X @ model._weights["history"].astype(float) / np.sqrt(counts)


def test_scores_are_the_sum_of_both_parts_entry_by_entry():
    X = choices()
    model = NeuMF(3, hidden_layer_sizes=(5, 4), learning_rate=0.2, **SMALL).fit(X)
    weights, scores = model._weights, model.predict(X)
    assert np.abs(weights["weights"] - 1).max() > 0.05
    for user, p in enumerate(pooled(model, X)):
        for item, q in enumerate(weights["output.weight"]):
            expected = weights["output.bias"][item] + weights["weights"] @ (p[:3] * q[:3])
            hidden = weights["user_first.weight"] @ p[3:] + weights["item_first.weight"] @ q[3:]
            hidden = np.maximum(hidden + weights["item_first.bias"], 0)
            hidden = weights["tower.0.weight"] @ hidden + weights["tower.0.bias"]
            hidden = np.maximum(hidden, 0)
            expected += (weights["tower.1.weight"] @ hidden + weights["tower.1.bias"])[0]
            assert_allclose(scores[user, item], expected, rtol=1e-4, atol=1e-5)


def test_gmf_is_a_matrix_factorisation_with_weighted_factors():
    X = choices() * np.random.default_rng(1).integers(1, 6, (30, 9))
    model = NeuMF(3, parts="gmf", loss="squared_error", clip=False, **SMALL).fit(X)
    factors = model._weights["weights"] * model.item_embeddings_
    empty = model.predict(np.zeros((1, 9)))
    found = model.predict(X) - model.rating_unit_ * model.transform(X) @ factors.T
    # What is left belongs to items and users alone.
    assert_allclose(found - empty, (found - empty)[:, :1] + np.zeros(9), atol=1e-5)


def test_without_hidden_layers_the_perceptron_ranks_alike_for_all_users():
    X = choices()
    model = NeuMF(3, parts="mlp", hidden_layer_sizes=(), **SMALL).fit(X)
    scores = model.predict(X)
    assert_allclose(scores - scores[:, :1], np.tile(scores[:1] - scores[0, 0], (30, 1)), atol=1e-5)
    deeper = NeuMF(3, parts="mlp", hidden_layer_sizes=(4,), **SMALL).fit(X).predict(X)
    assert np.ptp(deeper - deeper[:, :1], axis=0).max() > 1e-4


@pytest.mark.parametrize(
    ("parts", "n_vectors", "names"),
    [
        ("gmf", 3, {"weights"}),
        ("mlp", 3, {"user_first.weight", "item_first.weight", "item_first.bias"}),
        ("both", 6, {"weights", "user_first.weight", "item_first.weight", "item_first.bias"}),
    ],
)
def test_a_part_alone_has_nothing_of_the_other(parts, n_vectors, names):
    model = NeuMF(3, parts=parts, hidden_layer_sizes=(), **SMALL).fit(choices())
    common = {"history", "output.weight", "output.bias"}
    assert set(model._weights) - {"tower.0.weight", "tower.0.bias"} == names | common
    assert model.item_embeddings_.shape == model._weights["history"].shape == (9, n_vectors)
    assert len(model.get_feature_names_out()) == n_vectors


def test_the_product_starts_as_that_of_a_factorisation():
    module = NeuMFModule(2000, 8, [6], parts="both", **OPTIONS)
    module.init(torch.Generator().manual_seed(0))
    assert_array_equal(module.weights.detach(), np.ones(8))
    for vectors in (module.history, module.output.weight):
        assert_allclose(vectors.std().item(), 0.1, rtol=0.05)
        assert abs(vectors.mean().item()) < 0.003
    assert_array_equal(module.output.bias.detach(), np.zeros(2000))
    bound = np.sqrt(6 / (8 + 6))
    assert module.user_first.weight.abs().max().item() <= bound
    assert module.user_first.weight.std().item() > 0.4 * bound


@pytest.mark.parametrize("parts", ["gmf", "mlp", "both"])
def test_gradients_of_interactions(parts):
    module = NeuMFModule(4, 3, [5, 4], parts=parts, **OPTIONS)
    module.init(torch.Generator().manual_seed(0))
    module.double()
    vectors = torch.randn(2, module.history.shape[1], dtype=torch.float64, requires_grad=True)
    items = torch.tensor([[0, 1, 2], [3, 1, 0]])

    def scores(vectors):
        return module.interact(module.user_side(vectors), module.item_side()[items])

    assert scores(vectors).shape == (2, 3)
    assert torch.autograd.gradcheck(scores, vectors)


def test_layers_have_widths():
    with pytest.raises(ValueError, match="must hold a width for each layer"):
        NeuMF(hidden_layer_sizes=16).fit(choices())
