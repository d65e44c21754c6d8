"""CoClustering: averages and errors with loops; what is recovered; rows that are empty."""

import numpy as np
import pytest
from scipy import sparse

from skrec import BiasBaseline, CoClustering, RatingRegressor
from skrec.factorization._co_clusters import (
    assign,
    cluster_effects,
    co_cluster,
    deviations,
    learn_offsets,
    soften,
)


def ratings(seed=0, shape=(40, 15), density=0.4):
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < density) * rng.integers(1, 6, shape).astype(float)


def assigned(seed, shape, n_clusters):
    rng = np.random.default_rng(seed)
    return [np.eye(k)[rng.integers(k, size=n)] for n, k in zip(shape, n_clusters, strict=True)]


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
    X[np.ix_(users[:, 1] == 1, items[:, 2] == 1)] = 0  # no rating at all between two clusters
    items = np.pad(items, ((0, 0), (0, 1)))  # nor of the last cluster
    found = cluster_effects(sparse.csr_array(X), users, items)
    expected = effects_by_hand(X, users.argmax(axis=1), items.argmax(axis=1), (3, 5))
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("variance", [0, 0.7])
def test_shares_and_squared_errors_in_all_clusters(variance):
    X = sparse.csr_array(ratings(2))
    rng = np.random.default_rng(2)
    effects, members = rng.normal(size=(3, 4)), rng.dirichlet(np.ones(4), 15)
    shares, errors = assign(X, members, effects, variance)
    for row, share, error in zip(X.toarray(), shares, errors, strict=True):
        rated = row > 0
        expected = [
            (members[rated] * (row[rated][:, None] - effect) ** 2).sum() for effect in effects
        ]
        np.testing.assert_allclose(error - error[0], np.subtract(expected, expected[0]))
        if variance:
            likelihoods = np.exp(-np.subtract(expected, min(expected)) / (2 * variance))
            np.testing.assert_allclose(share, likelihoods / likelihoods.sum())
        else:
            np.testing.assert_array_equal(share, np.arange(3) == np.argmin(expected))


def error(X, users, items, effects):
    """Expected squared error over the shares."""
    rows, columns = X.toarray().nonzero()
    squares = (X.toarray()[rows, columns][:, None, None] - effects) ** 2
    return np.einsum("ng,nh,ngh->", users[rows], items[columns], squares)


def test_no_half_step_raises_the_error():
    X = sparse.csr_array(ratings(3))
    users, items = assigned(3, X.shape, (3, 3))
    for _ in range(4):
        effects = cluster_effects(X, users, items)
        before = error(X, users, items, effects)
        users, _ = assign(X, items, effects, 0)
        between = error(X, users, items, effects)
        items, _ = assign(X.T.tocsr(), users, effects.T, 0)
        after = error(X, users, items, effects)
        assert before >= between >= after
    assert after < before


def test_the_loss_is_the_squared_error_and_sweeps_end_where_nothing_moves():
    X = sparse.csr_array(ratings(4))
    offsets = learn_offsets(X, 2.0, joint=False)
    _, residuals = offsets.of(X)
    start = assigned(4, X.shape, (2, 2))
    users, found = co_cluster(X, residuals, *start, 100)
    assert len(found.losses) < 100
    assert found.losses[-1] == pytest.approx(error(residuals, users, found.items, found.effects))
    assert len(co_cluster(X, residuals, *start, 3)[1].losses) == 3


def test_soft_clusters_are_a_mixture_whose_free_energy_falls():
    residuals = sparse.csr_array(ratings(5))
    residuals.data -= residuals.data.mean()
    users, found = co_cluster(residuals, residuals, *assigned(5, (40, 15), (3, 3)), 10)
    energies = []
    for n in range(1, 8):
        soft = soften(residuals, users, found, 0.0, n, tol=0)
        shares, _ = assign(residuals, soft.items, soft.effects, soft.variance)
        squares = error(residuals, shares, soft.items, soft.effects)
        entropy = sum(-(part * np.log(part + 1e-300)).sum() for part in (shares, soft.items))
        energies.append(
            residuals.nnz * np.log(soft.variance) / 2 + squares / (2 * soft.variance) - entropy
        )
        assert soft.variance == pytest.approx(soft.losses[-1] / residuals.nnz)
    assert (np.diff(energies) <= 1e-9).all()
    assert energies[-1] < energies[0] - 1


def test_soft_clusters_end_with_the_first_sweep_of_little_gain():
    residuals = sparse.csr_array(ratings(5) - 3.0 * (ratings(5) > 0))
    users, found = co_cluster(residuals, residuals, *assigned(5, (40, 15), (3, 3)), 10)
    losses = np.array(soften(residuals, users, found, 0.0, 200, tol=1e-3).losses)
    gains = np.abs(np.diff(losses)[len(found.losses) - 1 :]) / losses[len(found.losses) - 1 : -1]
    assert 2 < len(gains) < 200
    assert gains[-1] <= 1e-3 < gains[:-1].min()


def test_the_curve_of_soft_clusters_is_above_the_error_of_their_predictions():
    X = ratings(10)
    for assignment, is_above in (("soft", True), ("hard", False)):
        model = CoClustering(assignment=assignment, clip=False, random_state=0).fit(X)
        squares = np.square(model.predict(X) - X)[X > 0].mean()
        assert (model.loss_curve_[-1] > 1.001 * squares) == is_above
        assert model.loss_curve_[-1] > 0.999 * squares


def test_soft_effects_are_shrunk_means_of_what_is_left():
    residuals = sparse.csr_array(ratings(6) - 3.0 * (ratings(6) > 0))
    users, found = co_cluster(residuals, residuals, *assigned(6, (40, 15), (2, 2)), 10)
    soft = soften(residuals, users, found, 4.0, 1)
    shares, _ = assign(residuals, found.items, found.effects, found.losses[-1] / residuals.nnz)
    sums = shares.T @ residuals.toarray() @ soft.items
    observed = sparse.csr_array(
        (np.ones(residuals.nnz), residuals.indices, residuals.indptr), residuals.shape
    )
    counts = shares.T @ observed.toarray() @ soft.items
    np.testing.assert_allclose(soft.effects, sums / (counts + 4))


def test_joint_offsets_are_those_of_the_bias_baseline():
    X = sparse.csr_array(ratings(7))
    offsets = learn_offsets(X, 5.0, joint=True)
    model = BiasBaseline(5.0, 5.0, clip=False).fit(X)
    above, residuals = offsets.of(X)
    np.testing.assert_allclose(above[:, None] + offsets.items, model.predict(X))
    expected = X.toarray() - model.predict(X)
    np.testing.assert_allclose(residuals.toarray(), expected * (X.toarray() > 0), atol=1e-12)
    reference = np.arange(15.0)
    by_hand = [(row - reference)[row > 0].sum() / ((row > 0).sum() + 2) for row in X.toarray()]
    np.testing.assert_allclose(deviations(X, reference, 2.0), by_hand)


def test_one_cluster_leaves_the_means():
    X = ratings(5)
    X = X[X.any(axis=1)]
    model = CoClustering(1, 1, assignment="hard", shrinkage=0, clip=False, random_state=0).fit(X)
    user_means, item_means = (X.sum(axis=k) / (X > 0).sum(axis=k) for k in (1, 0))
    expected = user_means[:, None] + item_means - X[X > 0].mean()
    np.testing.assert_allclose(model.predict(X), expected)
    np.testing.assert_allclose(model.item_means_, item_means)
    assert model.mean_ == pytest.approx(X[X > 0].mean())
    shrunk = CoClustering(1, 1, assignment="hard", shrinkage=3, random_state=0).fit(X)
    expected = (X.sum(axis=0) + 3 * model.mean_) / ((X > 0).sum(axis=0) + 3)
    np.testing.assert_allclose(shrunk.item_means_, expected)


def test_blocks_and_offsets_are_recovered_for_new_users_too():
    rng = np.random.default_rng(6)
    users, items = np.arange(40) % 2, np.arange(16) // 4 % 2
    complete = 10 + 3.0 * np.where(users[:, None] == items, 1, -1)
    complete += rng.normal(size=(40, 1)) + rng.normal(size=16)
    model = CoClustering(2, 2, assignment="hard", shrinkage=0, clip=False, random_state=0).fit(
        complete[:30]
    )
    np.testing.assert_allclose(model.predict(complete), complete)
    clusters = model.item_clusters_.argmax(axis=1)
    assert len(set(zip(items, clusters, strict=True))) == 2
    np.testing.assert_allclose(np.abs(model.cluster_effects_), 3)
    np.testing.assert_allclose(model.loss_curve_[-1], 0, atol=1e-12)


def test_more_starts_do_not_end_higher():
    X = ratings(7)
    losses = [
        CoClustering(assignment="hard", n_init=n, random_state=0).fit(X).loss_curve_[-1]
        for n in (1, 5, 25)
    ]
    assert losses[0] > losses[1] >= losses[2]


@pytest.mark.parametrize("assignment", ["soft", "hard"])
def test_users_and_items_without_ratings_get_the_means(assignment):
    X = ratings(8)
    X[:, 5] = 0
    rows = np.zeros((2, 15))
    rows[1, [2, 3, 7]] = 5, 4, 5
    model = CoClustering(assignment=assignment, clip=False, random_state=0).fit(X)
    empty, other = model.predict(rows)
    np.testing.assert_allclose(empty, model.item_means_)
    assert empty[5] == pytest.approx(X[X > 0].mean()) == pytest.approx(model.mean_)
    expected = 14 - 3 * model.mean_
    if assignment == "soft":
        expected = 14 - model.item_means_[[2, 3, 7]].sum()
    assert other[5] == pytest.approx(model.mean_ + expected / 8)
    np.testing.assert_array_equal(model.item_clusters_[5], 0)
    np.testing.assert_allclose(np.delete(model.item_clusters_, 5, axis=0).sum(axis=1), 1)
    regressor = RatingRegressor(model).fit(np.argwhere(X > 0), X[X > 0])
    expected = [X[X > 0].mean(), empty[2]]
    np.testing.assert_allclose(regressor.predict([[-7, -7], [-7, 2]]), expected, rtol=1e-5)


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
    with pytest.raises(ValueError, match="shrinkage must be above 0 with assignment='soft'"):
        CoClustering(shrinkage=0).fit(ratings())


def test_too_many_clusters_are_refused_before_any_work():
    with pytest.raises(MemoryError, match="CoClustering with 1000000000 x 3 clusters .*fewer"):
        CoClustering(10**9).fit([[5.0, 1.0], [2.0, 4.0]])
