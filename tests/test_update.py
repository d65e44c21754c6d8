"""Updates by ids: what becomes of changed users, new users and new items, and what is refused."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

import skrec
from skrec import (
    CTR,
    CVAE,
    EASE,
    HFT,
    MDACF,
    VAEBMF,
    AutoRec,
    BayesianPMF,
    BiasBaseline,
    DeepCoNN,
    DeepLatentFactor,
    DeepLTRS,
    Interactions,
    MultDAE,
    Popularity,
    RobustPMF,
    RP3beta,
    SparseCovariancePMF,
    TransNet,
)
from skrec._model_table import MODELS
from skrec.utils._changes import changed_rows

N_OLD, N_OLD_ITEMS = 30, 15
NEVER = {
    "AutoRec": AutoRec(4, max_iter=1, early_stopping=False),
    "CTR": CTR(2, max_iter=1),
    "CVAE": CVAE(2, max_iter=1),
    "DeepCoNN": DeepCoNN(2, n_filters=2, max_iter=1, early_stopping=False),
    "BayesianPMF": BayesianPMF(2, n_samples=2, n_burn_in=1),
    "DeepLTRS": DeepLTRS(4, n_topics=2, max_iter=1, early_stopping=False),
    "DeepLatentFactor": DeepLatentFactor(4, max_iter=1, early_stopping=False),
    "HFT": HFT(2, max_iter=1),
    "MDACF": MDACF(2, max_iter=1),
    "RobustPMF": RobustPMF(2, max_iter=1),
    "SparseCovariancePMF": SparseCovariancePMF(2, max_iter=1),
    "TransNet": TransNet(2, n_filters=2, max_iter=1, early_stopping=False),
    "VAEBMF": VAEBMF(4, max_iter=1, early_stopping=False),
}


def with_ids(X):
    users = [f"user {row}" for row in range(X.shape[0])]
    return Interactions(
        sparse.csr_array(X, dtype=np.float32), users, np.arange(100, 100 + X.shape[1])
    )


@pytest.fixture
def states():
    """What holds on three days, of ratings in halves: users change, users and items come in."""
    rng = np.random.default_rng(0)
    X = rng.integers(1, 11, (40, 18)) / 2 * (rng.random((40, 18)) < 0.4)
    days = [X[:N_OLD, :N_OLD_ITEMS].copy(), X[:35, :17].copy(), X]
    days[0][2, ::2] = 0  # more entries since
    days[0][3, :4] = 5.5  # other ratings, or entries that are no more
    days[1][3] = X[4, :17]
    days[1][32] = 0
    return [with_ids(day) for day in days]


EXACT = {
    "Popularity": (Popularity(), {}),
    "Popularity, weighted": (Popularity(), {"weighted": True}),
    "BiasBaseline": (BiasBaseline(), {}),
    "BiasBaseline, weighted": (BiasBaseline(), {"weighted": True}),
    "RP3beta": (RP3beta(5), {}),
    "EASE primal": (EASE(2.0, method="primal", dtype="float64"), {}),
    "EASE dual": (EASE(2.0, method="dual"), {}),
    "EASE float32": (EASE(5.0, method="primal", dtype="float32"), {"atol": 1e-4}),
    "EASE dropout": (EASE(2.0, method="primal", dropout=0.3, dtype="float64"), {}),
    "EASE weighted": (EASE(2.0, method="primal", dtype="float64"), {"weighted": True}),
    "EASE relaxed": (
        EASE(2.0, relaxation=0.3, user_power=0.5, method="primal", dtype="float64"),
        {"weighted": True},
    ),
    "EASE dual, by history": (EASE(2.0, user_power=0.5, method="dual"), {}),
    "EASE without rows": (EASE(2.0, store_rows=False, dtype="float64"), {"weighted": True}),
}


@pytest.mark.parametrize("name", EXACT)
def test_models_in_closed_form_become_what_a_fit_makes_of_the_new_state(states, name):
    model, options = EXACT[name]
    weights = np.random.default_rng(1).random(40)

    def weighted(state):
        return {"sample_weight": weights[: state.shape[0]]} if "weighted" in options else {}

    model = clone(model).fit(states[0], **weighted(states[0]))
    for old, new in zip(states, states[1:], strict=False):
        assert skrec.update(model, old, new, **weighted(new)) is model
        expected = clone(model).fit(new, **weighted(new))
        atol = options.get("atol", 1e-6)
        np.testing.assert_allclose(model.predict(new), expected.predict(new), rtol=0, atol=atol)
        np.testing.assert_array_equal(model.feature_names_in_, new.item_ids)
        for name in ("rating_unit_", "rating_range_"):
            assert getattr(model, name, None) == getattr(expected, name, None)


def test_a_night_of_a_shop():
    old = Interactions.from_arrays(["ann", "ann", "bob"], ["jam", "tea", "tea"])
    new = old.update(Interactions.from_arrays(["ann", "ann", "cem"], ["tea", "nuts", "nuts"]))
    model = skrec.update(Popularity().fit(old), old, new)
    np.testing.assert_array_equal(model.popularity_, [1, 2, 2])  # ann's tea counts once
    without_names = skrec.update(Popularity().fit(old.X), old, new)
    assert not hasattr(without_names, "feature_names_in_")
    np.testing.assert_array_equal(without_names.popularity_, [1, 2, 2])
    with pytest.raises(ValueError, match="reindex|item"):
        skrec.update(Popularity().fit(old), new[:, [1, 2]], new[:, [1, 2]])


def test_rows_that_changed_are_found():
    old = sparse.csr_array(np.array([[1, 0, 2], [0, 0, 0], [3, 0, 0], [1, 1, 0], [0, 4, 5]]))
    new = sparse.csr_array(
        np.array([[1, 0, 2, 0], [0, 0, 0, 6], [0, 3, 0, 0], [1, 2, 0, 0], [0, 4, 5, 0], [0] * 4])
    )
    np.testing.assert_array_equal(changed_rows(old, new), [1, 2, 3, 5])
    np.testing.assert_array_equal(changed_rows(old, old), [])


def test_ease_keeps_a_gram_matrix_for_the_next_update_and_then_reads_changed_rows(states):
    model = EASE(2.0, method="primal").fit(states[0].X)
    skrec.update(model, *states[:2])
    assert model._rows is None
    assert model._gram.shape == (17, 17)
    model._gram = 2 * model._gram
    with pytest.raises(ValueError, match="EASE was not fitted on `old`"):
        skrec.update(model, *states[1:])
    assert model._gram.shape == (17, 17)


def test_a_model_that_was_fitted_on_something_else_is_refused_where_it_can_tell(states):
    model = Popularity().fit(states[0].X[:-1])
    with pytest.raises(ValueError, match="not fitted on `old`, or with other sample_weight: item"):
        skrec.update(model, *states[:2])
    assert model.n_features_in_ == N_OLD_ITEMS
    weighted = Popularity().fit(states[0].X, sample_weight=np.full(N_OLD, 2.0))
    with pytest.raises(ValueError, match="with other sample_weight"):
        skrec.update(weighted, *states[:2])
    with pytest.raises(ValueError, match="old has 17 items, Popularity was fitted on 15"):
        skrec.update(model, *states[1:])


def test_nothing_new_changes_nothing(states):
    model = MultDAE(4, max_iter=1, early_stopping=False, random_state=0).fit(states[0].X)
    before = pickle.dumps(model)
    skrec.update(model, states[0], states[0])
    assert pickle.dumps(model) == before


def test_ids_that_are_missing_or_have_moved_are_named(states):
    old, new = states[:2]
    model = Popularity().fit(old.X)
    cases = {
        r"users of `old` are missing in `new` \(1, first 'user 2'\)": Interactions(
            new.X[[0, 1, *range(3, 35)]], np.delete(new.user_ids, 2), new.item_ids
        ),
        r"items of `old` are missing in `new` \(2, first 100\)": Interactions(
            new.X[:, 2:], new.user_ids, new.item_ids[2:]
        ),
        "users of `old` stand in another order in `new` .'user 34' where": Interactions(
            new.X[::-1], new.user_ids[::-1], new.item_ids
        ),
        "items of `old` stand in another order in `new` .116 where 100": Interactions(
            sparse.csr_array(new.X.toarray()[:, ::-1]), new.user_ids, new.item_ids[::-1]
        ),
    }
    for message, other in cases.items():
        with pytest.raises(ValueError, match=message) as raised:
            skrec.update(model, old, other)
        assert "old.update(...)" in str(raised.value)
    with pytest.raises(TypeError, match="new must be Interactions, got csr_array"):
        skrec.update(model, old, sparse.csr_array(new.X))
    assert model.n_features_in_ == N_OLD_ITEMS


@pytest.mark.parametrize("name", NEVER)
def test_models_without_a_sound_update_say_why_and_have_no_partial_fit(states, name):
    model = NEVER[name].fit(states[0].X)
    assert not hasattr(model, "partial_fit")
    with pytest.raises(TypeError, match=rf"{name} has no sound update, as .*model.fit\(new\)"):
        skrec.update(model, *states[:2])
    assert model.n_features_in_ == N_OLD_ITEMS


def test_every_model_can_be_updated_or_says_why_not():
    refusing = {name for name, row in MODELS.items() if row.instance()._no_update is not None}
    assert refusing == set(NEVER)


def test_what_holds_a_model_says_how_to_update_it(states):
    search = GridSearchCV(Popularity(), {}, cv=2).fit(states[0].X)
    with pytest.raises(TypeError, match="got GridSearchCV: update its best_estimator_"):
        skrec.update(search, *states[:2])
    skrec.update(search.best_estimator_, *states[:2])
    pipeline = make_pipeline(MaxAbsScaler(), Popularity()).fit(states[0].X)
    with pytest.raises(TypeError, match="got Pipeline: update its last step, with"):
        skrec.update(pipeline, *states[:2])
    with pytest.raises(ValueError, match="not fitted"):
        skrec.update(Popularity(), *states[:2])


def test_weights_are_for_models_that_take_them_and_checked(states):
    with pytest.raises(TypeError, match="RP3beta takes no sample_weight"):
        skrec.update(RP3beta().fit(states[0].X), *states[:2], sample_weight=np.ones(35))
    model = Popularity().fit(states[0].X)
    with pytest.raises(ValueError, match="sample_weight"):
        skrec.update(model, *states[:2], sample_weight=np.ones(34))
    assert model.n_features_in_ == N_OLD_ITEMS


def test_new_rows_that_the_model_refuses_change_nothing(states):
    old, new = states[:2]
    negative = Interactions(-1 * new.X, new.user_ids, new.item_ids)
    model = RP3beta().fit(old.X)
    before = model.predict(old.X)
    with pytest.raises(ValueError, match="Negative values"):
        skrec.update(model, old, negative)
    np.testing.assert_array_equal(model.predict(old.X), before)


def test_a_user_based_auto_rec_makes_a_pass_over_all_users(states):
    model = AutoRec(4, based_on="user", max_iter=2, early_stopping=False, random_state=0)
    model.fit(states[0].X)
    skrec.update(model, *states[:2])
    assert model.n_iter_ == 3
    assert model.item_embeddings_.shape == (17, 4)
    other = AutoRec(4, based_on="user", max_iter=1, early_stopping=False).fit(states[1].X)
    offsets, expected = (one.rating_unit_ * one._offsets[1] for one in (model, other))
    np.testing.assert_allclose(offsets, expected, atol=1e-6)


def test_what_the_model_was_not_fitted_on_is_refused_even_if_nothing_changed():
    old = Interactions.from_arrays([1, 1, 2, 3, 3], [10, 20, 20, 30, 10])
    new = old.update(Interactions.from_arrays([4, 4], [10, 20]))
    for model in (EASE(l2=1), Popularity()):
        model.fit(old)
        with pytest.raises(ValueError, match="was not fitted on `old`"):
            skrec.update(model, new, new)
        with pytest.raises(ValueError, match="was not fitted on `old`"):
            skrec.update(model, old, new, sample_weight=[2, 2, 2, 1])
    weighted = EASE(l2=1).fit(old, sample_weight=[2, 1, 1])
    with pytest.raises(ValueError, match="or with other sample_weight"):
        skrec.update(weighted, old, new)
    with pytest.raises(ValueError, match="users of `new` must be distinct"):
        skrec.update(model, old, new[[0, 1, 2, 0]])
