"""VAE-BMF: what its encoders read, what it keeps, and what it predicts."""

import pickle

import numpy as np
import pytest
import torch
from draws import check_coverage, check_means, check_variances
from initial_weights import check_normal, check_uniform
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from skorch.callbacks import Callback

from skrec import VAEBMF
from skrec.networks._nested_blocks import VAEBMFModule, random_batches
from skrec.solvers._gaussian_products import pair_moments

OPTIONS = {
    "hidden_layer_sizes": (8,),
    "learning_rate": 0.01,
    "user_batch_size": 20,
    "item_batch_size": 10,
    "max_iter": 5,
    "random_state": 0,
}

ENCODER = {
    "data_input": True,
    "cross_feedback": True,
    "latent_input": "concat",
    "attention": "rated",
    "attention_norm": "softmax",
    "normalize": True,
    "learn_noise": False,
    "sampled": False,
    "leave_one_out": True,
}


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    ratings = 3.5 + rng.normal(size=(50, 2)) @ rng.normal(size=(2, 24)) / 2
    ratings = np.clip(ratings + rng.normal(scale=0.3, size=ratings.shape), 1, 5).round(1)
    ratings *= rng.random(ratings.shape) < 0.4
    ratings[7] = 0
    ratings[:, 3] = 0
    return sparse.csr_array(ratings / ratings[ratings > 0].std())  # in the unit computed in


@pytest.mark.parametrize(
    ("switched_off", "gone"),
    [
        ({"data_input": False}, "data"),
        ({"cross_feedback": False}, "latent"),
        ({"cross_feedback": False}, "atten"),
        ({"attention": None}, "atten"),
    ],
)
def test_what_is_switched_off_is_not_there(X, switched_off, gone):
    def weights(**options):
        options = {**OPTIONS, "attention": "rated", **options}
        model = VAEBMF(3, **options, early_stopping=False, warm_start=True)
        return model.set_params(max_iter=1).fit(X)._weights

    assert any(gone in name for name in weights())
    assert not any(gone in name for name in weights(**switched_off))


def test_without_data_only_who_rated_what_counts(X):
    model = VAEBMF(3, data_input=False, **OPTIONS).fit(X)
    other = X.copy()
    other.data = np.random.default_rng(1).permutation(other.data)
    assert_allclose(model.predict(other), model.predict(X), rtol=1e-5)
    model = VAEBMF(3, cross_feedback=False, **OPTIONS).fit(X)
    assert np.abs(model.predict(other) - model.predict(X)).max() > 1e-3


def test_embeddings_are_drawn_after_each_sweep(X):
    fed, standardized = [], []

    class Watch(Callback):
        def on_epoch_begin(self, net, **kwargs):
            self.start_ = net.module.item_embeddings.clone()

        def on_batch_end(self, net, **kwargs):
            torch.testing.assert_close(net.module.item_embeddings, self.start_)

        def on_epoch_end(self, net, dataset_train=None, **kwargs):
            mean, log_var = net.module.encode_items(dataset_train, fed[-1]) if fed else (0, 0)
            fed.append(net.module.user_embeddings.clone())
            if len(fed) > 1:
                z = (net.module.item_embeddings - mean) / torch.exp(log_var / 2)
                standardized.append(z.numpy().ravel())

    VAEBMF(16, callbacks=[Watch()], early_stopping=False, **OPTIONS).fit(X)
    assert len(fed) == 5
    check_means(np.concatenate(standardized), 0)
    check_variances(np.concatenate(standardized), 1)


def test_training_drops_ratings_from_the_input_and_not_from_the_target(X):
    seen = []

    class Watch(Callback):
        def on_batch_begin(self, net, batch=None, **kwargs):
            seen.append(batch[0])

    options = {**OPTIONS, "early_stopping": False, "max_iter": 1}
    options |= {"user_batch_size": 100, "item_batch_size": 100}
    VAEBMF(4, callbacks=[Watch()], dropout=0.6, **options).fit(X)
    (block,) = seen
    assert block.n_total == X.nnz
    n_kept = len(block.users.values)
    assert n_kept == len(block.items.values) == int(block.is_kept.sum())
    # A binomial number of all ratings is kept: within five deviations of its mean.
    assert abs(n_kept - 0.4 * X.nnz) < 5 * np.sqrt(0.4 * 0.6 * X.nnz)
    assert block.dropout_scale == pytest.approx(1 / 0.4)


@pytest.mark.parametrize("latent_input", ["concat", "mean"])
@pytest.mark.parametrize("normalize", [True, False])
def test_weights_start_by_glorots_rule_for_the_entries_of_a_row(normalize, latent_input):
    """As `fit` draws them: a step of Adam that is too small to be seen."""
    rng = np.random.default_rng(0)
    X = sparse.random_array((120, 90), density=0.3, rng=rng, format="csr")
    layers = {"hidden_layer_sizes": (30, 25), "joint_layer_sizes": (20,)}
    options = {**OPTIONS, **layers, "learning_rate": 1e-12, "max_iter": 1, "warm_start": True}
    options |= {"latent_input": latent_input, "normalize": normalize, "attention": "rated"}
    model = VAEBMF(15, early_stopping=False, **options).fit(X)
    for side, n_rows in (("user", 120), ("item", 90)):
        prefix = f"{side}_encoder."
        weights = {
            name.removeprefix(prefix): value
            for name, value in model._weights.items()
            if name.startswith(prefix)
        }
        n_entries = 1 if normalize else X.nnz / n_rows
        check_uniform(weights.pop("data_weight"), np.sqrt(6 / (n_entries + 30)))
        n_read = 15 * (n_entries if latent_input == "concat" else 1)
        check_uniform(weights.pop("latent_weight"), 0.1 * np.sqrt(6 / (n_read + 30)))
        check_uniform(weights.pop("attention_weight"), np.sqrt(6 / (15 + 15)))
        attended = weights.pop("attended.weight")
        assert_allclose(attended[:, :15], np.broadcast_to(np.eye(15), (2, 15, 15)), atol=1e-9)
        check_uniform(attended[:, 15:], 0.1 * np.sqrt(6 / (30 + 15)))
        mean_bias, logit_bias = weights.pop("joint.1.bias")
        assert_allclose(mean_bias, 0, atol=1e-9)
        assert_allclose(logit_bias, -3, rtol=1e-6)
        assert len(weights) == 10
        for name, value in weights.items():
            if name.endswith("weight"):
                check_uniform(value, np.sqrt(6 / sum(value.shape[1:])))
            else:
                assert_allclose(value, 0, atol=1e-9)


def test_embeddings_start_from_a_normal_of_a_tenth():
    module = VAEBMFModule(400, 300, 5, [4], [], beta_user=1, beta_item=1, **ENCODER)
    module.init(4000, torch.Generator().manual_seed(0))
    check_normal(module.user_embeddings, 0, 0.1)
    check_normal(module.item_embeddings, 0, 0.1)


def test_predictions_are_products_of_means_that_the_encoder_gives(X):
    model = VAEBMF(4, clip=False, **OPTIONS).fit(X)
    states = model.transform(X)
    assert_allclose(model.predict(X), states @ model.item_embeddings_.T + model.mean_, rtol=1e-5)
    ratings, std = model.predict(X, return_std=True)
    means, variances = model._user_states(X)
    rng = np.random.default_rng(0)
    for user, item in ((0, 1), (4, 9), (7, 3)):
        z = rng.normal(means[user], variances[user] ** 0.5, (100_000, 4))
        v = rng.normal(model.item_embeddings_[item], model.item_variances_[item] ** 0.5, z.shape)
        draws = model.mean_ + (z * v).sum(1)
        draws += rng.normal(scale=model.noise_variance_**0.5, size=len(draws))
        assert_allclose(ratings[user, item], draws.mean(), atol=5 * draws.std() / 300)
        assert_allclose(std[user, item], draws.std(), rtol=0.02)
    users, items = np.array([0, 4, 7, 0]), np.array([1, 9, 3, 23])
    pairs = model._rate_pairs(model._pair_states(X), users, items, return_std=True)
    assert_allclose(pairs[0], ratings[users, items], rtol=1e-5)
    assert_allclose(pairs[1], std[users, items], rtol=1e-5)


def test_the_best_sweep_is_kept_and_scored_as_predictions_are(X):
    kept = []

    class Keep(Callback):
        def on_epoch_end(self, net, **kwargs):
            kept.append({name: value.clone() for name, value in net.module.state_dict().items()})

    model = VAEBMF(4, callbacks=[Keep()], validation_fraction=0.2, warm_start=True, **OPTIONS)
    model.set_params(max_iter=12, learning_rate=0.03).fit(X)
    best = int(np.argmax(model.validation_scores_))
    assert model.best_iteration_ == best + 1
    for name, weights in model._weights.items():
        assert_array_equal(weights, kept[best][name])
    # The score is minus the RMSE of what the model would predict without what is held out.
    training, hidden = model._hold_out(X, 0)
    data = model._training_data(training, None)
    module = VAEBMFModule(X.shape[1], **model._options)
    module.load_state_dict(
        {name: torch.from_numpy(value) for name, value in model._weights.items()}
    )
    score = model._validation_score(module, data, hidden)
    assert score == pytest.approx(model.validation_scores_[best], rel=1e-5)
    state = model._fitted_state(module, training, data)
    blind = clone(model)
    vars(blind).update({**vars(model), **state, "_modules": {}})
    held_out = sparse.csr_array(X - training)
    held_out.eliminate_zeros()
    errors = (blind.predict(training) - X)[held_out.nonzero()]
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(-score, rel=1e-5)
    with pytest.raises(ValueError, match="early_stopping=True holds"):
        model.set_params(warm_start=False).fit([[5.0, 0.0]])


def test_embeddings_shrink_to_the_prior_where_divergences_are_dear(X):
    options = {**OPTIONS, "max_iter": 30, "early_stopping": False, "l2": 0.1}
    model = VAEBMF(4, beta_user=1e4, beta_item=1e4, **options).fit(X)
    assert_allclose(model.predict(X), model.mean_, atol=0.02)
    free = VAEBMF(4, **options).fit(X).predict(X)
    assert np.abs(free - model.mean_).max() > 0.5 * np.ptp(X.data)


def simulated(n_users=300, n_items=60, noise=0.5):
    rng = np.random.default_rng(0)
    ratings = 3 + rng.normal(size=(n_users, 2)) @ rng.normal(size=(2, n_items))
    ratings += rng.normal(scale=noise, size=ratings.shape)
    group = rng.random(ratings.shape)
    return ratings, sparse.csr_array(ratings * (group < 0.4)), group > 0.8


@pytest.fixture(scope="module")
def simulation():
    ratings, X, is_test = simulated()
    model = VAEBMF(
        4,
        hidden_layer_sizes=(40,),
        l2=4.0,
        user_batch_size=50,
        item_batch_size=60,
        learning_rate=0.01,
        max_iter=40,
        clip=False,
        random_state=0,
    )
    return ratings, is_test, X, model.fit(X)


def test_held_out_ratings_are_predicted_and_covered(simulation):
    ratings, is_test, X, model = simulation
    predicted, std = model.predict(X, return_std=True)
    errors = predicted - ratings
    # Least squares on two factors, with 24 ratings of a user and 120 of an item, leaves this.
    best = 0.5 * np.sqrt(1 + 2 / 24 + 2 / 120)
    assert np.sqrt(np.mean(errors[is_test] ** 2)) < 1.25 * best
    check_coverage(errors / std, is_test)


def test_new_users_are_as_good_as_known_ones(simulation):
    ratings, is_test, X, model = simulation
    rows = X[:150]
    half = VAEBMF(**model.get_params()).fit(X[150:])
    errors = {
        name: np.sqrt(np.mean((one.predict(rows) - ratings[:150])[is_test[:150]] ** 2))
        for name, one in (("known", model), ("new", half))
    }
    assert errors["new"] < 1.3 * errors["known"]


def test_the_encoder_of_items_is_kept_only_for_a_warm_start(X):
    model = VAEBMF(4, **OPTIONS).fit(X)
    assert model._weights == {}
    per_user = 4 * 2 * 8  # weights of the latent input of items
    assert sum(array.size for array in model._encoder_weights.values()) < per_user * X.shape[0]
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(X), model.predict(X))
    with pytest.raises(ValueError, match="the fit before was made with warm_start=False"):
        again.set_params(warm_start=True).fit(X)
    assert_array_equal(again.predict(X), model.predict(X))


def test_a_warm_start_goes_on(X):
    model = VAEBMF(4, warm_start=True, early_stopping=False, **OPTIONS).fit(X)
    first = model.loss_curve_[-1]
    n_updates = model.n_updates_
    model = pickle.loads(pickle.dumps(model)).fit(X)
    assert model.n_iter_ == len(model.loss_curve_) == 10
    assert model.n_updates_ == 2 * n_updates
    assert model.loss_curve_[5] < first + 0.05
    with pytest.raises(ValueError, match="n_users changed"):
        model.fit(X[:40])


def test_ctrl_c_keeps_the_model_so_far(X):
    class CtrlC(Callback):
        def on_batch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    model = VAEBMF(4, callbacks=[CtrlC()], **OPTIONS)
    with pytest.warns(UserWarning, match="interrupted in epoch 3: the model so far is kept"):
        model.fit(X)
    assert model.n_iter_ == 2
    assert np.isfinite(model.predict(X)).all()


def test_the_learning_rate_falls_with_each_sweep_of_all_fits(X):
    rates = []

    class KeepRate(Callback):
        def on_epoch_begin(self, net, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    options = {**OPTIONS, "warm_start": True, "max_iter": 3}
    model = VAEBMF(4, callbacks=[KeepRate()], learning_rate_decay=0.5, **options).fit(X)
    model.fit(X)
    assert_allclose(rates, 0.01 * 0.5 ** np.arange(6))


@pytest.mark.parametrize("n_users", [50, 6, 1])
def test_a_sweep_has_16_updates_unless_there_are_fewer_rows(n_users):
    X = np.random.default_rng(0).integers(1, 6, size=(n_users, 22)).astype(float)
    options = {"hidden_layer_sizes": (4,), "early_stopping": False, "max_iter": 2}
    model = VAEBMF(2, **options, random_state=0).fit(X)
    assert model.n_updates_ == 2 * 4 * {50: 4, 6: 3, 1: 1}[n_users]


@pytest.mark.parametrize(("n", "n_batches"), [(1, 1), (6, 3), (943, 4), (8000, 4), (8001, 5)])
def test_batches_are_a_quarter_of_the_rows_up_to_a_limit(n, n_batches):
    batches = random_batches(n, "auto", np.random.default_rng(0))
    assert len(batches) == n_batches
    assert_array_equal(np.sort(np.concatenate(batches)), np.arange(n))


def test_going_on_equals_training_longer(X):
    options = {
        **OPTIONS,
        "cross_feedback": False,  # nothing is drawn, hence
        "dropout": 0.0,
        "user_batch_size": 100,
        "item_batch_size": 100,
        "early_stopping": False,
        "learning_rate_decay": 0.7,
        "l2": 0.1,
    }
    once = VAEBMF(4, **{**options, "max_iter": 10}).fit(X)
    twice = VAEBMF(4, warm_start=True, **options).fit(X).fit(X)
    assert twice.n_iter_ == 10
    assert_allclose(twice.predict(X), once.predict(X), rtol=1e-4)
    assert np.ptp(once.predict(X)) > 0.1


def test_noise_is_measured_in_each_fit(X):
    model = VAEBMF(4, warm_start=True, **OPTIONS).fit(X)
    held_out = model.noise_variance_
    model.set_params(early_stopping=False, max_iter=1).fit(X)
    states, items = model._user_states(X), (model.item_embeddings_, model.item_variances_)
    means, variances = pair_moments(states, items, *X.nonzero())
    errors = np.mean((X.data - model.mean_ - means) ** 2) + variances.mean()
    assert model.noise_variance_ == pytest.approx(errors, rel=1e-4)
    assert model.noise_variance_ != pytest.approx(held_out, rel=1e-4)


def test_constant_ratings_are_predicted_exactly():
    X = np.full((12, 8), 4.0)
    ratings, std = VAEBMF(3, **OPTIONS).fit(X).predict(X, return_std=True)
    assert_array_equal(ratings, 4)
    assert (std > 0).all()


def test_wrong_parameters_are_named(X):
    with pytest.raises(ValueError, match="data_input=True.*got False for both"):
        VAEBMF(data_input=False, cross_feedback=False).fit(X)
    with pytest.raises(ValueError, match="hidden_layer_sizes needs at least 1 layer"):
        VAEBMF(hidden_layer_sizes=()).fit(X)
    with pytest.raises(ValueError, match="'attention' parameter of VAEBMF"):
        VAEBMF(attention="local").fit(X)
    with pytest.raises(ValueError, match="'item_batch_size' parameter of VAEBMF"):
        VAEBMF(item_batch_size="all").fit(X)
    with pytest.raises(ValueError, match=r"within rating_scale=\(1, 4\), got"):
        VAEBMF(rating_scale=(1, 4)).fit(X)
