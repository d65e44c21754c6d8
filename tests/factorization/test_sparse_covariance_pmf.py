"""SparseCovariancePMF: each step against its formula, the objective, and what the penalty does."""

import numpy as np
import pytest
import torch
from draws import check_coverage, check_means
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.optimize import minimize

from skrec import PMF, RatingRegressor, SparseCovariancePMF
from skrec.factorization import _variational
from skrec.factorization._variational import (
    Weights,
    covariance_loss,
    sparse_covariance,
    weights_given,
)
from skrec.solvers._row_groups import group_rows
from skrec.solvers._uncertainty import pack, unpack

L1 = 0.5
CPU = torch.device("cpu")
RNG = np.random.default_rng


def ratings(n_users=40, n_items=25, density=0.4, seed=0):
    """Ratings of deviation 1, the unit that is computed in; with an empty row and column."""
    rng = RNG(seed)
    X = rng.integers(1, 6, (n_users, n_items)) * (rng.random((n_users, n_items)) < density)
    X[3], X[:, 4] = 0, 0
    return sparse.csr_array(X / X[X > 0].std())


def covariances(n, size, seed=0):
    roots = RNG(seed).normal(size=(n, size, size + 2))
    return roots @ roots.transpose(0, 2, 1) / 10


@pytest.mark.parametrize("has_offsets", [True, False])
def test_weights_and_expected_errors_given_the_other_side(has_offsets):
    X, rng, prior = ratings(), RNG(1), covariances(1, 3, seed=2)[0]
    means, spreads = rng.normal(size=(25, 3)), covariances(25, 3)
    others = Weights(torch.from_numpy(means), pack(torch.from_numpy(spreads)))
    found, spread = weights_given(group_rows(X, CPU), 40, others, has_offsets, 0.7, prior)
    means_found, spread_found = found.means.numpy(), unpack(found.covariances).numpy()
    draws = rng.multivariate_normal(np.zeros(3), np.eye(3), size=(4000, 25))
    draws = means + np.einsum("jkl,sjl->sjk", np.linalg.cholesky(spreads), draws)
    total, second = np.zeros(4000), np.zeros((3, 3))
    for user in range(40):
        rated, values = X[[user]].indices, X[[user]].data
        precision, moment = np.linalg.inv(prior), np.zeros(3)
        for j, value in zip(rated, values, strict=True):
            feature, of_feature, offset = means[j].copy(), spreads[j].copy(), 0.0
            if has_offsets:
                offset, feature[-1] = means[j, -1], 1
                moment[:2] -= of_feature[:2, -1] / 0.7
                of_feature[-1], of_feature[:, -1] = 0, 0
            precision += (np.outer(feature, feature) + of_feature) / 0.7
            moment += feature * (value - offset) / 0.7
        covariance = np.linalg.inv(precision)
        assert_allclose(spread_found[user], covariance, atol=1e-10)
        assert_allclose(means_found[user], covariance @ moment, atol=1e-10)
        second += covariance + np.outer(means_found[user], means_found[user])
        weights = rng.multivariate_normal(means_found[user], covariance, size=4000)
        products = np.einsum("sk,sjk->sj", weights, draws[:, rated])
        if has_offsets:
            products += draws[:, rated, -1] + weights[:, [-1]]
            products -= draws[:, rated, -1] * weights[:, [-1]]
        total += np.square(values - products).sum(axis=1)
    assert_allclose(spread.moments, second / 40)
    assert_allclose(spread.log_determinants, np.linalg.slogdet(spread_found)[1].sum())
    check_means(total, spread.errors)


def test_objective_is_minus_the_bound_and_never_rises():
    X = ratings()
    for l1 in (0, 0.05, 1):
        model = SparseCovariancePMF(3, l1=l1, max_iter=15, tol=0, random_state=0).fit(X)
        assert len(model.loss_curve_) == 2 * model.n_iter_ == 30
        assert np.diff(model.loss_curve_).max() < 1e-8 * abs(model.loss_curve_[0]) < np.inf


def test_the_first_objective_counts_the_items_as_they_start():
    X, start = ratings(), 0.3 * RNG(1).normal(size=(25, 3))
    sweeps = _variational.Sweeps(X, start, 0.5, True, 0.0, CPU)
    sweeps.sweep()
    others = Weights(torch.from_numpy(start), pack(torch.eye(3).expand(25, 3, 3)) * 0.01)
    groups = group_rows(X, CPU)
    _, spread = weights_given(groups, 40, others, True, 0.5, np.eye(3))
    prior = sparse_covariance(spread.moments, 0.5, np.eye(3))
    noise = spread.errors / X.nnz
    # Of the items from N(0, 1), in closed form for independent elements.
    items = (np.square(start) + 0.01 - 1 - np.log(0.01)).sum() / 2
    users = _variational.divergence(spread, prior, 40, 0.5)
    assert_allclose(sweeps.losses[0], X.nnz * (np.log(2 * np.pi * noise) + 1) / 2 + users + items)


def test_without_factors_the_bound_is_that_of_a_closed_form():
    # One user and offsets alone: the ratings are normal with a known covariance.
    values = np.array([1.0, -0.5, 0.7, 0.2])
    X = sparse.csr_array(values[None])
    sweeps = _variational.Sweeps(X, np.zeros((4, 1)), 0.0, True, 0.0, CPU)
    for _ in range(200):
        sweeps.sweep()
    bound = -sweeps.losses[-1]
    user, item, noise = sweeps.priors[0][0, 0], sweeps.priors[1][0, 0], sweeps.noise_variance
    covariance = user * np.ones((4, 4)) + (item + noise) * np.eye(4)
    _, log_determinant = np.linalg.slogdet(2 * np.pi * covariance)
    evidence = -(log_determinant + values @ np.linalg.solve(covariance, values)) / 2
    assert bound < evidence
    assert evidence - bound < 0.3


def test_covariance_without_a_penalty_is_that_of_the_moments():
    moments = covariances(1, 4)[0]
    assert_allclose(sparse_covariance(moments, 0, np.eye(4)), moments)


def test_covariance_with_a_large_penalty_is_diagonal():
    moments = covariances(1, 4)[0]
    for l1 in (1e6, 1e308):
        assert_allclose(sparse_covariance(moments, l1, np.eye(4)), np.diag(np.diag(moments)))


def test_covariance_is_a_minimum():
    moments = covariances(1, 3, seed=3)[0]
    lower = np.tril_indices(3)

    def loss(values):
        covariance = np.zeros((3, 3))
        covariance[lower] = values
        return covariance_loss(covariance + np.tril(covariance, -1).T, moments, L1)

    found = sparse_covariance(moments, L1, np.eye(3))
    assert 0 < (found[np.tril_indices(3, -1)] == 0).sum() < 3
    best = minimize(loss, found[lower], method="Nelder-Mead", options={"fatol": 1e-9})
    assert loss(found[lower]) < best.fun + 1e-5
    assert loss(found[lower]) < loss(moments[lower])


@pytest.mark.parametrize("l1", [0.01, 0.1, 1.0])
def test_covariance_loss_falls_from_anywhere(l1):
    for seed in range(5):
        moments, start = covariances(2, 5, seed)
        found = sparse_covariance(moments, l1, start)
        assert covariance_loss(found, moments, l1) <= covariance_loss(start, moments, l1)
        assert np.linalg.eigvalsh(found)[0] > 0


def test_covariance_of_moments_without_rank_has_a_floor():
    found = sparse_covariance(np.ones((3, 3)), 0, np.eye(3))
    assert np.linalg.eigvalsh(found)[0] >= 0.99 * _variational.SMALLEST_VARIANCE


def test_a_large_penalty_makes_factors_independent_and_none_does_not():
    X = ratings()
    for l1, share in ((1e6, 0), (0, 1)):
        model = SparseCovariancePMF(3, l1=l1, max_iter=3, random_state=0).fit(X)
        for covariance in (model.user_covariance_, model.item_covariance_):
            assert (covariance[~np.eye(4, dtype=bool)] != 0).mean() == share


def low_rank(seed=0):
    rng = RNG(seed)
    true = 3 + rng.normal(size=(200, 2)) @ rng.normal(size=(2, 150)) + rng.normal(size=(200, 1))
    noisy = true + 0.5 * rng.normal(size=true.shape)
    return true, noisy, rng.random(true.shape) < 0.2


def test_noise_and_ratings_are_recovered():
    true, noisy, seen = low_rank()
    X = sparse.csr_array(noisy * seen)
    model = SparseCovariancePMF(4, clip=False, random_state=0).fit(X)
    assert abs(model.noise_variance_ / 0.25 - 1) < 0.1
    mean, std = model.predict(X, return_std=True)
    error = (mean - true)[~seen].std()
    assert error < 0.25
    fixed = PMF(4, l2=0.25, l2_exponent=0, clip=False, random_state=0).fit(X).predict(X)
    assert error < (fixed - true)[~seen].std()
    check_coverage((noisy - mean) / std, ~seen)


def test_factors_that_are_not_there_vanish():
    _, noisy, seen = low_rank()
    X = sparse.csr_array(noisy * seen)
    model = SparseCovariancePMF(6, l1=0, max_iter=60, tol=0, random_state=0).fit(X)
    sizes = np.linalg.svd(model.transform(X) @ model.item_embeddings_.T, compute_uv=False)
    assert sizes[1] > 20 * sizes[2]


def test_deviation_of_a_user_without_ratings_is_that_of_the_prior():
    X = ratings()
    model = SparseCovariancePMF(3, max_iter=5, clip=False, random_state=0).fit(X)
    mean, std = model.predict(sparse.csr_array((1, 25)), return_std=True)
    assert_allclose(mean[0], model.mean_ + model.item_offsets_, atol=1e-10)
    features = np.hstack([model.item_embeddings_, np.ones((25, 1))])
    spreads = unpack(torch.from_numpy(model._item_covariances)).numpy()
    prior = model.user_covariance_
    variance = np.einsum("ij,jk,ik->i", features, prior, features) + spreads[:, -1, -1]
    variance += np.einsum("jk,ijk->i", prior[:3, :3], spreads[:, :3, :3])
    expected = model.rating_unit_ * np.sqrt(variance + model._noise_variance)
    assert_allclose(std[0], expected)


@pytest.mark.parametrize("value", [3.0, -2.0])
def test_constant_ratings_and_a_single_one(value):
    X = np.full((4, 5), value)
    mean, std = SparseCovariancePMF(2, random_state=0).fit(X).predict(X, return_std=True)
    assert_allclose(mean, value)
    assert (std > 0).all()
    one = np.zeros((4, 5))
    one[1, 2] = value
    assert_allclose(SparseCovariancePMF(2, random_state=0).fit(one).predict(one), value)


def test_interrupt_keeps_the_sweeps_so_far(monkeypatch):
    X, n_calls = ratings(), 0

    def interrupted(*args):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 6:
            raise KeyboardInterrupt
        return weights_given(*args)

    monkeypatch.setattr(_variational, "weights_given", interrupted)
    model = SparseCovariancePMF(2, random_state=0)
    with pytest.warns(UserWarning, match="interrupted in sweep 3"):
        model.fit(X)
    monkeypatch.undo()
    short = SparseCovariancePMF(2, max_iter=2, random_state=0).fit(X)
    assert_allclose(model.predict(X), short.predict(X))
    assert model.loss_curve_ == short.loss_curve_


def test_pairs_are_rated_as_rows_are():
    X = ratings().tocoo()
    pairs = np.column_stack(X.coords)
    regressor = RatingRegressor(SparseCovariancePMF(2, max_iter=4, random_state=0))
    mean, std = regressor.fit(pairs, X.data).predict(pairs, return_std=True)
    rows = regressor.estimator_.predict(regressor._states.X * regressor.estimator_.rating_unit_)
    users = np.unique(pairs[:, 0], return_inverse=True)[1]
    items = np.unique(pairs[:, 1], return_inverse=True)[1]
    assert_allclose(mean, rows[users, items])
    assert (std > 0).all()


def test_verbose(capsys):
    SparseCovariancePMF(2, max_iter=2, random_state=0).fit(ratings())
    assert capsys.readouterr() == ("", "")
    SparseCovariancePMF(2, max_iter=2, random_state=0, verbose=1).fit(ratings())
    assert "objective=" in capsys.readouterr().err
