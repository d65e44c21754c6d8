"""Where data sets are stored, and how they get there."""

import gzip
import logging
import os
import shutil
import sys
import time
import zipfile
import zlib
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

logger = logging.getLogger(__name__)


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
    if data_home is None:
        data_home = os.environ.get("SKREC_DATA") or "~/skrec_data"
    data_home = Path(data_home).expanduser()
    data_home.mkdir(parents=True, exist_ok=True)
    return data_home


def clear_data_home(data_home=None):
    """Delete the folder in which data sets are stored, with everything in it.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder, as for :func:`get_data_home`.

    Examples
    --------
    >>> from skrec.datasets import clear_data_home
    >>> clear_data_home()  # doctest: +SKIP
    """
    shutil.rmtree(get_data_home(data_home))


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
        as it was.
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
        # A folder rather than a temporary file, so that the archive gets the usual permissions.
        folder = TemporaryDirectory(prefix=f"{path.name}.part-", dir=path.parent)
        part = Path(stack.enter_context(folder)) / path.name

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
                os.replace(part, path)
                return
    raise OSError(
        f"could not download {url} to {path} in {attempt + 1} attempt(s): {fault}; put the "
        "archive there by hand, or pass the data_home= where it or its unpacked folder is"
    ) from cause
