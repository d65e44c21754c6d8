"""A table of users, items and reviews through a Pipeline into a model that reads them."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import NMF
from sklearn.dummy import DummyRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from skrec import BiasBaseline, DeepLTRS, RatingRegressor
from skrec.datasets import make_ratings_reviews

MODEL = DeepLTRS(2, n_topics=4, hidden_layer_sizes=(16,), max_iter=5, random_state=0)


FOLDS = KFold(3, shuffle=True, random_state=0)


@pytest.fixture(scope="module")
def table():
    return simulate(60, 40, random_state=0)


def simulate(n_users, n_items, random_state):
    """A frame of users, items and reviews, and the ratings."""
    options = {"sparsity": 0.8, "n_words": 20, "random_state": random_state}
    simulated = make_ratings_reviews(n_users, n_items, **options)
    users, items = simulated.X.tocoo().coords
    frame = pd.DataFrame(
        {
            "user": simulated.user_ids[users],
            "item": simulated.item_ids[items],
            "review": simulated.reviews,
        }
    )
    return frame, simulated.X.data


def pipeline(text_model, model=MODEL, ids="passthrough"):
    columns = [("ids", ids, ["user", "item"]), ("text", text_model, "review")]
    return Pipeline([("columns", ColumnTransformer(columns)), ("model", RatingRegressor(model))])


def test_pipeline_equals_the_model_on_the_same_counts(table):
    frame, ratings = table
    predicted = pipeline(CountVectorizer()).fit(frame, ratings).predict(frame)
    counts = CountVectorizer().fit_transform(frame["review"]).toarray()
    together = np.column_stack([frame[["user", "item"]], counts])
    expected = RatingRegressor(MODEL).fit(together, ratings).predict(together)
    assert_array_equal(predicted, expected)
    ids = frame[["user", "item"]]
    assert not np.allclose(predicted, RatingRegressor(MODEL).fit(ids, ratings).predict(ids))


@pytest.mark.parametrize("model", [MODEL, BiasBaseline()])
def test_ids_that_are_strings(table, model):
    frame, ratings = table
    named = frame.assign(
        user=frame["user"].map("u{:03}".format), item=frame["item"].map("i{:03}".format)
    )
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model = pipeline(CountVectorizer(), model)
    by_name = pipeline(CountVectorizer(), model[-1].estimator, encoder).fit(named, ratings)
    by_number = model.fit(frame, ratings)
    assert_array_equal(by_name.predict(named), by_number.predict(frame))
    for column in ("user", "item"):
        newcomers = by_name.predict(named.assign(**{column: "nobody"}))
        assert_array_equal(newcomers, by_number.predict(frame.assign(**{column: 10**6})))
        assert not np.allclose(newcomers, by_number.predict(frame))


def test_the_review_of_a_pair_to_predict_is_not_read(table):
    frame, ratings = table
    model = pipeline(CountVectorizer()).fit(frame[:400], ratings[:400])
    unread = frame[400:].assign(review="unwritten")
    assert_array_equal(model.predict(frame[400:]), model.predict(unread))


def test_cross_validation_finds_more_than_the_mean():
    frame, ratings = simulate(100, 60, random_state=1)
    options = {"max_iter": 30, "learning_rate": 0.02, "early_stopping": False}
    model = pipeline(CountVectorizer(), clone(MODEL).set_params(**options))
    options = {"cv": FOLDS, "scoring": "neg_root_mean_squared_error"}
    scores, of_mean, of_ids = (
        cross_val_score(regressor, columns, ratings, **options)
        for regressor, columns in [
            (model, frame),
            (DummyRegressor(), frame),
            (model[-1], frame[["user", "item"]]),
        ]
    )
    assert (scores > of_mean + 0.02).all()
    assert scores.mean() > of_ids.mean() + 0.03


def test_search(table):
    frame, ratings = table
    model, scoring = pipeline(CountVectorizer()), "neg_root_mean_squared_error"
    grid = {"columns__text__min_df": [1, 3], "model__estimator__n_components": [1, 2]}
    search = GridSearchCV(clone(model), grid, cv=FOLDS, scoring=scoring).fit(frame, ratings)
    assert search.best_params_.keys() == grid.keys()
    rated, std = search.best_estimator_.predict(frame, return_std=True)
    assert rated.shape == std.shape == ratings.shape
    assert (std > 0).all()


def test_reviews_for_a_model_inside_a_pipeline_are_refused(table):
    frame, ratings = table
    with pytest.raises(ValueError, match="random_state=0.* reads reviews, but not inside Pipe"):
        pipeline(CountVectorizer(), make_pipeline(MODEL)).fit(frame, ratings)
    ids = frame[["user", "item"]]
    expected = RatingRegressor(MODEL).fit(ids, ratings).predict(ids)
    wrapped = RatingRegressor(make_pipeline(MODEL)).fit(ids, ratings)
    assert_allclose(wrapped.predict(ids), expected, rtol=1e-5)


def test_a_text_model_of_the_users_own_in_front(table):
    frame, ratings = table
    weights = make_pipeline(CountVectorizer(), NMF(3, init="nndsvda", random_state=0))
    model = pipeline(weights).fit(frame, ratings)
    assert model[-1].n_features_in_ == 2 + 3
    assert np.isfinite(model.predict(frame)).all()
