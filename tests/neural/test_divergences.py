"""Densities and divergences against direct sums."""

import numpy as np
import pytest
import torch
from draws import check_means, check_variances
from scipy.special import logsumexp
from scipy.stats import norm

from skrec.neural._divergences import (
    coordinate_mixture_log_density,
    draw_gaussian,
    gaussian_kl,
    gaussian_log_density,
    standard_normal_kl,
    vamp_log_density,
)


def gaussians(n_rows, seed, n_components=3):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n_rows, n_components, generator=generator) for _ in range(2)]


def deviation(log_var):
    return np.exp(log_var.numpy() / 2)


def test_standard_normal_kl_is_that_of_torch():
    mean, log_var = gaussians(5, 0)
    normals = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(
        normals(mean, torch.exp(log_var / 2)), normals(0.0, 1.0)
    ).sum(dim=1)
    torch.testing.assert_close(standard_normal_kl(mean, log_var), expected)
    assert standard_normal_kl(torch.zeros(1, 4), torch.zeros(1, 4)) == 0


def test_kl_of_two_gaussians_is_that_of_torch():
    (mean, log_var), (other_mean, other_log_var) = gaussians(5, 0), gaussians(5, 1)
    normals = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(
        normals(mean, torch.exp(log_var / 2)), normals(other_mean, torch.exp(other_log_var / 2))
    ).sum(dim=1)
    torch.testing.assert_close(gaussian_kl(mean, log_var, other_mean, other_log_var), expected)
    assert (gaussian_kl(mean, log_var, mean, log_var) == 0).all()


def test_draws_have_the_mean_and_the_deviation_asked_for():
    mean, log_var = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, -2.0]])
    generator = torch.Generator().manual_seed(0)
    draws = draw_gaussian(mean.expand(100_000, 2), log_var.expand(100_000, 2), generator)
    check_means(draws, mean[0])
    check_variances(draws, torch.exp(log_var[0]))


def test_coordinate_mixture_is_the_direct_sum():
    weights = [0.15, 0.75, 0.1]
    parts = [gaussians(4, seed) for seed in range(3)]
    z, _ = gaussians(4, 9)
    density = np.ones(4)
    for coordinate in range(3):
        density *= sum(
            weight * norm.pdf(z.numpy(), mean.numpy(), deviation(log_var))[:, coordinate]
            for weight, (mean, log_var) in zip(weights, parts, strict=True)
        )
    means, log_vars = zip(*parts, strict=True)
    ours = coordinate_mixture_log_density(z, means, log_vars, np.log(weights))
    np.testing.assert_allclose(ours, np.log(density), rtol=1e-5)


def test_composite_prior_of_one_part_gives_the_analytic_kl_in_expectation():
    mean, log_var = (part[0].expand(200_000, 3) for part in gaussians(1, 4))
    z = draw_gaussian(mean, log_var, torch.Generator().manual_seed(0))
    zero = torch.zeros(())
    log_prior = coordinate_mixture_log_density(
        z, [zero, mean, zero], [zero, log_var, zero + 10], [0.0, -np.inf, -np.inf]
    )
    sampled = gaussian_log_density(z, mean, log_var).sum(dim=1) - log_prior
    standard_error = sampled.std() / len(sampled) ** 0.5
    assert sampled.mean() == pytest.approx(
        standard_normal_kl(mean, log_var)[0].item(), abs=4 * standard_error.item()
    )


@pytest.mark.parametrize("shift", [0, -10])  # the smallest variances that a model may learn
def test_vamp_density_is_the_direct_sum(shift):
    z, _ = gaussians(5, 0, n_components=200)
    means, log_vars = gaussians(7, 1, n_components=200)
    log_vars = log_vars / 3 + shift
    log_densities = norm.logpdf(
        z.numpy()[:, None], means.numpy()[None], deviation(log_vars)[None]
    ).sum(axis=2)
    expected = logsumexp(log_densities, axis=1) - np.log(7)
    np.testing.assert_allclose(vamp_log_density(z, means, log_vars), expected, rtol=1e-6)


def test_vamp_density_of_one_part_is_a_gaussian():
    z, _ = gaussians(5, 0)
    mean, log_var = gaussians(1, 1)
    torch.testing.assert_close(
        vamp_log_density(z, mean, log_var), gaussian_log_density(z, mean, log_var).sum(dim=1)
    )
