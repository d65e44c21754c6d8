"""DeepLatentFactor against naive dense versions of its objective and its input."""

import numpy as np
import pytest
import torch
from draws import check_coverage, check_means
from initial_weights import check_normal, check_uniform
from scipy import sparse

from skrec import DeepLatentFactor
from skrec.base._ratings import SMALLEST_NOISE
from skrec.networks._deep_latent_factor_module import (
    DeepLatentFactorModule,
    RowEncoder,
    noise_variance,
    rate_pairs,
)
from skrec.neural._entries import EntryStore
from skrec.neural._layers import init_glorot

CPU = torch.device("cpu")
OPTIONS = {"hidden_layer_sizes": (16,), "random_state": 0, "device": "cpu"}


def ratings(n_users=40, n_items=12, seed=0, density=0.5):
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=(n_users, 2)) @ rng.normal(size=(2, n_items))
    X = np.clip(np.round(3.2 + rng.normal(0, 0.5, n_items) + taste), 1, 5)
    X[rng.random(X.shape) > density] = 0
    return sparse.csr_array(X / X[X > 0].std())  # in the unit that is computed in


def module_of(**options):
    defaults = {
        "interaction": "product",
        "interaction_layer_sizes": [6, 4],
        "variational": False,
        "beta": 0.3,
        "dropout": 0.0,
    }
    module = DeepLatentFactorModule(12, 40, 3, [7, 5], **{**defaults, **options})
    init_glorot(module, torch.Generator().manual_seed(0))
    return module


def naive_inputs(X, batch):
    """The user's row and the item's column of each rating, dense, without the rating."""
    dense = torch.from_numpy(X.toarray()).float()
    users = batch.users.batch.users[batch.users.rows]
    items = batch.items.batch.users[batch.items.rows]
    rows, columns = dense[users].clone(), dense.t()[items].clone()
    rows[torch.arange(len(users)), items] = 0
    columns[torch.arange(len(items)), users] = 0
    return rows, columns


def naive_encoder(encoder, dense):
    hidden = (encoder.scale * dense) @ encoder.first.weight + encoder.first.bias
    for layer in encoder.others:
        hidden = layer(hidden)
    return hidden


def assert_same_gradients(one, other, module):
    parameters = list(module.parameters())
    for a, b in zip(
        torch.autograd.grad(one.sum(), parameters, retain_graph=True),
        torch.autograd.grad(other.sum(), parameters, retain_graph=True),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_the_input_without_the_rating_is_exact_in_values_and_gradients():
    X = ratings()
    generator = torch.Generator().manual_seed(1)
    for batch in EntryStore(X, CPU).batches(50, np.random.default_rng(0).permutation(X.nnz)):
        rows, columns = naive_inputs(X, batch)
        for rated, dense in ((batch.users, rows), (batch.items, columns)):
            encoder = RowEncoder(dense.shape[1], [7, 5], 3)
            init_glorot(encoder, generator)
            encoder.scale.fill_(0.3)
            ours, naive = encoder.leave_one_out(rated), naive_encoder(encoder, dense)
            torch.testing.assert_close(ours, naive, rtol=1e-4, atol=1e-5)
            weights = torch.randn(ours.shape, generator=generator)
            assert_same_gradients(ours * weights, naive * weights, encoder)


def test_a_dropped_rating_is_not_taken_out_twice():
    X = ratings()
    (batch,) = EntryStore(X, CPU).batches(X.nnz)
    dropped = batch.users.dropped_out(0.5, torch.Generator().manual_seed(0))
    encoder = RowEncoder(12, [7], 3)
    init_glorot(encoder, torch.Generator().manual_seed(1))
    dense = torch.zeros(40, 12)
    dense[dropped.batch.users[dropped.batch.rows], dropped.batch.items] = dropped.batch.values
    users = batch.users.batch.users[batch.users.rows]
    rows = dense[users]
    rows[torch.arange(X.nnz), batch.items.batch.users[batch.items.rows]] = 0
    torch.testing.assert_close(
        encoder.leave_one_out(dropped), naive_encoder(encoder, rows), rtol=1e-4, atol=1e-5
    )


def test_training_drops_entries_of_users_rows_and_then_of_items():
    """By the generator's draws, and scales up what stays."""
    X = ratings()
    module = module_of(dropout=0.6)
    (batch,) = EntryStore(X, CPU).batches(X.nnz)
    ours = module(batch, torch.Generator().manual_seed(2), None)

    generator = torch.Generator().manual_seed(2)
    codes = []
    for encoder, rated, others in (
        (module.user_encoder, batch.users, batch.items),
        (module.item_encoder, batch.items, batch.users),
    ):
        rows = rated.batch
        kept = torch.rand(X.nnz, generator=generator) >= 0.6
        dense = torch.zeros(len(rows.users), encoder.first.n_items)
        dense[rows.rows, rows.items] = rows.values * kept / 0.4
        inputs = dense[rated.rows]
        inputs[torch.arange(X.nnz), others.batch.users[others.rows]] = 0
        codes.append(naive_encoder(encoder, inputs))
    expected = (module.rate(*codes) - batch.ratings) ** 2 / 2
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("variational", [True, False])
def test_weights_start_glorot_uniform_but_for_the_first_layers_and_the_mean(variational):
    """As `fit` draws them: a step of Adam that is too small to be seen."""
    X = ratings(300, 80)
    sizes = {"hidden_layer_sizes": (64, 48), "interaction_layer_sizes": (40, 30)}
    options = {**OPTIONS, **sizes, "early_stopping": False, "max_iter": 1, "learning_rate": 1e-12}
    model = DeepLatentFactor(20, variational=variational, dropout=0.3, **options).fit(X)
    assert model._scoring_module().dropout == 0.3
    n_checked = 0
    for name, value in model._weights.items():
        if name.endswith("first.weight"):
            check_normal(value, 0, 0.1)
        elif name.endswith("weight"):
            check_uniform(value, np.sqrt(6 / sum(value.shape)))
        elif name == "rating.4.bias":
            np.testing.assert_allclose(value, X.data.mean(), rtol=1e-6)
        elif name.endswith("bias"):
            is_log_var = variational and name.endswith("others.3.bias")
            means = value[:20] if is_log_var else value
            assert np.abs(means).max() < 0.0021
            assert means.std() > 0
            if is_log_var:
                np.testing.assert_allclose(value[20:], -4, rtol=1e-6)
        else:
            continue
        n_checked += 1
    assert n_checked == 2 * 6 + 6  # layers of both encoders, and of the network over codes


def test_the_first_layer_starts_at_one_size_whatever_the_ratings():
    X = ratings(300, 200)
    X.data[:] *= 100
    encoder = RowEncoder(200, [20_000], 3)
    init_glorot(encoder, torch.Generator().manual_seed(0))
    encoder.init_scale(X, torch.Generator().manual_seed(1))
    rows = float(encoder.scale) * X.toarray()[X.nonzero()[0]]  # of every rating
    weight = encoder.first.weight.detach().numpy().astype(float)
    # The mean square of each of the units, which are independent.
    squares = np.einsum("iu,ij,ju->u", weight, rows.T @ rows / len(rows), weight, optimize=True)
    check_means(squares, 0.1**2)
    encoder.init_scale(0 * X, torch.Generator().manual_seed(1))
    assert encoder.scale == 1


@pytest.mark.parametrize("interaction", ["product", "scalar"])
@pytest.mark.parametrize("variational", [True, False])
def test_the_objective_is_that_of_the_paper(variational, interaction):
    X = ratings()
    module = module_of(variational=variational, interaction=interaction)
    (batch,) = EntryStore(X, CPU).batches(X.nnz)
    ours = module(batch, torch.Generator().manual_seed(2), None)

    generator = torch.Generator().manual_seed(2)
    codes, kl = [], 0
    for encoder, dense in zip(
        (module.user_encoder, module.item_encoder), naive_inputs(X, batch), strict=True
    ):
        hidden = torch.relu(dense @ encoder.first.weight + encoder.first.bias)
        layers = [layer for layer in encoder.others if hasattr(layer, "weight")]
        hidden = torch.relu(hidden @ layers[0].weight.t() + layers[0].bias)
        output = hidden @ layers[1].weight.t() + layers[1].bias
        if variational:
            mean, log_var = output[:, :3], output[:, 3:]
            noise = torch.randn(mean.shape, generator=generator)
            output = mean + torch.exp(log_var / 2) * noise
            kl = kl + (log_var.exp() + mean**2 - 1 - log_var).sum(1) / 2
        codes.append(output)
    product = codes[0] * codes[1]
    if interaction == "scalar":
        product = product.sum(dim=1, keepdim=True)
    one, two, three = (layer for layer in module.rating if hasattr(layer, "weight"))
    hidden = torch.relu(product @ one.weight.t() + one.bias)
    hidden = torch.relu(hidden @ two.weight.t() + two.bias)
    predicted = (hidden @ three.weight.t() + three.bias)[:, 0]
    expected = (batch.ratings - predicted) ** 2 / 2 + 0.3 * kl
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
    assert_same_gradients(ours, expected, module)


def test_the_parts_of_the_objective_do_not_depend_on_the_batch():
    X = ratings()
    module = module_of()
    store, order = EntryStore(X, CPU), np.random.default_rng(0).permutation(X.nnz)
    whole = torch.cat([module(batch, None, None) for batch in store.batches(X.nnz, order)])
    parts = torch.cat([module(batch, None, None) for batch in store.batches(9, order)])
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-5)


def test_the_variance_of_ratings_is_that_over_the_codes():
    module = module_of(variational=True)
    module.init_noise()
    for encoder in (module.user_encoder, module.item_encoder):
        assert torch.equal(encoder.others[-1].bias[3:].detach(), torch.full((3,), -4.0))
    rng = np.random.default_rng(0)
    user_outputs = rng.normal(size=(2, 6)).astype(np.float32)
    item_outputs = rng.normal(size=(3, 6)).astype(np.float32)
    draws = rng.standard_normal((5_000, 2, 3), dtype=np.float32)
    users, items = np.array([0, 1, 1]), np.array([2, 0, 1])
    ratings, variance = rate_pairs(module, user_outputs, item_outputs, users, items, draws)
    for pair, (user, item) in enumerate(zip(users, items, strict=True)):
        codes = [
            outputs[:3] + np.exp(outputs[3:] / 2) * rng.standard_normal((5_000, 3))
            for outputs in (user_outputs[user], item_outputs[item])
        ]
        with torch.inference_mode():
            drawn = module.rate(*(torch.from_numpy(code).float() for code in codes)).numpy()
            means = torch.from_numpy(user_outputs[user, :3] * item_outputs[item, :3])
            expected = float(module.rating(means)[0])
        deviations = (drawn - drawn.mean(dtype=float)) ** 2
        # Both are variances of as many draws.
        error = np.sqrt(2 / len(drawn)) * deviations.std()
        assert abs(variance[pair] - deviations.mean()) < 5 * error
        assert ratings[pair] == pytest.approx(expected, rel=1e-5)


def test_the_noise_is_what_the_codes_leave_of_the_error():
    X = ratings()
    module = module_of(variational=True)
    nowhere = np.zeros((2, 2, 3), dtype=np.float32)  # draws without any spread
    (batch,) = EntryStore(X, CPU).batches(X.nnz)
    with torch.inference_mode():
        rows, columns = naive_inputs(X, batch)
        means = [
            naive_encoder(encoder, dense)[:, :3]
            for encoder, dense in ((module.user_encoder, rows), (module.item_encoder, columns))
        ]
        error = module.rate(*means) - batch.ratings
    assert noise_variance(module, X, nowhere) == pytest.approx(float((error**2).mean()), rel=1e-4)


def test_the_noise_is_above_zero_where_the_codes_explain_all():
    wide = 100 * np.random.default_rng(0).normal(size=(8, 2, 3)).astype(np.float32)
    assert noise_variance(module_of(variational=True), ratings(), wide) == SMALLEST_NOISE


def test_uncertainty_covers_held_out_ratings():
    X = ratings(400, 30, density=0.6)
    hidden = np.random.default_rng(1).random(X.nnz) < 0.2
    training, test = X.copy(), X.copy()
    training.data[hidden] = 0
    test.data[~hidden] = 0
    training.eliminate_zeros()
    test.eliminate_zeros()
    model = DeepLatentFactor(
        8, variational=True, learning_rate=0.01, batch_size=500, max_iter=30, **OPTIONS
    ).fit(training)
    mean, std = model.predict(training, return_std=True)
    np.testing.assert_allclose(mean, model.predict(training), rtol=1e-6)
    # 0.656 with a standard deviation of 0.035 over seeds; BiasBaseline has 0.904.
    assert model.score(training, test) > -0.83 * X.data.std()
    check_coverage((mean - test.toarray()) / std, test.toarray() > 0)
    users, items = test.nonzero()
    assert (std**2 > model.noise_variance_).all()
    assert std.std() > 0
    states = model._pair_states(training)
    pairs = model._rate_pairs(states, users, items, return_std=True)
    np.testing.assert_allclose(pairs[0], mean[users, items], rtol=1e-5)
    np.testing.assert_allclose(pairs[1], std[users, items], rtol=1e-3)


def test_without_distributions_there_is_no_standard_deviation():
    X = ratings()
    model = DeepLatentFactor(4, max_iter=2, **OPTIONS).fit(X)
    with pytest.raises(ValueError, match="return_std=True needs .* variational=True"):
        model.predict(X, return_std=True)
    with pytest.raises(ValueError, match="return_std=True needs"):
        model._rate_pairs(model._pair_states(X), np.array([0]), np.array([1]), return_std=True)
    model.set_params(variational=True)  # the fitted network is another
    assert model.predict(X).shape == X.shape


def test_pairs_are_entries_of_whole_rows():
    X = ratings()
    model = DeepLatentFactor(4, max_iter=5, **OPTIONS).fit(X)
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 40, 9000), rng.integers(0, 12, 9000)
    pairs = model._rate_pairs(model._pair_states(X), users, items)
    np.testing.assert_allclose(pairs, model.predict(X)[users, items], rtol=1e-5)
    assert model.transform(X).shape == (40, 4)
    assert model.item_embeddings_.shape == (12, 4)


def test_items_are_encoded_from_all_their_ratings():
    X = ratings()
    model = DeepLatentFactor(4, max_iter=2, validation_fraction=0.3, **OPTIONS).fit(X)
    with torch.inference_mode():
        columns = torch.from_numpy(X.toarray().T).float()
        expected = naive_encoder(model._scoring_module().item_encoder, columns).numpy()
    np.testing.assert_allclose(model.item_embeddings_, expected, rtol=1e-4, atol=1e-5)


def test_a_beta_of_one_leaves_nothing_but_the_mean():
    X = ratings(200, 20)
    options = {"max_iter": 30, "early_stopping": False, "learning_rate": 0.01, **OPTIONS}
    options["batch_size"] = 200
    model = DeepLatentFactor(4, variational=True, beta=1.0, **options).fit(X)
    np.testing.assert_allclose(model.predict(X), X.data.mean(), atol=0.02)
    model.set_params(beta=0.001).fit(X)
    assert model.predict(X).std() > 0.5 * X.data.std()


def test_going_on_needs_the_same_users():
    X = ratings()
    model = DeepLatentFactor(4, warm_start=True, max_iter=2, **OPTIONS).fit(X).fit(X)
    assert model.n_iter_ == len(model.loss_curve_) == 4
    with pytest.raises(ValueError, match="n_users changed since the fit before"):
        model.fit(X[:30])
    with pytest.raises(ValueError, match="n_components changed"):
        model.set_params(n_components=5).fit(X)


def test_wrong_parameters_are_named():
    X = ratings()
    with pytest.raises(ValueError, match="^hidden_layer_sizes needs at least 1 layer"):
        DeepLatentFactor(hidden_layer_sizes=()).fit(X)
    with pytest.raises(ValueError, match="interaction_layer_sizes needs at least 1 layer"):
        DeepLatentFactor(interaction_layer_sizes=()).fit(X)
    with pytest.raises(ValueError, match="'interaction' parameter"):
        DeepLatentFactor(interaction="sum").fit(X)
