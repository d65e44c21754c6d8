"""The board of results: every ranker at its tuned setting, all metrics, beside peers, as a page.

See README.md beside this file.
"""

import json
import os
import pickle
import sys
from pathlib import Path
from statistics import median

import click
import numpy as np
from board_page import ndcg_100, render
from data import Data, partitions, training_rows
from ease import measure_models
from measure import in_turns, machine, peak_process, timed, with_others
from rst import disturbed
from settings import PEERS, ROWS, SPLITS, describe, estimator, is_current, on_board, parameters
from sklearn.model_selection import ParameterGrid

from skrec._model_table import MODELS
from skrec.metrics import coverage, ndcg, novelty, recall

HERE = Path(__file__).parent
BOARD = HERE / "results" / "board.json"
PAGE = HERE.parent / "docs" / "results.rst"
PACKAGES = ["skrec", "numpy", "scipy", "scikit-learn", "numba", "torch", "skorch"]
N_LISTED = 1000  # users whose lists are timed


def measure(name, data):
    """Figures of one row, a value for each split, and what they were measured beside."""
    model = estimator(name, data)
    if data == "toy" and "early_stopping" in model.get_params():
        model.set_params(early_stopping=False, max_iter=1)
    answers, others = with_others(lambda: list(_measure_splits(model, data)))
    threads = os.environ.get("OMP_NUM_THREADS")
    return {
        "setting": describe(name, data),
        "parameters": parameters(name, data),
        "figures": {key: [answer[key] for answer in answers] for key in answers[0]},
        "peak": peak_process() and peak_process() / 2**20,
        "others": None if others is None else round(others, 2),
        "threads": threads and int(threads),
        "machine": machine(PACKAGES),
    }


def _measure_splits(model, data):
    for number, parts in enumerate(partitions(data, SPLITS[data])):
        rows = training_rows(parts)[: 400 if data == "toy" else None]
        if not number:  # imports, threads that start, loops that are compiled
            model.fit(rows[:100]).recommend(rows[:5])
        _, fit = timed(lambda rows=rows: model.fit(rows))
        some = rows[:N_LISTED]
        _, listed = timed(lambda some=some: model.recommend(some, k=100))
        lists, held_out = model.recommend(parts.test_fold_in, k=100), parts.test_held_out
        by_user = ndcg(lists, held_out, k=100, per_user=True)
        yield {
            "ndcg@100": [None if np.isnan(value) else round(value, 4) for value in by_user],
            "ndcg@10": ndcg(lists, held_out, k=10),
            "recall@20": recall(lists, held_out, k=20),
            "recall@50": recall(lists, held_out, k=50),
            "coverage@10": coverage(lists, rows, k=10),
            "novelty@10": novelty(lists, rows, k=10),
            "fit": fit,
            "lists": some.shape[0] / listed,
            "size": len(pickle.dumps(model)) / 2**20,
        }


def measure_peer(name, data, pythons):
    """NDCG@100 and seconds of another library's model; None where it is not installed."""
    scores, seconds = [], []
    for parts in partitions(data, SPLITS[data]):
        test = parts.test_fold_in, parts.test_held_out
        answer = measure_models(Data(training_rows(parts), None, test), [name], pythons, 1)[name]
        if "skipped" in answer:
            return None
        scores.append(answer["ndcg@100"][0])
        seconds += answer["times"]
    return {"version": answer["version"], "figures": {"ndcg@100": scores, "fit": seconds}}


def tune(name, data):
    """NDCG@100 of the first split's validation users over a row's grid, best first."""
    parts = next(partitions(data, 1))
    tried = []
    for values in ParameterGrid(ROWS[name].grid or MODELS[ROWS[name].model].search):
        model = estimator(name, data, **values).fit(parts.train)
        lists = model.recommend(parts.validation_fold_in, k=100)
        tried.append((float(ndcg(lists, parts.validation_held_out, k=100)), values))
    return sorted(tried, key=lambda pair: -pair[0])


def read():
    return json.loads(BOARD.read_text()) if BOARD.exists() else {}


def add(key, entry):
    """Put a row on the board as it stands now: other runs may have written to it."""
    write({**read(), key: entry})


def write(board):
    """Write the figures, a line for each row, and the page."""
    lines = [f"{json.dumps(key)}: {json.dumps(board[key])}" for key in sorted(board)]
    BOARD.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    PAGE.write_text(render(board))


def missing(board, data, loaded):
    """Rows without figures at their present setting and defaults, or with disturbed seconds."""
    entries = {name: board.get(f"{data}: {name}", {}) for name in on_board(data)}
    return [
        name
        for name, entry in entries.items()
        if not is_current(entry, name, data) or (loaded and disturbed(entry))
    ]


def summary(name, entry):
    others = "" if entry["others"] is None else f", {entry['others']:.2f} cores busy elsewhere"
    return f"{name}: {ndcg_100(entry):.4f} in {median(entry['figures']['fit']):.3g} s{others}"


@click.command()
@click.option("--data", type=click.Choice(list(SPLITS)), default="ml-1m", show_default=True)
@click.option("--model", "names", type=click.Choice(list(ROWS)), multiple=True, help="Repeatable.")
@click.option("--loaded", is_flag=True, help="Also rows whose seconds other programs disturbed.")
@click.option("--tune", "tuned", type=click.Choice(list(ROWS)), help="Only try a row's grid.")
@click.option("--peers", is_flag=True, help="Only other libraries without figures.")
@click.option("--peer-python", multiple=True, help="Another Python to look for them. Repeatable.")
@click.option("--render", "only_render", is_flag=True, help="Only write the page again.")
@click.option("--raw", is_flag=True, help="Only print figures of one row.")
def main(data, names, loaded, tuned, peers, peer_python, only_render, raw):
    """Measure the named rows, or those without figures at their setting, and write the page."""
    for name in set(names) - set(on_board(data)):
        raise click.UsageError(f"--model: {name!r} has no setting on {data}.")
    if tuned:
        if not (ROWS[tuned].grid or ROWS[tuned].model in MODELS):
            raise click.UsageError(f"--tune: {tuned!r} has no grid.")
        for score, values in tune(tuned, data):
            click.echo(f"{score:.4f} {values}")
        return
    if raw:
        click.echo(json.dumps(measure(names[0], data)))
        return
    if only_render:
        write(read())
        return
    if peers:
        for name in [name for name in PEERS.get(data, {}) if f"{data}: {name}" not in read()]:
            answer = measure_peer(name, data, [sys.executable, *peer_python])
            if answer is not None:
                add(f"{data}: {name}", answer)
        return
    if not names:
        names = on_board(data) if data == "toy" else missing(read(), data, loaded)
    for name in names:
        if data == "toy":  # all in one process, and nothing is written
            click.echo(summary(name, measure(name, data)))
            continue
        options = ["--data", data, "--model", name]
        entry = in_turns(__file__, options, None, 1)["now"][0]
        click.echo(summary(name, entry), err=True)
        add(f"{data}: {name}", entry)


if __name__ == "__main__":
    main()
