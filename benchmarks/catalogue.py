"""What large catalogues cost: seconds, users a second, peak memory, size, and how they grow.

See README.md beside this file.
"""

import json
import pickle
import shlex
import tempfile
from pathlib import Path
from time import process_time

import click
import numpy as np
from data import popularity_skewed
from measure import in_turns, machine, peak_process, timed
from report import describe, table
from scipy import sparse
from settings import PAPER

from skrec._model_table import MODELS as TABLE

PACKAGES = ["skrec", "numpy", "scipy", "scikit-learn", "torch", "skorch"]

# Users, items, entries. A catalogue that grows is one whose users and entries grow as well: what
# is done for each entry then has the exponent 1, and what is done for each user and item 2.
SHAPES = {
    "toy": (400, 600, 8_000),
    "gowalla-shape": (30_000, 41_000, 1_000_000),
    "37k": (12_500, 37_500, 1_250_000),
    "75k": (25_000, 75_000, 2_500_000),
    "150k": (50_000, 150_000, 5_000_000),
}
GROWING = ("37k", "75k", "150k")

# What is measured, and what is changed of the defaults.
EPOCH = {"max_iter": 1, "early_stopping": False, "random_state": 0}
MODELS = {
    "Popularity": {},
    "RP3beta": {},
    "ItemKNN": {},
    "UserKNN": {},
    "SLIM": {"n_neighbors": 100},
    "GraphFilter": {},
    "SANSA": {},
    "ELSA": {"batch_size": 1024, **EPOCH},
    "MultVAE": {**PAPER["MultVAE"], **EPOCH},
    "EASE": {},
}
FIGURES = {
    "fit (s)": "fit",
    "fit (s of the processors)": "processor",
    "recommend (s)": "recommend",
    "recommend (s of the processors)": "recommend_processor",
    "users/s": "rate",
    "peak (GiB)": "peak",
    "model (MiB)": "size",
}


def measure(name, path):
    """Figures of one model in this process, or why there are none."""
    X = sparse.csr_array(sparse.load_npz(path))
    model = TABLE[name].load()(**MODELS[name])
    model.fit(X[:100])  # imports, threads that start, kernels that are compiled
    model.recommend(X[:100], k=20)
    start = process_time()
    try:
        _, fit = timed(lambda: model.fit(X))
    except MemoryError as error:
        return {"skipped": str(error)}
    processor, start = process_time() - start, process_time()
    _, recommend = timed(lambda: model.recommend(X, k=20))
    recommend_processor = process_time() - start
    return {
        "fit": fit,
        "processor": processor,
        "recommend": recommend,
        "recommend_processor": recommend_processor,
        "rate": X.shape[0] / recommend,
        "peak": peak_process() / 2**30,
        "size": len(pickle.dumps(model)) / 2**20,
    }


def measure_all(names, models):
    """Figures of each model on each matrix, each in a process of its own."""
    found = {name: {} for name in names}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = Path(folder) / f"{name}.npz"
            sparse.save_npz(path, popularity_skewed(*SHAPES[name]), compressed=False)
            for model in models:
                options = ["--model", model, "--matrix", str(path)]
                answer = in_turns(__file__, options, None, 1)["now"][0]
                found[name][model] = answer
                click.echo(f"{name}, {model}: {answer}", err=True)
    return found


def render(result):
    """Write the report in Markdown."""
    lines = ["## large catalogues", "", f"`{result['command']}`", ""]
    lines += [describe(result["machine"])]
    for name, models in result["figures"].items():
        n_users, n_items, n_entries = SHAPES[name]
        lines += ["", f"### {name}", ""]
        lines += [f"{n_users:,} users x {n_items:,} items, {n_entries:,} entries.", ""]
        rows = [[_label(model), *_cells(answer)] for model, answer in models.items()]
        lines += table(",".join(["model", *FIGURES]), rows)
    sizes = [name for name in GROWING if name in result["figures"]]
    if len(sizes) > 1:
        lines += ["", "### growth", ""]
        lines += [f"Exponents of the items, over {', '.join(sizes)}.", ""]
        lines += table(",".join(["model", *_GROWTH]), _growth(result["figures"], sizes))
    return "\n".join(lines) + "\n"


def _label(model):
    changes = MODELS[model]
    if "max_iter" in changes:
        return f"{model} (one epoch)"
    return model + "".join(f" ({name}={value})" for name, value in changes.items())


def _cells(answer):
    if "skipped" in answer:
        return [answer["skipped"]]
    values = [answer[key] for key in FIGURES.values()]
    return [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in values]


_GROWTH = {title: key for title, key in FIGURES.items() if key != "rate"}


def _growth(figures, sizes):
    """A row for each model that all sizes have."""
    log_items = np.log([SHAPES[name][1] for name in sizes])
    for model in figures[sizes[0]]:
        answers = [figures[name][model] for name in sizes]
        if any("skipped" in answer for answer in answers):
            continue
        values = np.log([[answer[key] for key in _GROWTH.values()] for answer in answers])
        yield [_label(model), *(f"{slope:.2f}" for slope in np.polyfit(log_items, values, 1)[0])]


@click.command()
@click.option("--data", "names", type=click.Choice(list(SHAPES)), multiple=True)
@click.option("--model", "models", type=click.Choice(list(MODELS)), multiple=True)
@click.option("--raw", is_flag=True, help="Only print figures of one model.")
@click.option("--matrix", type=click.Path(), hidden=True)
@click.option("--out", type=click.Path(path_type=Path), help="JSON; the table beside it as .md.")
def main(names, models, raw, matrix, out):
    """Measure and report."""
    if raw:
        click.echo(json.dumps(measure(models[0], matrix)))
        return
    options = [f"--data={name}" for name in names] + [f"--model={model}" for model in models]
    result = {
        "command": shlex.join(["python", "benchmarks/catalogue.py", *options]),
        "machine": machine(PACKAGES),
        "figures": measure_all(names or list(SHAPES)[1:], models or list(MODELS)),
    }
    report = render(result)
    click.echo(report)
    if out:
        out.write_text(json.dumps(result, indent=1) + "\n")
        out.with_suffix(".md").write_text(report)


if __name__ == "__main__":
    main()
