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
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from numbers import Integral, Real
from pathlib import Path

import joblib
import numpy as np
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skrec.utils._changes import update_rows

__all__ = ["check_recommender", "parametrize_with_recommender_checks"]


def parametrize_with_recommender_checks(estimators, *, variants=(), expected_failed_checks=None):
    """Parametrise a pytest test over estimators and the recommender checks that apply to them.

    A check stands under an id such as ``EASE-check_pickle``.

    Parameters
    ----------
    estimators : list or dict of str to estimator
        Instances, small enough to be fitted in a moment. Most checks fit them with two
        iterations; a withheld block has to be recovered with as many as they have. The keys of a
        dict are their names in the ids. Those in a list go by their class, and by the parameters
        in which they differ from the first of that class.
    variants : list or dict of str to estimator, default=()
        Further instances of the same classes. They run only the checks that depend on a model's
        parameters: not those of the input, the errors and the options of ``recommend``, which the
        class has passed already.
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
    >>> @parametrize_with_recommender_checks([EASE()], variants=[EASE(dropout=0.3)])
    ... def test_recommender(estimator, check):
    ...     check(estimator)
    """
    import pytest

    first_of_class = {}
    parameters = []
    for group, checks in ((estimators, CHECKS), (variants, CHECKS_OF_VARIANTS)):
        named = group.items() if isinstance(group, dict) else ((None, one) for one in group)
        for name, estimator in named:
            first = first_of_class.setdefault(type(estimator), estimator)
            name = _name(estimator, first) if name is None else name
            expected = expected_failed_checks(estimator) if expected_failed_checks else {}
            for check in _applicable(checks, estimator):
                reason = expected.get(check.__name__)
                marks = pytest.mark.xfail(reason=reason) if reason else ()
                case = pytest.param(estimator, check, id=f"{name}-{check.__name__}", marks=marks)
                parameters.append(case)
    return pytest.mark.parametrize(("estimator", "check"), parameters)


def check_recommender(estimator):
    """Run every recommender check that applies to an estimator, raising at the first that fails.

    Parameters
    ----------
    estimator : estimator
        An instance; it is cloned, never fitted itself.
    """
    for check in _applicable(CHECKS, estimator):
        check(estimator)


def _name(estimator, first):
    """The class, and the parameters in which an estimator differs from another of it."""
    known = first.get_params(deep=False)
    own = [
        f"{key}={value!r}"
        for key, value in estimator.get_params(deep=False).items()
        if repr(value) != repr(known[key])
    ]
    name = type(estimator).__name__
    return f"{name}({', '.join(own)})" if own else name


def _applies_where(condition):
    """Mark a check that says something about some estimators only."""

    def mark(check):
        check.condition = condition
        return check

    return mark


def _applicable(checks, estimator):
    return [c for c in checks if not hasattr(c, "condition") or c.condition(estimator)]


def _tags(estimator):
    return estimator.__sklearn_tags__().recommender_tags


def _is_seeded(estimator):
    return "random_state" in estimator.get_params()


def _is_personalized(estimator):
    return _tags(estimator).personalized


def _predicts_ratings(estimator):
    return _tags(estimator).predicts_ratings


def _predicts_std(estimator):
    return _tags(estimator).predicts_std


def _has_rating_parameter(estimator, name):
    return _predicts_ratings(estimator) and name in estimator.get_params()


def _has_way_to_pairs(estimator):
    """Whether single ratings come in another way than from whole rows."""
    method = getattr(type(estimator), "_score_pairs", None)
    from_rows = getattr(method, "__qualname__", "") == "RatingMixin._score_pairs"
    return _tags(estimator).rates_pairs and not from_rows


def _can_be_updated(estimator):
    return getattr(estimator, "_no_update", "") is None


def _reads_item_features(estimator):
    parameters = estimator.get_params(deep=False)
    # Of a model around another one they may be of another use, and without weight of none.
    return (
        "item_features" in parameters
        and "estimator" not in parameters
        and parameters.get("text_weight", 1) > 0
    )


def _reads_reviews(estimator):
    return _tags(estimator).reads_reviews


def _uses_torch(estimator):
    return estimator.get_params().get("device") == "auto"


def _data(estimator, n_users=30, n_items=12, seed=0):
    """Small data in which user 0 is empty and nobody knows item 3."""
    rng = np.random.default_rng(seed)
    X = (rng.random((n_users, n_items)) < 0.4).astype(np.float64)
    if _predicts_ratings(estimator):
        X *= rng.integers(1, 6, X.shape)
    X[0] = 0
    X[:, 3] = 0
    return sparse.csr_array(X)


def _withheld_block(estimator):
    """Two groups of users and of items, and of each user's own block an item withheld."""
    n_users, n_items = 24, 8
    X = np.kron(np.eye(2), np.ones((n_users, n_items)))
    if _predicts_ratings(estimator):
        X = 1 + 4 * X
    withheld = (np.arange(2 * n_users) * 3) % n_items
    withheld[n_users:] += n_items
    X[np.arange(2 * n_users), withheld] = 0
    if _predicts_ratings(estimator):
        X[np.arange(2 * n_users), (withheld + n_items) % (2 * n_items)] = 0
    return sparse.csr_array(X), withheld


def _quick(estimator):
    """A clone that makes few iterations, the same at every fit.

    Not where nothing is drawn: what such a fit comes to means something at its end alone.
    """
    changes = {"random_state": 0, "max_iter": 2} if _is_seeded(estimator) else {}
    parameters = estimator.get_params()
    return clone(estimator).set_params(**{k: changes[k] for k in changes if k in parameters})


def _fitted(estimator, **shape):
    """A quick model and its data: of a fit that all checks share, a copy to change at will."""
    X = _data(estimator, **shape)
    unfitted = _quick(estimator)
    try:
        key = pickle.dumps(unfitted)
        # With the class itself, of which there may be another by the same name later.
        return pickle.loads(_fit_once(type(estimator), key, tuple(shape.items()))), X
    except (pickle.PicklingError, AttributeError, TypeError):  # a class within a function, say
        return unfitted.fit(X), X


@lru_cache(maxsize=64)
def _fit_once(_, unfitted, shape):
    estimator = pickle.loads(unfitted)
    return pickle.dumps(estimator.fit(_data(estimator, **dict(shape))))


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


@_applies_where(lambda estimator: _is_personalized(estimator) or not _is_seeded(estimator))
def check_permutations_keep_what_is_learned(estimator):
    """Renumbering users changes nothing, renumbering items renumbers the scores.

    A fit that draws random numbers may depend on the order of the numbers, but not what is
    learned from two groups of users and of items: the withheld items still come first.
    """
    rng = np.random.default_rng(2)
    if _is_seeded(estimator):
        X, withheld = _withheld_block(estimator)
        users, items = rng.permutation(X.shape[0]), rng.permutation(X.shape[1])
        X = X[users][:, items]
        top = clone(estimator).fit(X).recommend(X, k=1)[:, 0]
        np.testing.assert_array_equal(items[top], withheld[users])
        return
    model, X = _fitted(estimator)
    scores = model.predict(X)
    users, items = rng.permutation(X.shape[0]), rng.permutation(X.shape[1])
    again = clone(estimator).fit(X[users][:, items])
    _assert_same(again.predict(X[:, items]), scores[:, items])


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


def check_rules_of_each_user(estimator):
    """Candidates and forbidden items, of all users or of each, filter the list of all items."""
    model, X = _fitted(estimator)
    X = X[np.r_[: X.shape[0], 1, 1, 0]]  # equal rows have rules of their own
    n_items, rng = X.shape[1], np.random.default_rng(6)
    candidates, forbidden = (rng.random(X.shape) < share for share in (0.6, 0.3))
    candidates[2] = False
    counts = sparse.csr_array(3 * candidates)
    counts.data[::4] = 0  # a stored zero is no candidate
    few, none = np.isin(np.arange(n_items), [2, 9, 7]), np.zeros(n_items, dtype=bool)
    rules = [
        ({"items": candidates}, candidates),
        ({"items": counts}, counts.toarray() > 0),
        ({"exclude": sparse.coo_array(forbidden)}, ~forbidden),
        ({"exclude": few}, ~few),
        ({"items": candidates, "exclude": np.array([9, 2, 7], np.uint8)}, candidates & ~few),
        ({"items": [2, 9, 7], "exclude": forbidden}, few & ~forbidden),
        ({"exclude": []}, ~none),
        ({"exclude": none}, ~none),
        ({"exclude": range(n_items)}, none),
    ]
    everything, scores = model.recommend(X, k=n_items, exclude_seen=False, return_scores=True)
    for number, (rule, allowed) in enumerate(rules):
        allowed = np.take_along_axis(np.broadcast_to(allowed, X.shape), everything, axis=1)
        options = {"exclude_seen": number % 2 == 1, "return_scores": True, **rule}
        indices, best = model.recommend(X, k=4, **options)
        for user in range(X.shape[0]):
            kept = allowed[user]
            if options["exclude_seen"]:
                kept = kept & ~np.isin(everything[user], X[[user]].indices)
            expected = everything[user][kept][:4]
            padded = np.append(expected, [-1] * (4 - len(expected)))
            np.testing.assert_array_equal(indices[user], padded)
            _assert_same(best[user][: len(expected)], scores[user][kept][:4])
            assert np.isneginf(best[user][len(expected) :]).all()


def check_input_formats(estimator):
    """Every sparse format, dense arrays and data frames give the same scores."""
    model, X = _fitted(estimator)
    expected = model.predict(X)
    formats = [sparse.csc_array, sparse.coo_array, sparse.lil_array, sparse.csr_matrix]
    wide = sparse.csr_array((X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)))
    wide.resize(X.shape)
    twice = sparse.coo_array((np.r_[X.data, X.data] / 2, np.tile(X.tocoo().coords, 2)), X.shape)
    for other in (*(convert(X) for convert in formats), X.toarray(), X.toarray(order="F"), wide):
        _assert_same(model.predict(other), expected)
    _assert_same(model.predict(twice), expected)
    # One entrance reads them all, so that the furthest from a csr_array tell about fit.
    _assert_same(_quick(estimator).fit(twice).predict(X), expected)
    try:
        import pandas as pd
    except ImportError:
        return
    frame = pd.DataFrame(X.toarray(), columns=[f"item {i}" for i in range(X.shape[1])])
    model = _quick(estimator).fit(frame)
    assert list(model.feature_names_in_) == list(frame.columns)
    _assert_same(model.predict(frame), expected)


def check_float32(estimator):
    """float32 input agrees with float64 within single precision."""
    model, X = _fitted(estimator)
    single = X.astype(np.float32)
    found = _quick(estimator).fit(single).predict(single)
    _assert_same(found, model.predict(X), rtol=1e-4)


def check_input_is_not_touched(estimator):
    """Read-only input is enough, and stays as it was."""
    X = _data(estimator)
    before = X.copy()
    for array in (X.data, X.indices, X.indptr):
        array.flags.writeable = False
    model = _quick(estimator).fit(X)
    model.predict(X)
    model.recommend(X, k=3)
    model.score(X)
    np.testing.assert_array_equal(X.toarray(), before.toarray())


def check_pickle(estimator):
    """A pickled model gives the same scores."""
    X = _data(estimator)
    model = _quick(estimator).fit(X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def check_same_seed_same_model(estimator):
    """Fitting is repeatable, and leaves NumPy's global random state alone."""
    model, X = _fitted(estimator)
    state = np.random.get_state()[1:]  # noqa: NPY002
    again = _quick(estimator).fit(X)
    for found, before in zip(np.random.get_state()[1:], state, strict=True):  # noqa: NPY002
        np.testing.assert_array_equal(found, before)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def check_refit_forgets(estimator):
    """Fitting again equals fitting once, also after other data of another width."""
    model, X = _fitted(estimator)
    expected = model.predict(X)
    again = model.fit(_data(estimator, n_items=9, seed=5)).fit(X)
    _assert_same(again.predict(X), expected)


def check_threads_and_blocks(estimator):
    """Neither the number of threads nor the size of the row blocks matters."""
    model, X = _fitted(estimator, n_users=90)
    expected = model.predict(X), model.recommend(X, k=5)
    one, three = [{"n_jobs": n} if "n_jobs" in estimator.get_params() else {} for n in (1, 3)]
    with config_context(working_memory=0.004):  # some 40 rows
        other = _quick(estimator).set_params(**three).fit(X)
        for fitted in (model.set_params(**three), other.set_params(**one)):
            _assert_same(fitted.predict(X), expected[0])
            np.testing.assert_array_equal(fitted.recommend(X, k=5), expected[1])


@_applies_where(lambda estimator: hasattr(estimator, "partial_fit") and not _is_seeded(estimator))
def check_partial_fit_adds(estimator):
    """Where no random numbers are drawn, chunks of users add up to one fit."""
    model, X = _fitted(estimator)
    expected = model.predict(X)
    first, *others = X[:4], X[4:13], X[13:]
    for verb in ("fit", "partial_fit"):
        chunked = getattr(clone(estimator), verb)(first)
        for chunk in others:
            assert chunked.partial_fit(chunk) is chunked
        _assert_same(chunked.predict(X), expected)


@_applies_where(lambda estimator: hasattr(estimator, "partial_fit") and _is_seeded(estimator))
def check_partial_fit_makes_a_pass(estimator):
    """Where random numbers are drawn, ``partial_fit`` goes on from what is learned, repeatably."""
    model, X = _fitted(estimator)
    before = model.predict(X)
    known = model.n_features_in_, getattr(model, "n_iter_", 0)
    assert model.partial_fit(X[:20]) is model
    after = model.predict(X)
    assert not np.allclose(after, before)
    assert model.n_features_in_ == known[0]
    if hasattr(model, "n_iter_"):
        assert model.n_iter_ == known[1] + 1
    again, _ = _fitted(estimator)
    np.testing.assert_array_equal(again.partial_fit(X[:20]).predict(X), after)
    anew = _quick(estimator).partial_fit(X[:20]).predict(X)
    assert np.isfinite(anew).all()
    assert not np.allclose(anew, after)


@_applies_where(_can_be_updated)
def check_update_replaces_and_widens(estimator):
    """Updates take in changed and new users, and new items, and where they fail change nothing.

    Where no random numbers are drawn, they come to what one fit on all that holds now makes.
    """
    new = _data(estimator)
    states = new[:20, :9].tolil(), new[:26, :10].tolil(), new
    for state in states[:2]:
        state[5, 7:] = 0  # as if they came in later
        state[9] = state[2]
        state[4, 8] = 0 if state[4, 8] else 1
    states = [sparse.csr_array(state) for state in states]
    models = [_quick(estimator).fit(states[0]) for _ in range(2)]
    before = models[0].predict(states[0])
    for model in models:
        for one, next_one in zip(states, states[1:], strict=False):
            assert update_rows(model, one, next_one) is model
            assert model.n_features_in_ == next_one.shape[1]
    model, again = models
    after = model.predict(new)
    assert after.shape == new.shape
    assert np.isfinite(after).all()
    np.testing.assert_array_equal(again.predict(new), after)
    assert not np.allclose(after[:20, :9], before)
    if not _is_seeded(estimator):
        _assert_same(after, _quick(estimator).fit(new).predict(new))
    broken = sparse.vstack([new, new[:1]], format="csr")
    broken.data[-1] = np.nan
    _assert_raises(ValueError, "NaN", update_rows, model, new, broken)
    np.testing.assert_array_equal(model.predict(new), after)
    np.testing.assert_array_equal(update_rows(model, new, new).predict(new), after)


@_applies_where(_is_personalized)
def check_withheld_block_is_recovered(estimator):
    """Two groups of users and items: the withheld entries of a user's own block come first."""
    X, withheld = _withheld_block(estimator)
    top = clone(estimator).fit(X).recommend(X, k=1)
    np.testing.assert_array_equal(top[:, 0], withheld)


@_applies_where(_reads_item_features)
def check_new_items_depend_on_their_features(estimator):
    """Items without entries get finite scores, others if their features are others."""
    X = _data(estimator).tolil()
    X[:, [3, 8]] = 0
    kinds = np.arange(X.shape[1]) % 2
    model = _quick(estimator).set_params(item_features=_features(estimator, kinds))
    if _has_rating_parameter(estimator, "clip"):
        model.set_params(clip=False)
    scores = model.fit(X).predict(X)
    assert np.isfinite(scores).all()
    assert not np.allclose(scores[:, 3], scores[:, 8], rtol=1e-9)


@_applies_where(lambda estimator: _reads_item_features(estimator) and _is_personalized(estimator))
def check_new_items_find_their_users(estimator):
    """Of two groups of users and items: each gets the new item that is like those of its own."""
    X, _ = _withheld_block(estimator)
    n_users, n_items = X.shape
    X = sparse.csr_array(sparse.hstack([X, np.zeros((n_users, 2))]))  # one of each kind
    kinds = np.r_[np.repeat([0, 1], n_items // 2), 0, 1]
    features, answers = _features(estimator, kinds), []
    for container in (np.asarray, list if _reads_reviews(estimator) else sparse.csr_array):
        model = clone(estimator).set_params(item_features=container(features)).fit(X)
        answers.append(model.predict(X))
        first, second = np.split(answers[-1][:, n_items:], 2)
        assert first[:, 0].mean() > first[:, 1].mean()
        assert second[:, 1].mean() > second[:, 0].mean()
        lists = model.recommend(X[[0, -1]], k=1, items=[n_items, n_items + 1])
        np.testing.assert_array_equal(lists[:, 0], [n_items, n_items + 1])
    _assert_same(*answers)


@_applies_where(_reads_item_features)
def check_wrong_item_features(estimator):
    """Features of too few items, or that are no numbers, are refused by name, and lose nothing."""
    X = _data(estimator)
    features = _features(estimator, np.arange(X.shape[1]) % 2)
    model = _quick(estimator).set_params(item_features=features).fit(X)
    expected = model.predict(X)
    wrong = [(features[1:], f"item_features has {X.shape[1] - 1} ")]
    if not _reads_reviews(estimator):  # of texts a missing one is empty
        wrong.append((np.where(features > 0, np.nan, features), "item_features must be finite"))
    for features, message in wrong:
        model.set_params(item_features=features)
        _assert_raises(ValueError, message, model.fit, X)
        np.testing.assert_array_equal(model.predict(X), expected)


def _features(estimator, kinds):
    """What says of each item which of two kinds it is, in numbers or texts."""
    if _reads_reviews(estimator):
        return np.array(["green tea", "rye bread"], dtype=object)[kinds]
    return np.eye(2)[kinds]


def _reviewed(estimator):
    """Small data with a text of two of six words for each entry."""
    X = _data(estimator)
    words = np.array(["tea", "jam", "salt", "rice", "oats", "beans"])
    chosen = np.random.default_rng(7).integers(0, 6, (X.nnz, 2))
    return X, [" ".join(words[pair]) for pair in chosen]


@_applies_where(_reads_reviews)
def check_scant_reviews(estimator):
    """Empty texts, and a vocabulary of one word, make a model that answers."""
    X, texts = _reviewed(estimator)
    some_empty = [text if number % 3 else "" for number, text in enumerate(texts)]
    one_word = ["" if number % 3 else "tea" for number in range(X.nnz)]
    for reviews in (some_empty, one_word):
        scores = _quick(estimator).fit(X, reviews=reviews).predict(X)
        assert scores.shape == X.shape
        assert np.isfinite(scores).all()


@_applies_where(_reads_reviews)
def check_wrong_reviews(estimator):
    """Too few reviews, and such as have no words, are refused by name, and lose nothing."""
    X, texts = _reviewed(estimator)
    model = _quick(estimator).fit(X, reviews=texts)
    expected = model.predict(X)
    for wrong in (texts[1:], [""] * X.nnz):
        _assert_raises(ValueError, "reviews", model.fit, X, reviews=wrong)
        np.testing.assert_array_equal(model.predict(X), expected)


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
    for name, value in model.get_params(deep=False).items():
        if isinstance(value, Integral | Real) and not isinstance(value, bool) and name != "n_jobs":
            model.set_params(**{name: value + 1})
            _assert_raises(ValueError, "", model.fit, broken)
            np.testing.assert_array_equal(model.predict(X), expected, err_msg=name)
            model.set_params(**{name: value})
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
    outside = f"exclude must lie in [0, {n_items - 1}]"
    _assert_raises(ValueError, outside, model.recommend, X, 2, exclude=[-1])
    for name in ("items", "exclude"):
        other = {name: X[:, 1:]}
        _assert_raises(ValueError, f"{name} must have the shape of X", model.recommend, X, **other)


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


@_applies_where(lambda estimator: _has_rating_parameter(estimator, "rating_scale"))
def check_rating_scale(estimator):
    """Ratings outside a declared ``rating_scale`` are refused, naming it; others set the range."""
    X = _data(estimator)
    model = _quick(estimator).set_params(rating_scale=(0, 10)).fit(X)
    assert model.rating_range_ == (0.0, 10.0)
    model.set_params(rating_scale=(1, 4))
    _assert_raises(ValueError, "rating_scale=(1, 4)", model.fit, X)
    assert model.rating_range_ == (0.0, 10.0)


@_applies_where(lambda estimator: _has_rating_parameter(estimator, "clip"))
def check_clip(estimator):
    """With ``clip``, predictions keep to ``rating_range_``, and are otherwise the same."""
    model, X = _fitted(estimator)
    free = model.set_params(clip=False).predict(X)
    model.rating_range_ = tuple(np.quantile(free, [0.4, 0.6]).tolist())  # so that many are outside
    clipped = model.set_params(clip=True).predict(X)
    _assert_same(clipped, np.clip(free, *model.rating_range_))


@_applies_where(_predicts_ratings)
def check_rating_units(estimator):
    """Ratings times a number get predictions, deviations and scores times that number."""
    if _has_rating_parameter(estimator, "rating_scale"):
        estimator = clone(estimator).set_params(rating_scale=None)
    model, X = _fitted(estimator)
    largest_error = 1e-5 * X.data.std()
    c = 20
    other = _quick(estimator).fit(c * X)
    expected = [model.predict(X), -model.score(X)]
    found = [other.predict(c * X), -other.score(c * X)]
    if _predicts_std(estimator):
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


@_applies_where(_predicts_std)
def check_return_std(estimator):
    """Where ``predict`` has ``return_std``, a positive deviation by each rating, row by row."""
    model, X = _fitted(estimator)
    ratings, std = model.predict(X, return_std=True)
    _assert_same(ratings, model.predict(X))
    assert std.shape == X.shape
    assert np.isfinite(std).all()
    assert (std > 0).all()
    order = np.random.default_rng(1).permutation(X.shape[0])
    _assert_same(model.predict(X[order], return_std=True)[1], std[order])


@_applies_where(_has_way_to_pairs)
def check_pairs_agree(estimator):
    """Single ratings, where a model has a way of its own, are those of the whole rows."""
    model, X = _fitted(estimator)
    if _has_rating_parameter(estimator, "clip"):
        model.set_params(clip=False)
    rng = np.random.default_rng(3)
    users, items = rng.integers(0, X.shape[0], 200), rng.integers(0, X.shape[1], 200)
    states = model._pair_states(X)
    _assert_same(model._rate_pairs(states, users, items), model.predict(X)[users, items])
    if _predicts_std(estimator):
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
    """No verb leaves a thread, another filter of warnings, or a changed state of torch."""
    model, X = _fitted(estimator)
    model.score(X)  # after a first call of each has imported what it needs
    verbs = [model.fit, model.predict, model.recommend, model.score]
    verbs += [
        getattr(model, name) for name in ("transform", "partial_fit") if hasattr(model, name)
    ]
    for verb in verbs:
        filters, threads, defaults = warnings.filters, threading.enumerate(), _torch_globals()
        content = list(filters)
        verb(X)
        assert warnings.filters is filters
        assert list(filters) == content
        assert threading.enumerate() == threads
        assert _torch_globals() == defaults


def check_memory_mapped(estimator):
    """Models and rows that are mapped from files, read-only, give the same without a warning."""
    model, X = _fitted(estimator)
    expected = model.predict(X)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), _torch_warns_always():
        warnings.simplefilter("error")
        # Which models take care of once, when the first sparse tensor of a process is made.
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
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


@contextmanager
def _torch_warns_always():
    """Of what torch else warns of but once in a process, whichever model is the first."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        yield
    finally:
        torch.set_warn_always(before)


@_applies_where(_uses_torch)
def check_torch_state(estimator):
    """What the caller has set in torch makes no difference to models that compute with it."""
    import torch

    model, X = _fitted(estimator)
    expected = _answers(model, X)
    states = {
        "float64, device meta, inference mode": (
            _torch_setting("default_dtype", torch.float64),
            torch.device("meta"),
            torch.inference_mode(),
        ),
        "bfloat16, autocast, no gradients": (
            _torch_setting("default_dtype", torch.bfloat16),
            torch.autocast("cpu", torch.bfloat16),
            torch.no_grad(),
        ),
    }
    for name, state in states.items():
        restored, _ = _fitted(estimator)
        with ExitStack() as stack:
            for part in state:
                stack.enter_context(part)
            fitted = _quick(estimator).fit(X)
            answers = _answers(fitted, X), _answers(restored, X)
        for answer in (*answers, _answers(fitted, X)):
            for verb, value in expected.items():
                np.testing.assert_array_equal(answer[verb], value, err_msg=f"{verb} in {name}")


@_applies_where(_uses_torch)
def check_torch_threads(estimator):
    """The number of torch's threads changes the model by no more than rounding."""
    import torch

    model, X = _fitted(estimator, n_users=90)
    with _torch_setting("num_threads", 3 if torch.get_num_threads() == 1 else 1):
        other = _quick(estimator).fit(X).predict(X)
    _assert_same(other, model.predict(X), rtol=1e-5)


def _answers(model, X):
    answers = {"predict": model.predict(X), "recommend": model.recommend(X, k=5)}
    if hasattr(model, "transform"):
        answers["transform"] = model.transform(X)
    if _predicts_std(model):
        answers["std"] = model.predict(X, return_std=True)[1]
    return answers


def _torch_globals():
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_num_threads(),
        torch.get_rng_state().tolist(),
    )


@contextmanager
def _torch_setting(name, value):
    """Set what torch has a ``get_`` and a ``set_`` for."""
    import torch

    before = getattr(torch, f"get_{name}")()
    setting = getattr(torch, f"set_{name}")
    setting(value)
    try:
        yield
    finally:
        setting(before)


CHECKS = [
    check_predict_shape_and_type,
    check_rows_alone_decide,
    check_permutations_keep_what_is_learned,
    check_recommend_sorts,
    check_seen_items_are_left_out,
    check_candidate_items,
    check_rules_of_each_user,
    check_input_formats,
    check_float32,
    check_input_is_not_touched,
    check_pickle,
    check_same_seed_same_model,
    check_refit_forgets,
    check_threads_and_blocks,
    check_partial_fit_adds,
    check_partial_fit_makes_a_pass,
    check_update_replaces_and_widens,
    check_withheld_block_is_recovered,
    check_new_items_depend_on_their_features,
    check_new_items_find_their_users,
    check_wrong_item_features,
    check_scant_reviews,
    check_wrong_reviews,
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

# What other parameters of the same class may change: the mathematics, what is computed with it,
# and what is kept of it. Input, errors, candidates, seen items and score are the class's.
CHECKS_OF_VARIANTS = [
    check_predict_shape_and_type,
    check_rows_alone_decide,
    check_recommend_sorts,
    check_float32,
    check_pickle,
    check_same_seed_same_model,
    check_threads_and_blocks,
    check_partial_fit_adds,
    check_partial_fit_makes_a_pass,
    check_update_replaces_and_widens,
    check_withheld_block_is_recovered,
    check_new_items_depend_on_their_features,
    check_clip,
    check_rating_units,
    check_recommended_scores,
    check_return_std,
    check_pairs_agree,
    check_equal_rows_tie,
    check_torch_state,
]
