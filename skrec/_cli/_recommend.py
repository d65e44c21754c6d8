"""The command that recommends items to the users of a file."""

import csv
import sys
from pathlib import Path

import click
from click.core import ParameterSource

from skrec._cli._options import (
    finite,
    in_float32,
    load,
    rated,
    refusals,
    table_options,
    without_zeros,
)
from skrec._cli._output import print_json, status, write_whole


@click.command(short_help="Recommend items to the users of a file.")
@table_options
@click.option(
    "--k", type=click.IntRange(min=1), default=10, show_default=True, help="Items for each user."
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV file to write (replaced if it is there); standard output if not given.",
)
@click.option(
    "--model",
    "model_name",
    type=click.Choice(["ease", "popularity"]),
    default="ease",
    show_default=True,
    help="What learns.",
)
@click.option(
    "--l2",
    type=click.FloatRange(min=0, min_open=True),
    callback=in_float32,
    default=500,
    show_default=True,
    help="Penalty of EASE, in units of users.",
)
@click.option(
    "--dropout",
    type=click.FloatRange(min=0, max=1, max_open=True),
    callback=finite,
    default=0,
    show_default=True,
    help="Dropout probability of EASE.",
)
@click.option(
    "--tune",
    "tuned",
    is_flag=True,
    help="Choose --l2 and --dropout by 5-fold grid search for NDCG@100 on users unseen in "
    "training.",
)
@click.option(
    "--user-id",
    "user_ids",
    metavar="ID",
    multiple=True,
    help="Recommend to this user; may be repeated. Without it, to all users.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object with a list for each user; --out is written as well.",
)
@click.pass_context
def recommend(
    context, file, min_rating, k, out, model_name, l2, dropout, tuned, user_ids, as_json, **table
):
    """Recommend the best unseen items to the users of a file.

    FILE is a table of user, item[, rating[, timestamp]]: .csv, .tsv or .txt (each also with
    .gz), or .parquet. Columns are known by usual names (user, userId, item, movieId, rating,
    timestamp, ...); if neither the user nor the item column is, they are taken in that order.
    Timestamps, and ratings that are known by their name, are left out with a note if they cannot
    be used and are not needed. Messages name lines of the file, or rows of a .parquet, from 1.

    The result has the columns user, rank, item and score. Items that the user has in FILE are
    left out, whatever their rating; so are users without any item to learn from.

    \b
    Example:
      skrec recommend ratings.csv --k 10 --out recs.csv --min-rating 4 --tune
    """
    from skrec.linear import EASE, Popularity

    given = [
        f"--{name}"
        for name in ("l2", "dropout")
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    ]
    if model_name == "popularity" and (tuned or given):
        raise click.UsageError(
            f"--model popularity has nothing to set: leave out {' '.join(given) or '--tune'}"
        )
    if tuned and given:
        raise click.UsageError(f"--tune chooses {' and '.join(given)}: leave out one of them")
    data, X = load(file, min_rating, **table)
    known = without_zeros(X)
    items = known.sum(axis=0) > 0
    users = known.sum(axis=1) > 0
    if not users.any():
        raise click.UsageError(f"{file}: nothing is{rated(min_rating)}; lower --min-rating")
    rows = _rows_of(file, user_ids, data.user_ids, users, min_rating)
    known, X = known[users][:, items], X[:, items]

    model = Popularity() if model_name == "popularity" else EASE(l2, dropout=dropout)
    if tuned:
        with refusals(f"{file}: --tune"):
            model = _tuned(model, known, file)
        status(f"tuned: {model}")
    status(f"fitting {model} on {known.shape[0]} users x {known.shape[1]} items")
    with refusals(file if model_name == "popularity" else f"--l2 {model.l2:g}"):
        model.fit(known)
        # Entries of value 0 add nothing to a score, but count as seen.
        indices, scores = model.recommend(X[rows], min(k, X.shape[1]), return_scores=True)

    lists = _lists(data.item_ids[items], indices, scores)
    user_ids = data.user_ids[rows].tolist()
    if out is not None:
        write_whole(out, lambda file: _write_csv(file, user_ids, lists))
        status(f"wrote {sum(map(len, lists))} rows to {out}")
    if as_json:
        print_json(
            {
                "file": str(file),
                "model": model_name,
                "parameters": {
                    name: value
                    for name, value in model.get_params().items()
                    if name in ("l2", "dropout")
                },
                "recommendations": {
                    str(user): [{"item": item, "score": float(score)} for item, score in listed]
                    for user, listed in zip(user_ids, lists, strict=True)
                },
            }
        )
    elif out is None:
        _write_csv(sys.stdout, user_ids, lists)


def _rows_of(file, user_ids, known_ids, has_history, min_rating):
    """Find the rows of the users who are asked for, or of all who have a history."""
    import numpy as np

    if not user_ids:
        return np.flatnonzero(has_history)
    row_of = {str(user): row for row, user in enumerate(known_ids.tolist())}
    for user in user_ids:
        if user not in row_of:
            first, last = known_ids[0], known_ids[-1]
            raise click.UsageError(
                f"--user-id {user}: {file} has no such user among its {len(known_ids)}, from "
                f"{first} to {last}"
            )
        if not has_history[row_of[user]]:
            raise click.UsageError(
                f"--user-id {user}: this user has nothing{rated(min_rating)} to recommend from; "
                "lower --min-rating"
            )
    return np.array([row_of[user] for user in dict.fromkeys(user_ids)])


def _tuned(model, X, file):
    """Give the model the parameters of the best grid point; it is not fitted."""
    import numpy as np
    from sklearn.base import clone

    from skrec._cli._models import N_FOLDS, tune
    from skrec.metrics import ranking_scorer

    # Of a user with one item, nothing can be hidden.
    X = X[np.diff(X.indptr) >= 2]
    if X.shape[0] < N_FOLDS:
        raise click.UsageError(
            f"{file}: only {X.shape[0]} users have two items or more, too few for the {N_FOLDS} "
            "folds of --tune; set --l2 and --dropout"
        )
    return clone(tune(model, X, ranking_scorer(["ndcg@100"]), refit="ndcg@100").best_estimator_)


def _lists(item_ids, indices, scores):
    """Pair item ids and scores for each user, without the padding."""
    item_ids = item_ids.tolist()
    return [
        [(item_ids[item], score) for item, score in zip(*row, strict=True) if item >= 0]
        for row in zip(indices, scores, strict=True)
    ]


def _write_csv(file, user_ids, lists):
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["user", "rank", "item", "score"])
    for user, listed in zip(user_ids, lists, strict=True):
        for rank, (item, score) in enumerate(listed, 1):
            writer.writerow([user, rank, item, score])
