"""Whatever is given, each public verb answers finitely or refuses by name, and changes nothing.

Every model of the contract's table, every format of input, and arguments of any kind and size. The
quick examples are part of the suite; ``pytest -m slow`` tries many more.
"""

import pickle
import re
import traceback
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.linalg import LinAlgWarning
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from test_common import with_few_epochs

import skrec
from skrec import metrics
from skrec._model_table import MODELS
from skrec.model_selection import StrongGeneralizationSplit, fold_in_split, interaction_split

N_ITEMS = 12
HUGE = 10**400
SPEAKERS = tuple(Path(module.__file__).parent for module in (skrec, sklearn))
# What NumPy, SciPy, torch and Python say when they are handed what nobody has looked at.
RAW = re.compile(
    r"^$|too large to convert|not supported for the input types|is out of bounds|broadcast|"
    r"Python int|exceeds matrix dimension|could not convert|unhashable|ambiguous|Unable to alloc|"
    r"object has no attribute|not subscriptable|buffer|object is not|unsupported operand"
)

NAMES = list(MODELS)

values = st.sampled_from([1.0, 1.0, 1.0, 0.0, 5.0, 0.5, -1.0, 1e-300, 1e30, 3e38, 1e308])
values |= st.sampled_from([np.nan, np.inf])
shares = st.sampled_from([0.8, 0.2, 0.5, 1e-7, 1 - 1e-9, 1e-300, 0, 1, -1, np.nan, HUGE, "half"])
integers = st.sampled_from([1, 2, 5, 12, 15, 0, -1, 1013, 10**6, 10**10, 10**30, HUGE])
lengths = integers | st.sampled_from([np.int8(3), np.uint64(3), 2.0, True, None, "3", np.nan])
flags = st.sampled_from([True, False, True, False, np.True_, "no", 0, None])


@st.composite
def matrices(draw, n_items=N_ITEMS, sound=False):
    """Users x items input of every format and dtype, whole or damaged."""
    n_rows = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    used = [1.0, 3.0] if sound else draw(st.lists(values, min_size=1, max_size=3))
    shape = n_rows, n_items
    dense = np.where(rng.random(shape) < 0.5, rng.choice(used, shape), 0.0)
    if draw(st.booleans()):
        dense[0] = 0  # an empty row
    dtype = draw(st.sampled_from(["f8", "f4", "i4", "i8", "u1", "?"] + ["c16"] * (not sound)))
    with np.errstate(all="ignore"):
        dense = dense.astype(dtype)
    form = draw(
        st.sampled_from(["csr", "csc", "coo", "lil", "dok", "bsr", "csr", "dense", "frame"])
    )
    if form == "dense":
        return dense if draw(st.booleans()) else dense.tolist()
    if form == "frame":
        return pd.DataFrame(dense, columns=[f"item {i}" for i in range(n_items)])
    X = sparse.csr_array(dense)
    if form != "csr":
        X = X.asformat(form, copy=True)
        if form == "coo" and X.nnz and not sound and draw(st.booleans()):
            X.coords[draw(st.integers(0, 1))][0] = draw(st.sampled_from([-1, 99, 2**31 - 1]))
        return X
    rows = np.repeat(np.arange(n_rows), np.diff(X.indptr))
    if draw(st.booleans()):  # entries twice, and in no order
        order = rng.permutation(np.tile(np.arange(X.nnz), 2))
        order = order[np.argsort(rows[order], kind="stable")]
        X = sparse.csr_array((X.data[order], X.indices[order], 2 * X.indptr), shape=X.shape)
    if draw(st.booleans()):
        X.data[: len(X.data) // 3] = 0  # stored zeros
    wide = draw(st.sampled_from(["i4", "i8"] + ["u1", "u8"] * (not sound)))
    X.indices, X.indptr = X.indices.astype(wide), X.indptr.astype(wide)
    if not sound and X.nnz and draw(st.booleans()):
        part = draw(st.sampled_from([X.indices, X.indptr]))
        part[draw(st.integers(0, len(part) - 1))] = draw(st.sampled_from([0, 13, 99]))
    if draw(st.booleans()):
        for part in (X.data, X.indices, X.indptr):
            part.flags.writeable = False
    return X


item_lists = st.none() | st.lists(st.integers(-1, N_ITEMS), max_size=5).flatmap(
    lambda items: st.sampled_from(
        [np.array(items, dtype) for dtype in ("i1", "i4", "i8", "f8")]
        + [np.abs(np.array(items, dtype="i8")).astype(dtype) for dtype in ("u1", "u2", "u8")]
        + [items, np.isin(np.arange(N_ITEMS), items), np.array([items])]
    )
)


@cache
def fitted(name):
    """A fitted model, rows to ask it about, and what it says of them."""
    rng = np.random.default_rng(0)
    X = sparse.csr_array(
        (rng.random((30, N_ITEMS)) < 0.4) * rng.integers(1, 6, (30, N_ITEMS)) * 1.0
    )
    estimator = with_few_epochs(MODELS[name].instance())
    if not estimator.__sklearn_tags__().recommender_tags.predicts_ratings:
        X.data[:] = 1
    model = estimator.fit(X)
    return model, X, model.predict(X)


def attempt(call):
    """What a call answers, or None if it refuses by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", LinAlgWarning)
        warnings.filterwarnings("ignore", "l1=.* leaves no weight")
        warnings.filterwarnings("ignore", "X has feature names|X does not have valid feature")
        try:
            return call()
        except (ValueError, TypeError, MemoryError) as error:
            *_, (frame, _) = traceback.walk_tb(error.__traceback__)
            file = Path(frame.f_code.co_filename)
            assert any(file.is_relative_to(folder) for folder in SPEAKERS), f"{file}: {error!r}"
            assert not RAW.search(str(error)), f"raw: {error!r}"
            return None


def untouched(*inputs):
    """A function that says whether the inputs are still as they were."""
    before = pickle.dumps(inputs)
    return lambda: pickle.dumps(inputs) == before


def explore(check, n_examples, **given_by):
    """Call a check with many examples, the same ones in every run."""
    options = settings(
        max_examples=n_examples,
        derandomize=True,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    options(given(**given_by)(check))()


def examples(quick, slow):
    return pytest.mark.parametrize("n", [quick, pytest.param(slow, marks=pytest.mark.slow)])


def assert_finite(array, shape):
    assert array.shape == shape
    assert array.dtype.kind == "f"
    assert np.isfinite(array).all()


def assert_lists(answer, n_rows, k, return_scores):
    indices, scores = answer if return_scores else (answer, None)
    assert indices.shape == (n_rows, k)
    assert indices.dtype == np.intp
    assert ((indices >= -1) & (indices < N_ITEMS)).all()
    for row in indices:
        listed = row[row >= 0]
        assert len(np.unique(listed)) == len(listed)
        assert (row[len(listed) :] == -1).all()
    if return_scores:
        assert scores.shape == indices.shape
        np.testing.assert_array_equal(np.isfinite(scores), indices >= 0)


@pytest.mark.parametrize("name", NAMES)
@examples(12, 200)
def test_recommend(name, n):
    model, rows, expected = fitted(name)

    def check(X, k, items, exclude_seen, return_scores):
        same = untouched(X, items)
        answer = attempt(
            lambda: model.recommend(
                X, k, items=items, exclude_seen=exclude_seen, return_scores=return_scores
            )
        )
        assert same()
        if answer is not None:
            assert_lists(answer, np.shape(X)[0], k, return_scores)
        np.testing.assert_array_equal(model.predict(rows), expected)

    explore(
        check,
        n,
        X=matrices(sound=True) | matrices(),
        k=lengths,
        items=item_lists,
        exclude_seen=flags,
        return_scores=flags,
    )


@pytest.mark.parametrize("name", NAMES)
@examples(15, 200)
def test_predict_and_score(name, n):
    model, rows, expected = fitted(name)

    def check(X, held_out):
        same = untouched(X, held_out)
        scores = attempt(lambda: model.predict(X))
        if scores is not None:
            assert_finite(scores, np.shape(X))
        if hasattr(model, "transform"):
            embeddings = attempt(lambda: model.transform(X))
            if embeddings is not None:
                assert_finite(embeddings, (np.shape(X)[0], embeddings.shape[1]))
        for y in (None, held_out):
            score = attempt(lambda y=y: model.score(X, y))
            assert score is None or np.isfinite(score)
        assert same()
        np.testing.assert_array_equal(model.predict(rows), expected)

    explore(
        check,
        n,
        X=matrices(sound=True) | matrices(),
        held_out=matrices(sound=True) | matrices(),
    )


@pytest.mark.parametrize("name", NAMES)
@examples(8, 60)
def test_fit(name, n):
    model = pickle.loads(pickle.dumps(fitted(name)[0]))
    _, rows, expected = fitted(name)

    def check(X, verb):
        if not hasattr(model, verb):
            return
        again = pickle.loads(pickle.dumps(model))
        same = untouched(X)
        answer = attempt(lambda: getattr(again, verb)(X))
        assert same()
        if answer is None:
            np.testing.assert_array_equal(again.predict(rows), expected)
            return
        assert answer is again
        n_items = np.shape(X)[1]
        wider = sparse.csr_array((rows.data, rows.indices, rows.indptr), shape=(30, n_items))
        scores = attempt(lambda: again.predict(wider))
        if scores is not None:
            assert_finite(scores, wider.shape)

    explore(
        check,
        n,
        X=matrices(sound=True) | matrices() | matrices(n_items=N_ITEMS + 1),
        verb=st.sampled_from(["fit", "fit", "partial_fit"]),
    )


@pytest.mark.parametrize("name", [n for n in NAMES if hasattr(fitted(n)[0], "similar_items")])
@examples(30, 400)
def test_similar_items(name, n):
    model, _, _ = fitted(name)

    def check(items, k, return_scores):
        same = untouched(items)
        answer = attempt(lambda: model.similar_items(items, k, return_scores=return_scores))
        assert same()
        if answer is not None:
            assert_lists(answer, len(items), k, return_scores)

    explore(check, n, items=item_lists, k=lengths, return_scores=flags)


@pytest.mark.parametrize("name", ["Popularity", "BiasBaseline", "EASE"])
@examples(30, 400)
def test_sample_weight(name, n):
    estimator = with_few_epochs(MODELS[name].instance())

    def check(weight, X):
        same = untouched(weight, X)
        model = attempt(lambda: clone(estimator).fit(X, sample_weight=weight))
        if model is not None:
            assert_finite(model.predict(X), np.shape(X))
        assert same()

    weights = st.sampled_from([0, 1.0, 0.5, 1e308, -1, np.nan, np.inf, HUGE, "1", 1e-300, None])
    explore(check, n, weight=st.lists(weights, min_size=1, max_size=6), X=matrices(sound=True))


@examples(150, 1500)
def test_metrics(n):
    def check(recommended, held_out, k, relevance, rated_only, per_user):
        same = untouched(recommended, held_out)
        n_users = np.shape(held_out)[0]
        options = {"relevance": relevance, "rated_only": rated_only, "per_user": per_user}
        for metric in (metrics.ndcg, metrics.recall, metrics.precision, metrics.average_precision):
            answer = attempt(lambda metric=metric: metric(recommended, held_out, k, **options))
            if answer is not None:
                answer = np.asarray(answer)
                assert answer.shape == ((n_users,) if per_user else ())
                assert np.nanmin(answer, initial=0) >= 0 and np.nanmax(answer, initial=0) <= 1
        for metric in (metrics.coverage, metrics.gini):
            for n_items in (N_ITEMS, k):
                answer = attempt(lambda m=metric, i=n_items: m(recommended, i, k))
                assert answer is None or 0 <= answer <= 1
        answer = attempt(lambda: metrics.novelty(recommended, [0.5] * N_ITEMS, k))
        assert answer is None or answer == 1
        for metric in (metrics.rmse, metrics.mae):
            for predicted in (np.full(np.shape(held_out), 1e200), np.ones(np.shape(held_out))):
                answer = attempt(lambda m=metric, p=predicted: m(p, held_out, per_user=per_user))
                assert (
                    answer is None
                    or np.isfinite(answer[~np.isnan(answer)] if per_user else answer).all()
                )
        assert same()

    lists = st.integers(1, 6).flatmap(
        lambda n_rows: st.lists(
            st.lists(st.integers(-1, N_ITEMS), min_size=4, max_size=4),
            min_size=n_rows,
            max_size=n_rows,
        ).map(np.array)
    )
    orders = st.integers(1, 6).map(lambda n_rows: np.tile(np.arange(N_ITEMS), (n_rows, 1)))
    numbers = st.sampled_from([None, None, 1, 4.5, np.nan, HUGE, "4", -np.inf])
    explore(
        check,
        n,
        recommended=lists | orders | orders.map(lambda order: order.astype(np.uint8)),
        held_out=matrices(),
        k=lengths,
        relevance=numbers,
        rated_only=flags,
        per_user=flags,
    )


@examples(150, 1500)
def test_splits(n):
    def check(X, share, other, least, seed):
        same = untouched(X)
        for split in (fold_in_split, interaction_split):
            parts = attempt(lambda split=split: split(X, share, random_state=seed))
            if parts is not None:
                first, second = parts
                assert first.shape == second.shape == np.shape(X)
                assert first.nnz > 0 or second.nnz == 0
        attempt(lambda: fold_in_split(X, share, min_items=least, random_state=seed))
        split = StrongGeneralizationSplit(
            other, share, min_users_per_item=least, min_items_per_user=0, random_state=seed
        )
        parts = attempt(lambda: split.partition(X))
        if parts is not None:
            assert parts.train.shape[0] >= 1 and parts.test_fold_in.shape[0] >= 1
            assert parts.train.shape[1] == len(parts.kept_items) >= 1
        assert same()

    seeds = st.sampled_from([0, None, -1, HUGE, "seed"])
    explore(
        check,
        n,
        X=matrices(sound=True) | matrices(),
        share=shares,
        other=shares | integers,
        least=integers,
        seed=seeds,
    )


@examples(60, 600)
def test_scorers(n):
    model, _, _ = fitted("EASE")
    ratings, _, _ = fitted("BiasBaseline")

    def check(X, y, fold_in, cutoff, metric, relevance):
        same = untouched(X, y)
        scorer = attempt(
            lambda: metrics.ranking_scorer(
                f"{metric}@{cutoff}", fold_in=fold_in, relevance=relevance
            )
        )
        if scorer is not None:
            for held_out in (None, y):
                score = attempt(lambda y=held_out: scorer(model, X, y))
                assert score is None or np.isfinite(score)
        scorer = attempt(lambda: metrics.rating_scorer(["neg_rmse", "neg_mae"], fold_in=fold_in))
        if scorer is not None:
            scores = attempt(lambda: scorer(ratings, X, y))
            assert scores is None or np.isfinite(list(scores.values())).all()
        assert same()

    names = ["ndcg", "recall", "map", "coverage", "novelty", "neg_gini", "NDCG"]
    cutoffs = ["5", "100", "0", "-1", "9" * 20, "9" * 5000, "", "1e3"]
    explore(
        check,
        n,
        X=matrices(sound=True) | matrices(),
        y=matrices(),
        fold_in=shares,
        cutoff=st.sampled_from(cutoffs),
        metric=st.sampled_from(names),
        relevance=st.sampled_from([None, 1, np.nan, HUGE]),
    )


@pytest.mark.parametrize("name", NAMES)
@examples(6, 30)
def test_parameters(name, n):
    """Every numeric parameter, set to anything: fitted, or refused by its name."""
    estimator = with_few_epochs(MODELS[name].instance())
    _, X, _ = fitted(name)
    numeric = [
        parameter
        for parameter, value in estimator.get_params().items()
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        # Of draws and epochs anybody may ask for more than there is time for.
        and parameter not in ("max_iter", "n_samples", "n_burn_in", "n_jobs", "random_state")
    ]
    if not numeric:
        return

    def check(parameter, value):
        model = clone(estimator).set_params(**{parameter: value})
        model = attempt(lambda: model.fit(X))
        if model is not None:
            scores = attempt(lambda: model.predict(X))
            if scores is not None:
                assert_finite(scores, X.shape)

    anything = st.sampled_from(
        [HUGE, 10**30, 2**40, 1e308, 1e-300, 0, -1, np.nan, np.inf, "1", None, 1]
    )
    explore(check, n, parameter=st.sampled_from(numeric), value=anything)
