"""Equal rows of one call have equal scores, whatever stands between them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone

from skrec import EASE, PMF, AutoRec, BayesianPMF, BiasBaseline, MultVAE

MODELS = [
    PMF(random_state=0, max_iter=5),
    PMF(link="logistic", l2=0.05, random_state=0, max_iter=5),
    BayesianPMF(random_state=0, n_samples=3, n_burn_in=1),
    BiasBaseline(),
    AutoRec(random_state=0, max_iter=2),
    EASE(),
    MultVAE(random_state=0, max_iter=2),
]


def ratings(n_users, n_items=61, seed=0):
    rng = np.random.default_rng(seed)
    share = rng.uniform(0.02, 0.8, (n_users, 1))
    X = rng.integers(1, 6, (n_users, n_items)) * (rng.random((n_users, n_items)) < share)
    return sparse.csr_array(X.astype(np.float64))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("model", MODELS)
def test_equal_rows_in_one_call(model, dtype):
    X = ratings(80).astype(dtype)
    model = clone(model).fit(X)
    probes = X[:4]
    alone = [model.predict(probes[[row]])[0] for row in range(4)]
    # AutoRec computes in float32.
    eps = np.finfo(np.float32 if isinstance(model, AutoRec) else alone[0].dtype).eps
    # The Gauss-Newton steps of a logistic link end within their tolerance.
    tolerance = max(100 * eps, 1e-7 * (model.get_params().get("link") == "logistic"))
    for n_others in (1, 2, 7, 30, 301):
        others = ratings(n_others, seed=n_others).astype(dtype)
        batch = sparse.vstack([probes, others, probes, others[:5], probes], format="csr")
        scores = [model.predict(batch)]
        if model.__sklearn_tags__().recommender_tags.predicts_std:
            scores += model.predict(batch, return_std=True)
        lists, values = model.recommend(batch, 10, return_scores=True)
        for answer in (*scores, lists, values):
            for start in (4 + n_others, len(answer) - 4):
                assert_array_equal(answer[start : start + 4], answer[:4])
        # Kernels choose by the size of a batch, so that digits at the end may differ.
        assert_allclose(scores[0][:4], alone, rtol=tolerance, atol=tolerance)
