"""Products at observed entries against dense ones, and batches of single ratings."""

import numpy as np
import pytest
import torch
from scipy import sparse

from skrec.neural import _observed
from skrec.neural._batches import RowStore, SparseBatch
from skrec.neural._entries import EntryStore
from skrec.neural._held_out import hold_out_entries, hold_out_users
from skrec.neural._observed import observed_products

CPU = torch.device("cpu")


def matrix(n_users=30, n_items=13, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.integers(1, 6, (n_users, n_items)) * (rng.random((n_users, n_items)) < 0.3)
    X[4] = 0
    X[:, 6] = 0
    return sparse.csr_array(X.astype(np.float64))


@pytest.mark.parametrize("way", ["_sampled_product", "_gathered_products"])
def test_products_and_gradients_equal_the_dense_ones(way, monkeypatch):
    monkeypatch.setattr(_observed, "N_GATHERED", 10)
    monkeypatch.setattr(_observed, "_sampled_product", getattr(_observed, way))
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(30, 5, generator=generator, requires_grad=True)
    right = torch.randn(13, 5, generator=generator, requires_grad=True)
    batch = RowStore(matrix(), CPU).cut()
    weights = torch.randn(len(batch.items), generator=generator)

    ours = observed_products(left, right, batch)
    dense = (left @ right.t())[batch.rows, batch.items]
    torch.testing.assert_close(ours, dense)
    gradients = torch.autograd.grad((ours * weights).sum(), [left, right])
    expected = torch.autograd.grad((dense * weights).sum(), [left, right])
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_entries_may_repeat_in_any_order_and_outnumber_the_pairs():
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, 5, generator=generator), torch.randn(3, 5, generator=generator)
    for n in (2, 9):
        items = torch.randint(3, (2 * n,), generator=generator)
        offsets = torch.tensor([0, n, 2 * n])
        batch = SparseBatch(items, offsets, torch.ones(2 * n), 3, users=None, n_total=2)
        expected = (left @ right.t())[batch.rows, items]
        torch.testing.assert_close(observed_products(left, right, batch), expected)


def test_batches_of_ratings_hold_each_row_once_and_point_to_the_rating():
    X = matrix()
    dense = X.toarray()
    seen = []
    for batch in EntryStore(X, CPU).batches(7, np.random.default_rng(0).permutation(X.nnz)):
        users = batch.users.batch.users[batch.users.rows]
        items = batch.items.batch.users[batch.items.rows]
        assert len(batch.users.batch) == len(set(users.tolist()))
        assert torch.equal(batch.users.batch.items[batch.users.entries], items)
        assert torch.equal(batch.items.batch.items[batch.items.entries], users)
        for side in (batch.users, batch.items):
            assert torch.equal(side.batch.values[side.entries], batch.ratings)
        np.testing.assert_array_equal(dense[users.numpy(), items.numpy()], batch.ratings.numpy())
        seen += zip(users.tolist(), items.tolist(), strict=True)
    assert sorted(seen) == sorted(zip(*X.nonzero(), strict=True))


def test_processes_share_each_batch():
    X = matrix()
    store, order = EntryStore(X, CPU), np.arange(X.nnz)
    whole = [batch.ratings for batch in store.batches(10, order)]
    parts = [list(store.batches(10, order, process, 2)) for process in (0, 1)]
    for ratings, one, two in zip(whole, *parts, strict=True):
        assert one.n_total == two.n_total == len(ratings)
        assert torch.equal(ratings[::2], one.ratings)
        assert torch.equal(ratings[1::2], two.ratings)


def test_dropped_entries_stay_in_place():
    X = matrix(200)
    (batch,) = EntryStore(X, CPU).batches(X.nnz)
    dropped = batch.users.dropped_out(0.25, torch.Generator().manual_seed(0))
    assert torch.equal(dropped.batch.items, batch.users.batch.items)
    ratio = dropped.batch.values / batch.users.batch.values
    assert set(np.unique(ratio.numpy().round(4))) == {0, np.float32(1.3333)}
    n_dropped = int((ratio == 0).sum())
    assert abs(n_dropped - 0.25 * X.nnz) < 5 * np.sqrt(0.25 * 0.75 * X.nnz)


def test_entries_are_held_out():
    X = matrix()
    training, held_out = hold_out_entries(X, 0.2, 0)
    np.testing.assert_array_equal((training + held_out).toarray(), X.toarray())
    assert held_out.nnz == np.ceil(0.2 * X.nnz)
    with pytest.raises(ValueError, match="validation_fraction=0.2 of the entries.* 1 entries"):
        hold_out_entries(sparse.csr_array([[0, 1.0]]), 0.2, 0)
    with pytest.raises(ValueError, match=r"validation_fraction=1e-09 of \d+ entries .* to none"):
        hold_out_entries(X, 1e-9, 0)
    with pytest.raises(ValueError, match=r"validation_fraction=1e-09 of \d+ users rounds to none"):
        hold_out_users(X, 1e-9, 0)
    with pytest.raises(ValueError, match="holds out validation_fraction=1 of the users"):
        hold_out_users(sparse.csr_array(np.ones((5, 2))), 1 - 1e-9, 0)
