"""RatingKNN: its formulas in plain loops, Surprise's answers, and where the two differ."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.model_selection import GridSearchCV
from surprise_answers import surprise_answers

from skrec import BiasBaseline, RatingKNN, RatingRegressor
from skrec.neighbors import _rating_knn
from skrec.solvers._offsets import fit_offsets
from skrec.solvers._rating_neighbors import similarities

SIMILARITIES = ["cosine", "msd", "pearson", "pearson_baseline"]
CENTERS = ["none", "mean", "zscore", "baseline"]


def matrix(seed=0, shape=(25, 12), density=0.5):
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < density) * rng.integers(1, 11, shape) / 2


def unclipped(**parameters):
    if parameters["similarity"] == "msd":
        parameters.setdefault("msd_scale", 1.0)  # as Surprise has it
    return RatingKNN(clip=False, **parameters)


class ByHand:
    """Answers to one row, from rows and columns of the training matrix; 0 where there is none."""

    def __init__(self, X, based_on, similarity, center, k, min_neighbors, min_support, shrinkage):
        self.X, self.of_users = X, based_on == "user"
        self.similarity, self.center = similarity, center
        self.k, self.min_neighbors = k, min_neighbors
        self.min_support, self.shrinkage = min_support, shrinkage
        self.mean, self.items = fit_offsets(sparse.csr_array(X), 15.0, 10.0)
        self.residuals = np.array([self.residual(row) for row in X])

    def user_offset(self, row):
        rated = row > 0
        return (row - self.mean - self.items)[rated].sum() / (rated.sum() + 15.0)

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
    X[3, 5:] = 0
    X[3, :3] = 2  # a deviation of 0
    rows = np.vstack([X[:5], matrix(1, (3, 12), 0.4)])
    for k, min_neighbors, min_support, shrinkage in ((20, 1, 1, 0), (4, 3, 4, 10.0)):
        by_hand = ByHand(
            X, based_on, similarity, center, k, min_neighbors, min_support, shrinkage
        )
        model = unclipped(
            n_neighbors=k,
            based_on=based_on,
            similarity=similarity,
            center=center,
            min_neighbors=min_neighbors,
            min_support=min_support,
            shrinkage=shrinkage,
        ).fit(X)
        expected = [[by_hand.rating(row, item) for item in range(X.shape[1])] for row in rows]
        np.testing.assert_allclose(model.predict(rows), expected, atol=1e-9)


@pytest.mark.parametrize("based_on", ["user", "item"])
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("center", CENTERS)
def test_surprise(based_on, similarity, center):
    answers = surprise_answers()
    X = np.array(answers["X"], dtype=float)
    of_settings = {"based_on": based_on, "similarity": similarity, "center": center}
    n_compared = 0
    for found in answers["knn"]:
        if all(found[name] == value for name, value in of_settings.items()):
            limits = {name: found[name] for name in ("n_neighbors", "min_neighbors")}
            model = unclipped(**of_settings, **limits, min_support=found["min_support"]).fit(X)
            different = np.abs(model.predict(X) - found["ratings"]) > 1e-4
            assert not (different & (X == 0)).any()
            n_compared += 1
    assert n_compared == 3
