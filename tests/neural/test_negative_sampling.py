"""Negatives: their exact distribution, and losses against their formulas."""

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.stats import chisquare

from skrec.neural._batches import RowStore
from skrec.neural._negative_sampling import (
    bpr_loss,
    draw_negatives,
    sampled_cross_entropy,
    sampled_outputs,
    sampled_squared_error,
)

CPU = torch.device("cpu")


@pytest.fixture
def X():
    """User 0 has all items but one, user 1 has all, user 2 none; item 9 nobody but they have."""
    rng = np.random.default_rng(0)
    dense = (rng.random((12, 10)) < 0.3).astype(float)
    dense[:, 9] = 0
    dense[0], dense[0, 4], dense[1], dense[2] = 1, 0, 1, 0
    return sparse.csr_array(dense)


def test_losses_are_their_formulas():
    generator = torch.Generator().manual_seed(0)
    positive = 3 * torch.randn(6, dtype=torch.float64, generator=generator)
    negative = 3 * torch.randn(6, 4, dtype=torch.float64, generator=generator)
    bpr, entropy = bpr_loss(positive, negative), sampled_cross_entropy(positive, negative)
    squares = sampled_squared_error(positive, negative)
    for row in range(6):
        p, ns = float(positive[row]), negative[row].tolist()
        assert float(bpr[row]) == pytest.approx(sum(np.log(1 + np.exp(n - p)) for n in ns))
        expected = np.log(1 + np.exp(-p)) + sum(np.log(1 + np.exp(n)) for n in ns)
        assert float(entropy[row]) == pytest.approx(expected)
        expected = ((1 - p) ** 2 + sum(n**2 for n in ns)) / 2
        assert float(squares[row]) == pytest.approx(expected)


@pytest.mark.parametrize("loss", [bpr_loss, sampled_cross_entropy])
def test_losses_have_right_gradients_and_stay_finite(loss):
    generator = torch.Generator().manual_seed(0)
    positive = torch.randn(5, dtype=torch.float64, generator=generator, requires_grad=True)
    negative = torch.randn(5, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (positive, negative))
    extreme = torch.tensor([-1e4, 1e4, 1e4], requires_grad=True)
    value = loss(extreme, torch.tensor([[1e4], [-1e4], [1e4]]))
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(extreme.grad).all()
    assert value[1] == 0


@pytest.mark.parametrize("power", [None, 0.75])
def test_negatives_of_a_batch_have_the_exact_distribution(X, power):
    batch = RowStore(X, CPU).cut([2, 5, 0, 3])  # not in order, one of them empty
    counts = (X != 0).sum(axis=0) ** (power or 0.0)
    cumulative = None if power is None else torch.from_numpy(counts.cumsum() / counts.sum())
    generator = torch.Generator().manual_seed(0)
    drawn = draw_negatives(batch, 4000, generator, cumulative).numpy()
    assert drawn.shape == (len(batch.items), 4000)
    for row, user in enumerate([2, 5, 0, 3]):
        weights = counts * (X[[user]].toarray()[0] == 0)
        found = drawn[batch.rows.numpy() == row]
        # User 0 has all but two items, one of which nobody has: most draws have to be repeated.
        seen = np.bincount(found[found >= 0], minlength=10)
        assert not seen[weights == 0].any()
        if len(found) and np.count_nonzero(weights) > 1:
            expected = seen.sum() * weights[weights > 0] / weights.sum()
            assert chisquare(seen[weights > 0], expected).pvalue > 1e-3


def test_a_row_of_all_items_has_no_negatives(X):
    batch = RowStore(X, CPU).cut([1])
    drawn = draw_negatives(batch, 3, torch.Generator().manual_seed(0))
    assert (drawn == -1).all()


def test_outputs_at_entries_and_negatives_are_those_of_the_layer(X):
    batch, generator = RowStore(X, CPU).cut(), torch.Generator().manual_seed(0)
    negatives = draw_negatives(batch, 3, generator)
    layer, hidden = torch.nn.utils.skip_init(torch.nn.Linear, 4, 10), torch.empty(12, 4)
    parts = [hidden, layer.weight, layer.bias]
    for part in parts:
        torch.nn.init.normal_(part, generator=generator).requires_grad_()
    positive, negative = sampled_outputs(hidden, layer, batch, negatives, missing=-7.0)
    dense = layer(hidden)
    expected = dense[batch.rows[:, None], negatives.clamp(min=0)]
    expected = torch.where(negatives < 0, -7.0, expected)
    assert (negatives < 0).any()
    torch.testing.assert_close(positive, dense[batch.rows, batch.items])
    torch.testing.assert_close(negative, expected)
    found = torch.autograd.grad(positive.sum() + negative.square().sum(), parts)
    wanted = torch.autograd.grad(
        dense[batch.rows, batch.items].sum() + expected.square().sum(), parts
    )
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)
