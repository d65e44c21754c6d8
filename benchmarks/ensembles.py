"""Ensembles beside their members: what the sum of scores gains, and how weights come out.

See README.md beside this file.
"""

import json
import shlex
from pathlib import Path
from statistics import mean

import click
import numpy as np
from data import liked_by_id, partitions, training_rows
from item_features import genres_and_decades
from measure import machine, timed
from report import describe as describe_machine
from report import table
from results_board import PACKAGES
from scipy.stats import ttest_1samp
from settings import SPLITS, describe, estimator
from sklearn.frozen import FrozenEstimator

from skrec import VotingRecommender
from skrec.metrics import ndcg

STACKING, VOTING = "stacking", "voting, equal weights"


# How EASE reads genres and decades with --genres, chosen on users held out of the first split's
# training users: weights 3, 10 and 30 are equal there.
GENRES = {"ease__feature_method": "collective", "ease__feature_weight": 10.0}


def measure(data, genres, done):
    """Weights and NDCG@100 of the test users, split by split, after those that are done."""
    model = estimator("StackingRecommender", data)
    if data == "toy":
        model.set_params(**hurried(model))
    if genres:
        features = genres_and_decades(data, liked_by_id(data).item_ids)
    for number, parts in enumerate(partitions(data, SPLITS[data])):
        if number < done:
            continue
        if genres:
            model.set_params(ease__item_features=features[parts.kept_items], **GENRES)
        rows = training_rows(parts)[: 400 if data == "toy" else None]
        _, seconds = timed(lambda rows=rows: model.fit(rows))
        members = dict(model.named_estimators_)
        equal = VotingRecommender([(name, FrozenEstimator(one)) for name, one in members.items()])
        judged = {STACKING: model, VOTING: equal.fit(rows), **members}
        answer = {
            "users": parts.test_users.tolist(),
            "weights": dict(zip(members, model.weights_.tolist(), strict=True)),
            "validation": {
                STACKING: model.validation_score_,
                **dict(zip(members, model.member_scores_.tolist(), strict=True)),
            },
            "seconds": seconds,
            "ndcg@100": {name: by_user(one, parts) for name, one in judged.items()},
        }
        scores = {name: f"{_mean(values):.4f}" for name, values in answer["ndcg@100"].items()}
        click.echo(f"split {number}: {scores}, {answer['weights']}", err=True)
        yield answer


def hurried(model):
    """Parameters that make networks train for an epoch."""
    changes = {"early_stopping": False, "max_iter": 1}
    names = {key: key.split("__")[-1] for key in model.get_params()}
    networks = {key.rpartition("__")[0] for key, name in names.items() if name == "early_stopping"}
    return {f"{one}__{name}": value for one in networks for name, value in changes.items()}


def by_user(model, parts):
    lists = model.recommend(parts.test_fold_in, k=100)
    values = ndcg(lists, parts.test_held_out, k=100, per_user=True)
    return [None if np.isnan(value) else round(float(value), 5) for value in values]


def difference(splits, first, second):
    """Mean gain of the first, its standard error and two-sided p-value in a paired t-test.

    A user whom several splits test counts once, with the mean of the differences.
    """
    by_split = [
        _array(split["ndcg@100"][first]) - _array(split["ndcg@100"][second]) for split in splits
    ]
    users, place = np.unique(
        np.concatenate([split["users"] for split in splits]), return_inverse=True
    )
    values = np.concatenate(by_split)
    there = ~np.isnan(values)
    sums = np.bincount(place[there], values[there], minlength=len(users))
    counts = np.bincount(place[there], minlength=len(users))
    gains = sums[counts > 0] / counts[counts > 0]
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return mean(map(np.nanmean, by_split)), error, float(ttest_1samp(gains, 0).pvalue)


def _array(values):
    return np.array(values, dtype=float)


def _mean(values):
    return float(np.nanmean(_array(values)))


def report(result):
    """The figures in Markdown: ensembles first, then the members, the best one first."""
    splits = result["splits"]
    names = list(splits[0]["ndcg@100"])
    scores = {name: [_mean(split["ndcg@100"][name]) for split in splits] for name in names}
    ordered = names[:2] + sorted(names[2:], key=lambda name: -mean(scores[name]))
    lines = []
    for name in ordered:
        cells = [name, f"{mean(scores[name]):.4f}", *(f"{score:.4f}" for score in scores[name])]
        cells += [", ".join(f"{split['weights'].get(name, 0):.3g}" for split in splits)]
        if name in (STACKING, VOTING):
            cells[-1] = ""
        gain = "", ""
        if name != STACKING:
            gained, error, p_value = difference(splits, STACKING, name)
            gain = f"{gained:+.4f} ± {error:.4f}", f"{p_value:.1g}"
        held_out = [split["validation"].get(name) for split in splits]
        cells.append("" if None in held_out else f"{mean(held_out):.4f}")
        lines.append([*cells, *gain])
    columns = ",".join(f"split {number}" for number in range(len(splits)))
    header = f"NDCG@100,mean,{columns},weights,held-out users,stacking's gain,p"
    return "\n".join(
        [
            f"## ensembles, {result['data']}",
            "",
            f"`{result['command']}`",
            "",
            describe_machine(result["machine"]),
            "",
            *table(header, lines),
            "",
            f"`{result['setting']}`",
            "",
        ]
    )


def write(result, out):
    """The figures as JSON, and the report beside them; returns the report."""
    text = report(result)
    if out:
        out.write_text(json.dumps(result) + "\n")
        out.with_suffix(".md").write_text(text)
    return text


@click.command()
@click.option("--data", type=click.Choice(list(SPLITS)), default="toy", show_default=True)
@click.option("--genres", is_flag=True, help="EASE reads the movies' genres and decades.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="JSON file, written after each split; a .md goes beside it. The splits of this command "
    "that it has already are not measured again.",
)
def main(data, genres, out):
    """Fit, judge and report."""
    if genres and data == "toy":
        raise click.UsageError("--genres: toy has no movies.")
    options = ["--data", data, *["--genres"] * genres]
    result = {
        "command": shlex.join(["python", "benchmarks/ensembles.py", *options]),
        "data": data,
        "setting": describe("StackingRecommender", data),
        "machine": machine(PACKAGES),
        "splits": [],
    }
    if out and out.exists():
        before = json.loads(out.read_text())
        if all(before[key] == result[key] for key in ("command", "setting")):
            result = before
    for split in measure(data, genres, len(result["splits"])):
        result["splits"].append(split)
        write(result, out)
    click.echo(write(result, out))


if __name__ == "__main__":
    main()
