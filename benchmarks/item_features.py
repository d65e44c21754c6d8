"""What features of items are worth: where nobody has chosen an item yet, and elsewhere.

See README.md beside this file.
"""

import csv
import gzip
import re
import shlex
from pathlib import Path

import click
import numpy as np
from data import DATA_HOME, liked_by_id
from measure import machine
from report import describe, table
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import train_test_split

import skrec.datasets
from skrec import EASE, Popularity
from skrec.metrics import ndcg
from skrec.model_selection import fold_in_split

K_COLD, K_WARM = 20, 100
WAYS = {
    "EASE": {},
    "additive, .2": {"feature_method": "additive", "feature_weight": 0.2},
    "additive, .5": {"feature_method": "additive", "feature_weight": 0.5},
    "additive, .8": {"feature_method": "additive", "feature_weight": 0.8},
    "collective, .5": {"feature_method": "collective", "feature_weight": 0.5},
    "collective, 1": {"feature_method": "collective", "feature_weight": 1.0},
    "collective, 10": {"feature_method": "collective", "feature_weight": 10.0},
}


def movies(name):
    """Title and genres of each movie."""
    if name == "ml-1m":
        lines = (DATA_HOME / "ml-1m" / "movies.dat").read_text("latin-1").splitlines()
        rows = [line.split("::") for line in lines]
    else:
        folder = Path(skrec.datasets.__file__).parent / "data" / "ml-latest-small"
        with gzip.open(folder / "movies.csv.gz", "rt", encoding="utf-8") as file:
            rows = list(csv.reader(file))[1:]
    return {int(movie): (title, genres) for movie, title, genres in rows}


def genres_and_decades(name, item_ids):
    """One column for each genre and for each decade: csr_array of shape (n_items, n_features)."""
    known = movies(name)
    words = []
    for item in item_ids.tolist():
        title, genres = known[item]
        year = re.search(r"\((\d{3})\d\)", title)
        words.append(f"{genres}|{year[1] if year else 'no'}0s")
    return CountVectorizer(analyzer=lambda text: text.split("|")).fit_transform(words)


def columns(X, kept):
    """Entries of some items; the others lose theirs."""
    X = sparse.csr_array(X @ sparse.diags_array(kept.astype(X.dtype)))
    X.eliminate_zeros()
    return X


def measure(X, features, l2, seed):
    """NDCG of items without an entry in training, among themselves, and of the others."""
    train, test = train_test_split(X, test_size=0.2, random_state=seed)
    rng = np.random.default_rng(seed)
    is_cold = np.zeros(X.shape[1], dtype=bool)
    is_cold[rng.choice(X.shape[1], X.shape[1] // 10, replace=False)] = True
    cold = np.flatnonzero(is_cold)
    rows, known, held_out = (
        columns(train, ~is_cold),
        *(columns(test, it) for it in (~is_cold, is_cold)),
    )
    fold_in, rest = fold_in_split(known, random_state=0)

    def cold_ndcg(lists):
        return ndcg(lists, held_out, k=K_COLD)

    shuffled = np.array([rng.permutation(cold)[:K_COLD] for _ in range(test.shape[0])])
    found = {"a random order": (cold_ndcg(shuffled), np.nan)}
    by_all = Popularity().fit(train).recommend(known, K_COLD, items=cold)
    found["their popularity, had it been known"] = (cold_ndcg(by_all), np.nan)
    for name, way in WAYS.items():
        model = EASE(l2, item_features=features if way else None, **way).fit(rows)
        warm = ndcg(model.recommend(fold_in, K_WARM), rest, k=K_WARM)
        lists = model.recommend(known, K_COLD, items=cold)
        found[name] = (cold_ndcg(lists) if way else np.nan, warm)
    return found


@click.command()
@click.option("--data", "name", type=click.Choice(["ml-latest-small", "ml-1m"]), default="ml-1m")
@click.option("--l2", default=500.0, show_default=True)
@click.option("--splits", "n_splits", default=3, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write the report here.")
def main(name, l2, n_splits, out):
    """Measure and report."""
    facts = machine(["skrec", "numpy", "scipy", "scikit-learn"])
    liked = liked_by_id(name)
    features = genres_and_decades(name, liked.item_ids)
    found = [measure(liked.X, features, l2, seed) for seed in range(n_splits)]
    lines = []
    for way in found[0]:
        means = np.mean([each[way] for each in found], axis=0)
        lines.append([way, *("" if np.isnan(mean) else f"{mean:.4f}" for mean in means)])
    options = ["--data", name, "--l2", f"{l2:g}", "--splits", str(n_splits)]
    report = [
        f"## features of items, {name}",
        "",
        f"`{shlex.join(['python', 'benchmarks/item_features.py', *options])}`",
        "",
        f"{liked.shape[0]:,} users x {liked.shape[1]:,} items, {features.shape[1]} features. "
        "A tenth of the items has no entry in training; of a fifth of the users, unseen in "
        "training, their entries are to be found among those items by the other entries. "
        f"Means of {n_splits} splits. {describe(facts)}",
        "",
        *table(f"order,NDCG@{K_COLD} of new items,NDCG@{K_WARM} of the others", lines),
    ]
    click.echo("\n".join(report))
    if out:
        out.write_text("\n".join(report) + "\n")


if __name__ == "__main__":
    main()
