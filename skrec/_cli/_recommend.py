"""The command that recommends items to the users of a file."""

import csv
import sys
from pathlib import Path

import click

from skrec._cli._fit import BUDGET, TUNE, TUNING_BUDGET
from skrec._cli._options import (
    load,
    model_options,
    rated,
    refusals,
    table_options,
    tuning_options,
    without_zeros,
)
from skrec._cli._output import note, print_json, status, write_whole

_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


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
@model_options(multiple=False)
@tuning_options(TUNE, BUDGET)
@click.option(
    "--model-file",
    type=_FILE,
    help="A model that `skrec fit` has stored, instead of one that learns from FILE. Items that "
    "it does not know are left out with a note.",
)
@click.option(
    "--user-id",
    "user_ids",
    metavar="ID",
    multiple=True,
    help="Recommend to this user; may be repeated. Without it and --users, to all users.",
)
@click.option("--users", "users_file", type=_FILE, help="Text file of such users, one id a line.")
@click.option(
    "--items", "titles_file", type=_FILE, help="Table of item ids and titles, which are added."
)
@click.option(
    "--exclude-items",
    "excluded_file",
    type=_FILE,
    help="Text file of items that are not recommended, one id a line.",
)
@click.option(
    "--candidates",
    "candidates_file",
    type=_FILE,
    help="Text file of the only items that are recommended, such as those in stock, one id a "
    "line.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object with a list for each user; --out is written as well.",
)
def recommend(
    file,
    min_rating,
    k,
    out,
    model_name,
    params,
    tuned,
    budget,
    model_file,
    user_ids,
    users_file,
    titles_file,
    excluded_file,
    candidates_file,
    as_json,
    **table,
):
    """Recommend the best unseen items to the users of a file.

    FILE is a table of user, item[, rating[, timestamp]], as for `skrec evaluate`. The model
    learns from it, or comes from --model-file: then the users need not be those it was fitted on.
    On up to 300,000 rows, neural models train for a fixed, small number of epochs, unless --param
    says otherwise.

    The result has the columns user, rank, item and score, with --items also title. Items that the
    user has in FILE are left out, whatever their rating; so are users without any item to
    recommend from.

    \b
    Examples:
      skrec recommend ratings.csv --k 10 --out recs.csv --min-rating 4 --tune
      skrec recommend ratings.csv --model RP3beta --param n_neighbors=50 --items movies.csv
      skrec recommend today.csv --model-file model.skops --users ids.txt --candidates stock.txt
    """
    import numpy as np

    from skrec._cli import _learning, _stored
    from skrec._cli._tasks import check_readable
    from skrec._model_table import MODELS

    if budget is not None and not tuned:
        raise click.UsageError("--budget is the time for --tune; add it, or leave out --budget")
    given = [("--model", model_name), ("--param", params), ("--tune", tuned)]
    given = [option for option, value in given if value]
    if model_file is not None and given:
        raise click.UsageError(
            f"--model-file brings a fitted model: leave out {' and '.join(given)}"
        )
    titles = None if titles_file is None else _stored.read_titles(titles_file)
    asked, excluded, allowed = (
        None if path is None else (path, _stored.read_ids(option, path))
        for option, path in [
            ("--users", users_file),
            ("--exclude-items", excluded_file),
            ("--candidates", candidates_file),
        ]
    )
    data = load(file, min_rating, **table)
    if model_file is None:
        setting, learned = _learning.setting_of(
            file, data, min_rating, model_name or "EASE", params, tuned, budget or TUNING_BUDGET
        )
        item_ids, row = learned.item_ids, setting.row
    else:
        model = _stored.load_model(model_file)
        item_ids, row = model.feature_names_in_, MODELS[type(model).__name__]
        check_readable(data, min_rating, [row])
    known, n_unknown = _learning.histories(data, item_ids, min_rating, row.reads)
    if model_file is not None and n_unknown:
        note(f"{n_unknown} of the {len(data.item_ids)} items in {file} are unknown to the model")
    counted = without_zeros(known.X) if row.reads == "choices" else known.X
    has_history = np.diff(counted.indptr) > 0
    rows = _rows_of(file, user_ids, asked, data.user_ids, has_history, min_rating)
    if not len(rows):
        raise click.UsageError(f"{file}: nobody has anything to recommend from")
    candidates = _candidates(allowed, excluded, item_ids)
    if titles is not None and not any(str(item) in titles for item in item_ids.tolist()):
        raise click.UsageError(
            f"--items {titles_file}: none of its {len(titles)} ids is an item, such as "
            f"{item_ids[0]}"
        )
    if model_file is None:
        model = _learning.fit(file, setting, learned)
    with refusals(f"--model-file {model_file}" if model_file else f"{file}: {setting.name}"):
        indices, scores = model.recommend(
            known[rows], min(k, len(item_ids)), items=candidates, return_scores=True
        )
    described = {"model": row.name}
    if model_file is None:
        described["parameters"] = {**setting.base, **setting.changes}

    lists = _lists(item_ids, indices, scores, titles)
    n_empty = sum(not listed for listed in lists)
    if n_empty:
        note(f"{n_empty} of {len(lists)} users get no list: they have all there is to recommend")
    users = data.user_ids[rows].tolist()
    if out is not None:
        write_whole(out, lambda file: _write_csv(file, users, lists, titles is not None))
        status(f"wrote {sum(map(len, lists))} rows to {out}")
    if as_json:
        print_json(
            {
                "file": str(file),
                **described,
                "recommendations": {
                    str(user): listed for user, listed in zip(users, lists, strict=True)
                },
            }
        )
    elif out is None:
        _write_csv(sys.stdout, users, lists, titles is not None)


def _rows_of(file, user_ids, from_file, known_ids, has_history, min_rating):
    """Find the rows of the users who are asked for, or of all who have a history."""
    import numpy as np

    from skrec._cli._stored import known_ids as positions

    if not user_ids and from_file is None:
        return np.flatnonzero(has_history)
    row_of = {str(user): row for row, user in enumerate(known_ids.tolist())}
    rows = []
    for user in user_ids:
        if user not in row_of:
            first, last = known_ids[0], known_ids[-1]
            raise click.UsageError(
                f"--user-id {user}: {file} has no such user among its {len(known_ids)}, from "
                f"{first} to {last}"
            )
        if not has_history[row_of[user]]:
            raise click.UsageError(
                f"--user-id {user}: this user has nothing{rated(min_rating)} to recommend from"
                + ("" if min_rating is None else "; lower --min-rating")
            )
        rows.append(row_of[user])
    if from_file is not None:
        path, ids = from_file
        found = positions("--users", path, ids, known_ids, f"user of {file}")
        able = [row for row in found if has_history[row]]
        if len(able) < len(found):
            note(
                f"--users {path}: {len(found) - len(able)} users have nothing{rated(min_rating)} "
                "to recommend from; they are left out"
            )
        rows += able
    return np.array(list(dict.fromkeys(rows)), dtype=np.intp)


def _candidates(allowed, excluded, item_ids):
    """Mask the items that may be recommended; None if all may.

    Parameters
    ----------
    allowed, excluded : (pathlib.Path, list of str) or None
    item_ids : ndarray of shape (n_items,)
    """
    import numpy as np

    from skrec._cli._stored import known_ids as positions

    if allowed is None and excluded is None:
        return None
    mask = np.full(len(item_ids), allowed is None)
    if allowed is not None:
        mask[positions("--candidates", *allowed, item_ids, "item of the model")] = True
    if excluded is not None:
        what = "item of the model"
        mask[positions("--exclude-items", *excluded, item_ids, what, may_be_none=True)] = False
    if not mask.any():
        raise click.UsageError("--exclude-items leaves nothing to recommend")
    return mask


def _lists(item_ids, indices, scores, titles):
    """List what is recommended to each user, without the padding."""
    item_ids = item_ids.tolist()
    lists = []
    for items, values in zip(indices, scores, strict=True):
        listed = []
        for item, score in zip(items, values, strict=True):
            if item >= 0:
                listed.append({"item": item_ids[item], "score": float(score)})
                if titles is not None:
                    listed[-1]["title"] = titles.get(str(item_ids[item]), "")
        lists.append(listed)
    return lists


def _write_csv(file, users, lists, has_titles):
    writer = csv.writer(file, lineterminator="\n")
    names = ["item", "score", "title"] if has_titles else ["item", "score"]
    writer.writerow(["user", "rank", *names])
    for user, listed in zip(users, lists, strict=True):
        for rank, entry in enumerate(listed, 1):
            writer.writerow([user, rank, *(entry[name] for name in names)])
