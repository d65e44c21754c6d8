"""EASE's relaxation and its weights of users against brute force, and in both forms."""

import itertools
import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import LinAlgWarning
from sklearn.linear_model import Ridge

import skrec
from skrec import EASE

BOTH = pytest.mark.parametrize("method", ["primal", "dual"])


def matrix(shape=(50, 30), density=0.2, seed=0):
    rng = np.random.default_rng(seed)
    X = sparse.random_array(shape, density=density, rng=rng, format="csr")
    X.data = rng.integers(1, 6, X.nnz).astype(float)
    return X


def coef_of(model):
    """The weights of either form, as the scores of users of one item."""
    return model.predict(np.eye(model.n_features_in_))


def least_squares(inputs, target, penalty):
    """Ridge regression with a penalty for each input."""
    inputs = np.vstack([inputs, np.diag(np.sqrt(penalty))])
    return np.linalg.lstsq(inputs, np.append(target, np.zeros(len(penalty))))[0]


def relaxed_by_hand(X, penalty, relaxation):
    """Columns of least squares whose own item has at most that weight, which is then left out."""
    n_items = X.shape[1]
    coef = np.empty((n_items, n_items))
    for item in range(n_items):
        column = least_squares(X, X[:, item], penalty)
        if column[item] > relaxation:  # then the constraint holds with equality
            others = np.arange(n_items) != item
            rest = (1 - relaxation) * X[:, item]
            column[others] = least_squares(X[:, others], rest, penalty[others])
        column[item] = 0
        coef[:, item] = column
    return coef


@BOTH
@pytest.mark.parametrize("relaxation", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_relaxed_columns_minimise_under_the_constraint(method, relaxation, dropout):
    X = matrix(shape=(40, 12), density=0.4).toarray()
    X[:, 3] = 0
    penalty = 2.0 + dropout / (1 - dropout) * (X**2).sum(axis=0)
    expected = relaxed_by_hand(X, penalty, relaxation)
    model = EASE(2.0, dropout=dropout, relaxation=relaxation, method=method).fit(X)
    np.testing.assert_allclose(coef_of(model), expected, atol=1e-9)


def test_some_columns_are_bound_and_others_are_not():
    X = matrix(shape=(40, 12), density=0.4).toarray()
    plain, relaxed = (EASE(30.0, relaxation=xi).fit(X) for xi in (0.0, 0.75))
    ratio = coef_of(relaxed).sum(axis=0) / coef_of(plain).sum(axis=0)
    share = 1 - 30 * np.diag(np.linalg.inv(X.T @ X + 30 * np.eye(12)))  # explained by itself
    assert (share < 0.75).any() and (share > 0.75).any()
    np.testing.assert_allclose(ratio, 1 - np.minimum(share, 0.75))


@BOTH
def test_without_a_bound_columns_are_ridge_regressions_on_all_items(method):
    X = matrix().toarray()
    expected = Ridge(alpha=40.0, fit_intercept=False).fit(X, X).coef_.T
    np.fill_diagonal(expected, 0)
    model = EASE(40.0, relaxation=1 - 1e-9, method=method).fit(X)
    np.testing.assert_allclose(coef_of(model), expected, atol=1e-9)


@BOTH
def test_users_weigh_by_the_length_of_their_history(method):
    X = matrix()
    X.data[0] = 0  # a stored entry counts, whatever its value
    lengths = np.diff(X.indptr)
    weight = np.random.default_rng(1).random(50)
    for given, by_hand in [(None, np.ones(50)), (weight, weight)]:
        total = by_hand * np.maximum(lengths, 1) ** -0.7
        mean = (total @ lengths) / (by_hand @ lengths)
        expected = EASE(3.0 * mean).fit(X, sample_weight=total).predict(X)
        model = EASE(3.0, user_power=0.7, method=method).fit(X, sample_weight=given)
        np.testing.assert_allclose(model.predict(X), expected, atol=1e-9)


def test_l2_means_the_same_at_any_power_where_all_histories_are_as_long():
    X = sparse.csr_array(np.array([np.roll([1.0] * 4 + [0] * 8, k * k) for k in range(20)]))
    expected = EASE(2.0).fit(X).predict(X)
    for power in (0.5, 1.0, 3.0):
        np.testing.assert_allclose(EASE(2.0, user_power=power).fit(X).predict(X), expected)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.5])
def test_empty_rows_weigh_nothing(power):
    X = matrix()
    empty = sparse.csr_array((7, 30))
    expected = EASE(3.0, user_power=power).fit(X).predict(X)
    for method in ("primal", "dual"):
        model = EASE(3.0, user_power=power, method=method)
        model.fit(sparse.vstack([empty, X], format="csr"))
        np.testing.assert_allclose(model.predict(X), expected, atol=1e-9)
        np.testing.assert_array_equal(model.fit(empty).predict(X), 0)


def test_a_weight_is_a_number_of_copies_at_any_power():
    X = matrix()
    copies = np.arange(50) % 3
    repeated = EASE(4.0, user_power=0.5).fit(X[np.repeat(np.arange(50), copies)])
    weighted = EASE(4.0, user_power=0.5).fit(X, sample_weight=copies)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), atol=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
def test_chunks_add_up(weighted):
    X = matrix()
    weight = np.random.default_rng(2).random(50) if weighted else None
    params = {"l2": 2.0, "dropout": 0.2, "relaxation": 0.3, "user_power": 0.6}
    expected = EASE(method="primal", **params).fit(X, sample_weight=weight).predict(X)
    for method, cuts in itertools.product(["auto", "primal", "dual"], [[25], [1, 2, 9, 40]]):
        chunked = EASE(method=method, **params)
        for rows in np.split(np.arange(50), cuts):
            chunked.partial_fit(X[rows], sample_weight=None if weight is None else weight[rows])
        np.testing.assert_allclose(chunked.predict(X), expected, atol=1e-6)


def test_chunks_of_several_powers_are_refused():
    X = matrix()
    model = EASE(2.0, user_power=0.5).fit(X)
    expected = model.predict(X)
    with pytest.raises(ValueError, match=r"user_power is 0\.2, but .* fitted with 0\.5"):
        model.set_params(user_power=0.2).partial_fit(X)
    np.testing.assert_array_equal(model.predict(X), expected)
    table = skrec.Interactions(X, range(X.shape[0]), range(X.shape[1]))
    model = EASE(2.0, user_power=0.5).fit(table).set_params(user_power=0.2)
    with pytest.raises(ValueError, match=r"user_power is 0\.2, but"):
        skrec.update(model, table, table)


@BOTH
def test_expected_error_over_all_masks_of_weighted_users(method):
    rng = np.random.default_rng(1)
    X, p, l2, power, xi = rng.integers(0, 3, (7, 4)).astype(float), 0.3, 0.5, 0.5, 0.2
    lengths = (X != 0).sum(axis=1)
    weight = np.maximum(lengths, 1) ** -power
    mean = (weight @ lengths) / lengths.sum()
    rows = np.sqrt(weight)[:, None] * X
    inputs, targets = [], []
    for kept in itertools.product([0, 1], repeat=4):
        probability = np.prod(np.where(kept, 1 - p, p))
        inputs.append(np.sqrt(probability) * rows * np.array(kept) / (1 - p))
        targets.append(np.sqrt(probability) * rows)
    inputs, targets = np.vstack(inputs), np.vstack(targets)
    model = EASE(l2, dropout=p, user_power=power, relaxation=xi, method=method).fit(X)
    coef = coef_of(model)
    for item in range(4):
        column = least_squares(inputs, targets[:, item], np.full(4, l2 * mean))
        if column[item] > xi:
            others = np.arange(4) != item
            rest = targets[:, item] - xi * inputs[:, item]
            column[others] = least_squares(inputs[:, others], rest, np.full(3, l2 * mean))
        column[item] = 0
        np.testing.assert_allclose(coef[:, item], column, atol=1e-10)


@BOTH
def test_explanations_and_similar_items(method):
    X = matrix()
    params = {"l2": 2.0, "user_power": 0.5, "method": method}
    plain, model = EASE(**params).fit(X), EASE(relaxation=0.4, **params).fit(X)
    items, scores = model.recommend(X, k=5, return_scores=True)
    for user, contributions in enumerate(model.explain(X, items)):
        np.testing.assert_allclose(contributions.sum(axis=1), scores[user], atol=1e-12)
    for found, expected in zip(
        model.similar_items([3, 7], k=29, return_scores=True),
        plain.similar_items([3, 7], k=29, return_scores=True),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_digits_that_are_lost_are_seen_behind_the_scale_of_columns():
    X = np.tile(np.random.default_rng(0).random((50, 4)), 2)
    with pytest.warns(LinAlgWarning, match="larger l2"):
        EASE(1e-5, relaxation=0.4, dtype="float32").fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X = np.where(np.random.default_rng(1).random((40, 60)) < 0.3, 1000.0, 0)
        for method in ("primal", "dual"):
            EASE(10.0, relaxation=0.9, method=method).fit(X)


def test_float32_does_not_need_float64_sums():
    X = matrix(shape=(300, 40))
    params = {"l2": 5.0, "user_power": 0.5, "relaxation": 0.3, "method": "primal"}
    exact = EASE(**params).fit(X).predict(X)
    model = EASE(**params).fit(X.astype(np.float32))
    assert model.coef_.dtype == np.float32
    np.testing.assert_allclose(model.predict(X.astype(np.float32)), exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"relaxation": 1.0}, "'relaxation' parameter of EASE must be a float in the range"),
        ({"relaxation": -0.1}, "'relaxation' parameter of EASE must be a float in the range"),
        ({"user_power": -1}, "'user_power' parameter of EASE must be a float in the range"),
        ({"user_power": 1e4}, r"user_power=10000 makes the weights of users with \d+ entries"),
    ],
)
def test_parameters_out_of_range(params, message):
    X = matrix()
    model = EASE().fit(X)
    expected = model.predict(X)
    with pytest.raises(ValueError, match=message):
        model.set_params(**params).fit(X)
    np.testing.assert_array_equal(model.predict(X), expected)
