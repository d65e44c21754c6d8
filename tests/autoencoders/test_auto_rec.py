"""AutoRec against a dense implementation, and its answer for users at a minimum."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from initial_weights import check_uniform
from scipy import sparse
from sklearn.linear_model import Ridge
from skorch.callbacks import Callback

from skrec import AutoRec, BiasBaseline
from skrec.autoencoders._auto_rec import AutoRecModule, item_means
from skrec.neural._batches import RowStore
from skrec.neural._layers import init_glorot

OPTIONS = {"early_stopping": False, "random_state": 0, "device": "cpu"}


def ratings(n_users=40, n_items=12, seed=0):
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=(n_users, 2)) @ rng.normal(size=(2, n_items))
    X = np.clip(np.round(3.2 + rng.normal(0, 0.5, n_items) + taste), 1, 5)
    X[rng.random(X.shape) < 0.5] = 0
    return sparse.csr_array(X / X[X > 0].std())  # in the unit that is computed in


def test_item_means_are_shrunk_to_the_mean_of_all():
    X = sparse.csr_array([[4.0, 0, 2], [4, 0, 0]])
    mean = 10 / 3
    expected = [mean + 2 * (4 - mean) / 7, mean, mean + (2 - mean) / 6]
    np.testing.assert_allclose(item_means(X), expected)


@pytest.mark.parametrize("n_rows", [0, 40])
def test_the_objective_is_that_of_the_paper_at_observed_entries(n_rows):
    X = ratings()
    module = AutoRecModule(12, 5, dropout=0.0, n_rows=n_rows)
    generator = torch.Generator().manual_seed(0)
    init_glorot(module, generator)
    offsets = torch.zeros(40)
    if n_rows:
        offsets = torch.randn(n_rows, generator=generator)
        module.row_offsets.copy_(offsets)
    loss = module(RowStore(X, torch.device("cpu")).cut(), generator, None)

    x = torch.from_numpy(X.toarray()).float()
    code = torch.sigmoid(x @ module.first.weight + module.first.bias)
    output = code @ module.output.weight.t() + module.output.bias + offsets[:, None]
    expected = ((x != 0) * (output - x) ** 2).sum(dim=1)
    torch.testing.assert_close(loss, expected)
    parameters = list(module.parameters())
    for one, other in zip(
        torch.autograd.grad(loss.sum(), parameters, retain_graph=True),
        torch.autograd.grad(expected.sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_entries_are_dropped_from_the_input_and_not_from_the_target():
    X = ratings()
    module = AutoRecModule(12, 5, dropout=0.6)
    init_glorot(module, torch.Generator().manual_seed(0))
    batch = RowStore(X, torch.device("cpu")).cut()
    loss = module(batch, torch.Generator().manual_seed(1), None)

    x = torch.from_numpy(X.toarray()).float()
    kept = torch.rand(X.nnz, generator=torch.Generator().manual_seed(1)) >= 0.6
    dropped = x.clone()
    dropped[batch.rows, batch.items] *= kept / 0.4
    code = torch.sigmoid(dropped @ module.first.weight + module.first.bias)
    output = code @ module.output.weight.t() + module.output.bias
    torch.testing.assert_close(loss, ((x != 0) * (output - x) ** 2).sum(dim=1))


@pytest.mark.parametrize("based_on", ["item", "user"])
def test_weights_start_glorot_uniform_or_as_the_offsets(based_on):
    """As `fit` draws them: a step of Adam that is too small to be seen."""
    X = ratings(300, 80)
    model = AutoRec(50, based_on=based_on, learning_rate=1e-12, max_iter=1, **OPTIONS).fit(X)
    weights = model._weights
    check_uniform(weights["first.weight"], np.sqrt(6 / sum(weights["first.weight"].shape)))
    if based_on == "item":
        check_uniform(weights["output.weight"], np.sqrt(6 / sum(weights["output.weight"].shape)))
    else:
        assert np.abs(weights["output.weight"]).max() < 1e-10
    np.testing.assert_allclose(weights["output.bias"], model._bias, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("based_on", ["item", "user"])
def test_the_penalty_is_half_of_l2_against_the_sum_of_squares(based_on):
    """One step of gradient descent on all rows: weights differ by the penalty's gradient."""
    steps = []

    class OneStep(Callback):
        def on_train_begin(self, net, **kwargs):
            groups = net.optimizer_.param_groups
            net.optimizer_ = torch.optim.SGD(
                [{key: group[key] for key in ("params", "weight_decay")} for group in groups],
                lr=1e-3,
            )
            self.start_ = deepcopy(net.module.state_dict())

        def on_batch_end(self, net, **kwargs):
            steps.append((self.start_, deepcopy(net.module.state_dict())))

    X = ratings()
    for l2 in (1e-9, 3.0):
        AutoRec(4, based_on=based_on, l2=l2, max_iter=1, callbacks=[OneStep()], **OPTIONS).fit(X)
    (start, free), (_, penalized) = steps
    n_rows = X.shape[based_on == "item"]
    for name in start:
        gradient = 3.0 * start[name] if name.endswith("weight") else torch.zeros_like(start[name])
        expected = -1e-3 * gradient / n_rows
        torch.testing.assert_close(penalized[name] - free[name], expected, rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize("center", [True, False])
def test_at_a_minimum_the_training_users_weights_are_those_of_new_users(center):
    X = ratings(15, 10)
    model = AutoRec(3, center=center, l2=4.0, learning_rate=0.02, max_iter=600, **OPTIONS)
    model.set_params(warm_start=True).fit(X)
    model.set_params(learning_rate=0.001, max_iter=600).fit(X)
    weights, biases = model._user_states(X)
    np.testing.assert_allclose(weights, model._weights["output.weight"], atol=2e-3)
    np.testing.assert_allclose(biases, model._weights["output.bias"], atol=2e-3)
    assert np.abs(weights).max() > 0.3


def test_a_user_is_a_ridge_regression_on_the_items_codes():
    X = ratings()
    X = X[:36] / X[:30].data.std()
    model = AutoRec(6, l2=3.0, **OPTIONS).fit(X[:30])
    row = X[[35]]
    items = row.indices
    ridge = Ridge(1.5).fit(model.item_embeddings_[items], row.data - model.item_offsets_[items])
    expected = ridge.predict(model.item_embeddings_) + model.item_offsets_
    np.testing.assert_allclose(model._score_rows(row)[0], expected, rtol=1e-5)
    np.testing.assert_allclose(model.transform(row)[0], ridge.coef_, rtol=1e-3, atol=1e-5)


def test_who_has_no_ratings_gets_the_items_means():
    X = ratings()
    model = AutoRec(6, l2=3.0, **OPTIONS).fit(X)
    nobody = sparse.csr_array((1, 12))
    residual = X.data - item_means(X)[X.indices]
    expected = item_means(X) + residual.mean()
    np.testing.assert_allclose(model.predict(nobody)[0], expected, rtol=1e-5)


@pytest.mark.parametrize("based_on", ["item", "user"])
def test_pairs_are_entries_of_whole_rows(based_on):
    X = ratings()
    model = AutoRec(6, based_on=based_on, l2=3.0, **OPTIONS).fit(X)
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 40, 500), rng.integers(0, 12, 500)
    pairs = model._rate_pairs(model._pair_states(X), users, items)
    np.testing.assert_allclose(pairs, model.predict(X)[users, items], rtol=1e-6)


# Five standard deviations over seeds above their means, 0.643 and 0.550.
@pytest.mark.parametrize(("based_on", "share"), [("item", 0.67), ("user", 0.59)])
def test_it_predicts_held_out_ratings_better_than_means(based_on, share):
    X = ratings(300, 20)
    rng = np.random.default_rng(1)
    hidden = rng.random(X.nnz) < 0.2
    training, test = X.copy(), X.copy()
    training.data[hidden] = 0
    test.data[~hidden] = 0
    training.eliminate_zeros()
    test.eliminate_zeros()
    model = AutoRec(
        20, based_on=based_on, l2=5.0, learning_rate=0.01, random_state=0, device="cpu"
    ).fit(training)
    assert model.n_iter_ <= model.best_iteration_ + 10
    assert all(score < 0 for score in model.validation_scores_)
    naive = np.sqrt(np.mean((test.data - item_means(training)[test.indices]) ** 2))
    assert -model.score(training, test) < share * naive


def test_the_codes_know_the_ratings_that_were_held_out():
    X = ratings()
    model = AutoRec(4, max_iter=3, random_state=0, device="cpu", validation_fraction=0.3).fit(X)
    by_item = X.toarray().T
    first = model._weights["first.weight"], model._weights["first.bias"]
    expected = 1 / (1 + np.exp(-(by_item @ first[0] + first[1])))
    np.testing.assert_allclose(model.item_embeddings_, expected, rtol=1e-4)


def test_going_on_needs_the_same_users():
    X = ratings()
    model = AutoRec(4, warm_start=True, max_iter=2, random_state=0).fit(X)
    model.fit(X)
    assert model.n_iter_ == len(model.loss_curve_) == 4
    with pytest.raises(ValueError, match="the number of users changed since the fit before"):
        model.fit(X[:30])
    with pytest.raises(ValueError, match="X has 11 items"):
        model.fit(X[:, 1:])
    by_user = AutoRec(4, based_on="user", warm_start=True, max_iter=2, random_state=0).fit(X)
    assert by_user.fit(X[:30]).n_iter_ == 4


def test_going_on_with_other_ratings_takes_their_means_off():
    X = ratings()
    model = AutoRec(4, warm_start=True, max_iter=2, early_stopping=False).fit(X)
    np.testing.assert_allclose(model._weights["row_offsets"], item_means(X), rtol=1e-6)
    other = X.copy()
    other.data = 6 - other.data
    model.fit(other)
    assert np.abs(item_means(other) - item_means(X)).max() > 0.1
    np.testing.assert_allclose(model._weights["row_offsets"], item_means(other), rtol=1e-6)
    np.testing.assert_allclose(model.item_offsets_, item_means(other))


def test_parameters_may_change_after_the_fit():
    X = ratings()
    model = AutoRec(4, max_iter=2, random_state=0).fit(X)
    expected = model.predict(X)
    model.set_params(based_on="user", l2=1.0, center=False)
    np.testing.assert_array_equal(model.predict(X), expected)


def test_a_penalty_that_is_too_small_is_named():
    X = ratings()
    model = AutoRec(6, l2=1e-16, max_iter=2, **OPTIONS).fit(X)
    with pytest.raises(ValueError, match="numerically singular: use a larger l2"):
        model.predict(X)


def test_ratings_outside_the_declared_scale_are_named():
    with pytest.raises(ValueError, match=r"within rating_scale=\(1, 4\), got 5"):
        AutoRec(4, rating_scale=(1, 4)).fit([[1.0, 5], [2, 0]])
    with pytest.raises(ValueError, match="holds validation_fraction=0.1 of the entries out"):
        AutoRec(4).fit([[3.0]])


def test_offsets_are_kept_where_a_users_autoencoder_does_not_help():
    X = ratings(200, 30)
    model = AutoRec(50, based_on="user", random_state=0).fit(X)
    assert model.best_iteration_ > 0
    model.set_params(learning_rate=3.0, max_iter=5).fit(X)
    assert model.best_iteration_ == 0
    np.testing.assert_allclose(model.predict(X), BiasBaseline().fit(X).predict(X), rtol=1e-5)
