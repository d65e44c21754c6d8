"""Measure EASE: fit, predict, recommend, evaluate and score, against floors and peers.

See README.md beside this file.
"""

import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import numpy as np
from data import load
from measure import interleaved, machine, peak_allocations, timed
from peers import EASES, L2, PEERS
from report import render
from scipy import sparse
from scipy.linalg.lapack import get_lapack_funcs

from skrec import EASE
from skrec.metrics import ndcg, ranking_scorer, standard_error
from skrec.model_selection import fold_in_split
from skrec.solvers._gram import gram_upper, mirror_upper
from skrec.utils._blocks import effective_n_threads, top_k

METRICS = ["ndcg@100", "recall@20", "recall@50", "map@100", "mrr@10"]
PACKAGES = ["skrec", "numpy", "scipy", "scikit-learn"]
BLOCK = 512


def blocks(X):
    return [X[start : start + BLOCK] for start in range(0, X.shape[0], BLOCK)]


def stages_of_fit(X):
    """Seconds of the steps without which there is no EASE, and of its last one."""
    n_threads = effective_n_threads()
    seconds = {}
    _, seconds["scipy Gram"] = timed(lambda: (X.T @ X).toarray())
    matrix, seconds["skrec Gram"] = timed(lambda: gram_upper(X, n_threads))
    np.einsum("ii->i", matrix)[:] += L2
    lower = matrix.T  # Fortran-ordered: LAPACK works in place
    potrf, potri = get_lapack_funcs(("potrf", "potri"), (lower,))
    _, seconds["potrf"] = timed(lambda: potrf(lower, lower=True, overwrite_a=True, clean=False))
    _, seconds["potri"] = timed(lambda: potri(lower, lower=True, overwrite_c=True))
    scale = -1 / matrix.diagonal()
    _, seconds["mirror"] = timed(lambda: mirror_upper(matrix, scale, n_threads))
    return seconds


def measure_fit(X, dtype, repeats):
    X = X.astype(dtype)
    EASE(l2=L2).fit(X[:500, :100])
    times, stages = [], []
    for _ in range(repeats):
        times.append(timed(lambda: EASE(l2=L2).fit(X))[1])
        stages.append(stages_of_fit(X))
    model, peak = peak_allocations(lambda: EASE(l2=L2).fit(X))
    return model, {
        "fit": times,
        "stages": {name: [seconds[name] for seconds in stages] for name in stages[0]},
        "peak_allocations": peak,
        "buffer": X.dtype.itemsize * X.shape[1] ** 2,
    }


def obvious_predict(X, B):
    return np.concatenate([rows @ B for rows in blocks(X)])


def obvious_recommend(X, B, k):
    """The version that anybody would write first."""
    lists = []
    for rows in blocks(X):
        scores = rows @ B
        scores[rows.nonzero()] = -np.inf
        best = np.argpartition(-scores, k, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        lists.append(np.take_along_axis(best, order, axis=1))
    return np.concatenate(lists)


def equal_up_to_ties(X, B, lists, others):
    """Whether both list distinct unseen items with the same scores at every rank."""
    for start in range(0, X.shape[0], BLOCK):
        rows, block = X[start : start + BLOCK], slice(start, start + BLOCK)
        scores = rows @ B
        scores[rows.nonzero()] = -np.inf
        ours, theirs = (np.take_along_axis(scores, some[block], 1) for some in (lists, others))
        ordered = np.sort(lists[block], axis=1)
        same = np.isclose(ours, theirs, rtol=1e-5, atol=1e-7)
        repeated = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
        # A padded rank stands where the other has only seen items left.
        if repeated.any() or not (same | ((lists[block] < 0) & (theirs == -np.inf))).all():
            return False
    return True


def measure_scoring(model, X, repeats, k=100):
    B = model.coef_
    verbs = {
        "recommend": {
            "skrec": lambda: model.recommend(X, k=k),
            "obvious": lambda: obvious_recommend(X, B, k),
        },
        "predict": {
            "skrec": lambda: model.predict(X),
            "obvious": lambda: obvious_predict(X, B),
        },
    }
    equal = {
        "recommend": equal_up_to_ties(X, B, *(f() for f in verbs["recommend"].values())),
        "predict": bool(np.allclose(*(f() for f in verbs["predict"].values()), atol=1e-6)),
    }
    return {
        verb: {
            "n_users": X.shape[0],
            "times": interleaved(functions, repeats),
            "equal": equal[verb],
        }
        for verb, functions in verbs.items()
    }


class Known:
    """Answers with given lists at once, so that a scorer's time is that of the metrics."""

    def __init__(self, lists):
        self.lists = lists

    def recommend(self, X, k, exclude_seen):
        return self.lists[:, :k]


def measure_evaluate(model, X, repeats):
    visible, held_out = fold_in_split(X, random_state=0)
    scorer = ranking_scorer(METRICS)
    known = Known(model.recommend(visible, k=100))
    B = model.coef_

    def bare_scoring():
        for rows in blocks(visible):
            rows @ B

    functions = {
        "X @ B": bare_scoring,
        "predict": lambda: model.predict(visible),
        "metrics": lambda: scorer(known, visible, held_out),
        "whole ranking_scorer": lambda: scorer(model, visible, held_out),
    }
    return {"n_users": X.shape[0], "times": interleaved(functions, repeats)}


def find_python(pythons, module):
    """First of the Pythons that has a module, or None."""
    code = "import importlib.util as u, sys; sys.exit(u.find_spec(sys.argv[1]) is None)"
    for python in pythons:
        command = [python, "-c", code, module.partition(".")[0]]
        if subprocess.run(command, check=False).returncode == 0:
            return python
    return None


def measure_models(data, names, pythons, repeats):
    """Fit each model in a fresh process; rank and score all their answers by the same code."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        sparse.save_npz(folder / "train.npz", sparse.csr_matrix(data.train), compressed=False)
        if data.test is not None:
            fold_in = sparse.csr_matrix(data.test[0])
            sparse.save_npz(folder / "fold_in.npz", fold_in, compressed=False)
        for name in names:
            python = find_python(pythons, PEERS[name].module)
            if python is None:
                found[name] = {"skipped": "not installed"}
            else:
                found[name] = measure_model(name, folder, python, data.test, repeats)
            if "skipped" in found[name]:
                click.echo(f"{name}: {found[name]['skipped']}", err=True)
    return found


def measure_model(name, folder, python, test, repeats):
    scores = folder / "scores.npy"
    answer = ask("peers.py", name, folder, python, "--repeats", str(repeats))
    if "skipped" in answer:
        return answer
    answer["ndcg@100"] = None
    if scores.exists():
        answer["ndcg@100"] = mean_ndcg(rank(np.load(scores), test[0]), test[1])
        scores.unlink()
    return answer


def ask(script, name, folder, python, *options):
    """What a script answers about a model, run by some Python in a process of its own."""
    command = [python, Path(__file__).with_name(script), name, folder, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        if name.startswith(("skrec", "plain")):
            raise RuntimeError(f"{name} failed in its own process: {done.stderr}")
        return {"skipped": f"failed: {reason}"}
    return json.loads((folder / "answer.json").read_text())


def mean_ndcg(lists, held_out):
    """NDCG@100 of lists and its standard error."""
    values = ndcg(lists, held_out, k=100, per_user=True)
    return [float(np.nanmean(values)), float(standard_error(values))]


def rank(scores, fold_in):
    scores = np.array(scores, order="C")
    scores[fold_in.nonzero()] = -np.inf
    return top_k(scores, 100)[0]


@click.command()
@click.option("--data", "name", type=click.Choice(["toy", "ml-1m", "ml-20m-shape"]), default="toy")
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), help="JSON file; the table goes beside it as .md."
)
@click.option(
    "--peer-python",
    multiple=True,
    help="Another Python to look for peers in, for those that need older libraries. Repeatable.",
)
def main(name, repeats, out, peer_python):
    """Measure EASE on one data set and print a Markdown report."""
    facts = machine(PACKAGES)
    data = load(name)
    large = data.test is None
    model, measured = measure_fit(data.train, "float32", repeats)
    fit = {"float32": measured}
    scoring = measure_scoring(model, data.users, repeats)
    evaluate = measure_evaluate(model, data.users, repeats)
    del model
    if not large:
        fit["float64"] = measure_fit(data.train, "float64", repeats)[1]
    names = ["skrec EASE"] if large else list(EASES)
    models = measure_models(data, names, [sys.executable, *peer_python], 1 if large else repeats)
    for dtype, measured in fit.items():
        worker = "skrec EASE" if dtype == "float32" else "skrec EASE float64"
        measured["peak_rss"] = models[worker]["peak_rss"]
    result = {
        "command": _command(name, repeats),
        "repeats": repeats,
        "machine": facts,
        "data": {
            "name": name,
            "n_users": data.train.shape[0],
            "n_items": data.train.shape[1],
            "n_entries": data.train.nnz,
        },
        "fit": fit,
        "scoring": scoring,
        "evaluate": evaluate,
        "models": models,
    }
    report = render(result)
    click.echo(report)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1) + "\n")
        out.with_suffix(".md").write_text(report)


def _command(name, repeats):
    # Without the folders of this machine.
    return shlex.join(["python", "benchmarks/ease.py", "--data", name, "--repeats", str(repeats)])


if __name__ == "__main__":
    main()
