"""Warnings point at the user's line, however deep they arise."""

import warnings

import numpy as np
import pytest

from skrec import EASE, PMF, AutoRec, MultVAE
from skrec.factorization import _pmf_sweeps
from skrec.linear import _ease_accuracy
from skrec.neural import _cost

X = np.random.default_rng(0).integers(1, 6, (30, 12)).astype(float)


@pytest.fixture(autouse=True)
def cause_for_warnings(monkeypatch):
    monkeypatch.setattr(_ease_accuracy, "TOLERATED", -1.0)
    monkeypatch.setattr(_cost, "LARGE_MEMORY", 0)

    improve, calls = _pmf_sweeps.improve, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return improve(*args)

    monkeypatch.setattr(_pmf_sweeps, "improve", interrupted)


@pytest.mark.parametrize(
    ("model", "verb"),
    [
        (EASE(method="primal"), "fit"),
        (EASE(method="primal"), "partial_fit"),
        (PMF(2, solver="cholesky", tol=0, random_state=0), "fit"),
        (MultVAE(2, hidden_layer_sizes=(), max_iter=1, random_state=0), "fit"),
        (AutoRec(2, max_iter=1, random_state=0), "fit"),
        (MultVAE(2, hidden_layer_sizes=(), max_iter=1, random_state=0), "fit_transform"),
    ],
)
def test_a_warning_names_the_line_of_the_call(model, verb):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(model, verb)(X)
    assert caught
    assert {warning.filename for warning in caught} == {__file__}
