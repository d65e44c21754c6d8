"""Seconds that one rating model takes to train, in a process of its own: skrec's or a peer.

Run as a script by the Python that has the library, which need not have skrec::

    python rating_workers.py "Surprise SVD" FOLDER --repeats 3
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from measure import peak_rss, timed, versions
from scipy import sparse

N_FACTORS, N_SWEEPS = 64, 15


class Worker(NamedTuple):
    """How one model is trained and rates pairs.

    ``prepare(X)`` builds the library's own data set, which is not measured, and returns ``fit()``,
    which returns a function of (users, items).
    """

    module: str
    distribution: str
    prepare: callable


def skrec_pmf(X):
    from skrec import PMF

    def fit():
        model = PMF(N_FACTORS, max_iter=N_SWEEPS, tol=0, random_state=0).fit(X)
        return lambda users, items: model._rate_pairs(model._pair_states(X), users, items)

    return fit


def skrec_pmf_default(X):
    from skrec import PMF

    def fit():
        model = PMF(random_state=0).fit(X)
        return lambda users, items: model._rate_pairs(model._pair_states(X), users, items)

    return fit


def numpy_loop(X):
    """The same sweeps by the code that anybody would write first."""
    rng = np.random.default_rng(0)
    mean = X.data.mean()

    def solve_rows(X, table):
        features = np.hstack([table[:, :-1], np.ones((len(table), 1), table.dtype)])
        weights = np.zeros((X.shape[0], table.shape[1]), table.dtype)
        for row in range(X.shape[0]):
            rated = X.indices[X.indptr[row] : X.indptr[row + 1]]
            if not len(rated):
                continue
            targets = X.data[X.indptr[row] : X.indptr[row + 1]] - mean - table[rated, -1]
            f = features[rated]
            penalty = 1.2 * np.sqrt(len(rated))
            gram = f.T @ f + penalty * np.eye(f.shape[1], dtype=f.dtype)
            weights[row] = np.linalg.solve(gram, f.T @ targets)
        return weights

    by_item = X.T.tocsr()

    def fit():
        items = 0.1 * rng.standard_normal((X.shape[1], N_FACTORS + 1)).astype(np.float32)
        items[:, -1] = 0
        for _ in range(N_SWEEPS):
            users = solve_rows(X, items)
            items = solve_rows(by_item, users)
        users = solve_rows(X, items)

        def rate(rows, columns):
            offsets = mean + users[rows, -1] + items[columns, -1]
            return offsets + (users[rows, :-1] * items[columns, :-1]).sum(axis=1)

        return rate

    return fit


def numpy_sgd(X):
    """The default PMF's model by stochastic gradients, a thousand ratings at a time."""
    rng = np.random.default_rng(0)
    X, mean, l2 = X.tocoo(), X.data.mean(), 0.05

    def fit():
        users, items = (0.1 * rng.standard_normal((n, 17)).astype(np.float32) for n in X.shape)
        users[:, -1] = items[:, -1] = 0
        for _ in range(20):
            for part in np.array_split(rng.permutation(X.nnz), -(-X.nnz // 1000)):
                rows, columns = X.row[part], X.col[part]
                u, v = users[rows], items[columns]
                rated = mean + u[:, -1] + v[:, -1] + (u[:, :-1] * v[:, :-1]).sum(axis=1)
                errors = (X.data[part] - rated)[:, None]
                factors, offsets = (np.hstack([w[:, :-1], np.ones_like(errors)]) for w in (u, v))
                np.add.at(users, rows, np.float32(0.02) * (errors * offsets - l2 * u))
                np.add.at(items, columns, np.float32(0.02) * (errors * factors - l2 * v))

        def rate(rows, columns):
            products = (users[rows, :-1] * items[columns, :-1]).sum(axis=1)
            return mean + users[rows, -1] + items[columns, -1] + products

        return rate

    return fit


def gather_and_multiply(X):
    """What no alternating solution can avoid: both Gram matrices of all rows, 30 times."""
    rng = np.random.default_rng(0)
    tables = [rng.standard_normal((n, 17)).astype(np.float32) for n in X.shape]
    sides = [(X, tables[1]), (X.T.tocsr(), tables[0])]

    def fit():
        for _ in range(30):
            for Y, table in sides:
                features = table[Y.indices]
                for start, stop in zip(Y.indptr[:-1], Y.indptr[1:], strict=True):
                    if stop - start > 17:
                        features[start:stop].T @ features[start:stop]
                np.einsum("ij,ij->i", features, features)

    return fit


def surprise(name, **options):
    """A model of Surprise at its defaults but for options; it rates one pair at a time."""

    def prepare(X):
        import pandas as pd
        import surprise

        X = X.tocoo()
        frame = pd.DataFrame({"user": X.row, "item": X.col, "rating": X.data})
        reader = surprise.Reader(rating_scale=(1, 5))
        train = surprise.Dataset.load_from_df(frame, reader).build_full_trainset()
        model = getattr(surprise, name)(**options)
        if hasattr(model, "random_state"):
            model.random_state = 0

        def fit():
            model.fit(train)

            def rate(users, items):
                return [model.predict(u, i).est for u, i in zip(users, items, strict=True)]

            return rate

        return fit

    return Worker("surprise", "scikit-surprise", prepare)


def implicit_als(X):
    from implicit.als import AlternatingLeastSquares

    # Implicit feedback: another objective over the same entries, so its ratings mean nothing.
    def fit():
        AlternatingLeastSquares(N_FACTORS, iterations=N_SWEEPS, random_state=0).fit(
            X, show_progress=False
        )

    return fit


def implicit_als_exact(X):
    from implicit.als import AlternatingLeastSquares

    def fit():
        AlternatingLeastSquares(N_FACTORS, iterations=N_SWEEPS, use_cg=False, random_state=0).fit(
            X, show_progress=False
        )

    return fit


def cornac_mf(X):
    from cornac.data import Dataset
    from cornac.models import MF

    X = X.tocoo()
    triples = list(zip(X.row.tolist(), X.col.tolist(), X.data.tolist(), strict=True))
    train = Dataset.from_uir(triples, seed=0)

    def fit():
        model = MF(k=10, max_iter=25, learning_rate=0.01, lambda_reg=0.02, use_bias=True, seed=0)
        model.fit(train)
        users, items = train.uid_map, train.iid_map

        def rate(rows, columns):
            pairs = zip(rows.tolist(), columns.tolist(), strict=True)
            return [
                model.rate(users[u], items[i], clipping=True)
                if u in users and i in items
                else X.data.mean()
                for u, i in pairs
            ]

        return rate

    return fit


WORKERS = {
    "skrec PMF (64 factors, 15 sweeps)": Worker("skrec", "skrec", skrec_pmf),
    "skrec PMF (defaults)": Worker("skrec", "skrec", skrec_pmf_default),
    "NumPy loop (64 factors, 15 sweeps)": Worker("numpy", "numpy", numpy_loop),
    "NumPy SGD (16 factors, 20 epochs)": Worker("numpy", "numpy", numpy_sgd),
    "gather and Gram (17 weights, 30 sweeps)": Worker("numpy", "numpy", gather_and_multiply),
    "Surprise SVD (100 factors, 20 epochs)": surprise("SVD"),
    "implicit ALS (64 factors, 15 sweeps)": Worker("implicit", "implicit", implicit_als),
    "implicit ALS, exact (64 factors, 15 sweeps)": Worker(
        "implicit", "implicit", implicit_als_exact
    ),
    "cornac MF (10 factors, 25 epochs)": Worker("cornac", "cornac", cornac_mf),
}
_ITEMS = {"name": "pearson_baseline", "user_based": False}
# For the table of all rating models.
SURPRISE = {
    **{f"Surprise {name}": surprise(name) for name in ("SVD", "SVDpp", "NMF", "SlopeOne")},
    "Surprise CoClustering": surprise("CoClustering"),
    "Surprise BaselineOnly": surprise("BaselineOnly", verbose=False),
    **{
        f"Surprise {name}": surprise(name, verbose=False)
        for name in ("KNNBasic", "KNNWithMeans", "KNNWithZScore", "KNNBaseline")
    },
    "Surprise KNNBaseline (items, Pearson)": surprise(
        "KNNBaseline", sim_options=_ITEMS, verbose=False
    ),
}
# Those that take a few seconds where most rows have one or two ratings.
FOR_FEW_RATINGS = [
    "skrec PMF (defaults)",
    "NumPy SGD (16 factors, 20 epochs)",
    "gather and Gram (17 weights, 30 sweeps)",
    "Surprise SVD (100 factors, 20 epochs)",
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=[*WORKERS, *SURPRISE])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    worker = {**WORKERS, **SURPRISE}[arguments.name]
    X = sparse.csr_matrix(sparse.load_npz(arguments.folder / "train.npz"))
    test = sparse.load_npz(arguments.folder / "test.npz").tocoo()
    fit = worker.prepare(X)
    answer = {"version": versions([worker.distribution])[worker.distribution], "times": []}

    def measure():
        rate, seconds = timed(fit)
        answer["times"].append(seconds)
        if rate is not None:
            rated, answer["predict"] = timed(lambda: rate(test.row, test.col))
            errors = np.clip(rated, 1, 5) - test.data
            answer["rmse"] = float(np.sqrt(np.mean(errors**2)))
            answer["mae"] = float(np.mean(np.abs(errors)))

    for _ in range(arguments.repeats):
        _, answer["peak"] = peak_rss(measure)
    (arguments.folder / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
