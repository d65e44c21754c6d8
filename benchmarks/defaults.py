"""NDCG@100 of rankers as they come, with no parameter changed, on data of several kinds and sizes.

See README.md beside this file.
"""

import json
from pathlib import Path
from statistics import mean, stdev

import click
from data import liked, partitions, training_rows
from measure import machine
from report import describe, table
from results_board import read
from settings import EVERYWHERE, everywhere, is_current, setting

from skrec._model_table import MODELS
from skrec.metrics import ndcg

RESULTS = Path(__file__).parent / "results"
SPLITS = {"ml-1m": 3, "ml-latest-small": 5, "fine-foods": 3, "musical-instruments": 3}
BASELINES = ["Popularity", "EASE"]
NEURAL = [
    row.name
    for row in MODELS.values()
    if row.reads == "choices" and "early_stopping" in row.instance().get_params()
]


def measure(name, data):
    """NDCG@100 of each split's test users."""
    for parts in partitions(data, SPLITS[data]):
        model = MODELS[name].load()()
        model.set_params(**everywhere(model)).fit(training_rows(parts))
        lists = model.recommend(parts.test_fold_in, k=100)
        yield ndcg(lists, parts.test_held_out, k=100)


def parameters(name):
    """All defaults as text."""
    return {key: repr(value) for key, value in MODELS[name].load()().get_params().items()}


def on_board(name, data):
    """What the board of results says of the same model, if it stands there with its defaults."""
    entry = read().get(f"{data}: {name}")
    if entry is None or setting(name, data) or not is_current(entry, name, data):
        return None
    by_split = entry["figures"]["ndcg@100"]
    return [mean(value for value in values if value is not None) for values in by_split]


def render(figures):
    """Tables of the figures that are of the present defaults."""
    lines = [
        "## Default settings",
        "",
        "`python benchmarks/defaults.py`",
        "",
        "NDCG@100 of test users who are unseen in training, mean and deviation of the splits. "
        f"No parameter is changed but for {', '.join(EVERYWHERE)}. Rows of MovieLens that the "
        "board of results has at their defaults are its.",
    ]
    for data in SPLITS:
        X = liked(data)
        rows = []
        for name in [*BASELINES, *NEURAL]:
            entry = figures.get(f"{data}: {name}")
            if entry and entry["parameters"] == parameters(name):
                by_split = entry["ndcg@100"]
                shown = [f"{value:.4f}" for value in by_split]
                rows.append((mean(by_split), name, f"{stdev(by_split):.4f}", ", ".join(shown)))
        ranked = [
            [name, f"{score:.4f}", deviation, shown]
            for score, name, deviation, shown in sorted(rows, reverse=True)
        ]
        shape = f"{X.shape[0]:,} users x {X.shape[1]:,} items, {X.nnz:,} entries"
        lines += ["", f"### {data}: {shape}, {SPLITS[data]} splits", ""]
        lines += table("model,NDCG@100,deviation,splits", ranked)
    return "\n".join([*lines, "", describe(machine(["skrec", "torch"]))]) + "\n"


@click.command()
@click.option("--data", "data_sets", type=click.Choice(list(SPLITS)), multiple=True)
@click.option("--model", "names", type=click.Choice([*BASELINES, *NEURAL]), multiple=True)
def main(data_sets, names):
    """Measure the models that have no figures of their present defaults, and write the tables."""
    path = RESULTS / "defaults.json"
    figures = json.loads(path.read_text()) if path.exists() else {}
    for data in data_sets or SPLITS:
        for name in names or [*BASELINES, *NEURAL]:
            key = f"{data}: {name}"
            if figures.get(key, {}).get("parameters") == parameters(name):
                continue
            scores = on_board(name, data) or list(measure(name, data))
            click.echo(f"{key}: {mean(scores):.4f}", err=True)
            figures[key] = {"parameters": parameters(name), "ndcg@100": scores}
            path.write_text(json.dumps(figures, indent=0, sort_keys=True) + "\n")
    report = render(figures)
    click.echo(report)
    (RESULTS / "defaults.md").write_text(report)


if __name__ == "__main__":
    main()
