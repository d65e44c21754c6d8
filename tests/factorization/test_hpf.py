"""HPF: its bound, its expected counts, rows that are folded in, and updates."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrec import HPF
from skrec.factorization._hpf import LARGEST_COUNT
from skrec.utils._changes import update_rows


def counts(seed=0, shape=(60, 20)):
    """Two groups of users, who play two groups of items."""
    rng = np.random.default_rng(seed)
    groups = np.arange(shape[0])[:, None] % 2 == np.arange(shape[1]) % 2
    return sparse.csr_array(rng.poisson(np.where(groups, 1.5, 0.1)).astype(float))


def test_the_objective_never_rises_and_stops_by_its_tolerance():
    X = counts()
    model = HPF(3, tol=0, max_iter=60, random_state=0).fit(X)
    losses = np.array(model.loss_curve_)
    assert len(losses) == model.n_iter_ == 60
    assert np.diff(losses).max() < 1e-9 * losses[0]
    stopped = HPF(3, tol=1e-3, random_state=0).fit(X)
    gains = -np.diff(stopped.loss_curve_) / np.abs(stopped.loss_curve_[1:])
    assert gains[-1] < 1e-3
    assert (gains[:-1] >= 1e-3).all()


def test_expected_counts_are_those_that_made_the_data():
    X = counts(shape=(400, 20))
    predicted = HPF(2, random_state=0).fit(X).predict(X)
    groups = np.arange(400)[:, None] % 2 == np.arange(20) % 2
    assert_allclose(predicted[groups].mean(), 1.5, rtol=0.1)
    assert_allclose(predicted[~groups].mean(), 0.1, atol=0.1)


def test_a_user_who_chose_nothing_is_expected_little_of_what_is_popular():
    X = counts()
    model = HPF(3, random_state=0).fit(X)
    empty = model.predict(np.zeros((1, 20)))[0]
    assert (empty > 0).all()
    assert empty.sum() < model.predict(X).sum(axis=1).mean()


def test_factors_of_training_users_are_at_the_fixed_point_of_new_ones():
    X = counts()
    model = HPF(3, random_state=0).fit(X)
    users, items = model.transform(X), model.item_embeddings_
    assert_array_equal(model.transform(X[:5]), users[:5])
    assert_array_equal(model.predict(X), users @ items.T)


def test_an_update_goes_on_from_the_items():
    X = counts()
    old = X[:40, :18]
    model = HPF(3, random_state=0).fit(old)
    update_rows(model, old, X)
    assert model.item_embeddings_.shape == (20, 3)
    anew = HPF(3, random_state=0).fit(X)
    assert_allclose(model.loss_curve_[-1], anew.loss_curve_[-1], rtol=0.02)
    assert model.n_iter_ <= anew.n_iter_


@pytest.mark.parametrize("bad, message", [(-1, "HPF needs"), (2 * LARGEST_COUNT, "at most")])
def test_what_is_no_count_is_refused(bad, message):
    X = counts().toarray()
    model = HPF(3, random_state=0).fit(X)
    X[0, 0] = bad
    for verb in (model.fit, model.predict):
        with pytest.raises(ValueError, match=message):
            verb(X)
