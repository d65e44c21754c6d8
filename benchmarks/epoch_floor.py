"""Where an epoch of MultVAE goes: operations and bytes of each stage, the floor, what is measured.

See README.md beside this file.
"""

import shlex
import sys
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from statistics import median
from time import process_time

import click
import torch
from data import load
from measure import machine
from report import describe, table
from settings import PAPER

import skrec
from skrec.neural import _batch_linear, _batches, _layers, _likelihoods, _trainer
from skrec.neural._batch_linear import full_batch

N_WEIGHT_BYTES = 28  # Adam reads a weight, its gradient and two moments, and writes all but one


class Clock:
    """Processor seconds of the innermost stage that runs, all threads together."""

    def __init__(self):
        self.seconds = {}
        self._running = []

    @contextmanager
    def stage(self, name):
        self._pass_on()
        self._running.append([name, process_time()])
        try:
            yield
        finally:
            self._pass_on()
            self._running.pop()
            if self._running:
                self._running[-1][1] = process_time()

    def _pass_on(self):
        """Count what the stage that ends or is interrupted has taken since it went on."""
        if self._running:
            name, since = self._running[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + process_time() - since

    def watch(self, owner, name, stage):
        """Count calls of a function as a stage; ``stage(*args)`` may tell it by the arguments."""
        function = owner[name] if isinstance(owner, dict) else getattr(owner, name)

        @wraps(function)
        def watched(*args, **kwargs):
            with self.stage(stage(*args) if callable(stage) else stage):
                return function(*args, **kwargs)

        if isinstance(owner, dict):
            owner[name] = watched
        else:
            setattr(owner, name, watched)


def watch_training(clock, n_items):
    """Count the stages of all training from now on."""

    def layer(inputs, weight, bias):
        return "output layer" if len(weight) == n_items else "layers between"

    def layer_backward(gradient, inputs, weight, needed):
        return "output layer, backward" if len(weight) == n_items else "layers between"

    def first_layer(items, table, offsets, values):
        return "first layer" if len(table) == n_items else "first layer, backward"

    clock.watch(_batches.RowStore, "_cut", "rows of a batch")
    clock.watch(_batches.SparseBatch, "normalized", "unit length, dropout")
    clock.watch(_batches.SparseBatch, "dropped_out", "unit length, dropout")
    clock.watch(_layers, "_weighted_sums", first_layer)
    clock.watch(_batches.SparseBatch, "by_item", "first layer, backward")
    clock.watch(_likelihoods.LIKELIHOODS, "multinomial", "softmax and its gradient")
    for module in (_likelihoods, _batch_linear):
        clock.watch(module, "linear_outputs", layer)
        clock.watch(module, "linear_gradients", layer_backward)
    clock.watch(torch.optim.Adam, "step", "Adam")
    clock.watch(_trainer.Trainer, "run_single_epoch", "all else")


def counts(model, X):
    """Operations and bytes that each stage of an epoch cannot do without."""
    n_updates, n_entries = -(-X.shape[0] // model._n_batch_users(X.shape[0])), X.nnz
    n_users, n_items = X.shape
    n_kept = n_entries * (1 - model.dropout)
    codes = model.n_components
    widths = [*model.hidden_layer_sizes, 2 * codes]
    first, last = widths[0], widths[0] if model.hidden_layer_sizes else codes
    between = sum(a * b for a, b in zip(widths, widths[1:], strict=False))
    between += sum(a * b for a, b in zip([codes, *widths[-2::-1]], widths[-2::-1], strict=False))
    table, outputs, scores = n_items * first, n_items * last, n_users * n_items
    return {  # multiplications and additions; bytes
        "rows of a batch": (0, 20 * n_entries),
        "unit length, dropout": (4 * n_entries, 4 * n_entries + 12 * n_kept),
        "first layer": (2 * n_kept * first, n_updates * 4 * table + 4 * n_users * first),
        "layers between": (6 * n_users * between, n_updates * 12 * between),
        "output layer": (2 * scores * last, n_updates * 4 * outputs + 4 * scores),
        "softmax and its gradient": (4 * scores, 8 * scores),
        "output layer, backward": (4 * scores * last, n_updates * 8 * outputs + 12 * scores),
        "first layer, backward": (2 * n_kept * first, n_updates * 4 * table + 4 * n_users * first),
        "Adam": (
            12 * n_updates * (table + outputs + between),
            N_WEIGHT_BYTES * n_updates * (table + outputs + between),
        ),
    }


def speeds():
    """Floating-point operations and bytes in a processor second, in large products and copies."""
    n = 1000
    left, right, bias = torch.ones(n, n), torch.ones(n, n), torch.ones(n)
    source, copy = torch.ones(2, 20_000_000)

    def multiply():
        with full_batch():
            _batch_linear.linear_outputs(left, right, bias)

    seconds = {}
    for name, function in (("product", multiply), ("copy", lambda: copy.copy_(source))):
        times = []
        for _ in range(8):
            start = process_time()
            function()
            times.append(process_time() - start)
        seconds[name] = median(times)
    return 2 * n**3 / seconds["product"], 8 * len(copy) / seconds["copy"]


def measure(model, X, n_epochs):
    """Processor seconds of an epoch by stage, the median of some epochs after a first one."""
    clock, by_epoch = Clock(), []
    watch_training(clock, X.shape[1])
    model.set_params(early_stopping=False, max_iter=1, warm_start=True, random_state=0)
    for _ in range(1 + n_epochs):
        clock.seconds.clear()
        model.fit(X)
        by_epoch.append(dict(clock.seconds))
    return {name: median(times[name] for times in by_epoch[1:]) for name in by_epoch[0]}


def rows_of(model, X, n_epochs):
    flops, bandwidth = speeds()
    found, needed = measure(model, X, n_epochs), counts(model, X)
    total, total_floor = sum(found.values()), 0.0
    rows = []
    for name, (n_operations, n_bytes) in needed.items():
        floor = max(n_operations / flops, n_bytes / bandwidth)
        total_floor += floor
        rows.append(
            [
                name,
                f"{n_operations / 1e9:.2f}",
                f"{n_bytes / 1e6:,.0f}",
                f"{1000 * floor:.0f}",
                f"{1000 * found.get(name, 0.0):.0f}",
                f"{found.get(name, 0.0) / total:.0%}",
            ]
        )
    rows.append(["all else", "", "", "", f"{1000 * found['all else']:.0f}"])
    rows[-1].append(f"{found['all else'] / total:.0%}")
    rows.append(["epoch", "", "", f"{1000 * total_floor:.0f}", f"{1000 * total:.0f}", ""])
    return rows, flops, bandwidth


@click.command()
@click.option("--data", "name", type=click.Choice(["toy", "ml-1m", "ml-20m-shape-5000"]))
@click.option("--settings", type=click.Choice(["paper", "default"]), default="paper")
@click.option("--epochs", "n_epochs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Append the report to this file.")
def main(name, settings, n_epochs, out):
    """Measure and report."""
    X = load(name or "toy").train
    model = skrec.MultVAE(device="cpu", **(PAPER["MultVAE"] if settings == "paper" else {}))
    rows, flops, bandwidth = rows_of(model, X, n_epochs)
    report = "\n".join(
        [
            f"## {name}, settings: {settings}",
            "",
            f"`{shlex.join(['python', 'benchmarks/epoch_floor.py', *sys.argv[1:]])}`",
            "",
            f"{X.shape[0]:,} users x {X.shape[1]:,} items, {X.nnz:,} entries; batches of "
            f"{model._n_batch_users(X.shape[0])} users, {torch.get_num_threads()} threads. In a "
            f"processor second a product makes {flops / 1e9:.0f} GFlop and a copy moves "
            f"{bandwidth / 1e9:.0f} GB: each stage's floor is the larger of its two quotients.",
            describe(machine(["skrec", "torch"])),
            "",
            *table("stage,GFlop,MB,floor (ms),measured (processor ms),share", rows),
            "",
        ]
    )
    click.echo(report)
    if out:
        with out.open("a") as file:
            file.write(report + "\n")


if __name__ == "__main__":
    main()
