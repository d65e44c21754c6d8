"""CoClustering: averages and errors with loops; what is recovered; rows that are empty."""

import numpy as np
import pytest
from scipy import sparse

from skrec import CoClustering, RatingRegressor
from skrec.factorization._co_clusters import (
    cluster_effects,
    co_cluster,
    less_means,
    shrunk_means,
    squared_errors,
)


def ratings(seed=0, shape=(40, 15), density=0.4):
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < density) * rng.integers(1, 6, shape).astype(float)


def assigned(seed, shape, n_clusters):
    rng = np.random.default_rng(seed)
    return [rng.integers(k, size=n) for n, k in zip(shape, n_clusters, strict=True)]


def effects_by_hand(X, users, items, shape):
    mean = X[X > 0].mean()

    def average(rows, columns):
        found = X[np.ix_(rows, columns)]
        return found[found > 0].mean() if (found > 0).any() else mean

    every_user, every_item = np.full(len(X), True), np.full(X.shape[1], True)
    return [
        [
            average(users == g, items == h)
            - average(users == g, every_item)
            - average(every_user, items == h)
            + mean
            for h in range(shape[1])
        ]
        for g in range(shape[0])
    ]


def test_effects_are_those_of_averages():
    X = ratings()
    users, items = assigned(1, X.shape, (3, 4))
    X[np.ix_(users == 1, items == 2)] = 0  # no rating at all between two clusters
    found = cluster_effects(sparse.csr_array(X), users, items, (3, 5))  # nor of the last cluster
    np.testing.assert_allclose(found, effects_by_hand(X, users, items, (3, 5)), atol=1e-12)


def test_squared_errors_of_all_clusters():
    X = sparse.csr_array(ratings(2))
    _, items = assigned(2, X.shape, (3, 4))
    effects = np.random.default_rng(2).normal(size=(3, 4))
    errors = squared_errors(X, items, effects)
    for row, found in zip(X.toarray(), errors, strict=True):
        rated = row > 0
        expected = [((row[rated] - effect[items[rated]]) ** 2).sum() for effect in effects]
        np.testing.assert_allclose(found - found[0], np.subtract(expected, expected[0]))


def test_no_half_step_raises_the_error():
    X = sparse.csr_array(ratings(3))
    users, items = assigned(3, X.shape, (3, 3))
    for _ in range(4):
        effects = cluster_effects(X, users, items, (3, 3))

        def error(users, items, effects=effects):
            return ((X.toarray() - effects[users][:, items]) ** 2)[X.toarray() > 0].sum()

        before = error(users, items)
        users = squared_errors(X, items, effects).argmin(axis=1)
        between = error(users, items)
        items = squared_errors(X.T.tocsr(), users, effects.T).argmin(axis=1)
        after = error(users, items)
        assert before >= between >= after
    assert after < before


def test_the_loss_is_the_squared_error_and_sweeps_end_where_nothing_moves():
    X = sparse.csr_array(ratings(4))
    mean = X.data.mean()
    user_means, item_means = shrunk_means(X, mean, 2.0), shrunk_means(X.T.tocsr(), mean, 2.0)
    residuals = less_means(X, mean, user_means, item_means)
    start = assigned(4, X.shape, (2, 2))
    found = co_cluster(X, residuals, *start, (2, 2), 100)
    assert len(found.losses) < 100
    users = squared_errors(residuals, found.item_clusters, found.effects).argmin(axis=1)
    predicted = found.effects[users][:, found.item_clusters]
    predicted += user_means[:, None] + item_means - mean
    expected = ((X.toarray() - predicted) ** 2)[X.toarray() > 0].sum()
    assert found.losses[-1] == pytest.approx(expected)
    assert len(co_cluster(X, residuals, *start, (2, 2), 3).losses) == 3


def test_one_cluster_leaves_the_means():
    X = ratings(5)
    X = X[X.any(axis=1)]
    model = CoClustering(1, 1, shrinkage=0, clip=False, random_state=0).fit(X)
    user_means, item_means = (X.sum(axis=k) / (X > 0).sum(axis=k) for k in (1, 0))
    expected = user_means[:, None] + item_means - X[X > 0].mean()
    np.testing.assert_allclose(model.predict(X), expected)
    np.testing.assert_allclose(model.item_means_, item_means)
    assert model.mean_ == pytest.approx(X[X > 0].mean())
    shrunk = CoClustering(1, 1, shrinkage=3, random_state=0).fit(X)
    expected = (X.sum(axis=0) + 3 * model.mean_) / ((X > 0).sum(axis=0) + 3)
    np.testing.assert_allclose(shrunk.item_means_, expected)


def test_blocks_and_offsets_are_recovered_for_new_users_too():
    rng = np.random.default_rng(6)
    users, items = np.arange(40) % 2, np.arange(16) // 4 % 2
    complete = 10 + 3.0 * np.where(users[:, None] == items, 1, -1)
    complete += rng.normal(size=(40, 1)) + rng.normal(size=16)
    model = CoClustering(2, 2, shrinkage=0, clip=False, random_state=0).fit(complete[:30])
    np.testing.assert_allclose(model.predict(complete), complete)
    assert len(set(zip(items, model.item_clusters_, strict=True))) == 2
    np.testing.assert_allclose(np.abs(model.cluster_effects_), 3)
    np.testing.assert_allclose(model.loss_curve_[-1], 0, atol=1e-12)


def test_more_starts_do_not_end_higher():
    X = ratings(7)
    losses = [CoClustering(n_init=n, random_state=0).fit(X).loss_curve_[-1] for n in (1, 5, 25)]
    assert losses[0] > losses[1] >= losses[2]


def test_users_and_items_without_ratings_get_the_means():
    X = ratings(8)
    X[:, 5] = 0
    rows = np.zeros((2, 15))
    rows[1, [2, 3, 7]] = 5, 4, 5
    model = CoClustering(random_state=0).fit(X)
    empty, other = model.predict(rows)
    np.testing.assert_allclose(empty, model.item_means_)
    assert empty[5] == pytest.approx(X[X > 0].mean())
    assert other[5] == pytest.approx((14 + 5 * model.mean_) / 8)
    assert model.item_clusters_[5] == -1
    pairs = np.argwhere(X > 0)
    regressor = RatingRegressor(CoClustering(random_state=0)).fit(pairs, X[X > 0])
    np.testing.assert_allclose(regressor.predict([[-7, -7], [-7, 2]]), [X[X > 0].mean(), empty[2]])


def test_one_rating_and_constant_ratings():
    one = np.zeros((3, 4))
    one[1, 2] = 4
    np.testing.assert_allclose(CoClustering().fit(one).predict(one), 4)
    constant = 3.0 * (ratings(9) > 0)
    np.testing.assert_allclose(CoClustering().fit(constant).predict(constant), 3)


def test_wrong_input():
    for name in ("n_user_clusters", "n_item_clusters", "n_init", "max_iter"):
        with pytest.raises(ValueError, match=name):
            CoClustering(**{name: 0}).fit(ratings())
    with pytest.raises(ValueError, match="shrinkage"):
        CoClustering(shrinkage=-1).fit(ratings())
