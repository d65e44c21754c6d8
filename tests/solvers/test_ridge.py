"""Ridge regressions of rows against scikit-learn's, and inner products of pairs."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge

from skrec.solvers import _row_groups
from skrec.solvers._pair_products import pair_products
from skrec.solvers._ridge import ridge_rows


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    density = np.linspace(0, 1, 30)[:, None]  # rows of all lengths, on both sides of n_features
    X = sparse.csr_array(rng.normal(size=(30, 25)) * (rng.random((30, 25)) < density))
    X.data[::7] = 0  # stored zeros are entries
    return X


@pytest.mark.parametrize("n_features", [4, 12, 40])
def test_each_row_is_a_ridge_regression(X, n_features):
    features = np.random.default_rng(1).normal(size=(25, n_features))
    weights, biases = ridge_rows(X, features, 0.7, bias=9.0)
    for row in range(X.shape[0]):
        stored = slice(X.indptr[row], X.indptr[row + 1])
        if stored.start == stored.stop:
            np.testing.assert_array_equal(weights[row], 0)
            assert biases[row] == 9
            continue
        expected = Ridge(0.7).fit(features[X.indices[stored]], X.data[stored])
        np.testing.assert_allclose(weights[row], expected.coef_, atol=1e-10)
        np.testing.assert_allclose(biases[row], expected.intercept_, atol=1e-10)


def test_the_size_of_the_batches_does_not_matter(X, monkeypatch):
    features = np.random.default_rng(1).normal(size=(25, 6))
    expected = ridge_rows(X, features, 0.7)
    monkeypatch.setattr(_row_groups, "MAX_GROUP_ROWS", 1)
    for one, other in zip(ridge_rows(X, features, 0.7), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_pairs_are_multiplied_in_blocks():
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(7, 3)), rng.normal(size=(9, 3))
    rows, columns = rng.integers(0, 7, 100_000), rng.integers(0, 9, 100_000)
    products = pair_products(left, right, rows, columns)
    np.testing.assert_allclose(products, (left @ right.T)[rows, columns])
    assert pair_products(left, right, rows[:0], columns[:0]).shape == (0,)


@pytest.mark.parametrize("n_features", [4, 40])
def test_features_that_depend_on_each_other_ask_for_a_penalty(X, n_features):
    features = np.ones((25, n_features))
    with pytest.raises(ValueError, match="numerically singular: use a larger l2"):
        ridge_rows(X, features, 1e-17)
    weights, biases = ridge_rows(X, features, 0.7)
    assert np.isfinite(weights).all()
    assert np.isfinite(biases).all()
