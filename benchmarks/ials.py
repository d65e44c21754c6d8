"""Measure a sweep of iALS beside those of other libraries: seconds, memory, and the objective.

See README.md beside this file.
"""

import json
import shlex
import sys
import tempfile
from pathlib import Path
from statistics import median

import click
from data import load
from ease import ask, find_python
from ials_workers import WORKERS
from measure import machine
from report import head, table
from scipy import sparse


def measure(data, n_components, names, pythons, n_sweeps, repeats):
    """Answers of every worker by number of components; all take turns in each round."""
    found = {n: {name: [] for name in names} for n in n_components}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        sparse.save_npz(folder / "train.npz", sparse.csr_matrix(data.train), compressed=False)
        for n in n_components:
            for _ in range(repeats):
                for name in names:
                    python = find_python(pythons, WORKERS[name].module)
                    if python is None:
                        continue
                    options = ["--components", str(n), "--sweeps", str(n_sweeps)]
                    answer = ask("ials_workers.py", name, folder, python, *options)
                    found[n][name].append(answer)
    return found


def render(result):
    lines = [*head(result, "", f"Medians of {result['repeats']} rounds."), ""]
    header = "factors,,version,sweep (s),sweep (s of the processors),peak RSS (MiB),objective"
    rows = []
    for n, workers in result["sweeps"].items():
        for name, answers in workers.items():
            if not answers or "skipped" in answers[0]:
                rows.append([n, name, answers[0]["skipped"] if answers else "not installed"])
                continue
            seconds = [
                f"{median(answer['sweep'][clock] for answer in answers):.3f}" for clock in (0, 1)
            ]
            memory = f"{median(answer['peak_rss'] for answer in answers) / 2**20:,.0f}"
            loss = answers[0]["loss"]
            rows.append([n, name, answers[0]["version"], *seconds, memory])
            rows[-1].append("" if loss is None else f"{loss:,.0f}")
    return "\n".join([*lines, *table(header, rows)]) + "\n"


@click.command()
@click.option("--data", "name", type=click.Choice(["toy", "ml-1m"]), default="toy")
@click.option("--components", multiple=True, type=int, default=[64, 256, 512], show_default=True)
@click.option("--model", "names", multiple=True, type=click.Choice(list(WORKERS)))
@click.option("--sweeps", "n_sweeps", type=click.IntRange(2), default=16, show_default=True)
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), help="JSON file; the table goes beside it."
)
@click.option("--peer-python", multiple=True, help="Another Python to look for peers in.")
def main(name, components, names, n_sweeps, repeats, out, peer_python):
    """Time sweeps of all solvers, in processes of their own that take turns."""
    data = load(name)
    chosen = names or list(WORKERS)
    options = {"--data": [name], "--sweeps": [n_sweeps], "--repeats": [repeats]}
    options |= {"--components": components, "--model": names}
    command = ["python", "benchmarks/ials.py"]
    command += [str(part) for key, values in options.items() for v in values for part in (key, v)]
    pythons = [sys.executable, *peer_python]
    result = {
        "command": shlex.join(command),
        "repeats": repeats,
        "machine": machine(["skrec", "numpy", "scipy", "numba", "torch"]),
        "data": {
            "name": name,
            "n_users": data.train.shape[0],
            "n_items": data.train.shape[1],
            "n_entries": data.train.nnz,
        },
        "sweeps": measure(data, components, chosen, pythons, n_sweeps, repeats),
    }
    report = render(result)
    click.echo(report)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1) + "\n")
        out.with_suffix(".md").write_text(report)


if __name__ == "__main__":
    main()
