"""Batched least squares against direct solutions, for rows shorter and longer than the weights."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import sparse

from skrec import PMF, BayesianPMF
from skrec.solvers._least_squares import posterior, ridge

N_FEATURES = 7


def problem(length, n_padded=0, seed=0, n_rows=5):
    """Features and targets of rows of one length, and penalties, in float64."""
    rng = np.random.default_rng(seed)
    features = np.zeros((n_rows, length + n_padded, N_FEATURES))
    features[:, :length] = rng.normal(size=(n_rows, length, N_FEATURES))
    targets = np.zeros((n_rows, length + n_padded, 2))
    targets[:, :length] = rng.normal(size=(n_rows, length, 2))
    return features, targets, rng.uniform(0.5, 3, n_rows)


def tensors(arrays, dtype=torch.float64):
    return [torch.from_numpy(array).to(dtype) for array in arrays]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
@pytest.mark.parametrize("n_padded", [0, 2])
@pytest.mark.parametrize("length", [0, 1, 3, 6, 7, 8, 30])
def test_ridge_and_posterior_are_those_of_dense_normal_equations(
    length, n_padded, dtype, tolerance
):
    F, y, penalties = problem(length, n_padded)
    precision = F.mT @ F + penalties[:, None, None] * np.eye(N_FEATURES)
    weights, losses = ridge(*tensors((F, y, penalties), dtype), "")
    assert_allclose(weights, np.linalg.solve(precision, F.mT @ y), atol=tolerance)
    left = y - F @ np.linalg.solve(precision, F.mT @ y)
    assert_allclose(losses, y.mT @ left, atol=10 * tolerance)
    gradient = F.mT @ (y - F @ weights.double().numpy())
    gradient -= penalties[:, None, None] * weights.double().numpy()
    assert_allclose(gradient, 0, atol=20 * tolerance)
    inverses = np.linalg.inv(precision)
    taken, covariances = posterior(*tensors((F, penalties), dtype), "")
    assert_allclose(covariances, inverses, atol=tolerance)
    assert_allclose(taken, np.einsum("nij,nji->n", inverses, F.mT @ F), atol=10 * tolerance)
    assert posterior(*tensors((F, penalties), dtype), "", with_covariances=False)[1] is None


@pytest.mark.parametrize("penalty", [1e-2, 1e-4, 1e-6])
def test_few_entries_are_solved_to_the_last_digits_with_little_penalty(penalty):
    """In float32, where the larger system has nothing left of the penalty."""
    F, y, _ = problem(4)
    F, y = F.astype(np.float32).astype(np.float64), y.astype(np.float32).astype(np.float64)
    penalties = np.full(len(F), penalty, dtype=np.float32)
    gram = F @ F.mT + penalties.astype(float)[:, None, None] * np.eye(4)
    exact = F.mT @ np.linalg.solve(gram, y)
    weights, _ = ridge(*tensors((F, y, penalties), torch.float32), "")
    condition = np.linalg.cond(gram).max()
    assert_allclose(weights, exact, atol=4 * condition * np.finfo(np.float32).eps)
    # The same rows with zeros for the lacking entries: the system of the features, which has the
    # penalty as its smallest eigenvalue, does worse or fails.
    padded = tensors((np.pad(F, ((0, 0), (0, 4), (0, 0))),), torch.float32)[0]
    right = padded.mT @ tensors((np.pad(y, ((0, 0), (0, 4), (0, 0))),), torch.float32)[0]
    primal = padded.mT @ padded + penalty * torch.eye(N_FEATURES)
    factors, failed = torch.linalg.cholesky_ex(primal)
    if not failed.any():
        worse = np.abs(torch.cholesky_solve(right, factors).numpy() - exact).max()
        assert np.abs(weights.numpy() - exact).max() <= worse


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("length", [3, 9])
def test_a_singular_problem_raises_the_callers_advice(length, dtype):
    features = torch.ones(2, length, N_FEATURES, dtype=dtype)
    penalties = torch.full((2,), 1e-20, dtype=dtype)
    ending = ", or compute in float64" if dtype == torch.float32 else ""
    for solve in (
        lambda: ridge(features, features[:, :, :1], penalties, "use a larger this"),
        lambda: posterior(features, penalties, "use a larger this"),
    ):
        with pytest.raises(ValueError, match=f"singular: use a larger this{ending}\\.$"):
            solve()


@pytest.mark.parametrize(
    ("model", "advice"),
    [
        (PMF(4, l2=1e-20, solver="cholesky"), "use a larger l2"),
        (PMF(4, l2=1e-20, link="logistic"), "use a larger l2"),
        (
            BayesianPMF(4, noise_precision=1e20),
            "use a smaller noise_precision or fewer n_components",
        ),
    ],
)
def test_advice_names_parameters_that_the_estimator_has(model, advice):
    X = np.random.default_rng(0).integers(1, 6, (30, 1)).astype(np.float32)
    with pytest.raises(ValueError, match=f"singular: {advice}, or compute in float64"):
        model.fit(sparse.csr_array(np.tile(X, (1, 270))))
    named = {"l2", "noise_precision", "n_components"} & set(advice.split())
    assert named <= set(model.get_params())
