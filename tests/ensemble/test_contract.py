"""Both check suites, over ensembles that rank and ensembles that predict ratings."""

import pytest
from joblib import parallel_config
from short_ids import parametrize_with_sklearn_checks
from test_common import EXPECTED_FAILURES

from skrec import EASE, BiasBaseline, ItemKNN, StackingRecommender, VotingRecommender
from skrec.utils.estimator_checks import parametrize_with_recommender_checks

RANKERS = [("ease", EASE(l2=5.0)), ("knn", ItemKNN(n_neighbors=8))]
RATERS = [("stiff", BiasBaseline()), ("loose", BiasBaseline(l2_user=1.0, l2_item=1.0))]


@pytest.fixture(autouse=True)
def _threads_for_members():
    # Processes take seconds to start; test_members has one fit with them.
    with parallel_config("threading"):
        yield


@parametrize_with_sklearn_checks(
    [VotingRecommender(RANKERS), StackingRecommender(RANKERS, random_state=0)],
    expected_failed_checks=lambda _: EXPECTED_FAILURES,
    xfail_strict=True,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@parametrize_with_recommender_checks(
    {
        "Voting": VotingRecommender(RANKERS),
        "Stacking": StackingRecommender(RANKERS, random_state=0),
        "Voting-ratings": VotingRecommender(RATERS, weights=[1, 2]),
        "Stacking-ratings": StackingRecommender(RATERS, random_state=0),
    },
    variants={
        "Voting-rank": VotingRecommender(RANKERS, normalize="rank"),
        "Voting-minmax": VotingRecommender(RANKERS, normalize="minmax"),
        "Stacking-folds": StackingRecommender(RANKERS, cv=3, metric="recall@5", random_state=0),
    },
)
def test_recommender_contract(estimator, check):
    check(estimator)
