"""Ctrl-C in training, of every model on torch: what is kept, and where it ends more than a fit."""

import inspect

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.model_selection import GridSearchCV, cross_validate
from skorch.callbacks import Callback, EarlyStopping

from skrec import BayesianPMF, MultVAE, VotingRecommender
from skrec._model_table import MODELS
from skrec.model_selection import compare_recommenders
from skrec.neural._weights import as_arrays
from skrec.solvers._sweeps import repeat_sweeps

ROWS = [row for row in MODELS.values() if "callbacks" in inspect.signature(row.load()).parameters]


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return (rng.random((60, 12)) < 0.4) * 1.0


class Interrupt(Callback):
    """Raises what Ctrl-C does, in an epoch; keeps the weights after the first one."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 1:
            self.first_weights_ = {k: v.copy() for k, v in as_arrays(net.module).items()}

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


class Scores:
    """Validation scores that fall, in place of a model's own; Ctrl-C comes in that of an epoch."""

    def __init__(self, interrupted_epoch=None):
        self.interrupted_epoch = interrupted_epoch
        self.n_epochs = 0

    def __call__(self, module, data, held_out):
        if self.n_epochs == self.interrupted_epoch:
            raise KeyboardInterrupt
        return -1.0 - self.n_epochs if self.n_epochs else -10.0

    def count(self):
        scores = self

        class Count(Callback):
            def on_epoch_begin(self, net, **kwargs):
                scores.n_epochs += 1

        return Count()


def prepare(model, epoch, when):
    """Have a model's first epoch be the best, and Ctrl-C come in a given one."""
    interrupt = Interrupt(epoch if when == "training" else None)
    model._validation_score = scores = Scores(epoch if when == "validation" else None)
    model.set_params(callbacks=[scores.count(), interrupt], max_iter=4)
    return interrupt


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("when", ["training", "validation"])
def test_ctrl_c_keeps_the_best_epoch(row, when, X):
    model = row.instance(early_stopping=True, warm_start=True)  # which keeps all weights
    interrupt = prepare(model, 3, when)
    with pytest.warns(UserWarning, match="interrupted in epoch 3: the model so far is kept"):
        model.fit(X)
    assert model.n_iter_ == len(model.loss_curve_) == 2
    assert model.validation_scores_ == [-2.0, -3.0]
    assert model.best_iteration_ == 1
    assert model._weights.keys() == interrupt.first_weights_.keys()
    for name, weights in interrupt.first_weights_.items():
        np.testing.assert_array_equal(model._weights[name], weights, err_msg=name)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_ctrl_c_without_early_stopping_keeps_the_last_update(row, X):
    model = row.instance(early_stopping=False, max_iter=4, callbacks=[Interrupt(3)])
    with pytest.warns(UserWarning, match="interrupted in epoch 3: the model so far is kept"):
        model.fit(X)
    assert model.n_iter_ == len(model.loss_curve_) == 2
    assert np.isfinite(model.predict(X)).all()
    assert not hasattr(model, "best_iteration_")


@pytest.mark.parametrize("when", ["training", "validation"])
def test_ctrl_c_before_the_end_of_the_first_epoch_fits_nothing(when, X):
    model = small_vae()
    prepare(model, 1, when)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert not hasattr(model, "n_iter_")


def small_vae(**options):
    return MultVAE(2, hidden_layer_sizes=(), max_iter=3, random_state=0, **options)


@pytest.mark.parametrize(
    "fit_several",
    [
        lambda model, X: GridSearchCV(model, {"beta": [0.1, 0.2]}, cv=2).fit(X),
        lambda model, X: cross_validate(model, X, cv=2),
        lambda model, X: compare_recommenders({"one": model, "other": model}, X, cv=2),
        lambda model, X: VotingRecommender([("one", model), ("other", model)]).fit(X),
    ],
    ids=["search", "cross-validation", "comparison", "ensemble"],
)
def test_ctrl_c_ends_all_of_several_fits(fit_several, X):
    with pytest.raises(KeyboardInterrupt):
        fit_several(small_vae(callbacks=[Interrupt(2)]), X)


def test_ctrl_c_in_the_refit_keeps_the_search(X):
    epochs = []

    class InterruptRefit(Callback):
        def on_batch_end(self, net, **kwargs):
            epochs.append(len(net.history))
            if epochs.count(2) == 3:  # two folds, and the refit
                raise KeyboardInterrupt

    model = small_vae(callbacks=[InterruptRefit()], early_stopping=False)
    search = GridSearchCV(model, {"beta": [0.1]}, cv=2)
    with pytest.warns(UserWarning, match="interrupted in epoch 2"):
        search.fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.n_iter_ == 1


def test_a_callback_that_ends_training_ends_no_search(X):
    stop = EarlyStopping("train_loss", patience=1, threshold=10, threshold_mode="abs", sink=str)
    model = small_vae(callbacks=[stop])
    search = GridSearchCV(model.set_params(max_iter=9), {"beta": [0.1, 0.2]}, cv=2).fit(X)
    assert search.best_estimator_.n_iter_ < 9


def test_ctrl_c_in_sweeps_ends_all_of_several_fits(X):
    def sweep():
        n_sweeps.append(1)
        if len(n_sweeps) % 3 == 0:
            raise KeyboardInterrupt
        return 1.0, False

    n_sweeps = []
    with pytest.warns(UserWarning, match="interrupted in sweep 3: the model so far is kept"):
        assert repeat_sweeps(sweep, 9, "a model", verbose=0) == 2
    jobs = [delayed(repeat_sweeps)(sweep, 9, "a model", verbose=0)] * 2
    with pytest.raises(KeyboardInterrupt):
        Parallel()(jobs)
    assert len(n_sweeps) == 6


def test_ctrl_c_while_drawing_ends_all_of_several_fits(X, monkeypatch):
    def draw_all(self, X, keep):
        original(self, X, keep)
        raise KeyboardInterrupt

    original = BayesianPMF._draw_all
    monkeypatch.setattr(BayesianPMF, "_draw_all", draw_all)
    model = BayesianPMF(2, n_burn_in=1, n_samples=2, random_state=0)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(model, X, cv=2)
