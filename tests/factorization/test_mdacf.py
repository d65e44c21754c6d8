"""MDACF: what it is without a tie, its closed forms, the rows it answers, cold users and items."""

import pickle
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skrec import MDACF, PMF, RatingRegressor
from skrec.factorization._denoising import (
    RIDGE,
    TIE_PENALTY,
    TiedAutoencoder,
    corrupted_moments,
    denoising_weights,
    products_with_constant,
)

SETTINGS = {"n_components": 3, "l2": 0.1, "max_iter": 8, "random_state": 0}


def ratings(seed=0, shape=(30, 20), density=0.4):
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < density) * rng.integers(1, 6, shape).astype(float)


def one_hot(n_rows, n_features=3, seed=1):
    return np.eye(n_features)[np.random.default_rng(seed).integers(0, n_features, n_rows)]


def fitted(X=None, users=True, **settings):
    X = ratings() if X is None else X
    model = MDACF(**{**SETTINGS, "item_features": one_hot(X.shape[1], 4), **settings})
    return model.fit(X, user_features=one_hot(len(X)) if users else None)


def with_ones(features):
    return np.column_stack([features, np.ones(len(features))])


def masks(n_features, dropout):
    """Every way to drop features, and its probability."""
    for kept in product([0.0, 1.0], repeat=n_features):
        kept = np.array(kept)
        yield kept, np.prod(np.where(kept, 1 - dropout, dropout))


def reconstruction_error(features, W, dropout):
    return sum(
        probability * np.square(features - with_ones(features * kept) @ W.T).sum()
        for kept, probability in masks(features.shape[1], dropout)
    )


def tied_loss(features, U, W, P, dropout, weight, reconstruction_weight):
    differences = with_ones(U) @ P.T - with_ones(features) @ W.T
    return (
        reconstruction_weight * reconstruction_error(features, W, dropout)
        + weight * np.square(differences).sum()
        + TIE_PENALTY * weight * np.square(P).sum()
        + RIDGE * np.square(W).sum()
    )


# Without a tie


@pytest.mark.parametrize("settings", [{}, {"fit_offsets": False, "l2_exponent": 0.0}])
def test_without_features_it_is_pmf(settings):
    X = ratings()
    settings = {**SETTINGS, "tol": 0.0, **settings}
    expected = PMF(solver="subspace", **settings).fit(X)
    model = MDACF(**settings).fit(X)
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-9)
    np.testing.assert_allclose(model.transform(X), expected.transform(X), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(model.item_offsets_, expected.item_offsets_, rtol=1e-8, atol=1e-12)
    assert model.mean_ == expected.mean_


def test_ties_of_weight_0_leave_pmf_and_the_autoencoders():
    X = ratings()
    model = fitted(X, user_feature_weight=0.0, item_feature_weight=0.0, dropout=0.3, tol=0.0)
    expected = PMF(solver="subspace", tol=0.0, **SETTINGS).fit(X).predict(X)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-9)
    np.testing.assert_allclose(
        model.predict(X, user_features=one_hot(len(X))), expected, rtol=1e-9
    )
    features = one_hot(len(X))
    alone = denoising_weights(products_with_constant(features, features), 0.3)
    np.testing.assert_allclose(model._user_prior.layers[0], alone, atol=1e-5)


# Closed forms


def test_moments_are_expectations_over_what_is_dropped():
    features = np.random.default_rng(3).standard_normal((7, 3))
    moments = products_with_constant(features, features)
    np.testing.assert_allclose(moments, with_ones(features).T @ with_ones(features))
    between, among = corrupted_moments(moments, 0.3)
    left = [(with_ones(features * kept), share) for kept, share in masks(3, 0.3)]
    np.testing.assert_allclose(between, sum(share * features.T @ some for some, share in left))
    np.testing.assert_allclose(among, sum(share * some.T @ some for some, share in left))


def test_reconstruction_under_dropout_is_the_monte_carlo_average():
    rng = np.random.default_rng(4)
    features, W = one_hot(50, 4), rng.standard_normal((4, 5))
    tied = TiedAutoencoder(features, 0.0, 2, 1, 0.3, 1.0)
    tied._W = W
    drawn = [
        np.square(features - with_ones(features * (rng.random((50, 4)) > 0.3)) @ W.T).sum()
        for _ in range(4000)
    ]
    expected = np.mean(drawn) + RIDGE * np.square(W).sum()
    error = 4 * np.std(drawn) / np.sqrt(len(drawn))
    assert abs(tied.loss(np.zeros((50, 2))) - expected) < error


def test_autoencoder_of_ratings_is_the_dropout_autoencoder():
    # Without a constant: its products with all else are 0.
    X, dropout = ratings() * 10, 0.3
    G = X.T @ X
    moments = np.pad(G, (0, 1))
    moments[-1, -1] = 1
    W = denoising_weights(moments, dropout)[:, :-1]
    expected = np.linalg.solve(G + dropout / (1 - dropout) * np.diag(np.diag(G)), G)
    np.testing.assert_allclose((1 - dropout) * W.T, expected, atol=1e-6)


def test_loss_by_hand_and_its_minima():
    rng = np.random.default_rng(5)
    features, U = one_hot(12, 3), rng.standard_normal((12, 2))
    tied = TiedAutoencoder(features, 5.0, 2, 1, 0.2, 7.0)

    def loss():
        found = tied_loss(features, U, tied._W, tied._P, 0.2, 5.0, 7.0)
        np.testing.assert_allclose(tied.loss(U), found)
        return found

    losses = [loss()]
    for _ in range(200):
        tied.improve(U)
        losses.append(loss())
    assert (np.diff(losses) <= 1e-9).all() and losses[1] < losses[0]
    best = loss()
    for name in ("_W", "_P"):
        weights = getattr(tied, name)
        for place in np.ndindex(weights.shape):
            for move in (-1e-3, 1e-3):
                moved = weights.copy()
                moved[place] += move
                setattr(tied, name, moved)
                assert tied.loss(U) > best
        setattr(tied, name, weights)


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_no_half_sweep_raises_the_objective(n_layers):
    model = fitted(n_layers=n_layers, item_feature_weight=5.0, max_iter=20, tol=0.0)
    losses = np.array(model.loss_curve_)
    assert len(losses) == 40
    assert (np.diff(losses) <= 1e-9 * losses[0]).all()


def test_objective_by_hand():
    X, of_users, of_items = ratings(), one_hot(30), one_hot(20, 4)
    settings = {"dropout": 0.2, "user_feature_weight": 4.0, "item_feature_weight": 6.0}
    model = fitted(X, **settings, reconstruction_weight=9.0, l2_exponent=0.0)
    unit, sweeps = model.rating_unit_, {}
    # The users' weights of the last sweep are those before the items' were improved.
    from skrec.factorization import _tied_sweeps as module

    class Kept(module.TiedSweeps):
        def __init__(self, *args):
            super().__init__(*args)
            sweeps["last"] = self

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TiedSweeps", Kept)
        model.fit(X, user_features=of_users)
    U, V = sweeps["last"].sides
    latent = U[:, :-1] @ V[:, :-1].T + U[:, -1:] + V[:, -1] + model.mean_ / unit
    total = np.square((X / unit - latent)[X > 0]).sum()
    total += model.l2 * (np.square(U).sum() + np.square(V).sum())
    sides = zip(
        (of_users, of_items), (U, V), (4.0, 6.0), sweeps["last"]._autoencoders, strict=True
    )
    for features, table, weight, tied in sides:
        total += tied_loss(features, table, tied._W, tied._P, 0.2, weight, 9.0)
    np.testing.assert_allclose(model.loss_curve_[-1], total / 2)


# Rows


def row_by_hand(model, row, features=None):
    """The minimum for one user, from the whole system of equations."""
    rated = row > 0
    V, penalty = with_ones(model.item_embeddings_)[rated], model.l2 * max(rated.sum(), 25) ** 0.5
    y = (row[rated] - model.mean_) / model.rating_unit_ - model._item_offsets[rated]
    left, right = V.T @ V + penalty * np.eye(V.shape[1]), V.T @ y
    if features is not None:
        (*lower, W), P, weight = model._user_prior
        for layer in lower:
            features = np.tanh(layer @ np.append(features, 1))
        left += weight * P[:, :-1].T @ P[:, :-1]
        right += weight * P[:, :-1].T @ (W @ np.append(features, 1) - P[:, -1])
    return np.linalg.solve(left, right)


@pytest.mark.parametrize("n_layers", [1, 2])
def test_rows_are_the_exact_solution(n_layers):
    X, features = ratings(), one_hot(30)
    X[0] = 0
    model = fitted(X, user_feature_weight=5.0, n_layers=n_layers, clip=False)
    plain = np.array([row_by_hand(model, row) for row in X])
    tied = np.array([row_by_hand(model, *pair) for pair in zip(X, features, strict=True)])
    assert np.abs(tied - plain).max() > 0.05
    np.testing.assert_allclose(model.transform(X), plain[:, :-1], atol=1e-9)
    np.testing.assert_allclose(model.transform(X, user_features=features), tied[:, :-1], atol=1e-9)
    for weights, options in ((plain, {}), (tied, {"user_features": features})):
        latent = weights[:, :-1] @ model.item_embeddings_.T + weights[:, -1:]
        expected = model.mean_ + model.rating_unit_ * (latent + model._item_offsets)
        np.testing.assert_allclose(model.predict(X, **options), expected, atol=1e-8)


def test_items_without_ratings_are_where_their_features_say():
    X, features = ratings(), one_hot(20, 4)
    X[:, :8] = 0
    model = fitted(X, item_features=features, users=False, item_feature_weight=5.0)
    embeddings = np.column_stack([model.item_embeddings_, model._item_offsets])[:8]
    for feature in range(4):
        same = embeddings[features[:8, feature] > 0]
        np.testing.assert_allclose(same, np.broadcast_to(same[:1], same.shape), atol=1e-9)
    assert np.abs(embeddings).max(axis=0).min() > 1e-3


def test_equal_rows_of_users_with_other_features_get_other_answers():
    model = fitted(user_feature_weight=5.0)
    X = np.tile(ratings()[:1], (3, 1))
    answers = model.predict(X, user_features=np.eye(3)[[0, 1, 0]])
    assert np.abs(answers[0] - answers[1]).max() > 1e-3
    np.testing.assert_array_equal(answers[0], answers[2])


def test_verbs_agree():
    X, features = ratings(), one_hot(30)
    model = fitted(X, user_feature_weight=5.0, clip=False)
    scores = model.predict(X, user_features=features)
    items, found = model.recommend(X, 4, user_features=features, return_scores=True)
    hidden = np.where(X > 0, -np.inf, scores)
    np.testing.assert_array_equal(items, np.argsort(-hidden, axis=1, kind="stable")[:, :4])
    np.testing.assert_allclose(found, np.take_along_axis(scores, items, axis=1))
    states = model._pair_states(sparse.csr_array(X), user_features=features)
    users, columns = np.nonzero(X == 0)
    np.testing.assert_allclose(model._rate_pairs(states, users, columns), scores[X == 0])


def test_embeddings_read_features_in_fit_and_after_it_and_come_as_frames():
    X, features = ratings(), one_hot(30)
    model = fitted(X, user_feature_weight=5.0)
    expected = model.transform(X, user_features=features)
    assert np.abs(expected - model.transform(X)).max() > 1e-3
    again = clone(model)
    np.testing.assert_array_equal(again.fit_transform(X, user_features=features), expected)
    again.set_output(transform="pandas")
    frame = again.transform(X, user_features=features)
    assert list(frame.columns) == ["mdacf0", "mdacf1", "mdacf2"]
    np.testing.assert_array_equal(frame, expected)
    with config_context(enable_metadata_routing=True):
        again.set_fit_request(user_features=True).set_transform_request(user_features=True)
        routed = make_pipeline(again, "passthrough")
        frame = routed.fit_transform(X, user_features=features)
    np.testing.assert_array_equal(frame, expected)


def test_features_of_any_format():
    X, of_users, of_items = ratings(), one_hot(30), one_hot(20, 4)
    expected = fitted(X).predict(X, user_features=of_users)
    for container in (sparse.csc_matrix, pd.DataFrame, np.ndarray.tolist):
        users = container(of_users)
        model = MDACF(item_features=container(of_items), **SETTINGS).fit(X, user_features=users)
        np.testing.assert_allclose(model.predict(X, user_features=users), expected)
        again = pickle.loads(pickle.dumps(model))
        assert not isinstance(again.item_features, pd.DataFrame)
        np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_unit_of_the_ratings_does_not_matter():
    X, features = ratings(), one_hot(30)
    answers = fitted(X).predict(X, user_features=features)
    times_ten = fitted(10 * X).predict(10 * X, user_features=features)
    np.testing.assert_allclose(times_ten, 10 * answers)


# Cold users and items


def taste(seed=6, n_users=120, n_items=90):
    """Ratings by the tastes of three kinds of users for three of items, with noise."""
    rng = np.random.default_rng(seed)
    of_users, of_items = one_hot(n_users, 3, seed), one_hot(n_items, 3, seed + 1)
    full = 3 + of_users @ np.array([[1.5, -1, 0], [-1, 1, -0.5], [0, -1, 1.5]]) @ of_items.T
    full += 0.4 * rng.standard_normal(full.shape)
    return full, full * (rng.random(full.shape) < 0.3), of_users, of_items


def rmse(answers, full):
    return np.sqrt(np.mean(np.square(answers - full)))


def test_cold_items_are_predicted_by_their_features():
    full, X, _, features = taste()
    X[:, :20] = 0
    settings = {"n_components": 4, "l2": 0.1, "random_state": 0}
    without = rmse(PMF(**settings).fit(X).predict(X)[:, :20], full[:, :20])
    model = MDACF(item_features=features, item_feature_weight=10.0, **settings).fit(X)
    assert rmse(model.predict(X)[:, :20], full[:, :20]) < 0.7 * without


def test_cold_users_are_predicted_by_their_features():
    full, X, features, _ = taste()
    settings = {"n_components": 4, "l2": 0.3, "random_state": 0}
    new = np.zeros((20, X.shape[1]))
    without = rmse(PMF(**settings).fit(X[20:]).predict(new), full[:20])
    model = MDACF(user_feature_weight=10.0, **settings).fit(X[20:], user_features=features[20:])
    assert rmse(model.predict(new, user_features=features[:20]), full[:20]) < 0.7 * without
    assert rmse(model.predict(new), full[:20]) > 0.9 * without


def test_pairs_of_users_and_items_with_features_alone():
    full, X, of_users, of_items = taste()
    X[:20] = 0
    X[:, :15] = 0
    users, items = np.nonzero(X)
    pairs = np.column_stack([users, items])
    settings = {"l2": 0.3, "user_feature_weight": 10.0, "item_feature_weight": 10.0}
    model = MDACF(4, random_state=0, **settings)
    tables = [(np.arange(len(of_side)), of_side) for of_side in (of_users, of_items)]
    rated = RatingRegressor(model, user_features=tables[0], item_features=tables[1])
    rated.fit(pairs, X[users, items])
    model.set_params(item_features=of_items).fit(X, user_features=of_users)
    expected = model.predict(X, user_features=of_users)
    for rows, columns in ((range(20), range(15, 35)), (range(20, 35), range(15))):
        asked = np.array(list(product(rows, columns)))
        found, truth = rated.predict(asked), full[tuple(asked.T)]
        assert rmse(found, truth) < 0.75 * rmse(X[X > 0].mean(), truth)
        # The column of unknown items is one more row of features.
        np.testing.assert_allclose(found, expected[tuple(asked.T)], atol=0.1)


# What wrong and what little input gets


def test_columns_of_user_features_are_those_of_the_fit():
    X = ratings()
    features = pd.DataFrame(one_hot(30), columns=["a", "b", "c"])
    model = MDACF(**SETTINGS).fit(X, user_features=features)
    rated = model.predict(X, user_features=features)
    np.testing.assert_array_equal(model.predict(X, user_features=features.to_numpy()), rated)
    with pytest.raises(ValueError, match=r"columns \['b', 'a', 'c'\], MDACF was fitted with"):
        model.predict(X, user_features=features[["b", "a", "c"]])


def test_features_that_do_not_fit():
    X, features = ratings(), one_hot(30)
    model = fitted(X)
    before = model.predict(X)
    with pytest.raises(ValueError, match="user_features has 29 rows, X has 30 users"):
        model.fit(X, user_features=features[1:])
    with pytest.raises(ValueError, match="item_features has 19 rows, X has 20 items"):
        fitted(X, item_features=one_hot(19))
    with pytest.raises(
        ValueError, match=r"'occupation' of user_features must hold numbers.*one-h"
    ):
        model.fit(X, user_features=pd.DataFrame({"occupation": ["student"] * 30}))
    with pytest.raises(ValueError, match="user_features must be finite"):
        model.fit(X, user_features=np.where(features > 0, np.nan, 0))
    with pytest.raises(ValueError, match="user_features has 2 columns, MDACF was fitted with 3"):
        model.predict(X, user_features=features[:, :2])
    with pytest.raises(ValueError, match="was fitted with 0: leave them out"):
        fitted(X, users=False).recommend(X, user_features=features)
    with pytest.raises(ValueError, match="user_features has 2 columns"):
        model._pair_states(sparse.csr_array(X), user_features=features[:, :2])
    np.testing.assert_array_equal(model.predict(X), before)
    assert model.n_user_features_in_ == 3


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("n_users", [0, 1, 30])
def test_no_rating_one_and_constant_ones_are_answered_by_their_mean(n_users, n_layers):
    X = np.where(ratings() > 0, 4.0, 0)
    X[n_users:] = 0
    if n_users == 1:
        X[0, np.flatnonzero(X[0])[1:]] = 0
    answers = fitted(X, n_layers=n_layers).predict(X, user_features=one_hot(30))
    np.testing.assert_allclose(answers, 4.0 if n_users else 0.0, atol=1e-8)


def test_zeros_among_the_features_are_a_user_of_whom_nothing_is_known():
    model = fitted(user_feature_weight=5.0)
    W, P = model._user_prior.layers[0], model._user_prior.tie
    prior = np.linalg.solve(
        5.0 * P[:, :-1].T @ P[:, :-1] + model.l2 * 5 * np.eye(4),
        5.0 * P[:, :-1].T @ (W[:, -1] - P[:, -1]),
    )
    factors = model.transform(np.zeros((1, 20)), user_features=np.zeros((1, 3)))
    np.testing.assert_allclose(factors[0], prior[:-1], atol=1e-9)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_features_of_large_units_are_divided_by_their_size(container):
    rng = np.random.default_rng(0)
    X = 3 + rng.integers(-2, 3, size=(30, 12)).astype(float)
    of_items, of_users = rng.normal(size=(12, 3)), rng.normal(size=(30, 2))
    of_items /= np.sqrt(np.mean(of_items**2, axis=0))
    of_users /= np.sqrt(np.mean(of_users**2, axis=0))

    def predictions(unit):
        model = MDACF(2, max_iter=5, item_features=container(of_items * unit), random_state=0)
        model.fit(X, user_features=container(of_users * unit))
        return model.predict(X, user_features=container(of_users * unit))

    for unit in (1990.0, 1e160):
        np.testing.assert_allclose(predictions(unit), predictions(1.0), rtol=1e-6)
    halves = MDACF(2, max_iter=5, item_features=container(of_items / 2), random_state=0).fit(X)
    whole = MDACF(2, max_iter=5, item_features=container(of_items), random_state=0).fit(X)
    assert not np.allclose(halves.predict(X), whole.predict(X), rtol=1e-4)
