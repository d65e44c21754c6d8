"""SVD++: the formula and its gradient written out, PMF as its limit, and choices that tell."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrec import PMF, SVDpp
from skrec.factorization._implicit_factors import ChoiceRidge, choice_sums, users_with_choices
from skrec.solvers._alternating import SMALLEST_COUNT
from skrec.utils._changes import update_rows


def ratings(n_users=40, n_items=25, density=0.4, seed=0):
    """Ratings of deviation 1, the unit that is computed in; with an empty row and column."""
    rng = np.random.default_rng(seed)
    X = rng.integers(1, 6, (n_users, n_items)) * (rng.random((n_users, n_items)) < density)
    X[3], X[:, 4] = 0, 0
    return sparse.csr_array(X / X[X > 0].std())


def own_weights(model, X):
    """The users' own factors, and their offsets."""
    factors, offsets = model._fold_in(X)
    return factors - choice_sums(
        X, model.implicit_embeddings_
    ), offsets - model._objective.intercept


def naive_loss(model, X, users, user_offsets, items, item_offsets, implicit):
    """The objective, rating by rating, user by user and item by item."""
    X = X.toarray()
    total = 0.0

    def penalty(n_ratings):
        return model.l2 * max(SMALLEST_COUNT, n_ratings) ** model.l2_exponent

    for user, row in enumerate(X):
        chosen = np.flatnonzero(row)
        factors = users[user].copy()
        for item in chosen:
            factors += implicit[item] / np.sqrt(len(chosen))
        for item in chosen:
            offsets = model._objective.intercept + user_offsets[user] + item_offsets[item]
            total += (row[item] - offsets - items[item] @ factors) ** 2
        total += penalty(len(chosen)) * (users[user] @ users[user] + user_offsets[user] ** 2)
    for item, column in enumerate(X.T):
        squares = items[item] @ items[item] + item_offsets[item] ** 2
        total += penalty((column > 0).sum()) * squares
        total += model.l2_implicit * implicit[item] @ implicit[item]
    return total / 2


@pytest.mark.parametrize("n_components", [3, 40])
@pytest.mark.parametrize("l2_exponent", [0, 0.5])
def test_objective_is_that_of_the_formula_and_never_rises(n_components, l2_exponent):
    X = ratings()
    settings = {"l2": 0.3, "l2_exponent": l2_exponent, "l2_implicit": 2.0}
    model = SVDpp(n_components, **settings, tol=0, max_iter=300, random_state=0).fit(X)
    curve = np.array(model.loss_curve_)
    assert len(curve) == 3 * model.n_iter_ > 300
    assert (np.diff(curve) <= 1e-9 * curve[:-1]).all()
    assert curve[-1] < 0.9 * curve[2]
    assert model.implicit_embeddings_.any()
    items = model.item_embeddings_, model.item_offsets_, model.implicit_embeddings_
    loss = naive_loss(model, X, *own_weights(model, X), *items)
    assert loss == pytest.approx(curve[-1], rel=1e-6)


def test_gradient_of_the_formula_vanishes_where_training_ends():
    """For the training rows as they are folded in: they get what a new user gets."""
    X = ratings()
    model = SVDpp(2, l2=0.5, l2_implicit=2.0, tol=0, max_iter=3000, random_state=0).fit(X)
    parts = [
        *own_weights(model, X),
        model.item_embeddings_,
        model.item_offsets_,
        model.implicit_embeddings_,
    ]
    rng = np.random.default_rng(0)
    for number, part in enumerate(parts):
        for place in rng.choice(part.size, 10, replace=False):
            losses = []
            for step in (1e-4, -1e-4):
                moved = [of.copy() for of in parts]
                moved[number].flat[place] += step
                losses.append(naive_loss(model, X, *moved))
            assert abs(losses[0] - losses[1]) / 2e-4 < 1e-3


@pytest.mark.parametrize("n_components", [4, 40])
def test_pmf_without_implicit_factors(n_components):
    X = 5 * ratings()
    model = SVDpp(n_components, l2=1.1, l2_implicit=1e12, random_state=0).fit(X)
    pmf = PMF(n_components, l2=1.1, random_state=0).fit(X)
    assert model.n_iter_ == pmf.n_iter_
    assert_allclose(model.predict(X), pmf.predict(X), rtol=1e-7)
    assert_allclose(model.transform(X), pmf.transform(X), atol=1e-7)


def test_choices_that_tell_the_ratings():
    """Users of two kinds choose most items of their own, and rate a third kind by it."""
    rng = np.random.default_rng(0)
    kind = np.repeat([1, -1], 100)
    chosen = rng.random((200, 60)) < 0.25
    chosen[:, :20] = rng.random((200, 20)) < np.where(kind == 1, 0.7, 0.1)[:, None]
    chosen[:, 20:40] = rng.random((200, 20)) < np.where(kind == 1, 0.1, 0.7)[:, None]
    signs = rng.choice([-1, 1], 20)
    X = 3 + 0.5 * rng.normal(size=(200, 60))
    X[:, 40:] += kind[:, None] * signs
    X *= chosen
    new = np.where(kind == 1, 1, -1)[:, None] * signs > 0
    # Of the new users only choices are known, and ratings of what all rate alike.
    blind = X.copy()
    blind[:, 40:] = 0
    train, test = sparse.csr_array(X[::2]), sparse.csr_array(blind[1::2])
    truth = 3 + np.where(new, 1, -1)[1::2]

    def error(model):
        return np.sqrt(np.mean((model.fit(train).predict(test)[:, 40:] - truth) ** 2))

    settings = {"n_components": 2, "l2": 0.5, "random_state": 0}
    assert error(SVDpp(l2_implicit=1.0, **settings)) < 0.5 * error(PMF(**settings))


def test_choice_ridge_ends_at_the_normal_equations():
    X = ratings()
    rng = np.random.default_rng(0)
    targets, weights = rng.normal(size=(40, 3)), rng.uniform(0.5, 2, 40)
    lengths = np.maximum(np.diff(X.indptr), 1)
    choices = (X.toarray() > 0) / np.sqrt(lengths)[:, None]
    hessian = choices.T @ (weights[:, None] * choices) + 0.7 * np.eye(25)
    expected = np.linalg.solve(hessian, choices.T @ (weights[:, None] * targets))
    ridge, table = ChoiceRidge(X, weights, 0.7), np.zeros((25, 3))
    for _ in range(200):
        table, of_choices = ridge.improve(targets, table)
        assert_allclose(of_choices, choices @ table, atol=1e-12)
    assert_allclose(table, expected, atol=1e-8)
    assert_array_equal(table[4], 0)


def test_embeddings_make_the_predictions():
    X = ratings()
    model = SVDpp(3, clip=False, l2=0.3, l2_implicit=2.0, random_state=0).fit(2 * X)
    users, offsets = model.transform(2 * X), model._fold_in(model._check_rows(2 * X))[1]
    expected = model.rating_unit_ * (users @ model.item_embeddings_.T + offsets[:, None])
    assert_allclose(model.predict(2 * X), expected + model.item_offsets_)
    assert_allclose(model.mean_, (2 * X).data.mean())


def test_what_is_chosen_counts_and_not_only_how_it_is_rated():
    """Two rows at the mean and the offsets, from which a model of ratings alone learns nothing."""
    X = ratings()
    model = SVDpp(3, l2=0.3, l2_implicit=0.5, clip=False, random_state=0).fit(X)
    rows = np.zeros((2, 25))
    for row, items in zip(rows, ([0, 1, 2], [7, 8, 9]), strict=True):
        row[items] = model.mean_ + model.item_offsets_[items]
    first, second = model.predict(rows)
    assert np.abs(first - second).max() > 0.05


@pytest.mark.parametrize("rating", [4.0, -2.0])
def test_ratings_that_are_all_the_same(rating):
    X = ratings()
    X.data[:] = rating
    model = SVDpp(3, random_state=0).fit(X)
    assert_allclose(model.predict(X), rating)
    assert_allclose(SVDpp(3, clip=False, random_state=0).fit(X).predict(X), rating, rtol=1e-5)


def test_one_rating_alone():
    model = SVDpp(3, random_state=0).fit([[0, 4.0, 0]])
    assert_allclose(model.predict([[0, 4.0, 0], [0, 0, 0]]), 4)


@pytest.mark.parametrize(
    ("dtype", "l2_implicit"), [(np.float32, 1e-50), (np.float32, 1e-6), (np.float64, 1e-300)]
)
def test_penalties_of_next_to_nothing(dtype, l2_implicit):
    X = ratings().astype(dtype)
    model = SVDpp(3, l2_implicit=l2_implicit, random_state=0).fit(X)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("name", ["l2", "l2_implicit"])
def test_penalties_beyond_floats(name):
    X = ratings().astype(np.float32)
    with pytest.raises(ValueError, match=rf"{name}=1e\+39 .*float32 cannot hold: make it smaller"):
        SVDpp(3, **{name: 1e39}).fit(X)


def test_too_many_factors_are_refused_before_they_are_drawn():
    with pytest.raises(MemoryError, match=r"SVDpp with 1000000000 components.*smaller n_comp"):
        SVDpp(10**9).fit(ratings())


def test_an_update_with_too_many_rows_is_refused(monkeypatch):
    X = ratings()
    model = SVDpp(3, random_state=0).fit(X[:30])
    before = model.predict(X)
    monkeypatch.setattr("skrec.utils._memory.available_memory", lambda: 100)
    with pytest.raises(MemoryError, match="on 40 users x 25 items.*smaller n_components"):
        update_rows(model, X[:30], X)
    assert_array_equal(model.predict(X), before)


def test_threads_do_not_change_the_model(monkeypatch):
    X = ratings(1300, 25)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = SVDpp(3, random_state=0).fit(X)
    monkeypatch.setattr("skrec.factorization._implicit_factors.effective_n_threads", lambda: 3)
    shared = SVDpp(3, random_state=0).fit(X)
    assert_array_equal(shared.implicit_embeddings_, alone.implicit_embeddings_)


def test_an_update_goes_on_from_all_factors_of_items_with_all_rows():
    X = ratings(60)
    old = X[:45, :20].tolil()
    old[5, :10] = 0
    model = SVDpp(3, l2=0.3, l2_implicit=2.0, tol=0, max_iter=20, random_state=0)
    model.fit(sparse.csr_array(old))
    items, implicit = (np.pad(of, ((0, 5), (0, 0))) for of in model._tables)
    update_rows(model.set_params(max_iter=1), sparse.csr_array(old), X)
    assert model.n_iter_ == 1
    X = X / model.rating_unit_
    users = users_with_choices(model._objective, X, items, implicit)
    own = users[:, :-1] - choice_sums(X, implicit), users[:, -1]
    started = naive_loss(model, X, *own, items[:, :-1], items[:, -1], implicit)
    assert model.loss_curve_[0] == pytest.approx(started)
    assert model.implicit_embeddings_.shape == (25, 3)
    assert np.abs(model.item_embeddings_[20:]).max() > 0.01  # no longer at the prior's mean
