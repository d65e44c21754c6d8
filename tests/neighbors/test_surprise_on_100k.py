"""RatingKNN and SlopeOne beside Surprise itself, where it is installed, on a fold of ML-100K."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from skrec import RatingKNN, RatingRegressor, SlopeOne

surprise = pytest.importorskip("surprise", reason="needs scikit-surprise")
pytestmark = pytest.mark.slow

KNN = {
    "none": surprise.KNNBasic,
    "mean": surprise.KNNWithMeans,
    "zscore": surprise.KNNWithZScore,
    "baseline": surprise.KNNBaseline,
}
SIMILARITIES = ["cosine", "msd", "pearson", "pearson_baseline"]


@pytest.fixture(scope="module")
def fold(shared_data):
    """Training ratings, and pairs of users and items that are both known from them."""
    read = {"sep": "\t", "names": ["user", "item", "rating", "time"], "usecols": [0, 1, 2]}
    train = pd.read_csv(shared_data / "ml-100k" / "u1.base", **read)
    test = pd.read_csv(shared_data / "ml-100k" / "u1.test", **read)
    known = test[test["user"].isin(train["user"]) & test["item"].isin(train["item"])]
    return train, known[["user", "item"]]


def theirs(algorithm, fold):
    train, pairs = fold
    reader = surprise.Reader(rating_scale=(1, 5))
    algorithm.fit(surprise.Dataset.load_from_df(train, reader).build_full_trainset())
    return np.array([algorithm.predict(*pair).est for pair in pairs.itertuples(index=False)])


def ours(model, fold):
    train, pairs = fold
    return RatingRegressor(model).fit(train[["user", "item"]], train["rating"]).predict(pairs)


@pytest.mark.parametrize(
    ("center", "similarity", "based_on"), list(product(KNN, SIMILARITIES, ["user", "item"]))
)
def test_neighbours_rate_the_same(fold, center, similarity, based_on):
    """But for few pairs where neighbours tie: Surprise's rounding chooses among them."""
    options = {"name": similarity, "user_based": based_on == "user"}
    baseline = {"n_epochs": 200}  # at the optimum, as ours
    algorithm = KNN[center](sim_options=options, bsl_options=baseline, verbose=False)
    settings = {"msd_scale": 1.0} if similarity == "msd" else {}
    if similarity == "pearson_baseline":
        settings["shrinkage"] = 100
    if "baseline" in (center, similarity.removeprefix("pearson_")):
        settings |= {"l2_user": 15.0, "l2_item": 10.0}
    model = RatingKNN(based_on=based_on, similarity=similarity, center=center, **settings)
    differences = np.abs(ours(model, fold) - theirs(algorithm, fold))
    has_ties = similarity in ("cosine", "pearson")
    assert (differences > 1e-4).mean() <= (0.004 if has_ties else 0)


def test_slope_one_rates_the_same(fold):
    model = SlopeOne(weighted=False, shrinkage=0)
    np.testing.assert_allclose(ours(model, fold), theirs(surprise.SlopeOne(), fold), atol=1e-4)
