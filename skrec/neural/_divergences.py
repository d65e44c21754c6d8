"""Densities and divergences of diagonal Gaussians and their mixtures, a value per row."""

import math

import torch

LOG_2PI = math.log(2 * math.pi)
SMALLEST_VARIANCE = 1e-12
MMD_SCALES = (0.1, 0.2, 0.5, 1, 2, 5, 10)


def standard_normal_kl(mean, log_var):
    r"""Kullback-Leibler divergence of N(mean, exp(log_var)) from N(0, 1), summed over coordinates.

    .. math:: \tfrac12 \sum_d \sigma_d^2 + \mu_d^2 - 1 - \log \sigma_d^2

    Parameters
    ----------
    mean, log_var : tensor of shape (n_rows, n_components)

    Returns
    -------
    kl : tensor of shape (n_rows,)
    """
    return (log_var.exp() + mean**2 - 1 - log_var).sum(dim=-1) / 2


def gaussian_kl(mean, log_var, other_mean, other_log_var):
    r"""Kullback-Leibler divergence of a Gaussian from another, summed over coordinates.

    .. math::
        \tfrac12 \sum_d \log \frac{\sigma_d'^2}{\sigma_d^2}
        + \frac{\sigma_d^2 + (\mu_d - \mu'_d)^2}{\sigma_d'^2} - 1

    Parameters
    ----------
    mean, log_var, other_mean, other_log_var : tensor of shape (n_rows, n_components)

    Returns
    -------
    kl : tensor of shape (n_rows,)
    """
    ratio = log_var - other_log_var
    distance = (mean - other_mean) ** 2 * torch.exp(-other_log_var)
    return (ratio.exp() + distance - 1 - ratio).sum(dim=-1) / 2


def moment_kl(codes):
    r"""Divergence from N(0, 1) of the Gaussian with the mean and variance of each coordinate.

    That of :func:`standard_normal_kl`, for the codes of a batch instead of each row's posterior.

    Parameters
    ----------
    codes : tensor of shape (n_rows, n_components)

    Returns
    -------
    kl : tensor of shape ()
        Summed over coordinates. 0 for less than two rows, which have no variance.
    """
    if len(codes) < 2:
        return codes.new_zeros(())
    variance = codes.var(dim=0, correction=0).clamp(min=SMALLEST_VARIANCE)
    return standard_normal_kl(codes.mean(dim=0), variance.log())


def inverse_multiquadratic_mmd(codes, draws):
    r"""Squared maximum mean discrepancy of two samples, by kernels that fall off slowly.

    .. math:: k(x, y) = \sum_s \frac{C_s}{C_s + |x - y|^2}, \qquad C_s = 2 s n_\text{components}

    :math:`2 n_\text{components}` is the mean squared distance of two draws of N(0, I), which the
    scales :math:`s` from 0.1 to 10 are around. The estimate is without bias, so that it may be
    below 0.

    Parameters
    ----------
    codes, draws : tensor of shape (n_rows, n_components)

    Returns
    -------
    mmd : tensor of shape ()
        0 for less than two rows, which have no distance from each other.
    """
    n_rows, n_components = codes.shape
    if n_rows < 2:
        return codes.new_zeros(())

    def kernel(x, y):
        squares = (x**2).sum(dim=1)[:, None] + (y**2).sum(dim=1) - 2 * x @ y.t()
        scales = [2 * scale * n_components for scale in MMD_SCALES]
        return sum(scale / (scale + squares.clamp(min=0)) for scale in scales)

    def mean_of_others(kernel):
        return (kernel.sum() - kernel.diagonal().sum()) / (n_rows * (n_rows - 1))

    within = mean_of_others(kernel(codes, codes)) + mean_of_others(kernel(draws, draws))
    return within - 2 * kernel(codes, draws).mean()


def gaussian_log_density(z, mean, log_var):
    """Log density of each coordinate under a Gaussian.

    Parameters
    ----------
    z, mean, log_var : tensors that broadcast to one shape

    Returns
    -------
    log_density : tensor of that shape
    """
    return -(LOG_2PI + log_var + (z - mean) ** 2 * torch.exp(-log_var)) / 2


def coordinate_mixture_log_density(z, means, log_vars, log_weights):
    """Log density under a mixture in each coordinate, summed over coordinates.

    Parameters
    ----------
    z : tensor of shape (n_rows, n_components)
    means, log_vars : list of tensors that broadcast to the shape of `z`
        One for each part of the mixture.
    log_weights : list of float
        Logarithms of the mixture weights.

    Returns
    -------
    log_density : tensor of shape (n_rows,)
    """
    parts = [
        gaussian_log_density(z, mean, log_var) + log_weight
        for mean, log_var, log_weight in zip(means, log_vars, log_weights, strict=True)
    ]
    return torch.logsumexp(torch.stack(parts), dim=0).sum(dim=-1)


def vamp_log_density(z, means, log_vars):
    """Log density under an equal mixture of multivariate diagonal Gaussians.

    Parameters
    ----------
    z : tensor of shape (n_rows, n_components)
    means, log_vars : tensor of shape (n_parts, n_components)

    Returns
    -------
    log_density : tensor of shape (n_rows,)

    Notes
    -----
    The squared distances are expanded into matrix products, so that no array of shape
    (n_rows, n_parts, n_components) is made. Their terms nearly cancel where variances are small,
    hence the double precision (which MPS lacks).
    """
    dtype = z.dtype
    if z.device.type != "mps":
        z, means, log_vars = z.double(), means.double(), log_vars.double()
    precisions = torch.exp(-log_vars)
    quadratic = (
        z**2 @ precisions.t()
        - 2 * z @ (means * precisions).t()
        + (means**2 * precisions).sum(dim=1)
    )
    log_normalizers = LOG_2PI * z.shape[1] + log_vars.sum(dim=1)
    log_densities = -(quadratic + log_normalizers) / 2
    return torch.logsumexp(log_densities, dim=1).to(dtype) - math.log(len(means))


def draw_gaussian(mean, log_var, generator):
    """Draw from N(mean, exp(log_var)), differentiably."""
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
    return mean + noise * torch.exp(log_var / 2)
