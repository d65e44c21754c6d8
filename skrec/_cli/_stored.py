"""Fitted models in files, and lists of ids and titles."""

import csv
import gzip
import zlib

import click
from sklearn.utils.validation import check_is_fitted

from skrec._cli._output import note
from skrec.utils._files import written_whole

# What models hold beside types of skrec and those that skops trusts.
_TRUSTED = ("numpy.dtype", "scipy.sparse._csr.csr_array")


def store(model, path):
    """Write a model with skops, whole or not at all."""
    import skops.io

    try:
        with written_whole(path) as part:
            skops.io.dump(model, part)
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror or error}") from error


def load_model(path):
    """Read a model of skrec; of no other types, but those in its models, are objects made."""
    import skops.io

    from skrec.base import BaseRecommender

    try:
        types = skops.io.get_untrusted_types(file=path)
        foreign = [
            name for name in types if not name.startswith("skrec.") and name not in _TRUSTED
        ]
        if foreign:
            raise click.UsageError(
                f"--model-file {path}: it holds {', '.join(foreign)}, which skrec does not trust; "
                "use a file that `skrec fit` has written"
            )
        model = skops.io.load(path, trusted=types)
        if not isinstance(model, BaseRecommender):
            raise click.UsageError(
                f"--model-file {path}: it holds a {type(model).__name__}; use a file that `skrec "
                "fit` has written"
            )
        check_is_fitted(model)
    except click.UsageError:
        raise
    except Exception as error:  # whatever a corrupt file may lead to
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise click.UsageError(f"--model-file {path}: it cannot be read: {reason}") from error
    if not hasattr(model, "feature_names_in_"):
        raise click.UsageError(
            f"--model-file {path}: the model knows no item ids, as it was fitted on a plain "
            "matrix; fit it on an Interactions, as `skrec fit` does"
        )
    ids = model.feature_names_in_.tolist()
    if not len(set(ids)) == len(ids) == model.n_features_in_:
        raise click.UsageError(
            f"--model-file {path}: its {len(ids)} item ids are not {model.n_features_in_} "
            "different ones; use a file that `skrec fit` has written"
        )
    return model


def read_ids(option, path):
    """Read one id a line."""
    ids = [line.strip() for line in _text(option, path).splitlines()]
    ids = list(dict.fromkeys(line for line in ids if line))
    if not ids:
        raise click.UsageError(f"{option} {path}: it holds no ids; write one a line")
    return ids


def known_ids(option, path, ids, known, what, *, may_be_none=False):
    """Find the positions of ids among known ones; those that are unknown are counted in a note."""
    position_of = {str(one): position for position, one in enumerate(known.tolist())}
    found = [position_of[one] for one in ids if one in position_of]
    if not found and not may_be_none:
        raise click.UsageError(
            f"{option} {path}: none of its {len(ids)} ids is a known {what}, such as {known[0]}"
        )
    if len(found) < len(ids):
        first = next(one for one in ids if one not in position_of)
        note(
            f"{option} {path}: {len(ids) - len(found)} of its {len(ids)} ids are no known {what}, "
            f"the first of them {first}; they are left out"
        )
    return found


_ID_NAMES = {"item", "itemid", "id", "movieid", "productid", "asin", "bookid", "trackid"}
_TITLE_NAMES = {"title", "name", "itemname", "movietitle", "description"}


def read_titles(path):
    """Read a table of item ids and titles: by the names of the columns, or the first two.

    Returns
    -------
    titles : dict of str to str
    """
    option = f"--items {path}"
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if kind in ("json", "jsonl", "ndjson", "parquet"):
        raise click.UsageError(f"{option}: titles are read from text tables, such as .csv")
    lines = _text("--items", path).splitlines(keepends=True)
    if not lines:
        raise click.UsageError(f"{option}: it is empty")
    separators = [separator for separator in ("::", "\t", ";", ",", "|") if separator in lines[0]]
    if not separators:
        raise click.UsageError(f"{option}: its first line has no separator between id and title")
    if separators[0] == "::":
        rows = [line.rstrip("\r\n").split("::") for line in lines]
    else:
        try:
            rows = list(csv.reader(lines, delimiter=separators[0]))
        except csv.Error as error:
            raise click.UsageError(f"{option}: it cannot be read: {error}") from error
    names = ["".join(filter(str.isalnum, name)).lower() for name in rows[0]]
    id_at = next((at for at, name in enumerate(names) if name in _ID_NAMES), None)
    title_at = next((at for at, name in enumerate(names) if name in _TITLE_NAMES), None)
    if id_at is None and title_at is None:
        id_at, title_at = 0, 1  # no header
    else:
        rows = rows[1:]
        id_at = 0 if id_at is None else id_at
        title_at = title_at if title_at is not None else int(id_at == 0)
    widest = max(id_at, title_at)
    return {row[id_at].strip(): row[title_at].strip() for row in rows if len(row) > widest}


def _text(option, path):
    try:
        with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise click.UsageError(f"{option} {path}: it cannot be read: {error}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
