"""BayesianPMF with features of the items, and the space that it embeds users in."""

import pickle

import numpy as np
import pandas as pd
import pytest
from draws import check_means
from numpy.testing import assert_allclose
from scipy import sparse

from skrec import BayesianPMF
from skrec.factorization._mixture import orthogonal

N_USERS, N_ITEMS, N_NEW = 100, 460, 60


def by_features(seed=0):
    """Ratings of items whose factors and offsets are sums of their features' and of noise."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(N_ITEMS, 3))
    items = features @ rng.normal(size=(3, 3)) + 0.5 * rng.normal(size=(N_ITEMS, 3))
    users = np.hstack([rng.normal(size=(N_USERS, 2)), np.ones((N_USERS, 1))])
    true = users @ items.T
    noisy = true + 0.3 * rng.normal(size=true.shape)
    is_seen = rng.random(true.shape) < 0.2
    is_seen[:, :N_NEW] = False
    return sparse.csr_array(noisy * is_seen), features, true, noisy


def model(features=None, **changes):
    settings = {"n_samples": 40, "n_burn_in": 15, "clip": False, "random_state": 0, **changes}
    return BayesianPMF(2, item_features=features, **settings)


def test_items_without_ratings_are_predicted_from_their_features():
    X, features, true, noisy = by_features()
    ratings, std = model(features).fit(X).predict(X, return_std=True)
    of_new = slice(None), slice(N_NEW)
    error, spread = (ratings - true)[of_new].std(), true[of_new].std()
    assert error < 0.35 * spread
    # Errors of an item have its draws in common; those of two items are independent.
    is_inside = (np.abs(noisy - ratings) < 1.645 * std)[of_new]
    check_means(is_inside.mean(axis=0), 0.9)
    assert std[:, :N_NEW].mean() > std[:, N_NEW:].mean()
    without = model().fit(X).predict(X)
    assert (without - true)[of_new].std() > 0.8 * spread
    # Features help the items with ratings too.
    assert (ratings - true)[:, N_NEW:].std() < (without - true)[:, N_NEW:].std()


def test_features_that_say_nothing_are_no_features():
    X = by_features()[0]
    expected = model(n_samples=3).fit(X).predict(X)
    same_for_all = np.full((N_ITEMS, 2), [3.0, 0.0])
    assert_allclose(model(same_for_all, n_samples=3).fit(X).predict(X), expected)


def test_many_features_that_have_nothing_to_do_with_ratings_hardly_matter():
    X, _, true, _ = by_features()
    noise = np.random.default_rng(5).normal(size=(N_ITEMS, 1000))
    without, with_noise = (model(given).fit(X).predict(X) for given in (None, noise))
    errors = [(ratings - true).std(axis=0).mean() for ratings in (without, with_noise)]
    assert errors[1] < 1.3 * errors[0]


def test_units_of_features_and_their_form_do_not_matter():
    X, features, _, _ = by_features()
    expected = model(features, n_samples=3).fit(X).predict(X)
    scaled = features * [1e-200, 100, 1e200] + [0, 7, 0]
    for given in (scaled, pd.DataFrame(features), sparse.coo_array(features)):
        assert_allclose(model(given, n_samples=3).fit(X).predict(X), expected, atol=1e-6)


def test_orthogonal_features():
    rng = np.random.default_rng(0)
    features = rng.normal(3, 2, size=(30, 4))
    features = np.column_stack([features, features @ [1, 2, 0, 3], np.ones(30)])
    found = orthogonal(features)
    standardised = (features - features.mean(axis=0))[:, :5] / features.std(axis=0)[:5]
    assert found.shape == (30, 4)
    # The inner products of the items are those of the standardised features.
    assert_allclose(found @ found.T, standardised @ standardised.T, atol=1e-10)
    assert_allclose(found.T @ found, np.diag(np.square(found).sum(axis=0)), atol=1e-10)
    assert_allclose(found.sum(axis=0), 0, atol=1e-10)
    assert orthogonal(np.ones((1, 3))).shape == (1, 0)


def test_features_that_do_not_fit_are_refused():
    X, features, _, _ = by_features()
    fitted = model(features, n_samples=2).fit(X)
    expected = fitted.predict(X[:2])
    with pytest.raises(ValueError, match="item_features has 459 rows, X has 460 items"):
        fitted.set_params(item_features=features[1:]).fit(X)
    with pytest.raises(ValueError, match="item_features must be finite"):
        fitted.set_params(item_features=np.where(features > 2, np.nan, features)).fit(X)
    assert_allclose(fitted.predict(X[:2]), expected)


def test_a_pickle_holds_a_frame_as_numbers():
    X, features, _, _ = by_features()
    fitted = model(pd.DataFrame(features), n_samples=2).fit(X)
    copy = pickle.loads(pickle.dumps(fitted))
    assert isinstance(copy.item_features, np.ndarray)
    assert_allclose(copy.predict(X[:2]), fitted.predict(X[:2]))


@pytest.mark.parametrize("fit_offsets", [True, False])
def test_embeddings_give_nearly_the_predictions(fit_offsets):
    X = by_features()[0]
    fitted = model(fit_offsets=fit_offsets, n_samples=20).fit(X)
    embeddings, ratings = fitted.transform(X), fitted.predict(X)
    products = fitted.rating_unit_ * embeddings @ fitted.item_embeddings_.T
    rest = ratings - fitted.mean_ - fitted.item_offsets_ - products
    of_users = rest.mean(axis=1, keepdims=True) * fit_offsets
    assert (rest - of_users).std() < 0.2 * ratings.std()
    # And as near as any so many directions come to them.
    deviations = ratings - fitted.mean_ - fitted.item_offsets_ - of_users
    best = np.linalg.svd(deviations, compute_uv=False)[2:]
    assert np.linalg.norm(rest - of_users) < 1.2 * np.linalg.norm(best)
    assert_allclose(
        fitted.item_embeddings_.T @ fitted.item_embeddings_ / N_ITEMS, np.eye(2), atol=1e-10
    )


def test_distances_are_differences_of_predicted_ratings():
    X = by_features()[0]
    fitted = model(n_samples=20, fit_offsets=False).fit(X)
    embeddings, ratings = fitted.transform(X[:2]), fitted.predict(X[:2])
    distance = fitted.rating_unit_ * np.linalg.norm(embeddings[0] - embeddings[1])
    assert_allclose(distance, np.sqrt(np.mean((ratings[0] - ratings[1]) ** 2)), rtol=0.1)


def test_a_user_without_ratings_stands_in_the_middle():
    X = by_features()[0]
    fitted = model(n_samples=5).fit(X)
    empty = sparse.csr_array((1, N_ITEMS))
    assert_allclose(fitted.transform(empty), np.zeros((1, 2)), atol=1e-12)
    of_nobody = fitted.predict(empty)[0] - fitted.mean_ - fitted.item_offsets_
    assert_allclose(of_nobody, of_nobody.mean())


def test_similar_items_are_rated_alike():
    X, _, true, _ = by_features()
    fitted = model(n_samples=20).fit(X[:, N_NEW:])
    items, scores = fitted.similar_items(np.arange(400), k=5, return_scores=True)
    assert (np.abs(scores) <= 1 + 1e-9).all()
    correlations = np.corrcoef(true[:, N_NEW:].T)
    found = np.take_along_axis(correlations, items, axis=1).mean()
    assert found > 0.8 > 0.3 > np.abs(correlations.mean())


def test_fewer_items_than_components():
    fitted = BayesianPMF(4, n_samples=2, random_state=0).fit([[1.0, 2], [2, 1], [1, 0]])
    assert fitted.transform([[1.0, 0]]).shape == (1, 2)
    assert fitted.item_embeddings_.shape == (2, 2)


def test_one_rating_and_ratings_that_are_all_the_same():
    features = np.eye(4)
    for X in (np.full((5, 4), 3.0), np.eye(1, 4) * 3.0):
        fitted = model(features, clip=True).fit(X)
        ratings, std = fitted.predict(X, return_std=True)
        assert_allclose(ratings, 3.0)
        assert (std > 0).all()
        assert np.isfinite(fitted.transform(X)).all()
