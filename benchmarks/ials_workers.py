"""Seconds of a sweep of iALS in a process of its own: skrec's solvers, or another library's.

Run as a script by the Python that has the library, which need not have skrec::

    python ials_workers.py "irspack" FOLDER --components 64 --sweeps 5
"""

import argparse
import contextlib
import json
import os
from pathlib import Path
from time import process_time
from typing import NamedTuple

import numpy as np
from measure import peak_rss, timed, versions
from scipy import sparse

ALPHA, L2 = 0.2, 0.0075


class Worker(NamedTuple):
    """How a library fits: ``fit(X, n_components, n_sweeps)`` returns both sides' factors."""

    module: str
    distribution: str
    fit: callable


def skrec(solver):
    def fit(X, n_components, n_sweeps):
        from skrec import IALS

        model = IALS(n_components, unobserved_weight=ALPHA, l2=L2, solver=solver, random_state=0)
        model.set_params(max_iter=n_sweeps).fit(X)
        return model.loss_curve_[-1]

    return fit


def irspack(solver, **options):
    def fit(X, n_components, n_sweeps):
        from irspack import IALSRecommender

        settings = {"alpha0": ALPHA, "reg": L2, "nu": 1.0, "n_threads": 2}
        model = IALSRecommender(
            X,
            n_components=n_components,
            train_epochs=n_sweeps,
            solver_type=solver,
            **settings,
            **options,
        )
        with contextlib.redirect_stderr(None):
            model.learn()
        return objective(X, model.get_user_embedding(), model.get_item_embedding())

    return fit


def implicit(X, n_components, n_sweeps):
    from implicit.als import AlternatingLeastSquares

    # Entries have the weight alpha, and the other pairs 1: our weight of these is 1 / alpha.
    settings = {"alpha": 1 / ALPHA, "regularization": 0.01, "use_gpu": False, "random_state": 0}
    model = AlternatingLeastSquares(n_components, iterations=n_sweeps, num_threads=2, **settings)
    model.fit(X, show_progress=False)
    # Another objective: its penalties are the same for all rows.


def objective(X, users, items):
    rows, columns = X.nonzero()
    users, items = users.astype(np.float64), items.astype(np.float64)
    squares = 0.0
    for start in range(0, len(rows), 2**16):
        part = slice(start, start + 2**16)
        scores = np.einsum("ij,ij->i", users[rows[part]], items[columns[part]])
        squares += np.square(1 - scores).sum()
    penalty = 0.0
    for side, counts, n_others in (
        (users, np.bincount(rows, minlength=X.shape[0]), X.shape[1]),
        (items, np.bincount(columns, minlength=X.shape[1]), X.shape[0]),
    ):
        penalty += L2 * (counts + ALPHA * n_others) @ np.square(side).sum(axis=1)
    return squares + ALPHA * ((users.T @ users) * (items.T @ items)).sum() + penalty


WORKERS = {
    "skrec, cg": Worker("skrec", "skrec", skrec("cg")),
    "irspack, CG": Worker("irspack", "irspack", irspack("CG")),
    "implicit, CG": Worker("implicit", "implicit", implicit),
    "skrec, subspace": Worker("skrec", "skrec", skrec("subspace")),
    "irspack, iALS++ (blocks of 64)": Worker("irspack", "irspack", irspack("IALSPP")),
    "irspack, iALS++ (blocks of 16)": Worker(
        "irspack", "irspack", irspack("IALSPP", ialspp_subspace_dimension=16)
    ),
    "skrec, cholesky": Worker("skrec", "skrec", skrec("cholesky")),
    "irspack, Cholesky": Worker("irspack", "irspack", irspack("CHOLESKY")),
}


def measured(fit):
    """Result, seconds of the clock and of the processors."""
    start = process_time()
    result, seconds = timed(fit)
    return result, np.array([seconds, process_time() - start])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=list(WORKERS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--components", type=int, default=64)
    parser.add_argument("--sweeps", type=int, default=5)
    arguments = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    worker = WORKERS[arguments.name]
    X = sparse.csr_matrix(sparse.load_npz(arguments.folder / "train.npz"))
    worker.fit(X[:200, :50], 8, 1)  # what libraries load, start and compile
    _, peak = peak_rss(lambda: worker.fit(X, arguments.components, 1))
    _, one = measured(lambda: worker.fit(X, arguments.components, 1))
    loss, all_sweeps = measured(lambda: worker.fit(X, arguments.components, arguments.sweeps))
    sweep = (all_sweeps - one) / (arguments.sweeps - 1)
    answer = {
        "version": versions([worker.distribution])[worker.distribution],
        "sweep": sweep.tolist(),
        "peak_rss": peak,
        "loss": loss,
    }
    (arguments.folder / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
