"""Checks that every recommender must pass, beside scikit-learn's own.

scikit-learn's :func:`~sklearn.utils.estimator_checks.parametrize_with_checks` knows nothing of
``recommend``, fold-in or seen items; these checks do. A model added to the package, or built on
:class:`~skrec.BaseRecommender` elsewhere, runs both suites.
"""

import pickle
import sys
import tempfile
import threading
import warnings
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import joblib
import numpy as np
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

__all__ = ["check_recommender", "parametrize_with_recommender_checks"]


def parametrize_with_recommender_checks(estimators, *, expected_failed_checks=None):
    """Parametrise a pytest test over estimators and the recommender checks.

    Parameters
    ----------
    estimators : list of estimators
        Instances, small enough to be fitted in a moment.
    expected_failed_checks : callable, default=None
        Takes an estimator, returns a dict from check name to the reason why it may fail.

    Returns
    -------
    decorator : pytest.mark.parametrize
        For a test with the arguments ``estimator`` and ``check``.

    Examples
    --------
    >>> from skrec import EASE
    >>> from skrec.utils.estimator_checks import parametrize_with_recommender_checks
    >>> @parametrize_with_recommender_checks([EASE()])
    ... def test_recommender(estimator, check):
    ...     check(estimator)
    """
    import pytest

    parameters = []
    for estimator in estimators:
        expected = expected_failed_checks(estimator) if expected_failed_checks else {}
        for check in CHECKS:
            name = check.__name__
            marks = pytest.mark.xfail(reason=expected[name]) if name in expected else ()
            parameters.append(
                pytest.param(estimator, check, id=f"{estimator!r}-{name}", marks=marks)
            )
    return pytest.mark.parametrize(("estimator", "check"), parameters)


def check_recommender(estimator):
    """Run every recommender check on an estimator, raising at the first that fails.

    Parameters
    ----------
    estimator : estimator
        An instance; it is cloned, never fitted itself.
    """
    for check in CHECKS:
        check(estimator)


def _tags(estimator):
    return estimator.__sklearn_tags__().recommender_tags


def _data(estimator, n_users=30, n_items=12, seed=0):
    """Small data in which user 0 is empty and nobody knows item 3."""
    rng = np.random.default_rng(seed)
    X = (rng.random((n_users, n_items)) < 0.4).astype(np.float64)
    if _tags(estimator).predicts_ratings:
        X *= rng.integers(1, 6, X.shape)
    X[0] = 0
    X[:, 3] = 0
    return sparse.csr_array(X)


def _fitted(estimator, X=None):
    if X is not None:
        return clone(estimator).fit(X), X
    try:
        unfitted = pickle.dumps(clone(estimator))
    except (pickle.PicklingError, AttributeError, TypeError):  # a class within a function, say
        X = _data(estimator)
        return clone(estimator).fit(X), X
    # A copy of its own for every check, of a model that is fitted once.
    return pickle.loads(_fit_once(unfitted))


@lru_cache(maxsize=4)
def _fit_once(unfitted):
    estimator = pickle.loads(unfitted)
    X = _data(estimator)
    return pickle.dumps((estimator.fit(X), X))


def _is_seeded(estimator):
    return "random_state" in estimator.get_params()


def _assert_same(a, b, rtol=1e-6):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max(initial=0))


def _assert_raises(error, message, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except error as raised:
        assert message in str(raised), f"{message!r} is not in {str(raised)!r}"
    else:
        raise AssertionError(f"{error.__name__} with {message!r} was not raised")


def check_predict_shape_and_type(estimator):
    """One float score for each user and item, finite even for empty users and unseen items."""
    model, X = _fitted(estimator)
    scores = model.predict(X)
    assert scores.shape == X.shape
    assert scores.dtype.kind == "f"
    assert np.isfinite(scores).all()


def check_rows_alone_decide(estimator):
    """Training rows, equal new rows, and rows in any batch get equal scores."""
    model, X = _fitted(estimator)
    scores = model.predict(X)
    order = np.random.default_rng(1).permutation(X.shape[0])
    _assert_same(model.predict(X[order]), scores[order])
    for user in (0, 7):
        _assert_same(model.predict(X[[user]])[0], scores[user])
        _assert_same(model.predict(X[[user] * 5]), np.tile(scores[user], (5, 1)))


def check_permutations(estimator):
    """Renumbering users changes nothing, renumbering items renumbers the scores.

    A fit that draws random numbers may depend on the order: models with a ``random_state`` pass.
    """
    if _is_seeded(estimator):
        return
    model, X = _fitted(estimator)
    scores = model.predict(X)
    rng = np.random.default_rng(2)
    users, items = rng.permutation(X.shape[0]), rng.permutation(X.shape[1])
    _assert_same(_fitted(estimator, X[users])[0].predict(X), scores)
    _assert_same(_fitted(estimator, X[:, items])[0].predict(X[:, items]), scores[:, items])


def check_recommend_sorts(estimator):
    """All items, best first, ties by lower index, in the order of ``predict`` unclipped."""
    model, X = _fitted(estimator)
    if _has_rating_parameter(estimator, "clip"):
        model.set_params(clip=False)
    n_users, n_items = X.shape
    indices, scores = model.recommend(X, k=n_items, exclude_seen=False, return_scores=True)
    assert indices.shape == scores.shape == X.shape
    np.testing.assert_array_equal(
        np.sort(indices, axis=1), np.tile(np.arange(n_items), (n_users, 1))
    )
    steps = np.diff(scores, axis=1)
    assert (steps <= 0).all()
    assert (np.diff(indices, axis=1)[steps == 0] > 0).all()
    predicted = np.take_along_axis(model.predict(X), indices, axis=1)
    assert (np.diff(predicted, axis=1) <= 1e-6 * np.abs(predicted).max()).all()
    for k in (1, 5):
        top, top_scores = model.recommend(X, k=k, exclude_seen=False, return_scores=True)
        np.testing.assert_array_equal(top, indices[:, :k])
        _assert_same(top_scores, scores[:, :k])


def check_seen_items_are_left_out(estimator):
    """Seen items are left out and the others keep their order; exhausted rows are padded."""
    model, X = _fitted(estimator)
    X = sparse.vstack([X, np.ones((1, X.shape[1]))], format="csr")
    everything = model.recommend(X, k=X.shape[1], exclude_seen=False)
    indices, scores = model.recommend(X, k=X.shape[1] + 3, return_scores=True)
    assert indices.shape == (X.shape[0], X.shape[1] + 3)
    for user, seen in enumerate(np.split(X.indices, X.indptr[1:-1])):
        unseen = everything[user][~np.isin(everything[user], seen)]
        np.testing.assert_array_equal(indices[user, : len(unseen)], unseen)
        assert (indices[user, len(unseen) :] == -1).all()
        assert np.isneginf(scores[user, len(unseen) :]).all()
        assert np.isfinite(scores[user, : len(unseen)]).all()


def check_candidate_items(estimator):
    """``items`` restricts the lists, as indices of any integer type and order, or as a mask."""
    model, X = _fitted(estimator)
    items = np.array([9, 2, 5])
    everything = model.recommend(X, k=X.shape[1], exclude_seen=False)
    expected = np.array([row[np.isin(row, items)] for row in everything])
    mask = np.isin(np.arange(X.shape[1]), items)
    unsigned = [items.astype(dtype) for dtype in (np.uint8, np.int8, np.uint16, np.uint64)]
    for candidates in (items, mask, items.tolist(), *unsigned):
        indices = model.recommend(X, k=4, exclude_seen=False, items=candidates)
        assert indices.dtype == np.intp
        np.testing.assert_array_equal(indices, np.c_[expected, np.full(len(expected), -1)])


def check_input_formats(estimator):
    """Every sparse format, dense arrays and data frames give the same scores."""
    model, X = _fitted(estimator)
    expected = model.predict(X)
    formats = [sparse.csc_array, sparse.coo_array, sparse.lil_array, sparse.csr_matrix]
    wide = sparse.csr_array((X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)))
    wide.resize(X.shape)
    twice = sparse.coo_array((np.r_[X.data, X.data] / 2, np.tile(X.tocoo().coords, 2)), X.shape)
    inputs = [convert(X) for convert in formats] + [X.toarray(), X.toarray(order="F"), wide, twice]
    for number, other in enumerate(inputs):
        _assert_same(model.predict(other), expected)
        if number % 3 == 0:  # one entrance reads them all, so that a few tell about fit
            _assert_same(_fitted(estimator, other)[0].predict(X), expected)
    try:
        import pandas as pd
    except ImportError:
        return
    frame = pd.DataFrame(X.toarray(), columns=[f"item {i}" for i in range(X.shape[1])])
    model, _ = _fitted(estimator, frame)
    assert list(model.feature_names_in_) == list(frame.columns)
    _assert_same(model.predict(frame), expected)


def check_float32(estimator):
    """float32 input agrees with float64 within single precision."""
    model, X = _fitted(estimator)
    single = X.astype(np.float32)
    _assert_same(_fitted(estimator, single)[0].predict(single), model.predict(X), rtol=1e-3)


def check_input_is_not_touched(estimator):
    """Read-only input is enough, and stays as it was."""
    X = _data(estimator)
    before = X.copy()
    for array in (X.data, X.indices, X.indptr):
        array.flags.writeable = False
    model, _ = _fitted(estimator, X)
    model.predict(X)
    model.recommend(X, k=3)
    model.score(X)
    np.testing.assert_array_equal(X.toarray(), before.toarray())


def check_pickle(estimator):
    """A pickled model gives the same scores."""
    model, X = _fitted(estimator, _data(estimator))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def check_same_seed_same_model(estimator):
    """Fitting is repeatable, and leaves NumPy's global random state alone."""
    if _is_seeded(estimator):
        estimator = clone(estimator).set_params(random_state=0)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    model, X = _fitted(estimator)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    np.testing.assert_array_equal(_fitted(estimator, X)[0].predict(X), model.predict(X))


def check_refit_forgets(estimator):
    """Fitting a second time equals fitting once, also after other data of another width."""
    model, X = _fitted(estimator)
    expected = model.predict(X)
    again = clone(estimator).fit(_data(estimator, n_items=9, seed=5)).fit(X).fit(X)
    _assert_same(again.predict(X), expected)


def check_threads_and_blocks(estimator):
    """Neither the number of threads nor the size of the row blocks matters."""
    X = sparse.vstack([_data(estimator, seed=seed) for seed in range(12)], format="csr")
    model, _ = _fitted(estimator, X)
    expected = model.predict(X), model.recommend(X, k=5)
    has_threads = "n_jobs" in estimator.get_params()
    for n_jobs in (1, 3) if has_threads else (None,):
        other = clone(estimator)
        if has_threads:
            other.set_params(n_jobs=n_jobs)
        for working_memory in (0.01, 1024):
            with config_context(working_memory=working_memory):
                other.fit(X)
                _assert_same(other.predict(X), expected[0])
                np.testing.assert_array_equal(other.recommend(X, k=5), expected[1])


def check_partial_fit_adds(estimator):
    """Where there is ``partial_fit``, chunks of users add up to one fit."""
    if not hasattr(estimator, "partial_fit") or _is_seeded(estimator):
        return
    model, X = _fitted(estimator)
    expected = model.predict(X)
    for cuts in ([11], [4, 13, 22]):
        chunks = [X[a:b] for a, b in zip([0, *cuts], [*cuts, X.shape[0]], strict=True)]
        chunked = clone(estimator)
        for chunk in chunks:
            assert chunked.partial_fit(chunk) is chunked
        _assert_same(chunked.predict(X), expected)
        continued = clone(estimator).fit(chunks[0])
        for chunk in chunks[1:]:
            continued.partial_fit(chunk)
        _assert_same(continued.predict(X), expected)


def check_withheld_block_is_recovered(estimator):
    """Two groups of users and items: the withheld entries of a user's own block come first."""
    if not _tags(estimator).personalized:
        return
    n_users, n_items = 24, 8
    X = np.kron(np.eye(2), np.ones((n_users, n_items)))
    if _tags(estimator).predicts_ratings:
        X = 1 + 4 * X
    withheld = (np.arange(2 * n_users) * 3) % n_items
    withheld[n_users:] += n_items
    X[np.arange(2 * n_users), withheld] = 0
    if _tags(estimator).predicts_ratings:
        X[np.arange(2 * n_users), (withheld + n_items) % (2 * n_items)] = 0
    top = _fitted(estimator, sparse.csr_array(X))[0].recommend(X, k=1)
    np.testing.assert_array_equal(top[:, 0], withheld)


def check_failed_fit_loses_nothing(estimator):
    """A fit that fails leaves the fitted model as it was."""
    model, X = _fitted(estimator)
    expected = model.predict(X)
    broken = _data(estimator, n_items=7).toarray()
    broken[2, 5] = np.nan
    for verb in ("fit", "partial_fit"):
        if hasattr(model, verb):
            _assert_raises(ValueError, "", getattr(model, verb), broken)
            np.testing.assert_array_equal(model.predict(X), expected)
    unfitted = clone(estimator)
    _assert_raises(ValueError, "row 2, item 5", unfitted.fit, broken)
    damaged = X.copy()
    damaged.indices[-1] = -1
    _assert_raises(ValueError, "outside of its shape", unfitted.fit, damaged)
    try:
        check_is_fitted(unfitted)
    except ValueError:
        return
    raise AssertionError("A failed fit left the estimator looking fitted")


def check_error_messages(estimator):
    """A wrong input gets an error that names the thing, the rule, the value and the fix."""
    model, X = _fitted(estimator)
    name, n_items = type(estimator).__name__, X.shape[1]
    infinite = X.toarray()
    infinite[1, 4] = np.inf
    damaged = X.copy(), X.copy().tocoo()
    for part in (damaged[0].indices, damaged[1].coords[1]):
        part[X.indptr[2]] = n_items
    verbs = [model.predict, model.recommend, model.score]
    if hasattr(model, "partial_fit"):
        verbs.append(model.partial_fit)
    for verb in verbs:
        wide = f"X has {n_items - 1} items, {name} was fitted on {n_items}"
        _assert_raises(ValueError, wide, verb, X[:, 1:])
        _assert_raises(ValueError, "X looks transposed", verb, X.T)
        _assert_raises(ValueError, "X contains inf (row 1, item 4)", verb, infinite)
        for other in damaged:
            _assert_raises(ValueError, f"row 2, column {n_items}", verb, other)
    _assert_raises(ValueError, "k must be an integer >= 1, got 0", model.recommend, X, 0)
    _assert_raises(TypeError, "k must be an integer >= 1, got 2.5", model.recommend, X, 2.5)
    _assert_raises(ValueError, f"k must be at most {n_items + 1000}", model.recommend, X, 10**9)
    flag = "exclude_seen must be True or False"
    _assert_raises(TypeError, flag, model.recommend, X, exclude_seen="no")
    outside = f"items must lie in [0, {n_items - 1}]"
    _assert_raises(ValueError, outside, model.recommend, X, 2, items=[0, n_items])
    for nothing in ([], np.zeros(n_items, dtype=bool)):
        _assert_raises(
            ValueError, "items must be a non-empty", model.recommend, X, 2, items=nothing
        )


def check_score(estimator):
    """``score`` is a repeatable float; 1-D labels count as none; held-out entries are used."""
    model, X = _fitted(estimator)
    score = model.score(X)
    assert isinstance(score, float)
    assert np.isfinite(score)
    assert model.score(X) == score
    assert model.score(X, np.zeros(X.shape[0])) == score
    held_out = X.copy()
    held_out.data[::2] = 0
    held_out.eliminate_zeros()
    assert np.isfinite(model.score(X - held_out, held_out))
    _assert_raises(ValueError, "shape", model.score, X, held_out[:, 1:])


def check_rating_scale(estimator):
    """Ratings outside a declared ``rating_scale`` are refused, naming it; others set the range."""
    if not _has_rating_parameter(estimator, "rating_scale"):
        return
    X = _data(estimator)
    model = clone(estimator).set_params(rating_scale=(0, 10)).fit(X)
    assert model.rating_range_ == (0.0, 10.0)
    model.set_params(rating_scale=(1, 4))
    _assert_raises(ValueError, "rating_scale=(1, 4)", model.fit, X)
    assert model.rating_range_ == (0.0, 10.0)


def check_clip(estimator):
    """With ``clip``, predictions keep to ``rating_range_``, and are otherwise the same."""
    if not _has_rating_parameter(estimator, "clip"):
        return
    model, X = _fitted(estimator)
    free = model.set_params(clip=False).predict(X)
    model.rating_range_ = tuple(np.quantile(free, [0.4, 0.6]).tolist())  # so that many are outside
    clipped = model.set_params(clip=True).predict(X)
    _assert_same(clipped, np.clip(free, *model.rating_range_))


def check_rating_units(estimator):
    """Ratings times a number get predictions, deviations and scores times that number."""
    if not _tags(estimator).predicts_ratings:
        return
    X = _data(estimator)
    if _has_rating_parameter(estimator, "rating_scale"):
        estimator = clone(estimator).set_params(rating_scale=None)
    model, _ = _fitted(estimator, X)
    largest_error = 0.01 * X.data.std()
    for c in (0.1, 20):
        other, _ = _fitted(estimator, c * X)
        expected = [model.predict(X), -model.score(X)]
        found = [other.predict(c * X), -other.score(c * X)]
        if _offers_std(estimator):
            expected.append(model.predict(X, return_std=True)[1])
            found.append(other.predict(c * X, return_std=True)[1])
        for one, scaled in zip(expected, found, strict=True):
            np.testing.assert_allclose(scaled / c, one, rtol=0, atol=largest_error)


def check_recommended_scores(estimator):
    """Scores beside recommendations are those of ``predict``, clipped where it clips."""
    model, X = _fitted(estimator)
    if _has_rating_parameter(estimator, "clip"):
        free = model.set_params(clip=False).predict(X)
        model.rating_range_ = tuple(np.quantile(free, [0.3, 0.7]).tolist())
        model.set_params(clip=True)
    indices, scores = model.recommend(X, k=5, exclude_seen=False, return_scores=True)
    _assert_same(scores, np.take_along_axis(model.predict(X), indices, axis=1))


def check_return_std(estimator):
    """Where ``predict`` has ``return_std``, a positive deviation by each rating, row by row."""
    if not _offers_std(estimator):
        return
    model, X = _fitted(estimator)
    ratings, std = model.predict(X, return_std=True)
    _assert_same(ratings, model.predict(X))
    assert std.shape == X.shape
    assert np.isfinite(std).all()
    assert (std > 0).all()
    order = np.random.default_rng(1).permutation(X.shape[0])
    _assert_same(model.predict(X[order], return_std=True)[1], std[order])


def check_pairs_agree(estimator):
    """Single ratings, where a model has a way of its own, are those of the whole rows."""
    if not hasattr(estimator, "_rate_pairs") or not _tags(estimator).predicts_ratings:
        return
    model, X = _fitted(estimator)
    rng = np.random.default_rng(3)
    users, items = rng.integers(0, X.shape[0], 200), rng.integers(0, X.shape[1], 200)
    states = model._pair_states(X)
    _assert_same(model._rate_pairs(states, users, items), model.predict(X)[users, items])
    if _offers_std(estimator):
        _, std = model._rate_pairs(states, users, items, return_std=True)
        _assert_same(std, model.predict(X, return_std=True)[1][users, items])


def check_equal_rows_tie(estimator):
    """Equal rows get equal scores to the last digit, wherever and how often they stand."""
    model, X = _fitted(estimator)
    rng = np.random.default_rng(4)
    for n_rows in (2, 5, 13, 33, 300):
        users = np.r_[0, rng.integers(0, 4, n_rows - 1)]
        scores = model.predict(X[users])
        indices, best = model.recommend(X[users], k=5, return_scores=True)
        for user in np.unique(users):
            for answer in (scores, indices, best):
                rows = answer[users == user]
                np.testing.assert_array_equal(rows, np.broadcast_to(rows[0], rows.shape))


def check_nothing_is_left_behind(estimator):
    """No verb leaves a thread, another filter of warnings, or a changed default of torch."""
    model, X = _quick(estimator), _data(estimator)
    verbs = [model.fit, model.predict, model.recommend, model.score]
    verbs += [
        getattr(model, name) for name in ("transform", "partial_fit") if hasattr(model, name)
    ]
    for verb in verbs:
        filters, threads, defaults = warnings.filters, threading.enumerate(), _torch_defaults()
        content = list(filters)
        verb(X)
        assert warnings.filters is filters
        assert list(filters) == content
        assert threading.enumerate() == threads
        assert _torch_defaults() == defaults


def check_memory_mapped(estimator):
    """Models and rows that are mapped from files, read-only, give the same without a warning."""
    model, X = _fitted(estimator, _data(estimator))
    expected = model.predict(X)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, what in (("model", model), ("X", X)):
            joblib.dump(what, Path(folder) / name)
        mapped, X = (joblib.load(Path(folder) / name, mmap_mode="r") for name in ("model", "X"))
        _assert_same(mapped.predict(X), expected)
        mapped.recommend(X)
        mapped.score(X)
        for verb in ("transform", "partial_fit", "fit"):
            if hasattr(mapped, verb):
                getattr(mapped, verb)(X)
        del mapped, X  # so that the files can go


def check_torch_state(estimator):
    """What the caller has set in torch makes no difference to models that compute with it."""
    if not _uses_torch(estimator):
        return
    import torch

    X = _data(estimator)
    model = _quick(estimator).fit(X)
    expected = _answers(model, X)
    states = {
        "set_default_dtype(float64)": _default_dtype(torch.float64),
        "set_default_dtype(bfloat16)": _default_dtype(torch.bfloat16),
        "set_default_device": torch.device("meta"),
        "inference_mode": torch.inference_mode(),
        "no_grad": torch.no_grad(),
        "autocast": torch.autocast("cpu", torch.bfloat16),
    }
    for name, state in states.items():
        with state:
            fitted = _quick(estimator).fit(X)
            answers = _answers(fitted, X), _answers(pickle.loads(pickle.dumps(model)), X)
        for answer in (*answers, _answers(fitted, X)):
            for verb, value in expected.items():
                np.testing.assert_array_equal(answer[verb], value, err_msg=f"{verb} in {name}")


def check_torch_threads(estimator):
    """The number of torch's threads changes the model by no more than rounding."""
    if not _uses_torch(estimator):
        return
    import torch

    X = sparse.vstack([_data(estimator, seed=seed) for seed in range(4)], format="csr")
    before = torch.get_num_threads()
    try:
        scores = []
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            scores.append(_quick(estimator).fit(X).predict(X))
    finally:
        torch.set_num_threads(before)
    for other in scores[1:]:
        _assert_same(other, scores[0], rtol=1e-5)


def _quick(estimator):
    """A clone that makes few iterations, the same at every fit."""
    parameters = estimator.get_params()
    few = {"max_iter": 3} if "max_iter" in parameters else {}
    seed = {"random_state": 0} if "random_state" in parameters else {}
    return clone(estimator).set_params(**few, **seed)


def _answers(model, X):
    answers = {"predict": model.predict(X), "recommend": model.recommend(X, k=5)}
    if hasattr(model, "transform"):
        answers["transform"] = model.transform(X)
    if _offers_std(model):
        answers["std"] = model.predict(X, return_std=True)[1]
    return answers


def _uses_torch(estimator):
    return "device" in estimator.get_params() and estimator.get_params()["device"] == "auto"


def _torch_defaults():
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_num_threads(),
    )


@contextmanager
def _default_dtype(dtype):
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _has_rating_parameter(estimator, name):
    return _tags(estimator).predicts_ratings and name in estimator.get_params()


def _offers_std(estimator):
    return _tags(estimator).predicts_std


CHECKS = [
    check_predict_shape_and_type,
    check_rows_alone_decide,
    check_permutations,
    check_recommend_sorts,
    check_seen_items_are_left_out,
    check_candidate_items,
    check_input_formats,
    check_float32,
    check_input_is_not_touched,
    check_pickle,
    check_same_seed_same_model,
    check_refit_forgets,
    check_threads_and_blocks,
    check_partial_fit_adds,
    check_withheld_block_is_recovered,
    check_failed_fit_loses_nothing,
    check_error_messages,
    check_score,
    check_rating_scale,
    check_clip,
    check_rating_units,
    check_recommended_scores,
    check_return_std,
    check_pairs_agree,
    check_equal_rows_tie,
    check_nothing_is_left_behind,
    check_memory_mapped,
    check_torch_state,
    check_torch_threads,
]
