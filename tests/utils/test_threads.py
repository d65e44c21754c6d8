"""Threads leave the process as they found it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.base import clone
from threadpoolctl import threadpool_info

from skrec import EASE, PMF, BayesianPMF


def blas_threads():
    libraries = threadpool_info()
    return {lib["filepath"]: lib["num_threads"] for lib in libraries if lib["user_api"] == "blas"}


def test_overlapping_calls_leave_blas_as_it_was():
    X = (np.random.default_rng(0).random((600, 50)) < 0.2).astype(float)
    before = blas_threads()
    with ThreadPoolExecutor(4) as executor:
        list(executor.map(lambda n: EASE(n_jobs=n).fit(X).recommend(X), [1, 2, 3, None] * 3))
    assert blas_threads() == before


@pytest.mark.parametrize(
    "model",
    [
        PMF(random_state=0, max_iter=4),
        PMF(random_state=0, max_iter=4, link="logistic"),
        BayesianPMF(random_state=0, n_samples=3, n_burn_in=1),
    ],
)
def test_least_squares_do_not_depend_on_threads_and_leave_none(model):
    rng = np.random.default_rng(0)
    X = rng.integers(1, 6, (400, 90)) * (rng.random((400, 90)) < rng.random((400, 1)))
    threads, n_before = set(threading.enumerate()), torch.get_num_threads()
    answers = []
    try:
        for n_threads in (1, 4):
            torch.set_num_threads(n_threads)
            answers.append(clone(model).fit(X).predict(X[:50], return_std=True))
            assert set(threading.enumerate()) <= threads
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(n_before)
    for one, other in zip(*answers, strict=True):
        np.testing.assert_array_equal(one, other)


def test_threads_of_a_failed_fit_end():
    threads = set(threading.enumerate())
    with pytest.raises(ValueError, match="singular"):
        PMF(l2=1e-20).fit(np.tile(np.arange(1, 5, dtype=np.float32)[:, None], (9, 40)))
    assert set(threading.enumerate()) <= threads
