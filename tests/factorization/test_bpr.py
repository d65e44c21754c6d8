"""BPR and WARP: losses and scores written out with loops, gradients, and limits that are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrec import BPR
from skrec.factorization._bpr_module import (
    PooledRanking,
    _RankingLosses,
    bpr_gradients,
    warp_gradients,
)
from skrec.neural._batches import RowStore
from skrec.neural._negative_sampling import draw_negatives
from skrec.neural._trainer import Progress
from skrec.utils._changes import update_rows

CPU = torch.device("cpu")
SMALL = {"early_stopping": False, "max_iter": 5, "random_state": 0}
LOSSES = {"bpr": bpr_gradients, "warp": warp_gradients}


def choices(n_users=20, n_items=9, density=0.4, seed=0):
    """The first user has one item, the second none."""
    rng = np.random.default_rng(seed)
    X = (rng.random((n_users, n_items)) < density).astype(float)
    X[0], X[1] = 0, 0
    X[0, 3] = 1
    return sparse.csr_array(X)


def batch_of(X):
    batch = RowStore(X, CPU).cut()
    return replace(batch, values=torch.ones(len(batch.items), dtype=torch.float64))


def tables(n_items=9, n_components=3, seed=0):
    rng = np.random.default_rng(seed)
    shapes = (n_items, n_components), (n_items, n_components), (n_items,)
    return [torch.from_numpy(rng.normal(size=shape)).requires_grad_() for shape in shapes]


def naive_losses(arrays, X, kept, negatives, loss, penalties):
    """The loss of each row, entry by entry."""
    history, vectors, offsets = arrays
    user_l2, item_l2, negative_l2 = penalties
    losses, entry = np.zeros(X.shape[0]), 0
    for user in range(X.shape[0]):
        items = X.indices[X.indptr[user] : X.indptr[user + 1]]
        is_kept = kept[X.indptr[user] : X.indptr[user + 1]]
        for item in items:
            others = [i for i, keep in zip(items, is_kept, strict=True) if keep and i != item]
            pooled = history[others].sum(axis=0) / np.sqrt(max(len(others), 1))

            def score(j, pooled=pooled):
                return pooled @ vectors[j] + offsets[j]

            known = [j for j in negatives[entry] if j >= 0]
            counted = known
            if loss == "bpr":
                terms = [np.log1p(np.exp(score(j) - score(item))) for j in known]
                losses[user] += sum(terms) / len(negatives[entry])
            else:
                counted = []
                for n_drawn, j in enumerate(negatives[entry], 1):
                    if j >= 0 and score(j) > score(item) - 1:
                        weight = np.log((len(vectors) - 1) // n_drawn)
                        losses[user] += weight * (1 - score(item) + score(j))
                        counted = [j]
                        break
            losses[user] += 0.5 * user_l2 * pooled @ pooled
            losses[user] += 0.5 * item_l2 * vectors[item] @ vectors[item]
            for j in counted:
                losses[user] += 0.5 * negative_l2 / len(counted) * vectors[j] @ vectors[j]
            entry += 1
    return losses


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("penalties", [(0, 0, 0), (0.3, 0.2, 0.1)])
def test_losses_and_gradients_are_those_of_the_formula(loss, penalties):
    X, arrays = choices(), tables()
    rng = np.random.default_rng(1)
    batch = batch_of(X)
    batch = replace(batch, values=torch.from_numpy((rng.random(X.nnz) < 0.7).astype(float)))
    negatives = draw_negatives(batch, 3, torch.Generator().manual_seed(0))
    negatives[4, 1] = negatives[7] = -1

    def losses(*arrays):
        return _RankingLosses.apply(*arrays, batch, negatives, LOSSES[loss], penalties)

    expected = naive_losses(
        [array.detach().numpy() for array in arrays],
        X,
        batch.values.numpy(),
        negatives.numpy(),
        loss,
        penalties,
    )
    assert_allclose(losses(*arrays).detach(), expected)
    assert torch.autograd.gradcheck(losses, arrays)


def test_warp_weighs_by_the_first_negative_within_the_margin():
    positive = torch.tensor([2.0, 2.0, 2.0, 2.0])
    negative = torch.tensor(
        [[1.5, 9.0, 0.0], [0.0, 0.9, 1.2], [0.0, 0.5, 1.0], [-torch.inf, 3.0, 0.0]]
    )
    losses, gradients = warp_gradients(positive, negative, n_items=12)
    # Ranks of 11 // 1, 11 // 3 and 11 // 2; nothing lies within the margin of the third.
    weights = np.log([11, 3, 1, 5])
    assert_allclose(losses, weights * [0.5, 0.2, 0, 2], rtol=1e-6)
    expected = np.zeros((4, 3))
    expected[[0, 1, 3], [0, 2, 1]] = weights[[0, 1, 3]]
    assert_allclose(gradients, expected, rtol=1e-6)


def test_bpr_is_the_mean_over_negatives_of_the_log_probabilities():
    positive, negative = torch.tensor([1.0]), torch.tensor([[1.0, 0.0, -torch.inf]])
    losses, gradients = bpr_gradients(positive, negative, n_items=5)
    assert_allclose(losses, [(np.log(2) + np.log1p(np.exp(-1))) / 3], rtol=1e-6)
    assert_allclose(gradients, [[0.5 / 3, 1 / (1 + np.e) / 3, 0]], rtol=1e-6)


@pytest.mark.parametrize("user_power", [0.0, 0.5])
def test_users_weigh_by_a_power_of_their_number_of_entries(user_power):
    X = choices()
    options = {
        "loss": "bpr",
        "n_negatives": 2,
        "negative_power": 0.0,
        "dropout": 0.0,
        "user_l2": 0.0,
        "item_l2": 0.0,
        "negative_l2": 0.0,
    }
    losses = []
    for power in (0.0, user_power):
        module = PooledRanking(9, 3, user_power=power, **options)
        module.init(torch.Generator().manual_seed(0))
        generator = torch.Generator().manual_seed(1)
        batch = RowStore(X, CPU).cut()
        losses.append(module(batch, generator, Progress(0, 1)).detach().numpy())
    counts = np.maximum(np.diff(X.indptr), 1)
    assert_allclose(losses[1], losses[0] * counts**-user_power, rtol=1e-6)


def test_dropped_entries_are_still_to_be_ranked():
    """With nothing left of the histories, only the offsets can learn, from all entries."""
    X = choices()
    model = BPR(3, dropout=0.999, max_iter=1, batch_size=20, early_stopping=False, random_state=0)
    model.fit(X)
    before = BPR(3, learning_rate=1e-12, **SMALL).fit(X)
    moved = np.abs(model._weights["history"] - before._weights["history"]).max()
    assert moved < 1e-6
    assert (np.abs(model.item_offsets_) > 1e-3).all()


def test_scores_are_of_all_that_a_row_has():
    X = choices()
    model = BPR(4, **SMALL).fit(X)
    history, vectors = model._weights["history"], model.item_embeddings_
    counts = np.maximum(np.diff(X.indptr), 1)[:, None]
    factors = X @ history / np.sqrt(counts)
    assert_allclose(model.transform(X), factors, rtol=1e-5, atol=1e-6)
    expected = factors @ vectors.T + model.item_offsets_
    assert_allclose(model.predict(X), expected, rtol=1e-5, atol=1e-6)
    assert_allclose(model.predict(3 * X), model.predict(X))
    assert_array_equal(model.predict(X[[1]])[0], model.item_offsets_)


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_not_chosen_comes_last(loss):
    X = np.kron(np.eye(3), np.ones((12, 6)))
    model = BPR(4, loss=loss, learning_rate=0.05, batch_size=8, **{**SMALL, "max_iter": 30})
    scores = model.fit(X).predict(X)
    lowest = np.where(X == 1, scores, np.inf).min(axis=1)
    highest = np.where(X == 0, scores, -np.inf).max(axis=1)
    assert (lowest > highest).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_without_vectors_the_order_is_that_of_popularity(loss):
    n_users = np.array([4, 60, 30, 15, 8, 90])
    X = np.arange(100)[:, None] < n_users
    X = np.column_stack([np.random.default_rng(i).permutation(X[:, i]) for i in range(6)])
    settings = {**SMALL, "max_iter": 80, "batch_size": 100, "learning_rate": 0.02}
    model = BPR(1, loss=loss, user_power=0, item_l2=1e3, negative_l2=1e3, **settings)
    model.fit(X * 1.0)
    assert np.abs(model.item_embeddings_).max() < 0.02
    assert_array_equal(np.argsort(model.item_offsets_), np.argsort(n_users))
    assert_array_equal(model.recommend(np.zeros((1, 6)), k=6)[0], np.argsort(-n_users))


def test_separate_penalties_shrink_what_they_name():
    X = choices(60, 20)
    settings = {**SMALL, "max_iter": 20, "dropout": 0}
    plain = BPR(3, **settings).fit(X)

    def sizes(model):
        return np.array(
            [np.linalg.norm(model.transform(X)), np.linalg.norm(model.item_embeddings_)]
        )

    for name, smaller in (("user_l2", 0), ("item_l2", 1), ("negative_l2", 1)):
        shrunk = BPR(3, **{name: 1.0}, **settings).fit(X)
        assert sizes(shrunk)[smaller] < 0.8 * sizes(plain)[smaller]


def test_users_of_everything_have_nothing_to_rank():
    X = np.ones((6, 4))
    model = BPR(2, **SMALL).fit(X)
    assert model.loss_curve_ == [0.0] * 5
    assert np.isfinite(model.predict(X)).all()


def test_negatives_are_drawn_by_the_numbers_of_users_of_the_training_data():
    X = choices(200)
    X = sparse.csr_array(X.multiply(np.arange(200)[:, None] % 9 <= np.arange(9)))
    model = BPR(2, negative_power=0.75, **SMALL)
    module = PooledRanking(9, **model._module_options(X))
    model._refill(module, X)
    expected = (np.bincount(X.indices, minlength=9) + 1) ** 0.75
    assert_allclose(np.diff(module.cumulative, prepend=0), expected / expected.sum(), rtol=1e-5)


def test_a_large_power_draws_the_most_popular():
    X = choices()
    model = BPR(2, negative_power=1e3, **SMALL)
    module = PooledRanking(9, **model._module_options(X))
    model._refill(module, X)
    counts = np.bincount(X.indices, minlength=9)
    most = counts == counts.max()
    assert_allclose(np.diff(module.cumulative, prepend=0), most / most.sum())
    assert np.isfinite(model.fit(X).predict(X)).all()


def test_new_items_get_vectors_and_the_known_keep_theirs():
    X = choices(40, 12)
    old = X[:, :9]
    model = BPR(3, **SMALL).fit(old)
    before = model.item_embeddings_
    update_rows(model, old, sparse.csr_array(sparse.hstack([old, sparse.csr_array((40, 3))])))
    assert model.item_embeddings_.shape == (12, 3)
    assert_array_equal(model.item_embeddings_[:9], before)
    assert model._weights["history"].shape == (12, 3)


def test_similar_items_have_the_largest_cosines():
    model = BPR(4, **SMALL).fit(choices())
    vectors = model.item_embeddings_
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    indices, cosines = model.similar_items([2], k=8, return_scores=True)
    assert_allclose(cosines[0], (vectors @ vectors[2])[indices[0]], rtol=1e-5)
    assert_allclose(np.sort(cosines[0])[::-1], cosines[0])


def test_dislikes_are_refused():
    X = choices().toarray()
    X[2, 4] = -1
    with pytest.raises(ValueError, match="BPR.*non-negative entries, got -1"):
        BPR().fit(X)


def test_new_items_start_where_known_ones_as_popular_stand():
    """Before the pass over the added rows, of which there are none."""
    X = choices(40, 12)
    old = X[:, :9]
    model = BPR(3, **SMALL).fit(old)
    wider = sparse.csr_array(sparse.hstack([old, sparse.csr_array((40, 3))]))
    levels = model._levels_of_new_items(wider, wider[:, 9:])
    scores = np.median(model.predict(old[np.diff(old.indptr) > 0]), axis=0)
    assert_allclose(levels, scores.min(), rtol=1e-5)
    update_rows(model, old, wider)
    assert_allclose(model.item_offsets_[9:], levels, rtol=1e-5)


def test_new_items_start_by_their_numbers_of_users_whatever_the_values():
    X = choices(40, 12)
    model = BPR(3, **SMALL).fit(X[:, :9])
    old = sparse.csr_array(sparse.hstack([X[:, :9], sparse.csr_array((40, 3))]))
    expected = model._levels_of_new_items(old, X[:, 9:])
    assert_allclose(model._levels_of_new_items(100 * old, X[:, 9:]), expected)
