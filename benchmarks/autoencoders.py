"""Measure the autoencoders: seconds per epoch, peak memory and NDCG@100, beside loops and peers.

See README.md beside this file.
"""

import json
import shlex
import sys
import tempfile
from pathlib import Path

import click
from data import Data, load, partitions, training_rows
from ease import ask, find_python, mean_ndcg, measure_models, rank
from epochs import WORKERS
from measure import machine, timed
from report import render_autoencoders
from scipy import sparse
from settings import PAPER, tuned

import skrec
from skrec._model_table import MODELS as TABLE

MODELS = [
    row.name for row in TABLE.values() if (row.room, row.reads) == ("autoencoders", "choices")
]
PACKAGES = ["skrec", "numpy", "scipy", "scikit-learn", "torch", "skorch"]

# What --settings changes of the models' defaults.
SETTINGS = {
    "default": {},
    "paper": PAPER,
    "tuned": tuned("ml-1m"),
    "small": tuned("ml-latest-small"),
}


def measure_epochs(X, names, device, pythons, repeats, n_epochs):
    """Train each worker in a fresh process; every round has them all, so that noise meets all."""
    found, where = {}, {}
    for name in names:
        worker = WORKERS[name]
        found[name] = {"counterpart": f"skrec {worker.counterpart}"}
        where[name] = find_python(pythons, worker.module)
        if where[name] is None:
            found[name]["skipped"] = "not installed"
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        sparse.save_npz(folder / "train.npz", sparse.csr_matrix(X), compressed=False)
        options = ["--epochs", str(n_epochs), "--device", device]
        for _ in range(repeats):
            for name, rounds in found.items():
                if "skipped" not in rounds:
                    add_round(rounds, ask("epochs.py", name, folder, where[name], *options))
    for name, rounds in found.items():
        if "skipped" in rounds:
            click.echo(f"{name}: {rounds['skipped']}", err=True)
    return found


def add_round(rounds, answer):
    for key, value in answer.items():
        if key in ("version", "skipped"):
            rounds[key] = value
        else:
            rounds.setdefault(key, []).append(value)


def measure_quality(name, models, settings, device, pythons):
    """Fit all models to the same users, some splits; rank and score all by the same code."""
    found = {}
    is_small = name == "ml-latest-small"
    others = ["skrec EASE", *([] if is_small else ["irspack iALS"])]  # whose setting is for ml-1m
    for split, parts in enumerate(partitions(name, 5 if is_small else 3)):
        rows = training_rows(parts)
        test = parts.test_fold_in, parts.test_held_out
        data = Data(rows, None, test)
        answers = measure_models(data, others, pythons, 1)
        if "MultVAE" in models and settings == "paper":
            answers["plain dense loop"] = fit_and_score_plain(parts, device)
        for model in models:
            overrides = SETTINGS[settings].get(model, {})
            estimator = getattr(skrec, model)(
                validation_fraction=parts.validation_fold_in.shape[0] / rows.shape[0],
                device=device,
                random_state=0,
                **overrides,
            )
            answers[f"skrec {model}"] = fit_and_score(estimator, data)
        for model, answer in answers.items():
            found.setdefault(model, []).append(answer)
            if "ndcg@100" in answer:
                score, seconds = answer["ndcg@100"][0], answer["times"][0]
                click.echo(f"split {split}, {model}: {score:.4f} in {seconds:.0f} s", err=True)
    return found


def fit_and_score(estimator, data):
    _, seconds = timed(lambda: estimator.fit(data.train))
    fold_in, held_out = data.test
    return {
        "times": [seconds],
        "ndcg@100": mean_ndcg(estimator.recommend(fold_in, k=100), held_out),
        "epochs": f"{estimator.best_iteration_} of {estimator.n_iter_}",
        "validation_scores": estimator.validation_scores_,
    }


def fit_and_score_plain(parts, device, n_epochs=120):
    """Mult-VAE by hand, from the epoch that is best on the validation users, as in the paper."""
    # Here and not above: what times skrec's models and peers needs no torch in this process.
    import torch
    from plain_torch import dense_loop

    torch.manual_seed(0)
    scores = []

    def after_epoch(score):
        scores.append(
            [
                mean_ndcg(rank(score(fold_in), fold_in), held_out)
                for fold_in, held_out in (
                    (parts.validation_fold_in, parts.validation_held_out),
                    (parts.test_fold_in, parts.test_held_out),
                )
            ]
        )

    _, elapsed = timed(lambda: dense_loop(parts.train, n_epochs, device, after_epoch))
    best = max(range(n_epochs), key=lambda epoch: scores[epoch][0])
    return {
        "times": [elapsed],
        "ndcg@100": scores[best][1],
        "epochs": f"{best + 1} of {n_epochs}",
        "validation_scores": [validation[0] for validation, _ in scores],
    }


def name_of_gpu():
    import torch

    if not torch.cuda.is_available():
        raise click.UsageError("--device cuda: torch finds no GPU.")
    return torch.cuda.get_device_name()


@click.command()
@click.option(
    "--data",
    "name",
    type=click.Choice(["toy", "ml-latest-small", "ml-1m", "ml-20m-shape-5000"]),
    default="toy",
    show_default=True,
)
@click.option(
    "--model",
    "models",
    type=click.Choice(MODELS),
    multiple=True,
    help="Measure this model and its peers only. Repeatable.",
)
@click.option(
    "--repeats",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="Rounds of timing; 0 for none.",
)
@click.option(
    "--epochs",
    "n_epochs",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Epochs timed in each round, after a first one.",
)
@click.option("--quality", is_flag=True, help="Also fit and score the models, on several splits.")
@click.option(
    "--settings",
    type=click.Choice(list(SETTINGS)),
    default="default",
    show_default=True,
    help="Parameters of skrec's models for --quality.",
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), help="JSON file; the table goes beside it as .md."
)
@click.option(
    "--peer-python",
    multiple=True,
    help="Another Python to look for peers in, for those that need older libraries. Repeatable.",
)
def main(name, models, repeats, n_epochs, quality, settings, device, out, peer_python):
    """Measure the autoencoders on one data set and print a Markdown report."""
    facts = machine(PACKAGES)
    if device == "cuda":
        facts["gpu"] = name_of_gpu()
    data = load(name)
    if quality and data.test is None:
        raise click.UsageError(f"--quality: scores mean nothing on {name}.")
    models = list(models or MODELS)
    pythons = [sys.executable, *peer_python]
    result = {
        "command": _command(name, models, repeats, n_epochs, quality, settings, device),
        "repeats": repeats,
        "n_epochs": n_epochs,
        "device": device,
        "settings": settings,
        "machine": facts,
        "data": {
            "name": name,
            "n_users": data.train.shape[0],
            "n_items": data.train.shape[1],
            "n_entries": data.train.nnz,
        },
        "epochs": {},
        "quality": {},
    }
    if repeats:
        names = [name for name, worker in WORKERS.items() if worker.counterpart in models]
        result["epochs"] = measure_epochs(data.train, names, device, pythons, repeats, n_epochs)
    if quality:
        result["quality"] = measure_quality(name, models, settings, device, pythons)
    report = render_autoencoders(result)
    click.echo(report)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1) + "\n")
        out.with_suffix(".md").write_text(report)


def _command(name, models, repeats, n_epochs, quality, settings, device):
    # Without the folders of this machine.
    options = ["--data", name, "--repeats", str(repeats), "--epochs", str(n_epochs)]
    options += [f"--model={model}" for model in models if len(models) < len(MODELS)]
    options += ["--quality", "--settings", settings] * quality
    options += ["--device", device] * (device == "cuda")
    return shlex.join(["python", "benchmarks/autoencoders.py", *options])


if __name__ == "__main__":
    main()
