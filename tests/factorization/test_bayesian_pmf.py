"""BayesianPMF: each conditional distribution in closed form, and what predictions average."""

import numpy as np
import pytest
import torch
from draws import check_coverage, check_means
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.stats import kstest

from skrec import PMF, BayesianPMF
from skrec.factorization import _gibbs
from skrec.factorization._gibbs import NormalWishart, weights_given
from skrec.factorization._mixture import Moments
from skrec.solvers._row_groups import group_rows, pad

CPU = torch.device("cpu")


def ratings(n_users=40, n_items=25, density=0.4, seed=0):
    """Ratings of deviation 1, the unit that is computed in; with an empty row and column."""
    rng = np.random.default_rng(seed)
    X = rng.integers(1, 6, (n_users, n_items)) * (rng.random((n_users, n_items)) < density)
    X[3], X[:, 4] = 0, 0
    return sparse.csr_array(X / X[X > 0].std())


def linear_regression(features, targets, noise_precision, mean, precision):
    """Mean and covariance of the weights of a Bayesian linear regression."""
    covariance = np.linalg.inv(precision + noise_precision * features.T @ features)
    return covariance @ (precision @ mean + noise_precision * features.T @ targets), covariance


def test_weights_given_the_other_side():
    X, rng = ratings(), np.random.default_rng(1)
    features, offsets = rng.normal(size=(25, 3)), rng.normal(size=25)
    root = rng.normal(size=(3, 3))
    mean, precision = rng.normal(size=3), root @ root.T + np.eye(3)
    tensors = [torch.from_numpy(array) for array in (features, offsets, mean, precision)]
    for group in group_rows(X, CPU):
        given = weights_given(group, pad(tensors[0]), pad(tensors[1]), 1.7, *tensors[2:])
        noise = torch.from_numpy(rng.normal(size=given.means.shape))
        drawn = given.draw(noise)
        for row, user in enumerate(group.rows.tolist()):
            rated, values = X[[user]].indices, X[[user]].data
            expected, covariance = linear_regression(
                features[rated], values - offsets[rated], 1.7, mean, precision
            )
            assert_allclose(given.means[row], expected, atol=1e-10)
            # (L^-T z)(L^-T z)' has the expectation (L L')^-1.
            root = np.linalg.inv(given.factors[row].numpy()).T
            assert_allclose(root @ root.T, covariance, atol=1e-10)
            assert_allclose(drawn[row], expected + root @ noise[row].numpy(), atol=1e-10)


def test_normal_wishart_is_the_same_from_all_rows_or_one_by_one():
    rows, ones = np.random.default_rng(0).normal(1, 2, size=(7, 3)), np.ones((7, 1))
    prior = NormalWishart(np.array([[0.5, 0, -1]]), np.array([2.0]), np.diag([1.0, 2, 3]), 4)
    at_once, one_by_one = prior.given(rows, ones), prior
    for row in rows:
        one_by_one = one_by_one.given(row[None], ones[:1])
    for left, right in zip(at_once, one_by_one, strict=True):
        assert_allclose(left, right)
    assert at_once.weights == 9
    assert at_once.degrees == 11
    assert_allclose(at_once.coef[0], (2 * prior.coef[0] + rows.sum(axis=0)) / 9)


def test_regression_on_inputs():
    rng = np.random.default_rng(0)
    rows, inputs = rng.normal(1, 2, size=(7, 3)), np.column_stack([np.ones(7), rng.normal(size=7)])
    inputs[:, 1] -= inputs[:, 1].mean()
    prior = NormalWishart(rng.normal(size=(2, 3)), np.array([2.0, 0.5]), np.diag([1.0, 2, 3]), 4)
    posterior = prior.given(rows, inputs)
    weights = np.diag(prior.weights)
    left, right = weights + inputs.T @ inputs, weights @ prior.coef + inputs.T @ rows
    coef = np.linalg.solve(left, right)
    assert_allclose(posterior.coef, coef)
    # The posterior's scale, by sums of products around the origin.
    inverse_scale = np.diag([1, 1 / 2, 1 / 3]) + rows.T @ rows
    inverse_scale += prior.coef.T @ weights @ prior.coef - coef.T @ left @ coef
    assert_allclose(np.linalg.inv(posterior.scale), inverse_scale)
    assert_allclose(posterior.weights, np.diag(left))


def test_draws_of_a_normal_wishart():
    scale = np.array([[0.5, 0.1], [0.1, 0.2]])
    coef, weights = np.array([[1.0, -1], [0, 2]]), np.array([3.0, 0.5])
    prior, rng = NormalWishart(coef, weights, scale, 6), np.random.RandomState(0)
    coefs, precisions = map(np.array, zip(*(prior.draw(rng) for _ in range(5000)), strict=True))
    check_means(precisions, 6 * scale)
    check_means(coefs, prior.coef)
    # Given the precision, the deviations in units of its roots are standard normal.
    roots = np.linalg.cholesky(precisions)
    z = np.sqrt(weights)[:, None] * ((coefs - coef) @ roots)
    assert kstest(z.ravel(), "norm").pvalue > 0.01


@pytest.mark.parametrize("fit_offsets", [True, False])
def test_prediction_is_the_mixture_of_linear_regressions(fit_offsets):
    X = ratings()
    model = BayesianPMF(3, fit_offsets=fit_offsets, n_samples=4, clip=False, random_state=0).fit(X)
    mean, std = model.predict(X, return_std=True)
    assert_allclose(mean, model.predict(X))
    for user in (0, 3, 9):
        rated, values = X[[user]].indices, X[[user]].data
        means, squares = [], []
        for items, *prior, noise_precision in zip(*model._samples, strict=True):
            features, offsets = items.copy(), np.zeros(25)
            if fit_offsets:
                offsets = features[:, -1].copy()
                features[:, -1] = 1
            targets = values - model.mean_ - offsets[rated]
            weights, covariance = linear_regression(
                features[rated], targets, noise_precision, *prior
            )
            variance = np.einsum("ij,jk,ik->i", features, covariance, features)
            means.append(model.mean_ + offsets + features @ weights)
            squares.append(means[-1] ** 2 + variance + 1 / noise_precision)
        expected = np.mean(means, axis=0)
        assert_allclose(mean[user], expected)
        assert_allclose(std[user], np.sqrt(np.mean(squares, axis=0) - expected**2))


def test_moments_of_a_mixture():
    rng = np.random.default_rng(0)
    means, variances = rng.normal(5, 2, size=(6, 3)), rng.random((6, 3))
    moments = Moments(3)
    for one in zip(means, variances, strict=True):
        moments.add(*one)
    assert_allclose(moments.mean, means.mean(axis=0))
    assert_allclose(moments.std, np.sqrt(means.var(axis=0) + variances.mean(axis=0)))


def test_noise_and_ratings_are_recovered():
    rng = np.random.default_rng(0)
    true = 3 + rng.normal(size=(200, 2)) @ rng.normal(size=(2, 150)) + rng.normal(size=(200, 1))
    noisy = true + 0.5 * rng.normal(size=true.shape)
    seen = rng.random(true.shape) < 0.2
    X = sparse.csr_array(noisy * seen)
    model = BayesianPMF(4, n_samples=30, clip=False, random_state=0).fit(X)
    # A sum of squares has as many degrees of freedom as there are ratings more than weights.
    n_free = X.nnz - 3 * sum(X.shape)
    assert abs(model.noise_variances_.mean() / 0.25 - 1) < 5 * np.sqrt(2 / n_free)
    mean, std = model.predict(X, return_std=True)
    error = (mean - true)[~seen].std()
    assert error < 0.25
    fixed = PMF(4, l2=0.25, l2_exponent=0, clip=False, random_state=0).fit(X).predict(X)
    assert error < (fixed - true)[~seen].std()
    z = (noisy - mean) / std
    check_coverage(z, ~seen)


def test_a_fixed_noise_precision_stays():
    model = BayesianPMF(2, noise_precision=2.0, n_samples=3, random_state=0).fit(ratings())
    assert_allclose(model.noise_variances_, 0.5)


def test_interrupt_keeps_the_draws_so_far(monkeypatch):
    X, n_calls = ratings(), 0

    def interrupted(*args):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 200:
            raise KeyboardInterrupt
        return weights_given(*args)

    monkeypatch.setattr(_gibbs, "weights_given", interrupted)
    model = BayesianPMF(2, n_burn_in=2, random_state=0)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X)
    monkeypatch.undo()
    n_samples = len(model.noise_variances_)
    assert 1 <= n_samples < 20
    short = BayesianPMF(2, n_burn_in=2, n_samples=n_samples, random_state=0).fit(X)
    assert_allclose(model.predict(X), short.predict(X))


def test_verbose(capsys):
    BayesianPMF(2, n_samples=2, random_state=0).fit(ratings())
    assert capsys.readouterr() == ("", "")
    BayesianPMF(2, n_samples=2, random_state=0, verbose=1).fit(ratings())
    assert "noise=" in capsys.readouterr().err
