"""Where data sets are stored, and how they get there."""

import csv
import gzip
import logging
import os
import sys
import time
import zipfile
import zlib
from contextlib import ExitStack, contextmanager
from pathlib import Path

from skrec.utils._files import abandoned_parts, remove_part, written_whole

logger = logging.getLogger(__name__)

# In a data home: a line for each archive that was written to it, as `_record` has it, and one if
# the folder itself was made. Lines are only ever added, so that processes need not wait.
_RECORDS = ".skrec-wrote"
_MADE_FOLDER = "this folder"

# What parsers and conversions raise when a file is damaged.
_DAMAGE = (ValueError, TypeError, LookupError, OverflowError, RecursionError, EOFError)
_DAMAGE += (csv.Error, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error)


def get_data_home(data_home=None):
    """Path of the folder in which data sets are stored; it is created where missing.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder; "~" stands for the user's home. With None, the environment variable
        ``SKREC_DATA``, or else ``~/skrec_data``.

    Returns
    -------
    data_home : pathlib.Path
        The folder.

    Examples
    --------
    >>> import tempfile
    >>> from skrec.datasets import get_data_home
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     get_data_home(folder + "/new").is_dir()
    True
    """
    data_home = _data_home(data_home)
    if not data_home.is_dir():
        data_home.parent.mkdir(parents=True, exist_ok=True)
        try:
            data_home.mkdir()
        except FileExistsError:  # a file of that name, or made by another process just now
            data_home.mkdir(exist_ok=True)
        else:
            _add_record(data_home, _MADE_FOLDER)
    return data_home


def clear_data_home(data_home=None):
    """Delete what was downloaded to the folder of data sets, and nothing else.

    That is the archives, and what downloads that were killed have left. Archives and unpacked
    archives that somebody else put there stay, and so does an archive that was changed or
    replaced since its download. The folder itself is deleted if :func:`get_data_home` made it
    and nothing is left in it.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder, as for :func:`get_data_home`; it need not exist.

    Returns
    -------
    removed : list of pathlib.Path
        What was deleted. Each is also logged, at level INFO.

    Examples
    --------
    >>> import tempfile
    >>> from skrec.datasets import clear_data_home, get_data_home
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     new = get_data_home(folder + "/new")
    ...     clear_data_home(new) == [new], clear_data_home(folder)
    (True, [])
    """
    data_home = _data_home(data_home).resolve()  # of a link to the folder, only what is in it
    if not data_home.is_dir():
        return []
    records = data_home / _RECORDS
    known = records.read_text(encoding="ascii", errors="replace") if records.is_file() else ""
    known = set(known.splitlines())
    doomed = [path for path in data_home.iterdir() if path.is_file() and _record(path) in known]
    doomed += abandoned_parts(data_home)
    for path in sorted(doomed):
        remove_part(path) if path.is_dir() else path.unlink()
    records.unlink(missing_ok=True)
    if _MADE_FOLDER in known:
        if any(data_home.iterdir()):
            _add_record(data_home, _MADE_FOLDER)
        else:
            data_home.rmdir()
            doomed.append(data_home)
    removed = [path for path in sorted(doomed) if not path.exists()]
    for path in removed:
        logger.info("deleted %s", path)
    return removed


def _data_home(data_home):
    if data_home is None:
        data_home = os.environ.get("SKREC_DATA") or "~/skrec_data"
    return Path(data_home).expanduser()


def _record(path):
    """The line that tells this file from another of the same name, such as a user's own."""
    found = path.lstat()
    return f"{found.st_size} {found.st_mtime_ns} {path.name!a}"


def _add_record(data_home, line):
    with open(data_home / _RECORDS, "a", encoding="ascii") as file:
        file.write(line + "\n")


@contextmanager
def published(source, lines=None, member=""):
    """Turn whatever is raised for a damaged file within the block into one kind of error.

    Parameters
    ----------
    source : path-like or str
        What is read.
    lines : Lines, default=None
        Where the reader is, to be named in the message.
    member : str, default=""
        Which file of `source` it reads, if that has several.

    Raises
    ------
    OSError
        In place of any error that a parser or a conversion raises.
    """
    try:
        yield
    except _DAMAGE as error:
        line = "" if lines is None else f"line {lines.record}"
        place = ", ".join(filter(None, [member, line]))
        reason = ": ".join(filter(None, [place, str(error) or type(error).__name__]))
        raise OSError(
            f"{source} does not hold the data as published: {reason}; delete it and fetch it again"
        ) from error


def archive_fault(path, md5):
    """Why the archive, zip or gzip by its name, cannot be trusted, or None.

    Parameters
    ----------
    path : path-like
        The archive.
    md5 : str or None
        Its MD5 sum. With None, the archive is checked against the checksums in itself.

    Returns
    -------
    fault : str or None
        The rule it breaks.
    """
    import pooch

    if md5 is not None:
        found = pooch.file_hash(str(path), alg="md5")
        return None if found == md5 else f"its MD5 sum is {found} instead of {md5}"
    if str(path).endswith(".gz"):
        try:
            with gzip.open(path) as archive:
                while archive.read(1 << 20):
                    pass
        except (OSError, EOFError, zlib.error) as error:
            return f"it is no intact gzip archive ({error})"
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:  # damaged bytes make zipfile raise a dozen kinds of errors
        return f"it is no intact zip archive ({error})"
    return None if damaged is None else f"its member {damaged} is damaged"


def download_archive(url, path, *, md5=None, n_retries=3, delay=1.0, progress="auto"):
    """Download a zip or gzip archive, check it, and only then give it its name.

    Parameters
    ----------
    url : str
        Address of the archive.
    path : pathlib.Path
        The file to write, replaced in one step; an interrupted or damaged download leaves it
        as it was. :func:`clear_data_home` of its folder deletes it.
    md5 : str, default=None
        MD5 sum of the archive; with None, only its integrity is checked.
    n_retries : int, default=3
        Number of further attempts after the first, made when there is no connection, the server
        fails (HTTP 5xx) or is busy (429), or the archive arrives damaged.
    delay : float, default=1.0
        Seconds between two attempts.
    progress : bool or "auto", default="auto"
        Whether to draw a progress bar; "auto" does when the standard error is a terminal.

    Raises
    ------
    OSError
        If no attempt succeeds.
    """
    import pooch
    import requests

    if progress == "auto":
        progress = sys.stderr is not None and sys.stderr.isatty()
    cause = fault = None
    with ExitStack() as stack:
        part = stack.enter_context(written_whole(path))

        def close_in_the_end(response, **_):  # pooch leaves the connection of a failure open
            stack.callback(response.close)

        fetch = pooch.HTTPDownloader(
            progressbar=progress, chunk_size=1 << 20, hooks={"response": close_in_the_end}
        )
        for attempt in range(n_retries + 1):
            if attempt:
                logger.info("%s: %s; trying again in %g s", url, fault, delay)
                time.sleep(delay)
            try:
                fetch(url, str(part), None)
            except requests.RequestException as error:
                cause, fault = error, str(error)
                status = 0 if error.response is None else error.response.status_code
                if 400 <= status < 500 and status != 429:
                    break
                continue
            cause, fault = None, archive_fault(part, md5)
            if fault is None:
                # Before it gets its name, as a moment later it may be another process's.
                _add_record(path.parent, _record(part))
                return
        raise OSError(
            f"could not download {url} to {path} in {attempt + 1} attempt(s): {fault}; put the "
            "archive there by hand, or pass the data_home= where it or its unpacked folder is"
        ) from cause
