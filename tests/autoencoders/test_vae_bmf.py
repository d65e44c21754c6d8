"""VAE-BMF: its inputs against dense ones, its objective, its blocks, and what it predicts."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from skorch.callbacks import Callback

from skrec import VAEBMF
from skrec.autoencoders._cross_feedback import (
    Encoder,
    expected_squared_error,
    global_attention,
    pair_moments,
    rated_attention,
    slice_products,
    sum_rated,
)
from skrec.autoencoders._nested_blocks import (
    NestedBlocks,
    NestedTrainer,
    RatingStore,
    VAEBMFModule,
)
from skrec.neural._batches import RowStore
from skrec.neural._devices import Placement
from skrec.neural._trainer import Progress

CPU = torch.device("cpu")
ENCODER = {
    "data_input": True,
    "cross_feedback": True,
    "latent_input": "concat",
    "attention": "rated",
    "attention_norm": "softmax",
    "normalize": True,
}
OPTIONS = {
    "hidden_layer_sizes": (8,),
    "learning_rate": 0.01,
    "user_batch_size": 20,
    "item_batch_size": 10,
    "max_iter": 5,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    ratings = 3.5 + rng.normal(size=(50, 2)) @ rng.normal(size=(2, 24)) / 2
    ratings = np.clip(ratings + rng.normal(scale=0.3, size=ratings.shape), 1, 5).round(1)
    ratings *= rng.random(ratings.shape) < 0.4
    ratings[7] = 0
    ratings[:, 3] = 0
    return sparse.csr_array(ratings)


@pytest.fixture
def batch(X):
    return RowStore(X, CPU).cut()


def randn(*shape, seed=0, requires_grad=False):
    tensor = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return tensor.requires_grad_(requires_grad)


def mask_of(X):
    return torch.from_numpy((X.toarray() != 0).astype(np.float32))


def grads(output, *inputs, seed=9):
    (output * randn(*output.shape, seed=seed)).sum().backward()
    found = [tensor.grad.clone() for tensor in inputs]
    for tensor in inputs:
        tensor.grad = None
    return found


def assert_close(ours, expected):
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("with_memory", [False, True])
def test_the_factorised_latent_input_is_the_dense_one(X, batch, with_memory):
    n_items = X.shape[1]
    embeddings, weight = randn(n_items, 3), randn(n_items, 3, 5, seed=1, requires_grad=True)
    memory = torch.full_like(weight, torch.nan) if with_memory else None
    ours = sum_rated(slice_products(embeddings, weight, memory), batch)
    concatenated = (mask_of(X)[:, :, None] * embeddings).reshape(len(batch), -1)
    expected = concatenated @ weight.reshape(-1, 5)
    assert_close(ours, expected)
    assert_close(grads(ours, weight)[0], grads(expected, weight)[0])


def test_the_gradient_of_the_latent_input_is_not_copied():
    embeddings, weight = randn(6, 3), randn(6, 3, 5, requires_grad=True)
    memory = torch.empty_like(weight)
    slice_products(embeddings, weight, memory).sum().backward()
    assert weight.grad.data_ptr() == memory.data_ptr()


def naive_attention(queries, embeddings, mask, norm):
    rows = []
    for query, is_rated in zip(queries, mask.bool(), strict=True):
        products = embeddings[is_rated] @ query
        weights = products.softmax(0) if norm == "softmax" else products / products.sum()
        rows.append(weights @ embeddings[is_rated])
    return torch.stack(rows)


@pytest.mark.parametrize("norm", ["softmax", "ratio"])
@pytest.mark.parametrize("attention", ["rated", "all"])
def test_attention_is_that_of_a_plain_loop(X, batch, attention, norm):
    # Queries and embeddings of one sign keep the denominators of the ratio away from zero.
    queries = randn(len(batch), 3).abs().requires_grad_()
    embeddings = randn(X.shape[1], 3, seed=1).abs()
    if attention == "rated":
        ours, mask = rated_attention(queries, embeddings, batch, norm), mask_of(X)
    else:
        ours, mask = global_attention(queries, embeddings, norm), torch.ones(X.shape)
    expected = naive_attention(queries, embeddings, mask, norm)
    assert_close(ours, expected)
    assert_close(grads(ours, queries)[0], grads(expected, queries)[0])
    if attention == "rated":
        assert (ours[7] == 0).all()


def test_the_ratio_stays_finite_where_its_denominator_vanishes():
    embeddings = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    batch = RowStore(sparse.csr_array(np.ones((2, 2))), CPU).cut()
    for context in (
        global_attention(queries, embeddings, "ratio"),
        rated_attention(queries, embeddings, batch, "ratio"),
    ):
        assert_allclose(context.detach()[0], [2e6, 0], rtol=1e-5)
        assert torch.isfinite(grads(context, queries)[0]).all()


def naive_encoder(encoder, X, embeddings, norm="softmax"):
    """Posterior from dense inputs, means and variances one after the other."""
    x, mask = torch.from_numpy(X.toarray().astype(np.float32)), mask_of(X)
    n_entries = mask.sum(1, keepdim=True).clamp(min=1)
    scale = n_entries**-0.5 if encoder.normalize else 1.0
    heads = []
    for head in (0, 1):
        towers = []
        if encoder.data_input:
            weight, bias = (
                part.unflatten(-1, (2, -1))[..., head, :]
                for part in (encoder.data_weight, encoder.data_bias)
            )
            towers.append((x @ weight * scale + bias, encoder.data_tower))
        if encoder.cross_feedback:
            weight, bias = (
                part.unflatten(-1, (2, -1))[..., head, :]
                for part in (encoder.latent_weight, encoder.latent_bias)
            )
            if encoder.latent_input == "mean":
                latent = mask @ embeddings / n_entries @ weight[0]
            else:
                concatenated = (mask[:, :, None] * embeddings).flatten(1)
                latent = concatenated @ weight.flatten(0, 1) * scale
            towers.append((latent + bias, encoder.latent_tower))
        outputs = []
        for first, layers in towers:
            h = torch.relu(first)
            for layer in layers:
                h = torch.relu(h @ layer.weight[head] + layer.bias[head])
            outputs.append(h)
        h = torch.cat(outputs, 1)
        for number, layer in enumerate(encoder.joint):
            h = torch.relu(h) if number else h
            h = h @ layer.weight[head] + layer.bias[head]
        if encoder.attention is not None:
            queries = h @ encoder.attention_weight[head]
            if norm == "softmax":
                queries = queries / h.shape[1] ** 0.5
            attended = mask if encoder.attention == "rated" else torch.ones_like(mask)
            context = naive_attention(queries, embeddings, attended, norm)
            h = torch.cat([h, context], 1) @ encoder.attended.weight[head]
            h = h + encoder.attended.bias[head]
        heads.append(h)
    return heads[0], torch.sigmoid(heads[1]).log()


VARIANTS = [
    {},
    {"attention": "all"},
    {"attention": None, "normalize": False},
    {"data_input": False},
    {"cross_feedback": False, "attention": None},
    {"latent_input": "mean"},
    {"attention_norm": "ratio", "attention": "all"},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_encoder_is_that_of_the_paper(X, batch, variant):
    encoder = Encoder(X.shape[1], 3, [6, 5], [4], **{**ENCODER, **variant})
    encoder.init(10.0, torch.Generator().manual_seed(0))
    for bias in (part for name, part in encoder.named_parameters() if "bias" in name):
        torch.nn.init.normal_(bias, generator=torch.Generator().manual_seed(1))
    embeddings = randn(X.shape[1], 3, seed=2)
    ours = encoder(batch, embeddings)
    expected = naive_encoder(encoder, X, embeddings, encoder.attention_norm)
    parameters = list(encoder.parameters())
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    # ours reuses the memory of its gradient, hence one backward pass for both parts
    for one, other in zip(
        grads(torch.cat(ours), *parameters), grads(torch.cat(expected), *parameters), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-4)
    settled = Encoder(X.shape[1], 3, [6, 5], [4], **{**ENCODER, **variant}, settled=True)
    settled.load_state_dict(encoder.settled_state(embeddings))
    for one, other in zip(settled(batch), ours, strict=True):
        assert_close(one, other)


@pytest.mark.parametrize(
    ("switched_off", "gone"),
    [
        ({"data_input": False}, "data"),
        ({"cross_feedback": False}, "latent"),
        ({"cross_feedback": False}, "atten"),
        ({"attention": None}, "atten"),
    ],
)
def test_what_is_switched_off_is_not_there(X, switched_off, gone):
    def weights(**options):
        model = VAEBMF(3, **OPTIONS, **options, early_stopping=False, warm_start=True)
        return model.set_params(max_iter=1).fit(X)._weights

    assert any(gone in name for name in weights())
    assert not any(gone in name for name in weights(**switched_off))


def test_without_data_only_who_rated_what_counts(X):
    model = VAEBMF(3, data_input=False, **OPTIONS).fit(X)
    other = X.copy()
    other.data = np.random.default_rng(1).permutation(other.data)
    assert_allclose(model.predict(other), model.predict(X), rtol=1e-5)
    model = VAEBMF(3, cross_feedback=False, **OPTIONS).fit(X)
    assert np.abs(model.predict(other) - model.predict(X)).max() > 1e-3


def moments(n, seed):
    mean = np.random.default_rng(seed).normal(size=(n, 4))
    log_var = np.random.default_rng(seed + 1).normal(size=(n, 4)) - 1
    return mean, log_var


def test_the_expected_squared_error_is_the_mean_over_draws():
    X = sparse.random_array((5, 6), density=0.6, format="csr", rng=0)
    (user_mean, user_log_var), (item_mean, item_log_var) = moments(5, 0), moments(6, 5)
    users, items = X.nonzero()
    batch = RowStore(X, CPU).cut()
    tensors = [
        torch.tensor(part, dtype=torch.float32)
        for part in (user_mean, user_log_var, item_mean, item_log_var)
    ]
    ours = expected_squared_error(batch, *tensors).numpy()
    rng = np.random.default_rng(2)
    draws = 200_000
    for entry, (user, item) in enumerate(zip(users, items, strict=True)):
        z = rng.normal(user_mean[user], np.exp(user_log_var[user] / 2), (draws, 4))
        v = rng.normal(item_mean[item], np.exp(item_log_var[item] / 2), (draws, 4))
        errors = (X.data[entry] - (z * v).sum(1)) ** 2
        assert abs(errors.mean() - ours[entry]) < 5 * errors.std() / draws**0.5
    # The same formula for predictions: what is not the error of the mean is the variance.
    means, variances = pair_moments(
        (user_mean, np.exp(user_log_var)), (item_mean, np.exp(item_log_var)), users, items
    )
    assert_allclose((X.data - means) ** 2 + variances, ours, rtol=1e-5)


def module_of(X, **options):
    module = VAEBMFModule(
        X.shape[1],
        X.shape[0],
        3,
        [6],
        [],
        **{
            "beta_user": 0.7,
            "beta_item": 0.2,
            "learn_noise": False,
            "sampled": False,
            **ENCODER,
            **options,
        },
    )
    module.init(X.nnz, torch.Generator().manual_seed(0))
    return module


def blocks_of(X, dropout=0.0, sizes=(20, 10)):
    generator = torch.Generator().manual_seed(0)
    store = RatingStore(X, CPU)
    blocks = NestedBlocks(store, *sizes, dropout, np.random.default_rng(0), generator)
    return [block for block, _ in blocks]


@pytest.mark.parametrize("sizes", [(20, 10), (3, 2), (1000, 1000)])
def test_blocks_add_up_to_the_objective(X, sizes):
    module = module_of(X)
    total = sum(module(block, None, None) for block in blocks_of(X, sizes=sizes))
    users = naive_encoder(module.user_encoder, X, module.item_embeddings)
    items = naive_encoder(module.item_encoder, X.T.tocsr(), module.user_embeddings)

    def kl(mean, log_var):
        return (mean**2 + log_var.exp() - 1 - log_var).sum(1) / 2

    x, mask = torch.from_numpy(X.toarray().astype(np.float32)), mask_of(X)
    user_var, item_var = users[1].exp(), items[1].exp()
    errors = (x - users[0] @ items[0].t()) ** 2 + (
        users[0] ** 2 @ item_var.t() + user_var @ (items[0] ** 2 + item_var).t()
    )
    expected = (mask * errors).sum() / 2 + 0.7 * kl(*users).sum() + 0.2 * kl(*items).sum()
    torch.testing.assert_close(total, expected, rtol=1e-4, atol=0)
    if sizes == (1000, 1000):  # further blocks reuse the memory of the gradient
        parameters = list(module.parameters())
        ours, naive = (torch.autograd.grad(one, parameters) for one in (total, expected))
        for one, other in zip(ours, naive, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_a_sweep_has_every_rating_once(X):
    seen = np.zeros(X.shape)
    for block in blocks_of(X):
        users, items = block.users.users.numpy(), block.items.users.numpy()
        assert len(users) <= 20
        assert len(items) <= 10
        ratings = block.ratings
        rows, columns = users[ratings.rows], items[ratings.items]
        seen[rows, columns] += ratings.values.numpy()
        assert block.n_total == len(rows) > 0
    assert_allclose(seen, X.toarray(), rtol=1e-6)


def test_dropout_hides_a_rating_from_both_sides_at_once(X):
    n_kept = n_ratings = 0
    for block in blocks_of(X, dropout=0.4):
        users, items = block.users.users.numpy(), block.items.users.numpy()
        by_user, by_item = np.zeros((2, *X.shape))
        by_user[users[block.users.rows], block.users.items] = block.users.values
        by_item[block.items.items, items[block.items.rows]] = block.items.values
        within = np.ix_(users, items)
        assert_array_equal(by_user[within], by_item[within])
        kept = by_user != 0
        assert_allclose(by_user[kept], X.toarray()[kept], rtol=1e-6)
        n_kept += (by_user[within] != 0).sum()
        n_ratings += block.n_total
        assert block.inflation == 1 / 0.6
    assert n_ratings == X.nnz
    assert 0.5 < n_kept / n_ratings < 0.7


@pytest.mark.parametrize("normalize", [False, True])
def test_dropout_keeps_the_size_of_what_is_encoded(normalize):
    X = sparse.csr_array(np.ones((1, 4000)))
    encoder = Encoder(4000, 2, [3], [], **{**ENCODER, "normalize": normalize, "attention": None})
    encoder.init(4000.0, torch.Generator().manual_seed(0))
    for weight in (encoder.data_weight, encoder.latent_weight):
        torch.nn.init.constant_(weight, 0.01)
    batch, embeddings = RowStore(X, CPU).cut(), torch.ones(4000, 2)
    some = batch.select(torch.rand(4000, generator=torch.Generator().manual_seed(1)) >= 0.5)
    whole, _ = encoder(batch, embeddings)
    part, _ = encoder(some, embeddings, inflation=2.0)
    assert_allclose(part.detach(), whole.detach(), rtol=0.05)


def test_draws_estimate_the_expected_objective(X):
    (block,) = blocks_of(X, sizes=(1000, 1000))
    expected = float(module_of(X)(block, None, None).detach())
    module, generator = module_of(X, sampled=True), torch.Generator().manual_seed(0)
    with torch.no_grad():
        draws = [float(module(block, generator, None)) for _ in range(400)]
    assert abs(np.mean(draws) - expected) < 4 * np.std(draws) / 20


def test_learned_noise_is_best_at_the_mean_squared_error(X):
    (block,) = blocks_of(X, sizes=(1000, 1000))
    module = module_of(X, learn_noise=True, beta_user=0.0, beta_item=0.0)
    unit = float(module(block, None, None).detach())
    with torch.no_grad():
        module.log_noise.fill_(np.log(2 * unit / X.nnz))
    (gradient,) = torch.autograd.grad(module(block, None, None), module.log_noise)
    assert abs(float(gradient)) < 1e-2


def test_what_is_fed_is_drawn_after_each_sweep(X):
    fed = []

    class Watch(Callback):
        def on_epoch_begin(self, net, **kwargs):
            self.start_ = net.module.item_embeddings.clone()

        def on_batch_end(self, net, **kwargs):
            torch.testing.assert_close(net.module.item_embeddings, self.start_)

        def on_epoch_end(self, net, dataset_train=None, **kwargs):
            mean, log_var = net.module.encode_items(dataset_train, fed[-1]) if fed else (0, 0)
            fed.append(net.module.user_embeddings.clone())
            if len(fed) > 1:
                z = (net.module.item_embeddings - mean) / torch.exp(log_var / 2)
                assert abs(float(z.mean())) < 0.4
                assert 0.7 < float(z.std()) < 1.3

    VAEBMF(4, callbacks=[Watch()], early_stopping=False, **OPTIONS).fit(X)
    assert len(fed) == 5


def test_predictions_are_products_of_means_that_the_encoder_gives(X):
    model = VAEBMF(4, clip=False, **OPTIONS).fit(X)
    states = model.transform(X)
    assert_allclose(model.predict(X), states @ model.item_embeddings_.T + model.mean_, rtol=1e-5)
    ratings, std = model.predict(X, return_std=True)
    means, variances = model._user_states(X)
    rng = np.random.default_rng(0)
    for user, item in ((0, 1), (4, 9), (7, 3)):
        z = rng.normal(means[user], variances[user] ** 0.5, (100_000, 4))
        v = rng.normal(model.item_embeddings_[item], model.item_variances_[item] ** 0.5, z.shape)
        draws = model.mean_ + (z * v).sum(1)
        draws += rng.normal(scale=model.noise_variance_**0.5, size=len(draws))
        assert_allclose(ratings[user, item], draws.mean(), atol=5 * draws.std() / 300)
        assert_allclose(std[user, item], draws.std(), rtol=0.02)
    users, items = np.array([0, 4, 7, 0]), np.array([1, 9, 3, 23])
    pairs = model._rate_pairs(model._user_states(X), users, items, return_std=True)
    assert_allclose(pairs[0], ratings[users, items], rtol=1e-5)
    assert_allclose(pairs[1], std[users, items], rtol=1e-5)


def test_the_best_sweep_is_kept_and_scored_as_predictions_are(X):
    kept = []

    class Keep(Callback):
        def on_epoch_end(self, net, **kwargs):
            kept.append({name: value.clone() for name, value in net.module.state_dict().items()})

    model = VAEBMF(4, callbacks=[Keep()], validation_fraction=0.2, warm_start=True, **OPTIONS)
    model.set_params(max_iter=12, learning_rate=0.03).fit(X)
    best = int(np.argmax(model.validation_scores_))
    assert model.best_iteration_ == best + 1
    for name, weights in model._weights.items():
        assert_array_equal(weights, kept[best][name])
    # The score is minus the RMSE of what the model would predict without what is held out.
    training, score = model._hold_out(X, 0)
    module = VAEBMFModule(X.shape[1], **model._options)
    module.load_state_dict(
        {name: torch.from_numpy(value) for name, value in model._weights.items()}
    )
    assert score(module) == pytest.approx(model.validation_scores_[best], rel=1e-5)
    state = model._fitted_state(module, training)
    blind = clone(model)
    vars(blind).update({**vars(model), **state, "_modules": {}})
    held_out = sparse.csr_array(X - training)
    held_out.eliminate_zeros()
    errors = (blind.predict(training) - X)[held_out.nonzero()]
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(-score(module), rel=1e-5)
    with pytest.raises(ValueError, match="early_stopping=True holds"):
        model.set_params(warm_start=False).fit([[5.0, 0.0]])


def test_embeddings_shrink_to_the_prior_where_divergences_are_dear(X):
    options = {**OPTIONS, "max_iter": 30, "early_stopping": False, "learning_rate_decay": 1.0}
    model = VAEBMF(4, beta_user=1e4, beta_item=1e4, **options).fit(X)
    assert_allclose(model.predict(X), model.mean_, atol=0.05)
    assert np.abs(VAEBMF(4, **options).fit(X).predict(X) - model.mean_).max() > 0.5


def simulated(n_users=300, n_items=60, noise=0.5):
    rng = np.random.default_rng(0)
    ratings = 3 + rng.normal(size=(n_users, 2)) @ rng.normal(size=(2, n_items))
    ratings += rng.normal(scale=noise, size=ratings.shape)
    group = rng.random(ratings.shape)
    return ratings, sparse.csr_array(ratings * (group < 0.4)), group > 0.8


@pytest.fixture(scope="module")
def simulation():
    ratings, X, is_test = simulated()
    model = VAEBMF(
        4,
        hidden_layer_sizes=(40,),
        user_batch_size=50,
        item_batch_size=60,
        max_iter=25,
        clip=False,
        random_state=0,
    )
    return ratings, is_test, X, model.fit(X)


def test_held_out_ratings_are_predicted_and_covered(simulation):
    ratings, is_test, X, model = simulation
    predicted, std = model.predict(X, return_std=True)
    errors = (predicted - ratings)[is_test]
    assert np.sqrt(np.mean(errors**2)) < 0.5 * ratings.std()
    assert 0.86 < np.mean(np.abs(errors) < 1.645 * std[is_test]) < 0.94


def test_new_users_are_as_good_as_known_ones(simulation):
    ratings, is_test, X, model = simulation
    rows = X[:150]
    half = VAEBMF(**model.get_params()).fit(X[150:])
    errors = {
        name: np.sqrt(np.mean((one.predict(rows) - ratings[:150])[is_test[:150]] ** 2))
        for name, one in (("known", model), ("new", half))
    }
    assert errors["new"] < 1.3 * errors["known"]


def test_the_encoder_of_items_is_kept_only_for_a_warm_start(X):
    model = VAEBMF(4, **OPTIONS).fit(X)
    assert model._weights == {}
    per_user = 4 * 2 * 8  # weights of the latent input of items
    assert sum(array.size for array in model._encoder_weights.values()) < per_user * X.shape[0]
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(X), model.predict(X))
    with pytest.raises(ValueError, match="the fit before was made with warm_start=False"):
        again.set_params(warm_start=True).fit(X)
    assert_array_equal(again.predict(X), model.predict(X))


def test_a_warm_start_goes_on(X):
    model = VAEBMF(4, warm_start=True, early_stopping=False, **OPTIONS).fit(X)
    first = model.loss_curve_[-1]
    n_updates = model.n_updates_
    model = pickle.loads(pickle.dumps(model)).fit(X)
    assert model.n_iter_ == len(model.loss_curve_) == 10
    assert model.n_updates_ == 2 * n_updates
    assert model.loss_curve_[5] < first + 0.05
    with pytest.raises(ValueError, match="n_users changed"):
        model.fit(X[:40])


def test_ctrl_c_keeps_the_model_so_far(X):
    class CtrlC(Callback):
        def on_batch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    model = VAEBMF(4, callbacks=[CtrlC()], **OPTIONS)
    with pytest.warns(UserWarning, match="interrupted in epoch 3: the model so far is kept"):
        model.fit(X)
    assert model.n_iter_ == 2
    assert np.isfinite(model.predict(X)).all()


def test_the_learning_rate_falls_with_each_sweep(X):
    rates = []

    class KeepRate(Callback):
        def on_epoch_begin(self, net, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    VAEBMF(4, callbacks=[KeepRate()], learning_rate_decay=0.5, **OPTIONS).fit(X)
    assert_allclose(rates, 0.01 * 0.5 ** np.arange(5))


def test_constant_ratings_are_predicted_exactly():
    X = np.full((12, 8), 4.0)
    ratings, std = VAEBMF(3, **OPTIONS).fit(X).predict(X, return_std=True)
    assert_array_equal(ratings, 4)
    assert (std > 0).all()


def test_wrong_parameters_are_named(X):
    with pytest.raises(ValueError, match="data_input=True.*got False for both"):
        VAEBMF(data_input=False, cross_feedback=False).fit(X)
    with pytest.raises(ValueError, match="hidden_layer_sizes needs at least 1 layer"):
        VAEBMF(hidden_layer_sizes=()).fit(X)
    with pytest.raises(ValueError, match="'attention' parameter of VAEBMF"):
        VAEBMF(attention="local").fit(X)
    with pytest.raises(ValueError, match=r"within rating_scale=\(1, 4\), got"):
        VAEBMF(rating_scale=(1, 4)).fit(X)
    two = Placement(CPU, SimpleNamespace(num_processes=2))
    with pytest.raises(ValueError, match="VAEBMF trains in one process.*got 2"):
        NestedTrainer(
            module_of(X),
            user_batch_size=2,
            item_batch_size=2,
            dropout=0.0,
            learning_rate_decay=1.0,
            rng=None,
            generator=None,
            start=Progress(0, 0),
            placement=two,
        )
