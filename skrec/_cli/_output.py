"""What the commands print: JSON, progress, notes, and files."""

import json
import sys

import click

from skrec.utils._files import written_whole


def on_terminal():
    """Tell whether somebody watches the standard error, so that progress may be shown."""
    return sys.stderr is not None and sys.stderr.isatty()


def status(message):
    """Say what goes on, if somebody watches."""
    if on_terminal():
        click.echo(message, err=True)


def note(message):
    """Say in one line, to anybody, what was done otherwise than the file suggests."""
    click.echo(f"skrec: note: {' '.join(message.split())}", err=True)


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
        with written_whole(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
            write(file)
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror or error}") from error
