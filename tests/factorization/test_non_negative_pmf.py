"""NonNegativePMF: its objective with loops, exact rows, other libraries' solutions."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import nnls
from sklearn.decomposition import NMF

from skrec import NonNegativePMF
from skrec.factorization._non_negative_rows import (
    NonNegativeSweeps,
    improve_non_negative,
    solve_non_negative,
)


def ratings(seed=0, shape=(40, 15), density=0.4):
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < density) * rng.integers(1, 6, shape).astype(float)


def problem(seed=0, n_weights=4):
    rng = np.random.default_rng(seed)
    rows = sparse.csr_array(ratings(seed))
    features = rng.random((15, n_weights))
    return rows, features, (0.3, 0.5), rng.random(n_weights), np.zeros((40, n_weights))


def test_a_row_is_the_solution_of_scipy():
    rows, features, (l2, exponent), prior, start = problem()
    found = solve_non_negative(rows, features, (l2, exponent), prior, start)
    for row, weights in zip(rows.toarray(), found, strict=True):
        rated = row > 0
        root = np.sqrt(l2 * max(rated.sum(), 1) ** exponent)
        matrix = np.vstack([features[rated], root * np.eye(4)])
        expected, _ = nnls(matrix, np.r_[row[rated], root * prior])
        np.testing.assert_allclose(weights, expected, atol=1e-9)
    assert (found == 0).any()


def test_a_row_keeps_the_conditions_of_a_minimum():
    X = ratings(1)
    model = NonNegativePMF(5, l2=0.5, random_state=0).fit(X)
    factors, items = model.transform(X), model.item_embeddings_
    units = X / model.rating_unit_
    for row, weights in zip(units, factors, strict=True):
        rated = row > 0
        penalty = 0.5 * max(rated.sum(), 1) ** 0.25
        gradient = items[rated].T @ (items[rated] @ weights - row[rated])
        gradient += penalty * (weights - model.user_mean_)
        assert (weights >= 0).all()
        assert (gradient > -1e-8).all()
        np.testing.assert_allclose(gradient[weights > 0], 0, atol=1e-8)
    assert (items >= 0).all()


@pytest.mark.parametrize("learns_priors", [True, False])
def test_the_objective_is_the_formula_and_never_rises(learns_priors):
    X = sparse.csr_array(ratings(2))
    items = np.random.default_rng(2).random((15, 3))
    sweeps = NonNegativeSweeps(X, 0.5, items, (0.4, 0.5), learns_priors)
    losses = [loss for _ in range(30) for loss in sweeps.sweep()]
    assert (np.diff(losses) <= 1e-9).all()
    before = sweeps.priors[1].copy()
    losses = sweeps.sweep()

    def objective(users, items, user_prior, item_prior):
        errors = (X.toarray() - users @ items.T)[X.toarray() > 0]
        total = (errors**2).sum() / 2
        counts = (X.toarray() > 0).sum(axis=1), (X.toarray() > 0).sum(axis=0)
        for table, prior, n in zip((users, items), (user_prior, item_prior), counts, strict=True):
            for weights, count in zip(table, n, strict=True):
                total += 0.4 * max(count, 1) ** 0.5 * ((weights - prior) ** 2).sum() / 2
        return total

    users, items = sweeps.sides
    assert losses[1] == pytest.approx(objective(users, items, sweeps.priors[0], before))
    assert objective(users, items, *sweeps.priors) <= losses[1] + 1e-9
    if learns_priors:
        assert objective(users, items, sweeps.priors[0] + 0.01, sweeps.priors[1]) > losses[1]
    else:
        np.testing.assert_array_equal(sweeps.priors, 0)


def test_training_ends_with_the_first_sweep_of_little_gain():
    curve = np.array(NonNegativePMF(3, tol=1e-3, random_state=0).fit(ratings(2)).loss_curve_)[1::2]
    gains = -np.diff(curve) / curve[:-1]
    assert 2 < len(gains) < 59
    assert gains[-1] <= 1e-3 < gains[:-1].min()


def test_passes_lower_the_loss_that_is_returned():
    rows, features, _, prior, weights = problem(3)
    penalties = np.full(40, 0.2)
    losses = [improve_non_negative(rows, features, penalties, prior, weights, 1) for _ in range(5)]
    errors = (rows.toarray() - weights @ features.T)[rows.toarray() > 0]
    expected = ((errors**2).sum() + 0.2 * ((weights - prior) ** 2).sum()) / 2
    assert losses[-1] == pytest.approx(expected)
    assert (np.diff(losses) < 0).all()


def test_complete_ratings_without_a_penalty_are_scikit_learns_nmf():
    rng = np.random.default_rng(4)
    X = rng.random((30, 2)) @ rng.random((2, 12)) + 0.2 * rng.random((30, 12)) + 0.1
    model = NonNegativePMF(
        2, l2=1e-9, prior="zero", max_iter=3000, tol=1e-9, clip=False, random_state=0
    ).fit(X)
    other = NMF(2, init="nndsvda", tol=1e-9, max_iter=5000, random_state=0)
    expected = np.linalg.norm(X - other.fit_transform(X) @ other.components_)
    assert np.linalg.norm(X - model.predict(X)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("prior", ["mean", "zero"])
def test_users_and_items_without_ratings_are_average_ones(prior):
    X = ratings(5)
    X[:, 6] = 0
    model = NonNegativePMF(3, l2=0.1, prior=prior, clip=False, random_state=0).fit(X)
    np.testing.assert_array_equal(model.item_embeddings_[6], model.item_mean_)
    shares = (X > 0).sum(axis=0) ** 0.25  # nothing for the item without ratings
    expected = shares @ model.item_embeddings_ / shares.sum()
    np.testing.assert_allclose(model.item_mean_, expected)
    empty = np.zeros((1, 15))
    np.testing.assert_allclose(model.transform(empty)[0], model.user_mean_)
    expected = model.item_embeddings_ @ model.user_mean_ * model.rating_unit_
    np.testing.assert_allclose(model.predict(empty)[0], expected)
    assert 1 < model.predict(empty)[0, 6] < 5


def test_negative_ratings_are_refused():
    X = ratings()
    X[3, 2] = -1
    with pytest.raises(ValueError, match=r"Negative values.*got -1: add the same number"):
        NonNegativePMF().fit(X)


def test_one_rating_and_constant_ratings():
    one = np.zeros((3, 4))
    one[1, 2] = 4
    model = NonNegativePMF(2, clip=False, random_state=0).fit(one)
    assert model.predict(one)[1, 2] == pytest.approx(4, abs=0.5)
    constant = 3.0 * (ratings(6) > 0)
    model = NonNegativePMF(2, clip=False, random_state=0).fit(constant)
    np.testing.assert_allclose(model.predict(constant), 3, atol=0.1)


def test_wrong_input():
    for name, value in [("n_components", 0), ("l2", 0), ("prior", "median"), ("tol", -1)]:
        with pytest.raises(ValueError, match=name):
            NonNegativePMF(**{name: value}).fit(ratings())


def test_a_penalty_that_overflows_is_refused():
    X = sparse.csr_array(np.full((4, 3), 2.0))
    with pytest.raises(ValueError, match=r"l2=1e\+308 makes the objective overflow"):
        NonNegativePMF(l2=1e308).fit(X)
    assert np.ptp(NonNegativePMF(l2=1e150).fit(X).predict(X)) < 1e-12


def test_too_many_factors_are_refused(monkeypatch):
    monkeypatch.setattr("skrec.utils._memory.available_memory", lambda: 100)
    with pytest.raises(MemoryError, match="smaller n_components"):
        NonNegativePMF().fit(ratings())
