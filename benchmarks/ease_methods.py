"""EASE's two closed forms: what they cost over shapes, what "auto" takes, and how exact they are.

See README.md beside this file.
"""

import itertools
import json
import shlex
import warnings
from decimal import Decimal, localcontext
from pathlib import Path
from time import process_time

import click
import numpy as np
from data import popularity_skewed
from measure import machine
from report import describe, table
from scipy import sparse
from threadpoolctl import threadpool_limits

from skrec import EASE
from skrec.utils._blocks import top_k

# items, users / items, share of entries
SHAPES = [
    *itertools.product([1_000], [0.1, 0.3, 0.5, 1.0, 2.0, 10.0], [0.02]),
    *itertools.product([2_000], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.97], [0.003, 0.02]),
    *itertools.product([2_000], [0.1, 0.3, 0.5], [0.1]),
    *itertools.product([4_000], [0.1, 0.3, 0.5, 0.97], [0.01]),
    *itertools.product([8_000], [0.1], [0.003]),
]
COUNTS = list(itertools.product([(60, 120), (114, 120), (240, 120)], [1e-9, 1e-3, 1.0, 500.0]))


def seconds(function):
    start = process_time()
    result = function()
    return result, process_time() - start


def measure_shape(X, dtype, repeats):
    """Seconds of either form and what "auto" takes."""
    X = X.astype(dtype)
    found = {"shape": X.shape, "n_entries": X.nnz, "dtype": dtype, "seconds": {}}
    found["auto"] = EASE(n_jobs=1).fit(X).method_
    for _, method in itertools.product(range(repeats), ["primal", "dual"]):
        model, fit = seconds(lambda method=method: EASE(method=method, n_jobs=1).fit(X))
        _, scores = seconds(lambda model=model: model.recommend(X, k=10))
        found["seconds"].setdefault(method, []).append([fit, scores])
    return found


def random_matrix(n_items, ratio, density):
    n_users = round(n_items * ratio)
    return popularity_skewed(n_users, n_items, round(density * n_users * n_items))


def play_counts(n_users, n_items, largest, seed=0):
    """Counts up to `largest` of log-normal sizes, of popular and of rare items."""
    rng = np.random.default_rng(seed)
    share = np.outer(rng.lognormal(sigma=0.7, size=n_users), rng.lognormal(size=n_items))
    chosen = rng.random(share.shape) < np.minimum(share * 0.1 / share.mean(), 0.9)
    X = chosen * np.minimum(np.ceil(rng.lognormal(sigma=3.75, size=share.shape)), largest)
    X[np.unravel_index(X.argmax(), X.shape)] = largest
    return X


def exact_scores(X, l2):
    """Scores by Gauss-Jordan elimination with 60 decimal digits."""
    with localcontext(prec=60):
        rows = np.vectorize(Decimal, otypes=[object])(X)
        n_items = X.shape[1]
        identity = np.vectorize(Decimal, otypes=[object])(np.eye(n_items, dtype=int).tolist())
        both = np.hstack([rows.T @ rows + Decimal(l2) * identity, identity])
        for pivot in range(n_items):
            both[pivot] /= both[pivot, pivot]
            factors = both[:, pivot].copy()
            factors[pivot] = Decimal(0)
            both -= np.outer(factors, both[pivot])
        coef = -both[:, n_items:] / np.diagonal(both[:, n_items:])
        np.fill_diagonal(coef, Decimal(0))
        return (rows @ coef).astype(float)


def first_ten(scores, X):
    return top_k(np.where(X != 0, -np.inf, scores), 10)[0]


def measure_digits(shape, l2):
    """Overlap of the first ten with those of exact scores, and whether there was a warning."""
    X = play_counts(*shape, 1_000_000)
    exact = first_ten(exact_scores(X, l2), X)
    answers = {}
    for method, dtype in itertools.product(["primal", "dual", "auto"], ["float32", "float64"]):
        model = EASE(l2=l2, method=method, dtype=dtype)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found = first_ten(model.fit(X).predict(X).astype(float), X)
            except np.linalg.LinAlgError:
                answers[f"{method} {dtype}"] = {"refused": True}
                continue
        same = [len(np.intersect1d(*lists)) / 10 for lists in zip(exact, found, strict=True)]
        answers[f"{method} {dtype}"] = {
            "overlap": float(np.mean(same)),
            "warned": bool(caught),
            "method": model.method_,
        }
    return {"shape": shape, "l2": l2, "answers": answers}


def render(result):
    lines = [
        "## The two forms of EASE",
        "",
        f"`{result['command']}`",
        "",
        f"{describe(result['machine'])} Seconds of the processor on one thread, which other work "
        "on the machine lengthens little; medians.",
        "",
        *_costs(result["shapes"]),
        "",
        "Overlap of the first ten with those of exact scores, counts up to 1,000,000 (w: a "
        "warning was given; refused: an error that names the fix):",
        "",
        *_digits(result["digits"]),
    ]
    return "\n".join(lines) + "\n"


def _costs(shapes):
    rows = []
    for found in shapes:
        medians = {m: np.median(times, axis=0) for m, times in found["seconds"].items()}
        totals = {method: times.sum() for method, times in medians.items()}
        n_users, n_items = found["shape"]
        row = [f"{n_users:,} x {n_items:,}", f"{n_users / n_items:.2f}", f"{found['n_entries']:,}"]
        row.append(found["dtype"])
        for method in ("primal", "dual"):
            row += [f"{t:.3g}" for t in medians[method]]
        ratio = totals[found["auto"]] / min(totals.values())
        rows.append([*row, found["auto"], f"{ratio:.2f}"])
    header = (
        "users x items,users / items,entries,dtype,primal fit (s),primal recommend (s),"
        "dual fit (s),dual recommend (s),auto,auto / better"
    )
    return table(header, rows)


def _digits(digits):
    rows = []
    for found in digits:
        row = ["{} x {}".format(*found["shape"]), f"{found['l2']:g}"]
        for name, answer in found["answers"].items():
            if "refused" in answer:
                row.append("refused")
                continue
            took = f" ({answer['method']})" if name.startswith("auto") else ""
            row.append(f"{answer['overlap']:.3f}{' w' if answer['warned'] else ''}{took}")
        rows.append(row)
    return table(",".join(["users x items,l2", *digits[0]["answers"]]), rows)


@click.command()
@click.option("--data", "name", type=click.Choice(["toy", "grid"]), default="toy")
@click.option("--repeats", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), help="JSON file; the table goes beside it as .md."
)
def main(name, repeats, out):
    """Measure both forms and print a Markdown report."""
    facts = machine(["skrec", "numpy", "scipy", "scikit-learn"])
    shapes = SHAPES if name == "grid" else [(300, 0.3, 0.02), (300, 1.0, 0.02)]
    counts = COUNTS if name == "grid" else [((20, 40), 1e-3)]
    with threadpool_limits(1):
        EASE(n_jobs=1).fit(np.eye(500)).recommend(sparse.eye_array(500))
        measured = [
            measure_shape(X, dtype, repeats)
            for X in itertools.starmap(random_matrix, shapes)
            for dtype in ("float32", "float64")
        ]
        digits = [measure_digits(*count) for count in counts]
    result = {
        "command": shlex.join(["python", "benchmarks/ease_methods.py", *_options(name, repeats)]),
        "repeats": repeats,
        "machine": facts,
        "shapes": measured,
        "digits": digits,
    }
    report = render(result)
    click.echo(report)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1) + "\n")
        out.with_suffix(".md").write_text(report)


def _options(name, repeats):
    return ["--data", name, "--repeats", str(repeats)]


if __name__ == "__main__":
    main()
