"""Interactions from a CSV, TSV or Parquet file."""

import csv
import gzip
import sys
import warnings
import zlib
from importlib.util import find_spec

import click

# Names without case, spaces and punctuation, in the order in which the roles take columns.
_KNOWN_NAMES = {
    "user": {"user", "userid", "uid", "customer", "customerid", "reviewerid", "visitorid"},
    "item": {"item", "itemid", "iid", "movie", "movieid", "product", "productid", "book", "bookid"}
    | {"asin", "track", "trackid", "artist", "artistid", "article", "articleid"},
    "rating": {"rating", "ratings", "score", "stars", "value", "count", "plays", "overall"},
    "timestamp": {"timestamp", "time", "date", "datetime", "unixreviewtime"},
}
# Of these, the first that occurs in the first line separates the columns.
_SEPARATORS = {".csv": ",;\t", ".tsv": "\t", ".txt": "\t,; "}
_FRAMES = ("polars", "pyarrow", "pandas")
_INSTALL = 'pip install "skrec[frames]"'
_LONGEST_LINE = 1 << 20


def read_interactions(path, *, user, item, rating, timestamp, header, duplicates):
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

    Returns
    -------
    interactions : Interactions
        With the ratings as values (1 without such a column). Ids in a text file are integers if
        all of them are written as such, otherwise strings.
    has_ratings : bool
    """
    from skrec import Interactions

    names, columns = _read(path, header)
    wanted = {"user": user, "item": item, "rating": rating, "timestamp": timestamp}
    chosen = _choose_columns(path, names, wanted)
    columns = {role: _stripped(columns[at]) for role, at in chosen.items()}
    columns = _without_blank_rows(columns)
    for role, column in columns.items():
        missing = _is_missing(column)
        if missing.any():
            row = missing.to_list().index(True) + 1
            raise click.UsageError(
                f"{path}: the {role} is missing in {missing.sum()} rows, the first of them row "
                f"{row}; fill it in or drop those rows"
            )
        convert = {"rating": _as_numbers, "timestamp": _as_times}.get(role, _as_ids)
        columns[role] = convert(column, f"{path}: column {names[chosen[role]]!r}")
    try:
        data = Interactions.from_arrays(
            columns["user"].to_numpy(),
            columns["item"].to_numpy(),
            columns["rating"].to_numpy() if "rating" in columns else None,
            timestamps=columns["timestamp"].to_numpy() if "timestamp" in columns else None,
            duplicates=duplicates,
        )
    except ValueError as error:
        raise click.UsageError(f"{path}: {error}") from error
    return data, "rating" in columns


def _read(path, header):
    """Read the names of the columns, and the columns as series; those of text as strings."""
    import narwhals as nw

    suffixes = [suffix.lower() for suffix in path.suffixes]
    compressed = suffixes[-1:] == [".gz"]
    kind = "".join(suffixes[-2:-1] if compressed else suffixes[-1:])
    is_parquet = kind == ".parquet" and not compressed
    if not is_parquet and kind not in _SEPARATORS:
        raise click.UsageError(
            f"{path}: a name must end in .csv, .tsv, .txt (each also with .gz) or .parquet to "
            "tell what the file is"
        )
    frame_library = next((name for name in _FRAMES if find_spec(name)), None)
    if frame_library is None:
        raise click.UsageError(
            f"reading a file needs a data frame library, such as polars: {_INSTALL}"
        )
    try:
        if is_parquet:
            frame = nw.read_parquet(str(path), backend=frame_library)
            return frame.columns, list(frame.iter_columns())
        names, separator = _first_line(path, compressed, _SEPARATORS[kind])
        if not header:
            names = [str(number) for number in range(1, len(names) + 1)]
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
    except (*_data_errors(), EOFError, OSError, Warning, zlib.error) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise click.UsageError(f"{path}: cannot be read: {reason}") from error
    if header:
        _check_names(path, names)
    return names, list(frame.iter_columns())


def _first_line(path, compressed, separators):
    """Read the fields of the first line, and find what separates them."""
    with (gzip.open if compressed else open)(path, "rt", encoding="utf-8-sig") as file:
        line = file.readline(_LONGEST_LINE)
    if not line:
        raise ValueError("it is empty")
    if "\0" in line or len(line) == _LONGEST_LINE:
        raise ValueError("it is not a text file")
    separator = next((separator for separator in separators if separator in line), None)
    if separator is None:
        names = {",": "comma", ";": "semicolon", "\t": "tab", " ": "space"}
        known = " or ".join(names[separator] for separator in separators)
        raise ValueError(f"its first line has no {known} between a user and an item")
    return [field.strip() for field in next(csv.reader([line], delimiter=separator))], separator


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
    return (ValueError, NarwhalsError, *([polars.exceptions.PolarsError] if polars else []))


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

    return column.fill_null("") == "" if column.dtype == nw.String else column.is_null()


def _without_blank_rows(columns):
    """Drop the rows in which everything is missing: of the libraries, polars keeps blank lines."""
    missing = [_is_missing(column) for column in columns.values()]
    blank = missing[0]
    for other in missing[1:]:
        blank = blank & other
    return {role: column.filter(~blank) for role, column in columns.items()}


def _as_ids(column, what):
    """Convert to integers if all are written as integers are, so that "007" stays as it is."""
    import narwhals as nw

    if column.dtype != nw.String:
        return column
    try:
        numbers = column.cast(nw.Int64)
        return numbers if (numbers.cast(nw.String) == column).all() else column
    except _data_errors():
        return column


def _as_numbers(column, what):
    import narwhals as nw

    if column.dtype.is_numeric():
        return column.cast(nw.Float64)
    try:
        return column.cast(nw.Float64)
    except _data_errors() as error:
        values = [str(value) for value in column.to_list()]
        bad = next((value for value in values if not _is_number(value)), values[0])
        raise click.UsageError(
            f"{what} holds {bad!r}, which is not a number: name the column of the ratings with "
            "--rating; a file without one needs --user and --item"
        ) from error


def _as_times(column, what):
    import narwhals as nw

    if column.dtype != nw.String:
        return column
    for convert in (lambda: column.cast(nw.Float64), column.str.to_datetime):
        try:
            return convert()
        except (*_data_errors(), NotImplementedError):  # the latter for dates in a pyarrow table
            continue
    raise click.UsageError(
        f"{what} holds neither numbers nor dates (its first entry is {column[0]!r}): name the "
        "column of the timestamps with --timestamp; a file without one needs --user and --item"
    )


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
