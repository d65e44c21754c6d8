"""What training costs is said before it begins."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone

from skrec import (
    BPR,
    CDAE,
    FLVAE,
    VASP,
    LightGCN,
    MultDAE,
    MultVAE,
    NeuMF,
    NeuralEASE,
    RecVAE,
)
from skrec.neural._cost import Cost, check_cost, training_cost
from skrec.utils import _memory

CPU = torch.device("cpu")


def cost_of(estimator, n_users, n_items):
    options = estimator._module_options(sparse.csr_array((n_users, n_items)))
    batch_bytes, n_rows = estimator._batch_cost(n_users, n_items)
    return training_cost(
        lambda: estimator._module_class(n_items, **options),
        n_copies=2,
        batch_bytes=batch_bytes,
        n_rows=n_rows,
    )


def test_memory_and_products_are_those_of_the_weights():
    model = MultVAE(20, hidden_layer_sizes=(60,), batch_size=50)
    n_users, n_items = 200, 1000
    hidden = (60 + 1) * 40 + (20 + 1) * 60
    n_weights = 2 * 60 * n_items + 60 + n_items + hidden
    cost = cost_of(model, n_users, n_items)
    assert cost.n_bytes == 4 * (5 * n_weights + 50 * n_items)
    assert cost_of(RecVAE(), n_users, n_items).epoch_seconds > cost.epoch_seconds


@pytest.mark.parametrize("estimator", [MultVAE(), MultDAE(), RecVAE()])
def test_movielens_20m_is_no_matter_for_a_warning(estimator):
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        cost = cost_of(estimator, 138_493, 26_744)
    finally:
        torch.set_num_threads(n_threads)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_cost(cost, "it", "less", CPU)


def test_a_large_catalogue_gets_a_warning(monkeypatch):
    plenty = SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=2**40))
    monkeypatch.setattr(_memory, "psutil", plenty)
    cost = cost_of(MultVAE(hidden_layer_sizes=(600,)), 100_000, 150_000)
    with pytest.warns(UserWarning, match=r"Training it needs about 3.6 GiB of memory.*: less\."):
        check_cost(cost, "it", "less", CPU)
    with pytest.warns(UserWarning, match=r"about 20 minutes an epoch on \d+ threads: less\."):
        check_cost(Cost(0, 1200.0), "it", "less", CPU)


def test_fit_says_what_makes_it_cheaper(monkeypatch):
    X = np.eye(6)
    model = MultVAE(2, hidden_layer_sizes=(60,), max_iter=1, early_stopping=False).fit(X)
    expected = model.predict(X)
    monkeypatch.setattr("skrec.neural._cost.LARGE_MEMORY", 1000)
    with pytest.warns(UserWarning, match="MultVAE on 6 users x 6 items needs about") as caught:
        clone(model).fit(X)
    assert caught[0].filename == __file__
    little = SimpleNamespace(virtual_memory=lambda: SimpleNamespace(available=1000))
    monkeypatch.setattr(_memory, "psutil", little)
    fixes = r"GiB are available: smaller hidden_layer_sizes, n_components, batch_size .*filter"
    with pytest.raises(MemoryError, match=fixes):
        model.fit(X)
    np.testing.assert_array_equal(model.predict(X), expected)


@pytest.mark.parametrize("n_components", [2**40, 2**59])
def test_weights_that_cannot_be_allocated_are_refused_before(n_components):
    with pytest.raises(MemoryError, match="GiB are available|more weights than can be counted"):
        MultVAE(n_components, early_stopping=False).fit(np.eye(6))


@pytest.mark.parametrize(("Model", "n_bytes"), [(NeuralEASE, 48), (FLVAE, 56), (VASP, 64)])
def test_buffers_of_losses_of_all_items_are_counted(Model, n_bytes):
    found = [Model(batch_size=size)._batch_cost(1000, 300)[0] for size in (100, 200, 5000)]
    assert found == [n_bytes * 300 * size for size in (100, 200, 1000)]
    assert (Model()._batch_cost(1000, 300)[1] == 0) == (Model is NeuralEASE)


def test_negatives_are_among_what_makes_it_cheaper():
    with pytest.raises(MemoryError, match="smaller .*n_negatives, batch_size need less"):
        CDAE(2, n_negatives=2**40, early_stopping=False).fit(np.eye(6))


def test_numbers_of_numpy_of_any_type():
    model = CDAE(2, batch_size=np.int8(100), n_negatives=np.int8(3), early_stopping=False)
    model.set_params(max_iter=1).fit(np.eye(6))
    model = MultVAE(2, batch_size=np.int8(100), dropout=np.float32(0.5), early_stopping=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(max_iter=1).fit(np.eye(200, 6))


@pytest.mark.parametrize("estimator", [BPR(), NeuMF(), LightGCN(loss="bpr")])
def test_draws_that_cannot_be_allocated_are_named(estimator):
    X = (np.random.default_rng(0).random((6, 5)) < 0.5) * 1.0
    model = clone(estimator).set_params(n_negatives=2**40, early_stopping=False)
    with pytest.raises(MemoryError, match=r"on 5 users x 5 items needs more .*n_negatives"):
        model.fit(X)
    assert not hasattr(model, "n_iter_")


def test_batches_have_no_more_rows_than_there_are_users():
    model, sizes = LightGCN(3), []
    for batch_size in (6, 2**40):
        sizes.append(model.set_params(batch_size=batch_size)._batch_cost(6, 1000))
    assert sizes[0] == sizes[1]
