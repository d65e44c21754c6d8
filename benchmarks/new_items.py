"""Items that nobody has chosen yet, ranked by what is written or known of them.

See README.md beside this file.
"""

import json
import shlex
import warnings
from collections import Counter
from functools import partial
from pathlib import Path

import click
import numpy as np
from data import ratings
from item_features import genres_and_decades
from measure import machine
from report import describe, table
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import NMF
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.model_selection import ParameterGrid

from skrec import CTR, CVAE, EASE, Popularity
from skrec.metrics import ranking_scorer, standard_error
from skrec.model_selection import ItemColdStartSplit
from skrec.model_selection._compare import paired_p_value

METRIC = "ndcg@20"
RANDOM, HINDSIGHT = "a random order", "their popularity, in hindsight"
L2 = [20.0, 100.0, 500.0, 2000.0, 10_000.0]
# What they read (see `Reviewed.read`), the model, and what is chosen of.
MODELS = {
    "EASE, additive": ("weights", EASE(feature_method="additive"), {"l2": L2}),
    "EASE, collective": (
        "weights",
        EASE(feature_method="collective"),
        {"l2": L2[1:], "feature_weight": [0.1, 1.0]},
    ),
    "EASE, additive, one review": ("one review", EASE(feature_method="additive"), {"l2": L2}),
    "EASE, additive, lengths told": ("lengths", EASE(feature_method="additive"), {"l2": L2}),
    "CTR": ("counts", CTR(random_state=0), {}),
    "CVAE": ("counts", CVAE(random_state=0), {}),
    "CVAE, tf-idf": ("weights", CVAE(random_state=0), {}),
    "CTR, topics by NMF": (
        "weights",
        CTR(topic_model=NMF(50, max_iter=300, tol=1e-3, random_state=0), random_state=0),
        {},
    ),
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
        self.likes = rated.binarize(3.5).filter(min_users_per_item=10, min_items_per_user=5)
        self._features = genres_and_decades(name, self.likes.item_ids)

    def read(self, kind, writers):
        return self._features


class Fold:
    """Training users, and of test users what is known and what is to be found."""

    def __init__(self, part, users):
        self.known = np.setdiff1d(users, part.test_users)
        self.train = part.train[self.known]
        self.tested = np.flatnonzero(np.diff(part.held_out.indptr))
        self._asked = part.fold_in[self.tested], part.held_out[self.tested]
        self._scorer = ranking_scorer(METRIC, items=part.new_items)

    def values(self, model):
        return self._scorer.per_user(model, *self._asked)[METRIC]


def choose(read, likes, users, model, grid, seed):
    """The setting that is best for items, and users, that are new to a part of the training."""
    settings = list(ParameterGrid(grid))
    if len(settings) == 1:
        return settings[0]
    found = np.zeros(len(settings))
    for part in ItemColdStartSplit(3, random_state=seed).partitions(likes):
        fold = Fold(part, users)
        model.set_params(item_features=read(fold.known))
        for number, setting in enumerate(settings):
            found[number] += np.mean(fold.values(model.set_params(**setting).fit(fold.train)))
    return settings[int(np.argmax(found))]


def measure(data, names, n_splits, seed):
    """A value for each user, NaN for those who have nothing to be found, and the settings."""
    values, chosen = {}, {}
    likes = data.likes
    split = ItemColdStartSplit(n_splits, random_state=seed)
    for part in split.partitions(likes):
        fold = Fold(part, np.arange(likes.shape[0]))

        def note(name, model, fold=fold):
            of_users = values.setdefault(name, np.full(likes.shape[0], np.nan))
            of_users[fold.tested] = fold.values(model)

        note(RANDOM, RandomOrder())
        note("the order of the catalogue", Popularity().fit(fold.train))
        note(HINDSIGHT, Popularity().fit(likes[fold.known]))
        for name in names:
            kind, model, grid = MODELS[name]
            if kind not in data.kinds:
                continue
            # Of the training entries alone: nothing of the test is seen.
            read = partial(data.read, kind)
            setting = choose(read, part.train, fold.known, clone(model), grid, seed)
            model = clone(model).set_params(item_features=read(fold.known), **setting)
            note(name, model.fit(fold.train))
            chosen.setdefault(name, []).append(setting)
    return values, chosen


@click.command()
@click.option(
    "--data",
    "name",
    type=click.Choice(["musical-instruments", "ml-latest-small", "ml-1m"]),
    default="musical-instruments",
)
@click.option("--model", "names", type=click.Choice(list(MODELS)), multiple=True)
@click.option("--splits", "n_splits", default=5, show_default=True)
@click.option("--repeats", default=1, show_default=True, help="Of all splits, dealt anew.")
@click.option("--out", type=click.Path(path_type=Path), help="Write values as JSON, and a report.")
def main(name, names, n_splits, repeats, out):
    """Measure and report."""
    facts = machine(["skrec", "numpy", "scipy", "scikit-learn"])
    rated = ratings(name)
    data = Reviewed(rated) if name == "musical-instruments" else Described(rated, name)
    runs = [measure(data, names or list(MODELS), n_splits, seed) for seed in range(repeats)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of users without any value
        values = {
            order: np.nanmean([values[order] for values, _ in runs], axis=0)
            for order in runs[0][0]
        }
    chosen = {model: sum((of[model] for _, of in runs), []) for model in runs[0][1]}
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
    options = ["--data", name, "--splits", str(n_splits), "--repeats", str(repeats)]
    options += [part for model in names for part in ("--model", model)]
    n_tested = np.count_nonzero(~np.isnan(values[RANDOM]))
    report = [
        f"## new items, {name}",
        "",
        f"`{shlex.join(['python', 'benchmarks/new_items.py', *options])}`",
        "",
        f"{data.likes.shape[0]:,} users x {data.likes.shape[1]:,} items, {data.likes.nnz:,} "
        f"ratings of at least 4. In each of {n_splits} folds a part of the items is new, and a "
        f"part of the users unseen; {repeats} such splits; {n_tested:,} users have something to "
        "be found, and count with the mean of their splits. Settings are chosen within the "
        "training entries. p-values are those of paired t-tests over users. "
        f"{describe(facts)}",
        "",
        *table(
            f"order,{METRIC} among the new items,standard error,p against random,"
            "p against popularity",
            lines,
        ),
        "",
        "Chosen in the folds, where there is a choice: "
        + "; ".join(
            f"{model}: "
            + ", ".join(f"{it} ({n})" for it, n in Counter(map(str, settings)).most_common())
            for model, settings in chosen.items()
            if len(MODELS[model][2])
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
