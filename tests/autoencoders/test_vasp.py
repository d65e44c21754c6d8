"""FLVAE and VASP: their network and objective written out, and what holds between the two."""

import numpy as np
import pytest
import torch
from initial_weights import check_uniform
from scipy import sparse
from scipy.special import expit

from skrec import FLVAE, VASP
from skrec.autoencoders._flvae import FLVAEModule
from skrec.autoencoders._vasp import VASPModule
from skrec.neural._batches import RowStore
from skrec.neural._layers import init_glorot
from skrec.neural._trainer import Progress
from skrec.utils._changes import update_rows

OPTIONS = {"alpha": 0.3, "gamma": 1.5, "beta": 0.2, "dropout": 0.5}
SMALL = {
    "n_components": 3,
    "hidden_layer_sizes": (6, 6),
    "decoder_layer_sizes": (5,),
    "max_iter": 3,
    "early_stopping": False,
    "random_state": 0,
}


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    X = rng.random((30, 12)) < 0.4
    X[:, 5] |= ~X.any(axis=1)
    return sparse.csr_array(X.astype(np.float32))


def module_of(Module):
    module = Module(12, 3, [6, 6, 6], [5, 5], **OPTIONS)
    init_glorot(module, torch.Generator().manual_seed(0))
    if Module is VASPModule:
        rng = np.random.default_rng(1)
        weights = rng.normal(size=(12, 12)) * (1 - np.eye(12))
        module.shallow.weight.data.copy_(torch.from_numpy(weights))
        module.shallow.bias.data.copy_(torch.from_numpy(rng.normal(size=12)))
    return module


def batch_of(X):
    return RowStore(X, torch.device("cpu")).cut()


def layer_norm(x):
    return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)


def with_skips(inputs, w, name, n_layers, first_is_transposed):
    outputs = []
    for number in range(n_layers):
        layer = f"{name}.first" if number == 0 else f"{name}.others.{number - 1}"
        weight = w[f"{layer}.weight"]
        if number or first_is_transposed:
            weight = weight.T
        x = inputs if number == 0 else outputs[-1]
        t = x @ weight + w[f"{layer}.bias"] + sum(outputs)
        outputs.append(layer_norm(t * expit(t)))
    return outputs[-1]


def moments(w, x):
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    hidden = with_skips(unit, w, "encoder", 3, first_is_transposed=False)
    heads = hidden @ w["moments.weight"].T + w["moments.bias"]
    return unit, heads[:, :3], heads[:, 3:]


def probabilities(w, unit, z):
    hidden = with_skips(z, w, "decoder", 2, first_is_transposed=True)
    p = expit(hidden @ w["output.weight"].T + w["output.bias"])
    p *= expit(z @ w["shortcut.weight"].T + w["shortcut.bias"])
    if "shallow.weight" in w:
        p *= expit(unit @ w["shallow.weight"] + w["shallow.bias"])
    return p


def arrays(module):
    return {name: value.double().numpy() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("Module", [FLVAEModule, VASPModule])
def test_scores_are_logarithms_of_the_probabilities(Module, X):
    module = module_of(Module)
    w = arrays(module)
    unit, mean, _ = moments(w, X.toarray())
    expected = np.log(probabilities(w, unit, mean))
    np.testing.assert_allclose(module.scores(batch_of(X)).detach(), expected, rtol=1e-4)


@pytest.mark.parametrize("Module", [FLVAEModule, VASPModule])
def test_the_objective_is_that_of_the_formula(Module, X):
    module = module_of(Module)
    ours = module(batch_of(X), torch.Generator().manual_seed(1), Progress(0, 1)).detach()
    generator = torch.Generator().manual_seed(1)
    is_hidden = (torch.rand(X.nnz, generator=generator) < 0.5).numpy()
    noise = torch.randn((30, 3), generator=generator).numpy()
    hidden = X.copy()
    hidden.data[~is_hidden] = 0
    y = hidden.toarray()
    visible = X.toarray() - y
    w = arrays(module)
    unit, mean, log_var = moments(w, visible)
    p = probabilities(w, unit, mean + noise * np.exp(log_var / 2))
    for user in range(30):
        expected = 0.2 * np.sum(np.exp(log_var) + mean**2 - 1 - log_var, axis=1)[user] / 2
        for item in np.flatnonzero(visible[user] == 0):
            q = p[user, item]
            if y[user, item]:
                expected -= 0.3 * (1 - q) ** 1.5 * np.log(q)
            else:
                expected -= 0.7 * q**1.5 * np.log(1 - q)
        np.testing.assert_allclose(ours[user], expected, rtol=1e-4)


def test_with_a_saturated_shallow_path_vasp_is_flvae(X):
    vasp, flvae = module_of(VASPModule), FLVAEModule(12, 3, [6, 6, 6], [5, 5], **OPTIONS)
    with torch.no_grad():
        vasp.shallow.bias += 1e4
    weights = vasp.state_dict()
    flvae.load_state_dict({name: weights[name] for name in flvae.state_dict()})
    torch.testing.assert_close(vasp.scores(batch_of(X)), flvae.scores(batch_of(X)))
    losses = [
        module(batch_of(X), torch.Generator().manual_seed(1), Progress(0, 1))
        for module in (vasp, flvae)
    ]
    torch.testing.assert_close(*losses)


def test_the_shallow_path_is_trained_and_keeps_its_diagonal(X):
    weights = VASP(**SMALL).fit(X)._weights["shallow.weight"]
    assert (np.diag(weights) == 0).all()
    assert np.count_nonzero(weights) > 0.9 * 12 * 11


@pytest.mark.parametrize("Model", [FLVAE, VASP])
def test_training_starts_glorot_uniform_and_from_popularity(Model):
    X = sparse.random_array((60, 800), density=0.1, rng=np.random.default_rng(0))
    sizes = {"n_components": 50, "hidden_layer_sizes": (60, 60), "decoder_layer_sizes": (40,)}
    model = Model(**{**SMALL, **sizes, "max_iter": 1, "learning_rate": 1e-12}).fit(X)
    w = model._weights
    for name in ("encoder.first", "encoder.others.0", "moments", "decoder.first", "output"):
        weight = w[f"{name}.weight"]
        check_uniform(weight, np.sqrt(6 / sum(weight.shape)))
    counts = np.bincount(X.tocsr().indices, minlength=800)
    np.testing.assert_allclose(
        w["output.bias"], np.log((counts + 0.5) / (60.5 - counts)), rtol=1e-5
    )
    if Model is VASP:
        assert np.abs(w["shallow.weight"]).max() < 1e-10


@pytest.mark.parametrize(("Model", "n_factors"), [(FLVAE, 2), (VASP, 3)])
def test_new_items_start_where_known_ones_as_popular_are(Model, n_factors, X, monkeypatch):
    """Before they are trained on: the popular one as high as it can be without weights."""
    old = X[:, :10]
    model = Model(**SMALL).fit(old)
    medians = np.median(model.predict(old[np.diff(old.indptr) > 0]), axis=0)
    monkeypatch.setattr(Model, "_make_a_pass", lambda *args: None)
    popular = np.ones((30, 1), dtype=np.float32)
    update_rows(model, old, sparse.csr_array(sparse.hstack([old, popular, 0 * popular])))
    first = (n_factors - 1) * np.log(0.5) - 1e-6
    expected = [min(medians.max(), first), min(medians.min(), first)]
    np.testing.assert_allclose(model.predict(X)[:, 10:], [expected] * 30, rtol=1e-4)


@pytest.mark.parametrize("name", ["hidden_layer_sizes", "decoder_layer_sizes"])
def test_layers_must_be_equally_wide(name, X):
    message = f"{name} of VASP must be equal.* use for example .7, 7."
    with pytest.raises(ValueError, match=message):
        VASP(**{**SMALL, name: (5, 7)}).fit(X)


@pytest.mark.parametrize("Model", [FLVAE, VASP])
def test_dislikes_are_refused(Model, X):
    X.data[0] = -1
    with pytest.raises(ValueError, match=f"the choices of {Model.__name__} are non-negative"):
        Model(**SMALL).fit(X)
    assert Model().__sklearn_tags__().input_tags.positive_only


@pytest.mark.parametrize("name", ["beta", "gamma"])
def test_weights_that_float32_cannot_hold_are_refused_by_name(name, X):
    with pytest.raises(ValueError, match=f"'{name}' parameter of FLVAE"):
        FLVAE(**SMALL, **{name: 1e38}).fit(X)
    assert np.isfinite(FLVAE(**SMALL, **{name: 9e29}).fit(X).predict(X)).all()
