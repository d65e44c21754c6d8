"""Every rating model at its defaults, and Surprise's beside them, as a page of the docs.

See README.md beside this file.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import mean

import click
import numpy as np
from data import DATA_HOME
from ease import ask, find_python
from measure import in_turns, machine, peak_rss, timed, with_others
from rating_settings import ROWS, describe, estimator, is_current, parameters, rows_of
from rating_workers import SURPRISE
from ratings import PACKAGES, load, score
from ratings_page import render
from rst import disturbed
from scipy import sparse

from skrec import RatingRegressor
from skrec.datasets import fetch_movielens

HERE = Path(__file__).parent
TABLE = HERE / "results" / "ratings-table.json"
PAGE = HERE.parent / "docs" / "rating_results.rst"
PROTOCOLS = ["ml-100k", "ml-1m-90-10", "toy"]
FOR_THE_FIRST_TIME = 2_000  # ratings, for imports, threads that start, loops that are compiled


def measure(name, protocol):
    """Figures of one row, a value for each split, and what they were measured beside."""
    pairs, y, splits = load(protocol)
    features = known_features(protocol, ROWS[name].features)
    some = splits[0][0][:FOR_THE_FIRST_TIME]
    regressor(name, features).fit(pairs[some], y[some]).predict(pairs[:5])
    figures, peaks = {}, []

    def measure_splits():
        for train, _, test in splits:
            made, answer = regressor(name, features), {}

            def measure_split(train=train, test=test, made=made, answer=answer):
                _, answer["fit"] = timed(lambda: made.fit(pairs[train], y[train]))
                _, answer["predict"] = timed(lambda: made.predict(pairs[test]))

            peaks.append(peak_rss(measure_split)[1])
            for key, value in {**answer, **score(made, pairs[test], y[test])}.items():
                figures.setdefault(key, []).append(value)

    _, others = with_others(measure_splits)
    threads = os.environ.get("OMP_NUM_THREADS")
    return {
        "setting": describe(name),
        "parameters": parameters(name),
        "features": sorted(features),
        "figures": figures,
        "peak": None if None in peaks else max(peaks),
        "others": None if others is None else round(others, 2),
        "threads": threads and int(threads),
        "machine": machine(PACKAGES),
    }


def regressor(name, features):
    return RatingRegressor(estimator(name), **features)


def known_features(protocol, sides):
    """Ids and features of those sides that the data set has here; of users it may have none."""
    if not sides or protocol == "toy":
        return {}
    release = "100k" if protocol == "ml-100k" else "1m"
    films, features = fetch_movielens(release, data_home=DATA_HOME, return_features=True)
    if protocol == "ml-100k":
        ids = {"user": films.user_ids, "item": films.item_ids}
    else:  # pairs of this protocol are positions
        ids = {"user": np.arange(films.shape[0]), "item": np.arange(films.shape[1])}
    found = {side: features[f"{side}_features"] for side in sides}
    return {
        f"{side}_features": (ids[side], matrix)
        for side, matrix in found.items()
        if matrix is not None
    }


def measure_peer(name, protocol, pythons):
    """Errors, seconds and memory of Surprise's model; None where it is not installed."""
    python = find_python(pythons, SURPRISE[name].module)
    if python is None:
        return None
    pairs, y, splits = load(protocol)
    shape = pairs.max(axis=0) + 1
    figures = {}

    def measure_splits():
        for train, _, test in splits:
            with tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                for part, rows in {"train": train, "test": test}.items():
                    X = sparse.csr_matrix((y[rows], pairs[rows].T), shape=shape)
                    sparse.save_npz(folder / f"{part}.npz", X, compressed=False)
                answer = ask("rating_workers.py", name, folder, python)
            if "skipped" in answer:
                raise RuntimeError(f"{name}: {answer['skipped']}")
            figures["version"] = answer["version"]
            for key in ("rmse", "mae", "predict", "peak"):
                figures.setdefault(key, []).append(answer[key])
            figures.setdefault("fit", []).append(answer["times"][0])

    _, others = with_others(measure_splits)
    threads = os.environ.get("OMP_NUM_THREADS")
    return {
        "version": figures.pop("version"),
        "figures": figures,
        "others": None if others is None else round(others, 2),
        "threads": threads and int(threads),
        "machine": machine([]),
    }


def read():
    return json.loads(TABLE.read_text()) if TABLE.exists() else {}


def add(key, entry):
    """Put a row into the table as it stands now: other runs may have written to it."""
    write({**read(), key: entry})


def write(table):
    """Write the figures, a line for each row, and the page."""
    lines = [f"{json.dumps(key)}: {json.dumps(table[key])}" for key in sorted(table)]
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    PAGE.write_text(render(table))


def missing(table, protocol, names, peers, loaded):
    """Rows without figures at their present setting and defaults, or with disturbed seconds."""
    found = []
    for name in names:
        entry = table.get(f"{protocol}: {ROWS[name].peer if peers else name}")
        current = entry is not None and (peers or is_current(entry, name))
        if not current or (loaded and disturbed(entry)):
            found.append(name)
    return found


def summary(entry):
    figures = entry["figures"]
    seconds = np.add(figures["fit"], figures["predict"]).mean()
    others = "" if entry["others"] is None else f", {entry['others']:.2f} cores busy elsewhere"
    return f"{mean(figures['rmse']):.4f} in {seconds:.3g} s{others}"


@click.command()
@click.option("--data", type=click.Choice(PROTOCOLS), default="ml-100k", show_default=True)
@click.option("--model", "names", type=click.Choice(list(ROWS)), multiple=True, help="Repeatable.")
@click.option("--loaded", is_flag=True, help="Also rows whose seconds other programs disturbed.")
@click.option("--peers", is_flag=True, help="Surprise's models instead of skrec's.")
@click.option("--peer-python", multiple=True, help="Another Python to look for it. Repeatable.")
@click.option("--render", "only_render", is_flag=True, help="Only write the page again.")
@click.option("--raw", is_flag=True, help="Only print figures of one row.")
def main(data, names, loaded, peers, peer_python, only_render, raw):
    """Measure the named rows, or those without figures, and write the page."""
    if only_render:
        write(read())
        return
    if raw:
        click.echo(json.dumps(measure(names[0], data)))
        return
    if data == "toy":  # all in one process, and nothing is written
        for name in names or ["BiasBaseline"]:
            click.echo(f"{name}: {summary(measure(name, data))}")
        return
    rows = [name for name in rows_of(data) if ROWS[name].peer or not peers]
    for name in names or missing(read(), data, rows, peers, loaded):
        if peers:
            key = f"{data}: {ROWS[name].peer}"
            entry = measure_peer(ROWS[name].peer, data, [sys.executable, *peer_python])
            if entry is None:
                raise click.ClickException("Surprise is not installed: name it with --peer-python")
        else:
            key = f"{data}: {name}"
            entry = in_turns(__file__, ["--data", data, "--model", name], None, 1)["now"][0]
        click.echo(f"{key}: {summary(entry)}", err=True)
        add(key, entry)


if __name__ == "__main__":
    main()
