"""Groups of rows of similar length."""

import numpy as np
import torch
from numpy.testing import assert_array_equal
from scipy import sparse

from skrec.solvers._row_groups import group_rows


def test_groups_hold_every_entry_once():
    rng = np.random.default_rng(0)
    density = rng.random((300, 1))
    X = sparse.csr_array(rng.integers(1, 6, (300, 50)) * (rng.random((300, 50)) < density))
    again = np.zeros(X.shape)
    rows = []
    for group in group_rows(X, torch.device("cpu")):
        rows += group.rows.tolist()
        for row, columns, values, length in zip(*map(np.asarray, group), strict=True):
            n = int(length)
            again[row, columns[:n]] = values[:n]
            assert (columns[n:] == X.shape[1]).all()
            assert (values[n:] == 0).all()
    assert sorted(rows) == list(range(300))
    assert_array_equal(again, X.toarray())
