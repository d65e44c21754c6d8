"""Measure an epoch of every neural ranker beside RecBole's same model, and beside MultVAE's.

See README.md beside this file.
"""

import json
import shlex
import sys
from inspect import signature
from pathlib import Path
from statistics import median

import click
from autoencoders import PACKAGES, measure_epochs
from data import load, partitions
from epochs import BATCH, FEW, SIZES, WORKERS
from measure import machine
from report import head, table

from skrec._model_table import MODELS as TABLE

MODELS = [
    row.name
    for row in TABLE.values()
    if row.reads == "choices" and "callbacks" in signature(row.load()).parameters
]
# By users of an update.
REFERENCES = {BATCH: "skrec MultVAE", FEW: f"skrec MultVAE, {FEW} users"}
MOST = 3
# Why an epoch of a model may take more than that of MultVAE times `MOST`.
REASONS = {
    "RecVAE": "four passes over the users, and five layers",
    "EnhancedVAE": "two levels of codes, gates, and pseudo-inputs as long as rows",
    "NeuralEASE": "items x items weights",
    "VASP": "items x items weights",
    "LightGCN": "each update propagates over the whole graph",
    "NGCF": "each update propagates over the whole graph",
    "BPR": "negatives drawn for each entry",
    "NeuMF": "five pairs for each entry pass through the layers",
    "ConvNCF": "two pairs for each entry pass through the layers",
}


def names_of(models):
    """Names of the workers to ask: the references first, then each model beside its peer."""
    references = [name for name in WORKERS if name in REFERENCES.values()]
    workers = {
        name: worker
        for name, worker in WORKERS.items()
        if worker.counterpart in models and worker.module in ("skrec", "recbole")
    }
    return list(dict.fromkeys([*references, *(n for n in workers if not n.startswith("plain"))]))


def render(result):
    epochs = result["epochs"]
    rows = []
    for model in result["models"]:
        ours = epochs[f"skrec {model}"]
        peers = [name for name in epochs if name.startswith("RecBole")]
        peers = [name for name in peers if WORKERS[name].counterpart == model]
        reference = REFERENCES[SIZES[model]["batch_size"]]
        times = _seconds(ours)
        share = times / _seconds(epochs[reference])
        rows.append(
            [model, _sizes(model), f"{times:.2f}"]
            + (_beside(times, epochs[peers[0]]) if peers else ["-", "-"])
            + [f"{share:.2f}", REASONS.get(model, "**none**") if share > MOST else ""]
        )
    rounds = (
        f"Medians of {result['repeats']} rounds of {result['n_epochs']} epochs after a first one, "
        "each model in a process of its own."
    )
    header = (
        "model,sizes,epoch (s),RecBole's (s),ours / RecBole's,"
        f"ours / MultVAE's,why more than {MOST} times"
    )
    return "\n".join([*head(result, "", rounds), "", *table(header, rows)]) + "\n"


def _beside(ours, peer):
    if "skipped" in peer:
        return [peer["skipped"].replace("|", " "), "-"]
    seconds = _seconds(peer)
    return [f"{seconds:.2f}", f"{ours / seconds:.2f}"]


def _seconds(model):
    return median(seconds for epochs in model["times"] for seconds in epochs)


def _sizes(model):
    return " ".join(
        f"{name}={value}".replace(" ", "").replace("_layer_sizes", "").replace("n_", "")
        for name, value in SIZES[model].items()
        if name != "loss"
    )


@click.command()
@click.option(
    "--data",
    "name",
    type=click.Choice(["toy", "ml-latest-small", "ml-1m"]),
    default="toy",
    show_default=True,
)
@click.option(
    "--model",
    "models",
    type=click.Choice(MODELS),
    multiple=True,
    help="Measure this model and its peer only, beside MultVAE. Repeatable.",
)
@click.option("--repeats", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--epochs",
    "n_epochs",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Epochs timed in each round, after a first one.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="JSON file; the table goes beside it as .md."
)
@click.option(
    "--peer-python",
    multiple=True,
    help="Another Python to look for RecBole in, which needs older libraries. Repeatable.",
)
def main(name, models, repeats, n_epochs, out, peer_python):
    """Train each model on the same users, with layers and batches of the same sizes."""
    X = load(name).train if name == "toy" else next(iter(partitions(name, 1))).train
    models = [model for model in models or MODELS if model in SIZES]
    options = ["--data", name, "--repeats", str(repeats), "--epochs", str(n_epochs)]
    options += [f"--model={model}" for model in models if len(models) < len(MODELS)]
    pythons = [sys.executable, *peer_python]
    result = {
        "command": shlex.join(["python", "benchmarks/neural_peers.py", *options]),
        "repeats": repeats,
        "n_epochs": n_epochs,
        "machine": machine(PACKAGES),
        "data": {
            "name": name,
            "n_users": X.shape[0],
            "n_items": X.shape[1],
            "n_entries": X.nnz,
        },
        "models": models,
        "epochs": measure_epochs(X, names_of(models), "cpu", pythons, repeats, n_epochs),
    }
    report = render(result)
    click.echo(report)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1) + "\n")
        out.with_suffix(".md").write_text(report)


if __name__ == "__main__":
    main()
