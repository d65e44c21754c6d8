"""DeepLTRS as an estimator: what reviews give it, and what it must not read."""

import inspect
import pickle
import re
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import torch
from draws import check_variances
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from skrec import BiasBaseline, DeepLTRS, Reviews
from skrec.datasets import make_ratings_reviews
from skrec.metrics import rating_scorer, rmse
from skrec.model_selection import fold_in_split, interaction_split
from skrec.solvers._offsets import less_offsets
from skrec.text import _deep_ltrs_module

SMALL = {
    "n_topics": 4,
    "hidden_layer_sizes": (16,),
    "learning_rate": 0.01,
    "max_iter": 3,
    "early_stopping": False,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def simulated():
    options = {"sparsity": 0.8, "n_words": 20, "return_truth": True}
    return make_ratings_reviews(80, 60, **options, random_state=0)


@pytest.fixture(scope="module")
def X(simulated):
    return simulated[0].X


@pytest.fixture(scope="module")
def reviews(simulated):
    return Reviews.from_interactions(simulated[0])


@pytest.fixture(scope="module")
def model(X, reviews):
    return DeepLTRS(5, **SMALL).fit(X, reviews=reviews)


def test_texts_help_where_ratings_are_few():
    simulated, truth = make_ratings_reviews(
        200, 150, sparsity=0.9, return_truth=True, random_state=1
    )
    train, test = interaction_split(simulated.X, 0.2, random_state=0)
    reviews = Reviews.from_interactions(simulated).aligned_with(train)
    options = {**SMALL, "max_iter": 20, "n_topics": 20, "text_weight": 1}
    model = DeepLTRS(10, **options)
    with_text = rmse(model.fit(train, reviews=reviews).predict(train, reviews=reviews), test)
    without = rmse(clone(model).fit(train).predict(train), test)
    offsets = rmse(BiasBaseline().fit(train).predict(train), test)
    assert with_text < without - 0.03
    assert with_text < offsets - 0.03
    # The ratings of a group pair cannot be told apart any further.
    rows, columns = test.nonzero()
    best = truth.expected_ratings[truth.user_groups[rows], truth.item_groups[columns]]
    assert with_text < np.sqrt(np.mean((best - test.data) ** 2)) + 0.07
    # The words of an unwritten review are those of its group pair.
    words = model.predict_words(train[:20], [0, 1, 2], 8, reviews=reviews[:20])
    for user in range(20):
        for item in range(3):
            topic = 2 * truth.user_groups[user] + truth.item_groups[item]
            assert np.isin(words[user, item], truth.words[topic]).sum() >= 7


def test_topics_are_recovered():
    simulated, truth = make_ratings_reviews(
        150, 120, sparsity=0.5, return_truth=True, random_state=0
    )
    options = {**SMALL, "max_iter": 20, "n_topics": 20, "text_weight": 1}
    model = DeepLTRS(10, **options).fit(simulated.X, reviews=simulated.reviews)
    counts = np.array([np.isin(model.vocabulary_, words) for words in truth.words], dtype=float)
    for topic, words in zip(counts, truth.words, strict=True):
        topic[topic > 0] = [np.sum(words == word) for word in model.vocabulary_[topic > 0]]
    cosines = unit(counts) @ unit(model.topic_word_).T
    assert len(set(cosines.argmax(axis=1))) == 4
    assert (cosines.max(axis=1) > 0.9).all()
    assert_allclose(model.topic_word_.sum(axis=1), 1, rtol=1e-5)
    top = model.topics(5)
    assert top.shape == (20, 5)
    for topic, probabilities in zip(top, model.topic_word_, strict=True):
        position = [list(model.vocabulary_).index(word) for word in topic]
        assert_array_equal(probabilities[position], np.sort(probabilities)[::-1][:5])


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_reviews_in_any_form(X, reviews, model):
    expected = model.predict(X, reviews=reviews)
    assert np.abs(expected - model.predict(X)).max() > 1e-4
    texts = list(reviews.entry_documents)
    assert_array_equal(model.predict(X, reviews=texts), expected)
    assert_array_equal(model.predict(X.toarray(), reviews=pd.Series(texts)), expected)
    counts = model.vectorizer_.transform(texts)
    assert_array_equal(model.predict(X, reviews=counts), expected)
    again = DeepLTRS(5, **SMALL).fit(X, reviews=texts)
    assert_array_equal(again.predict(X, reviews=reviews), expected)
    counted = DeepLTRS(5, **SMALL).fit(X, reviews=counts.toarray())
    assert_allclose(counted.predict(X, reviews=counts), expected, atol=1e-5)
    assert_array_equal(counted.vocabulary_, np.arange(counts.shape[1]))
    assert counted.vectorizer_ is None
    assert counted.predict_words(X[:2], [1], 3).shape == (2, 1, 3)
    # one user at a time
    one = model.predict(X[[7]], reviews=reviews[[7]])
    assert_allclose(one[0], expected[7], rtol=1e-5)
    top = model.recommend(X, k=3, reviews=reviews)
    assert_array_equal(model.recommend(X[[7]], k=3, reviews=reviews[[7]])[0], top[7])
    embedded = model.transform(X, reviews=reviews)
    assert_allclose(model.transform(X[[7]], reviews=reviews[[7]])[0], embedded[7], rtol=1e-5)


def test_single_pairs_and_uncertainty(X, reviews, model):
    ratings, std = model.predict(X, reviews=reviews, return_std=True)
    assert_allclose(ratings, model.predict(X, reviews=reviews), rtol=1e-6)
    assert (std > model.noise_std_).all()
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, X.shape[0], 50), rng.integers(0, X.shape[1], 50)
    for given in (reviews, reviews.entry_documents):
        states = model._pair_states(X, reviews=given)
        assert_allclose(model._rate_pairs(states, users, items), ratings[users, items], rtol=1e-5)
        got = model._rate_pairs(states, users, items, return_std=True)
        assert_allclose(got, (ratings[users, items], std[users, items]), rtol=1e-5)
    plain = model._rate_pairs(model._pair_states(X), users, items)
    assert_allclose(plain, model.predict(X)[users, items], rtol=1e-5)
    # the deviation is that of draws of the latents
    offsets, mean, variance = model._user_states(X[:5], reviews=reviews[:5])
    assert offsets.shape == (5,)
    shape = (40_000, 5, 5)
    left = mean + np.sqrt(variance) * rng.normal(size=shape)
    noise = np.sqrt(model._item_variances[:5]) * rng.normal(size=shape)
    right = model.item_embeddings_[:5] + noise
    products = np.einsum("d,nud,nid->nui", model.component_weights_, left, right)
    check_variances(products, std[:5, :5] ** 2 - model.noise_std_**2)


def test_users_and_items_without_entries_are_at_the_prior(X, reviews):
    X = X.tolil()
    X[3], X[:, 4] = 0, 0
    X = sparse.csr_array(X)
    reviews = reviews.aligned_with(X)
    model = DeepLTRS(5, **SMALL).fit(X, reviews=reviews)
    assert_array_equal(model.transform(X, reviews=reviews)[3], np.zeros(5))
    assert_array_equal(model.item_embeddings_[4], np.zeros(5))
    assert_array_equal(model._item_variances[4], np.ones(5))
    expected = np.clip(model.mean_ + model.item_offsets_, *model.rating_range_)
    assert_allclose(model.predict(X, reviews=reviews)[3], expected, rtol=1e-6)


def test_the_setting_of_the_paper(X, reviews):
    setting = re.search(
        "With ``(offsets=False[^`]*)`` the model is that of the paper", inspect.getdoc(DeepLTRS)
    )
    paper = eval(f"DeepLTRS(5, n_topics=7, max_iter=3, random_state=0, {setting[1]})")
    paper.fit(X, reviews=reviews)
    assert paper.n_iter_ == 3
    assert_array_equal(paper.component_weights_, np.ones(5))
    assert paper.mean_ == 0
    assert not paper.item_offsets_.any()
    embedded = paper.transform(X, reviews=reviews)
    expected = paper.rating_unit_ * embedded @ paper.item_embeddings_.T
    assert expected.min() < paper.rating_range_[0]
    assert_allclose(paper.predict(X, reviews=reviews), expected, rtol=1e-5, atol=1e-5)
    assert paper.topic_word_.shape == (7, len(paper.vocabulary_))


def test_items_are_encoded_with_the_ratings_held_out_too(X):
    model = DeepLTRS(5, **SMALL).set_params(early_stopping=True, validation_fraction=0.5).fit(X)
    residual, _ = less_offsets(X / model.rating_unit_, model._offsets)
    item_encoder = _deep_ltrs_module.in_double(model._scoring_module().encoders["item"])
    mean, _ = _deep_ltrs_module.row_posteriors(item_encoder, sparse.csr_array(residual.T))
    assert_allclose(model.item_embeddings_, mean, rtol=1e-4, atol=1e-6)


def test_early_stopping_hides_ratings_with_their_texts(X):
    letters = np.array(list("abcdefghij"))
    texts = ["only" + "".join(letters[list(map(int, str(n)))]) for n in range(X.nnz)]
    options = {**SMALL, "early_stopping": True, "validation_fraction": 0.25}
    vectorizer = CountVectorizer()
    model = DeepLTRS(5, vectorizer=vectorizer, **options).fit(X, reviews=texts)
    assert len(model.vocabulary_) == X.nnz - np.ceil(X.nnz * 0.25)
    assert len(model.validation_scores_) == 3
    assert not hasattr(vectorizer, "vocabulary_")
    assert model.vectorizer_ is not vectorizer


def test_hidden_texts_never_reach_the_model(X):
    """Each review says the rating: read where it is hidden, it would be found."""
    names = np.array(["", "awful", "poor", "fine", "superb"])
    texts = names[X.data.astype(int)]
    giveaway = Reviews.from_documents(X, texts)
    model = DeepLTRS(5, vectorizer=CountVectorizer(), **SMALL).fit(X, reviews=giveaway)
    fold_in, held_out = fold_in_split(X, random_state=0)
    visible = giveaway.aligned_with(fold_in)
    expected = -rmse(model.predict(fold_in, reviews=visible), held_out)
    assert rating_scorer()(model, X, reviews=giveaway) == pytest.approx(expected)
    assert model.score(X, reviews=giveaway) == pytest.approx(expected)
    # other texts at hidden entries change nothing, at visible ones they do
    keys = {tuple(pair) for pair in np.argwhere(held_out.toarray())}
    rows, columns = X.nonzero()
    hidden = np.array([pair in keys for pair in zip(rows, columns, strict=True)])
    for where, same in [(hidden, True), (~hidden, False)]:
        other = Reviews.from_documents(X, np.where(where, "superb", texts))
        assert (model.score(X, reviews=other) == model.score(X, reviews=giveaway)) is same


def test_search_over_the_vectorizer_with_and_without_routing(X, reviews):
    model = DeepLTRS(5, vectorizer=CountVectorizer(), **SMALL)
    grid = {"vectorizer__min_df": [1, 200]}
    search = GridSearchCV(model, grid, cv=2).fit(X, reviews=reviews)
    sizes = [
        len(clone(model).set_params(**point).fit(X, reviews=reviews).vocabulary_)
        for point in search.cv_results_["params"]
    ]
    assert sizes[0] > sizes[1]
    assert len(search.best_estimator_.vocabulary_) in sizes
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(reviews=True).set_score_request(reviews=True)
        routed = GridSearchCV(model, grid, cv=2).fit(X, reviews=reviews)
        scorer = rating_scorer().set_score_request(reviews=True)
        model.set_score_request(reviews=False)
        by_scorer = GridSearchCV(model, grid, cv=2, scoring=scorer).fit(X, reviews=reviews)
    scores = [s.cv_results_["mean_test_score"] for s in (search, routed, by_scorer)]
    assert np.isfinite(scores).all()
    assert np.abs(scores[0] - scores[1]).min() > 1e-6
    assert_allclose(scores[1], scores[2])


def test_fit_transform_reads_the_reviews_in_both(X, reviews, model):
    expected = model.transform(X, reviews=reviews)
    assert np.abs(expected - model.transform(X)).max() > 1e-4
    again = clone(model)
    assert_array_equal(again.fit_transform(X, reviews=reviews), expected)
    steps = make_pipeline(clone(model), KMeans(3, n_init=1, random_state=0))
    steps.fit(X, deepltrs__reviews=reviews)
    assert_array_equal(steps[-1].cluster_centers_, clone(steps[-1]).fit(expected).cluster_centers_)
    frame = again.set_output(transform="pandas").fit_transform(X, reviews=reviews)
    assert_array_equal(frame.columns, again.get_feature_names_out())
    with config_context(enable_metadata_routing=True):
        again.set_fit_request(reviews=True).set_transform_request(reviews=True)
        routed = make_pipeline(again.set_output(transform="default"), "passthrough")
        assert_array_equal(routed.fit_transform(X, reviews=reviews), expected)


def test_pickle_carries_no_review(X, reviews, model):
    data = pickle.dumps(model)
    assert reviews.entry_documents[0].encode() not in data
    again = pickle.loads(data)
    assert_array_equal(again.predict(X, reviews=reviews), model.predict(X, reviews=reviews))
    assert_array_equal(again.topics(), model.topics())


@pytest.mark.parametrize("early_stopping", [False, True])
def test_warm_start_keeps_the_vocabulary(X, reviews, early_stopping):
    model = DeepLTRS(5, **SMALL).set_params(warm_start=True, early_stopping=early_stopping)
    model.fit(X, reviews=reviews)
    vocabulary = model.vocabulary_
    model.fit(X, reviews=reviews)
    assert model.vocabulary_ is vocabulary
    assert model.n_iter_ == 6
    assert len(model.loss_curve_) == 6
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    with pytest.raises(ValueError, match="n_users changed"):
        model.fit(X[:-1], reviews=reviews[:-1])
    with pytest.raises(ValueError, match="n_words changed"):
        model.fit(X)
    assert model.n_iter_ == 6
    model.set_params(warm_start=False).fit(X)
    assert not hasattr(model, "vocabulary_")
    assert not hasattr(model, "topic_word_")


def test_the_encoder_is_copied_once_and_not_pickled(X, reviews, model, monkeypatch):
    copies = []
    copy_of = _deep_ltrs_module.deepcopy
    monkeypatch.setattr(
        _deep_ltrs_module, "deepcopy", lambda encoder: copies.append(1) or copy_of(encoder)
    )
    again = pickle.loads(pickle.dumps(model))
    n_bytes = len(pickle.dumps(again))
    expected = again.transform(X)
    with config_context(working_memory=0.01):
        again.recommend(X, reviews=reviews)
        again.predict(X, return_std=True)
    assert len(copies) == 1
    assert len(pickle.dumps(again)) == n_bytes
    assert again.set_params(max_iter=1).fit(X).transform(X).shape == expected.shape
    assert np.abs(again.transform(X) - expected).max() > 1e-4  # that of the new weights


@pytest.mark.parametrize("first", [True, False])
def test_warm_start_with_and_without_offsets_are_two_networks(X, first):
    """Their weights have the same names and shapes, but not all are trained in both."""
    model = DeepLTRS(5, offsets=first, **SMALL).set_params(warm_start=True).fit(X)
    with pytest.raises(ValueError, match="cannot go on training: offsets changed"):
        model.set_params(offsets=not first).fit(X)
    assert model.n_iter_ == 3


def test_warm_start_begins_with_the_score_of_the_fit_before(X):
    """Also where the fit before had no early stopping, and thus no score."""
    model = DeepLTRS(5, **SMALL).set_params(warm_start=True).fit(X)
    before = model.predict(X)
    worse = {"learning_rate": 1.0, "n_iter_no_change": 2, "max_iter": 9}
    model.set_params(early_stopping=True, **worse).fit(X)
    assert model.best_iteration_ == 3
    assert model.n_iter_ == 5
    assert_allclose(model.predict(X), before, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda R, n: list(R.entry_documents)[1:], "there are .* for .* observed entries"),
        (lambda R, n: R[:-1], "reviews are not aligned with X: they are of 79 users"),
        (lambda R, n: [""] * n, r"finds no words in .* \(960 of them are empty\): empty voc"),
        (lambda R, n: [chr(97 + k % 26) * (2 + k // 26) for k in range(n)], "After pruning"),
        (lambda R, n: -np.ones((n, 3)), "reviews must yield counts .*, got -1 from the matrix"),
        (lambda R, n: np.full((n, 3), np.inf), "reviews must yield finite counts"),
        (lambda R, n: np.ones((n, 0)), "reviews must yield at least one word"),
    ],
    ids=["length", "users", "no text", "no vocabulary", "negative", "infinite", "no terms"],
)
def test_wrong_reviews_in_fit(X, reviews, change, message):
    unfitted = DeepLTRS(5, **SMALL)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        unfitted.fit(X, reviews=change(reviews, X.nnz))
    assert not [name for name in vars(unfitted) if name.startswith("_") or name.endswith("_")]


def test_texts_of_unobserved_pairs(X, reviews, model):
    fewer, _ = fold_in_split(X, random_state=0)
    for verb in (clone(model).fit, model.predict, model.recommend, model.transform):
        with pytest.raises(ValueError, match="pairs that X has no entry for, the first of them"):
            verb(fewer, reviews=reviews)


def test_wrong_reviews_in_predict(X, reviews, model):
    with pytest.raises(ValueError, match=r"have 3 terms, the model was fitted on \d+"):
        model.predict(X, reviews=np.ones((X.nnz, 3)))
    counted = DeepLTRS(5, **SMALL).fit(X, reviews=np.ones((X.nnz, 3)))
    with pytest.raises(TypeError, match="must be a matrix of 3 terms, as in fit, got texts"):
        counted.predict(X, reviews=reviews)
    plain = DeepLTRS(5, **SMALL).fit(X)
    for verb in (plain.predict, plain.score, plain.transform):
        with pytest.raises(ValueError, match="fitted without reviews and cannot read any"):
            verb(X, reviews=reviews)
    for ask in (plain.topics, lambda: plain.predict_words(X, [0])):
        with pytest.raises(ValueError, match="fitted without reviews and knows no words"):
            ask()
    with pytest.raises(ValueError, match="n_words must be an integer >= 1, got 0"):
        model.topics(0)
    with pytest.raises(ValueError, match="items must lie in"):
        model.predict_words(X, [60])


def test_training_is_private_and_silent(X, reviews, capfd):
    before = torch.get_rng_state()
    first, second = (DeepLTRS(5, **SMALL).fit(X, reviews=reviews) for _ in range(2))
    assert_array_equal(torch.get_rng_state(), before)
    assert_array_equal(first.predict(X), second.predict(X))
    assert first.loss_curve_ == second.loss_curve_
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("offsets", [True, False])
def test_memory_does_not_change_the_model(X, reviews, offsets):
    """But for rounding."""
    options = {**SMALL, "offsets": offsets, "text_weight": 1}
    again = _deep_ltrs_module.checkpoint
    with (
        config_context(working_memory=0.01),
        patch.object(_deep_ltrs_module, "checkpoint", side_effect=again) as checkpoint,
    ):
        in_blocks = DeepLTRS(5, **options).fit(X, reviews=reviews)
        assert checkpoint.called
        checkpoint.reset_mock()
        with config_context(working_memory=1024):
            whole = clone(in_blocks).fit(X, reviews=reviews)
        assert not checkpoint.called
    assert_allclose(in_blocks.loss_curve_, whole.loss_curve_, rtol=1e-5)


def test_interrupted_training_keeps_the_model_so_far(X, reviews):
    class Interrupt(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    model = DeepLTRS(5, **SMALL).set_params(max_iter=9, callbacks=[("interrupt", Interrupt())])
    with pytest.warns(UserWarning, match="interrupted in epoch 3"):
        model.fit(X, reviews=reviews)
    assert model.n_iter_ == 2
    assert np.isfinite(model.predict(X, reviews=reviews)).all()
    assert len(model.topics(2)) == 4


def test_the_last_user_of_an_odd_batch(X):
    """A batch of one row has no variance to be normalised by."""
    model = DeepLTRS(5, **SMALL).set_params(batch_size=1).fit(X[:9])
    assert np.isfinite(model.predict(X[:9])).all()


@pytest.mark.parametrize("sign, bounds", [(1, (0, 1)), (9, (1, 1)), (-1, (0, 0))])
def test_latents_are_shrunk_to_what_rates_held_out_ratings_best(sign, bounds):
    rng = np.random.default_rng(0)
    held_out = sparse.csr_array((rng.random((9, 7)) < 0.4) * 1.0)
    users, items = held_out.nonzero()
    left, right = torch.randn(2, 9, 3), torch.randn(2, 7, 3)
    weights = torch.tensor([0.5, 1.0, 2.0])
    products = ((left[0] * weights) @ right[0].T).numpy()[users, items]
    held_out.data = 2.0 + items + 0.3 * sign * products + rng.normal(0, 0.1, len(items))
    module = SimpleNamespace(
        posteriors={"user": left, "item": right},
        component_weights=weights,
        shrinkage=torch.ones(()),
    )
    data = SimpleNamespace(offsets=(1.5, np.arange(7.0), 8.0), user_offsets=np.full(9, 0.5))
    model = DeepLTRS(3, clip=False)
    model.rating_unit_ = 2.0
    score = model._validation_score(module, data, held_out)
    left_over = held_out.data - 2.0 - items
    share = np.clip(products @ left_over / (products @ products), 0, 1)
    assert bounds[0] <= share <= bounds[1]
    assert_allclose(module.shrinkage, share, rtol=1e-5)
    assert_allclose(score, -2 * np.sqrt(np.mean((left_over - share * products) ** 2)), rtol=1e-5)


def test_weights_are_those_of_training_times_the_share(X, reviews):
    model = DeepLTRS(**{**SMALL, "early_stopping": True}, validation_fraction=0.3).fit(X)
    trained, share = (model._weights[name] for name in ("component_weights", "shrinkage"))
    assert_allclose(model.component_weights_, trained * share, rtol=1e-6)
    assert DeepLTRS(**{**SMALL, "early_stopping": False}).fit(X)._weights["shrinkage"] == 1
