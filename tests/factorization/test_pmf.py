"""PMF: each step against a direct solution, the uncertainty against draws, and interruptions."""

import numpy as np
import pytest
import torch
from draws import check_coverage, check_means, check_variances
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.linear_model import Ridge

from skrec import PMF
from skrec.factorization import _pmf, _pmf_sweeps
from skrec.factorization._pmf_sweeps import choose_solver
from skrec.solvers._alternating import SMALLEST_COUNT, Objective, fold_in, improve
from skrec.solvers._row_groups import group_rows
from skrec.solvers._uncertainty import PairVariance, pack, pack_squares
from skrec.utils._changes import update_rows

CPU = torch.device("cpu")


def ratings(n_users=40, n_items=25, density=0.4, seed=0):
    """Ratings of deviation 1, the unit that is computed in; with an empty row and column."""
    rng = np.random.default_rng(seed)
    X = rng.integers(1, 6, (n_users, n_items)) * (rng.random((n_users, n_items)) < density)
    X[3], X[:, 4] = 0, 0
    return sparse.csr_array(X / X[X > 0].std())


def objective(l2=0.7, l2_exponent=0.5, has_offsets=True, logistic=None, intercept=3.0):
    return Objective(intercept, l2, l2_exponent, has_offsets, logistic)


def table(n_rows, n_weights, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n_rows, n_weights)))


def naive_loss(of, X, users, items):
    """The objective, pair by pair, over both sides."""
    X = X.tocoo()
    total = 0.0
    for user, item, rating in zip(*X.coords, X.data, strict=True):
        u, v = users[user], items[item]
        latent = u[:-1] @ v[:-1] + u[-1] + v[-1] if of.has_offsets else u @ v
        latent += of.intercept
        if of.logistic is not None:
            low, high = of.logistic
            latent = low + (high - low) / (1 + np.exp(-latent))
        total += (rating - latent) ** 2
    for rows, axis in ((users, 1), (items, 0)):
        counts = np.maximum(SMALLEST_COUNT, np.bincount(X.coords[1 - axis], minlength=len(rows)))
        total += (of.l2 * counts**of.l2_exponent * (rows**2).sum(axis=1)).sum()
    return total / 2


def user_weights(model, X):
    """Factors and, if the model has offsets, those in the last column."""
    factors, offsets = model._fold_in(X)
    if not model._objective.has_offsets:
        return factors
    return np.column_stack([factors, offsets - model._objective.intercept])


@pytest.mark.parametrize("l2_exponent", [0, 0.5, 1])
@pytest.mark.parametrize("has_offsets", [True, False])
def test_half_sweep_is_a_ridge_regression_of_each_row(has_offsets, l2_exponent):
    X, items = ratings(), table(25, 4)
    of = objective(l2_exponent=l2_exponent, has_offsets=has_offsets)
    users, _ = improve(of, group_rows(X, CPU), torch.zeros(40, 4, dtype=torch.float64), items)
    features, offsets = items.numpy().copy(), np.zeros(25)
    if has_offsets:
        offsets = features[:, -1].copy()
        features[:, -1] = 1
    for user in range(40):
        rated = X[[user]].indices
        if not len(rated):
            assert_array_equal(users[user], 0)
            continue
        ridge = Ridge(of.l2 * max(SMALLEST_COUNT, len(rated)) ** l2_exponent, fit_intercept=False)
        ridge.fit(features[rated], X[[user]].data - of.intercept - offsets[rated])
        assert_allclose(users[user], ridge.coef_, atol=1e-10)


@pytest.mark.parametrize("logistic", [None, (0.0, 6.0)])
@pytest.mark.parametrize("has_offsets", [True, False])
def test_losses_of_the_rows_add_up_to_the_objective(has_offsets, logistic):
    X, items = ratings(), table(25, 4)
    of = objective(has_offsets=has_offsets, logistic=logistic)
    users, losses = improve(of, group_rows(X, CPU), table(40, 4, seed=2), items)
    counts = np.maximum(SMALLEST_COUNT, np.bincount(X.indices, minlength=25))
    of_items = (of.l2 * np.sqrt(counts) * (items.numpy() ** 2).sum(axis=1)).sum() / 2
    expected = naive_loss(of, X, users.numpy(), items.numpy())
    assert float(losses.sum()) + of_items == pytest.approx(expected)


@pytest.mark.parametrize("solver", ["cg", "subspace", "cholesky"])
@pytest.mark.parametrize("fit_offsets", [True, False])
def test_solvers_end_in_the_same_place(solver, fit_offsets):
    X = ratings()
    model = PMF(2, l2=1, solver=solver, fit_offsets=fit_offsets, max_iter=2000, tol=0)
    model.set_params(random_state=0).fit(X)
    users, items = user_weights(model, X), model._item_table
    assert model.loss_curve_[-1] == pytest.approx(naive_loss(model._objective, X, users, items))
    exact = clone(model).set_params(solver="cholesky").fit(X)
    assert_allclose(model.predict(X), exact.predict(X), rtol=1e-5)


@pytest.mark.parametrize("fit_offsets", [True, False])
def test_subspace_of_few_weights_is_exact(fit_offsets):
    X = ratings()
    settings = {"fit_offsets": fit_offsets, "max_iter": 3, "random_state": 0}
    exact = PMF(20, solver="cholesky", **settings).fit(X)
    model = PMF(20, solver="subspace", **settings).fit(X)
    assert_allclose(model.loss_curve_, exact.loss_curve_, rtol=1e-10)
    assert_allclose(model.item_embeddings_, exact.item_embeddings_, atol=1e-8)


@pytest.mark.parametrize("solver", ["cg", "subspace", "cholesky"])
def test_weights_that_vanish(solver):
    """Their squares are below the smallest number that single precision has."""
    X = ratings().astype(np.float32)
    model = PMF(3, l2=1e3, solver=solver, fit_offsets=False, tol=0, random_state=0).fit(X)
    assert_allclose(model.item_embeddings_, 0, atol=1e-10)
    assert_allclose(model.predict(X), model.mean_, atol=1e-5)


def test_penalties_too_small_for_subspaces():
    X = ratings().astype(np.float32)
    model = PMF(16, l2=1e-20, solver="subspace", random_state=0)
    with pytest.raises(ValueError, match="singular: use a larger l2 or solver='cholesky', or"):
        model.fit(X)
    assert np.isfinite(model.set_params(solver="cholesky").fit(X).predict(X)).all()


@pytest.mark.parametrize("solver", ["cg", "subspace", "cholesky"])
def test_penalties_beyond_floats(solver):
    with pytest.raises(ValueError, match=r"l2=1e\+308 makes penalties that float64 cannot hold"):
        PMF(3, l2=1e308, solver=solver).fit(ratings())


def test_choice_of_the_solver():
    plain, logistic = objective(), objective(logistic=(0.0, 6.0))
    assert choose_solver("auto", plain, 32, CPU) == "subspace"
    assert choose_solver("auto", plain, 33, CPU) == "cg"
    assert choose_solver("auto", plain, 33, torch.device("cuda")) == "cholesky"
    assert choose_solver("auto", logistic, 3, CPU) == "cholesky"
    with pytest.raises(ValueError, match="solver='cg' needs least squares, which link='logistic'"):
        PMF(3, solver="cg", link="logistic", rating_scale=(0, 6)).fit(ratings())


@pytest.mark.parametrize(
    ("link", "solver"),
    [
        ("identity", "cg"),
        ("identity", "subspace"),
        ("identity", "cholesky"),
        ("logistic", "cholesky"),
    ],
)
@pytest.mark.parametrize("l2_exponent", [0, 1])
def test_objective_never_rises(link, solver, l2_exponent):
    X = ratings()
    settings = {"l2_exponent": l2_exponent, "link": link, "solver": solver, "random_state": 0}
    model = PMF(4, l2=0.1, tol=0, **settings).fit(X)
    curve = np.array(model.loss_curve_)
    assert len(curve) == 2 * model.n_iter_ == 60
    assert (np.diff(curve) <= 1e-9 * curve[:-1]).all()
    assert curve[-1] < 0.9 * curve[1]


@pytest.mark.parametrize("link", ["identity", "logistic"])
def test_training_rows_are_folded_in_as_they_were_trained(link):
    """At convergence no weight of either side can move: the users are those of the training."""
    X = ratings()
    model = PMF(2, l2=1, link=link, max_iter=3000, tol=0, random_state=0).fit(X)
    of, users, items = model._objective, user_weights(model, X), model._item_table
    size = users.size

    def loss(weights):
        sides = weights[:size].reshape(users.shape), weights[size:].reshape(items.shape)
        return naive_loss(of, X, *sides)

    at = np.r_[users.ravel(), items.ravel()]
    assert loss(at) == pytest.approx(model.loss_curve_[-1], rel=1e-9)
    steps = 1e-4 * np.eye(len(at))[np.random.default_rng(0).permutation(len(at))[:40]]
    slopes = [(loss(at + step) - loss(at - step)) / 2e-4 for step in steps]
    assert_allclose(slopes, 0, atol=1e-3)


def test_fold_in_with_a_logistic_link_finds_the_minimum():
    X, items = ratings(), table(25, 3)
    of = objective(logistic=(0.0, 6.0), intercept=0.2)
    users = fold_in(of, group_rows(X, CPU), items, 40).numpy()
    for user in (0, 3, 17):
        row = X[[user]]

        def loss(weights, row=row):
            return naive_loss(of, row, weights[None], items.numpy())

        best = minimize(loss, users[user] + 0.01, tol=1e-10)
        assert_allclose(users[user], best.x, atol=1e-4)
        assert loss(users[user]) <= best.fun + 1e-9


@pytest.mark.parametrize("unit", [0.2, 1, 5])
@pytest.mark.parametrize("fit_offsets", [True, False])
def test_standard_deviation_against_draws(fit_offsets, unit):
    X = ratings()
    # Converged, so that the users that the items' covariances stem from are those folded in.
    model = PMF(3, l2=1.0, fit_offsets=fit_offsets, clip=False, tol=0, max_iter=2000)
    mean, std = model.set_params(random_state=0).fit(unit * X).predict(unit * X, return_std=True)
    assert_allclose(mean, model.predict(unit * X))
    mean, std = mean / unit, std / unit
    users, items, noise = (
        user_weights(model, X),
        model._item_table,
        model.noise_variance_ / unit**2,
    )
    rng = np.random.default_rng(0)
    n_draws = 100_000

    def conditional(table, rated, center):
        features = table[rated].copy()
        if fit_offsets:
            features[:, -1] = 1
        penalty = model.l2 * np.sqrt(max(SMALLEST_COUNT, len(rated)))
        precision = features.T @ features + penalty * np.eye(table.shape[1])
        return rng.multivariate_normal(center, noise * np.linalg.inv(precision), n_draws)

    for user, item in ((0, 0), (3, 2), (7, 4), (3, 4), (11, 19)):
        u = conditional(items, X[[user]].indices, users[user])
        v = conditional(users, X[:, [item]].nonzero()[0], items[item])
        if fit_offsets:
            drawn = (u[:, :-1] * v[:, :-1]).sum(axis=1) + u[:, -1] + v[:, -1]
        else:
            drawn = (u * v).sum(axis=1)
        drawn += model.mean_ / unit + np.sqrt(noise) * rng.standard_normal(n_draws)
        check_means(drawn, mean[user, item])
        check_variances(drawn, std[user, item] ** 2)


def test_standard_deviation_does_not_depend_on_the_unit():
    def std(X):
        model = PMF(1, fit_offsets=False, tol=0, max_iter=2000, random_state=0).fit(X)
        return model.predict(X, return_std=True)[1]

    X = ratings()
    assert_allclose(std(100 * X), 100 * std(X), rtol=1e-6)


@pytest.mark.parametrize(("dtype", "l2"), [(np.float32, 1e-3), (np.float64, 1e-10)])
def test_standard_deviation_is_positive_where_nothing_is_left_of_the_noise(dtype, l2):
    X = np.random.default_rng(0).integers(1, 6, (12, 9)).astype(dtype)
    for few in (X, X[:1, :1], np.full((3, 3), 4, dtype)):
        model = PMF(16, l2=l2, l2_exponent=0, random_state=0).fit(few)
        _, std = model.predict(few, return_std=True)
        assert model.noise_variance_ > 0
        assert (std > 0).all()


def test_noise_is_recovered():
    rng = np.random.default_rng(0)
    true = 3 + rng.normal(size=(300, 3)) @ rng.normal(size=(3, 200)) + rng.normal(size=(300, 1))
    X = sparse.csr_array(
        (true + 0.5 * rng.normal(size=true.shape)) * (rng.random(true.shape) < 0.5)
    )
    model = PMF(3, l2=0.25, l2_exponent=0, random_state=0).fit(X)
    n_free = X.nnz - 4 * sum(X.shape)
    assert abs(model.noise_variance_ / 0.25 - 1) < 5 * np.sqrt(2 / n_free)
    # Three weights of both sides too many are paid for in degrees of freedom, but not in full, as
    # they go where the noise is largest: 5.5% are missing, measured, and unpaid it would be more.
    larger = PMF(6, l2=0.25, l2_exponent=0, random_state=0).fit(X)
    n_free = X.nnz - 7 * sum(X.shape)
    assert abs(larger.noise_variance_ / 0.25 - 0.945) < 5 * np.sqrt(2 / n_free)


def test_intervals_cover_the_ratings_held_out():
    rng = np.random.default_rng(0)
    true = 3 + rng.normal(size=(200, 2)) @ rng.normal(size=(2, 150))
    noisy = true + 0.7 * rng.normal(size=true.shape)
    seen = rng.random(true.shape) < 0.15
    model = PMF(2, l2=0.49, l2_exponent=0, clip=False, random_state=0)
    mean, std = model.fit(sparse.csr_array(noisy * seen)).predict(noisy * seen, return_std=True)
    z = (noisy - mean) / std
    check_coverage(z, ~seen)


@pytest.mark.parametrize("has_offsets", [True, False])
def test_pair_variance(has_offsets):
    rng = np.random.default_rng(0)

    def side(n):
        weights, roots = rng.normal(size=(n, 4)), rng.normal(size=(n, 4, 4))
        covariances = roots @ roots.transpose(0, 2, 1)
        return weights, covariances

    (u, u_covariance), (v, v_covariance) = side(3), side(5)
    if has_offsets:
        u[:, -1] = v[:, -1] = 1
    assert_allclose(pack_squares(u), pack(torch.from_numpy(u[:, :, None] * u[:, None])))
    packed = [
        pack(torch.from_numpy(covariance)).numpy() for covariance in (u_covariance, v_covariance)
    ]
    variance = PairVariance(v, packed[1], has_offsets)
    everything = variance.of_all(u, packed[0])
    both = 3 if has_offsets else 4
    for user in range(3):
        for item in range(5):
            trace = np.trace(u_covariance[user][:both, :both] @ v_covariance[item][:both, :both])
            expected = (
                v[item] @ u_covariance[user] @ v[item]
                + u[user] @ v_covariance[item] @ u[user]
                + trace
            )
            assert everything[user, item] == pytest.approx(expected)
    users, items = np.array([2, 0, 2]), np.array([4, 4, 1])
    assert_allclose(variance.of_pairs(u, packed[0], users, items), everything[users, items])


def test_embeddings_make_the_predictions():
    X = ratings()
    model = PMF(3, clip=False, random_state=0).fit(X)
    users, offsets = model.transform(X), user_weights(model, X)[:, -1:]
    assert users.shape == (40, 3)
    assert model.item_embeddings_.shape == (25, 3)
    expected = model.mean_ + offsets + model.item_offsets_ + users @ model.item_embeddings_.T
    assert_allclose(model.predict(X), expected)


def test_precision_is_that_of_the_data():
    X = ratings()
    single = PMF(3, random_state=0).fit(X.astype(np.float32))
    assert single.predict(X).dtype == single.item_embeddings_.dtype == np.float32
    assert PMF(3, random_state=0).fit(X).predict(X).dtype == np.float64


def test_interrupt_keeps_the_sweeps_so_far(monkeypatch):
    X, calls = ratings(), []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return improve(*args)

    monkeypatch.setattr(_pmf_sweeps, "improve", interrupted)
    model = PMF(3, solver="cholesky", random_state=0)
    with pytest.warns(UserWarning, match="interrupted in sweep 3"):
        model.fit(X)
    monkeypatch.undo()
    assert model.n_iter_ == 2
    shorter = PMF(3, solver="cholesky", max_iter=2, random_state=0).fit(X)
    assert_array_equal(model.predict(X), shorter.predict(X))


def test_verbose(capsys):
    PMF(2, random_state=0).fit(ratings())
    assert capsys.readouterr() == ("", "")
    PMF(2, random_state=0, verbose=1).fit(ratings())
    assert "objective=" in capsys.readouterr().err


def test_scale_in_the_precision_of_the_ratings():
    """The nearest float32 to 0.3 is above 0.3."""
    X = np.array([[0.3, 0.1], [0.2, 0.3]], dtype=np.float32)
    assert PMF(rating_scale=(0, 0.3)).fit(X).rating_range_ == (0, 0.3)


def test_wrong_input():
    X = ratings()
    with pytest.raises(ValueError, match=r"rating_scale=\(1, 4\), got 5"):
        PMF(rating_scale=(1, 4)).fit([[1.0, 5], [2, 0]])
    with pytest.raises(ValueError, match="two finite numbers"):
        PMF(rating_scale=(5, 1)).fit(X)
    with pytest.raises(ValueError, match=r"rating_scale=\(1, 5\), got 50"):
        PMF(rating_scale=(1, 5)).fit([[1.0, 5], [2, 0]]).predict([[50.0, 0]])
    with pytest.raises(ValueError, match="has no double precision"):
        PMF(device="mps").fit(X)
    X.data[:] = 4
    with pytest.raises(ValueError, match="link='logistic' needs a range of ratings"):
        PMF(link="logistic").fit(X)
    with pytest.raises(ValueError, match="needs a GPU|device must be"):
        PMF(device="cuda" if not torch.cuda.is_available() else "none").fit(X)


@pytest.mark.parametrize("fit_offsets", [True, False])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_partial_fit_solves_for_items_with_the_users_so_far_as_they_are(
    fit_offsets, precision, monkeypatch
):
    seen = []

    def note(self, by_user, by_item, users, items):
        seen.append(users.numpy())
        set_uncertainty(self, by_user, by_item, users, items)

    set_uncertainty = PMF._set_uncertainty
    monkeypatch.setattr(PMF, "_set_uncertainty", note)
    X = ratings(60)
    old, new = X[:45].astype(precision), X[45:].astype(precision)
    model = PMF(3, l2=0.7, fit_offsets=fit_offsets, max_iter=5, random_state=0).fit(old)
    new_users = user_weights(model, new / model.rating_unit_)  # given the items as they are
    n_iter = model.n_iter_
    assert model.partial_fit(new) is model
    assert model.n_iter_ == n_iter + 1
    users = np.vstack([*seen, new_users])
    both = sparse.vstack([old, new], format="csc") / model.rating_unit_
    for item in range(X.shape[1]):
        rows = both.indices[both.indptr[item] : both.indptr[item + 1]]
        values = both.data[both.indptr[item] : both.indptr[item + 1]] - model._objective.intercept
        features = users[rows]
        if fit_offsets:
            features = np.column_stack([users[rows, :-1], np.ones(len(rows))])
            values = values - users[rows, -1]
        hessian = features.T @ features
        hessian += 0.7 * max(len(rows), SMALLEST_COUNT) ** 0.5 * np.eye(features.shape[1])
        atol = 1e-8 if precision == "float64" else 1e-4
        expected = np.linalg.solve(hessian, features.T @ values)
        assert_allclose(model._item_table[item], expected, atol=atol)
        covariance = (
            pack(torch.from_numpy(np.linalg.inv(hessian))[None])[0] * model._noise_variance
        )
        assert_allclose(model._item_covariances[item], covariance, atol=atol)
    assert model._item_table.dtype == model._item_covariances.dtype == precision


def test_partial_fit_in_chunks_counts_ratings_so_far():
    X = ratings(60)
    chunked = PMF(2, random_state=0).fit(X[:30]).partial_fit(X[30:45]).partial_fit(X[45:])
    assert_array_equal(chunked._item_counts, np.bincount(X.indices, minlength=X.shape[1]))


@pytest.mark.parametrize("link", ["identity", "logistic"])
def test_partial_fit_comes_near_to_a_fit_on_all_users(link):
    rng = np.random.default_rng(0)
    taste = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 30))
    dense = np.clip(3 + taste + 0.3 * rng.normal(size=taste.shape), 1, 5)
    known = rng.random(dense.shape) < 0.5
    X = sparse.csr_array(dense * known)
    options = {"l2": 0.5, "link": link, "rating_scale": (1, 5), "random_state": 0, "max_iter": 8}
    few, all_, added = (PMF(2, **options).fit(rows) for rows in (X[:40], X[:300], X[:40]))
    for start in range(40, 300, 65):
        added.partial_fit(X[start : start + 65])

    def error(model):
        test = X[300:]
        return np.sqrt(np.mean((model.predict(test) - dense[300:])[~known[300:]] ** 2))

    assert error(added) < error(all_) + 0.25 * (error(few) - error(all_))


@pytest.mark.parametrize("link", ["identity", "logistic"])
def test_an_update_goes_on_from_the_factors_with_all_rows(link):
    X = ratings(60)
    old, new = X[:45, :20].tolil(), X
    old[5, :10] = 0
    old = sparse.csr_array(old)
    model = PMF(3, l2=0.3, link=link, tol=0, max_iter=20, random_state=0).fit(old)
    before = model._item_table
    model.set_params(max_iter=1)
    update_rows(model, old, new)
    assert model._item_table.shape == (25, 4)
    assert model.n_iter_ == 1
    users = _pmf.fold_in(
        model._objective,
        group_rows(new / model.rating_unit_, CPU),
        torch.from_numpy(np.pad(before, ((0, 5), (0, 0)))),
        60,
    )
    assert model.loss_curve_[-1] <= naive_loss(
        model._objective, new / model.rating_unit_, users.numpy(), np.pad(before, ((0, 5), (0, 0)))
    )
    assert np.abs(model._item_table[20:]).max() > 0.01  # no longer at the prior's mean
    assert model._item_covariances.shape == (25, 10)
    with pytest.raises(ValueError, match="fit_offsets or link changed"):
        update_rows(model.set_params(fit_offsets=False), new, new[::-1])
