"""TransNet: its formula, what it reads in training alone, and weights that no two terms share."""

import pickle

import numpy as np
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from skrec import BiasBaseline, Reviews, TransNet
from skrec.text._review_network import in_double
from skrec.text._text_network import ReviewedStore

SMALL = {
    "n_filters": 5,
    "hidden_layer_sizes": (4,),
    "embedding_size": 3,
    "max_iter": 2,
    "batch_size": 16,
    "early_stopping": False,
    "random_state": 0,
    "vectorizer": CountVectorizer(token_pattern=r"\w+"),
    "clip": False,
}


def rated(seed=0):
    rng = np.random.default_rng(seed)
    X = sparse.csr_array((rng.random((20, 9)) < 0.5) * rng.integers(1, 6, (20, 9)) * 1.0)
    texts = [" ".join(rng.choice(list("abcde"), rng.integers(0, 5))) for _ in range(X.nnz)]
    return X, Reviews.from_documents(X, texts)


def in_training(X, reviews, **changes):
    model = TransNet(3, **{**SMALL, **changes})
    data = model._training_data(X, reviews)
    module = model._module_class(9, **model._module_options(data))
    generator = torch.Generator().manual_seed(0)
    model._init_module(module, data, generator)
    for name in ("target", "source"):
        torch.nn.init.normal_(module.machines[name].weights, generator=generator)
    [batch] = ReviewedStore(data, torch.device("cpu")).batches(1000)
    return module, batch


def test_a_rating_is_that_of_the_formula():
    X, reviews = rated()
    model = TransNet(3, **{**SMALL, "learning_rate": 0.02, "max_iter": 5}, l2_offset=2)
    model.fit(X, reviews=reviews)
    module = in_double(model._scoring_module())
    users, _ = model._user_codes(X, model._read_reviews(reviews))
    items = model._item_codes
    offsets = BiasBaseline(2, 2).fit(X).predict(X)
    predicted = model.predict(X, reviews=reviews)
    part = module.machines["source"]
    vectors, weights = part.vectors.numpy(), part.weights.numpy()
    for user, item in [(0, 0), (3, 1), (5, 8)]:
        code = np.concatenate([users[user], items[item]])
        for layer in module.transform:
            code = np.tanh(layer.weight.numpy() @ code + layer.bias.numpy())
        added = float(module.biases["source"]) + weights @ code
        added += sum(
            vectors[j] @ vectors[k] * code[j] * code[k] for j in range(4) for k in range(j)
        )
        assert abs(added) > 1e-4
        assert_allclose(
            predicted[user, item], offsets[user, item] + model.rating_unit_ * added, rtol=1e-6
        )


def test_the_rated_review_is_read_by_the_target_network_alone():
    X, reviews = rated()
    foreseen, codes = [], []
    for text in ("a b c", "e e e e"):
        texts = reviews.entry_documents.copy()
        texts[11] = text
        module, batch = in_training(X, Reviews.from_documents(X, texts))
        with torch.no_grad():
            sides = module.codes("user", batch.users), module.codes("item", batch.items)
            foreseen.append(module.foresee(*sides).numpy())
            codes.append(module.codes("review", batch.own).numpy())
    assert_array_equal(foreseen[0][11], foreseen[1][11])
    assert not np.allclose(*foreseen)
    assert not np.allclose(codes[0][11], codes[1][11])
    assert_array_equal(np.delete(codes[0], 11, axis=0), np.delete(codes[1], 11, axis=0))


def test_the_objective_is_three_terms_that_share_no_weights():
    X, reviews = rated()
    module, batch = in_training(X, reviews)
    with torch.no_grad():
        code = module.codes("review", batch.own)
        sides = module.codes("user", batch.users), module.codes("item", batch.items)
        foreseen = module.foresee(*sides)
        terms = [
            (batch.ratings - module.rate("target", code)).square(),
            (foreseen - code).square().sum(dim=1),
            (batch.ratings - module.rate("source", foreseen)).square(),
        ]
        assert_allclose(module(batch, None, None).numpy(), sum(terms).numpy(), rtol=1e-5)
    # What the source network rates by is not learned from the rating.
    loss = module(batch, None, None).sum()
    gradient = torch.autograd.grad(loss, module.transform[0].weight)[0]
    apart = module.foresee(
        *(
            module.codes(s, b)
            for s, b in zip(("user", "item"), (batch.users, batch.items), strict=True)
        )
    )
    expected = torch.autograd.grad((apart - code).square().sum(), module.transform[0].weight)[0]
    assert_allclose(gradient.numpy(), expected.numpy(), rtol=1e-4, atol=1e-6)
    review = module.towers["review"].layers[0].weight
    gradient = torch.autograd.grad(module(batch, None, None).sum(), review)[0]
    rated_by = (batch.ratings - module.rate("target", module.codes("review", batch.own))).square()
    expected = torch.autograd.grad(rated_by.sum(), review)[0]
    assert_allclose(gradient.numpy(), expected.numpy(), rtol=1e-4, atol=1e-6)


def test_pairs_rows_and_pickles_answer_alike():
    X, reviews = rated()
    model = TransNet(3, item_features=["a b", "c"] * 4 + ["a b"], **SMALL)
    model.fit(X, reviews=reviews)
    predicted = model.predict(X, reviews=reviews)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X, reviews=reviews), predicted)
    assert_array_equal(model.item_embeddings_[8], model.item_embeddings_[0])
    assert model.transform(X, reviews=reviews).shape == (20, 4)
    assert_allclose(model.predict(X[:2], reviews=reviews[:2]), predicted[:2])
