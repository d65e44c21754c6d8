"""Measure the rating models: RMSE and MAE beside the published figures, seconds beside peers.

See README.md beside this file.
"""

import json
import shlex
import sys
import tempfile
from pathlib import Path

import click
import numpy as np
from data import DATA_HOME, ciao_shape, popularity_skewed
from ease import ask, find_python
from measure import interleaved, machine, timed
from rating_settings import ABLATIONS, WITHOUT_FEATURES, estimator, published
from rating_workers import FOR_FEW_RATINGS, WORKERS
from report_ratings import render_ratings
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import mean_absolute_error, root_mean_squared_error
from sklearn.model_selection import KFold, PredefinedSplit, ShuffleSplit

from skrec import PMF, RatingRegressor
from skrec.datasets import fetch_movielens

PACKAGES = ["skrec", "numpy", "scipy", "scikit-learn", "torch", "skorch"]
# Rows that this script measures unless others are named.
PLAIN = [name for name in WITHOUT_FEATURES if name not in ABLATIONS]
PROTOCOLS = [
    "toy",
    "ml-100k",
    "ml-1m-5-folds",
    "ml-1m-90-10",
    "ml-1m-70-15-15",
    "ml-1m-subsampling",
    "ciao-shape",
]
# Shares of the ratings that are trained on, of papers/vae-bmf; the rest is split into halves.
SHARES = [0.01, 0.02, 0.03, 0.05, 0.1]


def load(name):
    """Pairs of user and item, their ratings, and the splits (training, validation, test)."""
    if name == "toy":
        X = popularity_skewed(300, 120, 6_000).tocoo()
        y = np.random.default_rng(0).integers(1, 6, X.nnz).astype(np.float32)
        pairs = np.column_stack(X.coords)
        return pairs, y, without_validation(ShuffleSplit(1, test_size=0.1, random_state=0), pairs)
    if name == "ml-100k":
        tests = [np.loadtxt(DATA_HOME / "ml-100k" / f"u{n}.test", dtype=int) for n in range(1, 6)]
        table = np.vstack(tests)
        folds = PredefinedSplit(np.repeat(range(5), [len(test) for test in tests]))
        splits = without_validation(folds, table)
        return table[:, :2], table[:, 2].astype(np.float32), splits
    if name == "ciao-shape":
        X = ciao_shape().tocoo()
        pairs = np.column_stack(X.coords)
        splits = without_validation(ShuffleSplit(1, test_size=0.1, random_state=0), pairs)
        return pairs, X.data, splits
    X = fetch_movielens("1m", data_home=DATA_HOME, download_if_missing=False).X.tocoo()
    pairs = np.column_stack(X.coords)
    splits = {
        "ml-1m-5-folds": lambda: without_validation(KFold(5, shuffle=True, random_state=0), pairs),
        "ml-1m-90-10": lambda: without_validation(
            ShuffleSplit(1, test_size=0.1, random_state=0), pairs
        ),
        "ml-1m-70-15-15": lambda: [cut(len(pairs), 0.7, seed=0)],
        "ml-1m-subsampling": lambda: [cut(len(pairs), share, seed=0) for share in SHARES],
    }
    return pairs, X.data, splits[name]()


def without_validation(splitter, pairs):
    return [(train, train[:0], test) for train, test in splitter.split(pairs)]


def cut(n, share, seed):
    """A share of the ratings for training, and half of the rest each to validate and to test."""
    order = np.random.default_rng(seed).permutation(n)
    n_train = round(share * n)
    n_validation = (n - n_train) // 2
    return np.split(order, [n_train, n_train + n_validation])


def measure_quality(name, models):
    """Fit each model to the training ratings of each split, and rate those of the test.

    Models that stop early hold ratings out themselves. Where a split has a validation part, that
    part decides the number of epochs in a fit of its own, and the model is then trained so long
    on the training part: at the test every model knows the same ratings.
    """
    pairs, y, splits = load(name)
    found = {}
    for number, (train, validation, test) in enumerate(splits):
        for model in models:
            made = estimator(model)
            if name == "toy" and "max_iter" in made.get_params():
                made.set_params(max_iter=2)
            if name == "ml-1m-70-15-15" and hasattr(made, "early_stopping"):
                stop_as_validated(made, pairs, y, train, validation)
            answer = fit_and_score(made, (pairs[train], y[train]), (pairs[test], y[test]))
            found.setdefault(model, []).append(answer)
            click.echo(f"split {number}, {model}: {answer}", err=True)
    return found


def stop_as_validated(model, pairs, y, train, validation):
    """Set the number of epochs to what a share of the validation's size, held out, prefers."""
    rows = np.concatenate([train, validation])
    first = clone(model).set_params(validation_fraction=len(validation) / len(rows))
    fitted = RatingRegressor(first).fit(pairs[rows], y[rows]).estimator_
    model.set_params(early_stopping=False, max_iter=fitted.best_iteration_)


def fit_and_score(model, train, test):
    regressor = RatingRegressor(model)
    _, seconds = timed(lambda: regressor.fit(*train))
    return {"times": [seconds], **score(regressor, *test)}


def score(regressor, pairs, y):
    answer = {}
    try:
        rated, std = regressor.predict(pairs, return_std=True)
        answer["coverage"] = float((np.abs(y - rated) < 1.6449 * std).mean())
    except ValueError:  # a model without standard deviations says so
        rated = regressor.predict(pairs)
    answer["rmse"] = float(root_mean_squared_error(y, rated))
    answer["mae"] = float(mean_absolute_error(y, rated))
    return answer


def measure_speed(name, pythons, repeats):
    """Seconds of a fit, of each worker in processes of its own; every round has them all."""
    pairs, y, splits = load(name if name in ("toy", "ciao-shape") else "ml-1m-90-10")
    workers = FOR_FEW_RATINGS if name == "ciao-shape" else WORKERS
    train, _, test = splits[0]
    shape = pairs.max(axis=0) + 1
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for part, rows in {"train": train, "test": test}.items():
            X = sparse.csr_matrix((y[rows], pairs[rows].T), shape=shape, dtype=np.float32)
            sparse.save_npz(folder / f"{part}.npz", X, compressed=False)
        where = {worker: find_python(pythons, WORKERS[worker].module) for worker in workers}
        for _ in range(repeats):
            for worker, python in where.items():
                if python is None:
                    found[worker] = {"skipped": "not installed"}
                    continue
                answer = ask("rating_workers.py", worker, folder, python)
                times = found.get(worker, {}).get("times", []) + answer.get("times", [])
                found[worker] = {**answer, "times": times}
                click.echo(f"{worker}: {answer}", err=True)
    return found


def measure_pairs(repeats, n_pairs=10**6):
    """Seconds to rate a million pairs, beside gathering and multiplying the same factors."""
    pairs, y, _ = load("ml-1m-90-10")
    regressor = RatingRegressor(PMF(64, max_iter=1, random_state=0)).fit(pairs, y)
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, pairs.max(axis=0) + 1, size=(n_pairs, 2)).T
    asked = np.column_stack([users, items])
    left = rng.standard_normal((pairs[:, 0].max() + 1, 64)).astype(np.float32)
    right = rng.standard_normal((pairs[:, 1].max() + 1, 64)).astype(np.float32)
    functions = {
        "gather and multiply": lambda: np.einsum("ij,ij->i", left[users], right[items]),
        "RatingRegressor(PMF(64)).predict": lambda: regressor.predict(asked),
    }
    return interleaved(functions, repeats)


@click.command()
@click.option("--data", "name", type=click.Choice(PROTOCOLS), default="toy", show_default=True)
@click.option(
    "--model",
    "models",
    type=click.Choice(WITHOUT_FEATURES),
    multiple=True,
    help="Measure this model only. Repeatable.",
)
@click.option(
    "--repeats",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Rounds of timing; 0 for none.",
)
@click.option("--no-quality", is_flag=True, help="Leave the errors out.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="JSON file; the table goes beside it as .md."
)
@click.option(
    "--peer-python",
    multiple=True,
    help="Another Python to look for peers in, for those that need older libraries. Repeatable.",
)
def main(name, models, repeats, no_quality, out, peer_python):
    """Measure the rating models by one protocol and print a Markdown report."""
    models = list(models) or PLAIN
    pairs, y, splits = load(name)
    result = {
        "command": _command(name, models, repeats, no_quality),
        "repeats": repeats,
        "machine": machine(PACKAGES),
        "data": {
            "name": name,
            "n_users": len(np.unique(pairs[:, 0])),
            "n_items": len(np.unique(pairs[:, 1])),
            "n_entries": len(y),
            "n_splits": len(splits),
            "n_training": [len(train) for train, _, _ in splits],
        },
        "published": published(name),
        "quality": {} if no_quality else measure_quality(name, models),
        "speed": {},
        "pairs": {},
    }
    if repeats:
        result["speed"] = measure_speed(name, [sys.executable, *peer_python], repeats)
        if name not in ("toy", "ciao-shape"):
            result["pairs"] = measure_pairs(repeats)
    report = render_ratings(result)
    click.echo(report)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1) + "\n")
        out.with_suffix(".md").write_text(report)


def _command(name, models, repeats, no_quality):
    # Without the folders of this machine.
    options = ["--data", name, *(f"--model={model}" for model in models)]
    if models == PLAIN:
        options = ["--data", name]
    options += ["--repeats", str(repeats)] * (repeats > 0) + ["--no-quality"] * no_quality
    return shlex.join(["python", "benchmarks/ratings.py", *options])


if __name__ == "__main__":
    main()
