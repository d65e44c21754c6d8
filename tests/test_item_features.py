"""The one argument for what is known of items, of every model of the table that has it."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer

from skrec import EASE, Interactions, update
from skrec._model_table import MODELS

WITH_FEATURES = [
    name for name, row in MODELS.items() if "item_features" in row.instance().get_params()
]


def blocks(name):
    """Two groups of users and of items, and two items that nobody has, one of each kind."""
    X = np.kron(np.eye(2), np.ones((24, 8)))
    if MODELS[name].reads != "choices":
        X = 1 + 4 * X
    X[np.random.default_rng(0).random(X.shape) < 0.2] = 0
    return sparse.csr_array(np.hstack([X, np.zeros((48, 2))]))


KINDS = np.r_[np.repeat([0, 1], 8), 0, 1]


def test_the_models_that_have_it():
    assert {"EASE", "BayesianPMF", "MDACF", "CTR"} <= set(WITH_FEATURES)


@pytest.mark.parametrize("name", WITH_FEATURES)
def test_embeddings_with_negative_numbers_are_read_or_refused_by_name(name):
    """Such as sentence embeddings. Models of words count, and cannot read them."""
    X = blocks(name)
    embeddings = np.random.default_rng(1).standard_normal((2, 6))[KINDS]
    model = clone(MODELS[name].instance()).set_params(item_features=embeddings)
    if name == "CVAE":
        model.set_params(n_text_epochs=300, hidden_layer_sizes=(20,))
    if "clip" in model.get_params():
        model.set_params(clip=False)
    try:
        scores = model.fit(X).predict(X)
    except (ValueError, TypeError) as error:
        assert "item_features" in str(error)
        assert name in ("CTR", "HFT", "DeepCoNN", "TransNet")
        return
    new = scores[:, 16:]
    assert (new[:24, 0] > new[:24, 1]).all()
    assert (new[24:, 1] > new[24:, 0]).all()


def test_an_item_that_comes_in_after_the_fit_brings_its_document():
    texts = pd.Series(["green tea", "tea leaves", "rye bread", "wheat bread"], list("gtrw"))
    yesterday = Interactions.from_arrays(
        ["ann", "ann", "bob", "bob", "cem", "dan"], ["g", "t", "r", "w", "g", "r"]
    )
    vectorizer = TfidfVectorizer().fit(texts)
    features = vectorizer.transform(texts.loc[yesterday.item_ids])
    model = EASE(1.0, item_features=features).fit(yesterday)
    texts["new"] = "black tea"
    today = yesterday.reindex([*yesterday.item_ids, "new"])
    features = vectorizer.transform(texts.loc[today.item_ids])
    update(model.set_params(item_features=features), yesterday, today)
    scores = model.predict(today)
    assert scores[today.rows("ann"), -1] > scores[today.rows("bob"), -1]
    anew = EASE(1.0, item_features=features).fit(today)
    assert_allclose(scores, anew.predict(today), atol=1e-6)
