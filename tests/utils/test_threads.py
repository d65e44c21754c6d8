"""Threads leave the process as they found it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_info

from skrec import EASE


def blas_threads():
    libraries = threadpool_info()
    return {lib["filepath"]: lib["num_threads"] for lib in libraries if lib["user_api"] == "blas"}


def test_overlapping_calls_leave_blas_as_it_was():
    X = (np.random.default_rng(0).random((600, 50)) < 0.2).astype(float)
    before = blas_threads()
    with ThreadPoolExecutor(4) as executor:
        list(executor.map(lambda n: EASE(n_jobs=n).fit(X).recommend(X), [1, 2, 3, None] * 3))
    assert blas_threads() == before
