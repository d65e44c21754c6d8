"""Ways to EASE's weights in sparse form: error, quality, seconds, at equal numbers of weights.

See README.md beside this file. The authors' package is measured where it is installed without its
dependencies (``pip install --no-deps sansa``): what it asks of SuiteSparse is answered here, by an
order and by a dense factorisation, so that its quality can be told but not its time.
"""

import logging
import sys
import types
from pathlib import Path
from time import process_time

import click
import numpy as np
from data import partitions
from ease import mean_ndcg
from measure import machine
from report import describe, table
from scipy import linalg, sparse

from skrec import EASE, SANSA
from skrec.solvers import _sparse_inverse
from skrec.solvers._sparse_inverse import SparseInverse, sparse_inverse
from skrec.utils._blocks import top_k

SIZES = [10, 25, 50, 100]


def scores_of(inverse, rows):
    """EASE's scores from factors of the inverse."""
    factor, residuals = inverse
    factor = sparse.csr_array(factor)
    scaled = factor.multiply(1 / residuals[:, None])
    diagonal = factor.multiply(scaled).sum(axis=0)
    return rows.toarray() - ((rows @ factor.T) @ scaled).toarray() / diagonal


def regressions(X, l2, size):
    return sparse_inverse(X, l2, size)


def without_spare(X, l2, size):
    kept, _sparse_inverse._N_SPARE = _sparse_inverse._N_SPARE, 0
    try:
        return sparse_inverse(X, l2, size)
    finally:
        _sparse_inverse._N_SPARE = kept


def rarest_first(X, l2, size):
    """Each item is regressed on rarer ones instead."""
    squares = np.bincount(X.indices, X.data**2, minlength=X.shape[1])
    order = np.argsort(squares, kind="stable")
    rows = X[:, order]
    rows.sort_indices()
    factor, residuals = _sparse_inverse._sparse_factor(rows, squares[order], l2, size, 1)
    place = np.argsort(order)
    return SparseInverse(factor[:, place], residuals)


def columns_of_nearest(X, l2, size, spare):
    """Steck's sparse approximation (2019): each column of the weights is fitted by itself.

    To the ``2 * size`` items that are nearest, so that it has as many weights as the factors.
    """
    gram = (X.T @ X).toarray()
    diagonal = gram.diagonal().copy()
    cosines = np.abs(gram) / np.sqrt(np.maximum(diagonal, 1e-9))[:, None]
    np.fill_diagonal(cosines, -1)
    gram[np.diag_indices_from(gram)] += l2
    weights = np.zeros_like(gram)
    for j in range(len(gram)):
        near = np.argsort(-cosines[:, j], kind="stable")[: 2 * size * (1 + spare)]
        if spare:
            found = linalg.solve(gram[np.ix_(near, near)], gram[near, j], assume_a="pos")
            tells = found**2 * (diagonal[near] + l2)
            near = near[np.argsort(-tells, kind="stable")[: 2 * size]]
        weights[near, j] = linalg.solve(gram[np.ix_(near, near)], gram[near, j], assume_a="pos")
    return sparse.csr_array(weights)


def authors(X, l2, size, method, scaled):
    """The factors of the authors' package."""
    _answer_for_suitesparse()
    from sansa import SANSA as Authors
    from sansa import (
        CHOLMODGramianFactorizerConfig,
        ICFGramianFactorizerConfig,
        SANSAConfig,
        UMRUnitLowerTriangleInverterConfig,
    )
    from sansa.model import _apply_icf_scaling

    logging.disable()
    configs = {"ICF": ICFGramianFactorizerConfig, "CHOLMOD": CHOLMODGramianFactorizerConfig}
    inverter = UMRUnitLowerTriangleInverterConfig(scans=1, finetune_steps=10)
    density = sparse_inverse(X, 500.0, size).factor.nnz / X.shape[1] ** 2
    model = Authors(SANSAConfig(l2, density, configs[method](), inverter))
    rows = sparse.csr_matrix(X, dtype=np.float32)
    rows.indices, rows.indptr = rows.indices.astype(np.int32), rows.indptr.astype(np.int32)
    if scaled:
        _apply_icf_scaling(rows, True)
    factor, diagonal, order = model.factorizer.approximate_ldlt(rows, l2, density, True)
    inverse = sparse.csr_array(model.inverter.invert(factor))[:, np.argsort(order)]
    return SparseInverse(inverse.astype(np.float64), diagonal.diagonal().astype(np.float64))


def _answer_for_suitesparse():
    """Stand in for ``sksparse.cholmod``: popular items first, and LAPACK's factor."""

    class Factor:
        def __init__(self, columns, **_):
            self.order = np.argsort(-np.diff(columns.tocsr().indptr), kind="stable")

        def P(self):
            return self.order

        def cholesky_AAt_inplace(self, columns, beta):
            rows = columns.T.tocsr()[:, self.order].astype(np.float64)
            gram = (rows.T @ rows).toarray() + beta * np.eye(rows.shape[1])
            self.lower = np.linalg.cholesky(gram)

        def L(self):
            return sparse.csc_matrix(self.lower.astype(np.float32))

    module = types.ModuleType("sksparse.cholmod")
    module.analyze_AAt = Factor
    package = types.ModuleType("sksparse")
    package.cholmod = module
    sys.modules.setdefault("sksparse", package)
    sys.modules.setdefault("sksparse.cholmod", module)


FACTORS = {
    "SANSA of skrec": (regressions, {}),
    "without items tried beside": (without_spare, {}),
    "regressed on rarer items": (rarest_first, {}),
    "authors', exact factor cut": (authors, {"method": "CHOLMOD", "scaled": False}),
    "authors', incomplete factor": (authors, {"method": "ICF", "scaled": False}),
    "authors', incomplete, scaled": (authors, {"method": "ICF", "scaled": True}),
}
COLUMNS = {
    "each column by itself": 0,
    "each column, twice as many tried": 1,
}


def compare(parts, l2, sizes, scaled_l2):
    """Rows of the report."""
    X, held_out = parts.train.astype(np.float64), parts.validation_held_out
    new = parts.validation_fold_in.astype(np.float64)
    seen = new.nonzero()

    def quality(scores):
        scores[seen] = -np.inf
        return mean_ndcg(top_k(np.ascontiguousarray(scores), 100)[0], held_out)[0]

    exact = EASE(l2).fit(X).predict(new)
    exact[seen] = 0
    spread = exact.std()
    lines = [["EASE", "", f"{X.shape[1] ** 2:,}", "0", f"{quality(exact.copy()):.4f}", ""]]

    def judge(name, size, n_weights, scores, seconds, of_same_l2=True):
        scores[seen] = 0
        error = f"{(scores - exact).std() / spread:.3f}" if of_same_l2 else ""
        line = [name, size, f"{n_weights:,}", error, f"{quality(scores):.4f}", f"{seconds:.1f}"]
        click.echo(" ".join(map(str, line)), err=True)
        lines.append(line)

    for size in sizes:
        for name, (method, options) in FACTORS.items():
            scaled = options.get("scaled", False)
            start = process_time()
            try:
                inverse = method(X, scaled_l2 if scaled else l2, size, **options)
            except ImportError:
                continue
            seconds = process_time() - start
            scores = scores_of(inverse, new)
            judge(name, size, 2 * inverse.factor.nnz, scores, seconds, not scaled)
        for name, spare in COLUMNS.items():
            start = process_time()
            weights = columns_of_nearest(X, l2, size, spare)
            judge(name, size, weights.nnz, (new @ weights).toarray(), process_time() - start)
    return lines


@click.command()
@click.option("--data", type=click.Choice(["toy", "ml-1m"]), default="toy", show_default=True)
@click.option("--l2", default=500.0, show_default=True)
@click.option("--scaled-l2", default=3.0, show_default=True, help="Of columns that are scaled.")
@click.option("--size", "sizes", multiple=True, type=int, default=SIZES)
@click.option("--out", type=click.Path(path_type=Path), help="Write the report here.")
def main(data, l2, scaled_l2, sizes, out):
    """Compare on validation users."""
    facts = machine(["skrec", "numpy", "scipy", "numba", "sansa"])
    SANSA(l2, density=0.5).fit(np.eye(8))  # loops are compiled, or read from where they are kept
    lines = compare(next(partitions(data, 1)), l2, sizes, scaled_l2)
    command = f"python benchmarks/sparse_inverse.py --data {data} --l2 {l2:g}"
    command += f" --scaled-l2 {scaled_l2:g}"
    report = [f"## sparse inverse, {data}", "", f"`{command}`", "", describe(facts), ""]
    report += table("method,size,weights,error,NDCG@100,fit (s of the processors)", lines)
    click.echo("\n".join(report))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("\n".join(report) + "\n")


if __name__ == "__main__":
    main()
