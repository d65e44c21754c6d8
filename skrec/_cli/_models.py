"""The models that commands offer: which apply to data, under which names, with which settings."""

import ast
import json
import re
from dataclasses import dataclass, field
from difflib import get_close_matches

import click

from skrec._model_table import MODELS

# In the order in which they are compared: where time is short, the last ones are left out.
KINDS = (
    "calibration",
    "linear",
    "neighbors",
    "factorization",
    "autoencoders",
    "networks",
    "text",
    "ensemble",
)
# Up to so many entries, models that take long are trained with the `fast` settings of the table.
SMALL = 300_000


def kind_of(row):
    """Name the room of a model, or say that it is there to compare with."""
    return "calibration" if row.calibration else row.room


@dataclass(frozen=True)
class Setting:
    """A model with parameters.

    Parameters
    ----------
    row : ModelRow
    base : dict
        Parameters that every command sets for data of this size.
    changes : dict
        Parameters beyond these, which a command has to name.
    """

    row: object
    base: dict = field(default_factory=dict)
    changes: dict = field(default_factory=dict)

    @property
    def name(self):
        """The model's name, and what is changed: EASE(l2=100)."""
        changes = ", ".join(f"{name}={value!r}" for name, value in self.changes.items())
        return f"{self.row.name}({changes})" if changes else self.row.name

    def make(self):
        """Make the estimator; all that is random comes from seed 0."""
        model = self.row.load()(**{**self.base, **self.changes})
        if "random_state" in model.get_params(deep=False) and "random_state" not in self.changes:
            model.set_params(random_state=0)
        return model

    def with_changes(self, changes):
        """Change more parameters."""
        return Setting(self.row, self.base, {**self.changes, **changes})

    def options(self):
        """Write out the command line's options that make this setting."""
        words = ["--model", self.row.name]
        for name, value in self.changes.items():
            words += ["--param", f"{name}={_literal(value)}"]
        return words


def _literal(value):
    """Write a value as `parse_value` reads it."""
    if isinstance(value, str):
        return json.dumps(value) if parse_value(value) != value else value
    return repr(value)


def parse_value(text):
    """Read a number, a tuple, True, None, ...; anything else is a string."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def find_row(name):
    """Find a model by its name, in upper or lower case."""
    by_lower = {known.lower(): row for known, row in MODELS.items()}
    row = by_lower.get(name.lower())
    if row is None:
        near = get_close_matches(name.lower(), by_lower, n=1)
        hint = f" Did you mean {by_lower[near[0]].name}?" if near else ""
        raise click.UsageError(
            f"--model {name}: there is no such model.{hint} The models are: {', '.join(MODELS)}"
        )
    return row


def applicable(reads):
    """List the models that are compared by default, cheap kinds first.

    Parameters
    ----------
    reads : set of {"choices", "ratings", "reviews"}
        What the data have.
    """
    rows = [row for row in MODELS.values() if row.reads in reads]
    return sorted(rows, key=lambda row: KINDS.index(kind_of(row)))


def settings_of(rows, params, n_entries, is_asked=True):
    """Give models their parameters.

    Parameters
    ----------
    rows : list of ModelRow
    params : list of str
        As on the command line: "name=value" for each model, "MODEL.name=value" for one.
    n_entries : int
        Size of the data.
    is_asked : bool, default=True
        Whether the models were named; a parameter for each of them makes no sense otherwise.

    Returns
    -------
    settings : list of Setting
    """
    settings = {row.name: Setting(row, row.fast if n_entries <= SMALL else {}) for row in rows}
    for param in params:
        match = re.fullmatch(r"(?:(\w+)\.)?(\w+)=(.*)", param, re.DOTALL)
        if match is None:
            raise click.UsageError(
                f"--param {param}: write name=value or MODEL.name=value, such as EASE.l2=100"
            )
        model, name, value = match.groups()
        names = list(settings)
        if model is None and not is_asked:
            raise click.UsageError(
                f"--param {param}: of which model? Name it with --model, or write MODEL.{param}"
            )
        if model is not None:
            names = [find_row(model).name]
            if names[0] not in settings:
                raise click.UsageError(
                    f"--param {param}: {names[0]} is not among the models: {', '.join(settings)}"
                )
        for chosen in names:
            known = settings[chosen].row.load()().get_params(deep=False)
            if name not in known:
                listed = ", ".join(sorted(known)) or "none"
                raise click.UsageError(
                    f"--param {param}: {chosen} has no such parameter; it has: {listed}"
                )
            settings[chosen] = settings[chosen].with_changes({name: parse_value(value)})
    return list(settings.values())


def listing():
    """Describe all models: name, kind, what it reads, and what it is."""
    rows = sorted(MODELS.values(), key=lambda row: KINDS.index(kind_of(row)))
    return [
        {
            "model": row.name,
            "kind": kind_of(row),
            "reads": row.reads,
            "line": row.line.replace("`", ""),
        }
        for row in rows
    ]
