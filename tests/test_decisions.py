"""Decisions by ids: the lists of the models' own methods, in the users' ids and frames."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import VarianceThreshold
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Binarizer, FunctionTransformer

import skrec
from skrec import EASE, PMF, BiasBaseline, Interactions, Popularity, RatingRegressor, Reviews
from skrec._model_table import MODELS
from skrec.datasets import load_movielens_small
from skrec.metrics import ranking_scorer

IDS = {
    "str": [f"u{i}" for i in range(20)],
    "int": [7 * i + 3 for i in range(20)],
    "mixed": [f"u{i}" if i % 2 else 10 * i for i in range(20)],
}
FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


def ratings(kind="int", backend=None, seed=0, **options):
    """Stars of 20 users for 8 items, which have ids of the same kind."""
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((20, 8)) < 0.5)
    ids = np.array(IDS[kind], dtype=object)
    return Interactions.from_arrays(
        ids[users].tolist(),
        ids[items + 4].tolist(),
        rng.integers(1, 6, len(users)),
        backend=backend,
        **options,
    )


def columns(frame):
    """Columns of a frame of any library, as lists."""
    if isinstance(frame, pa.Table):
        return frame.to_pydict()
    return {name: frame[name].to_list() for name in frame.columns}


def lists(frame):
    """Each user's items, in the order of the frame, whose ranks count from 1."""
    found = {}
    content = columns(frame)
    for user, item, rank in zip(
        *(content[name] for name in ("user", "item", "rank")), strict=True
    ):
        found.setdefault(user, []).append(item)
        assert rank == len(found[user])
    return found


def expected(data, indices):
    found = {}
    for user, row in zip(data.user_ids.tolist(), indices, strict=True):
        items = [item for item in data.decode(row).tolist() if item is not None]
        if items:
            found[user] = items
    return found


# --- Recommend -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize("backend", [None, "pandas"])
def test_lists_are_those_of_the_method(kind, backend):
    data = ratings(kind, backend)
    model = EASE(l2=5).fit(data)
    frame = skrec.recommend(model, data, k=3)
    assert list(frame.columns) == ["user", "item", "rank", "score"]
    indices, scores = model.recommend(data, k=3, return_scores=True)
    assert lists(frame) == expected(data, indices)
    np.testing.assert_array_equal(frame.score, scores[indices >= 0])
    with_seen = skrec.recommend(model, data, k=3, exclude_seen=False)
    assert lists(with_seen) == expected(data, model.recommend(data, k=3, exclude_seen=False))
    users = data.user_ids[[4, 2]].tolist()
    some = skrec.recommend(model, data, k=3, users=users)
    assert list(lists(some)) == users
    assert lists(some) == {user: lists(frame)[user] for user in users}
    one = skrec.recommend(model, data, k=3, users=users[0])
    assert lists(one) == {users[0]: lists(frame)[users[0]]}


@pytest.mark.parametrize("backend", FRAMES)
@pytest.mark.parametrize("kind", ["int", "str"])
def test_frames_are_of_the_users_library_and_ids_of_their_kind(backend, kind):
    table = FRAMES[backend](columns(ratings(kind).to_frame("pandas")))
    names = {item: f"Item {item}" for item in IDS[kind]}
    data = Interactions.from_frame(table, value="value", item_names=names)
    frame = skrec.recommend(Popularity().fit(data), data, k=2)
    assert type(frame) is type(table)
    content = columns(frame)
    assert list(content) == ["user", "item", "rank", "score", "title"]
    assert content["title"] == [names[item] for item in content["item"]]
    for name in ("user", "item"):
        assert {type(value) for value in content[name]} == {int if kind == "int" else str}


def test_a_pipeline_recommends_by_what_it_makes_of_the_rows_and_leaves_out_what_was_there():
    data = ratings()
    pipeline = make_pipeline(Binarizer(threshold=3.5), "passthrough", EASE(l2=5)).fit(data)
    frame = skrec.recommend(pipeline, data, k=8)
    model, likes = EASE(l2=5).fit(data.X > 3.5), csr_array(data.X > 3.5).astype(float)
    assert lists(frame) == expected(data, model.recommend(likes, k=8, exclude=data.X))
    everything = skrec.recommend(pipeline, data, k=8, exclude_seen=False)
    assert set(map(len, lists(everything).values())) == {8}
    rules = {"items": data.item_ids[:6], "exclude": {data.user_ids[3]: data.item_ids[:3]}}
    ruled = lists(skrec.recommend(pipeline, data, k=8, **rules))
    for user, items in lists(frame).items():
        allowed = set(data.item_ids[:6].tolist())
        if user == data.user_ids[3]:
            allowed -= set(data.item_ids[:3].tolist())
        assert ruled.get(user, []) == [item for item in items if item in allowed]
    per_user = {user: data.item_ids[:5] for user in data.user_ids.tolist()}
    both = skrec.recommend(pipeline, data, k=8, items=per_user, exclude=data.item_ids[3:])
    either = skrec.recommend(pipeline, data, k=8, items=data.item_ids[:3])
    assert lists(both) == lists(either)


def test_searches_and_pipelines_in_each_other():
    data = ratings()
    scoring = ranking_scorer("ndcg@5")
    options = {"cv": KFold(2, shuffle=True, random_state=0), "scoring": scoring}
    inner = GridSearchCV(make_pipeline(Binarizer(), EASE()), {"ease__l2": [1, 5]}, **options)
    outer = Pipeline([("half", FunctionTransformer(lambda X: X / 2)), ("search", inner)]).fit(data)
    best = EASE(**outer[-1].best_estimator_[-1].get_params()).fit(csr_array(data.X > 0))
    likes = csr_array(data.X > 0).astype(float)
    assert lists(skrec.recommend(outer, data, k=3)) == expected(data, best.recommend(likes, k=3))
    explained = skrec.explain(outer, data, k=2)
    assert set(explained.user) <= set(data.user_ids)
    with pytest.raises(ValueError, match="give data="):
        skrec.similar_items(outer, data.item_ids[:2])
    similar = skrec.similar_items(outer, data.item_ids[:2], k=2, data=data)
    np.testing.assert_array_equal(
        similar.neighbor, data.item_ids[best.similar_items([0, 1], k=2)].ravel()
    )


def test_a_search_over_mult_vae():
    data = ratings()
    small = MODELS["MultVAE"].instance(max_iter=2)
    search = GridSearchCV(
        small,
        {"beta": [0.1, 0.2]},
        cv=2,
        scoring=ranking_scorer(["ndcg@5", "recall@5"]),
        refit="ndcg@5",
    )
    with pytest.raises(NotFittedError, match="GridSearchCV"):
        skrec.recommend(search, data)
    likes = data.binarize(0)
    search.fit(likes)
    found = skrec.recommend(search, likes, k=2)
    assert lists(found) == expected(likes, search.best_estimator_.recommend(likes, k=2))
    with pytest.raises(ValueError, match="refit=True"):
        skrec.recommend(clone(search).set_params(refit=False).fit(likes), likes)


class Foreign(BaseEstimator):
    """Scores of another package: the mean of each column, and the user's own row."""

    def fit(self, X, y=None):
        self.means_ = np.asarray(X.mean(axis=0)).ravel()
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        return np.asarray(X.todense() if hasattr(X, "todense") else X) / 10 + self.means_


@pytest.mark.parametrize("steps", [[], [Binarizer()]])
def test_any_estimator_with_a_prediction_for_each_item(steps):
    data = ratings()
    model = make_pipeline(*steps, Foreign()).fit(data)
    scores = model.predict(data)
    scores[data.toarray() > 0] = -np.inf
    allowed = np.isin(data.item_ids, data.item_ids[:5])
    order = np.argsort(-np.where(allowed, scores, -np.inf), axis=1, kind="stable")
    order[~np.take_along_axis(np.isfinite(scores) & allowed, order, axis=1)] = -1
    found = skrec.recommend(model, data, k=4, items=data.item_ids[:5])
    assert lists(found) == expected(data, order[:, :4])


def test_candidates_and_forbidden_items_of_each_user():
    data = ratings("str")
    model = EASE(l2=5).fit(data)
    everything = lists(skrec.recommend(model, data, k=8))
    ann, bob, cem = data.user_ids[:3].tolist()
    some, others = data.item_ids[:5].tolist(), data.item_ids[3:].tolist()
    candidates = {ann: set(some), bob: [], cem: pd.Series(others), "u9": tuple(some)}
    users = [cem, ann, bob, ann]
    frame = skrec.recommend(model, data, k=8, users=users, items=candidates)
    for user, allowed in ((ann, some), (cem, others)):
        own = columns(frame[frame.user == user])["item"]
        kept = [item for item in everything[user] if item in allowed]
        assert own == (2 * kept if user == ann else kept)
    assert bob not in set(frame.user)
    table = pl.DataFrame({"user": [ann] * 3 + [cem], "item": [*some[:3], others[0]]})
    left = lists(skrec.recommend(model, data, k=8, exclude=table, items=iter(some)))
    for user, items in everything.items():
        forbidden = {ann: some[:3], cem: others[:1]}.get(user, [])
        kept = [item for item in items if item in some and item not in forbidden]
        assert left.get(user, []) == kept
    assert not len(skrec.recommend(model, data, exclude=data.item_ids))
    assert not len(skrec.recommend(model, data, users=[]))


@pytest.mark.parametrize("name", ["items", "exclude"])
def test_unknown_ids_are_named(name):
    data = ratings("int")
    model = EASE(l2=5).fit(data)
    ann = int(data.user_ids[0])
    for rule in ([31, 2, 1], {ann: [31, 2]}, pd.DataFrame({"user": [ann], "item": [2]})):
        with pytest.raises(
            ValueError, match=rf"{name} must be ids that data has, .* the first .*2"
        ):
            skrec.recommend(model, data, users=[ann], **{name: rule})
    with pytest.raises(ValueError, match=f"users of {name} must be ids that data.*the first .*5"):
        skrec.recommend(model, data, **{name: {5: [31]}})
    with pytest.raises(ValueError, match=f"no id of {name} is in data: .*'str'"):
        skrec.recommend(model, data, **{name: ["tea"]})
    with pytest.raises(TypeError, match=f"{name} must be ids, got a mask or a matrix"):
        skrec.recommend(model, data, **{name: np.ones(8, dtype=bool)})
    with pytest.raises(TypeError, match=f"{name} must be ids, got a mask or a matrix"):
        skrec.recommend(model, data, **{name: data.X})
    with pytest.raises(ValueError, match=rf"{name} must have the columns user and item"):
        skrec.recommend(model, data, **{name: pd.DataFrame({"id": [31]})})
    with pytest.raises(ValueError, match="users must be ids that data.*the first .*5"):
        skrec.recommend(model, data, users=[ann, 5])


def test_every_user_needs_candidates():
    data = ratings("str")
    model = EASE(l2=5).fit(data)
    for rule in ({"u0": ["u4"]}, pd.DataFrame({"user": ["u0"], "item": ["u4"]})):
        with pytest.raises(ValueError, match="items must have a list for every user .* 'u1'"):
            skrec.recommend(model, data, items=rule)
        with pytest.raises(ValueError, match="items must have a list for every user .* 'u1'"):
            skrec.explain(model, data, rule, users=["u0", "u1"])
    with pytest.raises(ValueError, match="one item at least"):
        skrec.recommend(model, data, items=[])


def test_wide_data_frames():
    data = ratings("str")
    wide = pd.DataFrame(data.toarray(), index=data.user_ids, columns=data.item_ids)
    by_ids = lists(skrec.recommend(EASE(l2=5).fit(data), data, k=3))
    for model in (EASE(l2=5), make_pipeline(Binarizer(threshold=-0.0), EASE(l2=5)), Foreign()):
        model.fit(wide)
        found = skrec.recommend(model, wide, k=3)
        if isinstance(model, EASE):
            assert lists(found) == by_ids
        some = skrec.recommend(model, wide, k=3, users=["u3", "u1"])
        assert lists(some) == {user: lists(found)[user] for user in ("u3", "u1")}
    numbered = skrec.recommend(EASE(l2=5).fit(data), pl.from_pandas(wide), k=3, users=[2])
    assert isinstance(numbered, pl.DataFrame)
    assert lists(numbered)[2] == by_ids[data.user_ids[2]]
    with pytest.raises(ValueError, match="those of a long table"):
        skrec.recommend(EASE(l2=5).fit(data), data.to_frame("pandas"))


def test_data_without_ids_is_refused():
    data = ratings()
    model = EASE(l2=5).fit(data.X)
    for X in (data.X, data.toarray(), data.toarray().tolist(), None):
        with pytest.raises(TypeError, match=r"Interactions\(X, user_ids, item_ids\)"):
            skrec.recommend(model, X)


def test_other_items_than_those_of_the_fit_are_refused():
    data = ratings()
    other = data.reindex(data.item_ids[::-1])
    wide = pd.DataFrame(data.toarray(), columns=[f"i{i}" for i in data.item_ids])
    renamed = Interactions(data.X, data.user_ids, wide.columns[::-1])
    for model, X in (
        (EASE(l2=5).fit(data), other),
        (make_pipeline(Binarizer(), EASE(l2=5)).fit(wide), renamed),
    ):
        for verb in (skrec.recommend, skrec.explain):
            with pytest.raises(ValueError, match=r"data\.reindex\(model\.feature_names_in_\)"):
                verb(model, X)
    with pytest.raises(ValueError, match=r"data\.reindex"):
        skrec.similar_items(EASE(l2=5).fit(data), [31], data=other)
    with pytest.raises(ValueError, match="which are 8, got 7"):
        skrec.similar_items(EASE(l2=5).fit(data.X), [31], data=data[:, :7])
    choosy = make_pipeline(VarianceThreshold(3.5), EASE(l2=5)).fit(data)
    with pytest.raises(ValueError, match=r"VarianceThreshold makes \d columns of the 8 items"):
        skrec.recommend(choosy, data)


def test_only_what_recommends():
    with pytest.raises(TypeError, match=r"Binarizer\(\) has none"):
        skrec.recommend(Binarizer().fit([[1]]), ratings())
    with pytest.raises(NotFittedError):
        skrec.recommend(EASE(), ratings())
    with pytest.raises(ValueError, match="k must be an integer >= 1"):
        skrec.recommend(EASE(), ratings(), k=0)


def test_reviews_go_with_the_rows_through_a_pipeline():
    words = np.array(["good", "bad", "fine"], dtype=object)
    data = ratings(reviews=np.random.default_rng(0).choice(words, ratings().nnz))
    reviews = Reviews.from_interactions(data)
    model = MODELS["DeepLTRS"].instance(max_iter=2).fit(data.X, reviews=reviews)
    pipeline = Pipeline([("same", FunctionTransformer(lambda X: X.X)), ("model", model)])
    direct, composed = (skrec.recommend(one, data, k=3) for one in (model, pipeline))
    pd.testing.assert_frame_equal(direct, composed)


# --- Similar items and reasons -----------------------------------------------------------------


@pytest.mark.parametrize("kind", IDS)
def test_similar_items(kind):
    names = {item: f"Item {item}" for item in IDS[kind]}
    data = ratings(kind, item_names=names)
    model = EASE(l2=5).fit(data)
    asked = data.item_ids[[5, 1]].tolist()
    indices, scores = model.similar_items(data.columns(asked), k=9, return_scores=True)
    frame = skrec.similar_items(model, asked, k=9)
    assert list(frame.columns) == ["item", "neighbor", "rank", "score"]
    assert frame.item.tolist() == np.repeat(np.array(asked, dtype=object), 7).tolist()
    assert frame.neighbor.tolist() == data.decode(indices)[:, :7].ravel().tolist()
    np.testing.assert_array_equal(frame.score, scores[:, :7].ravel())
    assert frame["rank"].tolist() == 2 * [*range(1, 8)]
    titled = skrec.similar_items(model, asked, k=9, data=data)
    assert titled.title.tolist() == [names[item] for item in frame.neighbor]
    assert not len(skrec.similar_items(model, []))
    unknown = {"str": "tea", "int": 4, "mixed": "tea"}[kind]
    with pytest.raises(ValueError, match="items must be ids that the model"):
        skrec.similar_items(model, [asked[0], unknown])


@pytest.mark.parametrize("kind", IDS)
def test_reasons_are_the_largest_contributions(kind):
    data = ratings(kind, item_names={item: f"Item {item}" for item in IDS[kind]})
    model = EASE(l2=5).fit(data)
    top = model.recommend(data, k=2)
    frame = skrec.explain(model, data, k=2, n_reasons=2)
    assert list(frame.columns) == ["user", "item", "because", "share", "title", "because_title"]
    rows = iter(frame[["user", "item", "because", "share"]].itertuples(index=False, name=None))
    for user, items, parts in zip(data.user_ids, top, model.explain(data, top), strict=True):
        for item, line in zip(items, parts.toarray(), strict=True):
            line = np.maximum(line, 0)
            for reason in np.argsort(-line, kind="stable")[:2]:
                if line[reason] > 0:
                    pair = data.item_ids[item], data.item_ids[reason]
                    assert next(rows) == (user, *pair, pytest.approx(line[reason] / line.sum()))
    assert next(rows, None) is None
    assert frame.because_title.tolist() == [f"Item {item}" for item in frame.because]


def test_reasons_for_given_items():
    data = ratings()
    model = EASE(l2=5).fit(data)
    top = skrec.recommend(model, data, k=2)
    default = skrec.explain(model, data, k=2)
    pd.testing.assert_frame_equal(skrec.explain(model, data, top), default)
    by_user = {user: items for user, items in lists(top).items() if user > 20}
    some = skrec.explain(model, data, by_user)
    pd.testing.assert_frame_equal(some, default[default.user > 20].reset_index(drop=True))
    ann = int(data.user_ids[0])
    one = skrec.explain(model, data, [31, 38], users=[ann], n_reasons=9)
    assert set(one.item) <= {31, 38} and set(one.user) == {ann}
    assert set(one.because) <= set(data.item_ids[data[[0]].indices])
    np.testing.assert_allclose(one.groupby("item").share.sum(), 1)
    assert not len(skrec.explain(model, data, {ann: []}))
    assert not len(skrec.explain(model, data, users=[]))


def test_models_without_the_verb_name_those_that_have_it():
    data = ratings()
    for verb in (skrec.explain, lambda model, data: skrec.similar_items(model, [31], data=data)):
        with pytest.raises(TypeError, match="Popularity has no .* have it: EASE, SLIM"):
            verb(Popularity().fit(data), data)


# --- Ratings as regression ----------------------------------------------------------------------


def rating_table(frame):
    content = columns(ratings("str").to_frame("pandas"))
    return FRAMES[frame]({name: content[name] for name in ("user", "item")}), content["value"]


REGRESSORS = {
    "states": BiasBaseline(),
    "rows": PMF(n_components=2, max_iter=3, random_state=0),
    "free": PMF(n_components=2, max_iter=3, random_state=0, clip=False),
    "neural": MODELS["AutoRec"].instance(max_iter=2),
    "pipeline": make_pipeline(FunctionTransformer(accept_sparse=True), BiasBaseline()),
    "foreign": Foreign(),
}


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_rating_regressor_recommends_by_ids(name):
    X, y = rating_table("pandas")
    model = RatingRegressor(REGRESSORS[name]).fit(X, y)
    users = ["u3", "new", "u1"]
    frame = model.recommend(users, k=20)
    assert list(frame.columns) == ["user", "item", "rank", "score"]
    seen = set(X.itertuples(index=False, name=None))
    for user, items in lists(frame).items():
        assert sorted(items) == [item for item in model.item_ids_ if (user, item) not in seen]
    np.testing.assert_allclose(frame.score, model.predict(frame[["user", "item"]]), rtol=1e-5)
    for _, scores in frame.groupby("user").score:
        assert (np.diff(scores) <= 0).all()
    pd.testing.assert_frame_equal(skrec.recommend(model, users=users, k=20), frame)
    assert list(lists(model.recommend(k=1))) == model.user_ids_.tolist()
    everything = lists(model.recommend(users, k=20, exclude_seen=False))
    assert {len(items) for items in everything.values()} == {8}
    rules = {"u3": ["u4", "u5"], "new": ["u6"], "u1": []}
    some = lists(model.recommend(users, items=rules, exclude_seen=False))
    for user, items in everything.items():
        assert some.get(user, []) == [item for item in items if item in rules[user]]
    left = lists(model.recommend(users, exclude=["u4"], items=["u4", "u7", "u8"], k=5))
    for user, items in lists(frame).items():
        assert left.get(user, []) == [item for item in items if item in ("u7", "u8")]
    assert not len(model.recommend(users, exclude=model.item_ids_))
    assert not len(model.recommend([]))
    twice = model.recommend(["other", "u1", "new"], k=3)
    assert lists(twice)["other"] == lists(twice)["new"] == lists(frame)["new"][:3]


def test_a_rating_regressor_ranks_before_it_clips():
    X, y = rating_table("pandas")
    model = RatingRegressor(BiasBaseline(l2_user=0.1, l2_item=0.1)).fit(X, y)
    free = RatingRegressor(BiasBaseline(l2_user=0.1, l2_item=0.1, clip=False)).fit(X, y)
    model.estimator_.rating_range_ = (2.9, 3.1)
    clipped = model.recommend(k=8)
    assert lists(clipped) == lists(free.recommend(k=8))
    assert clipped.score.between(2.9, 3.1).all()
    assert model.estimator_.clip is True


@pytest.mark.parametrize("frame", FRAMES)
def test_a_rating_regressor_answers_in_the_library_of_its_table(frame):
    table, y = rating_table(frame)
    model = RatingRegressor(BiasBaseline()).fit(table, y)
    assert type(model.recommend(k=2)) is type(table)
    search = GridSearchCV(RatingRegressor(BiasBaseline()), {"estimator__l2_user": [1, 5]}, cv=2)
    assert type(skrec.recommend(search.fit(table, y), users=["u3"])) is type(table)


def test_a_rating_regressor_of_a_factor_model_has_similar_items():
    X, y = rating_table("polars")
    model = RatingRegressor(REGRESSORS["rows"]).fit(X, y)
    frame = skrec.similar_items(model, ["u4", "u6"], k=9)
    indices = model.estimator_.similar_items(np.searchsorted(model.item_ids_, ["u4", "u6"]), k=9)
    assert isinstance(frame, pl.DataFrame)
    found = [item for item in indices.ravel() if 0 <= item < 8]
    assert frame["neighbor"].to_list() == model.item_ids_[found].tolist()
    assert frame["rank"].to_list() == 2 * [*range(1, 8)]


def test_what_a_rating_regressor_refuses():
    X, y = rating_table("pandas")
    model = RatingRegressor(BiasBaseline()).fit(X, y)
    with pytest.raises(TypeError, match="leave data out"):
        skrec.recommend(model, ratings())
    with pytest.raises(ValueError, match="items must be ids that the training data.*'tea'"):
        model.recommend(["u3"], items=["tea"])
    with pytest.raises(ValueError, match="users of exclude must be ids that .*'zoe'"):
        model.recommend(["u3"], exclude={"zoe": ["u4"]})
    with pytest.raises(ValueError, match="no id of users is in the training data.*'int'"):
        model.recommend([3])
    with pytest.raises(TypeError, match="RatingRegressor has no explain"):
        skrec.explain(model, ratings())
    coded = make_pipeline(FunctionTransformer(), RatingRegressor(BiasBaseline())).fit(X, y)
    with pytest.raises(TypeError, match="FunctionTransformer stands before RatingRegressor"):
        skrec.recommend(coded, users=["u3"])
    with pytest.raises(NotFittedError):
        RatingRegressor().recommend(["u3"])


# --- Ids and indices -----------------------------------------------------------------------------


def test_integers_that_may_be_ids_are_warned_about():
    data = ratings("int")
    data = Interactions(data.X, data.user_ids, np.arange(8)[::-1])
    model = EASE(l2=5).fit(data)
    verbs = {
        "items": (lambda items: model.recommend(data, items=items), model.similar_items),
        "exclude": (lambda items: model.recommend(data, exclude=items),),
    }
    for name, calls in verbs.items():
        for call in calls:
            with pytest.warns(UserWarning, match=f"{name} are read as column .* such as 7.*data"):
                call([3, 1])
            call(data.columns([6]))
    with pytest.warns(UserWarning, match="skrec.explain"):
        model.explain(data, np.array([1, 2]))
    model.explain(data, model.recommend(data, k=2))
    model.recommend(data, items=np.arange(8) < 4, exclude=data)
    counted = Interactions(data.X, data.user_ids, np.arange(8))
    EASE(l2=5).fit(counted).recommend(counted, items=[3, 1])
    EASE(l2=5).fit(data.X).similar_items([3, 1])
    named = ratings("str")
    EASE(l2=5).fit(named).similar_items([3, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        skrec.recommend(model, data, items=[6], exclude={10: [6]})
        skrec.similar_items(model, [6])
        skrec.explain(model, data, [6])
        # What is no id is an index, such as `recommend` answers.
        model = EASE(l2=5).fit(Interactions(data.X, data.user_ids, 100 + np.arange(8)))
        model.similar_items(model.recommend(data.X, k=2)[0])


def test_strings_and_ids_out_of_range_are_told_where_ids_go():
    data = ratings("str")
    model = EASE(l2=5).fit(data)
    for call in (
        lambda items: model.recommend(data, items=items),
        lambda items: model.recommend(data, exclude=items),
        model.similar_items,
        lambda items: model.explain(data, items),
    ):
        for items in (["u4"], [8]):
            with pytest.raises((TypeError, ValueError), match=r"skrec\.recommend"):
                call(items)


def test_rows_of_other_users_are_no_rules():
    data = ratings()
    model = EASE(l2=5).fit(data)
    with pytest.raises(ValueError, match=r"exclude must have the user_ids of X"):
        model.recommend(data, exclude=data[::-1])
    with pytest.raises(ValueError, match=r"items must have the item_ids of X"):
        model.recommend(data, items=data.reindex(data.item_ids[::-1]))
    model.recommend(data[::-1], exclude=data[::-1])


def test_the_whole_way_on_movies():
    likes = load_movielens_small().binarize(3.5).filter(min_users_per_item=30)
    model = EASE(l2=100).fit(likes)
    frame = skrec.recommend(model, likes, k=3, users=[7, 1])
    np.testing.assert_array_equal(frame.user, [7, 7, 7, 1, 1, 1])
    rows = likes[likes.rows([7, 1])]
    np.testing.assert_array_equal(frame.item, likes.item_ids[model.recommend(rows, k=3).ravel()])
