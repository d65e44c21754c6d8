"""Files that are written whole or not at all, and lines that know their numbers."""

import io
import os
import subprocess
import sys
import time

import pytest

from skrec.utils import _files
from skrec.utils._files import Lines, abandoned_parts, written_whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def leave(tmp_path):
    """Leave a file in the making behind."""

    def leave(process, *, name="r.csv", machine=None, file="r.csv"):
        folder = tmp_path / f"{name}.part-{machine or _files._machine()}-{process}-abc_1234"
        folder.mkdir()
        (folder / file).write_text("half")
        return folder

    return leave


def write(path, text="whole"):
    with written_whole(path) as part:
        part.write_text(text)


def test_what_killed_processes_left_is_swept(tmp_path, leave, dead):
    leave(dead)
    write(tmp_path / "r.csv")
    assert names(tmp_path) == ["r.csv"]
    assert (tmp_path / "r.csv").read_text() == "whole"


def test_nothing_else_is_swept(tmp_path, leave, dead):
    kept = [
        leave(os.getpid()),  # is being written
        leave(dead, machine="00000000"),  # is perhaps being written elsewhere
        leave(dead, name="other.csv", file="other.csv"),
        leave(dead, name="r.csv.part-x", file="mine.txt"),  # only looks like one
    ]
    (tmp_path / "r.csv.part-2").mkdir()
    assert abandoned_parts(tmp_path) == [kept[2]]
    write(tmp_path / "r.csv")
    assert names(tmp_path) == sorted([*(path.name for path in kept), "r.csv", "r.csv.part-2"])


def test_what_other_machines_left_is_swept_after_a_week(tmp_path, leave):
    folder = leave(1, machine="00000000")
    then = time.time() - 8 * 24 * 3600
    os.utime(folder, (then, then))
    assert abandoned_parts(tmp_path) == []  # its file is new
    os.utime(folder / "r.csv", (then, then))
    write(tmp_path / "r.csv")
    assert names(tmp_path) == ["r.csv"]


def test_two_writers_at_once(tmp_path):
    with written_whole(tmp_path / "r.csv") as first:
        first.write_text("first")
        write(tmp_path / "r.csv", "second")
        assert (tmp_path / "r.csv").read_text() == "second"
    assert names(tmp_path) == ["r.csv"]
    assert (tmp_path / "r.csv").read_text() == "first"


def test_an_exception_leaves_the_old_file(tmp_path):
    (tmp_path / "r.csv").write_text("old")
    with pytest.raises(RuntimeError), written_whole(tmp_path / "r.csv") as part:
        part.write_text("new")
        raise RuntimeError
    assert names(tmp_path) == ["r.csv"]
    assert (tmp_path / "r.csv").read_text() == "old"


def test_lines_know_their_numbers():
    lines = Lines(io.BytesIO("\ufeffone\ntwo\nthr\ree\n\nfive".encode()))
    found = [(lines.record, line) for line in lines.each(lines)]
    assert found == [(1, "one\n"), (2, "two\n"), (3, "thr\ree\n"), (4, "\n"), (5, "five")]
    lines = Lines(io.BytesIO(b"one\ntwo\nthree\nfour"))
    next(lines)
    found = [(lines.record, chunk) for chunk in lines.each(lines.chunks(5))]
    assert found == [(2, b"two\nthree\n"), (4, b"four")]
    lines = Lines(io.BytesIO(b"one\n\xff\n"))
    with pytest.raises(UnicodeDecodeError):
        list(lines.each(lines))
    assert lines.record == 2
