"""Measure sparse item-item models beside those of other libraries, at the same settings.

See README.md beside this file.
"""

import json
import sys
from pathlib import Path
from statistics import median

import click
from data import load
from ease import measure_models
from measure import machine
from peers import ITEM_ITEM
from report import head, table


def render(result):
    rows = []
    ours = None
    for name, model in result["models"].items():
        if name.startswith("skrec"):
            ours = model
        if "skipped" in model:
            rows.append([name, model["skipped"]])
            continue
        seconds, score = median(model["times"]), model["ndcg@100"]
        processor = median(model["processor"])
        rows.append(
            [name, model["version"], f"{seconds:.2f}", f"{processor:.2f}"]
            + [f"{seconds / median(ours['times']):.2f}"]
            + [f"{model['peak_rss'] / 2**20:,.0f}", f"{score[0]:.4f} ± {score[1]:.4f}"]
        )
    header = "model,version,fit (s),fit (s of the processors),x skrec,peak RSS (MiB),NDCG@100"
    rounds = f"Medians of {result['repeats']} fits, each model in a process of its own."
    return "\n".join([*head(result, "", rounds), "", *table(header, rows)]) + "\n"


@click.command()
@click.option("--data", "name", type=click.Choice(["toy", "ml-1m"]), default="toy")
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True)
@click.option("--model", "names", multiple=True, type=click.Choice(list(ITEM_ITEM)))
@click.option(
    "--out", type=click.Path(path_type=Path), help="JSON file; the table goes beside it as .md."
)
@click.option(
    "--peer-python",
    multiple=True,
    help="Another Python to look for peers in, for those that need older libraries. Repeatable.",
)
def main(name, repeats, names, out, peer_python):
    """Fit each model to the training users, and rank for the test users by the same code."""
    data = load(name)
    chosen = names or list(ITEM_ITEM)
    result = {
        "command": f"python benchmarks/item_item_peers.py --data {name} --repeats {repeats}",
        "repeats": repeats,
        "machine": machine(["skrec", "numpy", "scipy", "numba"]),
        "data": {
            "name": name,
            "n_users": data.train.shape[0],
            "n_items": data.train.shape[1],
            "n_entries": data.train.nnz,
        },
        "models": measure_models(data, chosen, [sys.executable, *peer_python], repeats),
    }
    report = render(result)
    click.echo(report)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1) + "\n")
        out.with_suffix(".md").write_text(report)


if __name__ == "__main__":
    main()
