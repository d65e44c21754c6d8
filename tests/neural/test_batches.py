"""Batches cut from CSR on the device."""

import numpy as np
import pytest
import torch
from scipy import sparse

from skrec import EnhancedVAE, MultDAE, MultVAE, RecVAE
from skrec.neural import _batches
from skrec.neural._batches import RowStore
from skrec.neural._layers import SparseLinear
from skrec.solvers._devices import to_tensor


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    X = rng.random((9, 7)) * (rng.random((9, 7)) < 0.4)
    X[4] = 0
    return sparse.csr_array(X.astype(np.float32))


def dense(batch):
    rows = np.zeros((len(batch), batch.n_items), dtype=np.float32)
    rows[batch.rows, batch.items] = batch.values
    return rows


@pytest.mark.parametrize("users", [[3], [8, 0, 4, 4, 2], [4], list(range(9))])
def test_cut_takes_the_rows_that_scipy_takes(X, users):
    batch = RowStore(X, torch.device("cpu")).cut(np.array(users))
    np.testing.assert_array_equal(dense(batch), X[users].toarray())
    np.testing.assert_array_equal(batch.users, users)
    np.testing.assert_allclose(batch.totals, X[users].sum(axis=1), rtol=1e-6)
    assert batch.n_total == len(users)


def test_a_block_is_a_slice_of_the_rows(X):
    batch = RowStore(X, torch.device("cpu")).cut(np.array([8, 0, 4, 2, 3]))
    for rows in (slice(1, 4), slice(2, 3), slice(4, 5)):
        block = batch.block(rows)
        np.testing.assert_array_equal(dense(block), dense(batch)[rows])
        np.testing.assert_array_equal(block.users, batch.users[rows])
        np.testing.assert_array_equal(X.data[block.entries].astype(np.float32), block.values)


@pytest.mark.parametrize("exchange", [_batches._count, _batches._sort])
def test_exchanging_rows_and_items_transposes(X, exchange):
    users = np.array([8, 0, 4, 2, 3])
    batch = RowStore(X, torch.device("cpu")).cut(users)
    rows, starts, values = exchange(batch, 2 * batch.values, X.shape[1] + 2)
    transposed = sparse.csr_array((values, rows, starts), shape=(X.shape[1] + 2, len(users)))
    assert transposed.has_sorted_indices  # so that sums keep their order
    np.testing.assert_array_equal(transposed[:-2].toarray(), 2 * X[users].toarray().T)
    assert transposed[-2:].nnz == 0


def test_batches_take_every_row_in_order(X):
    batches = list(RowStore(X, torch.device("cpu")).batches(4))
    assert [len(batch) for batch in batches] == [4, 4, 1]
    np.testing.assert_array_equal(np.concatenate([dense(b) for b in batches]), X.toarray())


def test_rows_are_scaled_to_unit_length_and_empty_ones_stay_empty(X):
    batch = RowStore(X, torch.device("cpu")).cut().normalized()
    norms = np.linalg.norm(X.toarray(), axis=1, keepdims=True)
    np.testing.assert_allclose(dense(batch), X.toarray() / np.where(norms, norms, 1), rtol=1e-6)


def test_dropout_keeps_the_scaled_entries_and_the_mean():
    X = sparse.csr_array(np.random.default_rng(0).random((20, 50)).astype(np.float32))
    batch = RowStore(X, torch.device("cpu")).cut()
    generator = torch.Generator().manual_seed(0)
    total = np.zeros(X.shape)
    for _ in range(500):
        dropped = dense(batch.dropped_out(0.3, generator))
        kept = dropped > 0
        np.testing.assert_allclose(dropped[kept], X.toarray()[kept] / 0.7, rtol=1e-6)
        total += dropped
    # Deviation of the mean of 500 draws: x * sqrt(0.3 / 0.7 / 500), below 0.03.
    assert np.abs(total / 500 - X.toarray()).max() < 5 * 0.03


def test_sparse_layer_equals_the_dense_one_in_values_and_gradients(X):
    layer = SparseLinear(7, 5)
    torch.nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(0))
    torch.nn.init.normal_(layer.bias, generator=torch.Generator().manual_seed(1))
    batch = RowStore(X, torch.device("cpu")).cut(np.array([5, 4, 0, 5]))
    upstream = torch.randn(4, 5, generator=torch.Generator().manual_seed(2))
    results = []
    for inputs in (batch, torch.from_numpy(dense(batch))):
        layer.zero_grad()
        outputs = layer(inputs)
        outputs.backward(upstream)
        results.append([outputs.detach(), layer.weight.grad, layer.bias.grad])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected)


def test_read_only_rows_are_enough(X):
    for array in (X.data, X.indices, X.indptr):
        array.flags.writeable = False
    batch = RowStore(X, torch.device("cpu")).cut()
    np.testing.assert_array_equal(dense(batch), X.toarray())


@pytest.mark.parametrize("estimator", [MultVAE, MultDAE, RecVAE, EnhancedVAE])
def test_an_entry_beyond_single_precision_is_named(estimator, X):
    rows = sparse.vstack([X.astype(np.float64)] * 60, format="csr")
    model = estimator(2, max_iter=1, early_stopping=False).fit(rows)
    rows = rows.toarray()
    rows[301, 4] = 1e300  # beyond the first block
    named = r"X contains 1e\+300 \(row 301, item 4\), which overflows float32.* within 3.4e\+38"
    for verb in (model.predict, model.recommend, model.transform, model.partial_fit, model.fit):
        with pytest.raises(ValueError, match=named):
            verb(rows)


def test_memory_is_shared_unless_it_is_read_only(recwarn):
    array = np.arange(4.0)
    assert to_tensor(array, "cpu").data_ptr() == array.ctypes.data
    array.flags.writeable = False
    copy = to_tensor(array, "cpu")
    assert copy.data_ptr() != array.ctypes.data
    assert copy.tolist() == [0, 1, 2, 3]
    assert len(recwarn) == 0


def test_split_hides_each_entry_with_the_probability_asked_for():
    X = sparse.csr_array(np.arange(1, 2001, dtype=np.float32).reshape(100, 20))
    batch = RowStore(X, torch.device("cpu")).cut()
    visible, hidden = batch.split(0.3, torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(dense(visible) + dense(hidden), X.toarray())
    assert len(visible.items) + len(hidden.items) == 2000
    assert abs(len(hidden.items) - 600) < 5 * np.sqrt(2000 * 0.3 * 0.7)
    for probability, n_hidden in [(0.0, 0), (1.0, 2000)]:
        _, hidden = batch.split(probability, torch.Generator().manual_seed(0))
        assert len(hidden.items) == n_hidden
