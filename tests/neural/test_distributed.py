"""Two processes that train one model, as torchrun starts them."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import skrec
from skrec import EnhancedVAE, MultDAE, MultVAE, RecVAE
from skrec.datasets import load_movielens_small

pytest.importorskip("accelerate", reason="training in several processes needs accelerate")

SMALL = {"max_iter": 12, "batch_size": 61, "random_state": 0, "device": "cpu"}
MODELS = {
    "quiet": MultDAE(16, dropout=0.0, early_stopping=False, **SMALL),
    "mult_vae": MultVAE(16, hidden_layer_sizes=(32,), n_annealing_updates=100, **SMALL),
    "rec_vae": RecVAE(16, hidden_layer_sizes=(32, 32), **SMALL),
    "enhanced_vae": EnhancedVAE(16, hidden_layer_sizes=(32,), n_pseudo_inputs=10, **SMALL),
}

SCRIPT = """
import os, pickle, sys
folder = sys.argv[1]
with open(folder + "/models.pkl", "rb") as file:
    models, X = pickle.load(file)
for model in models.values():
    model.fit(X)
with open(f"{folder}/{os.environ['RANK']}.pkl", "wb") as file:
    pickle.dump(models, file)
"""


@pytest.fixture(scope="module")
def X():
    liked = load_movielens_small().binarize(3.5)
    return liked.filter(min_users_per_item=5, min_items_per_user=5).X


@pytest.fixture(scope="module")
def fitted_by_two(X, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_processes")
    (folder / "script.py").write_text(SCRIPT)
    (folder / "models.pkl").write_bytes(pickle.dumps((MODELS, X)))
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [sys.executable, *launch, folder / "script.py", folder],
        check=True,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONPATH": str(Path(skrec.__file__).parents[1]),
        },
        timeout=300,
    )
    return [pickle.loads((folder / f"{rank}.pkl").read_bytes()) for rank in range(2)]


@pytest.mark.parametrize("name", MODELS)
def test_both_processes_end_with_the_same_model(fitted_by_two, name):
    one, other = (models[name] for models in fitted_by_two)
    assert one.n_iter_ == other.n_iter_
    assert one.loss_curve_ == other.loss_curve_
    assert getattr(one, "validation_scores_", None) == getattr(other, "validation_scores_", None)
    for weights in one._weights:
        np.testing.assert_array_equal(one._weights[weights], other._weights[weights])


def test_the_objective_is_that_of_one_process(fitted_by_two, X):
    """Without noise, two processes make the very updates that one makes."""
    model, _ = (models["quiet"] for models in fitted_by_two)
    alone = MODELS["quiet"].fit(X)
    assert model.n_updates_ == alone.n_updates_
    np.testing.assert_allclose(model.predict(X), alone.predict(X), atol=2e-4)
    np.testing.assert_allclose(model.loss_curve_, alone.loss_curve_, rtol=1e-4)


@pytest.mark.parametrize("name", ["mult_vae", "rec_vae", "enhanced_vae"])
def test_the_score_is_that_of_one_process_within_noise(fitted_by_two, X, name):
    together, _ = (models[name] for models in fitted_by_two)
    alone = MODELS[name].fit(X)
    # Over seeds the standard deviation is 0.012: three of the difference of two.
    assert max(together.validation_scores_) == pytest.approx(
        max(alone.validation_scores_), abs=0.05
    )
