"""Losses over all items of a row against their definitions."""

import numpy as np
import pytest
import torch
from scipy import sparse

from skrec.neural._batches import RowStore
from skrec.neural._item_losses import (
    focal_losses,
    log_odds,
    log_of_sigmoids,
    squared_losses,
)


def to_batch(X):
    return RowStore(sparse.csr_array(np.asarray(X, dtype=np.float32)), torch.device("cpu")).cut()


@pytest.fixture
def rows():
    """What is wanted and what is left out of four rows: nothing, either, and all."""
    states = np.random.default_rng(0).integers(0, 3, (4, 7))
    states[1], states[2], states[3] = 0, 1, 2
    return (states == 1).astype(float), (states == 2).astype(float)


def logits(requires_grad=True):
    generator = torch.Generator().manual_seed(0)
    return (3 * torch.randn((4, 7), generator=generator)).requires_grad_(requires_grad)


def check_gradients(ours, naive, inputs):
    """Of a weighted sum of the rows' losses."""
    weights = torch.arange(1.0, 5.0)
    (expected,) = torch.autograd.grad((naive * weights).sum(), inputs)
    (gradient,) = torch.autograd.grad((ours * weights).sum(), inputs)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.6, 0.0), (0.4, 0.5)])
def test_focal_losses_and_gradients_are_those_of_the_formula(rows, alpha, gamma):
    wanted, excluded = rows
    f = logits()
    ours = focal_losses(
        log_of_sigmoids(f), to_batch(wanted), to_batch(excluded), alpha=alpha, gamma=gamma
    )
    p = torch.sigmoid(f.double())
    y, counts = torch.from_numpy(wanted), torch.from_numpy(1 - excluded)
    ones = -alpha * (1 - p) ** gamma * torch.log(p)
    zeros = -(1 - alpha) * p**gamma * torch.log(1 - p)
    naive = ((y * ones + (1 - y) * zeros) * counts).sum(1).float()
    torch.testing.assert_close(ours, naive)
    check_gradients(ours, naive, f)


def test_without_focus_and_preference_it_is_half_the_cross_entropy(rows):
    wanted, _ = rows
    f = logits()
    ours = focal_losses(log_of_sigmoids(f), to_batch(wanted), alpha=0.5, gamma=0.0)
    y = torch.from_numpy(wanted).float()
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(f, y, reduction="none")
    torch.testing.assert_close(ours, entropy.sum(1) / 2)


def test_squared_losses(rows):
    wanted, excluded = rows
    f = logits()
    ours = squared_losses(f, to_batch(wanted), to_batch(excluded))
    naive = ((f - torch.from_numpy(wanted).float()) ** 2 * torch.from_numpy(1 - excluded)).sum(1)
    torch.testing.assert_close(ours, naive.float())
    check_gradients(ours, naive, f)


def test_probabilities_of_a_product_of_sigmoids():
    f, g = logits(), torch.flip(logits(), dims=(1,))
    expected = torch.log(torch.sigmoid(f) * torch.sigmoid(g))
    torch.testing.assert_close(log_of_sigmoids(f, g), expected)


@pytest.mark.parametrize("size", [50.0, 1e4, 1e30])
def test_certain_answers_have_finite_losses_and_gradients(size):
    f = torch.tensor([[size, size, -size, -size]], requires_grad=True)
    losses = focal_losses(log_of_sigmoids(f), to_batch([[1, 0, 1, 0]]), alpha=0.25, gamma=2.0)
    (gradient,) = torch.autograd.grad(losses.sum(), f)
    assert torch.isfinite(losses).all()
    assert torch.isfinite(gradient).all()
    assert gradient[0, 2] < 0
    assert losses.item() > 0.25 * min(size, 60)


def test_log_odds_of_having_an_item():
    X = sparse.csr_array(np.array([[1.0, 0, 5], [1, 0, 0], [1, 0, 0]]))
    expected = np.log([3.5 / 0.5, 0.5 / 3.5, 1.5 / 2.5])
    np.testing.assert_allclose(log_odds(X), expected, rtol=1e-6)
