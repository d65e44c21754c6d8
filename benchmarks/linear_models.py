"""Quality of the linear models, their neighbours and their sums, beside what they weigh and take.

See README.md beside this file.
"""

import io
import json
import pickle
import shlex
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

import click
import numpy as np
from data import partitions
from ease import rank
from measure import in_turns, machine, timed
from report import describe, seconds, table
from scipy import sparse
from sklearn.model_selection import ParameterGrid

from skrec._model_table import MODELS
from skrec.metrics import ndcg, standard_error

PACKAGES = ["skrec", "numpy", "scipy", "scikit-learn", "numba"]
N_SPLITS = {"ml-1m": 3, "ml-latest-small": 5}
N_LISTED = 1000  # users whose lists are timed


class Row(NamedTuple):
    """A model, its setting on MovieLens 1M, and the grid that this was chosen from."""

    model: str
    setting: dict = {}
    grid: dict = {}  # further parameters, tried with --tune


# Chosen on the validation users of the first split. Without `store_rows`, which is for updates and
# makes no difference to what is recommended.
_PLAIN = {"store_rows": False}
ROWS = {
    "Popularity": Row("Popularity"),
    "ItemKNN": Row("ItemKNN"),
    "ItemKNN, conditional": Row("ItemKNN", {"similarity": "conditional", "shrinkage": 400}),
    "UserKNN": Row("UserKNN"),
    "RP3beta": Row(
        "RP3beta",
        grid={"n_neighbors": [50, 100, 200], "alpha": [0.6, 1.0], "beta": [0.4, 0.6, 0.8]},
    ),
    "SLIM": Row("SLIM"),
    "SLIM, equal users": Row("SLIM", {"user_power": 0.0}),
    "SLIM, fewer weights": Row("SLIM", {"l1": 5.0}),
    "SANSA": Row("SANSA"),
    "ELSA": Row("ELSA", {"random_state": 0}),
    "EASE": Row("EASE", {**_PLAIN, "l2": 500}, {"l2": [200, 300, 500, 700, 1000]}),
    "EASE, dropout": Row(
        "EASE",
        {**_PLAIN, "l2": 300, "dropout": 0.5},
        {"l2": [200, 300, 500], "dropout": [0.3, 0.5, 0.7]},
    ),
    "EASE, relaxed": Row(
        "EASE",
        {**_PLAIN, "l2": 500, "dropout": 0.3, "relaxation": 0.4, "user_power": 0.5},
        {"l2": [300, 500, 700], "dropout": [0.2, 0.3, 0.4], "relaxation": [0.3, 0.4, 0.5]},
    ),
    "GraphFilter": Row(
        "GraphFilter",
        {"n_components": 150, "user_power": 0.35, "item_power": 0.35},
        {
            "n_components": [100, 150, 200],
            "user_power": [0.25, 0.3, 0.35, 0.4],
            "item_power": [0.3, 0.35, 0.4],
            "spectral_power": [0.4, 0.5, 0.6],
            "linear_weight": [0.1, 0.25, 0.5],
        },
    ),
    "GraphFilter, spectral part": Row(
        "GraphFilter",
        {"n_components": 150, "user_power": 0.35, "item_power": 0.35, "linear_weight": 0},
    ),
    "GraphFilter, GF-CF": Row(
        "GraphFilter",
        {
            "n_components": 256,
            "filter": "gf-cf",
            "user_power": 0.5,
            "item_power": 0.5,
            "spectral_power": 0,
            "linear_weight": 1,
            "n_neighbors": None,
        },
        {"linear_weight": [0.3, 1, 3]},
    ),
    "GraphFilter, Turbo-CF": Row(
        "GraphFilter",
        {
            "n_components": 0,
            "filter": "gf-cf",
            "user_power": 0.7,
            "item_power": 0.3,
            "n_neighbors": None,
            "order": 2,
        },
        {"linear_power": [0.7, 1, 1.4], "order": [1, 2, 3]},
    ),
}


def estimator(name, settings, **changes):
    """The model of a row, or None where this version of the package has none like it."""
    row = ROWS[name]
    setting = {**(row.setting if settings == "tuned" else {}), **changes}
    if row.model not in MODELS:
        return None
    model = MODELS[row.model].load()()
    known = set(model.get_params())
    return model.set_params(**setting) if setting.keys() <= known else None


def training_rows(parts):
    """Whole rows of the training and validation users."""
    validation = parts.validation_fold_in + parts.validation_held_out
    return sparse.vstack([parts.train, validation], format="csr")


def measure(name, data, settings):
    """Figures of one model, a value for each split; None where there is no such model."""
    model = estimator(name, settings)
    if model is None:
        return None
    answers = []
    for parts in partitions(data, N_SPLITS[data]):
        rows = training_rows(parts)
        if not answers:  # imports, and loops that are compiled
            model.fit(rows[:100]).recommend(rows[:5])
        _, fit = timed(lambda rows=rows: model.fit(rows))
        some = rows[:N_LISTED]
        _, listed = timed(lambda some=some: model.recommend(some, k=100))
        lists = model.recommend(parts.test_fold_in, k=100)
        answers.append(
            {
                "ndcg": of_users(lists, parts),
                "fit": fit,
                "users": some.shape[0] / listed,
                "size": len(pickle.dumps(model)) / 2**20,
                "numbers": count_numbers(model),
            }
        )
    return {key: [answer[key] for answer in answers] for key in answers[0]}


def measure_sum(names, data, settings):
    """NDCG@100 of the plain sum of two models' scores, standardised within each row."""
    models = [estimator(name, settings) for name in names]
    if None in models:
        return None
    found = []
    for parts in partitions(data, N_SPLITS[data]):
        rows, fold_in = training_rows(parts), parts.test_fold_in
        total = sum(standardised(model.fit(rows).predict(fold_in)) for model in models)
        found.append(of_users(rank(total, fold_in), parts))
    return {"ndcg": found}


def standardised(scores):
    """Scores of mean 0 and deviation 1 over all items, row by row."""
    centred = scores - scores.mean(axis=1, keepdims=True)
    deviations = centred.std(axis=1, keepdims=True)
    return centred / np.where(deviations > 0, deviations, 1)


def of_users(lists, parts):
    return ndcg(lists, parts.test_held_out, k=100, per_user=True).tolist()


class NumberCounter(pickle.Pickler):
    """Counts the numbers in the arrays that it pickles, of sparse ones those that are stored."""

    def __init__(self):
        super().__init__(io.BytesIO())
        self.counts = {}

    def persistent_id(self, value):
        if sparse.issparse(value):
            self.counts[id(value)] = value.nnz
            return "sparse"  # indices are no further numbers
        if isinstance(value, np.ndarray):
            self.counts[id(value)] = value.size
        return None


def count_numbers(model):
    counter = NumberCounter()
    counter.dump(model)
    return sum(counter.counts.values())


def tune(name, data):
    """NDCG@100 of the first split's validation users over a row's grid, best first."""
    parts = next(partitions(data, 1))
    tried = []
    for values in ParameterGrid(ROWS[name].grid or MODELS[ROWS[name].model].search):
        model = estimator(name, "tuned", **values).fit(parts.train)
        lists = model.recommend(parts.validation_fold_in, k=100)
        tried.append((float(ndcg(lists, parts.validation_held_out, k=100)), values))
    return sorted(tried, key=lambda pair: -pair[0])


def compared(answer, plain):
    """Mean difference to EASE of the same users, and its error on one split, averaged."""
    differences = [
        np.subtract(ours, theirs)
        for ours, theirs in zip(answer["ndcg"], plain["ndcg"], strict=True)
    ]
    errors = [standard_error(values) for values in differences]
    return mean(np.nanmean(values) for values in differences), mean(errors)


def line(name, answer, plain):
    scores = [float(np.nanmean(values)) for values in answer["ndcg"]]
    difference, error = compared(answer, plain)
    cells = [name, f"{mean(scores):.4f}", f"{difference:+.4f} ± {error:.4f}"]
    cells += [f"{score:.4f}" for score in scores]
    if "fit" in answer:
        cells += [seconds(answer["fit"]), f"{median(answer['users']):,.0f}"]
        cells += [f"{median(answer['size']):.1f}", f"{median(answer['numbers']):,.0f}"]
    return cells


def report(result):
    answers, data = result["models"], result["data"]
    rows = [line(name, answer, answers["EASE"]) for name, answer in answers.items()]
    splits = ",".join(f"split {number}" for number in range(N_SPLITS[data]))
    header = f"NDCG@100,mean,difference to EASE,{splits}"
    header += ",fit (s),users/s,stored (MiB),stored numbers"
    lines = [f"## linear models, {data}", "", f"`{result['command']}`", ""]
    lines += [describe(result["machine"]), "", *table(header, rows), ""]
    if result["settings"] == "tuned":
        named = {name: ROWS[name].setting for name in answers if name in ROWS}
        lines += [
            f"- {name}: `{ROWS[name].model}({_arguments(setting)})`"
            for name, setting in named.items()
        ]
    return "\n".join(lines).rstrip() + "\n"


def _arguments(setting):
    return ", ".join(f"{key}={value!r}" for key, value in setting.items())


@click.command()
@click.option("--data", type=click.Choice(list(N_SPLITS)), default="ml-1m", show_default=True)
@click.option("--model", "names", type=click.Choice(list(ROWS)), multiple=True)
@click.option("--settings", type=click.Choice(["tuned", "default"]), default="tuned")
@click.option("--sum", "sums", type=click.Choice(list(ROWS)), nargs=2, multiple=True)
@click.option("--tune", "tuned", type=click.Choice(list(ROWS)), help="Only try a row's grid.")
@click.option("--raw", is_flag=True, help="Only print figures of one model or sum.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON file; a .md goes beside it.")
def main(data, names, settings, sums, tuned, raw, out):
    """Measure and report."""
    if tuned:
        for score, values in tune(tuned, data):
            click.echo(f"{score:.4f} {_arguments(values)}")
        return
    if raw:
        answer = measure_sum(sums[0], data, settings) if sums else None
        click.echo(json.dumps(answer if sums else measure(names[0], data, settings)))
        return
    names = list(dict.fromkeys(["EASE", *(names or ROWS)]))
    if settings == "default":  # one row for each model
        names = [name for name in names if name == ROWS[name].model]
    options = ["--data", data, "--settings", settings]
    work = {name: ["--model", name] for name in names}
    work |= {" + ".join(pair): ["--sum", *pair] for pair in sums}
    result = {"data": data, "settings": settings, "machine": machine(PACKAGES), "models": {}}
    for name, choice in work.items():
        answer = in_turns(__file__, [*options, *choice], None, 1)["now"][0]
        if answer is None:
            click.echo(f"{name}: not in this version of the package", err=True)
            continue
        result["models"][name] = answer
        click.echo(" ".join(line(name, answer, result["models"]["EASE"])), err=True)
    flags = [f"--model={name}" for name in names if len(names) < len(ROWS)]
    flags += [part for pair in sums for part in ("--sum", *pair)]
    result["command"] = shlex.join(["python", "benchmarks/linear_models.py", *options, *flags])
    text = report(result)
    click.echo(text)
    if out:
        out.write_text(json.dumps(result) + "\n")
        out.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
