"""Groups of rows of similar length."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy import sparse

from skrec import PMF, AutoRec, BayesianPMF
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


@pytest.mark.parametrize(
    "model",
    [
        PMF(2, max_iter=2, random_state=0),
        BayesianPMF(2, n_samples=2, n_burn_in=1, random_state=0),
        AutoRec(2, max_iter=1, random_state=0),
    ],
)
def test_threads_compute_in_the_inference_mode_of_the_caller(model):
    rng = np.random.default_rng(0)
    X = rng.integers(1, 6, (60, 12)) * (rng.random((60, 12)) < rng.random((60, 1)))
    n_before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected = model.fit(X).predict(X)
        with torch.inference_mode():
            assert_array_equal(model.predict(X), expected)
            assert_array_equal(model.fit(X).predict(X), expected)
    finally:
        torch.set_num_threads(n_before)
