"""Files that are written whole or not at all, and lines that know their numbers."""

import os
import re
import socket
import time
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

# A file in the making stands in a folder named after the file, the machine, the process, and
# what makes it unique.
_PART = re.compile(r"(.+)\.part-([0-9a-f]{8})-([0-9]{1,9})-[a-z0-9_]{8}", re.DOTALL)
_WEEK = 7 * 24 * 3600


@contextmanager
def written_whole(path):
    """Give the path of a file to write, which replaces another in one step when the block ends.

    An exception in the block leaves everything as it was. What processes that were killed have
    left of the same file is swept first; see :func:`abandoned_parts`.

    Parameters
    ----------
    path : pathlib.Path
        The file to replace, or to make.

    Yields
    ------
    part : pathlib.Path
        Where to write.
    """
    for part in abandoned_parts(path.parent, path.name):
        remove_part(part)
    # A folder rather than a temporary file, so that the file gets the usual permissions.
    prefix = f"{path.name}.part-{_machine()}-{os.getpid()}-"
    with TemporaryDirectory(prefix=prefix, dir=path.parent) as folder:
        part = Path(folder) / path.name
        yield part
        os.replace(part, path)


def abandoned_parts(folder, name=None):
    """List the folders that writers who were killed have left in a folder.

    These are the ones whose process is gone; and the ones of other machines that share the
    folder, whose processes cannot be seen, once nothing was written to them for a week.

    Parameters
    ----------
    folder : pathlib.Path
    name : str, default=None
        The file that was written; with None, any.

    Returns
    -------
    parts : list of pathlib.Path
    """
    with os.scandir(folder) as entries:
        found = [(Path(entry), _PART.fullmatch(entry.name)) for entry in entries]
    return [
        path
        for path, match in found
        if match and name in (None, match[1]) and _is_abandoned(path, *match.groups())
    ]


def remove_part(part):
    """Remove a folder that `abandoned_parts` lists, as far as this user may."""
    # Another process may sweep at the same time, and the folder may be another user's.
    with suppress(OSError):
        for file in part.iterdir():
            file.unlink()
        part.rmdir()


def _is_abandoned(path, name, machine, process):
    try:
        if path.is_symlink() or not path.is_dir():
            return False
        files = list(path.iterdir())
        if [file.name for file in files] not in ([], [name]):
            return False  # a folder of somebody who only happens to use such names
        if machine == _machine():
            return not psutil.pid_exists(int(process))
        return time.time() - max(file.stat().st_mtime for file in [path, *files]) > _WEEK
    except OSError:  # it was finished or swept a moment ago, or is another user's
        return False


def _machine():
    """Eight digits for what process numbers are unique in: the machine, or a container on it."""
    namespace = Path("/proc/self/ns/pid")
    number = namespace.stat().st_ino if namespace.exists() else 0
    return f"{zlib.crc32(f'{socket.gethostname()} {number}'.encode()):08x}"


class Lines:
    """Decoded lines of a binary file, each with the line feed that ends it.

    Parameters
    ----------
    file : binary file
    encoding : str, default="utf-8"

    Attributes
    ----------
    number : int
        The last line read, the first being 1.
    record : int
        The line at which the record in hand begins, for messages; see :meth:`each`.
    """

    def __init__(self, file, encoding="utf-8"):
        self._file = file
        self._encoding = encoding
        self.number = 0
        self.record = 1

    def __iter__(self):
        return self

    def __next__(self):
        line = next(self._file)
        self.number += 1
        # Line by line, so that what cannot be decoded is noticed where it stands.
        text = line.decode(self._encoding)
        return text.removeprefix("\ufeff") if self.number == 1 else text

    def chunks(self, size):
        """Yield whole lines as they are, as bytes, about `size` of these at a time."""
        while chunk := self._file.read(size):
            chunk += self._file.readline()
            self.number += chunk.count(b"\n")
            yield chunk

    def each(self, records):
        """Go through records that are read from these lines, keeping `record` up to date."""
        self.record = self.number + 1
        for record in records:
            yield record
            self.record = self.number + 1
