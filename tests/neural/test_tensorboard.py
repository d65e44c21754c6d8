"""TensorBoard, as the docs show it: skorch's callback and a writer that can be copied."""

import json
import pickle
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, TensorBoard
from tensorboard_writer import Writer

from skrec import MultVAE

TAGS = {"Loss/train_loss": "loss_curve_", "Loss/valid_score": "validation_scores_"}


class LinesWriter:
    """Stands in for torch's SummaryWriter, which needs tensorboard; as little can be copied."""

    def __init__(self, folder):
        self.file = open(Path(folder, "events"), "w")  # noqa: SIM115

    def add_scalar(self, tag, scalar_value, global_step):
        self.file.write(json.dumps([tag, scalar_value, global_step]) + "\n")

    def close(self):
        self.file.close()


@pytest.fixture
def stand_in(monkeypatch):
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = LinesWriter
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.fixture(scope="module")
def X():
    return (np.random.default_rng(0).random((60, 12)) < 0.4) * 1.0


def logging_model(folder):
    model = MultVAE(2, hidden_layer_sizes=(), max_iter=3, batch_size=20, random_state=0)
    return model.set_params(callbacks=[TensorBoard(Writer(folder))])


def logged(folder):
    """Values by tag and fit."""
    found = {}
    for path in sorted(folder.glob("*/events")):
        for line in path.read_text().splitlines():
            tag, value, step = json.loads(line)
            found.setdefault(tag, {}).setdefault(path.parent, {})[step] = value
    return found


def test_losses_and_scores_are_logged_epoch_by_epoch(stand_in, tmp_path, X):
    model = logging_model(tmp_path / "runs").fit(X)
    found = logged(tmp_path / "runs")
    for tag, curve in TAGS.items():
        (values,) = found[tag].values()
        assert list(values) == [1, 2, 3]
        np.testing.assert_allclose(list(values.values()), getattr(model, curve))


def test_models_that_log_are_cloned_pickled_and_searched(stand_in, tmp_path, X):
    model = logging_model(tmp_path).fit(X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    clone(again).fit(X)
    assert len(logged(tmp_path)["Loss/train_loss"]) == 2
    search = GridSearchCV(model, {"beta": [0.1, 0.2]}, cv=2).fit(X)
    assert len(logged(tmp_path)["Loss/train_loss"]) == 2 + 5
    pickle.dumps(search)


class Fail(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            raise ValueError("no more")


def test_a_fit_that_fails_leaves_a_model_that_can_be_pickled(stand_in, tmp_path, X):
    model = logging_model(tmp_path)
    model.set_params(callbacks=[*model.callbacks, Fail()])
    with pytest.raises(ValueError, match="no more"):
        model.fit(X)
    pickle.dumps(clone(pickle.loads(pickle.dumps(model))))
    model.callbacks[0].writer.close()


def test_the_files_are_those_of_tensorboard(tmp_path, X):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = logging_model(tmp_path)
    search = GridSearchCV(model, {"beta": [0.2]}, cv=2, n_jobs=2).fit(X)
    runs = [EventAccumulator(str(folder)).Reload() for folder in tmp_path.iterdir()]
    assert len(runs) == 3
    for tag, curve in TAGS.items():
        curves = [[event.value for event in run.Scalars(tag)] for run in runs]
        expected = np.float32(getattr(search.best_estimator_, curve))
        assert any(np.array_equal(np.float32(found), expected) for found in curves)
