"""The command that fits a model to a file, and stores it."""

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

TUNING_BUDGET = 300
TUNE = "Choose the model's parameters by successive halving on users unseen in training."
BUDGET = f"About how long --tune may take.  [default: {TUNING_BUDGET}]"


@click.command(short_help="Fit a model to a file, and store it.")
@table_options
@model_options(multiple=False)
@tuning_options(TUNE, BUDGET)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File to write, such as model.skops; replaced if it is there.",
)
@click.pass_context
def fit(context, file, min_rating, model_name, params, tuned, budget, out, **table):
    """Fit a model to the users of a file, and store it with the ids of its items.

    FILE is a table of user, item[, rating[, timestamp]], as for `skrec evaluate`. Models that
    read choices take every row as one, or with --min-rating those rated so; models of ratings
    take the ratings.

    On up to 300,000 rows, neural models train for a fixed, small number of epochs, unless --param
    says otherwise.

    The model is stored with skops, which loads without running code of the file: by `skrec
    recommend --model-file`, or in Python by skops.io.load.

    \b
    Examples:
      skrec fit ratings.csv --min-rating 4 --out model.skops
      skrec fit ratings.csv --model PMF --param n_components=16 --out model.skops
      skrec fit ratings.csv --model RecVAE --tune --budget 600 --out model.skops
    """
    from skrec._cli import _learning
    from skrec._cli._stored import store

    if not out.absolute().parent.is_dir():
        raise click.UsageError(f"--out {out}: there is no such folder")
    if budget is not None and not tuned:
        raise click.UsageError("--budget is the time for --tune; add it, or leave out --budget")
    data = load(file, min_rating, **table)
    setting, learned = _learning.setting_of(
        file, data, min_rating, model_name or "EASE", params, tuned, budget or TUNING_BUDGET
    )
    model = _learning.fit(file, setting, learned)
    store(model, out)
    n_users, n_items = learned.X.shape
    size = out.stat().st_size / 1e6
    click.echo(
        f"{setting.name}, fitted on {n_users:,} users and {n_items:,} items, is in {out} "
        f"({size:.1f} MB)."
    )
    words = [
        "skrec",
        "recommend",
        as_argument(file),
        *repeated_words(context, table_names() | {"min_rating"}),
    ]
    click.echo(f"Recommend with it: {shlex.join([*words, '--model-file', as_argument(out)])}")
