"""Items that nobody has chosen yet, ranked by what is written or known of them.

See README.md beside this file.
"""

import json
import shlex
from pathlib import Path

import click
import numpy as np
from data import ratings
from item_features import genres_and_decades
from measure import machine
from report import describe, table
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.model_selection import ParameterGrid

from skrec import CTR, EASE, Popularity
from skrec.metrics import ranking_scorer, standard_error
from skrec.model_selection import ItemColdStartSplit
from skrec.model_selection._compare import paired_p_value

METRIC = "ndcg@20"
RANDOM, HINDSIGHT = "a random order", "their popularity, in hindsight"
L2 = [20.0, 100.0, 500.0, 2000.0]
# What they read (see `Reviewed.read`), the model, and what is chosen of.
MODELS = {
    "EASE, additive": ("weights", EASE(feature_method="additive"), {"l2": L2}),
    "EASE, collective": (
        "weights",
        EASE(feature_method="collective"),
        {"l2": L2, "feature_weight": [0.1, 0.3, 1.0]},
    ),
    "EASE, additive, one review": ("one review", EASE(feature_method="additive"), {"l2": L2}),
    "EASE, additive, lengths told": ("lengths", EASE(feature_method="additive"), {"l2": L2}),
    "CTR": ("counts", CTR(random_state=0), {"l2_item": [1.0, 10.0, 100.0]}),
}
WORDS = {"min_df": 2, "max_df": 0.5, "stop_words": "english"}
READERS = {
    "weights": TfidfVectorizer(sublinear_tf=True, **WORDS),
    "one review": TfidfVectorizer(sublinear_tf=True, **WORDS),
    "lengths": TfidfVectorizer(sublinear_tf=True, norm=None, **WORDS),
    "counts": CountVectorizer(**WORDS),
}


class RandomOrder(BaseEstimator):
    """Scores that are drawn."""

    def predict(self, X):
        return np.random.default_rng(0).random(X.shape)


class Reviewed:
    """Items whose documents are what some of the users have written of them."""

    kinds = tuple(READERS)

    def __init__(self, rated):
        self.likes = rated.binarize(3.5)
        users = np.repeat(np.arange(rated.shape[0]), np.diff(rated.indptr))
        self._reviews = list(zip(users, rated.indices, rated.reviews, strict=True))

    def read(self, kind, writers):
        """Features of the items: all that the writers wrote, or the first of each item."""
        may_write = np.isin(np.arange(self.likes.shape[0]), writers)
        texts = [[] for _ in range(self.likes.shape[1])]
        for user, item, text in self._reviews:
            if may_write[user] and not (kind == "one review" and texts[item]):
                texts[item].append(text)
        return READERS[kind].fit_transform([" ".join(written) for written in texts])


class Described:
    """Items of which something is known whoever has chosen them: movies' genres and decades."""

    kinds = ("weights", "counts")

    def __init__(self, rated, name):
        self.likes = rated.binarize(3.5).filter(min_users_per_item=1, min_items_per_user=5)
        self._features = genres_and_decades(name, self.likes.item_ids)

    def read(self, kind, writers):
        return self._features


class Fold:
    """Training users, and of test users what is known and what is to be found."""

    def __init__(self, part, users):
        self.known = np.setdiff1d(users, part.test_users)
        self.train = part.train[self.known]
        tested = np.flatnonzero(np.diff(part.held_out.indptr))
        self.asked = part.fold_in[tested], part.held_out[tested]
        self._scorer = ranking_scorer(METRIC, items=part.new_items)

    def values(self, model):
        return self._scorer.per_user(model, *self.asked)[METRIC]


def choose(data, kind, model, grid, users, seed):
    """The setting that ranks items best which are new to a part of the users."""
    others = np.setdiff1d(np.arange(data.likes.shape[0]), users)
    likes = data.likes.where(~np.isin(np.repeat(*rows_of(data.likes)), others))
    split = ItemColdStartSplit(4, random_state=seed)
    fold = Fold(next(split.partitions(likes)), users)
    features = data.read(kind, fold.known)
    settings = list(ParameterGrid(grid))
    found = [
        np.nanmean(fold.values(model.set_params(item_features=features, **it).fit(fold.train)))
        for it in settings
    ]
    return settings[int(np.argmax(found))]


def rows_of(X):
    return np.arange(X.shape[0]), np.diff(X.indptr)


def measure(data, names, n_splits):
    """Values of all test users, and the settings that were chosen in each fold."""
    values, chosen = {}, {}
    everybody = np.arange(data.likes.shape[0])
    split = ItemColdStartSplit(n_splits, random_state=0)
    for seed, part in enumerate(split.partitions(data.likes)):
        fold = Fold(part, everybody)
        orders = {
            RANDOM: RandomOrder(),
            "the order of the catalogue": Popularity().fit(fold.train),
            HINDSIGHT: Popularity().fit(data.likes[fold.known]),
        }
        for name, model in orders.items():
            values.setdefault(name, []).append(fold.values(model))
        for name in names:
            kind, model, grid = MODELS[name]
            if kind not in data.kinds:
                continue
            # Of the training users, without the new items: nothing of the test is seen.
            training = Restricted(data, part)
            setting = choose(training, kind, model, grid, fold.known, seed)
            model.set_params(item_features=data.read(kind, fold.known), **setting)
            values.setdefault(name, []).append(fold.values(model.fit(fold.train)))
            chosen.setdefault(name, []).append(setting)
            click.echo(f"fold {seed}, {name}: {np.nanmean(values[name][-1]):.4f} {setting}", err=True)
    return {name: np.concatenate(found) for name, found in values.items()}, chosen


class Restricted:
    """The same texts, but only the training entries of a fold."""

    def __init__(self, data, part):
        self.likes = part.train
        self.read = data.read


@click.command()
@click.option(
    "--data",
    "name",
    type=click.Choice(["musical-instruments", "ml-latest-small", "ml-1m"]),
    default="musical-instruments",
)
@click.option("--model", "names", type=click.Choice(list(MODELS)), multiple=True)
@click.option("--splits", "n_splits", default=5, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write values as JSON, and a report.")
def main(name, names, n_splits, out):
    """Measure and report."""
    facts = machine(["skrec", "numpy", "scipy", "scikit-learn"])
    rated = ratings(name)
    data = Reviewed(rated) if name == "musical-instruments" else Described(rated, name)
    values, chosen = measure(data, names or list(MODELS), n_splits)
    lines = [
        [
            order,
            f"{np.nanmean(found):.4f}",
            f"{standard_error(found):.4f}",
            *(
                "" if order == other else f"{paired_p_value(found, values[other]):.1g}"
                for other in (RANDOM, HINDSIGHT)
            ),
        ]
        for order, found in values.items()
    ]
    options = ["--data", name, "--splits", str(n_splits)]
    options += [part for model in names for part in ("--model", model)]
    n_tested = np.count_nonzero(~np.isnan(values[RANDOM]))
    report = [
        f"## new items, {name}",
        "",
        f"`{shlex.join(['python', 'benchmarks/new_items.py', *options])}`",
        "",
        f"{data.likes.shape[0]:,} users x {data.likes.shape[1]:,} items, {data.likes.nnz:,} "
        f"ratings of at least 4. In each of {n_splits} folds a part of the items is new, and a "
        f"part of the users unseen; {n_tested:,} users have something to be found. Settings are "
        "chosen within the training entries. p-values are those of paired t-tests over users. "
        f"{describe(facts)}",
        "",
        *table(
            f"order,{METRIC} among the new items,standard error,p against random,"
            "p against popularity",
            lines,
        ),
        "",
        "Chosen in the folds: "
        + "; ".join(
            f"{model}: " + ", ".join(dict.fromkeys(str(it) for it in settings))
            for model, settings in chosen.items()
        )
        + ".",
    ]
    click.echo("\n".join(report))
    if out:
        found = {order: np.round(value, 6).tolist() for order, value in values.items()}
        out.write_text(json.dumps({"machine": facts, "values": found, "chosen": chosen}))
        out.with_suffix(".md").write_text("\n".join(report) + "\n")


if __name__ == "__main__":
    main()
