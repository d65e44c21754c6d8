"""What features are worth for items, or users, that nobody has rated, or who have rated nothing.

See README.md beside this file.
"""

import json
import shlex
from pathlib import Path
from statistics import mean, stdev

import click
import numpy as np
from measure import machine
from rating_settings import ROWS, estimator
from ratings import PACKAGES, load
from ratings_table import known_features
from report import describe, table
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import GroupKFold

from skrec import RatingRegressor

COLUMN = {"user": 0, "item": 1}


@click.command()
@click.option("--data", type=click.Choice(["ml-100k", "ml-1m-90-10"]), default="ml-100k")
@click.option("--side", type=click.Choice(list(COLUMN)), default="item", show_default=True)
@click.option("--model", "names", type=click.Choice(list(ROWS)), multiple=True, required=True)
@click.option("--out", type=click.Path(path_type=Path), help="JSON file, and .md beside it.")
def main(data, side, names, out):
    """Hold out a fifth of the items, or of the users, with all their ratings, five times."""
    pairs, y, _ = load(data)
    folds = GroupKFold(5, shuffle=True, random_state=0)
    splits = list(folds.split(pairs, y, pairs[:, COLUMN[side]]))
    found = {}
    for name in names:
        for kind, features in _kinds(data, side, ROWS[name].features).items():
            errors = []
            for train, test in splits:
                model = RatingRegressor(estimator(name), **features)
                rated = model.fit(pairs[train], y[train]).predict(pairs[test])
                errors.append(float(root_mean_squared_error(y[test], rated)))
            found[f"{ROWS[name].model}, {kind}"] = errors
            click.echo(f"{name}, {kind}: {np.round(errors, 4)}", err=True)
    options = ["--data", data, "--side", side, *(f"--model={name}" for name in names)]
    command = shlex.join(["python", "benchmarks/rating_features.py", *options])
    facts = machine(PACKAGES)
    lines = [[name, f"{mean(e):.4f} ± {stdev(e):.4f}"] for name, e in found.items()]
    title = f"{data}: a fifth of the {side}s held out with all ratings"
    text = [
        f"## {title}",
        "",
        f"`{command}`",
        "",
        describe(facts),
        "",
        *table("model,RMSE", lines),
    ]
    report = "\n".join(text) + "\n"
    click.echo(report)
    if out is not None:
        out.write_text(json.dumps({"command": command, "machine": facts, "errors": found}) + "\n")
        out.with_suffix(".md").write_text(report)


def _kinds(data, side, sides):
    """Without features and, where the model reads those of the side that is held out, with."""
    with_them = known_features(data, sides) if side in sides else {}
    return {"no features": {}, **({"features": with_them} if with_them else {})}


if __name__ == "__main__":
    main()
