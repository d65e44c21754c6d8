"""Measure models of ratings and texts: the tables of DeepLTRS' paper, and Musical Instruments.

See README.md beside this file.
"""

import json
import os
import shlex
from pathlib import Path

import click
import numpy as np
from measure import machine, timed
from report_reviews import render_reviews
from scipy import sparse
from scipy.optimize import linear_sum_assignment

import skrec
from skrec import BiasBaseline, DeepLTRS, Interactions, Reviews
from skrec.datasets import (
    fetch_amazon_fine_foods,
    fetch_amazon_reviews,
    make_ratings_reviews,
)

PACKAGES = ["skrec", "numpy", "scipy", "scikit-learn", "torch", "skorch"]
_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
SPARSITIES = [0.5, 0.7, 0.9, 0.95, 0.98, 0.99]
PAPER = {
    "offsets": False,
    "text_weight": 1,
    "scale_words": False,
    "hidden_layer_sizes": (50, 50),
    "batch_size": 5,
    "n_iter_no_change": None,
    "clip": False,
}
# Table 3 of the paper, five runs each.
PUBLISHED = {
    "HFT": [1.4241, 1.5327, 1.4737, 1.4228, 1.3850],
    "HPF": [2.9486, 2.9682, 2.9311, 2.9428, 2.9734],
    "CCPF-PMF": [1.2695, 1.2964, 1.3035, 1.2923, 1.2950],
    "TransNet": [1.3772, 1.3806, 1.3781, 1.3776, 1.3782],
    "deepLTRS": [1.1364, 1.2595, 1.2445, 1.1710, 1.2475],
}
# By name: the class, what is changed of its defaults, and whether it gets the reviews.
MODELS = {
    "mean": None,
    "BiasBaseline": None,
    "PMF": ("PMF", {}, False),
    "HPF": ("HPF", {}, False),
    "HFT": ("HFT", {}, True),
    "CTR without texts": ("CTR", {"feedback": "ratings"}, False),
    "CTR": ("CTR", {"feedback": "ratings"}, True),
    "CVAE": ("CVAE", {"feedback": "ratings"}, True),
    "DeepCoNN": ("DeepCoNN", {}, True),
    "TransNet": ("TransNet", {}, True),
    "DeepLTRS without texts": ("DeepLTRS", {}, False),
    "DeepLTRS": ("DeepLTRS", {}, True),
    "DeepLTRS as in the paper": ("DeepLTRS", PAPER, True),
}


class Split:
    """80% of the ratings to learn from, 10% to stop by, 10% to test on, with their reviews."""

    def __init__(self, X, reviews, seed):
        order = np.random.RandomState(seed).permutation(X.nnz)
        n_test = X.nnz // 10
        rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        self.pairs = rows[order[:n_test]], X.indices[order[:n_test]]
        self.test = X.data[order[:n_test]].astype(np.float64)
        kept = np.sort(order[n_test:])
        self.known = sparse.csr_array((X.data[kept], (rows[kept], X.indices[kept])), shape=X.shape)
        self.reviews = reviews.aligned_with(self.known)
        self.seed = seed

    def rmse(self, predicted):
        """Of unrounded predictions of the test ratings."""
        return float(np.sqrt(np.mean((predicted - self.test) ** 2)))

    def fit(self, name, options):
        """RMSE, seconds of the fit, and the model."""
        if name == "mean":
            return self.rmse(self.known.data.mean()), 0.0, None
        if name == "BiasBaseline":
            model, seconds = timed(lambda: tuned_offsets(self.known, self.seed))
            return self.rmse(model.predict(self.known)[self.pairs]), seconds, model
        class_name, settings, reads = MODELS[name]
        reviews = self.reviews if reads else None
        model = getattr(skrec, class_name)(random_state=self.seed, **settings)
        if "validation_fraction" in model.get_params():
            # A ninth of what is known is the tenth of all to stop by.
            model.set_params(validation_fraction=1 / 9, **options)
        model, seconds = timed(lambda: model.fit(self.known, reviews=reviews))
        predicted = model.predict(self.known, reviews=reviews)[self.pairs]
        if class_name == "HPF":  # expected counts of those that are there, which are not 0
            predicted = predicted / -np.expm1(-predicted)
        return self.rmse(predicted), seconds, model


def tuned_offsets(X, seed):
    """Offsets with the penalties that are best on a ninth of the ratings."""
    inner = Split(X, Reviews.from_documents(X, sparse.csr_array((X.nnz, 1))), seed)
    penalties = (1, 2, 3, 4, 6, 10, 15)
    scores = {
        (user, item): inner.rmse(
            BiasBaseline(user, item).fit(inner.known).predict(inner.known)[inner.pairs]
        )
        for user in penalties
        for item in penalties
    }
    return BiasBaseline(*min(scores, key=scores.get)).fit(X)


def distinct(interactions):
    """One pair, drawn at random, of those that a user gave the same text at the same time.

    More than half of the Fine Foods pairs are one review shown at several variants of a product:
    with those on both sides of a split, a model that finds the variants knows the answer.
    """
    X = interactions.X
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    first = {}
    for entry in np.random.RandomState(0).permutation(X.nnz):
        key = rows[entry], interactions.reviews[entry], interactions.timestamps[entry]
        first.setdefault(key, entry)
    kept = np.sort(list(first.values()))
    return Interactions.from_arrays(
        interactions.user_ids[rows[kept]],
        interactions.item_ids[X.indices[kept]],
        X.data[kept],
        reviews=interactions.reviews[kept],
    )


def measure_splits(interactions, models, n_splits, options):
    reviews = Reviews.from_interactions(interactions)
    measured = {name: {"rmse": [], "seconds": [], "epochs": []} for name in models}
    for seed in range(n_splits):
        split = Split(interactions.X, reviews, seed)
        for name in models:
            rmse, seconds, model = split.fit(name, options)
            measured[name]["rmse"].append(rmse)
            measured[name]["seconds"].append(seconds)
            if hasattr(model, "best_iteration_"):
                measured[name]["epochs"].append(model.best_iteration_)
            click.echo(f"split {seed}: {name} {rmse:.4f} in {seconds:.0f} s", err=True)
    return measured


def measure_simulation(sparsities, n_splits, options, size):
    measured = {}
    for sparsity in sparsities:
        rows = measured[str(sparsity)] = {"DeepLTRS": [], "DeepLTRS without texts": []}
        rows["BiasBaseline"], rows["expected rating"] = [], []
        for seed in range(n_splits):
            data, truth = make_ratings_reviews(
                *size, sparsity=sparsity, return_truth=True, random_state=seed
            )
            split = Split(data.X, Reviews.from_interactions(data), seed)
            for name in ("DeepLTRS", "DeepLTRS without texts", "BiasBaseline"):
                rows[name].append(split.fit(name, options)[0])
            users, items = split.pairs
            groups = truth.user_groups[users], truth.item_groups[items]
            rows["expected rating"].append(split.rmse(truth.expected_ratings[groups]))
            last = {name: round(values[-1], 4) for name, values in rows.items()}
            click.echo(f"sparsity {sparsity}, data set {seed}: {last}", err=True)
    return measured


def measure_topics(n_splits, size):
    """Cosines of the four texts with the topics that match them best, one to one."""
    cosines = []
    for seed in range(n_splits):
        data, truth = make_ratings_reviews(
            *size, sparsity=0.5, return_truth=True, random_state=seed
        )
        model = DeepLTRS(
            n_topics=10, text_weight=1, early_stopping=False, max_iter=20, random_state=seed
        ).fit(data.X, reviews=data.reviews)
        texts = np.array(
            [[np.sum(words == word) for word in model.vocabulary_] for words in truth.words]
        )
        table = _unit(texts) @ _unit(model.topic_word_).T
        cosines.append(table[linear_sum_assignment(-table)].tolist())
        click.echo(f"topics, data set {seed}: {np.round(cosines[-1], 3)}", err=True)
    return cosines


def measure_scaling(sizes=((375, 300), (750, 600), (1500, 1200))):
    """Seconds of an epoch at three sizes with the same number of ratings a user."""
    measured = []
    for n_users, n_items in sizes:
        data = make_ratings_reviews(n_users, n_items, sparsity=1 - 30 / n_items, random_state=0)
        times = []
        for n_epochs in (1, 3):
            model = DeepLTRS(early_stopping=False, max_iter=n_epochs, random_state=0)
            times.append(timed(lambda m=model, d=data: m.fit(d.X, reviews=d.reviews))[1])
        measured.append({"n_pairs": data.X.nnz, "seconds": (times[1] - times[0]) / 2})
    return measured


def _unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@click.command()
@click.option(
    "--data",
    "name",
    type=click.Choice(
        ["toy", "simulation", "fine-foods", "fine-foods-distinct", "musical-instruments"]
    ),
    default="toy",
    show_default=True,
)
@click.option(
    "--model",
    "models",
    type=click.Choice(list(MODELS)),
    multiple=True,
    help="Measure this model only, on real data; --out keeps the others' figures. Repeatable.",
)
@click.option(
    "--sparsity", "sparsities", type=float, multiple=True, help="Of the simulation. Repeatable."
)
@click.option(
    "--splits", "n_splits", type=click.IntRange(1), help="Splits, or simulated data sets."
)
@click.option("--topics", is_flag=True, help="Simulation: also match topics, at sparsity 0.5.")
@click.option("--scaling", is_flag=True, help="Simulation: also time an epoch at three sizes.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="JSON file; the table goes beside it as .md."
)
def main(name, models, sparsities, n_splits, topics, scaling, out):
    """Measure DeepLTRS on one data set and print a Markdown report."""
    options = ["--data", name] + [f"--model={model}" for model in models]
    options += [f"--sparsity={sparsity:g}" for sparsity in sparsities]
    options += [f"--splits={n_splits}"] * (n_splits is not None)
    options += ["--topics"] * topics + ["--scaling"] * scaling
    facts = machine(PACKAGES)
    result = {
        "command": shlex.join(["python", "benchmarks/reviews.py", *options]),
        "machine": facts,
        "splits": {},
        "simulation": {},
        "topics": [],
        "scaling": [],
        "published": PUBLISHED if name == "fine-foods" else {},
    }
    stored = {"data_home": os.environ.get("SKREC_DATA", _BESIDE), "download_if_missing": False}
    if name in ("toy", "simulation"):
        small = name == "toy"
        size = (100, 80) if small else (750, 600)
        data = make_ratings_reviews(*size, sparsity=0.9, random_state=0)
        sparsities = sparsities or ([0.9] if small else SPARSITIES)
        n_splits = n_splits or (2 if small else 10)
        options = {"max_iter": 5} if small else {}
        result["simulation"] = measure_simulation(sparsities, n_splits, options, size)
        if topics:
            result["topics"] = measure_topics(n_splits, size)
        if scaling:
            result["scaling"] = measure_scaling()
    else:
        if name.startswith("fine-foods"):
            data = fetch_amazon_fine_foods(text="summary", **stored)
            data = distinct(data) if name.endswith("distinct") else data
        else:
            data = fetch_amazon_reviews("Musical_Instruments", **stored)
        n_splits = n_splits or (10 if name == "musical-instruments" else 5)
        result["splits"] = measure_splits(data, list(models or list(MODELS)[:-1]), n_splits, {})
    n_users, n_items = data.X.shape
    result["data"] = {
        "name": name,
        "n_users": n_users,
        "n_items": n_items,
        "n_entries": data.X.nnz,
    }
    if models and out is not None and out.exists():  # the other models' figures stay
        before = json.loads(out.read_text())
        result["splits"] = {**before["splits"], **result["splits"]}
        result["command"] = before["command"]
    report = render_reviews(result)
    click.echo(report)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1) + "\n")
        out.with_suffix(".md").write_text(report)


if __name__ == "__main__":
    main()
