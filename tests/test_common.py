"""The contract, over every public estimator."""

import inspect

from sklearn.utils.estimator_checks import parametrize_with_checks

import skrec
from skrec import EASE, BaseRecommender, BiasBaseline, Popularity
from skrec.utils.estimator_checks import parametrize_with_recommender_checks

ESTIMATORS = [EASE(), Popularity(), BiasBaseline()]
VARIANTS = [
    EASE(l2=2.0, method="primal"),
    EASE(l2=2.0, method="dual"),
    EASE(l2=2.0, dropout=0.3, method="dual", dtype="float64"),
    EASE(l2=20.0, dtype="float32"),
    BiasBaseline(clip=False),
]

ONE_COLUMN_PREDICT = "insists on a one-dimensional predict; ours has a column per item"
EXPECTED_FAILURES = {
    "check_estimator_sparse_array": ONE_COLUMN_PREDICT,
    "check_estimator_sparse_matrix": ONE_COLUMN_PREDICT,
}


@parametrize_with_checks(
    ESTIMATORS, expected_failed_checks=lambda _: EXPECTED_FAILURES, xfail_strict=True
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
