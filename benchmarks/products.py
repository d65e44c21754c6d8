"""The products of a linear layer in training: torch's own, and those of skrec.

See README.md beside this file.
"""

import shlex
import statistics
import sys
from pathlib import Path

import click
import torch
from measure import interleaved, machine
from report import describe, table
from torch.nn import functional as F

from skrec.neural._batch_linear import full_batch, linear_gradients, linear_outputs

# (rows, inputs, outputs): last layers of Mult-VAE, RecVAE and a narrow network on MovieLens 1M and
# 20M, and a layer between.
SHAPES = [
    (500, 600, 3_522),
    (500, 600, 20_108),
    (500, 200, 3_522),
    (500, 50, 20_108),
    (500, 600, 600),
]


def measure_products(shape, repeats):
    """GFlop/s of each product, torch's and ours."""
    n_rows, n_inputs, n_outputs = shape
    generator = torch.Generator().manual_seed(0)
    inputs, weight, gradient, bias = (
        torch.randn(shape, generator=generator)
        for shape in [(n_rows, n_inputs), (n_outputs, n_inputs), (n_rows, n_outputs), (n_outputs,)]
    )
    backward = gradient, inputs, weight
    products = {
        "outputs": {
            "torch": lambda: F.linear(inputs, weight, bias),
            "skrec": lambda: linear_outputs(inputs, weight, bias),
        },
        "gradient of inputs": {
            "torch": lambda: gradient @ weight,
            "skrec": lambda: linear_gradients(*backward, (True, False, False)),
        },
        "gradient of weight": {
            "torch": lambda: gradient.t() @ inputs,
            "skrec": lambda: linear_gradients(*backward, (False, True, False)),
        },
    }
    found = {}
    for name, functions in products.items():
        with full_batch():
            times = interleaved(functions, repeats)
        flop = 2 * n_rows * n_inputs * n_outputs
        found[name] = [flop / statistics.median(times[who]) / 1e9 for who in ("torch", "skrec")]
    return found


@click.command()
@click.option("--repeats", default=20, show_default=True, help="Rounds.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the report here.")
def main(repeats, out):
    """Measure and report."""
    facts = machine(["skrec", "torch"])
    rows = [
        (
            " x ".join(f"{n:,}" for n in shape),
            name,
            f"{torchs:.0f}",
            f"{ours:.0f}",
            f"{ours / torchs:.2f}",
        )
        for shape in SHAPES
        for name, (torchs, ours) in measure_products(shape, repeats).items()
    ]
    header = "rows x inputs x outputs,product,torch (GFlop/s),skrec (GFlop/s),ratio"
    report = "\n".join(
        [
            "## products",
            "",
            f"`{shlex.join(['python', *sys.argv])}`",
            "",
            describe(facts),
            "",
            *table(header, rows),
        ]
    )
    click.echo(report)
    if out:
        out.write_text(report + "\n")


if __name__ == "__main__":
    main()
