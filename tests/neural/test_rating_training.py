"""What training of rating models adds to that of autoencoders of rows."""

import pickle
import pickletools

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from skrec._model_table import MODELS
from skrec.metrics import rating_scorer
from skrec.neural._held_out import hold_out_entries

INSTANCES = [
    ("AutoRec", None),
    ("AutoRec", "user"),
    ("DeepLatentFactor", None),
    ("DeepLatentFactor", "variational"),
]
OPTIONS = {"learning_rate": 0.01, "batch_size": 30, "max_iter": 4, "random_state": 0}


@pytest.fixture(params=INSTANCES, ids=lambda names: "-".join(filter(None, names)))
def model(request):
    name, variant = request.param
    return MODELS[name].instance(variant, early_stopping=True, **OPTIONS)


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    taste = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 15))
    X = np.clip(np.round(3 + taste), 1, 5) * (rng.random((60, 15)) < 0.5)
    X[5] = 0
    return sparse.csr_array(X / X[X > 0].std())  # in the unit that is computed in


def test_the_best_epoch_is_kept_and_ratings_held_out_are_never_trained_on(model, X):
    n_seen, scores = [], []

    class Watch(Callback):
        def on_batch_begin(self, net, batch=None, **kwargs):
            batch = batch[0]
            n_seen.append(len(batch.values if hasattr(batch, "values") else batch.ratings))

        def on_epoch_end(self, net, **kwargs):
            training, held_out = hold_out_entries(X, 0.25, 0)
            users = np.repeat(np.arange(60), np.diff(held_out.indptr))
            ratings = model._rate_held_out(
                net.module, model._training_data(training, None), users, held_out.indices
            )
            error = np.clip(ratings, *model.rating_range_) - held_out.data
            scores.append(-np.sqrt(np.mean(error**2)))

    model.set_params(max_iter=8, callbacks=[Watch()], validation_fraction=0.25).fit(X)
    np.testing.assert_allclose(model.validation_scores_, scores, rtol=1e-6)
    assert model.best_iteration_ == np.argmax(scores) + 1
    assert sum(n_seen) == model.n_iter_ * (X.nnz - np.ceil(0.25 * X.nnz))


def test_the_loss_falls(model, X):
    model.set_params(max_iter=40, early_stopping=False).fit(X)
    assert np.mean(model.loss_curve_[-3:]) < 0.8 * np.mean(model.loss_curve_[:3])


def test_a_rating_less_or_more_at_prediction_is_no_new_fit(model, X):
    model.fit(X)
    row = X[[7]]
    fewer = sparse.csr_array((row.data[1:], row.indices[1:], [0, row.nnz - 1]), row.shape)
    assert np.abs(model.predict(fewer) - model.predict(row)).max() > 1e-4
    assert np.isfinite(model.predict(sparse.csr_array((1, 15)))).all()


def test_ctrl_c_keeps_the_model_so_far(model, X):
    class CtrlC(Callback):
        def on_batch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    model.set_params(callbacks=[CtrlC()])
    with pytest.warns(UserWarning, match="interrupted in epoch 3: the model so far is kept"):
        model.fit(X)
    assert model.n_iter_ == 2
    assert np.isfinite(model.predict(X)).all()


def test_scikit_learn_callbacks_see_a_model_that_predicts(model, X):
    class Watch:
        def __init__(self):
            self.predicted = []

        def setup(self, estimator, context): ...

        def teardown(self, estimator, context): ...

        def on_fit_task_begin(self, estimator, context): ...

        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None, **kwargs):
            if context.task_name == "epoch":
                self.predicted.append(fitted_estimator.predict(X))

    watch = Watch()
    model.set_params(early_stopping=False).set_callbacks(watch).fit(X)
    assert len(watch.predicted) == 4
    np.testing.assert_allclose(watch.predicted[-1], model.predict(X), rtol=1e-6)
    assert np.abs(watch.predicted[0] - watch.predicted[-1]).max() > 1e-3


def test_going_on_equals_training_longer(model, X):
    model.set_params(early_stopping=False, warm_start=True, max_iter=2)
    first = model.fit(X).predict(X)
    assert np.abs(pickle.loads(pickle.dumps(model)).fit(X).predict(X) - first).max() > 1e-4
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.fit(X).predict(X), model.fit(X).predict(X))
    assert model.n_iter_ == len(model.loss_curve_) == 4


def test_a_loss_that_is_not_finite_keeps_the_earlier_model(model, X):
    ratings = model.fit(X).predict(X)
    with pytest.raises(ValueError, match="not finite in epoch"):
        model.set_params(learning_rate=1e30).fit(X)
    np.testing.assert_array_equal(model.predict(X), ratings)


def test_a_pickle_holds_numpy_arrays_only(model, X):
    model.fit(X).predict(X)
    pickled = pickle.dumps(model)
    named = {arg for op, arg, _ in pickletools.genops(pickled) if op.name.endswith("UNICODE")}
    assert not {name for name in named if name.split(".")[0] in ("torch", "skorch")}


def test_searches_measure_ratings(model, X):
    search = GridSearchCV(model, {"dropout": [0.0, 0.5]}, cv=2, scoring=rating_scorer())
    search.fit(X)
    assert (search.cv_results_["mean_test_score"] < 0).all()
    assert search.best_estimator_.score(X) < 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_gpu_agrees_with_cpu(model, X):
    options = {"dropout": 0.0, "early_stopping": False, "max_iter": 2}
    on_gpu, on_cpu = (
        clone(model).set_params(device=device, **options).fit(X) for device in ("cuda", "cpu")
    )
    if not getattr(model, "variational", False):  # whose noise differs
        np.testing.assert_allclose(on_gpu.predict(X), on_cpu.predict(X), rtol=1e-3, atol=1e-3)
    expected = on_gpu.predict(X)
    on_gpu = pickle.loads(pickle.dumps(on_gpu)).set_params(device="cpu")
    np.testing.assert_allclose(on_gpu.predict(X), expected, rtol=1e-3, atol=1e-3)
