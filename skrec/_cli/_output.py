"""What the commands print: JSON, progress, and files that are there whole or not at all."""

import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click


def on_terminal():
    """Tell whether somebody watches the standard error, so that progress may be shown."""
    return sys.stderr is not None and sys.stderr.isatty()


def status(message):
    """Say what goes on, if somebody watches."""
    if on_terminal():
        click.echo(message, err=True)


def print_json(content):
    """Print one JSON object."""
    # Ids may be of kinds that JSON does not know, such as dates.
    click.echo(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False, default=str))


def table_rows(table):
    """List the rows of a dict of columns as plain Python values; None stands for NaN."""
    columns = [column.tolist() for column in table.values()]
    return [
        {name: None if value != value else value for name, value in zip(table, row, strict=True)}
        for row in zip(*columns, strict=True)
    ]


def without_times(comparison):
    """Leave out a Comparison's last columns, which make it too wide for a terminal."""
    times = ("fit_time", "score_time")
    return type(comparison)({name: comparison[name] for name in comparison if name not in times})


def write_whole(path, write):
    """Write a text file so that it is never there in part.

    Parameters
    ----------
    path : pathlib.Path
        Replaced in one step.
    write : callable
        Is given the open file.
    """
    try:
        # A folder rather than a temporary file, so that the result gets the usual permissions.
        with TemporaryDirectory(prefix=f"{path.name}.part-", dir=path.parent) as folder:
            part = Path(folder) / path.name
            with open(part, "w", encoding="utf-8", newline="") as file:
                write(file)
            os.replace(part, path)
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror or error}") from error
