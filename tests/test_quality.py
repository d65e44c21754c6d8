"""Each model ranks or rates as well on MovieLens latest-small as its row of the table says.

A row's `floor` is the mean less four standard deviations of the quality over five seeds, or of a
model that draws nothing its quality less one per cent.
"""

from functools import cache

import numpy as np
import pytest

from skrec._model_table import MODELS
from skrec.datasets import load_movielens_small
from skrec.metrics import ndcg, rmse
from skrec.model_selection import StrongGeneralizationSplit, interaction_split


@cache
def choices():
    liked = (
        load_movielens_small().binarize(3.5).filter(min_items_per_user=5, min_users_per_item=10)
    )
    split = StrongGeneralizationSplit(n_validation=0, n_test=0.25, random_state=0)
    return split.partition(liked.X)


@cache
def ratings():
    rated = load_movielens_small().filter(min_items_per_user=5, min_users_per_item=10)
    return interaction_split(rated.X, 0.1, random_state=0)


def fast_instance(name, seed):
    model = MODELS[name].load()(**MODELS[name].fast)
    if "random_state" in model.get_params():
        model.set_params(random_state=seed)
    return model


def predicts_std(name):
    return fast_instance(name, 0).__sklearn_tags__().recommender_tags.predicts_std


@cache
def ndcg_at_100(name, seed=0):
    model = fast_instance(name, seed).fit(choices().train)
    return ndcg(model.recommend(choices().test_fold_in, k=100), choices().test_held_out)


def ndcg_at_100_of_a_random_order():
    """In expectation: at each rank the relevant items' share of those not yet chosen."""
    n_relevant = np.diff(choices().test_held_out.indptr)
    n_candidates = choices().train.shape[1] - np.diff(choices().test_fold_in.indptr)
    discounts = np.cumsum(1 / np.log2(np.arange(100) + 2))
    has_any = n_relevant > 0
    ideal = discounts[np.minimum(n_relevant[has_any], 100) - 1]
    return np.mean((n_relevant / n_candidates)[has_any] * discounts[-1] / ideal)


@cache
def rater(name, seed=0):
    train, _ = ratings()
    return fast_instance(name, seed).fit(train)


@cache
def error(name, seed=0):
    train, test = ratings()
    return rmse(rater(name, seed).predict(train), test)


def error_of_the_mean():
    train, test = ratings()
    return np.sqrt(np.mean((test.data - train.data.mean()) ** 2))


def quality(name, seed=0):
    """As a multiple of that of the calibration row, or of the simplest there is."""
    if MODELS[name].reads == "choices":
        baseline = ndcg_at_100_of_a_random_order()
        if name != "Popularity":
            baseline = ndcg_at_100("Popularity")
        return ndcg_at_100(name, seed) / baseline
    baseline = error_of_the_mean() if name == "BiasBaseline" else error("BiasBaseline")
    return baseline / error(name, seed)


@pytest.mark.parametrize("name", MODELS)
def test_quality_is_above_the_floor_and_not_far(name):
    floor = MODELS[name].floor
    assert quality(name) > floor
    # Four standard deviations on either side of the mean leave 0.48 of the noisiest model's gain.
    assert floor - 1 > 0.45 * (quality(name) - 1)


@pytest.mark.parametrize(
    ("better", "worse"), [(row.name, other) for row in MODELS.values() for other in row.beats]
)
def test_the_published_order_holds(better, worse):
    assert quality(better) > quality(worse)


@pytest.mark.parametrize("name", [name for name in MODELS if predicts_std(name)])
def test_intervals_cover_what_they_say(name):
    train, test = ratings()
    rated, std = rater(name).predict(train, return_std=True)
    pairs = test.nonzero()
    is_covered = np.abs(test.data - rated[pairs]) < 1.6449 * std[pairs]
    assert 0.85 < is_covered.mean() < 0.95
