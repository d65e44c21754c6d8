"""ConvNCF: torch's convolutions of the outer product, and limits that are known."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.nn.functional import conv2d

from skrec import ConvNCF
from skrec.networks._conv_ncf import ConvNCFModule

SMALL = {"early_stopping": False, "max_iter": 3, "random_state": 0}
OPTIONS = {"loss": "bpr", "n_negatives": 1, "dropout": 0.0}


def network(n_components, n_channels=4, n_items=6):
    module = ConvNCFModule(n_items, n_components, n_channels, **OPTIONS)
    module.init(torch.Generator().manual_seed(0))
    return module.double().requires_grad_(False)


def drawn(module, n_users=3, seed=0):
    """Weights without any zero, and vectors of users."""
    generator = torch.Generator().manual_seed(seed)
    for weights in module.parameters():
        torch.nn.init.normal_(weights, generator=generator)
    n_components = module.history.shape[1]
    return torch.randn(n_users, n_components, dtype=torch.float64, generator=generator)


def interact(module, vectors):
    return module.interact(module.user_side(vectors), module.item_side()[None])


@pytest.mark.parametrize("n_components", [2, 4, 16])
def test_scores_are_those_of_convolutions_of_the_outer_product(n_components):
    module = network(n_components)
    users, items = drawn(module), module.output.weight
    found = interact(module, users)
    for user, p in enumerate(users):
        for item, q in enumerate(items):
            hidden = torch.outer(q, p)[None, None]  # filters read the user's along the second axis
            filters = module.filters.permute(2, 1, 0)[:, None]
            hidden = torch.relu(conv2d(hidden, filters, stride=2))
            for layer in module.convolutions:
                filters = layer.weight.view(-1, 2, 2, module.n_channels).permute(0, 3, 1, 2)
                hidden = torch.relu(conv2d(hidden, filters, stride=2))
            assert hidden.shape == (1, module.n_channels, 1, 1)
            expected = module.score.weight[0] @ hidden.flatten()
            assert_allclose(found[user, item], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_components", [4, 8])
def test_averages_are_the_product_of_sums(n_components):
    """With positive vectors, rectified units are linear."""
    module = network(n_components)
    users = drawn(module).abs()
    module.output.weight.abs_()
    for weights in (module.filters, *(layer.weight for layer in module.convolutions)):
        weights.fill_(1 / (weights.numel() // module.n_channels))
    module.score.weight.fill_(1 / module.n_channels)
    expected = torch.outer(users.sum(dim=1), module.output.weight.sum(dim=1)) / n_components**2
    assert_allclose(interact(module, users), expected, rtol=1e-10)


@pytest.mark.parametrize("n_components", [1, 2, 4, 6, 16])
def test_the_network_starts_as_the_inner_product_on_two_channels(n_components):
    module = network(n_components)
    users = torch.randn(5, n_components, dtype=torch.float64)
    assert_allclose(interact(module, users), users @ module.output.weight.t(), atol=1e-12)


def test_other_lengths_are_filled_up_with_zeros():
    short, full = network(5), network(8)
    users = drawn(short)
    drawn(full)
    for name, weights in short.named_parameters():
        target = dict(full.named_parameters())[name]
        if target.shape == weights.shape:
            target.copy_(weights)
    full.output.weight.zero_()[:, :5] = short.output.weight
    padded = torch.nn.functional.pad(users, (0, 3))
    assert_allclose(interact(short, users), interact(full, padded), rtol=1e-10)


def test_first_weights():
    module = ConvNCFModule(2000, 16, 8, **OPTIONS)
    module.init(torch.Generator().manual_seed(0))
    for vectors in (module.history, module.output.weight):
        assert_allclose(vectors.std().item(), 0.1, rtol=0.05)
    assert not module.output.bias.any()
    assert_array_equal(module.score.weight[0].detach(), [1, -1, 0, 0, 0, 0, 0, 0])
    others = module.convolutions[0].weight[2:]
    bound = np.sqrt(6 / (32 + 8))
    assert others.abs().max().item() <= bound
    assert_allclose(others.std().item(), bound / np.sqrt(3), rtol=0.15)


def test_gradients_of_interactions():
    module = network(8)
    vectors = drawn(module, n_users=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda vectors: interact(module, vectors), vectors)


def test_scores_have_an_offset_of_the_item():
    X = (np.random.default_rng(0).random((20, 9)) < 0.4).astype(float)
    model = ConvNCF(4, n_channels=3, **SMALL).fit(X)
    module = model._scoring_module()
    expected = interact(module, torch.from_numpy(model.transform(X))).numpy()
    assert_allclose(model.predict(X), expected + model.item_offsets_, rtol=1e-5, atol=1e-6)
    assert model.item_embeddings_.shape == (9, 4)


def test_one_channel_cannot_carry_both_signs():
    with pytest.raises(ValueError, match="'n_channels' parameter of ConvNCF must be"):
        ConvNCF(n_channels=1).fit(np.ones((4, 3)))
