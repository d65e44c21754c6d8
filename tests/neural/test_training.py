"""What every model on torch does around its mathematics, shown on all autoencoders of rows."""

import gc
import os
import pickle
import pickletools
import subprocess
import sys
import weakref
from copy import deepcopy
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from draws import check_means, check_variances
from scipy import sparse
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback, EarlyStopping, LRScheduler

import skrec
from skrec import VAEBMF, DeepLatentFactor, EnhancedVAE, MultDAE, MultVAE, RecVAE
from skrec._model_table import MODELS
from skrec.metrics import ranking_scorer
from skrec.neural._weights import load_optimizer, optimizer_arrays, put_into
from skrec.utils._changes import update_rows

ROWS = [row for row in MODELS.values() if row.room == "autoencoders" and row.reads == "choices"]
# Those that draw by a multinomial likelihood unless another is asked for.
DRAWING = [row for row in ROWS if hasattr(row.load(), "sample") and row.name != "NBVAE"]
EMBEDDING = [row for row in ROWS if hasattr(row.load(), "transform")]
OPTIONS = {"learning_rate": 0.01, "batch_size": 30, "max_iter": 4, "random_state": 0}


@pytest.fixture(params=ROWS, ids=lambda row: row.name)
def model(request):
    return request.param.instance(early_stopping=True, **OPTIONS)


@pytest.fixture(params=DRAWING, ids=lambda row: row.name)
def drawing_model(request):
    return request.param.instance(early_stopping=True, **OPTIONS)


@pytest.fixture(params=EMBEDDING, ids=lambda row: row.name)
def embedding_model(request):
    return request.param.instance(early_stopping=True, **OPTIONS)


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    taste = np.repeat(np.eye(3), 7, axis=1)[rng.integers(0, 3, 101)]
    X = (rng.random(taste.shape) < 0.1 + 0.5 * taste).astype(np.float32)
    X[5] = 0
    return sparse.csr_array(X)


class Recorder(Callback):
    def on_train_begin(self, net, **kwargs):
        self.records_, self.users_ = [], set()

    def on_batch_begin(self, net, batch=None, **kwargs):
        self.users_ |= {tuple(row) for row in dense(batch[0])}

    def on_epoch_end(self, net, **kwargs):
        self.records_.append((net.history[-1, "train_loss"], net.history[-1, "valid_score"]))


def dense(batch):
    rows = np.zeros((len(batch), batch.n_items), dtype=np.float32)
    rows[batch.rows, batch.items] = batch.values
    return rows


def test_the_loss_falls_and_every_epoch_is_recorded(model, X):
    model.set_params(max_iter=12, n_iter_no_change=None).fit(X)
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_scores_) == 12
    assert model.n_updates_ > 12
    if not isinstance(model, EnhancedVAE):  # its objective grows with beta
        assert np.mean(model.loss_curve_[-3:]) < np.mean(model.loss_curve_[:3])


def test_the_best_epoch_is_kept_and_users_held_out_are_never_trained_on(model, X):
    recorder = Recorder()
    kept = []

    class KeepScores(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.module.eval()
            kept.append(model._scores(net.module, X))

    model.set_params(max_iter=10, callbacks=[recorder, KeepScores()], validation_fraction=0.3)
    model.fit(X)
    best = int(np.argmax(model.validation_scores_))
    assert model.best_iteration_ == best + 1
    np.testing.assert_allclose(model.predict(X), kept[best], rtol=1e-5, atol=1e-6)
    assert [score for _, score in recorder.records_] == model.validation_scores_
    assert [loss for loss, _ in recorder.records_] == model.loss_curve_
    # 30 of the 101 rows are held out, and one is empty; some rows may be equal.
    assert len(recorder.users_) <= 70


def test_training_stops_where_the_score_no_longer_improves(X):
    model = MultVAE(8, hidden_layer_sizes=(16,), **{**OPTIONS, "max_iter": 300})
    model.set_params(n_iter_no_change=5).fit(X)
    assert model.n_iter_ == model.best_iteration_ + 5 < 300
    warming = EnhancedVAE(
        8, hidden_layer_sizes=(16,), n_pseudo_inputs=5, **{**OPTIONS, "max_iter": 60}
    ).set_params(n_iter_no_change=2, n_annealing_epochs=30)
    assert warming.fit(X).n_iter_ > 30


def test_equal_seeds_give_equal_models_and_no_global_seed_is_touched(model, X):
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    scores = model.fit(X).predict(X)
    if hasattr(model, "sample"):
        model.sample(X[:2], random_state=0)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(clone(model).fit(X).predict(X), scores)
    other = clone(model).set_params(random_state=1).fit(X)
    assert np.abs(other.predict(X) - scores).max() > 1e-3
    drawn = clone(model).set_params(random_state=np.random.RandomState(3))
    assert np.abs(clone(drawn).fit(X).predict(X) - drawn.fit(X).predict(X)).max() == 0


def test_empty_rows_teach_nothing(model, X):
    model.set_params(early_stopping=False)
    without = X[np.diff(X.indptr) > 0]
    np.testing.assert_array_equal(
        clone(model).fit(X).predict(X), clone(model).fit(without).predict(X)
    )
    with pytest.raises(ValueError, match="all its rows are empty"):
        model.fit(np.zeros((10, 21)))


def test_an_empty_row_is_answered_by_popularity_more_or_less(drawing_model, X):
    skewed = X.copy()
    skewed.data[np.random.default_rng(0).random(X.nnz) > np.linspace(0.1, 1, 21)[X.indices]] = 0
    skewed.eliminate_zeros()
    drawing_model.set_params(max_iter=40, n_iter_no_change=None).fit(skewed)
    scores = drawing_model.predict(sparse.csr_array((1, 21)))[0]
    assert spearmanr(scores, skewed.sum(axis=0), alternative="greater").pvalue < 0.002


@pytest.mark.parametrize("n_users", [1, 31])
def test_a_batch_of_one_user_is_enough(model, X, n_users):
    model.set_params(early_stopping=False).fit(X[-n_users:])
    assert np.isfinite(model.predict(X)).all()


def test_the_code_may_be_longer_than_the_catalogue(embedding_model, X):
    embedding_model.set_params(n_components=40).fit(X)
    assert np.isfinite(embedding_model.predict(X)).all()


def test_partial_fit_goes_on_and_survives_a_pickle(model, X):
    model.set_params(early_stopping=False)
    for n_epochs in range(1, 4):
        assert model.partial_fit(X) is model
        assert model.n_iter_ == len(model.loss_curve_) == n_epochs
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.partial_fit(X).predict(X), model.partial_fit(X).predict(X))
    once = clone(model).set_params(max_iter=1).fit(X)
    np.testing.assert_array_equal(once.predict(X), clone(model).partial_fit(X).predict(X))


def test_warm_start_goes_on_and_a_cold_fit_starts_anew(model, X):
    first = model.fit(X).predict(X)
    np.testing.assert_array_equal(model.fit(X).predict(X), first)
    model.set_params(warm_start=True)
    n_iter, n_updates = model.n_iter_, model.n_updates_
    model.fit(X)
    assert model.n_iter_ == 2 * n_iter
    assert model.n_updates_ == 2 * n_updates
    assert len(model.loss_curve_) == len(model.validation_scores_) == 2 * n_iter
    # The weights that it began from count as well.
    best = int(np.argmax(model.validation_scores_))
    assert model.best_iteration_ == best + 1
    assert (np.abs(model.predict(X) - first).max() > 1e-4) == (best >= n_iter)
    model.partial_fit(X)
    assert not hasattr(model, "best_iteration_")
    assert len(model.loss_curve_) == 2 * n_iter + 1
    model.fit(X)
    assert np.isnan(model.validation_scores_[: 2 * n_iter + 1]).all()
    assert len(model.validation_scores_) == len(model.loss_curve_) == model.n_iter_
    with pytest.raises(ValueError, match="X has 20 items"):
        model.fit(X[:, 1:])


@pytest.mark.parametrize("when", ["on_batch_begin", "on_epoch_end"])
def test_ctrl_c_keeps_the_model_so_far(model, X, when):
    class CtrlC(Callback):
        pass

    def interrupt(self, net, **kwargs):
        if len(net.history) == 3:
            raise KeyboardInterrupt

    setattr(CtrlC, when, interrupt)
    model.set_params(max_iter=30, callbacks=[CtrlC()])
    if when == "on_batch_begin":
        with pytest.warns(UserWarning, match="interrupted in epoch 3: the model so far") as caught:
            model.fit(X)
        assert caught[-1].filename == __file__
    else:  # as skorch's EarlyStopping ends training
        model.fit(X)
    assert model.n_iter_ == (2 if when == "on_batch_begin" else 3)
    assert np.isfinite(model.predict(X)).all()


def test_ctrl_c_in_the_first_epoch_leaves_the_earlier_model(model, X):
    class CtrlC(Callback):
        def on_batch_begin(self, net, **kwargs):
            raise KeyboardInterrupt

    scores = model.fit(X).predict(X)
    model.set_params(callbacks=[CtrlC()])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    np.testing.assert_array_equal(model.predict(X), scores)


def test_a_loss_that_is_not_finite_names_the_epoch_and_the_cause(model, X):
    scores = model.fit(X).predict(X)
    model.set_params(learning_rate=1e38)
    with pytest.raises(ValueError, match=r"not finite in epoch \d+.*smaller learning_rate"):
        model.fit(X)
    np.testing.assert_array_equal(model.predict(X), scores)


def test_the_last_update_may_not_diverge_unseen(X):
    model = MultVAE(8, hidden_layer_sizes=(16,), early_stopping=False, learning_rate=1e38)
    with pytest.raises(ValueError, match="not finite in epoch 1"):
        model.set_params(max_iter=1, random_state=0).fit(X)


def test_a_fit_that_fails_leaves_the_optimizer_as_it_was(model, X):
    model.set_params(early_stopping=False).partial_fit(X)
    expected = deepcopy(model).partial_fit(X).predict(X)
    with pytest.raises(ValueError, match="not finite"):
        model.set_params(warm_start=True, learning_rate=1e38).fit(X)
    model.set_params(learning_rate=OPTIONS["learning_rate"])
    np.testing.assert_array_equal(model.partial_fit(X).predict(X), expected)


def test_moments_of_other_weights_are_not_loaded():
    """Adam would write beyond their ends."""

    def adam(*sizes):
        return torch.optim.Adam([torch.ones(size, requires_grad=True) for size in sizes])

    optimizer = adam(2, 3)
    sum(weight.sum() for weight in optimizer.param_groups[0]["params"]).backward()
    optimizer.step()
    moments = optimizer_arrays(optimizer)
    load_optimizer(adam(2, 3), moments)
    with pytest.raises(ValueError, match=r"weight 1 must have shape \(4,\), got \(3,\)"):
        load_optimizer(adam(2, 4), moments)


def test_the_network_is_that_of_the_fit_whatever_parameters_change_later(embedding_model, X):
    scores = embedding_model.fit(X).predict(X)
    embedding_model.set_params(n_components=5)
    np.testing.assert_array_equal(embedding_model.predict(X), scores)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(embedding_model)).predict(X), scores)
    assert len(embedding_model.get_feature_names_out()) == embedding_model.transform(X).shape[1]
    embedding_model.set_params(warm_start=True)
    with pytest.raises(ValueError, match="cannot go on training: n_components changed"):
        embedding_model.fit(X)
    with pytest.raises(ValueError, match="n_components changed .* Set warm_start=False"):
        embedding_model.partial_fit(X)
    assert embedding_model.set_params(warm_start=False).fit(X).transform(X).shape[1] in (5, 10)


def test_another_likelihood_is_another_network(X):
    model = MultDAE(8, **OPTIONS).fit(X).set_params(likelihood="gaussian")
    assert model.predict(X).shape == X.shape
    with pytest.raises(ValueError, match="likelihood changed"):
        model.partial_fit(X)


def test_stored_zeros_are_ratings(X):
    zeros = X.copy()
    zeros.data[::3] = 0
    model = MultDAE(8, likelihood="gaussian", **OPTIONS).fit(zeros)
    assert np.isfinite(model.validation_scores_).all()
    assert model.rating_range_ == (0, 1)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_the_scale_of_a_row_does_not_change_its_code(drawing_model, X, scale):
    drawing_model.fit(X)
    codes = drawing_model.transform(scale * X.astype(np.float64))
    np.testing.assert_allclose(codes, drawing_model.transform(X), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="overflows float32"):
        drawing_model.predict(1e300 * X.astype(np.float64))


def test_nothing_of_the_training_lives_on(model, X):
    trainers = []

    class Watch(Callback):
        def on_train_begin(self, net, **kwargs):
            trainers.append(weakref.ref(net))

    gc.collect()
    gc.disable()
    try:
        model.set_params(callbacks=[Watch()]).set_callbacks(CountEpochs()).fit(X)
        assert trainers[0]() is None
    finally:
        gc.enable()


def test_skorch_callbacks_work_and_stay_clonable(model, X):
    rates = []

    class KeepRate(Callback):
        def on_epoch_end(self, net, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    schedule = LRScheduler("StepLR", step_size=1, gamma=0.1)
    model.set_params(callbacks=[KeepRate(), ("schedule", schedule)])
    clone(model).fit(X)
    np.testing.assert_allclose(rates, [0.01, 0.001, 0.0001, 0.00001])
    model.set_params(callbacks=[("schedule", schedule)]).fit(X)
    again = pickle.loads(pickle.dumps(model))
    assert vars(again.callbacks[0][1]).keys() == vars(clone(schedule)).keys()
    again.fit(X)


class CountEpochs:
    """A callback of scikit-learn's own kind."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.epochs = []
        self.scores = []

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        if context.task_name == "epoch":
            self.epochs.append(context.task_id)
            self.scores.append(fitted_estimator.predict(X))
            return len(self.epochs) == self.stop_after


def test_scikit_learn_callbacks_see_and_stop_the_epochs(model, X):
    counter = CountEpochs()
    model.set_params(early_stopping=False).set_callbacks(counter).fit(X)
    assert counter.epochs == [0, 1, 2, 3]
    assert np.abs(counter.scores[0] - counter.scores[-1]).max() > 1e-4
    np.testing.assert_array_equal(counter.scores[-1], model.predict(X))
    assert clone(model).set_callbacks(CountEpochs(stop_after=2)).fit(X).n_iter_ == 2


def test_an_epoch_that_another_callback_ends_is_closed(X):
    counter = CountEpochs()
    stop = EarlyStopping("train_loss", patience=1, threshold=10, threshold_mode="abs", sink=str)
    model = MultVAE(8, hidden_layer_sizes=(16,), callbacks=[stop], **OPTIONS)
    model.set_callbacks(counter).fit(X)
    assert len(counter.epochs) == model.n_iter_ < 4


def test_everything_else_works_without_scikit_learns_callbacks():
    code = """
import numpy as np
import sklearn.callback
import sklearn.model_selection
import sklearn.pipeline
del sklearn.callback.CallbackSupportMixin
from skrec import MultVAE
model = MultVAE(2, hidden_layer_sizes=(3,), max_iter=2).fit(np.ones((30, 4)))
assert model.n_iter_ == 2 and not hasattr(model, "set_callbacks")
"""
    root = str(Path(skrec.__file__).parents[1])
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": root}
    )


def test_progress_bar_of_scikit_learn_nests_through_grid_search(X, capsys):
    pytest.importorskip("rich", reason="scikit-learn's ProgressBar needs rich")
    search = GridSearchCV(
        MultVAE(4, hidden_layer_sizes=(8,), **OPTIONS),
        {"beta": [0.1, 0.2]},
        cv=2,
        scoring=ranking_scorer("ndcg@5"),
    )
    search.set_callbacks(ProgressBar()).fit(X)
    assert "MultVAE - fit" in capsys.readouterr().out


def test_fits_are_silent_unless_asked(model, X, capsys):
    model.fit(X)
    assert capsys.readouterr() == ("", "")
    model.set_params(verbose=1).fit(X)
    shown = capsys.readouterr().err
    assert type(model).__name__ in shown
    assert "loss=" in shown
    assert "score=" in shown
    assert "4/4" in shown


def test_a_pickle_holds_numpy_arrays_only(model, X, tmp_path):
    model.fit(X).predict(X)
    pickled = pickle.dumps(model)
    modules = {arg.split()[0] for op, arg, _ in pickletools.genops(pickled) if op.name == "GLOBAL"}
    strings = {arg for op, arg, _ in pickletools.genops(pickled) if op.name.endswith("UNICODE")}
    assert not {name for name in modules | strings if name.split(".")[0] in ("torch", "skorch")}
    joblib.dump(model, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")  # read-only weights
    np.testing.assert_array_equal(mapped.predict(X), model.predict(X))


def test_skops_stores_the_model(model, X):
    io = pytest.importorskip("skops.io", reason="skops is not installed")
    model.fit(X)
    stored = io.dumps(model)
    types = io.get_untrusted_types(data=stored)
    assert all(name.split(".")[0] == "skrec" for name in types), types
    np.testing.assert_array_equal(io.loads(stored, trusted=types).predict(X), model.predict(X))


def test_a_model_fitted_on_a_missing_device_scores_on_the_cpu(model, X):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    scores = model.set_params(device="cpu").fit(X).predict(X)
    model.set_params(device="cuda")
    np.testing.assert_array_equal(model.predict(X), scores)
    with pytest.raises(ValueError, match="device='cuda' needs a GPU"):
        model.fit(X)
    with pytest.raises(ValueError, match=r"device must be 'auto', 'cpu', .* got 'abacus'"):
        model.set_params(device="abacus").fit(X)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_gpu_agrees_with_cpu(model, X):
    on_gpu = model.set_params(device="cuda").fit(X)
    expected = on_gpu.predict(X)
    on_cpu = pickle.loads(pickle.dumps(on_gpu)).set_params(device="cpu")
    np.testing.assert_allclose(on_cpu.predict(X), expected, rtol=1e-3, atol=1e-3)
    # Without noise the two train alike.
    quiet = {"dropout": 0, "max_iter": 1, "early_stopping": False, "batch_size": 200}
    if isinstance(model, MultDAE):
        one, two = (
            clone(model).set_params(device=device, **quiet).fit(X).predict(X)
            for device in ("cuda", "cpu")
        )
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-3)


def test_transform_embeds_users(embedding_model, X):
    codes = embedding_model.fit(X).transform(X)
    assert codes.shape == (X.shape[0], len(embedding_model.get_feature_names_out()))
    assert codes.dtype == np.float32
    np.testing.assert_allclose(
        embedding_model.transform(X[[7]])[0], codes[7], rtol=1e-5, atol=1e-6
    )


def test_samples_are_rows_of_the_users_totals(drawing_model, X):
    drawing_model.fit(X)
    for n_samples in (0, -1):
        with pytest.raises(ValueError, match="n_samples must be an integer >= 1"):
            drawing_model.sample(X, n_samples)
    with pytest.raises(ValueError, match="must be at most 1e\\+15, got .*: scale X down"):
        drawing_model.sample(1e19 * X)
    with pytest.raises(ValueError, match="non-negative"):
        drawing_model.sample(-X)
    samples = drawing_model.sample(X, 3, random_state=0)
    assert samples.shape == (3, *X.shape)
    np.testing.assert_array_equal(samples.sum(axis=2), np.tile(X.sum(axis=1), (3, 1)))
    np.testing.assert_array_equal(samples, drawing_model.sample(X, 3, random_state=0))
    assert (samples != drawing_model.sample(X, 3, random_state=1)).any()


def test_samples_follow_the_likelihood():
    X = sparse.csr_array(np.array([[1, 0, 1, 1, 0, 0]] * 40 + [[0, 1, 0, 0, 1, 1]] * 40))
    options = {"dropout": 0, "early_stopping": False, **OPTIONS, "max_iter": 200}
    model = MultDAE(8, **options).fit(X)  # its code is not random
    logits = model.predict(X[:1])[0].astype(float)
    expected = 3 * np.exp(logits) / np.exp(logits).sum()
    samples = model.sample(X[:1], 4000, random_state=0)[:, 0]
    check_means(samples, expected)
    ratings = MultDAE(8, likelihood="gaussian", **options).fit(X)
    samples = ratings.sample(X[:1], 4000, random_state=0)[:, 0]
    check_means(samples, ratings._score_rows(X[:1])[0])
    check_variances(samples, 1)
    likes = MultDAE(8, likelihood="bernoulli", **options).fit(X)
    samples = likes.sample(X[:1], 4000, random_state=0)[:, 0]
    expected = 1 / (1 + np.exp(-likes.predict(X[:1])[0]))
    check_means(samples, expected)


def test_searches_and_pipelines(X):
    model = MultVAE(8, hidden_layer_sizes=(16,), **OPTIONS)
    scoring = ranking_scorer("ndcg@5")
    grid = {"beta": [0.0, 0.5], "hidden_layer_sizes": [(), (16,)]}
    search = GridSearchCV(model, grid, cv=2, scoring=scoring, n_jobs=2).fit(X)
    alone = GridSearchCV(model, grid, cv=2, scoring=scoring).fit(X)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"], rtol=1e-4
    )
    assert len(set(search.cv_results_["mean_test_score"])) > 1
    halving = HalvingRandomSearchCV(
        model,
        {"beta": [0.0, 0.1, 0.5], "dropout": [0.2, 0.5]},
        resource="max_iter",
        max_resources=8,
        min_resources=2,
        cv=2,
        scoring=scoring,
        random_state=0,
    ).fit(X)
    assert halving.best_estimator_.max_iter > 2
    pipeline = make_pipeline(TfidfTransformer(), clone(model)).fit(X)
    assert pipeline.predict(X).shape == X.shape
    assert 0 <= scoring(pipeline, X) <= 1
    embeddings = make_pipeline(TfidfTransformer(), clone(model)).fit_transform(X)
    assert embeddings.shape == (X.shape[0], 8)


@pytest.mark.parametrize(
    ("n_users", "size"),
    [(1, 50), (3_700, 50), (3_800, 100), (4_888, 100), (20_000, 400), (1_000_000, 500)],
)
def test_automatic_batches_follow_the_number_of_users(n_users, size):
    model = MultVAE(batch_size="auto")
    assert model._n_batch_users(n_users) == size
    assert model._batch_cost(n_users, 7)[0] == 4 * 7 * min(size, n_users)
    assert model.set_params(batch_size=3)._n_batch_users(n_users) == 3


def test_automatic_batches_are_those_of_the_number(model, X):
    model.set_params(early_stopping=False, max_iter=1)
    automatic = clone(model).set_params(batch_size="auto").fit(X)
    model.set_params(batch_size=50).fit(X)
    assert automatic.n_updates_ == model.n_updates_
    np.testing.assert_array_equal(automatic.predict(X[:9]), model.predict(X[:9]))


def test_wrong_parameters_and_data_are_named(X):
    def fit(model, X=X):
        return model.set_params(**OPTIONS).fit(X)

    negative = X.toarray()
    negative[3, 2] = -1
    with pytest.raises(ValueError, match=r"non-negative entries, got -1\.0"):
        fit(RecVAE(), negative)
    with pytest.raises(ValueError, match=r"needs entries in \[0, 1\], got 2"):
        fit(MultVAE(likelihood="bernoulli"), 2 * X)
    with pytest.raises(ValueError, match=r"must be equal.*\(32, 32\)"):
        fit(RecVAE(hidden_layer_sizes=(16, 32)))
    for name in ("hierarchical", "gated"):
        with pytest.raises(ValueError, match=rf"{name}=True .* hidden_layer_sizes=\(\)"):
            fit(EnhancedVAE(hidden_layer_sizes=(), **{name: True}))
    with pytest.raises(ValueError, match=r"integers >= 1, .* got 0 in \[16, 0\]"):
        fit(MultVAE(hidden_layer_sizes=(16, 0)))
    with pytest.raises(ValueError, match="prior_weights must be three numbers"):
        fit(RecVAE(hidden_layer_sizes=(16,), prior_weights=(0.5, 0.2, 0.2)))
    with pytest.raises(ValueError, match=r"early_stopping=True holds out .*n_samples=20"):
        fit(MultVAE(hidden_layer_sizes=(16,)), np.eye(20, 21))
    with pytest.raises(ValueError, match="'likelihood' parameter of EnhancedVAE"):
        fit(EnhancedVAE(likelihood="gaussian"))


@pytest.mark.parametrize(
    "name", [*(row.name for row in ROWS), "EnhancedVAE-flat", "EnhancedVAE-linear"]
)
def test_a_wider_network_scores_known_items_as_before(name, X):
    name, _, variant = name.partition("-")
    changes = {"early_stopping": False, "max_iter": 3, "random_state": 0}
    model = MODELS[name].instance(variant or None, **changes)
    n_known = 15
    model.fit(X[:80, :n_known])
    before = model.predict(X[:80, :n_known])
    weights = {name: array.copy() for name, array in model._weights.items()}
    model.n_features_in_ = X.shape[1]
    model._widen(X, n_known)
    old = sparse.csr_array(X[:80, :n_known], copy=True)
    old.resize(80, X.shape[1])
    np.testing.assert_allclose(model.predict(old)[:, :n_known], before, rtol=1e-5, atol=1e-6)
    assert model._optimizer_state is None
    for name, array in model._weights.items():
        if array.shape == weights[name].shape:
            np.testing.assert_array_equal(array, weights[name])


def test_weights_of_a_wider_network_keep_what_stands_behind_the_items():
    wider = np.zeros((6, 2))
    np.testing.assert_array_equal(
        put_into(wider, np.arange(1, 9).reshape(4, 2), 3)[:, 0], [1, 3, 5, 0, 0, 7]
    )
    np.testing.assert_array_equal(put_into(wider.T, np.ones((2, 4)), 4), [[1] * 4 + [0] * 2] * 2)
    square = put_into(np.zeros((3, 3)), np.ones((2, 2)), 2)  # items both ways
    np.testing.assert_array_equal(square, [[1, 1, 0], [1, 1, 0], [0, 0, 0]])
    same = np.ones(3)
    assert put_into(np.zeros(3), same, 2) is not same
    np.testing.assert_array_equal(put_into(np.zeros(3), same, 2), same)
    assert not wider.any()


@pytest.mark.parametrize("likelihood", ["multinomial", "bernoulli"])
def test_new_items_start_where_known_ones_as_popular_stand(likelihood, X, monkeypatch):
    model = MultDAE(4, likelihood=likelihood, early_stopping=False, max_iter=20, random_state=0)
    known = sparse.csr_array(X[:, :-3])
    model.set_params(learning_rate=0.01).fit(known)
    counts, levels = (
        known.sum(axis=0),
        np.median(model.predict(known[np.diff(known.indptr) > 0]), 0),
    )
    new = X.toarray()
    for item, n_users in ((-3, 0), (-2, int(np.sort(counts)[5])), (-1, 101)):
        new[:, item] = np.arange(101) < n_users
    monkeypatch.setattr(MultDAE, "_make_a_pass", lambda self, rows: None)
    update_rows(model, known, new)
    lowest, as_popular, highest = model._weights["output.bias"][-3:]
    assert lowest == pytest.approx(levels.min(), rel=1e-5)
    same = np.sort(levels)[np.sort(counts) == np.sort(counts)[5]]
    assert same.min() - 1e-5 <= as_popular <= same.max() + 1e-5
    assert highest == pytest.approx(levels.max(), rel=1e-5)


def test_an_update_makes_one_pass_over_changed_and_new_users(model, X):
    class KeepUsers(Recorder):
        def on_epoch_end(self, net, **kwargs):
            pass

    recorder = KeepUsers()
    old, new = sparse.csr_array(X[:90, :18]), X
    changed = np.flatnonzero(np.diff(X[:90, 18:].indptr))
    model.set_params(early_stopping=False, max_iter=2).fit(old)
    epochs, updates = model.n_iter_, model.n_updates_
    update_rows(model.set_params(callbacks=[recorder]), old, new)
    expected = {tuple(row) for row in X[np.r_[changed, 90:101]].toarray() if row.any()}
    assert recorder.users_ == expected
    assert model.n_iter_ == epochs + 1
    assert model.n_updates_ > updates
    assert model.predict(X).shape == X.shape
    again = pickle.loads(pickle.dumps(model.set_params(callbacks=None)))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    again.partial_fit(X)


@pytest.mark.parametrize(
    "model",
    [
        MultVAE(hidden_layer_sizes=600),
        VAEBMF(joint_layer_sizes=600),
        DeepLatentFactor(interaction_layer_sizes=np.int64(600)),
    ],
)
def test_a_single_width_is_told_to_be_a_tuple(model):
    with pytest.raises(ValueError, match=r"_layer_sizes' parameter of .* such as \(600,\), got"):
        model.fit(np.eye(5))
