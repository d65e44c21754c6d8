"""EASE with features of the items: both ways against their formulas, and what is refused."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
from scipy import sparse
from scipy.linalg import LinAlgWarning
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

import skrec
from skrec import EASE, Interactions
from skrec.linear import _ease, _ease_solver

N_USERS, N_ITEMS, N_FEATURES = 50, 30, 6
METHODS = pytest.mark.parametrize("method", ["primal", "dual"])
WAYS = pytest.mark.parametrize("way", ["collective", "additive"])


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    X = sparse.random_array((N_USERS, N_ITEMS), density=0.2, rng=rng, format="csr")
    X.data = rng.integers(1, 6, X.nnz).astype(float)
    return X


@pytest.fixture
def features():
    rng = np.random.default_rng(1)
    return (rng.random((N_ITEMS, N_FEATURES)) < 0.4) * rng.integers(1, 3, (N_ITEMS, N_FEATURES))


def weights_by_hand(X, l2, dropout=0.0):
    """EASE of dense rows."""
    gram = X.T @ X
    P = np.linalg.inv(gram + np.diag(l2 + dropout / (1 - dropout) * np.diag(gram)))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    return B


@METHODS
@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_collective_features_are_further_users(X, features, method, weight):
    stacked = np.vstack([X.toarray(), weight * features.T])
    params = {"feature_method": "collective", "feature_weight": weight, "method": method}
    model = EASE(3.0, item_features=features, **params).fit(X)
    np.testing.assert_allclose(model.predict(X), X @ weights_by_hand(stacked, 3.0), atol=1e-9)
    assert (model.method_ == "dual") == (not hasattr(model, "coef_"))


@METHODS
def test_features_are_not_dropped(X, features, method):
    p, dense = 0.4, X.toarray()
    gram = dense.T @ dense
    penalty = 3.0 + p / (1 - p) * np.diag(gram)
    P = np.linalg.inv(gram + 4 * features @ features.T + np.diag(penalty))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    params = {"feature_method": "collective", "feature_weight": 2.0, "method": method}
    model = EASE(3.0, dropout=p, item_features=features, **params).fit(X)
    np.testing.assert_allclose(model.predict(X), X @ B, atol=1e-9)


@METHODS
def test_features_keep_their_weight_beside_users_that_weigh_less(features, method):
    rows = [np.roll([1.0] * 4 + [0] * (N_ITEMS - 4), k * k) for k in range(20)]
    X = sparse.csr_array(np.array(rows))  # histories of one length, so that the power is a factor
    params = {"item_features": features, "feature_method": "collective", "method": method}
    expected = EASE(2.0, **params).fit(X).predict(X)
    found = EASE(2.0, user_power=0.8, **params).fit(X).predict(X)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@METHODS
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_additive_features_are_an_ease_of_their_own(X, features, method, share):
    params = {"dropout": 0.3, "relaxation": 0.2, "user_power": 0.5, "method": method}
    plain = EASE(3.0, **params).fit(X)
    of_features = weights_by_hand(features.T.astype(float), 3.0)
    expected = (1 - share) * plain.predict(X) + share * (X @ of_features)
    model = EASE(3.0, item_features=features, feature_method="additive", **params)
    model.set_params(feature_weight=share).fit(X)
    np.testing.assert_allclose(model.predict(X), expected, atol=1e-9)
    if method == "primal":
        coef = (1 - share) * plain.coef_ + share * of_features
        np.testing.assert_allclose(model.coef_, coef, atol=1e-9)


def test_additive_features_of_any_number(X):
    """More features than items are solved by the primal form."""
    many = np.random.default_rng(2).random((N_ITEMS, 3 * N_ITEMS))
    expected = X @ weights_by_hand(many.T, 3.0)
    model = EASE(3.0, item_features=many, feature_weight=1.0)
    np.testing.assert_allclose(model.fit(X).predict(X), expected, atol=1e-9)


@WAYS
def test_no_weight_leaves_the_features_out(X, features, way):
    params = {"item_features": features, "feature_method": way, "feature_weight": 0.0}
    expected = EASE(3.0).fit(X).predict(X)
    np.testing.assert_allclose(EASE(3.0, **params).fit(X).predict(X), expected, atol=1e-12)


@METHODS
@WAYS
def test_an_item_that_nobody_has_chosen_is_scored_by_its_features(method, way):
    X = np.kron(np.eye(2), np.ones((10, 4)))
    X[np.arange(20), np.arange(20) % 4 + 4 * (np.arange(20) >= 10)] = 0
    X = np.hstack([X, np.zeros((20, 2))])  # the new ones are like either group
    features = np.r_[np.repeat([[1, 0], [0, 1]], 4, axis=0), [[1, 0], [0, 1]]]
    params = {"item_features": features, "feature_method": way, "feature_weight": 0.5}
    model = EASE(1.0, method=method, **params).fit(X)
    lists = model.recommend(X, k=2, items=[8, 9])
    np.testing.assert_array_equal(lists[:, 0], np.repeat([8, 9], 10))
    assert (EASE(1.0, method=method).fit(X).predict(X)[:, 8:] == 0).all()


@WAYS
def test_containers_agree(X, features, way):
    params = {"feature_method": way, "feature_weight": 0.5}
    expected = EASE(3.0, item_features=features, **params).fit(X).predict(X)
    names = [f"genre {number}" for number in range(N_FEATURES)]
    frame = pd.DataFrame(features, columns=names)
    containers = [
        sparse.csr_array(features),
        sparse.coo_matrix(features),
        features.tolist(),
        features.astype(np.float32),
        features.astype(object),
        frame,
        frame.astype({"genre 0": "Int64", "genre 1": "float32"}),
        frame.astype(pd.SparseDtype(float, 0)),
        pl.from_pandas(frame),
        pl.from_pandas(frame).to_arrow(),
    ]
    for container in containers:
        model = EASE(3.0, item_features=container, **params).fit(X)
        np.testing.assert_allclose(model.predict(X), expected, atol=1e-12)
    flags = pd.DataFrame(features > 0)
    expected = EASE(3.0, item_features=features > 0, **params).fit(X).predict(X)
    np.testing.assert_array_equal(
        EASE(3.0, item_features=flags, **params).fit(X).predict(X), expected
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@METHODS
@WAYS
def test_the_precision_is_that_of_the_users(X, features, dtype, method, way):
    params = {"item_features": features, "feature_method": way, "feature_weight": 0.5}
    model = EASE(30.0, method=method, **params).fit(X.astype(dtype))
    assert model.predict(X).dtype == dtype
    exact = EASE(30.0, **params).fit(X).predict(X)
    np.testing.assert_allclose(model.predict(X), exact, atol=1e-4)


@METHODS
@WAYS
def test_chunks_and_updates_are_what_one_fit_is(X, features, method, way):
    params = {"feature_method": way, "feature_weight": 0.5, "user_power": 0.5, "method": method}
    model = EASE(3.0, item_features=features, dtype="float64", **params)
    expected = model.fit(X).predict(X)
    chunked = clone(model)
    for start in (0, 20, 33):
        chunked.partial_fit(X[start : {0: 20, 20: 33}.get(start)])
    np.testing.assert_allclose(chunked.predict(X), expected, atol=1e-6)

    users = [f"user {row}" for row in range(N_USERS)]
    items = np.arange(100, 100 + N_ITEMS)
    days = [Interactions(X[:40, :25], users[:40], items[:25]), Interactions(X, users, items)]
    updated = clone(model).set_params(item_features=features[:25]).fit(days[0])
    before = updated.predict(days[0])
    with pytest.raises(ValueError, match="item_features has 25 rows, X has 30 items"):
        skrec.update(updated, *days)
    np.testing.assert_array_equal(updated.predict(days[0]), before)
    skrec.update(updated.set_params(item_features=features), *days)
    np.testing.assert_allclose(updated.predict(days[1]), expected, atol=1e-6)


@METHODS
@WAYS
def test_explanations_and_similar_items(X, features, method, way):
    params = {"item_features": features, "feature_method": way, "feature_weight": 0.5}
    model = EASE(3.0, method=method, **params).fit(X)
    items, scores = model.recommend(X, k=5, return_scores=True)
    for user, contributions in enumerate(model.explain(X, items)):
        np.testing.assert_allclose(contributions.sum(axis=1), scores[user], atol=1e-12)
    found, correlations = model.similar_items([3], k=29, return_scores=True)
    assert 3 not in found
    assert (np.abs(correlations) <= 1).all()
    if way == "additive":
        both = [
            EASE(3.0).fit(rows).similar_items([3], k=29, return_scores=True)
            for rows in (X, features.T.astype(float))
        ]
        expected = np.zeros(N_ITEMS)
        for indices, values in both:
            expected[indices[0]] += values[0] / 2
        np.testing.assert_allclose(correlations[0], expected[found[0]])


CONTAINERS = {
    "array": lambda features: features,
    "sparse": sparse.csr_array,
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow": lambda features: pl.DataFrame(features).to_arrow(),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_features_survive_copies_and_searches(X, features, container, tmp_path):
    given = CONTAINERS[container](features)
    model = EASE(3.0, item_features=given)
    assert model.get_params()["item_features"] is given
    assert "item_features" in repr(model)
    expected = model.fit(X).predict(X)
    for copy in (clone(model).fit(X), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(copy.predict(X), expected)
    grid = {"ease__feature_weight": [0.0, 0.5], "ease__feature_method": ["collective", "additive"]}
    search = GridSearchCV(make_pipeline(MaxAbsScaler(), clone(model)), grid, cv=2).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    skops.io.dump(model, tmp_path / "model.skops")
    trusted = skops.io.get_untrusted_types(file=tmp_path / "model.skops")
    assert not any(name.startswith(("pandas", "polars", "pyarrow")) for name in trusted)
    loaded = skops.io.load(tmp_path / "model.skops", trusted=trusted)
    np.testing.assert_array_equal(loaded.predict(X), expected)
    np.testing.assert_array_equal(loaded.fit(X).predict(X), expected)
    assert model.item_features is given
    assert type(pickle.loads(pickle.dumps(clone(model))).item_features) is type(given)


def test_a_model_with_features_that_the_next_fit_refuses_is_pickled(X, features):
    model = EASE(item_features=features).fit(X).set_params(item_features=WORDS)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.item_features.equals(WORDS)


def test_rows_are_in_the_order_of_the_items(X, features):
    ids = [f"item {number}" for number in range(N_ITEMS)]
    interactions = Interactions(X, range(N_USERS), ids)
    frame = pd.DataFrame(features, index=ids)
    expected = EASE(item_features=features).fit(X.astype(np.float32)).predict(X)
    for same in (frame, frame.reset_index(drop=True), frame.set_axis(range(7, 37))):
        model = EASE(item_features=same).fit(interactions)
        np.testing.assert_array_equal(model.predict(interactions), expected)
    reordered = frame.iloc[[1, 0, *range(2, N_ITEMS)]]
    message = r"row 0 is of 'item 1', column 0 of X of 'item 0'. Take item_features\.loc\["
    with pytest.raises(ValueError, match=message):
        EASE(item_features=reordered).fit(interactions)
    others = frame.set_axis([*ids[1:], "another"])
    with pytest.raises(ValueError, match="row 0 is of 'item 1'"):
        EASE(item_features=others).fit(interactions)
    EASE(item_features=reordered.loc[interactions.item_ids]).fit(interactions)
    EASE(item_features=reordered).fit(X)  # of items without ids nothing is known
    with pytest.raises(ValueError, match=r"29 rows, X has 30 .* such as features\.loc\["):
        EASE(item_features=frame[:-1]).fit(interactions)


WORDS = pd.DataFrame({"year": np.arange(N_ITEMS), "genre": ["drama"] * N_ITEMS})
REFUSED = {
    "rows": (np.ones((N_ITEMS + 1, 2)), "item_features has 31 rows, X has 30 items"),
    "sparse rows": (sparse.eye_array(29), "item_features has 29 rows, X has 30 items"),
    "transposed": (np.ones((2, N_ITEMS)), "item_features has 2 rows, X has 30 items"),
    "words": (WORDS, r"Column 'genre' of item_features must hold numbers.*OneHotEncoder"),
    "categories": (WORDS[["genre"]].astype("category"), "Column 'genre' of .* one-hot"),
    "polars words": (pl.from_pandas(WORDS), "Column 'genre' of .*String.* one-hot"),
    "array of words": (WORDS.to_numpy()[:, 1:], r"\(the first is 'drama'\).*one-hot"),
    "list of words": ([["drama"]] * N_ITEMS, "one-hot"),
    "dates": (pd.DataFrame({"day": pd.to_datetime(["2020-01-01"] * 30)}), "Column 'day'"),
    "missing": (pl.DataFrame({"year": [None, *range(29)]}), "Column 'year' .* 1 missing value"),
    "nan": (np.full((N_ITEMS, 2), np.nan), "must be finite, but 60 of its numbers are not"),
    "infinite": (sparse.csr_array(np.diag([np.inf] * 30)), "finite, but 30 of its numbers"),
    "one-dimensional": (np.ones(N_ITEMS), r"a column for each feature, got shape \(30,\)"),
    "no columns": (pd.DataFrame(index=range(N_ITEMS)), r"got shape \(30, 0\)"),
    "a name": ("genres", "parameter of EASE must be|got dtype <U6 .the first is 'genres'"),
    "complex": (np.ones((N_ITEMS, 2), complex), "must be numbers, got dtype complex128"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_features_are_refused_before_any_work(X, name, monkeypatch):
    given, message = REFUSED[name]
    model = EASE(3.0, method="primal").fit(X).partial_fit(X)
    expected = model.predict(X)
    monkeypatch.setattr(_ease_solver, "gram_upper", None)
    monkeypatch.setattr(_ease, "gram_upper", None)
    for verb in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=message):
            getattr(model.set_params(item_features=given), verb)(X)
        np.testing.assert_array_equal(model.predict(X), expected)


def test_shares_above_1_are_refused(X, features):
    model = EASE(item_features=features, feature_method="collective", feature_weight=1.5)
    model.fit(X)
    with pytest.raises(ValueError, match=r"a share, between 0 and 1.* got 1\.5: lower it"):
        model.set_params(feature_method="additive").fit(X)
    with pytest.raises(ValueError, match="'feature_weight' parameter of EASE"):
        model.set_params(feature_weight=-1).fit(X)
    with pytest.raises(ValueError, match="'feature_method' parameter of EASE"):
        model.set_params(feature_method="stack", feature_weight=1.0).fit(X)


def test_digits_that_features_lose_are_reported(X, features):
    alike = np.tile(features[: N_ITEMS // 2], (2, 1))
    with pytest.warns(LinAlgWarning, match="dtype='float64' or a larger l2"):
        params = {"feature_method": "collective", "feature_weight": 1e3, "dtype": "float32"}
        EASE(1e-3, item_features=alike, **params).fit(X)
    counts = 10.0 ** np.random.default_rng(3).integers(0, 7, (N_ITEMS, 15))
    with pytest.warns(LinAlgWarning, match=r"of the first 10 places.* dtype='float64' or"):
        EASE(1e-6, item_features=counts, dtype="float32").fit(X)
    EASE(1e-6, item_features=counts).fit(X)
    for way in ("additive", "collective"):
        model = EASE(item_features=1e30 * features, feature_method=way, dtype="float32")
        with pytest.raises(ValueError, match="squares of item_features overflow in float32"):
            model.fit(X)


def test_no_warning_where_there_are_digits_enough(X, features):
    """Few enough, so that they are looked at."""
    params = {"feature_method": "collective", "feature_weight": 1.0, "method": "primal"}
    EASE(1e-2, item_features=features, **params).fit(X.astype(np.float32))


def test_features_that_are_too_small_are_named(X, features):
    with pytest.raises(ValueError, match="smaller than float32 can hold beside item_features"):
        EASE(item_features=features * 1e-20).fit(X.astype(np.float32))
