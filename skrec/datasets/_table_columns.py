"""Columns of a table as arrays of ids, ratings, times and texts."""

from contextlib import suppress
from functools import partial

import numpy as np
import polars as pl

from skrec.datasets._table_files import BEGINS_WITH_YEAR, date_in, is_number
from skrec.utils._columns import as_timestamps

_LARGEST = float(np.finfo(np.float32).max)
_DECIMAL_COMMA = r"^-?\d+(,\d{1,2})?$"
# Seconds in 1973: what no rating is, and hardly a count.
_LEAST_TIME = 1e8


class WrongColumn(ValueError):
    """A column that cannot be used; whether it has to be, is for the reader to know."""

    def __init__(self, fault, fix):
        super().__init__(fault + fix)
        self.fault = fault


def prepared(column):
    # NumPy has no integers of 128 bits.
    if column.dtype in (pl.Categorical, pl.Enum) or "Int128" in str(column.dtype):
        column = column.cast(pl.String)
    return column.str.strip_chars() if column.dtype == pl.String else column


def _is_missing(column):
    if column.dtype == pl.String:
        return column.fill_null("") == ""
    return column.is_null() | (column.is_nan() if column.dtype.is_float() else False)


def without_blank_rows(columns):
    """Drop the rows in which everything is missing, as blank lines are kept in reading."""
    is_blank = pl.select(pl.all_horizontal(*map(_is_missing, columns.values()))).to_series()
    return {role: column.filter(~is_blank) for role, column in columns.items()}


def has_dates(column):
    times, _, _ = _as_times(column)
    return times is not None and times.dtype.kind == "M"


def looks_like_times(column):
    numbers = _cast(column)
    return has_dates(column) if numbers is None else numbers.min() >= _LEAST_TIME


def converted(table, chosen, role, column):
    """Make an array of a column, or refuse it, naming the first line that is wrong."""
    if role == "review":
        if column.dtype != pl.String:
            name = table.names[chosen[role]]
            raise WrongColumn(f"column {name!r} holds no texts", ": name that of the reviews")
        return column.fill_null("").to_numpy()
    missing = _is_missing(column)
    if missing.any():
        place, _ = _first(table, chosen, role, lambda text: not text)
        raise WrongColumn(
            f"the {role} is missing in {missing.sum()} rows, the first of them {place}",
            "; fill it in or drop those rows",
        )
    if role in ("user", "item"):
        return (column if table.is_typed else _as_ids(column)).to_numpy()
    values, is_wrong, rule = (_as_numbers if role == "rating" else _as_times)(column)
    if values is None:
        place, bad = _first(table, chosen, role, is_wrong)
        raise WrongColumn(
            f"column {table.names[chosen[role]]!r} holds {bad!r} ({place}), which is "
            f"{rule}{_hint(role, bad)}",
            f": name the column of the {role}s with {role}=; a file without one needs user= and "
            "item=",
        )
    return values


def _hint(role, text):
    if text.lower() in ("na", "n/a", "nan", "null", "none", "-", "?", "\\n"):
        return ": fill it in or drop such rows"
    if role == "rating" and "," in text and is_number(text.replace(",", "")):
        return ": write it without commas, decimals with a point"
    return ""


def _first(table, chosen, role, is_wrong):
    """Find the place of the first wrong entry, and the entry as it is written.

    If no entry is wrong by itself, these are of the first.
    """
    rows = ((place, [row[at] for at in chosen.values()]) for place, row in table.rows())
    column = list(chosen).index(role)
    # As in `without_blank_rows`.
    entries = ((place, row[column]) for place, row in rows if any(row))
    first = next(entries)
    if is_wrong(first[1]):
        return first
    return next((entry for entry in entries if is_wrong(entry[1])), first)


def _as_ids(column):
    """Convert to integers if all are written as integers are, so that "007" stays as it is."""
    numbers = column.cast(pl.Int64, strict=False)
    is_same = not numbers.is_null().any() and (numbers.cast(pl.String) == column).all()
    return numbers if is_same else column


def _as_numbers(column):
    """Convert to numbers, which are None if one is wrong; also what is wrong, and the rule."""
    if column.dtype == pl.String and column.str.contains(_DECIMAL_COMMA).all():
        column = column.str.replace(",", ".", literal=True)
    numbers = _cast(column)
    if numbers is None:
        return None, lambda text: not is_number(text), "not a number"
    if not (numbers.abs() <= _LARGEST).all():
        return None, lambda text: not is_number(text, _LARGEST), "not finite in float32"
    return numbers.to_numpy(), None, None


def _as_times(column):
    """Convert to numbers or datetimes, as `_as_numbers` does."""
    is_right = is_number
    if column.dtype == pl.String:
        first = column[0] or ""
        if is_number(first):
            column = _cast(column)
        else:
            column = _as_dates(column)
            is_right = partial(_is_date, has_zone=_is_date(first, True))
    if column is not None:
        with suppress(ValueError):
            return as_timestamps(column.to_numpy()), None, None
    rule = (
        "no timestamp (all numbers, or all dates such as 2024-01-31 or 2024-01-31T12:00Z, with a "
        "time zone or without)"
    )
    return None, lambda text: not is_right(text), rule


def _is_date(text, has_zone):
    date = date_in(text)
    return date is not None and (date.tzinfo is not None) == has_zone


def _cast(column):
    """Make numbers, or None if one is wrong."""
    # Not strictly, as some versions of polars die of the error that they would raise.
    with suppress(pl.exceptions.PolarsError):
        numbers = column.cast(pl.Float64, strict=False)
        return None if numbers.is_null().any() else numbers
    return None


def _as_dates(column):
    """Make datetimes of texts that begin with a year, or None if one is wrong."""
    if not column.str.contains(BEGINS_WITH_YEAR).all():
        return None
    with suppress(pl.exceptions.PolarsError):
        dates = column.str.to_datetime(strict=False)
        return None if dates.is_null().any() else dates
    return None
