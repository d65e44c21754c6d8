"""The numbers behind the pictures of DeepLTRS, and that the pictures show them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator

from skrec import BiasBaseline, DeepLTRS, Popularity, Reviews
from skrec.datasets import make_ratings_reviews
from skrec.inspection import LatentSpaceDisplay, SparsityDisplay, TopicDisplay

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def nothing_on_screen():
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    return make_ratings_reviews(40, 30, sparsity=0.8, n_words=10, random_state=0)


@pytest.fixture(scope="module")
def model(data):
    options = {"hidden_layer_sizes": (8,), "max_iter": 2, "early_stopping": False}
    model = DeepLTRS(4, n_topics=3, random_state=0, **options)
    return model.fit(data.X, reviews=data.reviews)


@pytest.mark.parametrize("of", ["users", "items"])
@pytest.mark.parametrize("color", ["rating", "activity"])
def test_latent_space(data, model, of, color):
    X = data.X.tolil()
    X[3], X[:, 5] = 0, 0
    X = X.tocsr()
    reviews = Reviews.from_interactions(data).aligned_with(X)
    options = {"reviews": reviews} if of == "users" else {}
    display = LatentSpaceDisplay.from_estimator(model, X, of=of, color=color, **options)
    dense = X.toarray() if of == "users" else X.toarray().T
    rated = (dense > 0).any(axis=1)
    counts = (dense > 0).sum(axis=1)[rated]
    means = dense.sum(axis=1)[rated] / counts
    assert_allclose(display.values, means if color == "rating" else counts, rtol=1e-6)
    latents = model.transform(X, reviews=reviews) if of == "users" else model.item_embeddings_
    first, second = display.components
    assert_allclose(display.embeddings, latents[rated][:, [first, second]])
    correlations = np.abs(np.corrcoef(np.c_[latents[rated], means, np.log(counts)].T))
    assert first == correlations[:4, 4].argmax()
    assert second == max(set(range(4)) - {first}, key=lambda k: correlations[k, 5])
    assert_allclose(display.points_.get_offsets(), display.embeddings)
    assert_allclose(display.points_.get_array(), display.values)
    assert display.ax_.get_xlabel() == f"Latent variable {first}"
    assert display.colorbar_.ax.get_ylabel() in ("mean rating", "number of ratings")


def test_latent_space_on_given_axes_and_wrong_input(data, model):
    _, ax = plt.subplots()
    display = LatentSpaceDisplay.from_estimator(model, data.X, components=(2, 0), ax=ax)
    assert display.ax_ is ax
    assert display.components == (2, 0)
    assert_allclose(display.embeddings, model.transform(data.X)[:, [2, 0]])
    for wrong in ((0, 4), (0,), (0, 1.5)):
        with pytest.raises(ValueError, match="two numbers of latent variables from 0 to 3"):
            LatentSpaceDisplay.from_estimator(model, data.X, components=wrong)
    with pytest.raises(ValueError, match="of must be one of"):
        LatentSpaceDisplay.from_estimator(model, data.X, of="user")
    with pytest.raises(ValueError, match="color must be one of"):
        LatentSpaceDisplay.from_estimator(model, data.X, color="blue")
    with pytest.raises(ValueError, match="reviews are read of users only.*of='items'"):
        LatentSpaceDisplay.from_estimator(model, data.X, of="items", reviews=data.reviews)
    for of in ("users", "items"):
        with pytest.raises(ValueError, match="X has 10 items, DeepLTRS was fitted on 30"):
            LatentSpaceDisplay.from_estimator(model, data.X[:, :10], of=of)


def test_topics(data, model):
    display = TopicDisplay.from_estimator(model, n_words=5, topics=[2, 0])
    assert_array_equal(display.words, model.topics(5)[[2, 0]])
    assert_allclose(display.image_.get_array(), display.probabilities)
    assert [text.get_text() for text in display.texts_] == display.words.ravel().tolist()
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["2", "0"]
    everything = TopicDisplay.from_estimator(model)
    assert sorted(everything.topics) == [0, 1, 2]
    distance = np.abs(model.topic_word_ - model.topic_word_.mean(axis=0)).sum(axis=1)
    assert_array_equal(everything.topics, np.argsort(-distance))


def test_topics_of_wrong_input(data, model):
    with pytest.raises(ValueError, match=r"topics must lie in \[0, 2\], got \[3\]"):
        TopicDisplay.from_estimator(model, topics=[3])
    with pytest.raises(ValueError, match="has no topic_word_"):
        TopicDisplay.from_estimator(BiasBaseline().fit(data.X))
    with pytest.raises(ValueError, match="a column for each of the 2 words"):
        TopicDisplay.from_predictions([[1.0]], ["tea", "jam"])


class Recorder(BiasBaseline):
    """Remembers how much it was given."""

    seen: list = []

    def fit(self, X, y=None, *, reviews=None):
        self.seen.append((X.nnz, None if reviews is None else reviews.index.nnz))
        return super().fit(X)


def test_sparsity(data):
    Recorder.seen.clear()
    options = {"fractions": (1.0, 0.25), "n_repeats": 3, "random_state": 0}
    display = SparsityDisplay.from_estimator(Recorder(), data.X, reviews=data.reviews, **options)
    n_training = data.X.nnz - np.ceil(0.1 * data.X.nnz)
    sizes = [n_training, round(0.25 * n_training)]
    assert Recorder.seen == [(n, r) for _ in range(3) for n in sizes for r in (n, None)]
    assert_allclose(display.sparsity, [1 - n / (40 * 30) for n in sizes])
    assert list(display.scores) == ["with texts", "without texts"]
    # this model ignores texts
    assert_array_equal(*display.scores.values())
    for line, values in zip(display.lines_, display.scores.values(), strict=True):
        assert_allclose(line.get_xdata(), display.sparsity)
        assert_allclose(line.get_ydata(), values.mean(axis=1))
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["with texts", "without texts"]
    alone = SparsityDisplay.from_estimator(Recorder(), data.X, **options)
    assert_array_equal(alone.scores["without texts"], display.scores["without texts"])
    assert len(alone.lines_) == 1


class Watched(BiasBaseline):
    """Remembers of how many users at a time it was asked."""

    asked: list = []

    def predict(self, X, *, reviews=None):
        self.asked.append((X.shape[0], None if reviews is None else len(reviews)))
        return super().predict(X)


def test_sparsity_predicts_few_users_at_a_time(data):
    options = {"reviews": data.reviews, "fractions": [1], "n_repeats": 2, "random_state": 0}
    whole = SparsityDisplay.from_estimator(BiasBaseline(), data.X, **options)
    Watched.asked.clear()
    with config_context(working_memory=10 * 30 * 8 / 2**20):
        blocks = SparsityDisplay.from_estimator(Watched(), data.X, **options)
    assert max(n_users for n_users, _ in Watched.asked) <= 10
    assert sum(n_users for n_users, n_read in Watched.asked if n_read == n_users) == 2 * 40
    assert sum(n_users for n_users, n_read in Watched.asked if n_read is None) == 2 * 40
    for name, scores in whole.scores.items():
        assert_allclose(blocks.scores[name], scores)


def test_sparsity_needs_a_model_of_ratings(data):
    with pytest.raises(ValueError, match=r"must predict ratings, but .* of Popularity\(\) only"):
        SparsityDisplay.from_estimator(Popularity(), data.X)


def test_sparsity_of_given_scores():
    display = SparsityDisplay.from_predictions([0.9, 0.5], {"a": [[1, 2], [0, 1]]})
    assert_array_equal(display.sparsity, [0.5, 0.9])
    assert_array_equal(display.scores["a"], [[0, 1], [1, 2]])
    with pytest.raises(ValueError, match="a row for each of the 2 levels"):
        SparsityDisplay.from_predictions([0.9, 0.5], {"a": [1, 2]})
    for wrong, message in [({"fractions": [0]}, "fractions"), ({"n_repeats": 0}, "n_repeats")]:
        with pytest.raises(ValueError, match=f"{message} must be"):
            SparsityDisplay.from_estimator(BaseEstimator(), [[1]], **wrong)
