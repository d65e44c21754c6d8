"""Interactions from a file: which of its columns, and what they hold."""

import codecs
import csv
from os import PathLike
from pathlib import Path

import numpy as np
import polars as pl

from skrec.datasets._table_files import (
    BEGINS_WITH_YEAR,
    SEPARATORS,
    is_date,
    is_number,
    read_table_file,
)
from skrec.interactions import Interactions
from skrec.utils._columns import as_timestamps
from skrec.utils._compat import StrOptions, validate_params
from skrec.utils._warnings import warn

# Names without case, spaces and punctuation, in the order in which the roles take columns.
_KNOWN_NAMES = {
    "user": {"user", "userid", "uid", "customer", "customerid", "reviewerid", "visitorid"},
    "item": {"item", "itemid", "iid", "movie", "movieid", "product", "productid", "book", "bookid"}
    | {"asin", "track", "trackid", "artist", "artistid", "article", "articleid", "isbn"}
    | {"song", "songid", "business", "businessid", "game", "gameid"},
    "rating": {"rating", "ratings", "score", "stars", "value", "count", "plays", "overall"}
    | {"bookrating"},
    "timestamp": {"timestamp", "time", "date", "datetime", "unixreviewtime"},
    "review": {"review", "reviewtext", "text"},
}
ROLES = tuple(_KNOWN_NAMES)
_BY_POSITION = ("user", "item", "rating", "timestamp")
_LARGEST = float(np.finfo(np.float32).max)
_DECIMAL_COMMA = r"^-?\d+(,\d{1,2})?$"
# Seconds in 1973: what no rating is, and hardly a count.
_LEAST_TIME = 1e8


class _WrongColumn(ValueError):
    """A column that cannot be used; whether it has to be, is for the reader to know."""

    def __init__(self, fault, fix):
        super().__init__(fault + fix)
        self.fault = fault


@validate_params(
    {
        "path": [str, PathLike],
        **dict.fromkeys(_KNOWN_NAMES, [str, None]),
        "separator": [str, None],
        "header": ["boolean", None],
        "encoding": [str],
        "duplicates": [StrOptions({"error", "last", "sum", "mean", "max"})],
    },
    prefer_skip_nested_validation=True,
)
def read_interactions(
    path,
    *,
    user=None,
    item=None,
    rating=None,
    timestamp=None,
    review=None,
    separator=None,
    header=None,
    encoding="utf-8",
    duplicates="error",
):
    """Read a file with one row per interaction.

    Parameters
    ----------
    path : str or path-like
        Text with separators (.csv, .tsv, .txt, .dat, .data) or one JSON object per line (.jsonl,
        .ndjson, .json), each perhaps with .gz behind it; or .parquet.
    user, item, rating, timestamp, review : str, default=None
        Names of columns. With None, the one with a usual name, such as userId, movieId, asin,
        stars, date or reviewText. If neither the user nor the item has one, columns are taken in
        the order user, item, rating, timestamp, but for one of times in the third place.
    separator : str, default=None
        What separates the columns of a text: "comma", "semicolon", "tab", "space", "::" or
        another character. With None, the one that cuts all of the first lines into as many
        columns.
    header : bool, default=None
        Whether the first line of a text names the columns; otherwise they are called "1", "2"
        and so on. With None, it does unless it looks like the lines that follow.
    encoding : str, default="utf-8"
        How text is encoded, as Python calls it, such as "latin-1". Byte order marks are heeded.
    duplicates : {"error", "last", "sum", "mean", "max"}, default="error"
        What becomes of several rows of one user and item; see
        :meth:`skrec.Interactions.from_frame`.

    Returns
    -------
    interactions : Interactions
        With the ratings as values (1 without such a column). Ids in text with separators are
        integers if all of them are written as such, so that "007" stays a string. Of dates with a
        time zone, the timestamps are in UTC.

    Raises
    ------
    ValueError
        If the file cannot be read, a column is missing or named twice, an id is missing, a column
        that is asked for by its name holds what it cannot, or a pair of user and item is repeated
        and `duplicates` is "error". Messages name lines of a text, or rows of Parquet, from 1.

    Warns
    -----
    UserWarning
        If a column of ratings, timestamps or reviews that was not asked for cannot be used; it is
        left out.

    See Also
    --------
    skrec.Interactions.from_frame : Reads a data frame.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skrec.datasets import read_interactions
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "ratings.csv"
    ...     _ = path.write_text("userId;movieId;stars\\n007;12;4,5\\n007;7;3\\n12;7;5\\n")
    ...     ratings = read_interactions(path)
    >>> ratings.user_ids, ratings.item_ids
    (array(['007', '12'], dtype=object), array([ 7, 12]))
    >>> ratings.X.toarray()
    array([[3. , 4.5],
           [5. , 0. ]], dtype=float32)
    """
    _check_options(separator, encoding)
    path = Path(path)
    wanted = {
        "user": user,
        "item": item,
        "rating": rating,
        "timestamp": timestamp,
        "review": review,
    }
    try:
        data, faults = _read(path, wanted, duplicates, separator, header, encoding)
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path}: {error}") from error
    for role, fault in faults.items():
        effect = ", and every row counts 1" if role == "rating" else ""
        warn(f"{path}: {fault}; the column is left out{effect}")
    return data


def _check_options(separator, encoding):
    character = SEPARATORS.get(separator, separator)
    if character not in (None, "::") and (
        len(character) != 1
        or not character.isascii()
        or character.isalnum()
        or character in '"\r\n\0'
    ):
        raise ValueError(
            f"separator={separator!r} is none of {', '.join(SEPARATORS)} and '::', nor one ASCII "
            "character that is no letter, digit or quote"
        )
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        raise ValueError(
            f"encoding={encoding!r} is unknown to Python; use such as utf-8, latin-1, utf-16"
        ) from error


def _read(path, wanted, duplicates, separator, header, encoding):
    known = set().union(*_KNOWN_NAMES.values())
    table = read_table_file(
        path,
        separator=separator,
        header=header,
        encoding=encoding,
        is_known=lambda name: _plain(name) in known or name in wanted.values(),
    )
    chosen = _choose_columns(table.names, wanted)
    columns = {role: _prepared(table.columns[at]) for role, at in chosen.items()}
    columns = _without_blank_rows(columns)
    if not len(columns["user"]):
        raise ValueError("the table has no rows; at least one is needed")
    by_position = wanted["rating"] is None and not _is_known(table, chosen, "rating")
    if by_position and _looks_like_times(columns["rating"]):
        for by_role in (chosen, columns):
            times, ratings = by_role.pop("rating"), by_role.pop("timestamp", None)
            by_role |= {"timestamp": times} | ({} if ratings is None else {"rating": ratings})

    converted, faults = {}, {}
    for role, column in columns.items():
        try:
            if role == "review" and duplicates in ("sum", "mean"):
                raise _WrongColumn(
                    f"reviews cannot be combined by duplicates={duplicates!r}",
                    "; leave review= out, or choose last or max",
                )
            converted[role] = _converted(table, chosen, role, column)
        except _WrongColumn as error:
            is_optional = role in ("timestamp", "review") or _is_known(table, chosen, "rating")
            if wanted[role] is not None or role in ("user", "item") or not is_optional:
                raise
            faults[role] = error.fault
    data = Interactions.from_arrays(
        converted["user"],
        converted["item"],
        converted.get("rating"),
        reviews=converted.get("review"),
        timestamps=converted.get("timestamp"),
        duplicates=duplicates,
    )
    is_repeated = data.X.nnz < len(converted["user"])
    if "timestamp" in faults and "rating" in converted and duplicates == "last" and is_repeated:
        raise ValueError(
            f"{faults['timestamp']}; the latest of several ratings of one user and item counts, "
            "so repair the column, or choose another rule with duplicates="
        )
    return data, faults


def _choose_columns(names, wanted):
    """Find the position of each role's column; a role that has none is left out."""
    listing = ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")
    chosen = {}
    for role, name in wanted.items():
        if name is not None and names.count(name) != 1:
            found = "several columns are" if name in names else "no column is"
            raise ValueError(f"{role}={name!r}: {found} called so; the columns are {listing}")
        if name is not None:
            chosen[role] = names.index(name)
    for role, known in _KNOWN_NAMES.items():
        if role not in chosen:
            free = (at for at in range(len(names)) if at not in chosen.values())
            position = next((at for at in free if _plain(names[at]) in known), None)
            if position is not None:
                chosen[role] = position
    if not {"user", "item"} & set(chosen):
        free = [at for at in range(len(names)) if at not in chosen.values()]
        roles = [role for role in _BY_POSITION if role not in chosen]
        chosen |= dict(zip(roles, free, strict=False))
    for role in ("user", "item"):
        if role not in chosen:
            raise ValueError(
                f"which column has the {role}s? Name it with {role}=; the columns are {listing}"
            )
    repeated = [role for role, at in chosen.items() if names.count(names[at]) > 1]
    if repeated:
        raise ValueError(
            f"several columns are called {names[chosen[repeated[0]]]!r}; rename all but one, as "
            f"one of them is to hold the {repeated[0]}s; the columns are {listing}"
        )
    if len(set(chosen.values())) < len(chosen):
        raise ValueError(
            "user=, item=, rating=, timestamp= and review= must name different columns; the "
            f"columns are {listing}"
        )
    return {role: chosen[role] for role in wanted if role in chosen}


def _is_known(table, chosen, role):
    return role not in chosen or _plain(table.names[chosen[role]]) in _KNOWN_NAMES[role]


def _plain(name):
    return "".join(filter(str.isalnum, name)).lower()


def _prepared(column):
    # NumPy has no integers of 128 bits.
    if column.dtype in (pl.Categorical, pl.Enum) or "Int128" in str(column.dtype):
        column = column.cast(pl.String)
    return column.str.strip_chars() if column.dtype == pl.String else column


def _is_missing(column):
    if column.dtype == pl.String:
        return column.fill_null("") == ""
    return column.is_null() | (column.is_nan() if column.dtype.is_float() else False)


def _without_blank_rows(columns):
    """Drop the rows in which everything is missing, as blank lines are kept in reading."""
    is_blank = pl.select(pl.all_horizontal(*map(_is_missing, columns.values()))).to_series()
    return {role: column.filter(~is_blank) for role, column in columns.items()}


def _looks_like_times(column):
    times, _, _ = _as_times(column)
    return times is not None and (times.dtype.kind == "M" or times.min() >= _LEAST_TIME)


def _converted(table, chosen, role, column):
    """Make an array of a column, or refuse it, naming the first line that is wrong."""
    if role == "review":
        if column.dtype != pl.String:
            name = table.names[chosen[role]]
            raise _WrongColumn(f"column {name!r} holds no texts", ": name that of the reviews")
        return column.fill_null("").to_numpy()
    missing = _is_missing(column)
    if missing.any():
        place, _ = _first(table, chosen, role, lambda text: not text)
        raise _WrongColumn(
            f"the {role} is missing in {missing.sum()} rows, the first of them {place}",
            "; fill it in or drop those rows",
        )
    if role in ("user", "item"):
        return (column if table.is_typed else _as_ids(column)).to_numpy()
    values, is_wrong, rule = (_as_numbers if role == "rating" else _as_times)(column)
    if values is None:
        place, bad = _first(table, chosen, role, is_wrong)
        raise _WrongColumn(
            f"column {table.names[chosen[role]]!r} holds {bad!r} ({place}), which is "
            f"{rule}{_hint(role, bad)}",
            f": name the column of the {role}s with {role}=; a file without one needs user= and "
            "item=",
        )
    return values


def _hint(role, text):
    if text.lower() in ("na", "n/a", "nan", "null", "none", "-", "?", "\\n"):
        return ": fill it in or drop such rows"
    if role == "rating" and is_number(text.replace(",", "")):
        return ": write it without commas, decimals with a point"
    return ""


def _first(table, chosen, role, is_wrong):
    """Find the place of the first wrong entry, and the entry as it is written.

    If no entry is wrong by itself, these are of the first.
    """
    rows = ((place, [row[at] for at in chosen.values()]) for place, row in table.rows())
    column = list(chosen).index(role)
    # As in `_without_blank_rows`.
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
    try:
        values = column.cast(pl.Float64).to_numpy()
    except pl.exceptions.PolarsError:
        return None, lambda text: not is_number(text), "not a number"
    if not (abs(values) <= _LARGEST).all():
        return None, lambda text: not is_number(text, _LARGEST), "not finite in float32"
    return values, None, None


def _as_times(column):
    """Convert to numbers or datetimes, as `_as_numbers` does."""
    is_right = is_date
    try:
        if column.dtype == pl.String and is_number(column[0] or ""):
            is_right = is_number
            column = column.cast(pl.Float64)
        elif column.dtype == pl.String and column.str.contains(BEGINS_WITH_YEAR).all():
            column = column.str.to_datetime()
        return as_timestamps(column.to_numpy()), None, None
    except (ValueError, pl.exceptions.PolarsError):
        rule = "no timestamp (all numbers, or all dates such as 2024-01-31 or 2024-01-31T12:00Z)"
        return None, lambda text: not is_right(text), rule
