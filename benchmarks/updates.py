"""A nightly update beside a fit on all data, and what EASE weighs with and without its rows.

See README.md beside this file.
"""

import pickle
import shlex
import sys
from pathlib import Path

import click
import numpy as np
from data import DATA_HOME
from measure import machine, timed
from report import describe, table
from scipy import sparse

import skrec
from skrec import Interactions
from skrec.datasets import fetch_movielens, load_movielens_small
from skrec.metrics import ndcg, rmse
from skrec.model_selection import fold_in_split

PACKAGES = ["skrec", "numpy", "scipy", "scikit-learn", "torch", "skorch"]
_EPOCHS = {"early_stopping": False, "random_state": 0}
MODELS = {
    "EASE": {"l2": 300},
    "RP3beta": {},
    "MultVAE": {
        "hidden_layer_sizes": (),
        "beta": 0.05,
        "n_annealing_updates": 1000,
        "batch_size": 100,
        "max_iter": 25,
        **_EPOCHS,
    },
    "MultDAE": {"batch_size": 100, "max_iter": 25, **_EPOCHS},
    "RecVAE": {
        "n_components": 100,
        "hidden_layer_sizes": (200, 200),
        "batch_size": 100,
        "max_iter": 10,
        **_EPOCHS,
    },
    "BiasBaseline": {},
    "PMF": {"random_state": 0},
    "AutoRec": {"based_on": "user", "max_iter": 25, **_EPOCHS},
}


def a_night(ratings, seed=0):
    """What was known, what is known now, and fold-in and held-out entries of 1000 other users.

    A tenth of the users and 3% of the items are new, and a tenth of the known users have twice as
    many entries as before.
    """
    rng = np.random.default_rng(seed)
    users, items = (rng.permutation(n) for n in ratings.shape)
    shuffled = ratings[users][:, items]
    n_test = min(1000, ratings.shape[0] // 6)
    test, new = shuffled[:n_test], shuffled[n_test:]
    n_users, n_items = int(0.9 * new.shape[0]), int(0.97 * new.shape[1])
    old = new[np.arange(n_users)][:, np.arange(n_items)]
    grew = np.zeros(n_users, dtype=bool)
    grew[rng.permutation(n_users)[: n_users // 10]] = True
    rows = np.repeat(np.arange(n_users), np.diff(old.indptr))
    kept = ~grew[rows] | (rng.random(old.nnz) < 0.5)
    X = sparse.csr_array((old.data[kept], (rows[kept], old.indices[kept])), shape=old.shape)
    return Interactions(X, old.user_ids, old.item_ids), new, fold_in_split(test, random_state=seed)


def quality(model, test):
    """NDCG@100 with all items that are held out, or the RMSE of those that the model knows."""
    fold_in, held_out = (part[:, : model.n_features_in_] for part in test)
    if model.__sklearn_tags__().recommender_tags.predicts_ratings:
        return rmse(model.predict(fold_in), sparse.csr_array(held_out))
    return ndcg(model.recommend(fold_in, k=100), sparse.csr_array(test[1]), 100)


def measure(name, ratings):
    """A line of the report: quality and seconds of the old fit, of the update, of a new fit."""
    model = getattr(skrec, name)(**MODELS[name])
    if not model.__sklearn_tags__().recommender_tags.predicts_ratings:
        ratings = ratings.binarize(3.5).filter(min_users_per_item=5)
    old, new, test = a_night(ratings)
    cells = [name]
    for verb, arguments in (("fit", (old.X,)), ("update", (old, new)), ("fit", (new.X,))):
        function = skrec.update if verb == "update" else type(model).fit
        took = timed(lambda f=function, a=arguments: f(model, *a))[1]
        cells += [f"{quality(model, test):.4f}", f"{took:.2f}"]
    return cells


def weigh(ratings):
    """Lines of the report: MiB of EASE with its rows, without them, and after an update."""
    likes = ratings.binarize(3.5)
    old, new, _ = a_night(likes)
    models = {
        "`EASE()`": skrec.EASE(300).fit(likes),
        "`EASE(store_rows=False)`": skrec.EASE(300, store_rows=False).fit(likes),
        "`EASE()` after an update": skrec.update(skrec.EASE(300).fit(old), old, new),
        "`RP3beta()`": skrec.RP3beta().fit(likes),
    }
    return [[name, f"{len(pickle.dumps(model)) / 2**20:.1f}"] for name, model in models.items()]


@click.command()
@click.option("--data", default="ml-latest-small", help="ml-latest-small or ml-1m.")
@click.option("--model", "models", multiple=True, help="Repeatable; all models by default.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the report here.")
def main(data, models, out):
    """Measure and report."""
    if data == "ml-1m":
        ratings = fetch_movielens("1m", data_home=DATA_HOME, download_if_missing=False)
    else:
        ratings = load_movielens_small()
    facts, lines = machine(PACKAGES), []
    for name in models or MODELS:
        lines.append(measure(name, ratings))
        click.echo(" ".join(lines[-1]), err=True)
    report = [f"## updates, {data}", "", f"`{shlex.join(['python', *sys.argv])}`", ""]
    header = "model,fit(old),s,update,s,fit(new),s"
    report += [describe(facts), "", *table(header, lines), ""]
    report += table("pickled,MiB", weigh(ratings))
    click.echo("\n".join(report))
    if out:
        out.write_text("\n".join(report) + "\n")


if __name__ == "__main__":
    main()
