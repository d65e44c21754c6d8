"""Reranker: the greedy order by hand, the rules of lists, what is wrapped, what is refused."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import skops.io
from scipy import sparse
from short_ids import parametrize_with_sklearn_checks
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer
from test_common import EXPECTED_FAILURES

import skrec
from skrec import (
    EASE,
    PMF,
    BaseRecommender,
    BiasBaseline,
    DeepLTRS,
    Interactions,
    ItemKNN,
    MultVAE,
    Popularity,
    Reranker,
    RP3beta,
)
from skrec.datasets import load_movielens_small, make_ratings_reviews
from skrec.ensemble import _list_order
from skrec.ensemble._list_order import ListRules, reorder, similarities
from skrec.metrics import diversity, novelty, ranking_scorer
from skrec.utils.estimator_checks import parametrize_with_recommender_checks

N_ITEMS = 12
LABELS = ["a", "b", "a", None, "c", "a", "b", "c", "a", "b", "a", "b"]
KNOBS = {
    "diversity": {"diversity": 0.7},
    "strong diversity": {"diversity": 20.0, "n_candidates": 9},
    "popularity": {"popularity_discount": 0.4},
    "cap": {"max_per_category": 2, "categories": LABELS},
    "all": {
        "diversity": 0.7,
        "popularity_discount": 0.2,
        "max_per_category": 1,
        "categories": LABELS,
        "n_candidates": 8,
    },
}
WITH = pytest.mark.parametrize("knobs", KNOBS.values(), ids=KNOBS)
# A list whose items are chosen by each other is not a part of the list of all items.
MADE_OF_WHAT_IS_LEFT = {
    name: "the list is made of what the rules leave"
    for name in ("check_candidate_items", "check_rules_of_each_user")
}


@parametrize_with_sklearn_checks(
    [Reranker(EASE(l2=20), diversity=0.5, popularity_discount=0.1)],
    expected_failed_checks=lambda _: EXPECTED_FAILURES,
    xfail_strict=True,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@parametrize_with_recommender_checks(
    {
        "Reranker": Reranker(EASE(l2=20)),
        "Reranker-diverse": Reranker(EASE(l2=20), diversity=0.5, popularity_discount=0.1),
    },
    variants={
        "Reranker-sparse": Reranker(ItemKNN(n_neighbors=5), diversity=1.0, n_candidates=6),
        "Reranker-cap": Reranker(
            EASE(l2=20), max_per_category=4, categories=np.arange(16) % 3, n_candidates=6
        ),
    },
    expected_failed_checks=lambda model: MADE_OF_WHAT_IS_LEFT if model.diversity else {},
)
def test_recommender_contract(estimator, check):
    if estimator.categories is not None and check.__name__ != "check_withheld_block_is_recovered":
        estimator = clone(estimator).set_params(categories=np.arange(N_ITEMS) % 3)
    check(estimator)


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    return sparse.csr_array((rng.random((40, N_ITEMS)) < 0.35).astype(float))


@pytest.fixture
def features():
    rng = np.random.default_rng(1)
    features = (rng.random((N_ITEMS, 5)) < 0.5) * rng.integers(-1, 3, (N_ITEMS, 5))
    features[4] = 0
    return features.astype(float)


def cosines(rows):
    lengths = np.sqrt((rows**2).sum(axis=1))
    return rows @ rows.T / np.maximum(np.outer(lengths, lengths), 1e-300)


def by_hand(scores, allowed, share, cosine, knobs):
    """The list of one user: candidates one by one, those beyond the cap, and all others."""
    order = sorted(np.flatnonzero(allowed), key=lambda item: (-scores[item], item))
    n_candidates = knobs.get("n_candidates", 100)
    left, others = order[:n_candidates], order[n_candidates:]
    unit = scores[left].std()
    chosen, counts = [], dict.fromkeys(LABELS, 0)

    def worth(item):
        nearest = max([cosine[item, other] for other in chosen], default=0)
        bits = np.log2(1 / share[item])
        extra = knobs.get("popularity_discount", 0) * bits
        extra += knobs.get("diversity", 0) * (1 - max(nearest, 0))
        return scores[item] + unit * extra

    while left:
        cap = knobs.get("max_per_category", 100)
        fitting = [i for i in left if LABELS[i] is None or counts[LABELS[i]] < cap]
        if not fitting:
            break
        best = max(fitting, key=lambda item: (worth(item), -item))
        chosen.append(best)
        left.remove(best)
        counts[LABELS[best]] += 1
    return [*chosen, *left, *others]


def share_of(X):
    return (np.diff(X.tocsc().indptr) + 1) / (X.shape[0] + 1)


@WITH
@pytest.mark.parametrize("has_features", [False, True])
def test_lists_by_hand(X, features, knobs, has_features):
    known = {"item_features": features} if has_features else {}
    model = Reranker(EASE(l2=5), **knobs, **known).fit(X)
    scores = EASE(l2=5).fit(X).predict(X)
    cosine = cosines(features if has_features else X.T.toarray())
    lists = model.recommend(X, k=N_ITEMS)
    predicted = np.where(X.toarray() > 0, -np.inf, model.predict(X))
    for user in range(X.shape[0]):
        unseen = X.toarray()[user] == 0
        expected = by_hand(scores[user], unseen, share_of(X), cosine, knobs)
        np.testing.assert_array_equal(lists[user, : len(expected)], expected)
        assert (lists[user, len(expected) :] == -1).all()
        by_score = np.argsort(-predicted[user], kind="stable")[: len(expected)]
        np.testing.assert_array_equal(by_score, expected)
    for k in (1, 4, 7):
        np.testing.assert_array_equal(model.recommend(X, k=k), lists[:, :k])


@WITH
def test_lists_are_made_of_what_the_rules_leave(X, knobs):
    model = Reranker(ItemKNN(n_neighbors=6), **knobs).fit(X)
    scores = ItemKNN(n_neighbors=6).fit(X).predict(X)
    rng = np.random.default_rng(2)
    items, exclude = (rng.random(X.shape) < share for share in (0.7, 0.2))
    for rules, allowed in (
        ({"items": items, "exclude": exclude}, items & ~exclude),
        ({"items": [1, 2, 3, 5, 8, 9]}, np.isin(np.arange(N_ITEMS), [1, 2, 3, 5, 8, 9])),
        ({"exclude": [0, 4, 7]}, ~np.isin(np.arange(N_ITEMS), [0, 4, 7])),
    ):
        allowed = np.broadcast_to(allowed, X.shape) & (X.toarray() == 0)
        lists = model.recommend(X, k=6, **rules)
        for user in range(X.shape[0]):
            expected = by_hand(
                scores[user], allowed[user], share_of(X), cosines(X.T.toarray()), knobs
            )[:6]
            np.testing.assert_array_equal(lists[user, : len(expected)], expected)
            assert (lists[user, len(expected) :] == -1).all()


@pytest.mark.parametrize("of_each", [False, True])
def test_items_of_the_row_keep_their_scores_where_they_are_not_left_out(X, of_each):
    model = Reranker(EASE(l2=5), diversity=1.0).fit(X)
    scores, seen = EASE(l2=5).fit(X).predict(X), X.toarray() > 0
    np.testing.assert_array_equal(model.predict(X)[seen], scores[seen])
    assert (model.predict(X)[~seen] >= scores[~seen]).all()
    few = np.isin(np.arange(N_ITEMS), [1, 5, 6, 9, 11])
    rules = {"items": np.broadcast_to(few, X.shape) if of_each else few, "exclude": [6]}
    options = {"return_scores": True, **rules}
    every, worth = model.recommend(X, k=4, exclude_seen=False, **options)
    unseen, of_unseen = model.recommend(X, k=4, **options)
    assert set(np.unique(every)) == {1, 5, 9, 11}
    for user in range(X.shape[0]):
        known = dict(zip(unseen[user], of_unseen[user], strict=True))
        found = dict(zip(every[user], worth[user], strict=True))
        assert found == {
            item: scores[user, item] if seen[user, item] else known[item] for item in found
        }
        assert list(worth[user]) == sorted(worth[user], reverse=True)


def test_without_knobs_it_is_the_model(X):
    for model in (EASE(l2=5), ItemKNN(n_neighbors=5), Popularity()):
        plain, wrapped = clone(model).fit(X), Reranker(model, n_candidates=3).fit(X)
        np.testing.assert_array_equal(wrapped.predict(X), plain.predict(X))
        for options in ({}, {"exclude_seen": False}, {"items": [3, 1, 7]}, {"exclude": X[::-1]}):
            expected = plain.recommend(X, k=5, return_scores=True, **options)
            found = wrapped.recommend(X, k=5, return_scores=True, **options)
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one, other)
        assert wrapped.score(X) == plain.score(X)


def test_a_strong_discount_ranks_the_rarest_candidates_first():
    likes = (
        load_movielens_small().binarize(3.5).filter(min_users_per_item=10, min_items_per_user=1)
    )
    model = EASE(l2=100).fit(likes)
    lists = Reranker(FrozenEstimator(model), popularity_discount=1e3, n_candidates=20).fit(likes)
    found = lists.recommend(likes, k=20)
    np.testing.assert_array_equal(np.sort(found), np.sort(model.recommend(likes, k=20)))
    n_users = np.bincount(likes.indices, minlength=likes.shape[1])
    assert (np.diff(n_users[found], axis=1) >= 0).all()


def test_items_of_several_categories_count_in_each(X):
    genres = np.zeros((N_ITEMS, 3))
    genres[:4, 0] = genres[2:8, 1] = genres[6:, 2] = 1
    stored = sparse.csr_array((genres.ravel(), np.indices(genres.shape).reshape(2, -1)))
    for known in ({"categories": genres}, {"categories": stored}, {"item_features": genres}):
        model = Reranker(EASE(l2=5), max_per_category=1, **known).fit(X)
        lists = model.recommend(X, k=2)
        for user in range(X.shape[0]):
            assert genres[lists[user]].sum(axis=0).max() == 1
    only = {"item_features": genres, "categories": np.zeros(N_ITEMS)}
    lists = Reranker(EASE(l2=5), max_per_category=1, **only).fit(X).recommend(X, k=4)
    np.testing.assert_array_equal(lists, EASE(l2=5).fit(X).recommend(X, k=4))


def test_a_cap_is_kept_as_long_as_there_are_candidates():
    likes = load_movielens_small().binarize(3.5).filter(min_users_per_item=10)
    labels = np.arange(likes.shape[1]) % 7
    lists = (
        Reranker(EASE(l2=100), max_per_category=2, categories=labels).fit(likes).recommend(likes)
    )
    counts = (labels[lists][:, :, None] == np.arange(7)).sum(axis=1)
    assert counts.max() == 2
    plain = EASE(l2=100).fit(likes).recommend(likes)
    np.testing.assert_array_equal(lists[:, 0], plain[:, 0])
    assert (labels[plain][:, :, None] == np.arange(7)).sum(axis=1).max() > 2


def test_scores_fall_along_the_list_in_both_precisions():
    rng = np.random.default_rng(3)
    items = np.argsort(rng.random((50, 40)), axis=1)[:, :15]
    unit = sparse.csr_array(np.eye(5)[rng.integers(0, 5, 40)])
    categories = sparse.csr_array(np.eye(4)[rng.integers(0, 4, 40)])
    for dtype, scale in ((np.float32, 1e6), (np.float64, 1e200), (np.float32, 1e-30)):
        scores = (scale * (1 + np.round(rng.random(items.shape), 2))).astype(dtype)
        # Gains that single precision cannot tell apart are ties.
        rules = ListRules(0.5, unit, 1e-6 * rng.random(40), categories, 2)
        chosen, values = reorder(items, scores, rules, 15)
        assert values.dtype == dtype
        steps = np.diff(values, axis=1)
        assert (steps <= 0).all()
        assert (np.diff(chosen, axis=1)[steps == 0] > 0).all()
        np.testing.assert_array_equal(np.sort(chosen), np.sort(items))
        with config_context(working_memory=0.001):
            for part, same in zip(
                reorder(items, scores, rules, 7, 3), (chosen, values), strict=True
            ):
                np.testing.assert_array_equal(part, same[:, :7])


def test_similarities_of_a_block_fit_in_the_working_memory(monkeypatch):
    rng = np.random.default_rng(3)
    items = np.argsort(rng.random((90, 200)), axis=1)[:, :10]
    rules = ListRules(0.5, rng.random((200, 3)))
    scores, sizes = rng.random(items.shape), []
    expected, _ = reorder(items, scores, rules, 5)

    def recorded(unit):
        sizes.append(24 * len(unit) ** 2)
        return similarities(unit)

    monkeypatch.setattr(_list_order, "similarities", recorded)
    with config_context(working_memory=0.1):
        found, _ = reorder(items, scores, rules, 5, 2)
    np.testing.assert_array_equal(found, expected)
    assert max(sizes) <= 0.1 * 2**20 / 2


def test_tied_candidates_stay_as_they_are(X):
    nobody = np.zeros((1, N_ITEMS))
    model = Reranker(EASE(l2=5), diversity=1.0, popularity_discount=1.0).fit(X)
    np.testing.assert_array_equal(model.recommend(nobody, k=4), [[0, 1, 2, 3]])
    model = Reranker(EASE(l2=5), max_per_category=1, categories=LABELS).fit(X)
    np.testing.assert_array_equal(model.recommend(nobody, k=5), [[0, 1, 3, 4, 2]])


def test_what_may_be_rounding_is_not_stretched():
    rules = ListRules(1e3, np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    for step, expected in ((1e-9, [0, 1, 2]), (1e-3, [0, 2, 1])):
        scores = 1 + step * np.array([[2.0, 1.0, 0.0]])
        chosen, _ = reorder(np.array([[0, 1, 2]]), scores, rules, 3)
        np.testing.assert_array_equal(chosen[0], expected)


def test_diversity_and_novelty_rise_and_accuracy_falls():
    likes = load_movielens_small().binarize(3.5).filter(min_users_per_item=10)
    train, test = likes[:400], likes[400:]
    model = FrozenEstimator(EASE(l2=100).fit(train))
    scorer = ranking_scorer(["ndcg@10", "diversity@10", "novelty@10"])
    for knob, column, values in (
        ("diversity", "diversity@10", (0, 2, 4, 8)),
        ("popularity_discount", "novelty@10", (0, 0.3, 1, 2)),
    ):
        found = [scorer(Reranker(model, **{knob: value}).fit(train), test) for value in values]
        assert (np.diff([scores[column] for scores in found]) > 0).all()
        assert (np.diff([scores["ndcg@10"] for scores in found]) < 0).all()


def test_search_for_the_most_diverse_lists_that_are_nearly_as_accurate():
    likes = load_movielens_small().binarize(3.5).filter(min_users_per_item=20)
    genres = np.eye(4)[np.arange(likes.shape[1]) % 4]
    scoring = ranking_scorer(["ndcg@10", "diversity@10"], item_features=genres)

    def nearly_best(results):
        accuracy, variety = (results[f"mean_test_{name}"] for name in scoring.metrics)
        return int(np.argmax(np.where(accuracy >= 0.9 * accuracy.max(), variety, -1)))

    model = Reranker(EASE(l2=100), item_features=genres)
    grid = {"diversity": [0, 0.3, 1.0, 30.0], "estimator__l2": [100]}
    search = GridSearchCV(model, grid, scoring=scoring, refit=nearly_best, cv=2).fit(likes)
    assert search.best_params_["diversity"] > 0
    lists = search.best_estimator_.recommend(likes)
    plain = EASE(l2=100).fit(likes).recommend(likes)
    assert diversity(lists, features=genres) > diversity(plain, features=genres)


def test_pipelines_and_searches_at_either_end(X):
    stars = sparse.csr_array(X * np.random.default_rng(4).integers(1, 6, X.shape))
    knobs = {"diversity": 1.0, "n_candidates": 6}
    outside = make_pipeline(Binarizer(threshold=2.5), Reranker(EASE(l2=5), **knobs)).fit(stars)
    liked = sparse.csr_array((stars.toarray() > 2.5).astype(float))
    alone = Reranker(EASE(l2=5), **knobs).fit(liked)
    np.testing.assert_array_equal(outside.predict(stars), alone.predict(liked))
    inside = Reranker(make_pipeline(Binarizer(threshold=2.5), EASE(l2=5)), **knobs).fit(stars)
    # Of the same scores, but all that is rated is left out.
    lists = inside.recommend(stars, k=5)
    scores, cosine = inside.estimator_.predict(stars), cosines(stars.T.toarray())
    for user in range(X.shape[0]):
        unseen = stars.toarray()[user] == 0
        expected = by_hand(scores[user], unseen, share_of(stars), cosine, knobs)[:5]
        np.testing.assert_array_equal(lists[user, : len(expected)], expected)
    np.testing.assert_array_equal(
        inside.recommend(stars, k=5, exclude=[0, 1]),
        inside.recommend(stars, k=5, items=np.arange(2, N_ITEMS)),
    )
    of_each = np.random.default_rng(6).random(X.shape) < 0.7
    for seen in (True, False):
        np.testing.assert_array_equal(
            inside.recommend(stars, k=5, items=of_each, exclude=[0, 1], exclude_seen=seen),
            inside.recommend(stars, k=5, items=of_each * (np.arange(12) > 1), exclude_seen=seen),
        )
        assert (inside.recommend(stars, items=[1], exclude=[0, 1], exclude_seen=seen) == -1).all()
    search = GridSearchCV(EASE(), {"l2": [5, 50]}, cv=2)
    found = Reranker(search, diversity=1.0).fit(X)
    assert found.estimator_.best_params_["l2"] in (5, 50)
    assert np.isfinite(cross_validate(found, X, cv=2)["test_score"]).all()


def test_what_nobody_gets_is_not_repeated_for_each_user():
    X = sparse.random_array((4000, 1000), density=0.005, rng=np.random.default_rng(0)).tocsr()
    model = Reranker(make_pipeline(Binarizer(), Popularity()), popularity_discount=0.1).fit(X)
    tracemalloc.start()
    try:
        model.recommend(X, k=5, exclude=np.arange(800))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 4000 * 800


def test_rules_by_id_reach_the_reranker_in_a_pipeline():
    likes = load_movielens_small().filter(min_users_per_item=20)
    model = make_pipeline(Binarizer(threshold=3.5), Reranker(EASE(l2=100), diversity=1.0))
    model.fit(likes)
    some, never = likes.item_ids[::3].tolist(), likes.item_ids[:60].tolist()
    frame = skrec.recommend(model, likes, k=5, users=[7, 600], items=some, exclude={7: never})
    for user, left_out in ((7, set(never)), (600, set())):
        found = set(frame.item[frame.user == user])
        seen = set(likes.item_ids[likes[likes.user_ids == user].indices])
        assert found <= set(some) - left_out - seen
        assert len(found) == 5


def test_reviews_reach_a_model_that_reads_them():
    ratings = make_ratings_reviews(n_users=30, n_items=12, random_state=0)
    plain = DeepLTRS(max_iter=1, random_state=0).fit(ratings)
    model = Reranker(DeepLTRS(max_iter=1, random_state=0), n_candidates=5).fit(ratings)
    np.testing.assert_array_equal(model.recommend(ratings, k=7), plain.recommend(ratings, k=7))
    expected = plain.set_params(clip=False).predict(ratings)
    np.testing.assert_array_equal(model.predict(ratings), expected)


def test_updates_are_refused():
    data = Interactions.from_arrays(["ann", "ann", "bob"], ["jam", "tea", "tea"])
    with pytest.raises(
        TypeError, match="Reranker has no sound update, as the model that it wraps"
    ):
        skrec.update(Reranker(Popularity()).fit(data), data, data)


class Huge(BaseRecommender):
    def _fit(self, X):
        pass

    def _score_rows(self, X):
        return np.tile(1.7e308 * np.linspace(-1, 1, X.shape[1]), (X.shape[0], 1))


def test_scores_beyond_floats_are_refused(X):
    model = Reranker(Huge(), diversity=1.0).fit(X)
    for verb in (model.predict, model.recommend):
        with pytest.raises(ValueError, match="Scores of Reranker must be finite"):
            verb(X)


def test_fitted_models_stay_as_they_are(X):
    model = EASE(l2=5).fit(X)
    frozen = Reranker(FrozenEstimator(model), diversity=1.0).fit(X[:10])
    assert frozen.estimator_.estimator is model
    assert clone(frozen).fit(X[:10]).estimator_.estimator is model
    pipeline = make_pipeline(Binarizer(), EASE(l2=5)).fit(X)
    again = Reranker(FrozenEstimator(pipeline), diversity=1.0).fit(X)
    np.testing.assert_array_equal(
        again.predict(X), Reranker(EASE(l2=5), diversity=1.0).fit(X).predict(X)
    )
    with pytest.raises(NotFittedError, match="EASE instance is not fitted"):
        Reranker(FrozenEstimator(EASE())).fit(X)
    with pytest.raises(ValueError, match="X has 11 items, EASE was fitted on 12"):
        Reranker(FrozenEstimator(model)).fit(X[:, 1:])


@pytest.mark.parametrize("is_frozen", [False, True])
def test_ids_lead_to_the_items_that_rows_lead_to(X, is_frozen):
    users, items = [f"u{u}" for u in range(X.shape[0])], [f"i{i}" for i in range(N_ITEMS)]
    data = Interactions(X, user_ids=users, item_ids=items)
    model = EASE(l2=5)
    if is_frozen:
        model = FrozenEstimator(model.fit(data))
        other = Interactions(X, user_ids=users, item_ids=items[::-1])
        with pytest.raises(ValueError, match="X must have the items that EASE was fitted on"):
            Reranker(model).fit(other)
    model = Reranker(model, diversity=1.0).fit(data)
    assert model.estimator_.feature_names_in_.tolist() == items
    frame = skrec.recommend(model, data, k=3, users=["u4"], exclude=["i2"])
    row = model.recommend(data[[4]], k=3, exclude=np.arange(N_ITEMS) == 2)[0]
    assert frame.item.tolist() == [items[i] for i in row if i >= 0]


def test_rating_models_rank_by_what_they_predict_before_it_is_clipped(X):
    stars = sparse.csr_array(X * np.random.default_rng(4).integers(1, 6, X.shape))
    plain = PMF(random_state=0, max_iter=3).fit(stars)
    model = Reranker(PMF(random_state=0, max_iter=3)).fit(stars)
    np.testing.assert_array_equal(model.recommend(stars, k=4), plain.recommend(stars, k=4))
    np.testing.assert_allclose(model.predict(stars), plain.set_params(clip=False).predict(stars))
    assert not model.__sklearn_tags__().recommender_tags.predicts_ratings
    assert 0 <= model.score(stars) <= 1
    with pytest.raises(ValueError, match="rating_scale"):
        Reranker(BiasBaseline(rating_scale=(1, 5))).fit(stars).predict(9 * stars)


def test_the_model_inside_still_checks_what_it_is_given(X):
    with pytest.raises(ValueError, match=r"RP3beta need non-negative entries"):
        Reranker(RP3beta()).fit(-X)
    model = Reranker(MultVAE(max_iter=1, random_state=0)).fit(X)
    for verb in (model.predict, model.recommend):
        with pytest.raises(ValueError, match="float32"):
            verb(1e300 * X)


def test_pickle_and_skops_without_the_frame(X, features):
    frame = pd.DataFrame(features)
    model = Reranker(EASE(l2=5), **KNOBS["all"], item_features=frame).fit(X)
    again = pickle.loads(pickle.dumps(model))
    assert isinstance(again.item_features, np.ndarray)
    dump = skops.io.dumps(model)
    restored = skops.io.loads(dump, trusted=skops.io.get_untrusted_types(data=dump))
    for other in (again, restored):
        np.testing.assert_array_equal(other.predict(X), model.predict(X))


@pytest.mark.parametrize("categories", [pd.Series(LABELS), pd.get_dummies(pd.Series(LABELS))])
def test_skops_of_categories_in_a_series_or_a_frame(X, categories):
    model = Reranker(EASE(l2=5), max_per_category=1, categories=categories).fit(X)
    dump = skops.io.dumps(model)
    restored = skops.io.loads(dump, trusted=skops.io.get_untrusted_types(data=dump))
    np.testing.assert_array_equal(restored.recommend(X), model.recommend(X))
    np.testing.assert_array_equal(clone(restored).fit(X).recommend(X), model.recommend(X))


def test_labels_in_another_order_than_the_items_are_refused(X):
    ids = [f"i{item}" for item in range(N_ITEMS)]
    rows = pd.DataFrame(X.toarray(), columns=ids)
    labels = pd.Series(LABELS, index=ids)
    model = Reranker(EASE(l2=5), max_per_category=1, categories=labels).fit(rows)
    with pytest.raises(ValueError, match="The index of categories is not that of the items"):
        model.set_params(categories=labels[::-1]).fit(rows)
    model.set_params(categories=labels.reset_index(drop=True)).fit(rows)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"diversity": -0.1}, "'diversity' parameter"),
        ({"popularity_discount": -1}, "'popularity_discount' parameter"),
        ({"n_candidates": 0}, "'n_candidates' parameter"),
        ({"max_per_category": 0}, "'max_per_category' parameter"),
        ({"max_per_category": 2}, "max_per_category=2 needs to know the categories"),
        ({"categories": LABELS[1:]}, "categories has 11 labels, X has 12 items"),
        ({"categories": np.eye(11)}, "categories has 11 rows, X has 12 items"),
        ({"categories": [["a", "b"]] * N_ITEMS}, "categories must be numbers"),
        ({"categories": [["a"], ["a", "b"]] * 6}, "categories must be hashable"),
        ({"item_features": np.eye(11)}, "item_features has 11 rows, X has 12 items"),
        ({"estimator": Ridge()}, "estimator must be a recommender"),
        ({"estimator": None}, "'estimator' parameter"),
    ],
)
def test_wrong_parameters_are_refused_before_the_fit(X, parameters, message):
    class Untouched(EASE):
        def fit(self, X, y=None, **options):
            raise AssertionError("the model was fitted")

    model = Reranker(Untouched()).set_params(**parameters)
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(X)


def test_a_failed_fit_loses_nothing(X):
    model = Reranker(EASE(l2=5), diversity=1.0).fit(X)
    expected = model.predict(X)
    model.set_params(diversity=3.0, estimator__l2=-1)
    with pytest.raises(ValueError, match="'l2' parameter of EASE"):
        model.fit(X[:, 1:])
    np.testing.assert_array_equal(model.predict(X), expected)


def test_novelty_is_counted_as_the_metric_counts_it(X):
    bits = novelty([[0], [5]], X, per_user=True)
    np.testing.assert_allclose(bits, -np.log2(share_of(X)[[0, 5]]))
