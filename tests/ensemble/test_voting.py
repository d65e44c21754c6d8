"""VotingRecommender: the sum written out, members by name, rating members, what it refuses."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import skops.io
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, FunctionTransformer
from skorch.callbacks import Callback

import skrec
from skrec import (
    EASE,
    PMF,
    BiasBaseline,
    DeepLTRS,
    GraphFilter,
    Interactions,
    ItemKNN,
    MultVAE,
    Popularity,
    RatingRegressor,
    RP3beta,
    StackingRecommender,
    UserKNN,
    VotingRecommender,
)
from skrec.datasets import load_movielens_small

MEMBERS = [("ease", EASE(l2=5.0)), ("knn", ItemKNN(n_neighbors=8)), ("popular", Popularity())]


def choices(seed=0, shape=(60, 20)):
    return sparse.csr_array(np.random.default_rng(seed).random(shape) < 0.3, dtype=np.float64)


def ratings(seed=0, shape=(50, 15)):
    rng = np.random.default_rng(seed)
    return sparse.csr_array((rng.random(shape) < 0.4) * rng.integers(1, 6, shape), dtype=float)


def twice(X):
    return 2 * X


def z_scores(scores):
    deviations = scores.std(axis=1, keepdims=True)
    centred = scores - scores.mean(axis=1, keepdims=True)
    return np.divide(centred, deviations, out=np.zeros(scores.shape), where=deviations > 1e-9)


def test_sum_of_z_scores_by_hand():
    X, new = choices(), choices(1, (9, 20))
    model = VotingRecommender(MEMBERS, weights=[3, 2, 1]).fit(X)
    expected = sum(
        weight / 6 * z_scores(clone(member).fit(X).predict(new).astype(float))
        for (_, member), weight in zip(MEMBERS, [3, 2, 1], strict=True)
    )
    np.testing.assert_allclose(model.predict(new), expected, atol=1e-12)
    np.testing.assert_allclose(model.weights_, [1 / 2, 1 / 3, 1 / 6])
    unseen = np.where(new.toarray() > 0, -np.inf, expected)
    np.testing.assert_array_equal(
        model.recommend(new, 4), np.argsort(-unseen, kind="stable")[:, :4]
    )


@pytest.mark.parametrize("normalize", ["auto", "zscore", "rank", "minmax", None])
@pytest.mark.parametrize("member", [EASE(l2=5.0), Popularity(), RP3beta(9), UserKNN(), PMF(2)])
def test_one_member_and_a_weight_of_one_rank_as_the_member(member, normalize):
    X, new = ratings() if isinstance(member, PMF) else choices(), choices(1, (9, 20))
    new = ratings(1) if isinstance(member, PMF) else new
    if isinstance(member, PMF):
        member = clone(member).set_params(random_state=0)
    alone = clone(member).fit(X)
    pairs = [("one", member), ("other", EASE(l2=3.0) if X.shape[1] == 20 else BiasBaseline())]
    for model in (
        VotingRecommender(pairs[:1], normalize=normalize),
        VotingRecommender(pairs, weights=(1, 0), normalize=normalize),
        VotingRecommender(pairs[::-1], weights=(0, 2), normalize=normalize),
    ):
        model.fit(X)
        np.testing.assert_array_equal(model.recommend(new, 20), alone.recommend(new, 20))
        if model._predicts_ratings:
            np.testing.assert_array_equal(model.predict(new), alone.predict(new))


def test_a_member_of_weight_0_is_not_asked():
    class Silent(EASE):
        def _score_rows(self, X):
            raise AssertionError("asked")

    members = [("ease", EASE(l2=5.0)), ("silent", Silent()), ("popular", Popularity())]
    model = VotingRecommender(members, weights=[1, 0, 1]).fit(choices())
    assert model.predict(choices()).shape == (60, 20)


def test_members_permuted_with_their_weights():
    X = choices()
    expected = VotingRecommender(MEMBERS, weights=[3, 2, 1]).fit(X).predict(X)
    found = VotingRecommender(MEMBERS[::-1], weights=[1, 2, 3]).fit(X).predict(X)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_pipelines_searches_and_ensembles_are_members():
    X, new = choices(), choices(1, (9, 20))
    members = [
        make_pipeline(TfidfTransformer(), EASE(l2=2.0)),
        GridSearchCV(EASE(), {"l2": [1.0, 10.0]}, cv=2),
        VotingRecommender(MEMBERS),
    ]
    expected = sum(z_scores(clone(one).fit(X).predict(new)) / 3 for one in members)
    pairs = [(f"m{number}", one) for number, one in enumerate(members)]
    model = VotingRecommender(pairs).fit(X)
    np.testing.assert_allclose(model.predict(new), expected, atol=1e-12)
    around = make_pipeline(TfidfTransformer(), VotingRecommender(MEMBERS)).fit(X)
    tfidf = TfidfTransformer().fit(X)
    inside = VotingRecommender(MEMBERS).fit(tfidf.transform(X))
    np.testing.assert_allclose(around.predict(new), inside.predict(tfidf.transform(new)))


def test_an_estimator_of_another_library_is_a_member():
    class Counts(BaseEstimator):
        def fit(self, X, y=None):
            self.counts_ = np.asarray(X.sum(axis=0)).ravel()
            return self

        def predict(self, X):
            return np.tile(self.counts_, (X.shape[0], 1))

    X = choices()
    members = [("ease", EASE(l2=5.0)), ("counts", Counts())]
    expected = VotingRecommender([("ease", EASE(l2=5.0)), ("popular", Popularity())]).fit(X)
    found = VotingRecommender(members).fit(X)
    np.testing.assert_allclose(found.predict(X), expected.predict(X), atol=1e-12)


def test_parameters_of_members_and_dropped_ones():
    X = choices()
    members = [(name, clone(member)) for name, member in MEMBERS]
    model = VotingRecommender(members, weights=[1, 1, 5])
    assert model.get_params()["ease__l2"] == 5.0
    assert "ease" not in model.get_params(deep=False)
    model.set_params(ease__l2=7.0, popular="drop").fit(X)
    expected = VotingRecommender([("ease", EASE(l2=7.0)), MEMBERS[1]]).fit(X)
    np.testing.assert_allclose(model.predict(X), expected.predict(X), atol=1e-12)
    np.testing.assert_array_equal(model.weights_, [0.5, 0.5])
    assert model.named_estimators_["popular"] == "drop"
    assert model.named_estimators_["knn"] is model.estimators_[1]
    model.set_params(popular=GraphFilter(3)).fit(X)
    assert isinstance(model.named_estimators_["popular"], GraphFilter)


def test_search_over_a_members_parameter_and_weights():
    X = choices(shape=(90, 20))
    grid = {"ease__l2": [0.1, 20.0], "weights": [[1, 0], [1, 1]], "knn": ["drop", ItemKNN()]}
    search = GridSearchCV(
        VotingRecommender(MEMBERS[:2]), grid, cv=2, scoring="ndcg@10", error_score="raise"
    ).fit(X)
    assert len(search.cv_results_["params"]) == 8
    assert set(search.best_params_) == set(grid)
    assert search.best_estimator_.recommend(X, 3).shape == (90, 3)


def test_parameters_set_after_a_fit_wait_for_the_next():
    X = choices()
    model = VotingRecommender(MEMBERS, weights=[3, 2, 1]).fit(X)
    expected = model.predict(X)
    model.set_params(weights=None, normalize="rank", popular="drop")
    np.testing.assert_array_equal(model.predict(X), expected)
    assert not np.allclose(model.fit(X).predict(X), expected)
    raters = VotingRecommender([("a", BiasBaseline()), ("b", BiasBaseline(1.0))]).fit(ratings())
    expected = raters.predict(ratings())
    raters.set_params(normalize="zscore")
    np.testing.assert_array_equal(raters.predict(ratings()), expected)
    assert raters.__sklearn_tags__().recommender_tags.predicts_ratings
    raters.fit(ratings())
    assert vars(raters).keys() == vars(clone(raters).fit(ratings())).keys()


def test_ratings_are_averaged_and_clipped():
    X, new = ratings(), ratings(1, (9, 15))
    pairs = [("stiff", BiasBaseline()), ("loose", BiasBaseline(l2_user=0.1, l2_item=0.1))]
    X.data[X.data > 4] = 4  # so that some of the means are beyond
    free = [clone(one).set_params(clip=False).fit(X).predict(new) for _, one in pairs]
    model = VotingRecommender(pairs, weights=[1, 3]).fit(X)
    mean = free[0] / 4 + free[1] * 3 / 4
    assert mean.max() > 4
    np.testing.assert_allclose(model.predict(new), np.clip(mean, 1, 4))
    np.testing.assert_allclose(model.set_params(clip=False).predict(new), mean)
    assert model.rating_range_ == (1.0, 4.0)
    assert model.score(new) < 0
    wide = VotingRecommender([("scaled", BiasBaseline(rating_scale=(0, 10))), *pairs]).fit(X)
    assert wide.rating_range_ == (0.0, 10.0)


@pytest.mark.parametrize(
    ("pairs", "normalize", "predicts"),
    [
        ([("a", BiasBaseline()), ("b", PMF(2))], "auto", True),
        ([("a", BiasBaseline()), ("b", PMF(2))], None, True),
        ([("a", BiasBaseline()), ("b", PMF(2))], "zscore", False),
        ([("a", BiasBaseline()), ("b", EASE())], "auto", False),
        ([("a", make_pipeline(PMF(2)))], "auto", True),
    ],
)
def test_what_predicts_ratings(pairs, normalize, predicts):
    tags = VotingRecommender(pairs, normalize=normalize).__sklearn_tags__().recommender_tags
    assert tags.predicts_ratings == predicts


def test_rating_regressor_over_an_ensemble():
    X = ratings()
    pairs = np.column_stack(X.nonzero())
    members = [("bias", BiasBaseline()), ("pmf", PMF(2, random_state=0))]
    model = RatingRegressor(VotingRecommender(members, weights=[1, 2])).fit(pairs, X.data)
    alone = [RatingRegressor(clone(one)).fit(pairs, X.data).predict(pairs) for _, one in members]
    np.testing.assert_allclose(model.predict(pairs), alone[0] / 3 + alone[1] * 2 / 3, rtol=1e-5)


def test_single_ratings_of_any_member():
    X = ratings()
    members = [
        ("pmf", PMF(2, random_state=0)),
        (
            "pipeline",
            make_pipeline(FunctionTransformer(twice, accept_sparse=True), BiasBaseline()),
        ),
        ("search", GridSearchCV(BiasBaseline(), {"l2_item": [1.0, 5.0]}, cv=2)),
    ]
    model = VotingRecommender(members, clip=False).fit(X)
    users, items = np.repeat(np.arange(50), 15), np.tile(np.arange(15), 50)
    found = model._rate_pairs(model._pair_states(X), users, items)
    np.testing.assert_allclose(found, model.predict(X).ravel(), rtol=1e-5)


def test_reviews_reach_the_members_that_read_them():
    X = ratings()
    texts = np.random.default_rng(0).choice(["good tea", "bad jam", "fine nuts"], X.nnz).tolist()
    ltrs = DeepLTRS(2, n_topics=2, max_iter=1, early_stopping=False, random_state=0)
    members = [("ltrs", ltrs), ("bias", BiasBaseline())]
    alone = [clone(one).set_params(clip=False).fit(X, reviews=texts) for _, one in members]
    expected = sum(one.predict(X, reviews=texts) / 2 for one in alone)
    model = VotingRecommender(members, clip=False).fit(X, reviews=texts)
    np.testing.assert_allclose(model.predict(X, reviews=texts), expected, rtol=1e-5)
    assert not np.allclose(model.predict(X), expected)
    pairs, counts = np.column_stack(X.nonzero()), np.arange(X.nnz * 4).reshape(-1, 4) % 3
    read, unread = (
        RatingRegressor(VotingRecommender(members)).fit(rows, X.data).predict(rows)
        for rows in (np.column_stack([pairs, counts]), pairs)
    )
    assert not np.allclose(read, unread)
    stacked = StackingRecommender(members, random_state=0).fit(X, reviews=texts)
    assert stacked.predict(X, reviews=texts).shape == X.shape


def test_callbacks_of_a_member_are_called():
    class Count(Callback):
        epochs = []

        def on_epoch_end(self, net, **kwargs):
            self.epochs.append(net)

    vae = MultVAE(hidden_layer_sizes=(4,), max_iter=2, early_stopping=False, random_state=0)
    model = VotingRecommender([("vae", vae), ("popular", Popularity())])
    model.set_params(vae__callbacks=[Count()]).fit(choices())
    assert len(Count.epochs) == 2


def test_interactions_and_frames_keep_their_ids():
    X = choices()
    names = [f"item {number}" for number in range(20)]
    users = [f"user {number}" for number in range(60)]
    frame = pd.DataFrame(X.toarray(), columns=names)
    known = Interactions(X, user_ids=users, item_ids=names)
    expected = VotingRecommender(MEMBERS).fit(X).predict(X)
    for rows in (frame, known):
        model = VotingRecommender(MEMBERS).fit(rows)
        assert list(model.feature_names_in_) == names
        np.testing.assert_allclose(model.predict(rows), expected, atol=1e-5)
    assert list(model.estimators_[0].feature_names_in_) == names
    answer = skrec.recommend(model, known, users=["user 3"], k=2)
    assert len(answer) == 2


def test_frozen_members_stay_as_they_are():
    X = choices()
    ease = EASE(l2=5.0).fit(choices(2))
    model = VotingRecommender([("ease", FrozenEstimator(ease)), ("popular", Popularity())]).fit(X)
    expected = z_scores(ease.predict(X)) / 2 + z_scores(Popularity().fit(X).predict(X)) / 2
    np.testing.assert_allclose(model.predict(X), expected, atol=1e-12)
    assert model.estimators_[0].estimator is ease


def test_frozen_members_that_do_not_fit():
    X = choices()
    with pytest.raises(NotFittedError, match=r"The member 'ease' must be fitted.*EASE"):
        VotingRecommender([("ease", FrozenEstimator(EASE()))]).fit(X)
    narrow = FrozenEstimator(EASE().fit(choices(shape=(30, 12))))
    with pytest.raises(ValueError, match="X has 20 items, but the member 'ease' was fitted on 12"):
        VotingRecommender([("ease", narrow)]).fit(X)
    ids = [f"item {number}" for number in range(20)]
    named = FrozenEstimator(EASE().fit(Interactions(X, user_ids=range(60), item_ids=ids)))
    known = Interactions(X, user_ids=range(60), item_ids=ids[::-1])
    with pytest.raises(ValueError, match="in their order"):
        VotingRecommender([("ease", named)]).fit(known)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"estimators": []}, ValueError, "non-empty list of .name, estimator. pairs"),
        ({"estimators": [EASE()]}, ValueError, "pairs, for example"),
        ({"estimators": [("a", EASE()), ("a", EASE())]}, ValueError, "not unique"),
        ({"estimators": [("a__b", EASE())]}, ValueError, "must not contain __"),
        ({"estimators": [("weights", EASE())]}, ValueError, "conflict"),
        ({"estimators": [("a", EASE)]}, TypeError, "member 'a' must be an estimator"),
        ({"estimators": [("a", TfidfTransformer())]}, TypeError, "with fit and predict"),
        ({"estimators": [("a", "drop")]}, ValueError, "All estimators are dropped"),
        ({"estimators": (("a", EASE()),)}, ValueError, "'estimators' parameter"),
        ({"weights": [1, 2]}, ValueError, "one number for each of the 3 estimators"),
        ({"weights": [1, 2, "x"]}, ValueError, "one number"),
        ({"weights": [1, -1, 1]}, ValueError, "not negative"),
        ({"weights": [1, np.nan, 1]}, ValueError, "must be finite"),
        ({"weights": [[1, 1, 1]]}, ValueError, "one number for each"),
        ({"weights": [0, 0, 0]}, ValueError, "positive for at least one"),
        ({"weights": [0, 0, 1], "popular": "drop"}, ValueError, "positive for at least one"),
        ({"normalize": "softmax"}, ValueError, "normalize"),
        ({"n_jobs": 1.5}, ValueError, "n_jobs"),
        ({"ease__l2": -1}, ValueError, "l2"),
    ],
)
def test_errors_lose_nothing(changes, error, message):
    X = choices()
    members = [(name, clone(member)) for name, member in MEMBERS]
    model = VotingRecommender(members).fit(X)
    expected = model.predict(X)
    with pytest.raises(error, match=message):
        model.set_params(**changes).fit(X)
    np.testing.assert_array_equal(model.predict(X), expected)


def test_a_member_that_fails_is_named():
    with pytest.raises(ValueError) as caught:
        VotingRecommender([("ease", EASE(l2=5.0)), ("knn", ItemKNN())]).fit(-choices())
    assert "The member 'knn'" in "".join(caught.value.__notes__) or "Negative" in str(caught.value)


def test_ratings_that_a_pipeline_turns_into_choices_are_no_reason_to_warn():
    X = load_movielens_small().filter(min_users_per_item=50).X
    members = [("ease", make_pipeline(Binarizer(threshold=3.5), EASE())), ("bias", BiasBaseline())]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        VotingRecommender(members).fit(X)
    with pytest.warns(UserWarning, match="and EASE takes every entry for a choice"):
        VotingRecommender([("ease", EASE()), ("bias", BiasBaseline())]).fit(X)


def test_progress_starts_at_no_time(capsys):
    VotingRecommender([("a", Popularity()), ("b", Popularity())], verbose=True).fit(choices())
    shown = capsys.readouterr().err
    assert "VotingRecommender:   0%" in shown
    assert "0/2 [00:00<?" in shown


def test_files(tmp_path):
    X = choices()
    model = VotingRecommender(MEMBERS).fit(X)
    expected = model.predict(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), expected)
    skops.io.dump(model, tmp_path / "model.skops")
    trusted = skops.io.get_untrusted_types(file=tmp_path / "model.skops")
    known = {"numpy.dtype", "scipy.sparse._csr.csr_array"}
    assert all(name.startswith("skrec.") for name in set(trusted) - known)
    again = skops.io.load(tmp_path / "model.skops", trusted=trusted)
    np.testing.assert_array_equal(again.predict(X), expected)


def test_weights_of_any_size():
    X = choices()
    for weights in ([1e308, 1e308, 0], [5e-324, 5e-324, 0]):
        model = VotingRecommender(MEMBERS, weights=weights).fit(X)
        np.testing.assert_array_equal(model.weights_, [0.5, 0.5, 0])


def test_data_without_an_entry():
    X = sparse.csr_array((10, 6))
    model = VotingRecommender([("a", BiasBaseline()), ("b", BiasBaseline(1.0))]).fit(X)
    np.testing.assert_array_equal(model.predict(X), np.zeros((10, 6)))


def test_members_are_fitted_in_processes():
    X = choices()
    expected = VotingRecommender(MEMBERS).fit(X).predict(X)
    found = VotingRecommender(MEMBERS, n_jobs=2, verbose=True).fit(X).predict(X)
    np.testing.assert_allclose(found, expected)
