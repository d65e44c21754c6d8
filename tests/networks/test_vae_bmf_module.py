"""The network of VAE-BMF: its inputs against dense ones, its objective and its blocks."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrec.networks._cross_feedback import (
    Encoder,
    slice_products,
)
from skrec.networks._nested_blocks import (
    NestedBlocks,
    NestedTrainer,
    RatingStore,
    VAEBMFModule,
)
from skrec.networks._row_sums import (
    LeftOut,
    global_attention,
    rated_attention,
    sum_rated,
)
from skrec.neural._batches import RowStore
from skrec.neural._observed import observed_squared_errors
from skrec.neural._trainer import Progress
from skrec.solvers._devices import Placement
from skrec.solvers._gaussian_products import pair_moments

CPU = torch.device("cpu")
ENCODER = {
    "data_input": True,
    "cross_feedback": True,
    "latent_input": "concat",
    "attention": "rated",
    "attention_norm": "softmax",
    "normalize": True,
}


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    ratings = 3.5 + rng.normal(size=(50, 2)) @ rng.normal(size=(2, 24)) / 2
    ratings = np.clip(ratings + rng.normal(scale=0.3, size=ratings.shape), 1, 5).round(1)
    ratings *= rng.random(ratings.shape) < 0.4
    ratings[7] = ratings[12] = 0
    ratings[12, 5] = 4
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


def naive_towers(encoder, X, embeddings, head, dropout_scale):
    """What both towers give from dense inputs, for means or for variances."""
    x, mask = torch.from_numpy(X.toarray().astype(np.float32)), mask_of(X)
    n_entries = mask.sum(1, keepdim=True).clamp(min=1)
    scale = (dropout_scale / n_entries) ** 0.5 if encoder.normalize else dropout_scale
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
    return h


def naive_encoder(encoder, X, embeddings, dropout_scale=1.0, whole=None):
    """Posterior from dense inputs, means and variances one after the other.

    With attention each row asks for itself, or where `whole` is given, the row of another matrix
    asks in its place.
    """
    heads = []
    for head in (0, 1):
        h = naive_towers(encoder, X, embeddings, head, dropout_scale)
        if encoder.attention is not None:
            asking = h
            if whole is not None:
                asking = naive_towers(encoder, whole[0], embeddings, head, dropout_scale)[whole[1]]
            queries = asking @ encoder.attention_weight[head]
            if encoder.attention_norm == "softmax":
                queries = queries / h.shape[1] ** 0.5
            mask = mask_of(X)
            attended = mask if encoder.attention == "rated" else torch.ones_like(mask)
            context = naive_attention(queries, embeddings, attended, encoder.attention_norm)
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


def encoder_of(X, variant):
    """An encoder with biases, and what it reads."""
    encoder = Encoder(X.shape[1], 3, [6, 5], [4], **{**ENCODER, **variant})
    encoder.init(10.0, torch.Generator().manual_seed(0))
    for bias in (part for name, part in encoder.named_parameters() if "bias" in name):
        torch.nn.init.normal_(bias, generator=torch.Generator().manual_seed(1))
    return encoder, randn(X.shape[1], 3, seed=2)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_encoder_is_that_of_the_paper(X, batch, variant):
    encoder, embeddings = encoder_of(X, variant)
    ours = encoder(batch, embeddings)
    expected = naive_encoder(encoder, X, embeddings)
    parameters = list(encoder.parameters())
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    # ours reuses the memory of its gradient, hence one backward pass for both parts
    for one, other in zip(
        grads(torch.cat(ours), *parameters), grads(torch.cat(expected), *parameters), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-4)
    frozen = Encoder(X.shape[1], 3, [6, 5], [4], **{**ENCODER, **variant}, frozen=True)
    frozen.load_state_dict(encoder.frozen_state(embeddings))
    for one, other in zip(frozen(batch), ours, strict=True):
        assert_close(one, other)


def without_each(X, rows, columns):
    """The row of each entry, the entry removed."""
    rest = X[rows].tolil()
    rest[np.arange(len(rows)), columns] = 0
    return rest.tocsr()


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("variant", [*VARIANTS, {"attention_norm": "ratio"}], ids=str)
def test_leaving_an_entry_out_is_encoding_the_row_anew_without_it(X, batch, variant, dropout):
    encoder, embeddings = encoder_of(X, variant)
    if encoder.attention_norm == "ratio":
        # Of one sign, so that no denominator vanishes.
        embeddings = embeddings.abs()
        torch.nn.init.constant_(encoder.attention_weight, 0.1)
        torch.nn.init.constant_(encoder.joint[-1].bias, 20.0)
    is_kept = torch.rand(X.nnz, generator=torch.Generator().manual_seed(3)) >= dropout
    left_out = LeftOut(batch.rows, batch.items, batch.values, is_kept)
    whole, rest = encoder(batch.select(is_kept), embeddings, dropout_scale=1.3, left_out=left_out)
    kept = X.copy()
    kept.data = kept.data * is_kept.numpy()
    rows, columns = X.nonzero()
    expected = naive_encoder(encoder, kept, embeddings, 1.3)
    expected_rest = naive_encoder(
        encoder, without_each(kept, rows, columns), embeddings, 1.3, (kept, rows)
    )
    parameters = list(encoder.parameters())
    ours, naive = torch.cat([*whole, *rest]), torch.cat([*expected, *expected_rest])
    torch.testing.assert_close(ours, naive, rtol=1e-3, atol=1e-4)
    for one, other in zip(grads(ours, *parameters), grads(naive, *parameters), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


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
        for part in (user_mean, np.exp(user_log_var), item_mean, np.exp(item_log_var))
    ]
    ours = observed_squared_errors(batch, tensors[:2], tensors[2:]).numpy()
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
            "leave_one_out": False,
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


def naive_objective(module, X, leave_one_out):
    """Objective over all ratings, each encoded by itself."""
    sides = (
        (module.user_encoder, X, module.item_embeddings),
        (module.item_encoder, X.T.tocsr(), module.user_embeddings),
    )
    rows, columns = X.nonzero()
    posteriors, of_ratings = [], []
    for (encoder, matrix, embeddings), (own, other) in zip(
        sides, ((rows, columns), (columns, rows)), strict=True
    ):
        posterior = naive_encoder(encoder, matrix, embeddings)
        rated = [part[own] for part in posterior]
        if leave_one_out:
            rest = without_each(matrix, own, other)
            rated = naive_encoder(encoder, rest, embeddings, whole=(matrix, own))
        posteriors.append(posterior)
        of_ratings.append(rated)

    def kl(mean, log_var):
        return (mean**2 + log_var.exp() - 1 - log_var).sum() / 2

    (z, log_s), (v, log_t) = of_ratings
    s, t = log_s.exp(), log_t.exp()
    ratings = torch.from_numpy(X.data.astype(np.float32))
    errors = (ratings - (z * v).sum(1)) ** 2 + (z**2 * t + s * (v**2 + t)).sum(1)
    return errors.sum() / 2 + 0.7 * kl(*posteriors[0]) + 0.2 * kl(*posteriors[1])


@pytest.mark.parametrize("leave_one_out", [False, True])
@pytest.mark.parametrize("sizes", [(20, 10), (3, 2), (1000, 1000)])
def test_blocks_add_up_to_the_objective(X, sizes, leave_one_out):
    module = module_of(X, leave_one_out=leave_one_out)
    total = sum(module(block, None, None) for block in blocks_of(X, sizes=sizes))
    expected = naive_objective(module, X, leave_one_out)
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
        assert block.dropout_scale == 1 / 0.6
        ratings = users[block.ratings.rows], items[block.ratings.items]
        assert_array_equal(block.is_kept, kept[ratings])
    assert n_ratings == X.nnz
    assert abs(n_kept - 0.6 * n_ratings) < 5 * np.sqrt(0.6 * 0.4 * n_ratings)


@pytest.mark.parametrize("normalize", [False, True])
def test_dropout_keeps_the_size_of_what_is_encoded(normalize):
    X = sparse.csr_array(np.ones((1, 4000)))
    encoder = Encoder(4000, 2, [3], [], **{**ENCODER, "normalize": normalize, "attention": None})
    encoder.init(4000.0, torch.Generator().manual_seed(0))
    for weight in (encoder.data_weight, encoder.latent_weight):
        torch.nn.init.constant_(weight, 0.01)
    batch, embeddings = RowStore(X, CPU).cut(), torch.ones(4000, 2)
    some = batch.select(torch.arange(4000) % 2 == 0)
    whole, _ = encoder(batch, embeddings)
    part, _ = encoder(some, embeddings, dropout_scale=2.0)
    assert_allclose(part.detach(), whole.detach(), rtol=1e-4)


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_draws_estimate_the_expected_objective(X, leave_one_out):
    (block,) = blocks_of(X, sizes=(1000, 1000))
    options = {"leave_one_out": leave_one_out}
    expected = float(module_of(X, **options)(block, None, None).detach())
    module = module_of(X, sampled=True, **options)
    generator = torch.Generator().manual_seed(0)
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


def test_weights_grow_with_users_plus_items(X):
    """One slice of n_components * 2 * width per user and per item, and nothing larger."""

    def module(n_users, n_items):
        options = {**ENCODER, "beta_user": 1, "beta_item": 1, "learn_noise": False}
        sizes = n_items, n_users, 5, [7], []
        return VAEBMFModule(*sizes, **options, sampled=False, leave_one_out=True)

    def count(*sizes):
        return sum(tensor.numel() for tensor in module(*sizes).state_dict().values())

    per_row = 2 * 7 * 5 + 2 * 7 + 5  # latent weights, data weights, what is read
    assert count(300, 40) - count(200, 40) == 100 * per_row
    assert count(200, 90) - count(200, 40) == 50 * per_row
    largest = max(tensor.numel() for tensor in module(300, 40).state_dict().values())
    assert largest == 300 * 5 * 2 * 7


def test_one_process_trains(X):
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
