"""Errors for users nobody has met, by how many of their ratings a model is given.

See README.md beside this file.
"""

import json
import shlex
from pathlib import Path

import click
import numpy as np
from data import DATA_HOME
from measure import machine
from rating_settings import WITHOUT_FEATURES, estimator
from ratings import PACKAGES
from report import describe, table
from scipy import sparse

from skrec.datasets import fetch_movielens
from skrec.metrics import rmse

GIVEN = [0, 1, 2, 5, 10, 20, 50]
N_ASKED = 10  # ratings of each user that are predicted, the same whatever is given


def histories(X, seed=0):
    """Training rows; for each number that is given, rows of the other users; and what is asked.

    A tenth of the users is for the test, of those who have enough ratings.
    """
    rng = np.random.default_rng(seed)
    enough = np.flatnonzero(np.diff(X.indptr) >= GIVEN[-1] + N_ASKED)
    chosen = rng.choice(enough, X.shape[0] // 10, replace=False)
    rest = np.setdiff1d(np.arange(X.shape[0]), chosen)
    orders = [rng.permutation(np.arange(X.indptr[user], X.indptr[user + 1])) for user in chosen]

    def rows(part):
        entries = np.concatenate([order[part] for order in orders])
        lengths = [len(order[part]) for order in orders]
        found = (X.data[entries], X.indices[entries], np.append(0, np.cumsum(lengths)))
        made = sparse.csr_array(found, shape=(len(chosen), X.shape[1]))
        made.sort_indices()
        return made

    given = {n: rows(slice(N_ASKED, N_ASKED + n)) for n in GIVEN}
    return X[rest], given, rows(slice(N_ASKED))


@click.command()
@click.option("--data", type=click.Choice(["100k", "1m"]), default="1m", show_default=True)
@click.option(
    "--model", "names", type=click.Choice(WITHOUT_FEATURES), multiple=True, required=True
)
@click.option("--out", type=click.Path(path_type=Path), help="JSON file, and .md beside it.")
def main(data, names, out):
    """Print RMSE by the number of ratings that are given of a new user."""
    X = fetch_movielens(data, data_home=DATA_HOME, download_if_missing=False).X
    train, given, asked = histories(X)
    found = {}
    for name in names:
        model = estimator(name).fit(train)
        found[name] = [float(rmse(model.predict(rows), asked)) for rows in given.values()]
        click.echo(f"{name}: {np.round(found[name], 4)}", err=True)
    options = ["--data", data, *(f"--model={name}" for name in names)]
    command = shlex.join(["python", "benchmarks/rating_histories.py", *options])
    facts = machine(PACKAGES)
    lines = [[name, *(f"{error:.3f}" for error in errors)] for name, errors in found.items()]
    header = "model," + ",".join(f"{n} ratings given" for n in GIVEN)
    title = f"MovieLens {data}: RMSE for {asked.shape[0]} new users"
    text = [f"## {title}", "", f"`{command}`", "", describe(facts), "", *table(header, lines)]
    report = "\n".join(text) + "\n"
    click.echo(report)
    if out is not None:
        out.write_text(json.dumps({"command": command, "machine": facts, "errors": found}) + "\n")
        out.with_suffix(".md").write_text(report)


if __name__ == "__main__":
    main()
