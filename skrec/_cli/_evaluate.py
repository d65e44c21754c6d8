"""The command that compares models on the users of a file."""

import click

from skrec._cli._options import load, rated, refusals, table_options, without_zeros
from skrec._cli._output import on_terminal, print_json, table_rows, without_times


@click.command(short_help="Compare models on the users of a file.")
@table_options
@click.option(
    "--min-items-per-user",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    help="Leave out users with fewer items.",
)
@click.option(
    "--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Parts of the users."
)
@click.option(
    "--metric",
    "metrics",
    metavar="NAME@K",
    multiple=True,
    default=["ndcg@100", "recall@20", "recall@50"],
    show_default=True,
    help="ndcg, recall, precision, map, mrr, hit_rate, coverage, novelty or neg_gini with a "
    "cut-off; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def evaluate(file, min_rating, min_items_per_user, folds, metrics, as_json, **table):
    """Compare models on users unseen in training.

    FILE is a table of user, item[, rating[, timestamp]]: .csv, .tsv or .txt (each also with
    .gz), or .parquet. Columns are known by usual names (user, userId, item, movieId, rating,
    timestamp, ...); if neither the user nor the item column is, they are taken in that order.
    Timestamps, and ratings that are known by their name, are left out with a note if they cannot
    be used and are not needed. Messages name lines of the file, or rows of a .parquet, from 1.

    Each model learns from the users of all folds but one. Of each user in that one, a fifth of
    the items is hidden and has to be recommended from the rest.

    \b
    Example:
      skrec evaluate ratings.csv --min-rating 4 --metric ndcg@10
    """
    from skrec._cli._models import candidates
    from skrec.metrics import ranking_scorer
    from skrec.model_selection import compare_recommenders

    with refusals("--metric"):
        scoring = ranking_scorer(metrics)
    data, X = load(file, min_rating, **table)
    X = without_zeros(X)
    X = X[X.sum(axis=1) >= min_items_per_user]
    X = X[:, X.sum(axis=0) > 0]
    if X.shape[0] < folds:
        raise click.UsageError(
            f"{file}: only {X.shape[0]} of {data.X.shape[0]} users have at least "
            f"{min_items_per_user} items{rated(min_rating)}, too few for {folds} folds; lower "
            "--min-items-per-user, --min-rating or --folds"
        )
    with refusals(file):
        comparison = compare_recommenders(
            candidates(), X, cv=folds, scoring=scoring, verbose=int(on_terminal())
        )
    if as_json:
        print_json(
            {
                "file": str(file),
                "n_users": X.shape[0],
                "n_items": X.shape[1],
                "n_interactions": X.nnz,
                "comparison": table_rows(comparison),
            }
        )
        return
    n_users, n_items = data.X.shape
    click.echo(f"{file.name}: {n_users:,} users, {n_items:,} items, {data.X.nnz:,} interactions.")
    click.echo(
        f"Evaluated on {X.shape[0]:,} users with at least {min_items_per_user} items"
        f"{rated(min_rating)}: {X.shape[1]:,} items, {X.nnz:,} interactions.\n"
    )
    click.echo(without_times(comparison))
