"""What the checks of input cost: this state of the package and an earlier one, in turns.

See README.md beside this file.
"""

import json
import shlex
import statistics
import sys
from pathlib import Path

import click
from data import load
from measure import in_turns, interleaved, machine, timed
from report import describe, table

from skrec import EASE, Popularity
from skrec.utils import check_interactions


def measure(name, repeats):
    """Least seconds of each call, in this process."""
    X = load(name).train
    row = X[[7]]
    models = {"EASE": EASE(l2=500), "Popularity": Popularity()}
    models["Popularity"].fit(X)
    seconds = {"EASE.fit": timed(lambda: models["EASE"].fit(X))[1]}
    calls = {f"{model}.recommend, one row": m.recommend for model, m in models.items()}
    functions = {call: lambda f=f: [f(row, k=10) for _ in range(20)] for call, f in calls.items()}
    functions["Popularity.fit"] = lambda: [models["Popularity"].fit(X) for _ in range(20)]
    functions["check_interactions, all rows"] = lambda: [check_interactions(X) for _ in range(20)]
    for call, times in interleaved(functions, repeats).items():
        seconds[call] = min(times) / 20
    return seconds


@click.command()
@click.option("--data", "name", default="ml-1m", show_default=True, help="toy or ml-1m.")
@click.option("--repeats", default=20, show_default=True, help="Rounds in a process.")
@click.option("--before", type=click.Path(exists=True), help="Checkout of an earlier state.")
@click.option("--processes", default=5, show_default=True, help="Processes of each state.")
@click.option("--raw", is_flag=True, help="Only print seconds of the package on the path.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the report here.")
def main(name, repeats, before, processes, raw, out):
    """Measure and report."""
    if raw:
        click.echo(json.dumps(measure(name, repeats)))
        return
    facts = machine(["skrec", "numpy", "scipy", "scikit-learn"])
    arguments = ["--data", name, "--repeats", str(repeats)]
    rounds = in_turns(__file__, arguments, before, processes)
    rows = []
    for call in rounds["now"][0]:
        times = {state: [one[call] for one in found] for state, found in rounds.items()}
        row = [call, *(f"{1000 * statistics.median(seconds):.3f}" for seconds in times.values())]
        if before:
            pairs = zip(times["now"], times["before"], strict=True)
            row.append(f"{statistics.median(now / then for now, then in pairs):.2f}")
        rows.append(row)
    header = ",".join(["call", *(f"{state} (ms)" for state in rounds)])
    report = "\n".join(
        [
            f"## checks, {name}",
            "",
            f"`{shlex.join(['python', *sys.argv])}`",
            "",
            describe(facts),
            "",
            *table(header + ",ratio" * bool(before), rows),
        ]
    )
    click.echo(report)
    if out:
        out.write_text(report + "\n")


if __name__ == "__main__":
    main()
