"""Reranker: the greedy order by hand, the rules of lists, what is wrapped, what is refused."""

import numpy as np
import pytest
from short_ids import parametrize_with_sklearn_checks
from test_common import EXPECTED_FAILURES

from skrec import EASE, PMF, ItemKNN, Reranker
from skrec.utils.estimator_checks import parametrize_with_recommender_checks

N_ITEMS = 12
LABELS = ["a", "b", "a", None, "c", "a", "b", "c", "a", "b", "a", "b"]
ALL_KNOBS = {
    "diversity": 0.7,
    "popularity_discount": 0.2,
    "max_per_category": 2,
    "categories": LABELS,
    "n_candidates": 8,
}
# What is left out makes room in a list of items that are chosen by each other.
DEPEND_ON_THE_REST = {
    "check_candidate_items": "the list is made of the candidates, and is no part of another list",
    "check_rules_of_each_user": "the list is made of what rules leave",
}


@parametrize_with_sklearn_checks(
    [Reranker(EASE(l2=20), diversity=0.5, popularity_discount=0.1)],
    expected_failed_checks=lambda _: EXPECTED_FAILURES,
    xfail_strict=True,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@parametrize_with_recommender_checks(
    {
        "Reranker": Reranker(EASE(l2=20)),
        "Reranker-diverse": Reranker(EASE(l2=20), diversity=0.5),
    },
    variants={
        "Reranker-all": Reranker(ItemKNN(n_neighbors=5)).set_params(diversity=1.0),
    },
    expected_failed_checks=lambda model: DEPEND_ON_THE_REST if model.diversity else {},
)
def test_recommender_contract(estimator, check):
    check(estimator)
