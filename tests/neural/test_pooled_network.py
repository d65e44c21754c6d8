"""Networks over pooled users: losses entry by entry, ratings and their offsets."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone

from skrec import LightGCN, MultVAE, NeuMF
from skrec.linear import BiasBaseline
from skrec.networks._neu_mf import NeuMFModule
from skrec.neural import _pooled_network
from skrec.neural._batches import RowStore
from skrec.neural._negative_sampling import draw_negatives
from skrec.neural._trainer import Progress
from skrec.utils._changes import update_rows

CPU = torch.device("cpu")
SMALL = {"parts": "gmf", "early_stopping": False, "max_iter": 3, "random_state": 0}
L2_USER = 15.0


def entries(n_users=20, n_items=9, density=0.4, seed=0, ratings=False):
    """The first user has one item, the second none."""
    rng = np.random.default_rng(seed)
    X = (rng.random((n_users, n_items)) < density).astype(float)
    X[0], X[1] = 0, 0
    X[0, 3] = 1
    if ratings:
        X *= rng.integers(1, 6, X.shape)
    return sparse.csr_array(X)


def network(loss, n_negatives=3, dropout=0.0, n_items=9):
    options = {"loss": loss, "n_negatives": n_negatives, "dropout": dropout}
    module = NeuMFModule(n_items, 4, [], parts="gmf", **options)
    module.init(torch.Generator().manual_seed(0))
    for weights in (module.output.bias, module.weights):
        torch.nn.init.normal_(weights, generator=torch.Generator().manual_seed(1))
    return module.double()


def arrays(module):
    return {name: value.detach().numpy() for name, value in module.named_parameters()}


def pooled(weights, X, user, others, ratings):
    """The vector and the offset of a user who has only these entries, by the formula."""
    items = X.indices[others]
    vectors = weights["history"][items]
    offset = 0.0
    if ratings:
        left = X.data[others] - weights["output.bias"][items]
        offset = left.sum() / (len(others) + L2_USER)
        vectors = vectors + (left - offset)[:, None] * weights["rated"][items]
    return vectors.sum(axis=0) / np.sqrt(max(len(others), 1)), offset


def score(weights, vector, item):
    product = weights["weights"] * vector * weights["output.weight"][item]
    return product.sum() + weights["output.bias"][item]


@pytest.mark.parametrize("loss", ["cross_entropy", "bpr", "squared_error"])
def test_losses_are_those_of_the_formula(loss):
    ratings = loss == "squared_error"
    X, module = entries(ratings=ratings), network(loss)
    weights = arrays(module)
    batch = RowStore(X, CPU).cut()
    batch = replace(batch, values=batch.values.double())
    losses = module(batch, torch.Generator().manual_seed(3), Progress(0, 1)).detach()
    negatives = draw_negatives(batch, 3, torch.Generator().manual_seed(3)).numpy()
    expected = np.zeros(X.shape[0])
    for user in range(X.shape[0]):
        of_user = np.arange(X.indptr[user], X.indptr[user + 1])
        for entry in of_user:
            vector, offset = pooled(weights, X, user, of_user[of_user != entry], ratings)
            chosen = score(weights, vector, X.indices[entry])
            if ratings:
                expected[user] += (X.data[entry] - chosen - offset) ** 2
                continue
            others = [score(weights, vector, item) for item in negatives[entry]]
            if loss == "bpr":
                terms = [np.log1p(np.exp(other - chosen)) for other in others]
            else:
                terms = [np.log1p(np.exp(-chosen)), *np.log1p(np.exp(others))]
            expected[user] += sum(terms) / np.sqrt(len(of_user))
    assert_allclose(losses, expected, rtol=1e-10)


def test_users_of_everything_have_no_negatives():
    X = np.ones((6, 4))
    assert NeuMF(2, loss="bpr", **SMALL).fit(X).loss_curve_ == [0.0] * 3
    model = NeuMF(2, loss="cross_entropy", **SMALL).fit(X)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert (model.item_offsets_ > 0).all()


@pytest.mark.parametrize("loss", ["bpr", "squared_error"])
def test_scores_are_those_of_the_whole_row(loss):
    ratings = loss == "squared_error"
    X = entries(ratings=ratings)
    model = NeuMF(4, loss=loss, clip=False, **SMALL).fit(X)
    weights = model._weights
    units = model.rating_unit_ if ratings else 1.0
    mean = X.data.mean() if ratings else 0.0
    rows = sparse.csr_array(((X.data - mean) / units, X.indices, X.indptr), shape=X.shape)
    for user, row in enumerate(model.predict(X)):
        of_user = np.arange(X.indptr[user], X.indptr[user + 1])
        vector, offset = pooled(weights, rows, user, of_user, ratings)
        expected = [score(weights, vector, item) + offset for item in range(9)]
        assert_allclose(row, mean + units * np.array(expected), rtol=1e-4, atol=1e-5)
        assert_allclose(model.transform(X[[user]])[0], vector, rtol=1e-4, atol=1e-5)


def test_values_of_choices_do_not_count_and_dropped_entries_are_still_to_be_ranked():
    X = entries()
    model = NeuMF(3, **SMALL).fit(X)
    assert_array_equal(model.predict(3 * X), model.predict(X))
    settings = {**SMALL, "max_iter": 1, "batch_size": 20}
    before = NeuMF(3, learning_rate=1e-12, **settings).fit(X)
    model = NeuMF(3, dropout=0.999, **settings).fit(X)
    moved = np.abs(model._weights["history"] - before._weights["history"]).max()
    assert moved < 1e-6
    assert (np.abs(model.item_offsets_) > 1e-3).all()


def test_a_rating_does_not_see_itself():
    """Not in the user's vector, and not in the user's offset."""
    X = entries(ratings=True)
    module = network("squared_error").requires_grad_(False)
    batch = RowStore(X, CPU).cut()
    batch = replace(batch, values=batch.values.double())
    vectors, offsets = module._pool(batch, of_others=True)
    for entry in (0, 4, 11):
        values = batch.values.clone()
        values[entry] += 100
        moved, moved_offsets = module._pool(replace(batch, values=values), of_others=True)
        assert_allclose(moved[entry], vectors[entry], atol=1e-10)
        assert_allclose(moved_offsets[entry], offsets[entry], atol=1e-10)


def test_ratings_begin_as_the_offsets_that_fit_best():
    X = entries(40, 12, ratings=True)
    model = NeuMF(2, loss="squared_error", learning_rate=1e-12, clip=False, **SMALL)
    baseline = BiasBaseline(clip=False).fit(X)
    expected = baseline.predict(X)
    model.fit(X)
    assert_allclose(model.mean_, X.data.mean())
    vectors = np.abs(model.transform(X) @ model.item_embeddings_.T) * model.rating_unit_
    assert (np.abs(model.predict(X) - expected) < vectors + 1e-4).all()


def test_early_stopping_counts_what_is_predicted_of_pairs():
    X = entries(80, 12, ratings=True)
    settings = {"learning_rate": 3.0, "max_iter": 2, "random_state": 0}  # far out of the range
    model = NeuMF(2, loss="squared_error", **settings).fit(X)
    _, held_out = model._hold_out(model._check_training(X, False), 0)
    hidden = held_out.hidden.tocoo()
    visible = held_out.visible.copy()
    visible.data *= model.rating_unit_
    rated = model.predict(visible)[hidden.coords]
    error = np.sqrt(np.mean((rated - hidden.data * model.rating_unit_) ** 2))
    assert_allclose(max(model.validation_scores_), -error, rtol=1e-5)


def test_the_penalty_shrinks_the_vectors():
    X = entries(60, 20)
    sizes = [
        np.abs(NeuMF(3, l2=l2, dropout=0, **{**SMALL, "max_iter": 20}).fit(X).item_embeddings_)
        for l2 in (0.0, 100.0)
    ]
    assert sizes[1].mean() < 0.5 * sizes[0].mean()


def test_blocks_of_pairs_do_not_change_scores(monkeypatch):
    X = entries()
    model = NeuMF(3, **SMALL).fit(X)
    expected = model.predict(X)
    for n_pairs in (1, 4, 20):
        monkeypatch.setattr(_pooled_network, "N_PAIRS", n_pairs)
        assert_allclose(model.predict(X), expected, rtol=1e-6)


@pytest.mark.parametrize("loss", ["bpr", "squared_error"])
def test_new_items_get_vectors_and_the_known_keep_theirs(loss):
    X = entries(40, 12, ratings=loss == "squared_error")
    old = X[:, :9]
    model = NeuMF(3, loss=loss, **SMALL).fit(old)
    before = model.item_embeddings_, model._weights["history"]
    update_rows(model, old, sparse.csr_array(sparse.hstack([old, sparse.csr_array((40, 3))])))
    assert model.item_embeddings_.shape == (12, 3)
    assert_array_equal(model.item_embeddings_[:9], before[0])
    assert_array_equal(model._weights["history"][:9], before[1])


def test_dislikes_are_refused_and_ratings_may_be_negative():
    X = entries().toarray()
    X[2, 4] = -1
    with pytest.raises(ValueError, match="NeuMF.*non-negative entries, got -1"):
        NeuMF().fit(X)
    NeuMF(2, loss="squared_error", **SMALL).fit(X)


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_the_penalty_shrinks_all_vectors_of_items(loss):
    X = entries(ratings=loss == "squared_error")
    options = {"early_stopping": False, "max_iter": 20, "random_state": 0}
    free, small = (NeuMF(4, loss=loss, l2=l2, **options).fit(X)._weights for l2 in (0, 1e4))
    names = {"history", "output.weight", "rated"} & free.keys()
    assert len(names) == (3 if loss == "squared_error" else 2)
    for name in names:
        assert np.abs(small[name]).mean() < 0.5 * np.abs(free[name]).mean(), name


def test_the_penalty_is_on_the_sum_of_the_losses():
    decays = NeuMF(4, l2=3)._trainer_options(entries())["optimizer__param_groups"]
    assert decays == [(name, {"weight_decay": 3 / 20}) for name in ("history", "output.weight")]


@pytest.mark.parametrize(("loss", "l2"), [("bpr", 0), ("squared_error", 50)])
def test_the_penalty_by_default(loss, l2):
    X = entries(ratings=loss == "squared_error")
    options = {"loss": loss, "early_stopping": False, "max_iter": 2, "random_state": 0}
    by_default, given = (NeuMF(4, l2=l2, **options).fit(X) for l2 in (None, l2))
    assert_array_equal(by_default.predict(X), given.predict(X))


def test_batches_may_follow_the_number_of_users():
    X = entries()
    options = {"early_stopping": False, "max_iter": 1, "random_state": 0}
    automatic, given = (NeuMF(4, batch_size=size, **options).fit(X) for size in ("auto", 50))
    assert_array_equal(automatic.predict(X), given.predict(X))


@pytest.mark.parametrize(
    ("model", "rates", "ranks"),
    [
        (NeuMF(4), {"loss": "squared_error"}, {"loss": "bpr"}),
        (LightGCN(4), {"loss": "squared_error"}, {"loss": "softmax"}),
        (LightGCN(4, warm_start=True), {"loss": "squared_error"}, {"loss": "softmax"}),
        (MultVAE(4), {"likelihood": "gaussian"}, {"likelihood": "multinomial"}),
    ],
)
def test_nothing_of_ratings_is_left_where_choices_are_learned(model, rates, ranks):
    X, ratings = entries(), entries(ratings=True)
    model = clone(model).set_params(max_iter=2, random_state=0)
    fresh = clone(model).set_params(**ranks).fit(X)
    model.set_params(**rates).fit(ratings)
    model.set_params(**ranks).fit(X)
    assert not {"mean_", "rating_unit_", "rating_range_"} & vars(model).keys()
    if not model.warm_start:
        assert_array_equal(model.predict(X), fresh.predict(X))
        assert model.validation_scores_ == fresh.validation_scores_
    model.set_params(**rates)
    assert_array_equal(model.predict(X), model.set_params(**ranks).predict(X))
