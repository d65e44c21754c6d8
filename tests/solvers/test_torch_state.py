"""Models keep apart from what belongs to the process: forks, threads and filters of warnings."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skrec import EASE, PMF, VAEBMF, AutoRec, DeepLatentFactor, DeepLTRS, MultVAE, Popularity
from skrec.solvers._torch_state import torch_state

QUICK = {"max_iter": 2, "early_stopping": False, "random_state": 0}


@pytest.fixture
def X():
    return 1.0 + np.random.default_rng(0).integers(0, 5, (40, 12)) * np.eye(12)[np.arange(40) % 12]


@pytest.mark.parametrize(
    "state",
    [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)],
)
def test_state_is_put_back(state):
    def current():
        return (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.is_autocast_enabled("cpu"),
            torch.get_default_device(),
        )

    with torch.device("meta"), state():
        before = current()
        with torch_state(training=True):
            assert current() == (True, False, False, torch.device("cpu"))
            with pytest.raises(RuntimeError, match="for the test"), torch_state():
                assert current() == (False, True, False, torch.device("cpu"))
                raise RuntimeError("for the test")
        assert current() == before


IN_A_FORKED_CHILD = """
import os, signal
import numpy as np
import torch
from skrec import EASE, PMF, MultVAE, Popularity

torch.set_num_threads(2)
X = 1 + (np.random.default_rng(0).random((400, 300)) < 0.2).astype(float)
make = lambda: MultVAE(200, max_iter=1, early_stopping=False, random_state=0)
models = [make(), PMF(4, max_iter=2, random_state=0), EASE(), Popularity()]
expected = [model.fit(X).predict(X) for model in models]
child = os.fork()
if child == 0:
    signal.alarm(60)
    for model, scores in zip(models, expected):
        np.testing.assert_allclose(model.predict(X), scores, rtol=1e-4, atol=1e-4)
        model.fit(X)
    torch.set_num_threads(2)
    models[0].recommend(X)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""

FORKED_BEFORE_MODELS_ARE_IMPORTED = """
import os, signal
import numpy as np
import torch
import skrec

torch.set_num_threads(2)
a = torch.randn(2000, 2000)
(a @ a).sum()
child = os.fork()
if child == 0:
    signal.alarm(60)
    X = np.kron(np.eye(2), np.ones((1500, 300)))
    skrec.MultVAE(max_iter=1, early_stopping=False).fit(X).recommend(X[:3])
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""

WITHOUT_A_MONITOR = """
import threading
import numpy as np
from skrec import PMF, BayesianPMF, MultVAE
from skrec.model_selection import compare_recommenders

X = 1.0 + np.eye(12)[np.arange(40) % 12]
for verbose in (0, 1):
    MultVAE(4, max_iter=1, early_stopping=False, verbose=verbose).fit(X)
    PMF(2, max_iter=1, verbose=verbose).fit(X)
    BayesianPMF(2, n_burn_in=1, n_samples=1, verbose=verbose).fit(X)
    compare_recommenders({"PMF": PMF(2, max_iter=1)}, X, cv=2, verbose=verbose)
assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
"""


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], timeout=120, check=True, capture_output=True
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_computes_although_its_parent_has_used_threads():
    run(IN_A_FORKED_CHILD)
    run(FORKED_BEFORE_MODELS_ARE_IMPORTED)


def test_progress_leaves_no_thread():
    assert b"MultVAE: 100%" in run(WITHOUT_A_MONITOR).stderr


@pytest.mark.parametrize(
    "estimator",
    [
        EASE(),
        Popularity(),
        PMF(2),
        MultVAE(4, **QUICK),
        AutoRec(4, **QUICK),
        DeepLatentFactor(4, **QUICK),
        VAEBMF(2, **QUICK),
        DeepLTRS(4, **QUICK),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_filters_of_warnings_are_left_alone(estimator, X, monkeypatch):
    """They belong to all threads: what one puts back undoes what another has set meanwhile."""
    callers = []

    class Watched(warnings.catch_warnings):
        def __enter__(self):
            callers.append(sys._getframe(1).f_globals["__name__"])
            return super().__enter__()

    monkeypatch.setattr(warnings, "catch_warnings", Watched)
    model = clone(estimator).fit(X)
    model.predict(X)
    model.recommend(X)
    model.score(X)
    assert [name for name in callers if name.startswith("skrec")] == []
