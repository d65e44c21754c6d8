"""Every model of the table at its defaults: quality and seconds, in turns with an earlier state.

See README.md beside this file.
"""

import json
import shlex
import sys
from pathlib import Path

import click
from data import load, load_ratings
from measure import in_turns, machine, timed
from report import describe, ratio, seconds, table

import skrec
from skrec.metrics import ranking_scorer, rating_scorer

try:
    from skrec._model_table import MODELS
except ImportError:  # in the earlier state, where the models to measure are always named
    MODELS = {}

PACKAGES = ["skrec", "numpy", "scipy", "scikit-learn", "torch", "skorch"]


def measure(name, data, max_iter):
    """Quality on unseen users, least seconds of three calls; None if there is no such model."""
    if not hasattr(skrec, name):
        return None
    changes = {"random_state": 0, **({} if max_iter is None else {"max_iter": max_iter})}
    model = getattr(skrec, name)()
    model.set_params(**{key: changes[key] for key in changes.keys() & model.get_params()})
    if model.__sklearn_tags__().recommender_tags.predicts_ratings:
        data, metric, scorer = load_ratings(data), "-RMSE", rating_scorer("neg_rmse")
    else:
        data, metric, scorer = load(data), "NDCG@100", ranking_scorer("ndcg@100")
    calls = {
        "fit": lambda: model.fit(data.train),
        "recommend": lambda: model.recommend(data.users, k=100),
    }
    least = {verb: min(timed(call)[1] for _ in range(3)) for verb, call in calls.items()}
    quality = float(scorer(model, *data.test))
    return {"metric": metric, "quality": quality, **least}


def row(name, answers):
    """A line of the report, from what each state answers in each round."""
    there = {state: rounds for state, rounds in answers.items() if rounds[0] is not None}
    cells = [name, answers["now"][0]["metric"]]
    cells += [f"{there[state][0]['quality']:.6f}" if state in there else "-" for state in answers]
    for verb in ("fit", "recommend"):
        times = {state: [one[verb] for one in rounds] for state, rounds in there.items()}
        cells += [seconds(times[state]) if state in there else "-" for state in answers]
        if "before" in answers:
            known = "before" in there
            cells.append(f"{ratio(times['now'], times['before']):.2f}" if known else "-")
    return cells


@click.command()
@click.option("--data", default="ml-latest-small", help="toy, ml-latest-small or ml-1m.")
@click.option("--model", "models", multiple=True, help="Repeatable; all models by default.")
@click.option("--max-iter", type=int, help="Most epochs or sweeps, instead of the defaults.")
@click.option("--before", type=click.Path(exists=True), help="Checkout of an earlier state.")
@click.option("--processes", default=3, show_default=True, help="Processes of each state.")
@click.option("--raw", is_flag=True, help="Only print figures of the package on the path.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the report here.")
def main(data, models, max_iter, before, processes, raw, out):
    """Measure and report."""
    if raw:
        click.echo(json.dumps(measure(models[0], data, max_iter)))
        return
    options = ["--data", data, *([] if max_iter is None else ["--max-iter", str(max_iter)])]
    facts, lines = machine(PACKAGES), []
    for name in models or MODELS:
        answers = in_turns(__file__, [*options, "--model", name], before, processes)
        lines.append(row(name, answers))
        click.echo(" ".join(lines[-1]), err=True)
    header = ["model", "metric", *answers]
    for verb in ("fit", "recommend"):
        header += [f"{verb} {state} (s)" for state in answers] + ["ratio"] * bool(before)
    report = [f"## models, {data}", "", f"`{shlex.join(['python', *sys.argv])}`", ""]
    report += [describe(facts), "", *table(",".join(header), lines)]
    click.echo("\n".join(report))
    if out:
        out.write_text("\n".join(report) + "\n")


if __name__ == "__main__":
    main()
