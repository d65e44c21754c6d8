"""The options that say how to read a file, and what they lead to."""

import math
import re
import warnings
from contextlib import contextmanager
from pathlib import Path

import click

from skrec._cli._output import note, status

_LARGEST = 3.4e38  # models compute in float32


def finite(context, param, value):
    """Refuse NaN and infinity, which click takes for numbers in any range."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number")
    return value


def in_float32(context, param, value):
    """Refuse what is not finite in the precision in which models compute."""
    if not abs(finite(context, param, value)) <= _LARGEST:
        raise click.BadParameter(f"{value} is more than {_LARGEST:g}, the most that models hold")
    return value


@contextmanager
def refusals(what):
    """Answer in one line what a model says against its parameters and data within the block."""
    try:
        yield
    except ValueError as error:
        raise click.UsageError(f"{what}: {error}") from error


def table_options(command):
    """Give a command the argument FILE, and the options that say how to read it."""
    options = [
        click.argument(
            "file", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
        ),
        click.option("--user", metavar="COL", help="Column of the user ids."),
        click.option("--item", metavar="COL", help="Column of the item ids."),
        click.option(
            "--rating",
            metavar="COL",
            help="Column of the ratings. One that is found by its name, but holds other things "
            "than numbers, is left out with a note unless --min-rating needs it.",
        ),
        click.option(
            "--timestamp",
            metavar="COL",
            help="Column of numbers or dates. One that is found, but holds other things, is left "
            "out with a note unless it decides which of several ratings counts.",
        ),
        click.option("--review", metavar="COL", help="Column of the texts of reviews."),
        click.option(
            "--separator",
            metavar="CHAR",
            help="What separates the columns of a text file: comma, semicolon, tab, space, :: or "
            "another character. Without it, the one that cuts all of the first lines into as many "
            "columns.",
        ),
        click.option(
            "--header/--no-header",
            default=None,
            help="Whether the first line of a text file names the columns; otherwise they are "
            "called 1, 2, 3, ... Without it, a first line does that does not look like the next.",
        ),
        click.option(
            "--encoding",
            metavar="NAME",
            default="utf-8",
            show_default=True,
            help="How text is encoded, such as latin-1.",
        ),
        click.option(
            "--min-rating",
            metavar="X",
            type=float,
            callback=finite,
            help="Learn from ratings of X or more only. Without it, every row counts.",
        ),
        click.option(
            "--duplicates",
            type=click.Choice(["last", "error", "sum", "mean", "max"]),
            default="last",
            show_default=True,
            help="What becomes of several rows of one user and item. 'last' goes by the "
            "timestamps if there are any.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def load(file, min_rating, **table):
    """Read a file; also a matrix in which the entries to learn from are 1, the others 0."""
    import numpy as np

    from skrec.datasets import read_interactions

    status(f"reading {file}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            data = read_interactions(file, **table)
        except ValueError as error:
            raise click.UsageError(_in_options(str(error))) from error
    notes = [_in_options(str(warning.message)) for warning in caught]
    if min_rating is not None and (data.X.data == 1).all():
        reason = "; ".join(notes) or f"{file} has no column of ratings; name it with --rating"
        raise click.UsageError(f"--min-rating needs ratings: {reason}")
    for message in notes:
        note(message)
    X = data.X.copy()
    # In the precision of the ratings, where 4.1 is 4.1, and 1e300 infinite.
    with np.errstate(over="ignore"):
        least = X.dtype.type(-np.inf if min_rating is None else min_rating)
    X.data = (X.data >= least).astype(X.dtype)
    return data, X


def _in_options(message):
    """Name options where a message names parameters of `read_interactions`."""
    message = message.replace("header=True", "--header").replace("header=False", "--no-header")
    parameters = "user|item|rating|timestamp|review|separator|header|encoding|duplicates"
    message = re.sub(rf"\b({parameters})=(['\"])(.*?)\2", r"--\1 \3", message)
    return re.sub(rf"\b({parameters})=", r"--\1", message)


def without_zeros(X):
    X = X.copy()
    X.eliminate_zeros()
    return X


def rated(min_rating):
    return "" if min_rating is None else f" rated {min_rating:g} or more"
