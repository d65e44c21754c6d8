"""Sums that leave an entry out: loops over the others, and gradients."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import sparse

from skrec.neural._batches import RowStore
from skrec.neural._pooled_rows import pick, sums, vector_sums

CPU = torch.device("cpu")


def batch_of(seed=0):
    """Six rows, the first with one entry, the second with none."""
    rng = np.random.default_rng(seed)
    X = (rng.random((6, 5)) < 0.5).astype(float)
    X[0], X[1] = 0, 0
    X[0, 3] = 1
    X = sparse.csr_array(X)
    batch = RowStore(X, CPU).cut()
    return X, replace(batch, values=torch.from_numpy(rng.normal(size=X.nnz)))


def table(n_rows=5, n_columns=3, seed=1):
    values = np.random.default_rng(seed).normal(size=(n_rows, n_columns))
    return torch.from_numpy(values).requires_grad_()


def others_of(X):
    """Row of each entry, and the entries that share it."""
    for row in range(X.shape[0]):
        entries = range(X.indptr[row], X.indptr[row + 1])
        for entry in entries:
            yield [other for other in entries if other != entry]


def test_an_entry_is_left_out_of_its_own_sum():
    X, batch = batch_of()
    vectors, weights = table(), batch.values
    expected = [
        sum((weights[k] * vectors[X.indices[k]] for k in others), torch.zeros(3)).tolist()
        for others in others_of(X)
    ]
    assert_allclose(vector_sums(vectors, batch, weights, True).detach(), expected, atol=1e-15)
    expected = [sum(float(weights[k]) for k in others) for others in others_of(X)]
    assert_allclose(sums(weights, batch, True), expected, atol=1e-15)


def test_sums_of_rows():
    X, batch = batch_of()
    vectors, weights = table(), batch.values
    dense = sparse.csr_array((weights.numpy(), X.indices, X.indptr), shape=X.shape)
    assert_allclose(vector_sums(vectors, batch, weights).detach(), dense @ vectors.detach())
    assert_allclose(sums(weights, batch), dense.sum(axis=1))


@pytest.mark.parametrize("of_others", [False, True])
def test_gradients_of_sums(of_others):
    _, batch = batch_of()
    assert torch.autograd.gradcheck(
        lambda vectors: vector_sums(vectors, batch, batch.values, of_others), table()
    )


def test_rows_are_picked_and_their_gradients_added_up():
    items = torch.tensor([[4, 0, 4], [1, 4, 2]])
    vectors = table()
    assert_allclose(pick(vectors, items).detach(), vectors.detach()[items])
    assert torch.autograd.gradcheck(lambda vectors: pick(vectors, items), vectors)
    deep = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    assert pick(deep, items).shape == (2, 3, 2, 3)
    assert torch.autograd.gradcheck(lambda deep: pick(deep, items), deep)
