"""The whole way on MovieLens 1M: an independent implementation, and scikit-learn's searches."""

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer

from skrec import EASE, MultDAE, MultVAE, RecVAE
from skrec.datasets import fetch_movielens
from skrec.metrics import ndcg, ranking_scorer
from skrec.model_selection import StrongGeneralizationSplit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ratings(shared_data):
    return fetch_movielens("1m", data_home=shared_data, download_if_missing=False)


@pytest.fixture(scope="module")
def liked(ratings):
    return ratings.binarize(3.5).filter(min_items_per_user=5, min_users_per_item=1).X


def ease_ndcg_at_100_in_plain_numpy(train, fold_in, held_out, l2=500.0):
    gram = train.T @ train + l2 * np.eye(train.shape[1])
    precision = np.linalg.inv(gram)
    weights = -precision / np.diag(precision)
    weights[np.diag_indices_from(weights)] = 0
    scores = fold_in @ weights
    scores[fold_in > 0] = -np.inf
    discount = 1 / np.log2(np.arange(100) + 2)
    values = []
    for user_scores, relevant in zip(scores, held_out, strict=True):
        if relevant.any():
            top = np.argsort(-user_scores, kind="stable")[:100]
            ideal = discount[: int(min(100, relevant.sum()))].sum()
            values.append((discount * relevant[top]).sum() / ideal)
    return np.mean(values)


@pytest.mark.parametrize(("seed", "figure"), [(0, 0.4386), (1, 0.4269), (2, 0.4193)])
def test_ndcg_equals_that_of_an_independent_implementation(liked, seed, figure):
    split = StrongGeneralizationSplit(n_validation=0, n_test=0.1, random_state=seed)
    parts = split.partition(liked)
    model = EASE(l2=500, dtype="float32").fit(parts.train)
    top = model.recommend(parts.test_fold_in, k=100)
    expected = ease_ndcg_at_100_in_plain_numpy(
        *(parts[name].toarray() for name in ("train", "test_fold_in", "test_held_out"))
    )
    assert parts.train.shape[0] == 5431
    assert ndcg(top, parts.test_held_out) == pytest.approx(expected, abs=2e-4)
    assert expected == pytest.approx(figure, abs=2e-4)


GRID = [200.0, 1000.0]
SCORING = ranking_scorer(["ndcg@100", "recall@20"], random_state=0)


def search(estimator, grid):
    return GridSearchCV(estimator, grid, cv=5, scoring=SCORING, refit="ndcg@100", n_jobs=2)


@pytest.fixture(scope="module")
def searched(liked):
    return search(EASE(), {"l2": GRID}).fit(liked)


def test_grid_search_tunes_on_unseen_users(searched, liked):
    scores = searched.cv_results_["mean_test_ndcg@100"]
    assert searched.best_params_["l2"] == GRID[np.argmax(scores)]
    assert scores.min() > 0.40
    assert searched.best_estimator_.recommend(liked[:3], k=10).shape == (3, 10)


@pytest.mark.parametrize("convert", [sparse.csr_matrix, lambda X: pd.DataFrame(X.toarray())])
def test_grid_search_takes_any_input(searched, liked, convert):
    other = search(EASE(), {"l2": GRID}).fit(convert(liked))
    for key in ("mean_test_ndcg@100", "mean_test_recall@20"):
        np.testing.assert_allclose(other.cv_results_[key], searched.cv_results_[key], atol=1e-6)


def test_grid_search_under_another_joblib_backend(searched, liked):
    with joblib.parallel_config(backend="threading", n_jobs=2):
        other = search(EASE(), {"l2": GRID}).set_params(n_jobs=None).fit(liked)
    np.testing.assert_allclose(
        other.cv_results_["mean_test_ndcg@100"],
        searched.cv_results_["mean_test_ndcg@100"],
        atol=1e-6,
    )


def test_grid_search_inside_a_pipeline(ratings):
    pipeline = make_pipeline(Binarizer(threshold=3.5), EASE())
    scoring = ranking_scorer(["ndcg@100"], relevance=4, random_state=0)
    grid = GridSearchCV(
        pipeline, {"ease__l2": GRID}, cv=5, scoring=scoring, refit="ndcg@100", n_jobs=2
    )
    grid.fit(ratings.X)
    assert grid.cv_results_["mean_test_ndcg@100"].min() > 0.35
    assert grid.predict(ratings.X[:2]).shape == (2, ratings.X.shape[1])


@pytest.fixture(scope="module")
def unseen(liked):
    """Rows to learn from, those for early stopping included, and the test users of one split."""
    split = StrongGeneralizationSplit(n_validation=0, n_test=0.1, random_state=0)
    parts = split.partition(liked)
    return parts.train, parts.test_fold_in, parts.test_held_out


@pytest.mark.parametrize(
    ("model", "share_of_ease"),
    [
        (MultDAE(random_state=0), 0.95),
        (MultVAE(random_state=0), 0.94),
        (RecVAE(n_iter_no_change=6, random_state=0), 0.97),
    ],
    ids=lambda value: type(value).__name__,
)
def test_autoencoders_reach_their_share_of_ease(unseen, model, share_of_ease):
    train, fold_in, held_out = unseen
    ease = ndcg(EASE(l2=500).fit(train).recommend(fold_in, k=100), held_out)
    model.fit(train)
    assert ndcg(model.recommend(fold_in, k=100), held_out) > share_of_ease * ease
    # The users held out within the training data tell what to expect of those outside.
    assert max(model.validation_scores_) > 0.9 * share_of_ease * ease
