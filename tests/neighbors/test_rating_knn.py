"""RatingKNN: its formulas in plain loops, Surprise's answers, and where the two differ."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.model_selection import GridSearchCV
from surprise_answers import surprise_answers

from skrec import RatingKNN, RatingRegressor
from skrec.neighbors._rating_sides import most_similarities
from skrec.solvers._offsets import fit_offsets
from skrec.utils import _memory

SIMILARITIES = ["cosine", "msd", "pearson", "pearson_baseline"]
CENTERS = ["none", "mean", "zscore", "baseline"]


def matrix(seed=0, shape=(16, 9), density=0.5):
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < density) * rng.integers(1, 11, shape) / 2


def as_surprise(**parameters):
    """As Surprise has it by default."""
    if parameters["similarity"] == "msd":
        parameters["msd_scale"] = 1.0
    if parameters["similarity"] == "pearson_baseline":
        parameters.setdefault("shrinkage", 100)
    return RatingKNN(clip=False, l2_user=15, l2_item=10, **parameters)


class ByHand:
    """Answers to one row, from rows and columns of the training matrix; 0 where there is none."""

    def __init__(
        self,
        X,
        based_on,
        similarity,
        center,
        k,
        min_neighbors,
        min_support,
        shrinkage,
        l2=(15.0, 10.0),
    ):
        self.X, self.of_users = X, based_on == "user"
        self.similarity, self.center = similarity, center
        self.k, self.min_neighbors = k, min_neighbors
        self.min_support, self.shrinkage = min_support, shrinkage
        self.mean, self.items = fit_offsets(sparse.csr_array(X), *l2)
        self.l2_user = l2[0]
        self.residuals = np.array([self.residual(row) for row in X])

    def user_offset(self, row):
        rated = row > 0
        return (row - self.mean - self.items)[rated].sum() / (rated.sum() + self.l2_user)

    def residual(self, row):
        return np.where(row > 0, row - self.mean - self.items - self.user_offset(row), np.nan)

    def center_of(self, row, item):
        """Location and scale of a rating of the item in the row."""
        if self.center == "baseline":
            return self.mean + self.user_offset(row) + self.items[item], 1.0
        ratings = row if self.of_users else self.X[:, item]
        ratings = ratings[ratings > 0]
        if self.center == "none" or len(ratings) == 0:
            return self.mean, 1.0
        scale = 1.0
        if self.center == "zscore":
            scale = ratings.std() or self.X[self.X > 0].std()
        return ratings.mean(), scale

    def similar(self, a, b, a_residual, b_residual):
        common = (a > 0) & (b > 0)
        n = common.sum()
        if self.similarity == "pearson_baseline":
            a, b = a_residual, b_residual
        a, b = a[common], b[common]
        if n < self.min_support or (n < 2 and self.similarity.startswith("pearson")):
            return 0.0
        if self.similarity == "msd":
            value = 1 / (((a - b) ** 2).mean() + 1)
        elif self.similarity == "pearson":
            value = np.corrcoef(a, b)[0, 1] if np.ptp(a) and np.ptp(b) else 0.0
        else:
            value = (a @ b) / np.sqrt((a @ a) * (b @ b))
        return value * (n - 1) / (n - 1 + self.shrinkage) if self.shrinkage else value

    def rating(self, row, item):
        X, residuals = self.X, self.residuals
        own, found = self.residual(row), []
        if self.of_users:
            for other, of_other in zip(X, residuals, strict=True):
                if other[item] > 0:
                    value = self.similar(row, other, own, of_other)
                    found.append((value, other[item], *self.center_of(other, item)))
        else:
            for other in np.flatnonzero(row):
                pair = X[:, item], X[:, other], residuals[:, item], residuals[:, other]
                found.append((self.similar(*pair), row[other], *self.center_of(row, other)))
        nearest = sorted(found, key=lambda one: -round(one[0], 9))[: self.k]
        nearest = [one for one in nearest if one[0] > 1e-9]
        location, scale = self.center_of(row, item)
        if len(nearest) < self.min_neighbors:
            return location
        deviations = [(rating - place) / size for _, rating, place, size in nearest]
        return location + scale * np.average(deviations, weights=[one[0] for one in nearest])


@pytest.mark.parametrize("based_on", ["user", "item"])
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("center", CENTERS)
def test_formula(based_on, similarity, center):
    X = matrix()
    X[4] = X[:, 6] = 0
    X[3] = [2, 2, 2, 0, 0, 0, 0, 0, 2]  # a deviation of 0
    rows = np.vstack([X[3:5], matrix(1, (2, 9))])
    for k, min_neighbors, min_support, shrinkage in ((20, 1, 1, 0), (3, 2, 3, 10.0)):
        limits = k, min_neighbors, min_support, shrinkage
        by_hand = ByHand(X, based_on, similarity, center, *limits)
        model = as_surprise(
            n_neighbors=k,
            based_on=based_on,
            similarity=similarity,
            center=center,
            min_neighbors=min_neighbors,
            min_support=min_support,
            shrinkage=shrinkage,
        ).fit(X)
        expected = [[by_hand.rating(row, item) for item in range(9)] for row in rows]
        np.testing.assert_allclose(model.predict(rows), expected, atol=1e-9)


@pytest.mark.parametrize("based_on", ["user", "item"])
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("center", CENTERS)
def test_surprise(based_on, similarity, center):
    answers = surprise_answers()
    X = np.array(answers["X"], dtype=float)
    setting = {"based_on": based_on, "similarity": similarity, "center": center}
    n_compared = 0
    for found in answers["knn"]:
        if all(found[name] == value for name, value in setting.items()):
            names = "n_neighbors", "min_neighbors", "min_support"
            model = as_surprise(**setting, **{name: found[name] for name in names}).fit(X)
            is_unrated = X == 0
            np.testing.assert_allclose(
                model.predict(X)[is_unrated], np.array(found["ratings"])[is_unrated], atol=1e-5
            )
            n_compared += 1
    assert n_compared == 3


def test_surprise_takes_an_item_and_itself_for_similar_by_1():
    answers = surprise_answers()
    X = np.array(answers["X"], dtype=float)
    differs = {}
    for found in answers["knn"]:
        if (found["based_on"], found["center"], found["n_neighbors"]) == ("item", "none", 40):
            model = as_surprise(similarity=found["similarity"], center="none").fit(X)
            differs[found["similarity"]] = np.abs(model.predict(X) - found["ratings"]) > 1e-4
    assert not differs["cosine"].any()
    assert not differs["msd"].any()
    # There the rating itself counts by what its support leaves of the 1.
    assert differs["pearson_baseline"].sum() > 90
    assert not differs["pearson_baseline"][X == 0].any()


@pytest.mark.parametrize("similarity", ["cosine", "msd", "pearson"])
def test_rounding_does_not_decide_between_neighbours_that_are_equally_similar(similarity):
    # Whole and half stars, of which few are in common, have many equal similarities. Surprise
    # computes with the stars, where some are equal and others are not, by the last digit.
    X = matrix(2, (40, 20), 0.3)
    parameters = {"n_neighbors": 2, "center": "mean", "clip": False, "similarity": similarity}
    for based_on in ("user", "item"):
        model = RatingKNN(based_on=based_on, **parameters)
        expected = model.fit(X).predict(X)
        for unit in (0.1, 1 / 3, 7.7):
            found = model.fit(unit * X).predict(unit * X) / unit
            np.testing.assert_allclose(found, expected, atol=1e-9)
        single = X.astype(np.float32)
        np.testing.assert_allclose(model.fit(single).predict(single), expected, atol=1e-6)


@pytest.mark.parametrize("based_on", ["user", "item"])
def test_correlations_know_no_level(based_on):
    X = matrix(3, (40, 20), 0.5)
    X[:5] = np.where(X[:5] > 0, 0.7, 0)  # no variance, whatever the rounding of sums
    parameters = {"based_on": based_on, "similarity": "pearson", "center": "mean", "clip": False}
    model = RatingKNN(5, **parameters).fit(X)
    shifted = np.where(X > 0, X + 1e6, 0)
    raised = RatingKNN(5, **parameters).fit(shifted)
    np.testing.assert_allclose(raised.predict(shifted) - 1e6, model.predict(X), atol=1e-5)


def test_a_constant_user_has_no_correlation():
    X = np.array([[0.7, 0.7, 0.7, 0], [0.1, 0.3, 0.6, 0.9], [0.6, 0.3, 0.1, 0.2]])
    model = RatingKNN(based_on="user", similarity="pearson", center="mean").fit(X)
    np.testing.assert_allclose(model.predict(X[:1]), 0.7)


def test_equal_similarities_of_all_items_make_the_mean_of_the_row():
    X = np.repeat(np.arange(1.0, 6)[:, None], 6, axis=1)
    model = RatingKNN(6, similarity="msd", center="none").fit(X)
    rows = [[1, 5, 3, 0, 0, 4], [2, 0, 0, 0, 0, 0]]
    np.testing.assert_allclose(model.predict(rows), np.repeat([[3.25], [2]], 6, axis=1))


def test_opposite_tastes_are_no_neighbours():
    X = np.array([[5, 1, 5], [1, 5, 1], [2, 4, 0]], dtype=float)
    model = RatingKNN(based_on="user", similarity="pearson", center="none").fit(X)
    np.testing.assert_allclose(model.predict([[2, 4, 0]])[0, 2], 1)
    # A cosine below 0 counts as little.
    centered = np.where(X > 0, X - 3, 0)
    model = RatingKNN(based_on="user", similarity="cosine", center="none").fit(centered)
    np.testing.assert_allclose(model.predict([[-1, 1, 0]])[0, 2], -2)


@pytest.mark.parametrize("based_on", ["user", "item"])
def test_pairs_in_blocks_of_any_size(based_on):
    X = matrix(4, (60, 30), 0.4)
    model = RatingKNN(3, based_on=based_on, clip=False).fit(X)
    users, items = np.random.default_rng(0).integers(0, 30, (2, 500))
    expected = model.predict(X)[users, items]
    for working_memory, n_jobs in ((0.001, 1), (0.001, 3), (1024, 1)):
        with config_context(working_memory=working_memory):
            model.set_params(n_jobs=n_jobs)
            found = model._rate_pairs(model._pair_states(sparse.csr_array(X)), users, items)
        np.testing.assert_allclose(found, expected)


def test_differences_are_in_the_unit_that_is_asked_for():
    X = matrix(5)
    standard = RatingKNN(3, similarity="msd").fit(X)
    in_ratings = RatingKNN(3, similarity="msd", msd_scale=X[X > 0].std()).fit(X)
    np.testing.assert_allclose(in_ratings.predict(X), standard.predict(X))
    for based_on in ("user", "item"):
        wide = RatingKNN(9, similarity="msd", msd_scale=1e6, center="none", based_on=based_on)
        flat = RatingKNN(9, similarity="cosine", center="none", based_on=based_on)
        ratings = X[:, :1] if based_on == "user" else X[:1].T
        row, item = (3, 0) if based_on == "user" else (0, 3)
        assert not np.allclose(flat.fit(X).predict(X)[row, item], ratings[ratings > 0].mean())
        np.testing.assert_allclose(wide.fit(X).predict(X)[row, item], ratings[ratings > 0].mean())


def test_shrinkage_of_none():
    X = matrix(6)
    for similarity, shrinkage in (("pearson_baseline", 200), ("pearson", 0), ("msd", 0)):
        model = RatingKNN(similarity=similarity).fit(X)
        expected = RatingKNN(similarity=similarity, shrinkage=shrinkage).fit(X).predict(X)
        np.testing.assert_array_equal(model.predict(X), expected)
        other = RatingKNN(similarity=similarity, shrinkage=shrinkage + 50).fit(X).predict(X)
        assert not np.allclose(model.predict(X), other)


def test_similar_items():
    X = matrix(6, (40, 8), 0.6)
    indices, scores = RatingKNN(shrinkage=5).fit(X).similar_items([0, 2], 7, return_scores=True)
    by_hand = ByHand(X, "item", "pearson_baseline", "none", 40, 1, 1, 5.0, l2=(5.0, 3.0))
    for item, found, similar in zip([0, 2], indices, scores, strict=True):
        pairs = [(X[:, i], by_hand.residuals[:, i]) for i in range(8)]
        of_item, residuals = pairs[item]
        expected = [by_hand.similar(of_item, x, residuals, own) for x, own in pairs]
        expected[item] = -1
        expected = np.maximum(expected, [-1 if i == item else 0 for i in range(8)])
        order = np.argsort(-expected, kind="stable")[:7]
        np.testing.assert_array_equal(found, order)
        np.testing.assert_allclose(similar, expected[order], atol=1e-9)
    assert not hasattr(RatingKNN(based_on="user").fit(X), "similar_items")


def test_parameters_set_after_a_fit_wait_for_the_next():
    X = matrix(7)
    model = RatingKNN(2).fit(X)
    before = model.predict(X)
    model.set_params(n_neighbors=9, based_on="user", similarity="msd", center="mean", l2_user=99)
    np.testing.assert_array_equal(model.predict(X), before)
    assert model.similar_items([0], 2).shape == (1, 2)
    fresh = RatingKNN(9, based_on="user", similarity="msd", center="mean")
    np.testing.assert_array_equal(model.fit(X).predict(X), fresh.fit(X).predict(X))
    assert not hasattr(model.set_params(based_on="item"), "similar_items")


@pytest.mark.parametrize("based_on", ["user", "item"])
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("center", CENTERS)
def test_one_rating_and_constant_ratings(based_on, similarity, center):
    model = RatingKNN(based_on=based_on, similarity=similarity, center=center)
    for X in ([[0, 4, 0], [0, 0, 0]], np.full((4, 3), 4) - 4 * np.eye(4, 3)):
        np.testing.assert_allclose(model.fit(X).predict(X), 4)


def test_search_over_pairs():
    X = sparse.coo_array(matrix(8, (40, 12)))
    pairs = np.column_stack(X.coords)
    grid = {"estimator__based_on": ["user", "item"], "estimator__center": ["none", "baseline"]}
    search = GridSearchCV(RatingRegressor(RatingKNN()), grid, cv=2, error_score="raise")
    search.fit(pairs, X.data)
    assert len(set(search.cv_results_["mean_test_score"])) == 4
    expected = search.best_estimator_.estimator_.predict(
        sparse.hstack([X, sparse.csr_array((40, 1))])
    )
    np.testing.assert_allclose(search.predict(pairs), expected[tuple(X.coords)])


@pytest.mark.parametrize("density", [0.1, 0.6])
def test_more_similarities_than_memory_holds(density, monkeypatch):
    X = sparse.csr_array(matrix(9, (30, 20), density))
    bound = most_similarities(X.T.tocsr(), X)
    n_shared = ((X > 0).astype(int).T @ (X > 0).astype(int)).nnz
    assert n_shared <= bound <= min(400, 2 * n_shared)
    monkeypatch.setattr(_memory, "available_memory", lambda: 24 * bound - 1)
    with pytest.raises(MemoryError, match=r"similarities of 20 items needs .*based_on='user'"):
        RatingKNN().fit(X)
    RatingKNN(based_on="user").fit(X)
    monkeypatch.setattr(_memory, "available_memory", lambda: 24 * bound)
    RatingKNN().fit(X)


def peak(work):
    tracemalloc.start()
    work()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def test_similarities_of_users_are_held_for_few_rows_at_a_time():
    X = sparse.csr_array(matrix(10, (8000, 20)))
    model = RatingKNN(based_on="user", n_jobs=1, clip=False).fit(X)
    expected = model.predict(X[:100])
    with config_context(working_memory=2):
        assert (
            peak(lambda: model.predict(X[:100])) < 6e6
        )  # all of them are 19 MB, once put together
        np.testing.assert_array_equal(model.predict(X[:100]), expected)


def test_pairs_of_all_items_do_not_copy_the_similarities():
    X = sparse.csr_array(matrix(11, (40, 1000)))
    model = RatingKNN(n_jobs=1).fit(X)
    states, items = model._pair_states(X), np.arange(1000)
    with config_context(working_memory=1):
        assert peak(lambda: model._rate_pairs(states, 0 * items, items)) < 2e6
    assert model._nearest.similarities.nnz * 12 > 5e6


def test_errors():
    X = matrix()
    with pytest.raises(ValueError, match=r"min_neighbors=5 must be at most n_neighbors=4.*small"):
        RatingKNN(4, min_neighbors=5).fit(X)
    with pytest.raises(ValueError, match=r"msd_scale=1 has no meaning with similarity='cosine'"):
        RatingKNN(similarity="cosine", msd_scale=1).fit(X)
    with pytest.raises(ValueError, match="similarity"):
        RatingKNN(similarity="jaccard").fit(X)
