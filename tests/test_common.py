"""The contract, over every public estimator."""

import inspect

from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import skrec
from skrec import (
    EASE,
    PMF,
    VAEBMF,
    AutoRec,
    BaseRecommender,
    BayesianPMF,
    BiasBaseline,
    DeepLatentFactor,
    DeepLTRS,
    EnhancedVAE,
    MultDAE,
    MultVAE,
    Popularity,
    RecVAE,
    RP3beta,
)
from skrec.utils.estimator_checks import parametrize_with_recommender_checks

# Neural models are made small, and train for long enough to recover a withheld block.
SMALL = {"learning_rate": 0.01, "max_iter": 40, "early_stopping": False, "random_state": 0}
ESTIMATORS = [
    EASE(),
    Popularity(),
    BiasBaseline(),
    RP3beta(),
    PMF(4, l2=0.3, random_state=0),
    BayesianPMF(4, n_samples=10, random_state=0),
    MultVAE(8, hidden_layer_sizes=(16,), **SMALL),
    MultDAE(8, **SMALL),
    RecVAE(8, hidden_layer_sizes=(16, 16), **SMALL),
    EnhancedVAE(8, hidden_layer_sizes=(16,), n_pseudo_inputs=5, **SMALL),
    AutoRec(8, l2=1.0, **SMALL),
    DeepLatentFactor(8, hidden_layer_sizes=(16,), **SMALL),
    VAEBMF(4, hidden_layer_sizes=(8,), learning_rate_decay=1.0, **SMALL),
    DeepLTRS(8, hidden_layer_sizes=(16,), **SMALL),
]
VARIANTS = [
    EASE(l2=2.0, method="primal"),
    EASE(l2=2.0, method="dual"),
    EASE(l2=2.0, dropout=0.3, method="dual", dtype="float64"),
    EASE(l2=20.0, dtype="float32"),
    BiasBaseline(clip=False),
    RP3beta(4, alpha=1.0, beta=0.0),
    PMF(3, l2=0.1, l2_exponent=0, fit_offsets=False, random_state=0),
    PMF(3, l2=0.1, link="logistic", rating_scale=(0, 6), random_state=0),
    BayesianPMF(3, fit_offsets=False, noise_precision=2, n_samples=10, random_state=0),
    MultVAE(8, hidden_layer_sizes=(16, 12), batch_size=7, **{**SMALL, "early_stopping": True}),
    MultVAE(8, hidden_layer_sizes=(), likelihood="bernoulli", **SMALL),
    MultVAE(8, hidden_layer_sizes=(16,), likelihood="gaussian", **{**SMALL, "max_iter": 200}),
    MultDAE(8, hidden_layer_sizes=(12,), **SMALL),
    MultDAE(8, likelihood="gaussian", **{**SMALL, "max_iter": 200}),
    RecVAE(8, hidden_layer_sizes=(16,), beta=0.1, **SMALL),
    EnhancedVAE(8, hidden_layer_sizes=(16, 12), likelihood="bernoulli", prior="normal", **SMALL),
    EnhancedVAE(8, hidden_layer_sizes=(16,), hierarchical=False, gated=False, **SMALL),
    AutoRec(8, l2=1.0, based_on="user", **SMALL),
    AutoRec(8, l2=1.0, center=False, **{**SMALL, "early_stopping": True}),
    DeepLatentFactor(8, hidden_layer_sizes=(16,), variational=True, **SMALL),
    DeepLatentFactor(
        8, hidden_layer_sizes=(16,), interaction="scalar", **{**SMALL, "max_iter": 200}
    ),
    VAEBMF(
        4,
        hidden_layer_sizes=(8, 6),
        joint_layer_sizes=(6,),
        attention="all",
        learn_noise=True,
        user_batch_size=17,
        item_batch_size=7,
        learning_rate_decay=1.0,
        **{**SMALL, "early_stopping": True},
    ),
    VAEBMF(
        4,
        hidden_layer_sizes=(8,),
        latent_input="mean",
        attention=None,
        sampled=True,
        normalize=False,
        center=False,
        dropout=0.0,
        learning_rate_decay=1.0,
        **{**SMALL, "max_iter": 100},
    ),
    DeepLTRS(8, offsets=False, hidden_layer_sizes=(16, 12), batch_size=7, **SMALL),
    DeepLTRS(8, batch_size=7, **{**SMALL, "early_stopping": True}),
]

ONE_COLUMN_PREDICT = "insists on a one-dimensional predict; ours has a column per item"
EXPECTED_FAILURES = {
    "check_estimator_sparse_array": ONE_COLUMN_PREDICT,
    "check_estimator_sparse_matrix": ONE_COLUMN_PREDICT,
}


def with_few_epochs(estimator):
    """The same, trained for no longer than it takes to keep a contract."""
    estimator = clone(estimator)
    return estimator.set_params(max_iter=2) if "max_iter" in estimator.get_params() else estimator


@parametrize_with_checks(
    [with_few_epochs(estimator) for estimator in ESTIMATORS],
    expected_failed_checks=lambda _: EXPECTED_FAILURES,
    xfail_strict=True,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@parametrize_with_recommender_checks(ESTIMATORS + VARIANTS)
def test_recommender_contract(estimator, check):
    check(estimator)


def test_every_public_estimator_is_checked():
    public = {
        getattr(skrec, name)
        for name in skrec.__all__
        if inspect.isclass(getattr(skrec, name))
        and issubclass(getattr(skrec, name), BaseRecommender)
    }
    assert public - {BaseRecommender} == {type(estimator) for estimator in ESTIMATORS}
