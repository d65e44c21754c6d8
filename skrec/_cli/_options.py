"""The options that say how to read a file, and what they lead to."""

import math
import re
import warnings
from contextlib import contextmanager
from pathlib import Path

import click
from click.core import ParameterSource

from skrec._cli._output import note, status


def finite(context, param, value):
    """Refuse NaN and infinity, which click takes for numbers in any range."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number")
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


def model_options(multiple):
    """Give a command the options that choose a model, or several, and set their parameters."""
    default = "all that apply" if multiple else "EASE"
    repeated = "; may be repeated" if multiple else ""
    options = [
        click.option(
            "--model",
            "model_names" if multiple else "model_name",
            metavar="NAME",
            multiple=multiple,
            help=f"A model, as --list-models names it{repeated}.  [default: {default}]",
        ),
        click.option(
            "--param",
            "params",
            metavar="NAME=VALUE",
            multiple=True,
            help="A parameter of the model, such as l2=100, or EASE.l2=100 where there are "
            "several; may be repeated.",
        ),
        click.option(
            "--list-models",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_list_models,
            help="List the models, with what they read, and exit.",
        ),
    ]
    return _with_options(options)


def _list_models(context, param, value):
    if not value or context.resilient_parsing:
        return
    from tabulate import tabulate

    from skrec._cli._models import listing

    rows = [[entry[key] for key in ("model", "kind", "reads", "line")] for entry in listing()]
    click.echo(tabulate(rows, ["model", "kind", "reads", "what it is"]))
    context.exit()


def tuning_options(what, default):
    """Give a command the options of a search for good parameters."""
    options = [
        click.option("--tune", "tuned", is_flag=True, help=what),
        click.option(
            "--budget",
            callback=finite,
            metavar="SECONDS",
            type=click.FloatRange(min=0, min_open=True),
            help=default,
        ),
    ]
    return _with_options(options)


def _with_options(options):
    def decorate(command):
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def repeated_words(context, names):
    """Write out those of the options that were given, to repeat them in another command."""
    words = []
    for param in context.command.params:
        given = context.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
        if param.name not in names or not given:
            continue
        value = context.params[param.name]
        if param.is_flag:
            words.append(param.opts[0] if value else param.secondary_opts[0])
        else:
            words += [param.opts[0], f"{value:.9g}" if isinstance(value, float) else str(value)]
    return words


def as_argument(path):
    """Write a path so that a command does not take it for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def table_names():
    """Name the options that say how to read a file."""

    @table_options
    def command():
        pass

    return {option.name for option in command.__click_params__} - {"file"}


def load(file, min_rating, **table):
    """Read a file; what is wrong with it, or left out of it, is said in the options' words."""
    from skrec.datasets import read_interactions

    status(f"reading {file}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            data = read_interactions(file, **table)
        except ValueError as error:
            raise click.UsageError(_in_options(str(error))) from error
    notes = [_in_options(str(warning.message)) for warning in caught]
    if min_rating is not None and table["rating"] is None and (data.X.data == 1).all():
        reason = "; ".join(notes) or f"{file} has no column of ratings; name it with --rating"
        raise click.UsageError(f"--min-rating needs ratings: {reason}")
    for message in notes:
        note(message)
    return data


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
