"""The main job: from raw ratings to evaluated, tuned and explained recommendations."""

import textwrap

import click
import numpy as np

from skrec._cli._models import N_FOLDS, candidates, reasons, tune
from skrec._cli._output import on_terminal, print_json, status, table_rows, without_times
from skrec.datasets import load_movielens_small
from skrec.metrics import ranking_scorer
from skrec.model_selection import compare_recommenders

METRICS = ["ndcg@100", "recall@20", "recall@50"]
DECISIVE = "ndcg@100"
MIN_ITEMS = 5
N_RECOMMENDED = 10
N_SHOWN = 8
WIDTH = 96


def show(as_json):
    """Compare models on the bundled ratings, tune the best, and recommend to a new user."""
    status("loading MovieLens latest-small")
    ratings = load_movielens_small()
    liked = ratings.binarize(3.5).filter(min_users_per_item=1, min_items_per_user=MIN_ITEMS)
    new_user = _user_with_short_history(liked.X)
    others = np.arange(liked.X.shape[0]) != new_user
    X = liked.X[others]
    if not as_json:
        _print_data(ratings, liked, new_user)

    scorer = ranking_scorer(METRICS)
    models = candidates()
    comparison = compare_recommenders(
        models, X, cv=N_FOLDS, scoring=scorer, verbose=int(on_terminal())
    )
    best = comparison["model"][list(comparison["metric"]).index(DECISIVE)]
    if not as_json:
        click.echo(f"\nModels compared on users unseen in training, {N_FOLDS} folds:\n")
        click.echo(without_times(comparison))

    search = tune(models[best], X, scorer, refit=DECISIVE)
    if not as_json:
        _print_search(best, search)

    history, recommended = _for_new_user(search.best_estimator_, ratings, liked, new_user)
    if as_json:
        content = {
            "data": {
                "name": "MovieLens latest-small",
                "n_users": ratings.X.shape[0],
                "n_items": ratings.X.shape[1],
                "n_ratings": ratings.X.nnz,
                "evaluated": {
                    "n_users": X.shape[0],
                    "n_items": X.shape[1],
                    "n_interactions": X.nnz,
                },
            },
            "comparison": table_rows(comparison),
            "search": {
                "model": str(best),
                "metric": DECISIVE,
                "best_params": search.best_params_,
                "best_score": float(search.best_score_),
                "n_candidates": len(search.cv_results_["params"]),
            },
            "user": liked.user_ids[new_user].item(),
            "history": history,
            "recommendations": recommended,
        }
        print_json(content)
    else:
        _print_user(liked.user_ids[new_user], history, recommended)


def _user_with_short_history(X):
    """Find the first user whose number of items is the lower quartile."""
    n_items = np.diff(X.indptr)
    return int(np.argmax(n_items == np.percentile(n_items, 25, method="lower")))


def _for_new_user(model, ratings, liked, user):
    """List the history, best rated and latest first, and recommendations with reasons."""
    row = ratings.user_ids.tolist().index(liked.user_ids[user])
    entries = slice(*ratings.X.indptr[row : row + 2])
    items, stars = ratings.X.indices[entries], ratings.X.data[entries]
    order = np.lexsort((-ratings.timestamps[entries], -stars))
    order = order[stars[order] > 3.5]
    history = [
        {
            "item": ratings.item_ids[items[at]].item(),
            "title": ratings.item_names[items[at]],
            "rating": float(stars[at]),
        }
        for at in order
    ]
    # Also movies that the user has seen and not liked are no recommendation.
    unseen = ~np.isin(liked.item_ids, ratings.item_ids[items])
    taste = liked.X[[user]]
    (best,), (scores,) = model.recommend(taste, N_RECOMMENDED, items=unseen, return_scores=True)
    because = reasons(model, taste, best)
    recommended = [
        {
            "rank": rank,
            "item": liked.item_ids[item].item(),
            "title": liked.item_names[item],
            "score": float(score),
            "because": [
                {
                    "item": liked.item_ids[seen].item(),
                    "title": liked.item_names[seen],
                    "share": share,
                }
                for seen, share in why
            ],
        }
        for rank, (item, score, why) in enumerate(zip(best, scores, because, strict=True), 1)
    ]
    return history, recommended


def _print_data(ratings, liked, new_user):
    n_users, n_items = ratings.X.shape
    click.echo(
        f"MovieLens latest-small: {ratings.X.nnz:,} ratings of {n_items:,} movies by {n_users:,} "
        "users."
    )
    n_users, n_items = liked.X.shape
    click.echo(
        f"Liked (4 stars or more) by users who like {MIN_ITEMS} movies at least: "
        f"{liked.X.nnz:,} entries,\n{n_users:,} users, {n_items:,} movies. User "
        f"{liked.user_ids[new_user]} is set aside and stands for a new one."
    )


def _print_search(best, search):
    n_points = len(search.cv_results_["params"])
    if search.best_params_:
        grid = ", ".join(f"{name} in {values}" for name, values in search.param_grid.items())
        chosen = ", ".join(f"{name}={value:g}" for name, value in search.best_params_.items())
        click.echo(f"\n{best} tuned by grid search, {n_points} points, {N_FOLDS} folds:")
        click.echo(f"  {grid}")
        click.echo(f"  best: {chosen}, mean {DECISIVE} {search.best_score_:.4f}")
    else:
        click.echo(f"\n{best} has nothing to tune: mean {DECISIVE} {search.best_score_:.4f}")


def _print_user(user, history, recommended):
    click.echo(f"\nUser {user} likes {len(history)} movies, among them:\n")
    for movie in history[:N_SHOWN]:
        click.echo(f"  {movie['rating']:.1f}  {_short(movie['title'], WIDTH - 7)}")
    click.echo(
        f"\nTop {len(recommended)} of the movies that user {user} has not seen, with the reasons "
        "and their share\nin all that speaks for the movie:\n"
    )
    for movie in recommended:
        click.echo(f"  {movie['rank']:2d}. {_short(movie['title'], WIDTH - 6)}")
        because = [
            f"{_short(reason['title'], 60)} {reason['share']:.0%}" for reason in movie["because"]
        ]
        click.echo(_list_in_lines(because) if because else "      because many like it")


def _list_in_lines(reasons):
    """Break lines between the reasons, not inside a title."""
    unbreakable = [reason.replace(" ", "\N{NO-BREAK SPACE}") for reason in reasons]
    lines = textwrap.fill(
        "because of: " + ", ".join(unbreakable),
        WIDTH,
        initial_indent=" " * 6,
        subsequent_indent=" " * 18,
        break_on_hyphens=False,
    )
    return lines.replace("\N{NO-BREAK SPACE}", " ")


def _short(title, width):
    return textwrap.shorten(title, width, placeholder="...")
