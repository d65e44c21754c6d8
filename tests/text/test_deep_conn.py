"""DeepCoNN: its formula by loops, what it must not read, and what is left without texts."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from skrec import BiasBaseline, DeepCoNN, Reviews
from skrec.text._review_network import in_double
from skrec.text._text_network import AskedDocuments, Documents, ReviewedStore, machine_parts
from skrec.text._word_sequences import in_one_line

WORDS = CountVectorizer(token_pattern=r"\w+")
SMALL = {
    "n_filters": 5,
    "hidden_layer_sizes": (4,),
    "embedding_size": 3,
    "max_iter": 2,
    "batch_size": 16,
    "early_stopping": False,
    "random_state": 0,
    "vectorizer": WORDS,
    "clip": False,
}


def rated(seed=0):
    rng = np.random.default_rng(seed)
    X = (rng.random((20, 9)) < 0.5) * rng.integers(1, 6, (20, 9)) * 1.0
    X[3] = 0
    X[:, 8] = 0
    X = sparse.csr_array(X)
    texts = [" ".join(rng.choice(list("abcde"), rng.integers(0, 5))) for _ in range(X.nnz)]
    return X, Reviews.from_documents(X, texts)


def fitted(**changes):
    X, reviews = rated()
    return DeepCoNN(3, **{**SMALL, **changes}).fit(X, reviews=reviews), X, reviews


def by_loops(model, user_texts, item_texts):
    """The network's answer for one pair, all windows and all pairs of inputs written out."""
    module = in_double(model._scoring_module())
    vectors = {word: module.words.vectors[n].numpy() for n, word in enumerate(model.vocabulary_)}
    codes = []
    for side, texts in (("user", user_texts), ("item", item_texts)):
        tower = module.towers[side]
        filters = tower.filters.weight.numpy().reshape(3, -1, 3)
        best = np.zeros(5)
        for text in texts:
            padded = [None, *text.split(), None]
            for place in range(1, len(padded) - 1):
                value = tower.biases.numpy().copy()
                for k, word in enumerate(padded[place - 1 : place + 2]):
                    value += 0 if word is None else filters[k] @ vectors[word]
                best = np.maximum(best, value)
        layer = tower.layers[0]
        codes.append(np.maximum(layer.weight.numpy() @ best + layer.bias.numpy(), 0))
    x = np.concatenate(codes)
    V = np.concatenate([module.machine[side].vectors.numpy() for side in ("user", "item")])
    w = np.concatenate([module.machine[side].weights.numpy() for side in ("user", "item")])
    value = float(module.bias) + w @ x
    for j in range(len(x)):
        for k in range(j):
            value += V[j] @ V[k] * x[j] * x[k]
    return value


def test_a_rating_is_that_of_the_formula():
    model, X, reviews = fitted(max_iter=5, learning_rate=0.02, l2_offset=2)
    texts = sparse.csr_array((np.arange(X.nnz), X.indices, X.indptr), shape=X.shape)
    documents = reviews.entry_documents
    of_items = texts.tocsc()
    expected = BiasBaseline(2, 2).fit(X).predict(X)
    for user, item in [(0, 0), (3, 1), (5, 8), (7, 3)]:
        own = documents[texts.data[X.indptr[user] : X.indptr[user + 1]]]
        about = documents[of_items.data[of_items.indptr[item] : of_items.indptr[item + 1]]]
        added = by_loops(model, own, about) * model.rating_unit_
        found = model.predict(X, reviews=reviews)[user, item]
        assert_allclose(found, expected[user, item] + added, rtol=1e-6)
        assert abs(added) > 1e-3


def test_without_texts_ratings_are_their_offsets_and_a_constant():
    X, _ = rated()
    model = DeepCoNN(3, **SMALL, l2_offset=2).fit(X)
    added = model.predict(X) - BiasBaseline(2, 2).fit(X).predict(X)
    assert_allclose(added, added[0, 0], atol=1e-9)
    assert abs(added[0, 0]) < 0.1
    assert model.vocabulary_.size == 0
    with pytest.raises(ValueError, match="DeepCoNN was fitted without texts"):
        model.predict(X, reviews=[""] * X.nnz)


def test_the_rated_review_is_in_neither_document_in_training():
    X, reviews = rated()
    losses = []
    for text in ("a b c", "e e e e"):
        texts = reviews.entry_documents.copy()
        texts[11] = text
        model = DeepCoNN(3, **SMALL)
        model._vocabulary = None
        data = model._training_data(X, Reviews.from_documents(X, texts))
        module = model._module_class(9, **model._module_options(data))
        model._init_module(module, data, torch.Generator().manual_seed(0))
        torch.nn.init.normal_(
            module.machine["user"].weights, generator=torch.Generator().manual_seed(0)
        )
        [batch] = ReviewedStore(data, torch.device("cpu")).batches(1000)
        losses.append(module(batch, None, None).detach().numpy())
    assert losses[0][11] == losses[1][11]
    assert not np.allclose(*losses)  # others read it


def test_gradients_are_those_of_the_maxima():
    model, X, reviews = fitted()
    data = model._training_data(X, reviews)
    module = in_double(model._scoring_module())
    [batch] = ReviewedStore(data, torch.device("cpu")).batches(1000)
    object.__setattr__(batch, "ratings", batch.ratings.double())
    weights = module.words.vectors.requires_grad_(True)
    module(batch, None, None).sum().backward()
    with torch.no_grad():
        for place in [(0, 0), (2, 1), (4, 2)]:
            values = []
            for step in (1e-6, -1e-6):
                weights[place] += step
                values.append(float(module(batch, None, None).sum()))
                weights[place] -= step
            expected = (values[0] - values[1]) / 2e-6
            assert_allclose(float(weights.grad[place]), expected, rtol=1e-4, atol=1e-8)


def test_a_document_is_a_set_of_reviews():
    model, X, reviews = fitted()
    shuffled = reviews.entry_documents
    joined = model._read_reviews(reviews)
    row = int(np.argmax(np.diff(X.indptr)))
    own = slice(X.indptr[row], X.indptr[row + 1])
    backwards = shuffled.copy()
    backwards[own] = shuffled[own][::-1]
    other = model._read_reviews(Reviews.from_documents(X, backwards))
    assert (joined[[row]] != other[[row]]).nnz
    assert_array_equal(
        model._user_codes(X[[row]], joined[[row]])[0], model._user_codes(X[[row]], other[[row]])[0]
    )


def test_items_that_nobody_has_rated_are_rated_by_their_texts():
    texts = ["a b", "c d"] * 4 + ["a b"]
    model, X, reviews = fitted(item_features=texts, learning_rate=0.02, max_iter=5)
    assert_allclose(model.item_embeddings_[8], model.item_embeddings_[0])
    assert not np.allclose(model.item_embeddings_[8], model.item_embeddings_[1])
    # Only these are the items' documents.
    data = model._training_data(X, reviews)
    assert not data.own_reviews
    assert len(data.items) == 9
    with pytest.raises(ValueError, match="item_features has 2 documents, X has 9 items"):
        DeepCoNN(item_features=["a", "b"]).fit(X)
    with pytest.raises(TypeError, match="item_features must be texts"):
        DeepCoNN(item_features=np.ones((9, 2))).fit(X)


def test_given_vectors_stay_and_belong_to_the_vectorizers_words():
    vectors = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    words = CountVectorizer(vocabulary=list("edcba"), token_pattern=r"\w+")
    model, X, reviews = fitted(embeddings=vectors, vectorizer=words)
    assert_array_equal(model._weights["words.vectors"], vectors)
    assert_array_equal(model.vocabulary_, list("edcba"))
    with pytest.raises(ValueError, match="vector for each of the 5 words.*shape \\(4, 7\\)"):
        fitted(embeddings=vectors[:4], vectorizer=words)


def test_texts_are_learned_from():
    rng = np.random.default_rng(0)
    likes, kind = rng.integers(0, 2, 60), np.arange(10) % 2
    X = np.where(likes[:, None] == kind, 5.0, 1.0) * (rng.random((60, 10)) < 0.5)
    X = sparse.csr_array(X)
    users, items = X.nonzero()
    texts = [f"{'xy'[likes[u]]} {'pq'[kind[i]]}" for u, i in zip(users, items, strict=True)]
    options = {**SMALL, "max_iter": 12, "learning_rate": 0.03, "dropout": 0.0}
    reviews = Reviews.from_documents(X, texts)
    model = DeepCoNN(4, **options).fit(X, reviews=reviews)
    expected = np.where(likes[:, None] == kind, 5.0, 1.0)
    has_any = np.diff(X.indptr) > 0
    errors = (model.predict(X, reviews=reviews) - expected)[has_any]
    assert np.sqrt(np.mean(errors**2)) < 1  # the best constant has 2


def test_pickles_continue_and_answer_alike():
    model, X, reviews = fitted(warm_start=True)
    again = pickle.loads(pickle.dumps(model))
    predicted = model.predict(X, reviews=reviews)
    assert_array_equal(again.predict(X, reviews=reviews), predicted)
    assert_array_equal(model.predict(X[:2], reviews=reviews[:2]), predicted[:2])
    embeddings = model.fit_transform(X, reviews=reviews)
    assert model.n_iter_ == 4
    assert_array_equal(model.transform(X, reviews=reviews), embeddings)


def test_parts_of_a_machine_add_up_to_all_pairs():
    model, _, _ = fitted()
    part = in_double(model._scoring_module()).machine["user"]
    x = np.random.default_rng(0).normal(size=(3, 4))
    vectors, weights = part.vectors.numpy(), part.weights.numpy()
    sums, own = machine_parts(part, x)
    assert_allclose(sums, x @ vectors)
    for row, found in zip(x, own, strict=True):
        pairs = sum(vectors[j] @ vectors[k] * row[j] * row[k] for j in range(4) for k in range(j))
        assert_allclose(found, weights @ row + pairs)


def test_empty_documents_answer_nothing():
    model, _, _ = fitted()
    module = in_double(model._scoring_module())
    empty = Documents(in_one_line(sparse.csr_array((2, 1), dtype=np.int32)))
    asked = AskedDocuments(empty, np.array([1, 0]))
    found = module.towers["user"].answers(module.words.vectors, asked)
    assert_array_equal(found.numpy(), 0)
