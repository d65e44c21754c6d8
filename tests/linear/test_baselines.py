"""Popularity and BiasBaseline against brute force."""

import numpy as np
import pytest
from scipy import sparse

from skrec import BiasBaseline, Popularity


@pytest.fixture
def ratings():
    rng = np.random.default_rng(0)
    X = sparse.random_array((40, 15), density=0.3, rng=rng, format="csr")
    X.data = rng.integers(1, 6, X.nnz).astype(float)
    return X


def test_popularity_counts_users(ratings):
    model = Popularity().fit(ratings)
    np.testing.assert_array_equal(model.popularity_, (ratings.toarray() > 0).sum(axis=0))
    weight = np.arange(40.0)
    weighted = Popularity().fit(ratings, sample_weight=weight)
    np.testing.assert_allclose(weighted.popularity_, weight @ (ratings.toarray() > 0))


def offsets_by_least_squares(X, l2_user, l2_item, weight):
    """Solve for both offsets at once, as one dense ridge regression."""
    n_users, n_items = X.shape
    users, items = X.nonzero()
    design = np.zeros((X.nnz, n_users + n_items))
    design[np.arange(X.nnz), users] = 1
    design[np.arange(X.nnz), n_users + items] = 1
    mean = np.average(X.data, weights=weight[users])
    penalty = np.diag(np.concatenate([l2_user * weight, np.full(n_items, l2_item)]))
    gram = design.T @ (weight[users, None] * design) + penalty
    offsets = np.linalg.lstsq(gram, design.T @ (weight[users] * (X.data - mean)))[0]
    return mean, offsets[:n_users], offsets[n_users:]


@pytest.mark.parametrize("weight", [np.ones(40), np.arange(40) % 3 + 0.5])
def test_offsets_minimise_the_penalised_squared_error(ratings, weight):
    mean, user_offsets, item_offsets = offsets_by_least_squares(ratings, 3.0, 2.0, weight)
    model = BiasBaseline(l2_user=3.0, l2_item=2.0, clip=False)
    model.fit(ratings, sample_weight=weight)
    assert model.mean_ == pytest.approx(mean)
    np.testing.assert_allclose(model.item_offsets_, item_offsets, atol=1e-9)
    expected = mean + user_offsets[:, None] + item_offsets
    np.testing.assert_allclose(model.predict(ratings), expected, atol=1e-9)


def test_predictions_keep_to_the_rating_range(ratings):
    model = BiasBaseline(l2_user=1e-3, l2_item=1e-3).fit(ratings)
    clipped = model.predict(ratings)
    free = model.set_params(clip=False).predict(ratings)
    assert model.rating_range_ == (1.0, 5.0)
    assert free.max() > 5
    np.testing.assert_array_equal(clipped, np.clip(free, 1, 5))


def test_nobody_has_rated_anything():
    model = BiasBaseline().fit(np.zeros((3, 2)))
    np.testing.assert_array_equal(model.predict(np.zeros((1, 2))), np.zeros((1, 2)))


@pytest.mark.parametrize("parameter", ["l2_user", "l2_item"])
def test_penalties_are_positive(ratings, parameter):
    with pytest.raises(ValueError, match=f"'{parameter}' parameter of BiasBaseline must be"):
        BiasBaseline(**{parameter: 0}).fit(ratings)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_popular_items_are_ranked_without_the_others(exclude_seen, monkeypatch):
    X = sparse.random_array((40, 300), density=0.03, rng=np.random.default_rng(0)).tocsr()
    model = Popularity().fit(X)  # with many ties, also at the end of what is ranked
    options = {"k": 7, "exclude_seen": exclude_seen, "return_scores": True}
    expected = model.recommend(X, items=np.arange(300), **options)
    monkeypatch.setattr(Popularity, "_score_rows", None)
    for ours, theirs in zip(model.recommend(X, **options), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(model.recommend(X, 7, exclude_seen=exclude_seen), expected[0])
