"""Measure Poisson factorisation beside hpfrec's: seconds, and held-out log-likelihood.

See README.md beside this file.
"""

import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import click
import numpy as np
from measure import machine, peak_process, timed, versions
from scipy import sparse

PRIOR = 0.3  # shapes; means are 1: hpfrec's defaults, and skrec's


def skrec(X, n_components, n_sweeps):
    from skrec import HPF

    model = HPF(n_components, shape=PRIOR, max_iter=n_sweeps, tol=0, random_state=0).fit(X)
    return lambda rows, columns: np.einsum(
        "ek,ek->e", model.transform(X)[rows], model.item_embeddings_[columns]
    )


def hpfrec(X, n_components, n_sweeps):
    from hpfrec import HPF
    from pandas import DataFrame

    rows, columns = X.nonzero()
    table = DataFrame({"UserId": rows, "ItemId": columns, "Count": X.data})
    options = {"check_every": n_sweeps, "reindex": False, "verbose": False, "random_seed": 1}
    model = HPF(n_components, maxiter=n_sweeps, **options)
    model.fit(table)
    return lambda rows, columns: np.einsum("ek,ek->e", model.Theta[rows], model.Beta[columns])


WORKERS = {"skrec": skrec, "hpfrec": hpfrec}


def work(name, folder, n_components, n_sweeps):
    """Fit one library's model to the counts in a folder, and rate what was held out."""
    X, held_out = (sparse.csr_matrix(sparse.load_npz(folder / f"{part}.npz")) for part in "xy")
    WORKERS[name](X[:100], 4, 2)  # what libraries load, start and compile
    rate, seconds = timed(lambda: WORKERS[name](X, n_components, n_sweeps))
    expected = np.maximum(rate(*held_out.nonzero()), 1e-12)
    # Less the logarithm of the count's factorial, which is the same for all models.
    likelihood = float(np.mean(held_out.data * np.log(expected) - expected))
    answer = {"seconds": seconds, "log_likelihood": likelihood, "peak": peak_process()}
    (folder / "answer.json").write_text(json.dumps({**answer, "versions": versions([name])}))


def measure(counts, held_out, pythons, n_components, n_sweeps, repeats):
    """Answers of both libraries, which take turns; none of one that is not installed."""
    answers = {name: [] for name in WORKERS}
    with tempfile.TemporaryDirectory() as folder:
        for part, matrix in (("x", counts), ("y", held_out)):
            sparse.save_npz(f"{folder}/{part}.npz", sparse.csr_matrix(matrix), compressed=False)
        for _ in range(repeats):
            for name, found in answers.items():
                python = pythons.get(name)
                if python is None:
                    continue
                options = [str(n_components), str(n_sweeps)]
                subprocess.run([python, __file__, "--work", name, folder, *options], check=True)
                found.append(json.loads(Path(folder, "answer.json").read_text()))
    return answers


def render(result):
    from report import head, table

    lines = [*head(result, "", f"Medians of {result['repeats']} rounds."), ""]
    rows = []
    for name, answers in result["answers"].items():
        if not answers:
            rows.append([name, "not installed", "", ""])
            continue
        middle = {
            key: median(answer[key] for answer in answers)
            for key in ("seconds", "log_likelihood", "peak")
        }
        rows.append(
            [
                f"{name} {answers[0]['versions'][name]}",
                f"{middle['seconds']:.2f}",
                f"{middle['log_likelihood']:.4f}",
                f"{middle['peak'] / 2**20:,.0f}",
            ]
        )
    header = "library,fit (s),held-out log-likelihood of an entry,peak RSS (MiB)"
    return "\n".join([*lines, *table(header, rows)]) + "\n"


@click.command()
@click.option("--data", "name", type=click.Choice(["toy", "ml-1m"]), default="toy")
@click.option("--components", default=30, show_default=True)
@click.option("--sweeps", default=100, show_default=True)
@click.option("--repeats", default=3, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="JSON file; the table beside it.")
@click.option("--peer-python", help="A Python that has hpfrec.")
def main(name, components, sweeps, repeats, out, peer_python):
    """Fit both to ratings, taken as counts, and rate those held out of a tenth of the users."""
    from data import load_ratings

    data = load_ratings(name)
    counts, held_out = data.users, data.test[1]
    n_others = counts.shape[0] - held_out.shape[0]
    nothing = sparse.csr_array((n_others, counts.shape[1]))
    held_out = sparse.vstack([nothing, held_out], format="csr")
    options = {"--data": name, "--components": components, "--sweeps": sweeps}
    options |= {"--repeats": repeats}
    command = ["python", "benchmarks/hpf.py", *(str(p) for pair in options.items() for p in pair)]
    pythons = {"skrec": sys.executable, "hpfrec": peer_python}
    answers = measure(counts, held_out, pythons, components, sweeps, repeats)
    result = {
        "command": shlex.join(command),
        "repeats": repeats,
        "machine": machine(["skrec", "numpy", "scipy", "numba"]),
        "data": {
            "name": name,
            "n_users": counts.shape[0],
            "n_items": counts.shape[1],
            "n_entries": counts.nnz,
        },
        "answers": answers,
    }
    report = render(result)
    click.echo(report)
    if out is not None:
        out.write_text(json.dumps(result, indent=1) + "\n")
        out.with_suffix(".md").write_text(report)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
