"""The contract, over every public estimator."""

from short_ids import parametrize_with_sklearn_checks
from sklearn.base import clone

from skrec._model_table import MODELS
from skrec.utils.estimator_checks import parametrize_with_recommender_checks

ONE_COLUMN_PREDICT = "insists on a one-dimensional predict; ours has a column per item"
EXPECTED_FAILURES = {
    "check_estimator_sparse_array": ONE_COLUMN_PREDICT,
    "check_estimator_sparse_matrix": ONE_COLUMN_PREDICT,
}


def with_few_epochs(estimator):
    """The same, trained for no longer than it takes to keep a contract."""
    few = {"max_iter": 2} if {"max_iter", "random_state"} <= estimator.get_params().keys() else {}
    return clone(estimator).set_params(**few)


def expected_failures(estimator):
    return MODELS[type(estimator).__name__].expected_failures


@parametrize_with_sklearn_checks(
    [with_few_epochs(row.instance()) for row in MODELS.values()],
    expected_failed_checks=lambda model: {**EXPECTED_FAILURES, **expected_failures(model)},
    xfail_strict=True,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@parametrize_with_recommender_checks(
    {name: row.instance() for name, row in MODELS.items()},
    variants={
        f"{name}-{variant}": row.instance(variant)
        for name, row in MODELS.items()
        for variant in row.variants
    },
    expected_failed_checks=expected_failures,
)
def test_recommender_contract(estimator, check):
    check(estimator)
