"""Interactions from a CSV, TSV or Parquet file."""

import csv
import gzip
import math
import sys
import warnings
import zlib
from datetime import datetime
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import click

from skrec._cli._output import note
from skrec._cli._separators import SEPARATORS
from skrec.utils._files import Lines

# Names without case, spaces and punctuation, in the order in which the roles take columns.
_KNOWN_NAMES = {
    "user": {"user", "userid", "uid", "customer", "customerid", "reviewerid", "visitorid"},
    "item": {"item", "itemid", "iid", "movie", "movieid", "product", "productid", "book", "bookid"}
    | {"asin", "track", "trackid", "artist", "artistid", "article", "articleid"},
    "rating": {"rating", "ratings", "score", "stars", "value", "count", "plays", "overall"},
    "timestamp": {"timestamp", "time", "date", "datetime", "unixreviewtime"},
}
# What may separate the columns, by the end of the name; see `_find_separator`.
_CANDIDATES = {".csv": ",;\t", ".tsv": "\t", ".txt": "\t,; "}
_FRAMES = ("polars", "pyarrow", "pandas")
_INSTALL = 'pip install "skrec[frames]"'
_LONGEST_LINE = 1 << 20
_N_TRIED = 100


class _Table(NamedTuple):
    """What a file holds: text as strings, and empty ones or None where something is missing."""

    path: Path
    names: list
    columns: list
    separator: str | None  # None for Parquet
    header: bool


class _WrongColumn(click.UsageError):
    """A column that cannot be used; whether it has to be, is for `read_interactions` to know."""

    def __init__(self, fault, fix):
        super().__init__(fault + fix)
        self.fault = fault


def read_interactions(
    path,
    *,
    user,
    item,
    rating,
    timestamp,
    header,
    duplicates,
    separator=None,
    needs_ratings=False,
):
    """Read a table of user, item[, rating[, timestamp]].

    Parameters
    ----------
    path : pathlib.Path
        A .csv, .tsv or .txt file, perhaps with .gz behind it, or a .parquet file.
    user, item, rating, timestamp : str or None
        Names of columns. None finds them by name, or else by position.
    header : bool
        Whether the first line of a text file has names. Without, the columns are "1", "2", ...
    duplicates : str
        As for ``Interactions.from_frame``.
    separator : str, default=None
        What separates the columns of a text file; None finds it.
    needs_ratings : bool, default=False
        Whether there is a use for the ratings. If not, a column of ratings that was found by its
        name but cannot be used is left out with a note; so is one of timestamps that was found,
        unless they decide which of several ratings counts.

    Returns
    -------
    interactions : Interactions
        With the ratings as values (1 without such a column). Ids in a text file are integers if
        all of them are written as such, otherwise strings.
    has_ratings : bool
    """
    from skrec.interactions import Interactions

    table = _read(path, header, separator)
    wanted = {"user": user, "item": item, "rating": rating, "timestamp": timestamp}
    chosen = _choose_columns(path, table.names, wanted)
    columns = {role: _stripped(table.columns[at]) for role, at in chosen.items()}
    columns = _without_blank_rows(columns)
    if not len(columns["user"]):
        raise click.UsageError(f"{path}: the table has no rows; at least one is needed")
    converted, faults = {}, {}
    for role, column in columns.items():
        try:
            converted[role] = _converted(table, chosen, role, column)
        except csv.Error as error:  # Python reads less than some data frame libraries do
            raise click.UsageError(f"{path}: cannot be read: {error}") from error
        except _WrongColumn as error:
            is_known = _plain(table.names[chosen[role]]) in _KNOWN_NAMES[role]
            if wanted[role] is None and (
                role == "timestamp" or (role == "rating" and is_known and not needs_ratings)
            ):
                faults[role] = error.fault
            else:
                raise
    try:
        data = Interactions.from_arrays(
            converted["user"],
            converted["item"],
            converted.get("rating"),
            timestamps=converted.get("timestamp"),
            duplicates=duplicates,
        )
    except ValueError as error:
        raise click.UsageError(f"{path}: {error}") from error
    has_ratings = "rating" in converted
    is_repeated = data.X.nnz < len(converted["user"])
    if "timestamp" in faults and needs_ratings and duplicates == "last" and is_repeated:
        raise click.UsageError(
            f"{faults['timestamp']}; the latest of several ratings of one user and item counts, "
            "so repair the column, or choose another rule with --duplicates"
        )
    without = {"rating": "and every row counts", "timestamp": "as nothing needs it"}
    for role, fault in faults.items():
        note(f"{fault}; the column is left out, {without[role]}")
    return data, has_ratings


def _read(path, header, separator):
    """Read the names of the columns, and the columns as series; those of text as strings."""
    import narwhals as nw

    suffixes = [suffix.lower() for suffix in path.suffixes]
    compressed = suffixes[-1:] == [".gz"]
    kind = "".join(suffixes[-2:-1] if compressed else suffixes[-1:])
    is_parquet = kind == ".parquet" and not compressed
    if not is_parquet and kind not in _CANDIDATES:
        raise click.UsageError(
            f"{path}: a name must end in .csv, .tsv, .txt (each also with .gz) or .parquet to "
            "tell what the file is"
        )
    if is_parquet and separator is not None:
        raise click.UsageError(f"{path}: a Parquet file has no --separator; leave it out")
    frame_library = next((name for name in _FRAMES if find_spec(name)), None)
    if frame_library is None:
        raise click.UsageError(
            f"reading a file needs a data frame library, such as polars: {_INSTALL}"
        )
    names = []
    try:
        if is_parquet:
            frame = nw.read_parquet(str(path), backend=frame_library)
            return _Table(path, frame.columns, list(frame.iter_columns()), None, header)
        _check_text(path)
        separator = separator or _find_separator(path, _CANDIDATES[kind])
        names = _first_record(path, separator, header)
        with warnings.catch_warnings():
            # pandas only warns when it leaves out a column that the header lacks.
            warnings.filterwarnings("error", message="Length of header")
            frame = nw.read_csv(
                str(path),
                backend=frame_library,
                separator=separator,
                **_as_strings(frame_library, len(names), skip_rows=int(header)),
            )
    except ImportError as error:
        raise click.UsageError(f"{path}: {frame_library} cannot read this: {_INSTALL}") from error
    except (*_read_errors(), Warning) as error:
        reason = _ragged(path, separator, len(names)) if names else None
        reason = reason or str(error).strip().partition("\n")[0] or type(error).__name__
        raise click.UsageError(f"{path}: cannot be read: {reason}") from error
    if header:
        _check_names(path, names)
    return _Table(path, names, list(frame.iter_columns()), separator, header)


def _open(path):
    return (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rb")


def _check_text(path):
    with _open(path) as file:
        line = file.readline(_LONGEST_LINE)
    if not line:
        raise ValueError("it is empty")
    if b"\0" in line or len(line) == _LONGEST_LINE:
        raise ValueError("it is not a text file")
    if b"\r" in line.rstrip(b"\r\n"):
        raise ValueError("its lines must end with line feeds, not with carriage returns alone")


def _records(path, separator):
    """Yield the line at which each record of a text file begins, and its fields.

    A record that spans several lines, as a quoted field may, counts once; one in which there is
    nothing is left out.
    """
    with _open(path) as file:
        lines = Lines(file)
        try:
            for fields in lines.each(csv.reader(lines, delimiter=separator)):
                fields = [field.strip() for field in fields]
                if any(fields):
                    yield lines.record, fields
        except UnicodeDecodeError as error:
            raise ValueError(f"line {lines.record}: {error}") from error
        except csv.Error as error:
            # Without Python's question about how the file was opened.
            raise csv.Error(f"line {lines.record}: {str(error).partition(' - ')[0]}") from error


def _find_separator(path, candidates):
    """Find the one that cuts each of the first records into as many fields, two at least."""
    found, faults = [], []
    for separator in candidates:
        try:
            records = list(islice(_records(path, separator), _N_TRIED))
        except csv.Error as error:
            faults.append(f"by {_named(separator)}, {error}")
            continue
        first, fields = records[0] if records else (1, [])
        other = next((record for record in records if len(record[1]) != len(fields)), None)
        if len(fields) < 2 or (
            # Such as "1, 2, 3", where the space belongs to the comma.
            separator == " " and any(field[-1:] in (",", ";") for field in fields[:-1])
        ):
            continue
        if other is None:
            found.append(separator)
        else:
            line, others = other
            faults.append(
                f"by {_named(separator)}, line {line} has {_n_fields(others)} and line {first} "
                f"has {len(fields)}"
            )
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(
            f"its columns may be separated by {' or by '.join(map(_named, found))}; say by which "
            "with --separator"
        )
    if faults:
        raise ValueError(
            "no separator cuts its first lines into the same number of fields: "
            f"{'; '.join(faults)}; repair these lines, or name the separator with --separator"
        )
    known = " or ".join(map(_named, candidates))
    raise ValueError(
        f"its first line has no {known} between a user and an item; if something else is there, "
        "name it with --separator"
    )


def _named(separator):
    names = {character: name for name, character in SEPARATORS.items()}
    return names.get(separator, repr(separator))


def _n_fields(fields):
    return f"{len(fields)} field{'s' if len(fields) > 1 else ''}"


def _first_record(path, separator, header):
    """Read the names of the columns, or number them, and see that a record follows them."""
    records = _records(path, separator)
    line, names = next(records, (1, []))
    if header and (line > 1 or any("\n" in name for name in names)):
        raise ValueError("its first line must hold the names of all columns")
    if len(names) < 2:
        raise ValueError(f"its first line has no {_named(separator)} between a user and an item")
    if header and next(records, None) is None:
        raise ValueError("the table has no rows; at least one is needed")
    return names if header else [str(number) for number in range(1, len(names) + 1)]


def _ragged(path, separator, n_columns):
    """Say which record has not as many fields as there are columns, if one has not."""
    try:
        for line, fields in _records(path, separator):
            if len(fields) != n_columns:
                return f"line {line} has {_n_fields(fields)} instead of {n_columns}"
    except _read_errors() as error:
        return str(error)
    return None


def _as_strings(frame_library, n_columns, skip_rows):
    """Make a library read text columns as they are, named by their position."""
    names = [str(position) for position in range(n_columns)]
    if frame_library == "polars":
        import polars

        schema = dict.fromkeys(names, polars.String)
        return {"has_header": False, "skip_rows": skip_rows, "schema": schema}
    if frame_library == "pandas":
        return {
            "header": None,
            "skiprows": skip_rows,
            "names": names,
            "index_col": False,
            "dtype": str,
            "keep_default_na": False,
        }
    import pyarrow
    from pyarrow.csv import ConvertOptions, ReadOptions

    types = dict.fromkeys(names, pyarrow.string())
    return {
        "read_options": ReadOptions(column_names=names, skip_rows=skip_rows),
        "convert_options": ConvertOptions(column_types=types),
    }


def _data_errors():
    """List what the installed libraries raise for data that they cannot read or convert."""
    from narwhals.exceptions import NarwhalsError

    polars = sys.modules.get("polars")
    errors = (ValueError, OverflowError, NarwhalsError)
    return (*errors, *([polars.exceptions.PolarsError] if polars else []))


def _read_errors():
    """List what is raised for files that cannot be read."""
    return (*_data_errors(), csv.Error, EOFError, OSError, zlib.error)


def _check_names(path, names):
    number = next((name for name in names if _is_number(name)), None)
    if number is not None:
        raise click.UsageError(
            f"{path}: its first line has the number {number} where a column name should be; if "
            "the file has no header, add --no-header"
        )


def _choose_columns(path, names, wanted):
    """Find the position of each role's column; a role that has none is left out."""
    listing = ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")
    chosen = {}
    for role, name in wanted.items():
        if name is not None and names.count(name) != 1:
            found = "several columns are" if name in names else "no column is"
            raise click.UsageError(
                f"{path}: --{role} {name}: {found} called so; the columns are {listing}"
            )
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
        roles = [role for role in wanted if role not in chosen]
        chosen |= dict(zip(roles, free, strict=False))
    for role in ("user", "item"):
        if role not in chosen:
            raise click.UsageError(
                f"{path}: which column has the {role}s? Name it with --{role}; the columns are "
                f"{listing}"
            )
    repeated = [role for role, at in chosen.items() if names.count(names[at]) > 1]
    if repeated:
        raise click.UsageError(
            f"{path}: several columns are called {names[chosen[repeated[0]]]!r}; rename all but "
            f"one, as one of them is to hold the {repeated[0]}s; the columns are {listing}"
        )
    if len(set(chosen.values())) < len(chosen):
        raise click.UsageError(
            f"{path}: --user, --item, --rating and --timestamp must name different columns; the "
            f"columns are {listing}"
        )
    return {role: chosen[role] for role in wanted if role in chosen}


def _plain(name):
    return "".join(filter(str.isalnum, name)).lower()


def _stripped(column):
    import narwhals as nw

    return column.str.strip_chars() if column.dtype == nw.String else column


def _is_missing(column):
    import narwhals as nw

    if column.dtype == nw.String:
        return column.fill_null("") == ""
    return column.is_null() | column.is_nan() if column.dtype.is_float() else column.is_null()


def _without_blank_rows(columns):
    """Drop the rows in which everything is missing: of the libraries, polars keeps blank lines."""
    missing = [_is_missing(column) for column in columns.values()]
    blank = missing[0]
    for other in missing[1:]:
        blank = blank & other
    return {role: column.filter(~blank) for role, column in columns.items()}


def _converted(table, chosen, role, column):
    """Make an array of a column, or refuse it, naming the first line that is wrong."""
    missing = _is_missing(column)
    if missing.any():
        place, _ = _first(table, chosen, role, lambda text: not text)
        raise _WrongColumn(
            f"{table.path}: the {role} is missing in {missing.sum()} rows, the first of them "
            f"{place}",
            "; fill it in or drop those rows",
        )
    convert = {"rating": _as_numbers, "timestamp": _as_times}.get(role)
    if convert is None:
        return _as_ids(column).to_numpy()
    values, is_wrong, rule = convert(column)
    if values is None:
        place, bad = _first(table, chosen, role, is_wrong)
        name = table.names[chosen[role]]
        raise _WrongColumn(
            f"{table.path}: column {name!r} holds {bad!r} ({place}), which is {rule}",
            f": name the column of the {role}s with --{role}; a file without one needs --user and "
            "--item",
        )
    return values


def _first(table, chosen, role, is_wrong):
    """Find the first line, in a Parquet file the first row from 1, with a wrong entry.

    Returns
    -------
    place : str
    entry : str
        As it is written, "" if there is none. If no entry is wrong by itself, the first.
    """
    from skrec.utils._columns import is_null

    if table.separator is None:
        rows = zip(*(table.columns[at].to_list() for at in chosen.values()), strict=True)
        rows = (["" if is_null(entry) else str(entry).strip() for entry in row] for row in rows)
        places = ((f"row {number}", row) for number, row in enumerate(rows, 1))
    else:
        records = islice(_records(table.path, table.separator), int(table.header), None)
        n_columns = len(table.names)
        padded = ((line, [*fields, *[""] * n_columns]) for line, fields in records)
        places = ((f"line {n}", [fields[at] for at in chosen.values()]) for n, fields in padded)
    column = list(chosen).index(role)
    # As in `_without_blank_rows`.
    entries = ((place, row[column]) for place, row in places if any(row))
    first = next(entries)
    if is_wrong(first[1]):
        return first
    return next((entry for entry in entries if is_wrong(entry[1])), first)


def _as_ids(column):
    """Convert to integers if all are written as integers are, so that "007" stays as it is."""
    import narwhals as nw

    if column.dtype != nw.String:
        return column
    try:
        numbers = column.cast(nw.Int64)
        return numbers if (numbers.cast(nw.String) == column).all() else column
    except _data_errors():
        return column


def _as_numbers(column):
    """Convert to numbers, which are None if one is wrong; also what is wrong, and the rule."""
    import narwhals as nw
    import numpy as np

    try:
        values = column.cast(nw.Float64).to_numpy()
    except _data_errors():
        return None, lambda text: not _is_number(text), "not a number"
    largest = float(np.finfo(np.float32).max)
    if not (abs(values) <= largest).all():
        return None, lambda text: not _is_number(text, largest), "not finite in float32"
    return values, None, None


def _as_times(column):
    """Convert to numbers or datetimes, as `_as_numbers` does."""
    import narwhals as nw

    from skrec.utils._columns import as_timestamps

    conversions = [lambda: column]
    if column.dtype == nw.String:
        conversions = [lambda: column.cast(nw.Float64), column.str.to_datetime]
    for convert in conversions:
        try:
            with warnings.catch_warnings():
                # pandas only warns when it takes each entry for what it looks like by itself.
                warnings.filterwarnings("error", message="Could not infer format")
                return as_timestamps(convert().to_numpy()), None, None
        except (*_data_errors(), Warning, NotImplementedError):  # the latter of pyarrow for dates
            continue
    is_right = _is_number if _is_number(str(column[0])) else _is_date
    return None, lambda text: not is_right(text), "no timestamp (all numbers or all dates)"


def _is_number(text, largest=math.inf):
    try:
        return abs(float(text)) <= largest
    except ValueError:
        return False


def _is_date(text):
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
