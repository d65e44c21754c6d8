"""Losses of directions against rows of all items, written out."""

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.utils.flop_counter import FlopCounterMode

from skrec.neural._batches import RowStore
from skrec.neural._directions import direction_losses, row_lengths, unit_rows

N_ITEMS = 12


def rows(n_users, seed=0):
    rng = np.random.default_rng(seed)
    X = (rng.random((n_users, N_ITEMS)) < 0.4) * rng.integers(-2, 6, (n_users, N_ITEMS))
    X[:, 5] += ~X.any(axis=1)
    return sparse.csr_array(X.astype(np.float32))


def losses_by_hand(A, x):
    """With rows of all items, by automatic differentiation."""
    y = x @ A @ A.t() - x
    return (x / x.norm(dim=1, keepdim=True) - y / y.norm(dim=1, keepdim=True)).square().sum(dim=1)


def embeddings(n_components, seed=1, n_items=N_ITEMS):
    A = torch.randn(n_items, n_components, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(A, dim=1).requires_grad_()


# Few rows beside the components, and many.
@pytest.mark.parametrize(("n_users", "n_components"), [(2, 7), (30, 7), (1, 40), (4, 6), (5, 1)])
def test_losses_and_gradients_are_those_of_whole_rows(n_users, n_components):
    X = rows(n_users)
    A = embeddings(n_components)
    weights = torch.linspace(0.5, 2, n_users)
    batch = RowStore(X, torch.device("cpu")).cut().normalized()
    losses = direction_losses(A, batch)
    (gradient,) = torch.autograd.grad((weights * losses).sum(), A)

    expected = losses_by_hand(A, torch.from_numpy(X.toarray()))
    (expected_gradient,) = torch.autograd.grad((weights * expected).sum(), A)
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("n_users", [2, 30])
def test_orthogonal_vectors_reconstruct_nothing(n_users):
    A = torch.eye(N_ITEMS, requires_grad=True)
    batch = RowStore(rows(n_users), torch.device("cpu")).cut().normalized()
    losses = direction_losses(A, batch)
    torch.testing.assert_close(losses, torch.full((n_users,), 2.0), rtol=0, atol=2e-3)
    assert torch.isfinite(torch.autograd.grad(losses.sum(), A)[0]).all()


@pytest.mark.parametrize(("n_users", "n_products"), [(10, 3 * 10), (25, 2 * 30)])
def test_the_cheaper_of_two_forms_is_computed(n_users, n_products):
    """Counted in multiplications by all vectors, of which the codes take next to none."""
    A = embeddings(30, n_items=1000)
    batch = RowStore(rows(n_users), torch.device("cpu")).cut().normalized()
    with FlopCounterMode(display=False) as counter:
        direction_losses(A, batch).sum().backward()
    small = 3 * 2 * n_users * 30**2  # codes times a matrix of components, both ways
    expected = 2 * n_products * A.numel()
    assert expected <= counter.get_total_flops() <= expected + small


def test_lengths():
    vectors = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    np.testing.assert_allclose(row_lengths(vectors), np.linalg.norm(vectors, axis=1), rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(unit_rows(vectors), axis=1), 1, rtol=1e-6)
