"""The command that compares models on the users of a file."""

import shlex
from pathlib import Path

import click

from skrec._cli._options import (
    as_argument,
    load,
    model_options,
    repeated_words,
    table_names,
    table_options,
    tuning_options,
)
from skrec._cli._output import print_json

N_FOLDS = 5
BUDGET = 120
TUNING_BUDGET = 300


@click.command(short_help="Compare models on the users of a file.")
@table_options
@model_options(multiple=True)
@tuning_options(
    "Try settings of the models by successive halving: many on few users, the better half of them "
    "on twice as many, and so on. The best one of each model is compared on other users.",
    "About how long it may take. Where that is too little, fewer folds are made, and models that "
    f"take long are left out.  [default: {BUDGET}, with --tune {TUNING_BUDGET}]",
)
@click.option(
    "--time-split",
    is_flag=True,
    help="Learn from the past and recommend for the future: the last fifth of all entries is "
    "hidden, of users who were there before. --folds asks for as many steps in time. Needs "
    "timestamps.",
)
@click.option(
    "--min-items-per-user",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    help="Leave out users with fewer items.",
)
@click.option(
    "--folds",
    type=click.IntRange(min=1),
    help="Parts of the users, each of which is once held out.  [default: 5, with --tune or "
    "--time-split 1]",
)
@click.option(
    "--metric",
    "metrics",
    metavar="NAME",
    multiple=True,
    help="ndcg, recall, precision, map, mrr, hit_rate, coverage, novelty, diversity, "
    "neg_popularity or neg_gini with a cut-off, as in ndcg@10; rmse or mae for predicted ratings. "
    "May be repeated; the first one decides.  [default: ndcg@100, recall@20, recall@50; rmse]",
)
@click.option(
    "--plot",
    "plot_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Picture to write: quality against time. Needs matplotlib.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@click.pass_context
def evaluate(
    context,
    file,
    min_rating,
    model_names,
    params,
    tuned,
    budget,
    time_split,
    min_items_per_user,
    folds,
    metrics,
    plot_file,
    as_json,
    **table,
):
    """Compare models on users unseen in training.

    FILE is a table of user, item[, rating[, timestamp]][, review]: .csv, .tsv, .txt, .dat (also
    separated by ::), JSON lines, each perhaps with .gz, or .parquet. Columns are known by usual
    names (user, userId, item, movieId, rating, timestamp, ...); if neither the user nor the item
    column is, they are taken in that order. Timestamps, and ratings that are known by their name,
    are left out with a note if they cannot be used and are not needed. Messages name lines of the
    file, or rows of a .parquet, from 1.

    All models that can read the data are compared, or those of --model. Choices are ranked: each
    model learns from the users of all folds but one; of each user in that one, a fifth of the
    items is hidden and has to be recommended from the rest. Where there are ratings that differ,
    and no --min-rating, models of ratings are compared by their errors, too. On up to 300,000
    rows, neural models train for a fixed, small number of epochs; on more, until they get no
    better.

    Ctrl-C ends the comparison: what has been found until then is shown.

    \b
    Examples:
      skrec evaluate ratings.csv --min-rating 4 --metric ndcg@10
      skrec evaluate ratings.csv --model EASE --model RP3beta --param EASE.l2=100
      skrec evaluate ratings.csv --min-rating 4 --tune --budget 600 --plot models.png
      skrec evaluate ratings.csv --time-split
      skrec evaluate --list-models
    """
    from skrec._cli._judging import judge, prepare
    from skrec._cli._models import find_row, settings_of
    from skrec._cli._plot import check_plot, write_plot
    from skrec._cli._report import as_json_object, print_judged
    from skrec._cli._tasks import about_ratings, tasks_of
    from skrec._cli._trials import Clock

    if tuned and folds is not None:
        raise click.UsageError("--tune compares on one fifth of the users: leave out --folds")
    if plot_file is not None:
        check_plot(plot_file)
    rows = list({name.lower(): find_row(name) for name in model_names}.values())
    data = load(file, min_rating, **table)
    tasks = tasks_of(data, min_rating, rows, metrics)
    able = [row for task in tasks for row in task.rows]
    settings = settings_of(able, params, data.X.nnz, bool(rows))
    folds = folds or (1 if tuned or time_split else N_FOLDS)
    prepared = [prepare(task, file, min_items_per_user, folds, time_split) for task in tasks]
    clock = Clock(budget or (TUNING_BUDGET if tuned else BUDGET))
    judged = []
    for number, (task, parts) in enumerate(prepared):
        able = [setting for setting in settings if setting.row in task.rows]
        share = clock.part(1 / (len(tasks) - number))
        judged.append(judge(task, able, parts, tuned, share))
        if judged[-1].is_interrupted:
            break
    if plot_file is not None:
        write_plot(plot_file, judged)
    judged = [(one, command_of(context, one.best_setting(settings))) for one in judged]
    ratings = about_ratings(data, min_rating, {task.reads for task in tasks})
    if as_json:
        print_json({"file": str(file), "ratings": ratings, **as_json_object(judged)})
        return
    n_users, n_items = data.X.shape
    click.echo(f"{file.name}: {n_users:,} users, {n_items:,} items, {data.X.nnz:,} interactions.")
    click.echo(ratings)
    print_judged(judged)


def command_of(context, setting):
    """Write the command that recommends with a setting, from the same file."""
    names = table_names()
    if setting.row.reads != "choices":
        names -= {"min_rating"}
    return shlex.join(
        [
            "skrec",
            "recommend",
            as_argument(context.params["file"]),
            *repeated_words(context, names),
            *setting.options(),
        ]
    )
