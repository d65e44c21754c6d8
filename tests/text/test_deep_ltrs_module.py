"""The mathematics of DeepLTRS, against loops over all pairs."""

import copy
import math

import numpy as np
import pytest
import torch
from draws import check_means, check_variances
from initial_weights import check_uniform
from scipy import sparse
from sklearn import config_context
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from skrec import DeepLTRS
from skrec.neural._batches import RowStore
from skrec.neural._layers import init_uniform
from skrec.neural._observed import observed_squared_errors
from skrec.solvers._gaussian_products import variance_factors
from skrec.solvers._offsets import less_offsets
from skrec.text import _deep_ltrs_module
from skrec.text._deep_ltrs_module import (
    DeepLTRSModule,
    WordDecoder,
)
from skrec.text._rated_pairs import (
    BothSides,
    RatedPairs,
    encoder_rows,
    sum_words,
)

CPU = torch.device("cpu")
M, P, V, D, K = 7, 5, 6, 3, 4


@pytest.fixture
def pairs():
    """Ratings of which user 2 and item 4 have none, one of them zero, and counts of words."""
    rng = np.random.default_rng(0)
    ratings = sparse.random_array((M, P), density=0.6, rng=rng, format="csr")
    ratings.data = rng.normal(size=ratings.nnz)
    ratings = ratings.toarray()
    ratings[2], ratings[:, 4] = 0, 0
    ratings = sparse.csr_array(ratings)
    ratings.data[3] = 0
    ratings.data /= ratings.data.std()  # in the unit that is computed in
    words = sparse.csr_array(rng.poisson(0.7, (ratings.nnz, V)).astype(np.float32))
    return RatedPairs(ratings, words)


@pytest.fixture(params=[True, False], ids=["offsets", "plain"])
def module(request):
    module = DeepLTRSModule(
        P,
        n_users=M,
        n_words=V,
        n_components=D,
        n_topics=K,
        hidden_layer_sizes=[6, 5],
        topic_hidden_size=7,
        dropout=0.0,
        offsets=request.param,
        text_weight=0.7,
    )
    generator = torch.Generator().manual_seed(1)
    init_uniform(module, generator)
    with torch.no_grad():
        module.log_noise.fill_(0.3)
        if request.param:
            module.component_weights.copy_(torch.tensor([0.5, -1.0, 2.0]))
            module.word_decoder.offsets.copy_(torch.randn(V, generator=generator))
        for name, buffer in module.named_buffers():
            if "running" in name:
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    return module.eval()


@pytest.fixture
def fixed_draws(monkeypatch):
    """Draws of the latents at the same 0.7 standard deviations, wherever they are made."""

    def draw(mean, log_var, generator=None):
        return mean + 0.7 * torch.exp(log_var / 2)

    monkeypatch.setattr(_deep_ltrs_module, "draw_gaussian", draw)
    return draw


def naive_posteriors(module, pairs):
    """Encoder rows built one by one, empty ones at the prior."""
    ratings, words = pairs.ratings, pairs.words.toarray()
    rows, columns = pair_indices(ratings)
    posteriors = {}
    for side, own, others in [("user", rows, columns), ("item", columns, rows)]:
        n_rows, n_others = (M, P) if side == "user" else (P, M)
        inputs = torch.zeros(n_rows, n_others + V)
        for n in range(ratings.nnz):
            inputs[own[n], others[n]] = ratings.data[n]
            inputs[own[n], n_others:] += torch.tensor(words[n])
        encoder = module.encoders[side]
        hidden = nn.functional.softplus(inputs @ encoder.first.weight + encoder.first.bias)
        for layer in encoder.others:
            hidden = nn.functional.softplus(layer(hidden))
        known = torch.tensor([[row in own] for row in range(n_rows)])
        posteriors[side] = (
            encoder.mean_norm(encoder.mean(hidden)) * known,
            encoder.log_var_norm(encoder.log_var(hidden)) * known,
        )
    return posteriors


def naive_negative_elbo(module, pairs, draw):
    """From the formula, by a loop over all pairs of user and item."""
    ratings, words = pairs.ratings, pairs.words.toarray()
    observed = {pair: n for n, pair in enumerate(zip(*pair_indices(ratings), strict=True))}
    posteriors = naive_posteriors(module, pairs)
    total = 0
    for mean, log_var in posteriors.values():
        total = total + ((log_var.exp() + mean**2 - 1 - log_var) / 2).sum()
    (r, log_s), (c, log_t) = posteriors["user"], posteriors["item"]
    s, t, w = log_s.exp(), log_t.exp(), module.component_weights
    noise = module.log_noise.exp()
    decoder, norm = module.word_decoder, module.word_decoder.norm
    first = torch.cat([decoder.users.weight, decoder.items.weight], dim=1)
    for i in range(M):
        for j in range(P):
            latents = torch.cat([draw(r[i], log_s[i]), draw(c[j], log_t[j])])
            hidden = torch.relu(first @ latents + decoder.users.bias + decoder.items.bias)
            logits = decoder.words(torch.softmax(decoder.topics(hidden), dim=0))
            logits = (logits - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
            if decoder.offsets is not None:
                logits = logits + decoder.offsets
            if (i, j) not in observed:
                continue
            n = observed[i, j]
            error = (ratings.data[n] - (w * r[i] * c[j]).sum()) ** 2
            error = error + (w**2 * (r[i] ** 2 * t[j] + c[j] ** 2 * s[i] + s[i] * t[j])).sum()
            total = total + (error / noise + torch.log(2 * math.pi * noise)) / 2
            log_likelihood = (torch.tensor(words[n]) * torch.log_softmax(logits, dim=0)).sum()
            total = total - 0.7 * log_likelihood
    return total


def pair_indices(ratings):
    return np.repeat(np.arange(M), np.diff(ratings.indptr)), ratings.indices


def dense_words(words):
    counts = torch.zeros(len(words), V)
    counts.view(-1).index_add_(0, words.flat, words.values)
    return counts


def remember(module, store):
    for side in (store.users, store.items):
        module.remember(side.side, side.inputs, 3)
    module.eval()


def test_both_phases_are_the_lower_bound(module, pairs, fixed_draws):
    store = BothSides(pairs, False, CPU)
    remember(module, store)
    expected = naive_negative_elbo(module, pairs, fixed_draws).item()
    for side, other in [(store.users, "item"), (store.items, "user")]:
        batch = side.cut(side.rated)
        rows = module(batch, None, None)
        assert rows.shape == (len(side),)
        got = rows.mean() * store.n_pairs + module.kl(other)
        assert got.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("side", ["user", "item"])
def test_training_drops_hidden_units_and_shares_of_topics(module, pairs, side):
    """In this order, by the generator's draws; what stays is scaled up."""
    p = 0.6
    store = BothSides(pairs, False, CPU)
    remember(module, store)
    phase = getattr(store, f"{side}s")
    batch = phase.cut(phase.rated)
    encoder, decoder = module.encoders[side], module.word_decoder
    encoder.dropout = decoder.dropout = p
    ours = module(batch, torch.Generator().manual_seed(3), None)

    generator = torch.Generator().manual_seed(3)

    def drop(x):
        return x * (torch.rand(x.shape, generator=generator) >= p) / (1 - p)

    def draw(mean, log_var):
        return mean + torch.randn(mean.shape, generator=generator) * torch.exp(log_var / 2)

    hidden = nn.functional.softplus(encoder.first(batch.inputs))
    for layer in encoder.others:
        hidden = nn.functional.softplus(layer(hidden))
    hidden = drop(hidden)
    own = encoder.mean_norm(encoder.mean(hidden)), encoder.log_var_norm(encoder.log_var(hidden))
    other = [part[batch.others] for part in module.posteriors[_deep_ltrs_module.OTHER[side]]]
    drawn = {side: draw(*own), _deep_ltrs_module.OTHER[side]: draw(*other)}
    numbers = {side: batch.ratings.rows, _deep_ltrs_module.OTHER[side]: batch.ratings.items}
    latents = [
        layer(drawn[s])[numbers[s]]
        for s, layer in (("user", decoder.users), ("item", decoder.items))
    ]
    topics = drop(torch.softmax(decoder.topics(torch.relu(sum(latents))), dim=1))
    log_probabilities = torch.log_softmax(decoder.logits(topics), dim=1)
    word_nll = -(dense_words(batch.words) * log_probabilities).sum(dim=1)

    (m, log_s), (n, log_t) = own, other
    m, s2 = (part[batch.ratings.rows] for part in (m, log_s.exp()))
    n, t2 = (part[batch.ratings.items] for part in (n, log_t.exp()))
    w, noise = module.component_weights, module.log_noise.exp()
    error = (batch.ratings.values - (w * m * n).sum(1)) ** 2
    error = error + (w**2 * (m**2 * t2 + n**2 * s2 + s2 * t2)).sum(1)
    nll = (error / noise + torch.log(2 * math.pi * noise)) / 2 + 0.7 * word_nll
    rows = torch.zeros(len(ours)).index_add(0, batch.ratings.rows, nll)
    kl = (own[1].exp() + own[0] ** 2 - 1 - own[1]).sum(1) / 2
    torch.testing.assert_close(ours, (rows + kl) * batch.scale, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("offsets", [True, False])
def test_weights_start_uniform_by_the_inputs_of_a_layer(offsets):
    """As `fit` draws them: a step of Adam that is too small to be seen."""
    rng = np.random.default_rng(0)
    ratings = sparse.random_array((120, 90), density=0.3, rng=rng, format="csr")
    words = sparse.csr_array(rng.poisson(rng.uniform(0, 2, 70), (ratings.nnz, 70)))
    options = {"hidden_layer_sizes": (40, 30), "topic_hidden_size": 50, "n_topics": 25}
    options |= {"learning_rate": 1e-12, "max_iter": 1, "early_stopping": False, "dropout": 0.4}
    model = DeepLTRS(20, offsets=offsets, **options, random_state=0).fit(ratings, reviews=words)
    module = model._scoring_module()
    parts = [*module.encoders.values(), module.word_decoder]
    assert [part.dropout for part in parts] == [0.4] * 3
    weights = {name: value for name, value in model._weights.items() if "norm" not in name}
    n_checked = 0
    for name, value in weights.items():
        if name.endswith("weight"):
            n_inputs = value.shape[0 if name.endswith("first.weight") else 1]
            check_uniform(value, 1 / np.sqrt(n_inputs))
            bias = weights.get(f"{name.removesuffix('weight')}bias")
            if bias is not None:
                check_uniform(bias, 1 / np.sqrt(n_inputs))
            n_checked += 1
    assert n_checked == 2 * 4 + 4
    # Normalised log-variances, and what the product of latents and the words begin with.
    for encoder in module.encoders.values():
        norm = encoder.log_var_norm
        np.testing.assert_allclose(norm.weight, 0.1 if offsets else 1, rtol=1e-6)
        np.testing.assert_allclose(norm.bias, -4 if offsets else 0, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(encoder.mean_norm.weight, 1, rtol=1e-6)
        np.testing.assert_allclose(encoder.mean_norm.bias, 0, atol=1e-9)
    np.testing.assert_allclose(module.component_weights, 0.1 if offsets else 1, rtol=1e-6)
    residual, _ = less_offsets(ratings / model.rating_unit_, model._offsets)
    noise = residual.data.var() if offsets else 1
    assert float(module.log_noise.exp()) == pytest.approx(noise, rel=1e-4)
    if offsets:
        sums = np.asarray(words.sum(axis=0)) + 1
        expected = np.log(sums / sums.mean())
        np.testing.assert_allclose(module.word_decoder.offsets, expected, rtol=1e-4, atol=1e-6)
    else:
        assert module.word_decoder.offsets is None


@pytest.mark.parametrize("offsets", [True, False])
def test_the_loss_of_an_epoch_is_the_bound_per_pair(pairs, fixed_draws, monkeypatch, offsets):
    """Where no weight is learned, nothing dropped, and batches are normalised as in evaluation."""
    monkeypatch.setattr(
        _deep_ltrs_module.BatchNorm,
        "forward",
        lambda self, x: nn.functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        ),
    )
    folded = _deep_ltrs_module.BatchNorm.folded
    monkeypatch.setattr(
        _deep_ltrs_module.BatchNorm, "folded", lambda self, *args: folded(self.eval(), *args)
    )
    options = {"n_topics": K, "hidden_layer_sizes": (6, 5), "topic_hidden_size": 7, "dropout": 0}
    options |= {"learning_rate": 1e-30, "batch_size": 3, "max_iter": 3, "early_stopping": False}
    model = DeepLTRS(
        D, offsets=offsets, text_weight=0.7, scale_words=False, **options, random_state=0
    ).fit(pairs.ratings, reviews=pairs.words)
    residual, _ = less_offsets(pairs.ratings, model._offsets)
    centred = RatedPairs(residual, pairs.words)
    bound = naive_negative_elbo(model._scoring_module(), centred, fixed_draws).item()
    assert model.loss_curve_ == pytest.approx([bound / pairs.ratings.nnz] * 3, rel=1e-4)


@pytest.mark.parametrize("side", ["user", "item"])
def test_gradient_of_a_phase_is_unbiased_but_for_the_other_encoder(
    module, pairs, fixed_draws, side
):
    """Proposition 1, for all but the other encoder: rows drawn one at a time, uniformly."""
    full = copy.deepcopy(module)
    naive_negative_elbo(full, pairs, fixed_draws).backward()
    store = BothSides(pairs, False, CPU)
    remember(module, store)
    phase = store.users if side == "user" else store.items
    module.zero_grad()
    for row in phase.rated:
        (module(phase.cut([row]), None, None).mean() * store.n_pairs / len(phase)).backward()
    other = f"encoders.{_deep_ltrs_module.OTHER[side]}"
    expected = dict(full.named_parameters())
    n_compared = 0
    for name, parameter in module.named_parameters():
        if name.startswith(other):
            assert parameter.grad is None
            assert expected[name].grad.abs().max() > 0
            continue
        gradient = expected[name].grad
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-4)
        n_compared += 1
    assert n_compared > 15


def test_expected_squared_error_is_what_draws_average_to():
    rng = np.random.default_rng(0)
    means, variances = rng.normal(size=(2, 4, D)), rng.uniform(0.2, 2, (2, 4, D))
    weights = np.array([0.5, -1.0, 2.0])
    ratings = sparse.csr_array(rng.normal(size=(4, 4)))
    own, others = (
        tuple(torch.tensor(part[k], dtype=torch.float32) for part in (means, variances))
        for k in (0, 1)
    )
    batch = RowStore(ratings, CPU).cut()
    got = observed_squared_errors(batch, own, others, torch.tensor(weights, dtype=torch.float32))
    draws = means[:, None] + np.sqrt(variances)[:, None] * rng.normal(size=(2, 200_000, 4, D))
    products = np.einsum("d,nid,njd->nij", weights, *draws)
    errors = (ratings.toarray() - products) ** 2
    check_means(errors, got.numpy().reshape(4, 4))
    left, right = variance_factors((means[0], variances[0]), (means[1], variances[1]), weights)
    check_variances(products, left @ right.T)


def test_words_of_observed_pairs_are_those_of_all_pairs():
    generator = torch.Generator().manual_seed(0)
    decoder = WordDecoder(V, D, K, 8, dropout=0.0, offsets=True)
    init_uniform(decoder, generator)
    decoder.eval()
    users, items = torch.randn(M, D, generator=generator), torch.randn(P, D, generator=generator)
    first = torch.cat([decoder.users.weight, decoder.items.weight], dim=1)
    both = torch.cat([users[:, None].expand(M, P, D), items[None].expand(M, P, D)], dim=2)
    hidden = torch.relu(both @ first.T + decoder.users.bias + decoder.items.bias)
    dense = decoder.logits(torch.softmax(decoder.topics(hidden), dim=2).view(M * P, K))
    rows, columns = torch.tensor([0, 3, 3, 6]), torch.tensor([2, 0, 4, 1])
    observed = decoder(users, items, (rows, columns))
    torch.testing.assert_close(observed, dense.view(M, P, V)[rows, columns])


class LargestArray(TorchDispatchMode):
    """Elements of the largest array that any operation makes."""

    n_elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.n_elements = max(self.n_elements, result.numel())
        return result


@pytest.mark.parametrize("offsets", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("n_pairs", "working_memory", "largest_share"),
    [(300, 1, 1 / 4), (300, 64, 1), (2, 64, 1), (1, 64, 1)],
    ids=["blocks", "at once", "two pairs", "one pair"],
)
def test_likelihood_of_words_is_that_of_normalised_logits(
    offsets, training, n_pairs, working_memory, largest_share
):
    """Values, gradients and running statistics, with one array of pairs x words or without."""
    n_words = 2000
    decoder = WordDecoder(n_words, D, K, 8, dropout=0.0, offsets=offsets).train(training)
    generator = torch.Generator().manual_seed(0)
    init_uniform(decoder, generator)
    whole = copy.deepcopy(decoder).double()
    rng = np.random.default_rng(0)
    counts = sparse.random_array((n_pairs, n_words), density=0.01, rng=rng, dtype=np.float32)
    words = RowStore(counts.tocsr(), CPU).cut()
    shares = torch.softmax(2 * torch.randn(n_pairs, K, generator=generator), dim=1)
    shares.requires_grad_()
    weights = torch.rand(n_pairs, generator=generator)
    kept = []
    with (
        config_context(working_memory=working_memory),
        LargestArray() as largest,
        saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x),
    ):
        got = decoder.nll(shares, words)
        (got * weights).sum().backward()
    small_ones = 8 * n_words * K
    allowed = largest_share * n_pairs * n_words
    assert largest.n_elements <= max(allowed, small_ones)
    assert sum(kept) <= allowed + small_ones
    in_double = shares.detach().double().requires_grad_()
    log_probabilities = torch.log_softmax(whole.logits(in_double), dim=1)
    expected = -(torch.from_numpy(counts.toarray()) * log_probabilities).sum(dim=1)
    (expected * weights).sum().backward()
    close = {"rtol": 1e-4, "atol": 1e-5, "check_dtype": False}
    torch.testing.assert_close(got, expected, **close)
    torch.testing.assert_close(
        shares.grad, in_double.grad, rtol=1e-4, atol=2e-4, check_dtype=False
    )
    torch.testing.assert_close(dict(decoder.named_buffers()), dict(whole.named_buffers()), **close)
    for parameter, wanted in zip(decoder.parameters(), whole.parameters(), strict=True):
        if wanted.grad is not None:
            torch.testing.assert_close(parameter.grad, wanted.grad, **close)


def test_batches_hold_each_rating_once_on_either_side_with_its_words(pairs):
    store = BothSides(pairs, True, CPU)
    number = {pair: n for n, pair in enumerate(zip(*pair_indices(pairs.ratings), strict=True))}
    for side, flip in [(store.users, 1), (store.items, -1)]:
        seen = set()
        batches = list(side.batches(3, np.random.default_rng(0).permutation(len(side))))
        assert sum(batch.n_total for batch in batches) == len(side)
        for batch in batches:
            rows = batch.inputs.users[batch.ratings.rows].tolist()
            columns = batch.others[batch.ratings.items].tolist()
            dense = dense_words(batch.words)
            for k, pair in enumerate(zip(rows, columns, strict=True)):
                n = number[pair[::flip]]
                seen.add(n)
                assert batch.ratings.values[k] == pytest.approx(pairs.ratings.data[n])
                np.testing.assert_array_equal(dense[k], pairs.words.toarray()[n])
        assert seen == set(range(pairs.ratings.nnz))
        assert side.scale == len(side) / pairs.ratings.nnz


def test_no_batch_is_much_smaller_than_the_others(pairs):
    store = BothSides(RatedPairs(pairs.ratings, None), True, CPU)
    assert [len(batch.inputs) for batch in store.users.batches(5)] == [3, 3]
    shares = [list(store.users.batches(5, process=p, n_processes=2)) for p in (0, 1)]
    assert [batch.n_total for share in shares for batch in share] == [3] * 4
    assert sum(len(batch.inputs) for share in shares for batch in share) == 6


def test_words_in_the_encoders_rows(pairs):
    sums = sum_words(pairs.ratings, pairs.words)
    rows, _ = pair_indices(pairs.ratings)
    expected = np.array([pairs.words.toarray()[rows == user].sum(axis=0) for user in range(M)])
    np.testing.assert_array_equal(sums.toarray(), expected)
    raw = encoder_rows(pairs.ratings, sums, scale_words=False)
    np.testing.assert_array_equal(raw.toarray(), np.hstack([pairs.ratings.toarray(), expected]))
    assert raw.nnz == pairs.ratings.nnz + sums.nnz  # a rating of zero is a rating
    scaled = encoder_rows(pairs.ratings, sums, scale_words=True)[:, P:].toarray()
    lengths = np.linalg.norm(scaled, axis=1)
    np.testing.assert_allclose(lengths[expected.any(axis=1)], 1, rtol=1e-6)
    np.testing.assert_allclose(
        scaled[0] * np.linalg.norm(np.log1p(expected[0])), np.log1p(expected[0]), rtol=1e-6
    )
