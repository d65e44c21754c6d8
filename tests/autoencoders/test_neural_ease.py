"""NeuralEASE: its scores and objective written out, and EASE as a special case."""

import numpy as np
import pytest
import torch
from scipy import sparse
from skorch.callbacks import Callback

from skrec import NeuralEASE
from skrec.autoencoders._neural_ease import NeuralEASEModule
from skrec.neural._batches import RowStore
from skrec.neural._trainer import Progress
from skrec.utils._changes import update_rows

SMALL = {"early_stopping": False, "max_iter": 5, "random_state": 0}
OPTIONS = {"loss": "focal", "alpha": 0.3, "gamma": 1.5, "dropout": 0.5}


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    taste = np.repeat(np.eye(3), 4, axis=1)[rng.integers(0, 3, 60)]
    X = (rng.random(taste.shape) < 0.1 + 0.5 * taste) * 1.0
    X[:, 5] = rng.random(60) < 0.7
    return sparse.csr_array(X[X.any(axis=1)].astype(np.float32))


def unit(X):
    X = X.toarray().astype(np.float64)
    return X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12)


def test_scores_are_those_of_weights_without_a_diagonal(X):
    model = NeuralEASE(**SMALL).fit(X)
    assert (np.diag(model.coef_) == 0).all()
    assert np.count_nonzero(model.coef_) > 0.9 * 12 * 11
    expected = unit(X) @ model.coef_ + model.intercept_
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.predict(0 * X), [model.intercept_] * X.shape[0], rtol=1e-6)
    np.testing.assert_allclose(model.predict(5 * X), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", ["focal", "squared"])
def test_the_objective_is_that_of_the_formula(X, loss):
    module = NeuralEASEModule(12, **{**OPTIONS, "loss": loss})
    rng = np.random.default_rng(1)
    B, b = rng.normal(size=(12, 12)), rng.normal(size=12)
    np.fill_diagonal(B, 0)
    with torch.no_grad():
        module.output.weight.copy_(torch.from_numpy(B))
        module.output.bias.copy_(torch.from_numpy(b))
    batch = RowStore(X, torch.device("cpu")).cut()
    ours = module(batch, torch.Generator().manual_seed(1), Progress(0, 1)).detach()

    draws = torch.rand(X.nnz, generator=torch.Generator().manual_seed(1)).numpy()
    hidden = X.copy()
    hidden.data[draws >= 0.5] = 0
    visible = sparse.csr_array(X - hidden)
    f = unit(visible) @ B + b
    y, visible = hidden.toarray(), visible.toarray()
    for user in range(X.shape[0]):
        expected = 0
        for item in range(12):
            if visible[user, item]:
                continue
            p = 1 / (1 + np.exp(-f[user, item]))
            if loss == "squared":
                expected += (y[user, item] - f[user, item]) ** 2
            elif y[user, item]:
                expected -= 0.3 * (1 - p) ** 1.5 * np.log(p)
            else:
                expected -= 0.7 * p**1.5 * np.log(1 - p)
        np.testing.assert_allclose(ours[user], expected, rtol=1e-4)


def test_squares_without_dropout_are_ease_of_unit_rows_with_offsets(X):
    """At the ridge regressions of each item on the others, the gradient is that of the penalty."""
    l2 = 0.05
    inputs, wanted = unit(X), X.toarray().astype(np.float64)
    B, b = np.zeros((12, 12)), np.zeros(12)
    for item in range(12):
        others = np.delete(np.arange(12), item)
        A = np.column_stack([inputs[:, others], np.ones(len(inputs))])
        penalty = len(inputs) * l2 * np.diag([1.0] * 11 + [0.0])
        weights = np.linalg.solve(A.T @ A + penalty, A.T @ wanted[:, item])
        B[others, item], b[item] = weights[:-1], weights[-1]
    module = NeuralEASEModule(12, **{**OPTIONS, "loss": "squared", "dropout": 0.0})
    with torch.no_grad():
        module.output.weight.copy_(torch.from_numpy(B))
        module.output.bias.copy_(torch.from_numpy(b))
    batch = RowStore(X, torch.device("cpu")).cut()
    module(batch, torch.Generator(), Progress(0, 1)).mean().backward()
    gradient = module.output.weight.grad.numpy()
    np.testing.assert_allclose(gradient, -2 * l2 * B, atol=1e-6)
    assert (np.diag(gradient) == 0).all()
    np.testing.assert_allclose(module.output.bias.grad, 0, atol=1e-6)


def test_the_penalty_is_that_of_the_squared_weights(X):
    """With one step of plain gradient descent, the weights' difference is the gradient's."""
    steps = []

    class OneStep(Callback):
        def on_train_begin(self, net, **kwargs):
            with torch.no_grad():
                net.module.output.weight.fill_(0.5).fill_diagonal_(0)
            groups = net.optimizer_.param_groups
            net.optimizer_ = torch.optim.SGD(
                [{key: group[key] for key in ("params", "weight_decay")} for group in groups],
                lr=1.0,
            )

        def on_batch_end(self, net, **kwargs):
            steps.append(net.module.output.weight.detach().clone())

    for l2 in (0.0, 0.05):
        options = {**SMALL, "max_iter": 1, "batch_size": 60}
        NeuralEASE(l2=l2, callbacks=[OneStep()], **options).fit(X)
    assert len(steps) == 2
    expected = -0.1 * 0.5 * (1 - torch.eye(12))
    torch.testing.assert_close(steps[1] - steps[0], expected, rtol=1e-3, atol=1e-5)


def test_training_starts_from_nothing(X):
    model = NeuralEASE(**{**SMALL, "max_iter": 1, "learning_rate": 1e-12}).fit(X)
    assert np.abs(model.coef_).max() <= 1e-11
    assert np.abs(model.intercept_).max() <= 1e-11


def test_explain_adds_up_to_the_scores_less_the_offsets(X):
    model = NeuralEASE(**SMALL).fit(X)
    items = model.recommend(X[:4], k=3)
    items[0, 0] = X.indices[0]  # an item of the history says nothing of itself
    scores = model.predict(X[:4]) - model.intercept_
    for user, contributions in enumerate(model.explain(X[:4], items)):
        np.testing.assert_allclose(
            contributions.sum(axis=1), scores[user][items[user]], rtol=1e-3, atol=1e-5
        )


def test_new_items_start_without_weights_and_the_known_keep_theirs(X):
    model = NeuralEASE(**SMALL).fit(X[:, :10])
    before, old = model.coef_.copy(), X[:, :10]
    wider = sparse.csr_array(sparse.hstack([old, sparse.csr_array((X.shape[0], 2))]))
    update_rows(model, old, wider)
    np.testing.assert_array_equal(model.coef_[:10, :10], before)
    assert model.coef_.shape == (12, 12)
    assert (model.coef_[10:] == 0).all()
    assert (model.coef_[:, 10:] == 0).all()


def test_memory_is_checked_first():
    X = sparse.csr_array(([1.0, 1.0], ([0, 1], [0, 10**6])))
    with pytest.raises(MemoryError, match=r"2 users x 1000001 items needs .* or ELSA"):
        NeuralEASE(early_stopping=False).fit(X)


def test_dislikes_are_refused(X):
    dislikes = X.copy()
    dislikes.data[0] = -1
    with pytest.raises(ValueError, match="the choices of NeuralEASE are non-negative.*got -1"):
        NeuralEASE(**SMALL).fit(dislikes)
    assert NeuralEASE().__sklearn_tags__().input_tags.positive_only
