"""StackingRecommender: weights known beforehand, users who are held out, what it refuses."""

import pickle
from functools import partial

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit, cross_validate

from skrec import (
    EASE,
    PMF,
    BaseRecommender,
    BiasBaseline,
    ItemKNN,
    Popularity,
    StackingRecommender,
    VotingRecommender,
)
from skrec.ensemble._candidates import Candidates, find_candidates
from skrec.ensemble._held_out import held_out_parts
from skrec.ensemble._weight_search import least_squares_weights, search_weights
from skrec.metrics import ndcg, ranking_scorer
from skrec.model_selection import fold_in_split
from skrec.utils._blocks import top_k

MEMBERS = [("ease", EASE(l2=5.0)), ("knn", ItemKNN(n_neighbors=8))]


def two_groups(n_users=120, n_items=30, seed=0):
    """Users choose most of the items of their own half, so that EASE knows what is hidden."""
    rng = np.random.default_rng(seed)
    own = np.kron(np.eye(2), np.ones((n_users // 2, n_items // 2))) > 0
    return sparse.csr_array(own & (rng.random(own.shape) < 0.7), dtype=np.float64)


class Noise(BaseRecommender):
    """Scores that depend on the row, and on nothing that is in it."""

    def _fit(self, X):
        self.n_ = X.shape[1]

    def _score_rows(self, X):
        seeds = (X @ np.arange(1, self.n_ + 1)).astype(int)
        return np.array([np.random.default_rng(seed).normal(size=self.n_) for seed in seeds])


class Half(EASE):
    """EASE for some of the items, and nothing to say of the others."""

    def __init__(self, first=True):
        super().__init__(l2=5.0)
        self.first = first

    def _score_rows(self, X):
        scores = super()._score_rows(X)
        half = X.shape[1] // 2
        scores[:, slice(half, None) if self.first else slice(half)] = 0.0
        return scores


def test_all_weight_on_the_good_member():
    for pairs in ([("good", EASE(l2=5.0)), ("noise", Noise())], [("n", Noise()), ("g", EASE())]):
        model = StackingRecommender(pairs, random_state=0).fit(two_groups())
        good = [isinstance(one, EASE) for one in model.estimators_]
        assert model.weights_[good] >= 0.9
        assert model.validation_score_ >= model.member_scores_.max()


def test_members_that_know_half_of_the_items_are_both_kept():
    pairs = [("first", Half(True)), ("second", Half(False)), ("noise", Noise())]
    X = two_groups()[:, np.random.default_rng(0).permutation(30)]  # of both groups in each half
    model = StackingRecommender(pairs, cv=3, random_state=0).fit(X)
    assert model.weights_[:2].min() >= 0.25 > model.weights_[2]
    assert model.validation_score_ > model.member_scores_.max() + 0.03


@pytest.mark.parametrize("best", [(0.25, 0.75), (1 / 3, 2 / 3), (0.1, 0.2, 0.7), (0.0, 1.0)])
def test_search_finds_a_known_optimum(best):
    tried = []

    def values_of(weights):
        tried.append(weights.copy())
        return np.append(np.full(5, 1 - np.square(weights - best).sum()), np.nan)

    found = search_weights(values_of, len(best))
    np.testing.assert_allclose(found, best, atol=0.03)
    errors = [np.square(weights - best).sum() for weights in tried]
    np.testing.assert_array_equal(found, tried[np.argmin(errors)])
    for weights in tried:
        assert weights.sum() == pytest.approx(1)
        assert (weights >= 0).all()


def test_known_weights_are_found_from_lists():
    rng = np.random.default_rng(0)
    visible, n_items = sparse.csr_array((150, 60)), 60
    scores = rng.normal(size=(3, 150, n_items)).astype(np.float32)
    truth = np.tensordot([0.6, 0.4, 0.0], scores, axes=1)
    hidden = sparse.csr_array(truth >= np.sort(truth, axis=1)[:, [-8]], dtype=float)
    found = Candidates(visible, hidden, np.tile(np.arange(n_items), (150, 1)), scores)

    def values_of(weights):
        return ndcg(found.rank(weights, 20), hidden, per_user=True)

    weights = search_weights(values_of, 3)
    np.testing.assert_allclose(weights, [0.6, 0.4, 0.0], atol=0.02)
    assert np.nanmean(values_of(weights)) > 0.99


def test_permuted_members_have_permuted_weights():
    X = two_groups()
    pairs = [("first", Half(True)), ("popular", Popularity()), ("second", Half(False))]
    model, other = (
        StackingRecommender(some, random_state=0).fit(X) for some in (pairs, pairs[::-1])
    )
    np.testing.assert_allclose(model.weights_, other.weights_[::-1], atol=1e-12)
    np.testing.assert_allclose(model.predict(X), other.predict(X), atol=1e-12)


def test_answers_are_those_of_voting_with_the_weights():
    X = two_groups()
    model = StackingRecommender(MEMBERS, normalize="rank", random_state=0).fit(X)
    voting = VotingRecommender(MEMBERS, weights=model.weights_, normalize="rank").fit(X)
    np.testing.assert_allclose(model.predict(X), voting.predict(X), atol=1e-12)
    assert model.weights_.sum() == pytest.approx(1)


@pytest.mark.parametrize("member", [EASE(l2=5.0), Popularity(), BiasBaseline()])
def test_one_member_is_the_ensemble(member):
    X = two_groups()
    X.data *= 1 + np.arange(X.nnz) % 5 if isinstance(member, BiasBaseline) else 1
    model = StackingRecommender([("one", member)], random_state=0).fit(X)
    alone = clone(member).fit(X)
    np.testing.assert_array_equal(model.weights_, [1])
    np.testing.assert_array_equal(model.predict(X), alone.predict(X))
    np.testing.assert_array_equal(model.recommend(X, 30), alone.recommend(X, 30))


def test_kept_items_rank_as_all_do():
    X = two_groups()
    visible, hidden = fold_in_split(X, random_state=0)
    members = [clone(member).fit(X) for _, member in MEMBERS]
    weights = np.array([0.3, 0.7])
    scores = VotingRecommender(MEMBERS, weights=weights).fit(X).predict(visible)
    expected = top_k(np.where(visible.toarray() > 0, -np.inf, scores.astype(np.float32)), 10)[0]
    found = find_candidates(members, visible, hidden, None, "zscore", 30)
    agree = found.rank(weights, 10) == expected  # but for ties of float32
    assert agree.mean() > 0.95
    np.testing.assert_allclose(ndcg(found.rank(weights, 10), hidden), ndcg(expected, hidden))
    few = find_candidates(members, visible, hidden, None, "zscore", 3)
    for member, alone in enumerate(members):
        best = few.rank(np.eye(2)[member], 3)
        np.testing.assert_array_equal(best[:, 0], alone.recommend(visible, 1)[:, 0])
    kept = few.rank(weights, 30)
    for user in range(X.shape[0]):
        assert np.isin(hidden[[user]].indices, kept[user]).all()
        assert not np.isin(visible[[user]].indices, kept[user]).any()
    halves = [
        find_candidates(members, visible[rows], hidden[rows], None, "zscore", 3)
        for rows in (slice(50), slice(50, None))
    ]
    joined = Candidates.joined(halves)
    np.testing.assert_array_equal(joined.rank(weights, 5), few.rank(weights, 5))
    assert (joined.visible != visible).nnz == 0


@pytest.mark.parametrize("seed", range(4))
def test_least_squares_weights_are_the_best_mixture(seed):
    rng = np.random.default_rng(seed)
    ratings = rng.normal(size=300)
    predicted = ratings[:, None] + rng.normal(size=(300, 3)) * [1.0, 0.5, 2.0] + [0, 0.1 * seed, 0]
    found = least_squares_weights(predicted, ratings)

    def error(weights):
        return np.square(predicted @ weights - ratings).mean()

    best = minimize(
        error,
        np.full(3, 1 / 3),
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        tol=1e-12,
    )
    np.testing.assert_allclose(found, best.x, atol=1e-4)
    np.testing.assert_allclose(least_squares_weights(7 * predicted, 7 * ratings), found)


def test_least_squares_weights_by_hand():
    ratings = np.array([1.0, 2.0, 3.0])
    above, below, far = ratings + 1, ratings - 3, ratings + 9
    weights = least_squares_weights(np.column_stack([above, below, far]), ratings)
    np.testing.assert_allclose(weights, [0.75, 0.25, 0], atol=1e-12)
    perfect = least_squares_weights(np.column_stack([above, ratings]), ratings)
    np.testing.assert_allclose(perfect, [0, 1], atol=1e-12)
    same = least_squares_weights(np.column_stack([ratings, ratings]), ratings)
    assert same.sum() == pytest.approx(1)


def test_ratings_are_mixed_by_least_squares():
    rng = np.random.default_rng(0)
    quality = rng.normal(size=20)
    X = sparse.csr_array(
        (rng.random((80, 20)) < 0.5) * (3 + quality + 0.2 * rng.normal(size=(80, 20)))
    )
    pairs = [("bias", BiasBaseline()), ("mean", BiasBaseline(l2_user=1e9, l2_item=1e9))]
    model = StackingRecommender(pairs, random_state=0).fit(X)
    assert model.weights_[0] > 0.95
    assert model.validation_score_ >= model.member_scores_.max() - 1e-12
    assert model.__sklearn_tags__().recommender_tags.predicts_ratings
    ranker = StackingRecommender(pairs, metric="ndcg@5", random_state=0).fit(X)
    assert not ranker.__sklearn_tags__().recommender_tags.predicts_ratings


class Spy(Popularity):
    """Remembers what it was fitted on and asked about."""

    log = []

    def _fit(self, X, sample_weight):
        self.log.append(("fit", X.shape[0], X.sum(axis=1)))
        super()._fit(X, sample_weight)

    def _score_rows(self, X):
        self.log.append(("score", X.shape[0], X.nnz))
        return super()._score_rows(X)


@pytest.mark.parametrize(
    ("cv", "fits", "scored"),
    [
        (None, [80, 100], 20),
        (4, [75] * 4 + [100], 100),
        (ShuffleSplit(2, test_size=0.1, random_state=0), [90, 90, 100], 20),
        ([(np.arange(60), np.arange(60, 100))], [60, 100], 40),
    ],
)
def test_members_do_not_know_the_users_who_are_held_out(cv, fits, scored):
    X = sparse.csr_array(np.random.default_rng(0).random((100, 12)) < 0.5, dtype=float)
    Spy.log.clear()
    StackingRecommender([("spy", Spy()), ("other", Popularity())], cv=cv, random_state=0).fit(X)
    assert [n for verb, n, _ in Spy.log if verb == "fit"] == fits
    assert sum(n for verb, n, _ in Spy.log if verb == "score") == scored


def test_users_with_one_entry_are_not_held_out():
    X = sparse.csr_array(np.vstack([np.eye(12)] * 5 + [np.ones((20, 12))]))
    Spy.log.clear()
    StackingRecommender([("spy", Spy())], random_state=0).fit(X)
    assert np.unique(Spy.log[0][2], return_counts=True)[1].tolist() == [60, 4]


def test_folds_are_drawn():
    X = sparse.csr_array(np.tril(np.ones((40, 60)), 20))
    known = []
    for seed in (0, 1):
        Spy.log.clear()
        StackingRecommender([("spy", Spy())], cv=4, random_state=seed).fit(X)
        known.append(Spy.log[0][2].tolist())
    assert known[0] != known[1]


def test_the_score_on_held_out_users_is_that_of_all_items():
    X = sparse.csr_array(np.random.default_rng(0).random((150, 400)) < 0.05, dtype=float)
    members = [("knn", ItemKNN(50)), ("ease", EASE(l2=5))]
    model = StackingRecommender(members, metric="recall@5", random_state=0).fit(X)

    def fit(rows, reviews):
        return [clone(one).fit(rows) for _, one in members]

    ((fitted, visible, hidden, _),) = held_out_parts(fit, X, None, None, 0)
    frozen = [(str(place), FrozenEstimator(one)) for place, one in enumerate(fitted)]
    scorer = ranking_scorer("recall@5")
    for weights, score in zip(
        [model.weights_, [1, 0], [0, 1]],
        [model.validation_score_, *model.member_scores_],
        strict=True,
    ):
        ensemble = VotingRecommender(frozen, weights=weights).fit(visible)
        assert score == pytest.approx(scorer(ensemble, visible, hidden))


def test_no_held_out_user_is_in_the_training_of_a_fold():
    X = sparse.csr_array(np.tril(np.ones((40, 60)), 20))  # rows of different lengths
    Spy.log.clear()
    StackingRecommender([("spy", Spy())], cv=KFold(4), random_state=0).fit(X)
    lengths = [sums for verb, _, sums in Spy.log if verb == "fit"]
    for fold, known in enumerate(lengths[:4]):
        held_out = X[10 * fold : 10 * fold + 10].sum(axis=1)
        assert not np.isin(held_out, known).any()
    hidden = [nnz for verb, _, nnz in Spy.log if verb == "score"]
    assert sum(hidden) < X.nnz


def test_prefit_members_stay():
    X = two_groups()
    fitted = [(name, clone(member).fit(two_groups(seed=1))) for name, member in MEMBERS]
    model = StackingRecommender(fitted, cv="prefit", random_state=0).fit(X)
    assert all(one is member for one, (_, member) in zip(model.estimators_, fitted, strict=True))
    visible, hidden = fold_in_split(X, random_state=np.random.RandomState(0))
    alone = [ndcg(member.recommend(visible, 30), hidden) for _, member in fitted]
    np.testing.assert_allclose(model.member_scores_, alone, atol=1e-3)


def test_prefit_members_in_cross_validation():
    X = two_groups()
    members = [("ease", EASE(l2=5).fit(X)), ("popular", Popularity().fit(X))]
    with pytest.raises(NotFittedError, match="keep what is in a FrozenEstimator"):
        clone(StackingRecommender(members, cv="prefit")).fit(X)
    frozen = [(name, FrozenEstimator(one)) for name, one in members]
    model = StackingRecommender(frozen, cv="prefit", random_state=0)
    scores = cross_validate(model, X, cv=2, error_score="raise")["test_score"]
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("metric", ["recall@5", "map@10", "hit_rate@1", "novelty@5"])
def test_any_metric_with_values_of_users(metric):
    X = two_groups()
    pairs = [*MEMBERS, ("popular", Popularity())]
    model = StackingRecommender(pairs, metric=metric, random_state=0).fit(X)
    scores = np.append(model.member_scores_, model.validation_score_)
    assert np.isfinite(scores).all()


def test_a_seed_decides():
    X = two_groups()
    fit = partial(StackingRecommender(MEMBERS, random_state=3).fit, X)
    first, again = fit().member_scores_, fit().member_scores_
    np.testing.assert_array_equal(first, again)
    other = StackingRecommender(MEMBERS, random_state=4).fit(X).member_scores_
    assert not np.array_equal(first, other)


def test_search_over_members_and_metric():
    grid = {"ease__l2": [1.0, 10.0], "metric": ["ndcg@10", "recall@5"]}
    model = StackingRecommender(MEMBERS, random_state=0)
    search = GridSearchCV(model, grid, cv=2, scoring=ranking_scorer("ndcg@10")).fit(two_groups())
    assert search.best_estimator_.named_estimators_["ease"].l2 in (1.0, 10.0)
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    X = two_groups()
    np.testing.assert_array_equal(again.predict(X), search.predict(X))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"metric": "ndcg"}, ValueError, "needs a cut-off"),
        ({"metric": "accuracy@3"}, ValueError, "Unknown metric"),
        ({"metric": "coverage@3"}, ValueError, "of all lists together"),
        ({"metric": "neg_rmse"}, ValueError, "all predict ratings"),
        ({"metric": "neg_mae"}, ValueError, "neg_mae"),
        ({"cv": 1}, ValueError, "cv"),
        ({"cv": "prefix"}, ValueError, "cv"),
        ({"cv": "prefit"}, NotFittedError, "The member 'ease' must be fitted"),
        ({"cv": 1000}, ValueError, "n_splits=1000"),
        ({"random_state": "x"}, ValueError, "random_state"),
        ({"ease": "drop", "knn": "drop"}, ValueError, "All estimators are dropped"),
    ],
)
def test_errors_lose_nothing(changes, error, message):
    X = two_groups()
    pairs = [(name, clone(member)) for name, member in MEMBERS]
    model = StackingRecommender(pairs, random_state=0).fit(X)
    expected = model.predict(X)
    with pytest.raises(error, match=message):
        model.set_params(**changes).fit(X)
    np.testing.assert_array_equal(model.predict(X), expected)


def test_users_with_one_entry_tell_nothing():
    with pytest.raises(ValueError, match=r"two entries at least.*n_samples=20"):
        StackingRecommender([("popular", Popularity())]).fit(sparse.csr_array(np.eye(20)))
    with pytest.raises(ValueError, match="two entries at least"):
        StackingRecommender([("popular", Popularity())], cv=2).fit(sparse.csr_array(np.eye(20)))


def test_rating_members_of_different_kinds():
    rng = np.random.default_rng(0)
    X = sparse.csr_array((rng.random((40, 12)) < 0.5) * rng.integers(1, 6, (40, 12)), dtype=float)
    model = StackingRecommender(
        [("pmf", PMF(2, random_state=0)), ("bias", BiasBaseline())], random_state=0
    ).fit(X)
    assert model.predict(X).min() >= 1
    assert model.score(X) < 0
