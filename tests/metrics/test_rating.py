"""Rating errors against scikit-learn and NumPy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from skrec.metrics import mae, rmse, standard_error


@pytest.fixture
def held_out():
    rng = np.random.default_rng(0)
    held_out = sparse.random_array((30, 20), density=0.2, format="csr", rng=rng)
    held_out.data = rng.integers(0, 6, held_out.nnz).astype(float)  # with stored zeros
    held_out.data[held_out.indptr[4] : held_out.indptr[5]] = np.nan
    kept = ~np.isnan(held_out.data)  # user 4 has nothing held out
    rows = np.repeat(np.arange(30), np.diff(held_out.indptr))
    return sparse.csr_array((held_out.data[kept], (rows[kept], held_out.indices[kept])), (30, 20))


@pytest.mark.parametrize(
    "error, oracle", [(rmse, root_mean_squared_error), (mae, mean_absolute_error)]
)
def test_errors_agree_with_scikit_learn(held_out, error, oracle):
    assert (held_out.data == 0).any()
    dense = np.random.default_rng(1).normal(3, 1, held_out.shape)
    rows = np.repeat(np.arange(30), np.diff(held_out.indptr))
    entries = dense[rows, held_out.indices]
    assert_allclose(error(entries, held_out), oracle(held_out.data, entries))
    assert error(dense, held_out) == error(entries, held_out)
    per_user = error(entries, held_out, per_user=True)
    assert np.isnan(per_user[4])
    for user in np.flatnonzero(np.diff(held_out.indptr)):
        mine = rows == user
        assert_allclose(per_user[user], oracle(held_out.data[mine], entries[mine]))


def test_predictions_are_aligned_with_entries_as_stored():
    held_out = sparse.csr_array(([5.0, 1.0], [2, 0], [0, 2]), shape=(1, 3))
    assert rmse([5.0, 1.0], held_out) == 0
    assert rmse([[1.0, 9.0, 5.0]], held_out) == 0


def test_one_square_matrix_of_predictions_is_dense():
    assert mae([[1.0, 0.0], [0.0, 2.0]], np.array([[1, 0], [0, 1]])) == 0.5


def test_standard_error_agrees_with_numpy():
    values = np.random.default_rng(0).normal(size=50)
    expected = values.std(ddof=1) / np.sqrt(50)
    assert_allclose(standard_error(values), expected)
    assert_allclose(standard_error([*values, np.nan]), expected)
    assert np.isnan(standard_error([1.0, np.nan]))


def test_wrong_input(held_out):
    with pytest.raises(ValueError, match=r"predicted must have shape \(\d+,\).* got \(3,\)"):
        rmse([1.0, 2.0, 3.0], held_out)
    with pytest.raises(ValueError, match="predicted contains NaN"):
        rmse(np.full(held_out.nnz, np.nan), held_out)
    with pytest.raises(ValueError, match="held_out has no stored entry"):
        mae([], np.zeros((2, 3)))
