"""CDAE: its losses written out with loops, a closed form, and what negatives stand for."""

import numpy as np
import pytest
import torch
from draws import check_means
from initial_weights import check_uniform
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit

from skrec import CDAE
from skrec.autoencoders._cdae import CDAEModule
from skrec.neural import _negative_sampling
from skrec.neural._batches import RowStore
from skrec.neural._negative_sampling import draw_negatives
from skrec.neural._trainer import Progress

CPU = torch.device("cpu")
SMALL = {"early_stopping": False, "max_iter": 5, "random_state": 0}
OPTIONS = {
    "activation": "tanh",
    "tied": False,
    "loss": "cross_entropy",
    "n_negatives": 3,
    "user_power": 0.0,
    "input_power": 0.5,
    "dropout": 0.0,
}


def choices(n_users=20, n_items=9, density=0.4, seed=0):
    """The first user has one item, the second none, the third all."""
    rng = np.random.default_rng(seed)
    X = (rng.random((n_users, n_items)) < density).astype(float)
    X[0], X[1], X[2] = 0, 0, 1
    X[0, 3] = 1
    return sparse.csr_array(X)


def module_of(**options):
    module = CDAEModule(9, 4, **{**OPTIONS, **options})
    module.init(torch.Generator().manual_seed(0))
    for seed, bias in enumerate((module.bias, module.output.bias)):
        torch.nn.init.normal_(bias, generator=torch.Generator().manual_seed(seed))
    return module


def arrays(module):
    return {name: value.detach().double().numpy() for name, value in module.state_dict().items()}


def naive_scores(weights, row, activation, input_power):
    """Of one row, in which items that stay may weigh more than 1."""
    items = np.flatnonzero(row)
    pooled = weights["bias"].copy()
    for item in items:
        pooled += row[item] * weights.get("history", weights["output.weight"])[item]
    return weights["output.weight"] @ activation(pooled) + weights["output.bias"]


ACTIVATIONS = {"tanh": np.tanh, "logistic": expit, "identity": lambda values: values}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loss": "squared_error", "tied": True},
        {"activation": "logistic", "user_power": 1.0, "input_power": 0.0, "dropout": 0.4},
        {"activation": "identity", "user_power": 0.5, "input_power": 1.0, "tied": True},
    ],
    ids=str,
)
def test_the_objective_is_that_of_the_formula(options):
    module, X = module_of(**options), choices()
    options = {**OPTIONS, **options}
    batch = RowStore(X, CPU).cut()
    losses = module(batch, torch.Generator().manual_seed(1), Progress(0, 1)).detach()

    generator = torch.Generator().manual_seed(1)
    kept = np.ones(X.nnz)
    if options["dropout"]:
        kept = (torch.rand(X.nnz, generator=generator).numpy() >= 0.4) / 0.6
    negatives = draw_negatives(batch, 3, generator).numpy()
    weights, expected = arrays(module), np.zeros(20)
    for user in range(20):
        entries = range(X.indptr[user], X.indptr[user + 1])
        row, n = np.zeros(9), max(1, len(entries))
        for entry in entries:
            row[X.indices[entry]] = kept[entry] / n ** options["input_power"]
        activation = ACTIVATIONS[options["activation"]]
        f = naive_scores(weights, row, activation, options["input_power"])
        for entry in entries:
            others = [j for j in negatives[entry] if j >= 0]
            if options["loss"] == "cross_entropy":
                terms = [np.log1p(np.exp(-f[X.indices[entry]]))]
                terms += [np.log1p(np.exp(f[j])) for j in others]
            else:
                terms = [(1 - f[X.indices[entry]]) ** 2 / 2] + [f[j] ** 2 / 2 for j in others]
            expected[user] += sum(terms) / n ** options["user_power"]
    assert_allclose(losses, expected, rtol=2e-5)


def test_scores_are_those_of_the_formula_whatever_the_values():
    X = choices()
    for options in ({}, {"tied": True, "activation": "logistic", "input_power": 0.0}):
        model = CDAE(4, **options, **SMALL).fit(X)
        weights = {name: value.astype(np.float64) for name, value in model._weights.items()}
        power = options.get("input_power", 0.5)
        activation = ACTIVATIONS[options.get("activation", "tanh")]
        expected = [
            naive_scores(weights, row / max(1, row.sum()) ** power, activation, power)
            for row in X.toarray()
        ]
        assert_allclose(model.predict(X), expected, rtol=1e-4, atol=1e-5)
        assert_array_equal(model.predict(3 * X), model.predict(X))
        assert ("history" in model._weights) != options.get("tied", False)
        again = CDAE(4, **options, **SMALL).fit(7 * X)
        assert_array_equal(again.predict(X), model.predict(X))


def half_full(n_users=40, n_items=8):
    """Rows with half of the items each: as many negatives as items, if one is drawn for each."""
    rng = np.random.default_rng(0)
    tastes = rng.normal(size=(n_users, 2)) @ rng.normal(size=(2, n_items))
    order = np.argsort(tastes + 0.3 * rng.normal(size=tastes.shape), axis=1)
    X = np.zeros((n_users, n_items))
    np.put_along_axis(X, order[:, n_items // 2 :], 1, axis=1)
    return sparse.csr_array(X)


def test_negatives_stand_for_all_items_that_a_user_has_not():
    """In expectation, each as often as one is drawn: here once."""
    X = half_full()
    for loss in ("cross_entropy", "squared_error"):
        module = CDAEModule(8, 3, **{**OPTIONS, "loss": loss, "n_negatives": 1})
        module.init(torch.Generator().manual_seed(0))
        batch, generator = RowStore(X, CPU).cut(), torch.Generator().manual_seed(1)
        with torch.inference_mode():
            f = module.output(module.encode(batch)).double().numpy()
            draws = [module(batch, generator, Progress(0, 1)).numpy() for _ in range(300)]
        x = X.toarray()
        costs = np.logaddexp(0, f) - x * f if loss == "cross_entropy" else (x - f) ** 2 / 2
        check_means(draws, costs.sum(axis=1))


def test_the_linear_model_of_all_items_is_the_regularized_principal_components(monkeypatch):
    """Kunin et al. 2019: singular values less their share of the penalty; here centred rows."""
    X = half_full()

    def every_other(batch, n_negatives, generator):
        dense = np.ones((len(batch), 8))
        dense[batch.rows, batch.items] = 0
        return torch.from_numpy(dense.nonzero()[1])[:, None]

    monkeypatch.setattr(_negative_sampling, "draw_negatives", every_other)
    settings = {"activation": "identity", "loss": "squared_error", "input_power": 0.0}
    settings |= {"n_negatives": 1, "dropout": 0.0, "user_power": 0.0, "early_stopping": False}
    l2 = 0.05
    model = CDAE(3, l2=l2, learning_rate=0.02, max_iter=400, random_state=0, **settings).fit(X)
    centred = X.toarray() - X.toarray().mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    shrunk = np.maximum(1 - 2 * l2 * 40 / sizes[:3] ** 2, 0)
    weights = (directions[:3].T * shrunk) @ directions[:3]
    assert_allclose(model.predict(X), centred @ weights + X.toarray().mean(axis=0), atol=0.01)
    assert shrunk.min() > 0.1 and shrunk.max() < 0.9


@pytest.mark.parametrize("tied", [False, True])
def test_vectors_start_glorot_uniform_and_biases_at_zero(tied):
    X = sparse.random_array((60, 800), density=0.1, rng=np.random.default_rng(0))
    model = CDAE(50, tied=tied, **{**SMALL, "max_iter": 1}, learning_rate=1e-12).fit(X)
    for name in ["output.weight"] + ["history"] * (not tied):
        check_uniform(model._weights[name], np.sqrt(6 / 850))
    for name in ("bias", "output.bias"):
        assert_allclose(model._weights[name], 0, atol=1e-9)


@pytest.mark.parametrize("tied", [False, True])
def test_the_penalty_is_of_vectors_and_not_of_biases(tied):
    X = choices(60)
    plain, shrunk = (
        CDAE(4, tied=tied, l2=l2, learning_rate=0.02, **{**SMALL, "max_iter": 30}).fit(X)
        for l2 in (0.0, 1.0)
    )
    for name in ["output.weight"] + ["history"] * (not tied):
        sizes = [np.linalg.norm(model._weights[name]) for model in (plain, shrunk)]
        assert sizes[1] < 0.2 * sizes[0]
    assert np.abs(shrunk._weights["output.bias"]).max() > 0.1


def test_users_of_everything_have_only_items_to_learn_from():
    model = CDAE(2, learning_rate=0.05, **{**SMALL, "max_iter": 60}).fit(np.ones((6, 4)))
    assert np.isfinite(model.loss_curve_).all()
    assert (model.predict(np.ones((1, 4))) > 0).all()


def test_more_negatives_than_there_are_pairs_of_user_and_item():
    X = choices()
    model = CDAE(3, n_negatives=60, **SMALL).fit(X)
    assert np.isfinite(model.predict(X)).all()


def test_more_negatives_than_memory_holds_are_refused():
    with pytest.raises(MemoryError, match="Training CDAE on"):
        CDAE(3, n_negatives=2**40, **SMALL).fit(choices())


def test_similar_items_have_the_largest_cosines():
    model = CDAE(4, **SMALL).fit(choices())
    vectors = model.item_embeddings_
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    indices, cosines = model.similar_items([2], k=8, return_scores=True)
    assert_allclose(cosines[0], (vectors @ vectors[2])[indices[0]], rtol=1e-4)
    assert_allclose(np.sort(cosines[0])[::-1], cosines[0])


def test_dislikes_are_refused():
    X = choices().toarray()
    X[2, 4] = -1
    with pytest.raises(ValueError, match="CDAE.*non-negative entries, got -1"):
        CDAE().fit(X)
