"""What a user chooses a model by: quality over some splits, seconds, memory, size of the file.

See README.md beside this file.
"""

import json
import pickle
import shlex
from pathlib import Path
from time import process_time

import click
import numpy as np
from autoencoders import SETTINGS
from data import partitions, ratings, training_rows
from ease import mean_ndcg
from measure import in_turns, machine, peak_process, timed
from report import describe, table
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import ParameterGrid, ShuffleSplit

from skrec import RatingRegressor
from skrec._model_table import MODELS

PACKAGES = ["skrec", "numpy", "scipy", "scikit-learn", "torch", "skorch"]


def measure(name, data, n_splits, settings, tune, max_iter):
    """Figures of one model, a value for each split."""
    row = MODELS[name]
    changes = {"random_state": 0, "max_iter": max_iter, **SETTINGS[settings].get(name, {})}
    model = row.load()()
    known = {key for key in changes.keys() & model.get_params() if changes[key] is not None}
    model.set_params(**{key: changes[key] for key in known})
    fits = of_choices if row.reads == "choices" else of_ratings
    answers = [
        {**answer, "chosen": chosen}
        for answer, chosen in fits(model, data, n_splits, row.search if tune else None)
    ]
    return {key: [answer[key] for answer in answers] for key in answers[0]}


def of_choices(model, data, n_splits, grid):
    """NDCG@100 of test users; where a grid is given, its best on the validation users."""
    for parts in partitions(data, n_splits):
        chosen = {}
        if grid:
            chosen = max(ParameterGrid(grid), key=lambda values: _tried(model, values, parts))
            model.set_params(**chosen)
        model.fit(parts.train[:100])  # imports, and threads that start
        figures = fitted(model, training_rows(parts))
        lists = model.recommend(parts.test_fold_in, k=100)
        yield {"quality": mean_ndcg(lists, parts.test_held_out)[0], **figures}, chosen


def _tried(model, values, parts):
    model.set_params(**values).fit(parts.train)
    return mean_ndcg(model.recommend(parts.validation_fold_in, k=100), parts.validation_held_out)[
        0
    ]


def of_ratings(model, data, n_splits, grid):
    """RMSE of a tenth of the ratings. The models' own defaults: nothing is tuned."""
    X = ratings(data).X.tocoo()
    pairs = np.column_stack(X.coords)
    for train, test in ShuffleSplit(n_splits, test_size=0.1, random_state=0).split(pairs):
        regressor = RatingRegressor(model)
        regressor.fit(pairs[train[:500]], X.data[train[:500]])
        figures = fitted(regressor, pairs[train], X.data[train])
        rated = regressor.predict(pairs[test])
        yield {"quality": float(root_mean_squared_error(X.data[test], rated)), **figures}, {}


def fitted(model, *arguments):
    """Seconds and processor seconds of a fit, MiB of the process and of the pickled model."""
    processor = process_time()
    _, seconds = timed(lambda: model.fit(*arguments))
    figures = {"seconds": seconds, "processor": process_time() - processor}
    figures["process"] = peak_process() / 2**20
    return {**figures, "size": len(pickle.dumps(model)) / 2**20}


def line(name, figures):
    quality = np.array(figures["quality"])
    spread = f" ± {quality.std(ddof=1):.4f}" if len(quality) > 1 else ""
    metric = "NDCG@100" if MODELS[name].reads == "choices" else "RMSE"
    medians = [f"{np.median(figures[key]):.3g}" for key in ("seconds", "processor")]
    memory = [f"{np.median(figures[key]):,.1f}" for key in ("process", "size")]
    chosen = "; ".join(sorted({str(values) for values in figures["chosen"] if values}))
    return [name, metric, f"{quality.mean():.4f}{spread}", *medians, *memory, chosen]


@click.command()
@click.option("--data", default="ml-latest-small", help="ml-latest-small or ml-1m.")
@click.option("--model", "models", type=click.Choice(list(MODELS)), multiple=True)
@click.option("--splits", "n_splits", default=1, show_default=True)
@click.option("--settings", type=click.Choice(list(SETTINGS)), default="default")
@click.option("--tune", is_flag=True, help="Try the table's grid on validation users.")
@click.option("--max-iter", type=int, help="Fewer epochs, where only memory and size matter.")
@click.option("--raw", is_flag=True, help="Only print figures of the package on the path.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the report here.")
def main(data, models, n_splits, settings, tune, max_iter, raw, out):
    """Measure and report."""
    if raw:
        click.echo(json.dumps(measure(models[0], data, n_splits, settings, tune, max_iter)))
        return
    options = ["--data", data, "--splits", str(n_splits), "--settings", settings]
    options += ["--tune"] * tune + ([] if max_iter is None else ["--max-iter", str(max_iter)])
    facts, lines = machine(PACKAGES), []
    for name in models or [name for name, row in MODELS.items() if row.reads != "reviews"]:
        answers = in_turns(__file__, [*options, "--model", name], None, 1)
        lines.append(line(name, answers["now"][0]))
        click.echo(" ".join(lines[-1]), err=True)
    header = "model,metric,quality,fit (s),processor (s),process (MiB),size (MiB),chosen"
    options += [f"--model={name}" for name in models]
    command = shlex.join(["python", "benchmarks/which_model.py", *options])
    report = [f"## which model, {data}", "", f"`{command}`", "", describe(facts), ""]
    report += table(header, lines)
    click.echo("\n".join(report))
    if out:
        out.write_text("\n".join(report) + "\n")


if __name__ == "__main__":
    main()
