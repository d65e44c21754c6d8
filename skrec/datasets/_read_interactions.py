"""Interactions from a file: which of its columns, and what they hold."""

import csv
from os import PathLike
from pathlib import Path

from skrec.datasets._table_columns import (
    WrongColumn,
    converted,
    has_dates,
    looks_like_times,
    prepared,
    without_blank_rows,
)
from skrec.datasets._table_files import SEPARATORS, read_table_file
from skrec.interactions import Interactions
from skrec.utils._compat import StrOptions, validate_params
from skrec.utils._mistaken_input import ITEM_NAMES, USER_NAMES
from skrec.utils._warnings import warn

# Names without case, spaces and punctuation, in the order in which the roles take columns.
_KNOWN_NAMES = {
    "user": USER_NAMES,
    "item": ITEM_NAMES,
    "rating": {"rating", "ratings", "score", "stars", "value", "count", "plays", "overall"}
    | {"bookrating", "quantity", "qty"},
    "timestamp": {"timestamp", "ts", "time", "date", "datetime", "unixreviewtime"},
    "review": {"review", "reviewtext", "text"},
}
ROLES = tuple(_KNOWN_NAMES)
_BY_POSITION = ("user", "item", "rating", "timestamp")


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
    wanted = dict(zip(ROLES, (user, item, rating, timestamp, review), strict=True))
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
        "".encode(encoding)
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
    columns = {role: prepared(table.columns[at]) for role, at in chosen.items()}
    columns = without_blank_rows(columns)
    if not len(columns["user"]):
        raise ValueError("the table has no rows; at least one is needed")
    by_position = wanted["rating"] is None and not _is_known(table, chosen, "rating")
    if by_position and looks_like_times(columns["rating"]):
        for by_role in (chosen, columns):
            times, ratings = by_role.pop("rating"), by_role.pop("timestamp", None)
            by_role |= {"timestamp": times} | ({} if ratings is None else {"rating": ratings})
    for role in ("user", "item"):
        if (
            wanted[role] is None
            and not _is_known(table, chosen, role)
            and has_dates(columns[role])
        ):
            raise ValueError(
                f"which column has the {role}s? The one in their place, "
                f"{table.names[chosen[role]]!r}, holds dates; name theirs with {role}="
            )

    arrays, faults = {}, {}
    for role, column in columns.items():
        try:
            if role == "review" and duplicates in ("sum", "mean"):
                raise WrongColumn(
                    f"reviews cannot be combined by duplicates={duplicates!r}",
                    "; leave review= out, or choose last or max",
                )
            arrays[role] = converted(table, chosen, role, column)
        except WrongColumn as error:
            is_optional = role in ("timestamp", "review") or _is_known(table, chosen, "rating")
            if wanted[role] is not None or role in ("user", "item") or not is_optional:
                raise
            faults[role] = error.fault
    data = Interactions.from_arrays(
        arrays["user"],
        arrays["item"],
        arrays.get("rating"),
        reviews=arrays.get("review"),
        timestamps=arrays.get("timestamp"),
        duplicates=duplicates,
    )
    is_repeated = data.X.nnz < len(arrays["user"])
    if "timestamp" in faults and "rating" in arrays and duplicates == "last" and is_repeated:
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
