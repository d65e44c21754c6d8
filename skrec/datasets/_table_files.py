"""Tables in files: text with separators, JSON lines, Parquet."""

import codecs
import csv
import gzip
import io
import json
import math
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from itertools import chain, islice
from typing import NamedTuple

import polars as pl

from skrec.utils._files import Lines

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "space": " "}
# What may separate the columns, by the end of the name; see `_find_separator`.
_SPACED = ("::", "\t", ",", ";", " ")
_TEXT = {".csv": (",", ";", "\t"), ".tsv": ("\t",)} | dict.fromkeys(
    (".txt", ".dat", ".data"), _SPACED
)
_JSON = (".jsonl", ".ndjson", ".json")
_N_TRIED = 100
BEGINS_WITH_YEAR = r"^\d{4}[-/]"
# What stands for "::", as readers take one character.
_UNIT = "\x1f"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Table(NamedTuple):
    """What a file holds: empty text or None where something is missing."""

    names: list  # of str
    columns: list  # of polars.Series
    is_typed: bool  # whether the file tells numbers from texts that look like numbers
    rows: Callable  # iterates over pairs of place, such as "line 2", and list of entries as str


def read_table_file(path, *, separator, header, encoding, is_known):
    """Read a file by the end of its name.

    Parameters
    ----------
    path : pathlib.Path
        Text with separators or JSON lines, each perhaps with .gz behind it, or Parquet.
    separator, header, encoding
        As for ``read_interactions``.
    is_known : callable
        Whether a column may be called so, which tells a header from a first row.

    Returns
    -------
    table : Table

    Raises
    ------
    ValueError
        If the file cannot be read.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    is_packed = suffixes[-1:] == [".gz"]
    kind = "".join(suffixes[-2:-1] if is_packed else suffixes[-1:])
    if kind not in _TEXT and kind not in _JSON and (kind != ".parquet" or is_packed):
        raise ValueError(
            f"a name must end in {', '.join([*_TEXT, *_JSON])} (each also with .gz) or .parquet "
            "to tell what the file is"
        )
    if kind not in _TEXT and (separator is not None or header is not None):
        given = "separator=" if separator is not None else "header="
        raise ValueError(f"a {kind} file has no {given}; leave it out")
    try:
        if kind == ".parquet":
            return _read_parquet(path)
        with (gzip.open if is_packed else open)(path, "rb") as file:
            raw = _as_utf8(file.read(), encoding)
        if kind in _JSON:
            return _read_json_lines(raw)
        separator = SEPARATORS.get(separator, separator) or _find_separator(raw, _TEXT[kind])
        return _read_text(raw, separator, header, is_known)
    except FileNotFoundError:
        raise
    except (ValueError, csv.Error, pl.exceptions.PolarsError, *_DAMAGE) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(f"cannot be read: {reason}") from error


_DAMAGE = (gzip.BadGzipFile, EOFError, zlib.error)


def _as_utf8(raw, encoding):
    """Decode and encode again, without a byte order mark."""
    if not raw or raw.isspace():
        raise ValueError("it is empty")
    encoding = "utf-16" if raw.startswith(_UTF_16) else encoding
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"line {line}: the byte {raw[error.start]:#04x} is not {encoding}; say how the file "
            f'is encoded, such as encoding="latin-1"'
        ) from error
    if "\0" in text:
        raise ValueError("it is not a text file")
    if codecs.lookup(encoding).name != "utf-8":
        raw = text.encode()
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")
    return raw.removeprefix(codecs.BOM_UTF8)


def _read_parquet(path):
    frame = pl.read_parquet(path)
    places = (f"row {number}" for number in range(1, len(frame) + 1))
    return _typed(frame.columns, frame.get_columns(), places)


def _read_json_lines(raw):
    lines = raw.decode().split("\n")
    filled = [line for line in lines if line.strip()]
    try:
        # All at once, which is several times faster than one by one.
        objects = json.loads(f"[{','.join(filled)}]", parse_constant=_refuse)
        if len(objects) != len(filled) or set(map(type, objects)) != {dict}:
            raise ValueError("not one object in each line")
    except ValueError:
        for number, line in enumerate(lines, 1):
            try:
                if line.strip() and type(json.loads(line, parse_constant=_refuse)) is not dict:
                    raise ValueError("each line must hold one JSON object")
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error
        raise
    names = list(dict.fromkeys(chain.from_iterable(dict.fromkeys(map(tuple, objects)))))
    columns = [_series([entry.get(name) for entry in objects]) for name in names]
    places = (f"line {number}" for number, line in enumerate(lines, 1) if line.strip())
    return _typed(names, columns, places)


def _refuse(constant):
    raise ValueError(f"{constant} is no number of JSON")


def _series(values):
    """Make a column of numbers, or else one of text."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {int, float} and all(abs(v) < 2**63 for v in values if type(v) is int):
        return pl.Series(values, dtype=pl.Float64 if float in kinds else pl.Int64)
    if kinds != {str}:
        values = [v if v is None or type(v) is str else json.dumps(v) for v in values]
    return pl.Series(values, dtype=pl.String)


def _typed(names, columns, places):
    def rows():
        for place, row in zip(places, zip(*columns, strict=True), strict=True):
            yield place, ["" if entry is None else str(entry).strip() for entry in row]

    return Table(names, columns, True, rows)


def _read_text(raw, separator, header, is_known):
    first = _records(raw, separator)
    line, names = next(first)
    if len(names) < 2:
        raise ValueError(f"its first line has no {_named(separator)} between a user and an item")
    tried = [fields for _, fields in islice(first, _N_TRIED)]
    if header is None:
        header = _is_header(names, tried, is_known)
    if header and (line > 1 or any("\n" in name for name in names)):
        raise ValueError("its first line must hold the names of all columns")
    if header and not tried:
        raise ValueError("the table has no rows; at least one is needed")
    names = names if header else [str(number) for number in range(1, len(names) + 1)]
    positions = [str(position) for position in range(len(names))]
    try:
        frame = pl.read_csv(
            raw.replace(b"::", _UNIT.encode()) if separator == "::" else raw,
            has_header=False,
            skip_rows=int(header),
            separator=_UNIT if separator == "::" else separator,
            schema=dict.fromkeys(positions, pl.String),
        )
    except pl.exceptions.PolarsError as error:
        for line, fields in _records(raw, separator):
            if len(fields) != len(names):
                raise ValueError(
                    f"line {line} has {_n_fields(fields)} instead of {len(names)}"
                ) from error
        raise

    def rows():
        for line, fields in islice(_records(raw, separator), int(header), None):
            yield f"line {line}", [*fields, *[""] * (len(names) - len(fields))]

    return Table(names, frame.get_columns(), False, rows)


def _records(raw, separator):
    """Yield the line at which each record of a text begins, and its fields.

    A record that spans several lines, as a quoted field may, counts once; one in which there is
    nothing is left out.
    """
    lines = Lines(io.BytesIO(raw))
    texts = lines
    if separator == "::":
        texts, separator = (line.replace("::", _UNIT) for line in lines), _UNIT
    try:
        for fields in lines.each(csv.reader(texts, delimiter=separator)):
            fields = [field.strip() for field in fields]
            if any(fields):
                yield lines.record, fields
    except csv.Error as error:
        # Without Python's question about how the file was opened.
        raise csv.Error(f"line {lines.record}: {str(error).partition(' - ')[0]}") from error


def _find_separator(raw, candidates):
    """Find the one that cuts each of the first records into as many fields, two at least."""
    found, faults = [], []
    for separator in candidates:
        try:
            records = list(islice(_records(raw, separator), _N_TRIED))
        except csv.Error as error:
            faults.append(f"by {_named(separator)}, {error}")
            continue
        first, fields = records[0]
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
            "with separator="
        )
    if faults:
        raise ValueError(
            "no separator cuts its first lines into the same number of fields: "
            f"{'; '.join(faults)}; repair these lines, or name the separator with separator="
        )
    known = " or ".join(map(_named, candidates))
    raise ValueError(
        f"its first line has no {known} between a user and an item; if something else is there, "
        "name it with separator="
    )


def _named(separator):
    names = {character: name for name, character in SEPARATORS.items()}
    return names.get(separator, repr(separator))


def _n_fields(fields):
    return f"{len(fields)} field{'s' if len(fields) > 1 else ''}"


def _is_header(first, others, is_known):
    """Tell whether a first record names columns: by known names, or as the others look different.

    Raises
    ------
    ValueError
        If it cannot be told.
    """
    if any(map(is_known, first)):
        return True
    looks = list(map(_look, first))
    is_alike = looks in (list(map(_look, fields)) for fields in others)
    if set(looks) == {"text"} and not is_alike:
        return True
    if set(looks) != {"text"} and (is_alike or not others):
        return False
    shown = ", ".join(map(repr, first[:5])) + (", ..." if len(first) > 5 else "")
    raise ValueError(
        f"its first line, {shown}, may name the columns or not; if it does, say header=True, "
        "otherwise header=False"
    )


def _look(field):
    return "number" if is_number(field) else "date" if date_in(field) else "text"


def is_number(text, largest=math.inf):
    """Tell whether a text is written as a number is, and that not larger than `largest`."""
    try:
        return "_" not in text and abs(float(text)) <= largest
    except ValueError:
        return False


def date_in(text):
    """Read a date, perhaps with a time, that begins with its year; None if it is none."""
    with suppress(ValueError):
        if re.match(BEGINS_WITH_YEAR, text):
            return datetime.fromisoformat(text.replace("/", "-"))
    return None
