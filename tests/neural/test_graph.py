"""The graph of users and items: sums along its edges, objectives with loops, and what is kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrec import LightGCN
from skrec.neural._batches import RowStore
from skrec.neural._graph import Graph
from skrec.neural._negative_sampling import draw_negatives
from skrec.neural._trainer import Progress
from skrec.utils._changes import update_rows

CPU = torch.device("cpu")
SMALL = {"early_stopping": False, "max_iter": 3, "random_state": 0}
LOSSES = ["softmax", "bpr", "squared_error"]


def choices(n_users=20, n_items=9, density=0.4, seed=0):
    """The first user has one item, the second none; the last item has no users."""
    rng = np.random.default_rng(seed)
    X = (rng.random((n_users, n_items)) < density).astype(float)
    X[0], X[1], X[:, -1] = 0, 0, 0
    X[0, 3] = 1
    return sparse.csr_array(X)


def ratings(**kwargs):
    X = choices(**kwargs)
    X.data = np.random.default_rng(1).integers(1, 6, X.nnz).astype(float)
    return X


def data_of(loss):
    return ratings() if loss == "squared_error" else choices()


def test_sums_along_edges_and_their_gradients():
    X = ratings()
    graph = Graph(X).double()
    rng = np.random.default_rng(0)
    users, items = (torch.from_numpy(rng.normal(size=(n, 3))).requires_grad_() for n in X.shape)
    assert_allclose(graph.of_users(items).detach(), X @ items.detach().numpy())
    assert_allclose(graph.of_items(users).detach(), X.T @ users.detach().numpy())
    assert torch.autograd.gradcheck(graph.of_users, items)
    assert torch.autograd.gradcheck(graph.of_items, users)
    assert_array_equal(graph.user_counts[:, 0], np.diff(X.indptr))
    assert_array_equal(graph.item_counts[:, 0], np.bincount(X.indices, minlength=9))


def in_training(model, X):
    """The module, the data that it was fitted to, and a batch of all its rows."""
    model.fit(X)
    model._edges = None
    data = model._training_data(model._check_training(X, reset=True), None)
    module = model._restored_module()
    model._refill(module, data)
    return module, data, RowStore(data, CPU).cut()


def hidden_entries(module, batch, seed):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.empty_like(batch.values).uniform_(generator=generator) < module.dropout
    return hidden.numpy(), generator


@pytest.mark.parametrize("loss", LOSSES)
def test_objective_is_that_of_the_formula_with_loops(loss):
    model = LightGCN(4, loss=loss, l2=0.3, n_negatives=2, **SMALL)
    module, data, batch = in_training(model, data_of(loss))
    losses = module(batch, torch.Generator().manual_seed(3), Progress(0, 1)).detach().numpy()
    is_hidden, generator = hidden_entries(module, batch, 3)
    history, items = (table.detach().numpy() for table in module.propagate())
    offsets = module.offsets.numpy()
    negatives = draw_negatives(batch, 2, generator).numpy() if loss == "bpr" else None
    squares = (module.output.weight**2).sum(dim=1).detach().numpy()
    for user in range(len(batch)):
        entries = np.arange(data.indptr[user], data.indptr[user + 1])
        wanted = entries[is_hidden[entries]]
        read = entries[~is_hidden[entries]]
        left = data.data[read] - offsets[data.indices[read]]
        offset = left.sum() / (len(read) + 15)
        edges = left - offset if loss == "squared_error" else np.ones(len(read))
        vector = (edges[:, None] * history[data.indices[read]]).sum(axis=0)
        scores = items @ vector / np.sqrt(max(len(read), 1))
        expected, weight = 0.0, len(entries) ** -0.5
        for entry in wanted:
            item = data.indices[entry]
            if loss == "softmax":
                expected += np.log(np.exp(scores).sum()) - scores[item]
            elif loss == "bpr":
                expected += np.log1p(np.exp(scores[negatives[entry]] - scores[item])).sum()
            else:
                weight = 1
                expected += (data.data[entry] - offsets[item] - offset - scores[item]) ** 2
            expected += 0.15 * squares[item]
        assert_allclose(losses[user], expected * weight, rtol=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_finite_differences(loss):
    model = LightGCN(3, loss=loss, l2=0.3, **SMALL)
    module, _, batch = in_training(model, data_of(loss))
    module = module.double()
    batch = replace(batch, values=batch.values.double())

    def objective(weights):
        inputs = batch, torch.Generator().manual_seed(3), Progress(0, 1)
        return torch.func.functional_call(module, {"output.weight": weights}, inputs).sum()

    rng = np.random.default_rng(0)
    weights = torch.from_numpy(rng.normal(size=(9, 3))).requires_grad_()
    objective(weights).backward()
    for _ in range(3):
        step = torch.from_numpy(1e-6 * rng.normal(size=(9, 3)))
        with torch.no_grad():
            change = objective(weights + step) - objective(weights - step)
        assert_allclose(change, 2 * (weights.grad * step).sum(), rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_user_in_training_is_a_new_user_without_the_hidden_entries(loss):
    X = data_of(loss)
    model = LightGCN(4, loss=loss, **SMALL)
    module, data, batch = in_training(model, X)
    is_hidden, _ = hidden_entries(module, batch, 3)
    codes, _ = module._read(module.propagate()[0], batch.select(torch.from_numpy(~is_hidden)))
    rest = X[np.diff(X.indptr) > 0]
    rest = sparse.csr_array((rest.data * ~is_hidden, rest.indices, rest.indptr), shape=rest.shape)
    rest.eliminate_zeros()
    assert_allclose(codes.detach(), model.transform(rest), rtol=1e-4, atol=1e-6)


def tables_of_new_graph(model, X):
    fresh = LightGCN(**model.get_params())
    fresh.fit(X)  # for its shape
    fresh._weights, fresh._edges = model._weights, None
    module = fresh._restored_module()
    fresh._refill(module, fresh._training_data(fresh._check_training(X, reset=True), None))
    return [table.detach().numpy() for table in module.propagate()]


@pytest.mark.parametrize("loss", ["softmax", "squared_error"])
def test_partial_fit_adds_to_the_graph(loss):
    X = data_of(loss)
    model = LightGCN(3, loss=loss, **SMALL).fit(X[:12])
    if loss == "softmax":
        model.partial_fit(X[12:])
        expected = tables_of_new_graph(model, X)
        assert_allclose(model._tables["history"], expected[0], rtol=1e-5)
        assert_allclose(model._tables["items"], expected[1], rtol=1e-5)
    model.fit(X)
    assert model._edges.shape[0] == np.count_nonzero(np.diff(X.indptr))


@pytest.mark.parametrize("n_added", [0, 3])
def test_an_update_replaces_rows_of_the_graph(n_added):
    """Row 4 changes or is emptied; there are two new items."""
    X = choices(n_items=11)
    X = sparse.csr_array(X * (np.arange(11) < 8))
    old, new = X[:17, :9], X[: 17 + n_added].tolil()
    new[4] = 0
    if n_added:
        new[4, 9] = 1
    new = sparse.csr_array(new)
    new.eliminate_zeros()
    model = LightGCN(3, **SMALL).fit(old)
    update_rows(model, old, new)
    expected = tables_of_new_graph(model, new)
    assert model.item_embeddings_.shape == (11, 3)
    assert_allclose(model._tables["history"], expected[0], rtol=1e-5, atol=1e-7)
    assert_allclose(model.item_embeddings_, expected[1], rtol=1e-5, atol=1e-7)


def test_values_do_not_count_unless_they_are_ratings():
    X = choices()
    model = LightGCN(3, **SMALL).fit(X)
    other = LightGCN(3, **SMALL).fit(5 * X)
    assert_array_equal(model.predict(X), other.predict(3 * X))


def test_nothing_of_users_but_their_edges_is_kept():
    model = LightGCN(3, **SMALL).fit(choices())
    sizes = [array.shape for array in model._weights.values()]
    assert sizes == [(9, 3)]


def test_similar_items_have_the_largest_cosines():
    model = LightGCN(4, **SMALL).fit(choices())
    vectors = model.item_embeddings_
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    indices, cosines = model.similar_items([2], k=8, return_scores=True)
    assert_allclose(cosines[0], (vectors @ vectors[2])[indices[0]], rtol=1e-5)


@pytest.mark.parametrize("loss", ["softmax", "bpr"])
def test_what_is_not_chosen_comes_last(loss):
    X = np.kron(np.eye(3), np.ones((12, 6)))
    model = LightGCN(4, loss=loss, learning_rate=0.2, **{**SMALL, "max_iter": 30}).fit(X)
    scores = model.predict(X)
    lowest = np.where(X == 1, scores, np.inf).min(axis=1)
    highest = np.where(X == 0, scores, -np.inf).max(axis=1)
    assert (lowest > highest).all()


def test_dislikes_are_refused():
    X = choices().toarray()
    X[2, 4] = -1
    with pytest.raises(ValueError, match="LightGCN.*non-negative entries, got -1"):
        LightGCN().fit(X)


@pytest.mark.parametrize("loss", LOSSES)
def test_rows_of_one_entry_train(loss):
    X = sparse.csr_array(np.eye(6))
    model = LightGCN(2, loss=loss, batch_size=2, dropout=0.01, **SMALL).fit(X)
    assert np.isfinite(model.predict(X)).all()
