"""Scores on one scale: each row by its formula, and what has no scale."""

import numpy as np
import pytest

from skrec.ensemble._normalization import normalize_rows

ROWS = np.array([[3.0, 1.0, 2.0, 2.0], [-5.0, 0.0, 5.0, 10.0], [7.0, 7.0, 7.0, 7.0]])
HALF, SIXTH = 1 / 2, 1 / 6
EXPECTED = {
    "zscore": [
        np.array([1.0, -1.0, 0.0, 0.0]) / np.sqrt(0.5),
        np.array([-7.5, -2.5, 2.5, 7.5]) / np.sqrt(31.25),
        np.zeros(4),
    ],
    "minmax": [[1, 0, HALF, HALF], [0, 1 / 3, 2 / 3, 1], np.zeros(4)],
    "rank": [[1, 0, HALF, HALF], [0, 1 / 3, 2 / 3, 1], [HALF] * 4],
    None: ROWS,
}


@pytest.mark.parametrize("how", EXPECTED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_formula(how, dtype):
    found = normalize_rows(ROWS.astype(dtype), how)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, EXPECTED[how], atol=1e-6)


@pytest.mark.parametrize("how", ["zscore", "minmax"])
def test_units_and_levels_do_not_matter(how):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(5, 40))
    expected = normalize_rows(scores.copy(), how)
    for factor, level in ((1e-300, 0.0), (1e300, 0.0), (3.0, 50.0)):
        found = normalize_rows(factor * scores + level, how)
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("how", ["zscore", "minmax"])
def test_rounding_is_no_deviation(how):
    row = np.full((1, 50), 0.1, dtype=np.float32)
    row[0, ::3] = np.nextafter(row[0, 0], 1, dtype=np.float32)
    np.testing.assert_array_equal(normalize_rows(row, how), np.zeros((1, 50)))


@pytest.mark.parametrize("how", ["zscore", "minmax", "rank", None])
def test_one_item_and_rows_of_zeros(how):
    assert np.isfinite(normalize_rows(np.array([[4.0], [0.0]]), how)).all()
    assert np.isfinite(normalize_rows(np.zeros((2, 3)), how)).all()
