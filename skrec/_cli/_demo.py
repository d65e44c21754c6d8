"""The main job: from raw ratings to evaluated, tuned and explained recommendations."""

import math
import textwrap

import click
import numpy as np
from sklearn.model_selection import GridSearchCV, KFold, ParameterGrid

from skrec._cli._comparing import compare
from skrec._cli._models import Setting, kind_of
from skrec._cli._output import print_json, status, table_rows
from skrec._cli._report import by_model
from skrec._cli._trials import Clock, Fold
from skrec._model_table import MODELS
from skrec.datasets import load_movielens_small
from skrec.metrics import ranking_scorer, rating_scorer
from skrec.utils._answers import largest_shares
from skrec.utils._progress import progress_bar

METRICS = ["ndcg@100", "recall@20", "recall@50"]
DECISIVE = "ndcg@100"
# What is compared in a minute: for lists, and by the error of predicted ratings.
RANKERS = ("Popularity", "EASE", "RP3beta", "MultDAE", "RecVAE")
RATERS = ("BiasBaseline", "PMF", "BayesianPMF", "AutoRec")
N_PARTS = 5
N_FOLDS = 2
SIGNIFICANT = 0.05
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
    others = liked.user_ids != liked.user_ids[new_user]
    X = liked[others]
    if not as_json:
        _print_data(ratings, liked, new_user)

    scorer = ranking_scorer(METRICS)
    comparison = _compare(RANKERS, X, scorer)
    chosen = _quickest_of_the_best(comparison)
    if not as_json:
        _print_comparison(
            "Models of choices, compared on users unseen in training, of whom a fifth of the\n"
            "movies is hidden",
            comparison,
        )
    of_ratings = _compare(RATERS, ratings, rating_scorer(["neg_rmse"]))
    if not as_json:
        _print_comparison(
            "Models of ratings, by the error of hidden ratings, in stars", of_ratings
        )

    search = tune(_setting(chosen), X, scorer, refit=DECISIVE)
    if not as_json:
        _print_search(chosen, search)

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
            "comparison": table_rows(comparison) + table_rows(of_ratings),
            "search": {
                "model": chosen,
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
        click.echo("\nThe same for a table of your own: skrec evaluate ratings.csv")


def _setting(name):
    return Setting(MODELS[name], MODELS[name].fast)


def _compare(names, X, scorer):
    """Compare models on two fifths of the users, each held out once."""
    splits = KFold(N_PARTS, shuffle=True, random_state=0).split(np.arange(X.shape[0]))
    folds = [Fold(X[train], X[test]) for train, test in list(splits)[:N_FOLDS]]
    return compare([_setting(name) for name in names], folds, scorer, Clock(math.inf)).comparison


def _quickest_of_the_best(comparison):
    """Choose, of the models that are not clearly worse than the best, the one that fits fastest.

    They differ little in quality, but much in what it costs to tune them.
    """
    rows = [row for row in table_rows(comparison) if row["metric"] == DECISIVE]
    able = [row for row in rows if row["p_value"] is None or row["p_value"] > SIGNIFICANT]
    return min(able, key=lambda row: row["fit_time"])["model"]


def tune(setting, X, scorer, refit):
    """Search a model's grid over users unseen in training.

    Parameters
    ----------
    setting : Setting
        One whose row in the table has no grid is only cross-validated.
    X : Interactions of shape (n_users, n_items)
    scorer : scorer of several metrics
    refit : str
        The metric that decides.

    Returns
    -------
    search : GridSearchCV
        Fitted, with the best estimator refitted on all users.
    """
    grid = setting.row.search
    n_fits = N_PARTS * len(ParameterGrid(grid))
    with progress_bar(
        desc="grid search", total=n_fits, unit="fit", leave=False, disable=None
    ) as bar:

        def scoring(estimator, X, y=None):
            scores = scorer(estimator, X, y)
            bar.update()
            return scores

        return GridSearchCV(
            setting.make(),
            grid,
            cv=KFold(N_PARTS, shuffle=True, random_state=0),
            scoring=scoring,
            refit=refit,
            error_score="raise",
        ).fit(X)


def reasons(model, row, items, n_reasons=3):
    """Find the history items that speak most for each recommended one.

    Parameters
    ----------
    model : BaseRecommender
        Fitted.
    row : csr_array of shape (1, n_items)
    items : ndarray of shape (n_explained,)
    n_reasons : int, default=3

    Returns
    -------
    reasons : list of list of (int, float)
        For each item the history items and their shares of all that speaks for it, largest
        first; no reasons if the model has no ``explain``.
    """
    if not hasattr(model, "explain"):
        return [[] for _ in items]
    (contributions,) = model.explain(row, items[np.newaxis])
    found = []
    for line in contributions:
        best, shares = largest_shares(line.indices, line.data, n_reasons)
        found.append(list(zip(best.tolist(), shares.tolist(), strict=True)))
    return found


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
    taste = liked[[user]]
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


def _print_comparison(title, comparison):
    kinds = {name: kind_of(row) for name, row in MODELS.items()}
    click.echo(f"\n{title}:\n")
    click.echo(by_model(comparison, kinds))


def _print_search(model, search):
    n_points = len(search.cv_results_["params"])
    click.echo(
        "\nOf the models of choices that are not clearly worse than the best "
        f"(p > {SIGNIFICANT:g}), {model}\nis the quickest",
        nl=False,
    )
    if search.best_params_:
        grid = ", ".join(f"{name} in {values}" for name, values in search.param_grid.items())
        chosen = ", ".join(f"{name}={value:g}" for name, value in search.best_params_.items())
        click.echo(f". Tuned by grid search, {n_points} points, {N_PARTS} folds:")
        click.echo(f"  {grid}")
        click.echo(
            f"  best: {chosen}, mean {DECISIVE} {search.best_score_:.4f} over all folds"
            + _of_defaults(search)
        )
    else:
        click.echo(f", and has nothing to tune: mean {DECISIVE} {search.best_score_:.4f}")


def _of_defaults(search):
    """Say what the model reaches as it is, on the same folds."""
    own = search.estimator.get_params(deep=False)
    results = search.cv_results_
    for params, score in zip(results["params"], results[f"mean_test_{DECISIVE}"], strict=True):
        if all(own[name] == value for name, value in params.items()):
            return f" ({score:.4f} as it is)"
    return ""


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
