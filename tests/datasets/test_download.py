"""Downloads against a local HTTP server that misbehaves on demand."""

import contextlib
import functools
import hashlib
import io
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pooch
import pytest

from skrec.datasets import (
    _base,
    _movielens,
    clear_data_home,
    fetch_movielens,
    get_data_home,
    load_movielens_small,
)

MOVIES = b"".join(b"%d::Film %d (1999)::Drama\n" % (movie, movie) for movie in range(1, 31))
RATINGS = b"".join(
    b"%d::%d::%d::978300760\n" % (user, movie, user % 5 + 1)
    for user in range(1, 41)
    for movie in range(1, 31)
)
CSV_RATINGS = b"userId,movieId,rating,timestamp\r\n" + RATINGS.replace(b"::", b",")
CSV_MOVIES = b"movieId,title,genres\r\n" + MOVIES.replace(b"::", b",")


def packed(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


GOOD = packed({"ml-1m/ratings.dat": RATINGS, "ml-1m/movies.dat": MOVIES})
GOOD_LATEST = packed(
    {"ml-latest-small/ratings.csv": CSV_RATINGS, "ml-latest-small/movies.csv": CSV_MOVIES}
)
OTHER = GOOD.replace(b"978300760", b"978300761")


# Each answer is a function of the request handler.


def send(body, handler, *, status=200, length=None):
    handler.send_response(status)
    if length != "none":
        handler.send_header("Content-Length", str(length or len(body)))
    handler.end_headers()
    handler.wfile.write(body)


good = functools.partial(send, GOOD)
good_latest = functools.partial(send, GOOD_LATEST)
wrong_checksum = functools.partial(send, OTHER)
shorter_than_announced = functools.partial(send, GOOD[:-500], length=len(GOOD))
truncated_without_length = functools.partial(send, GOOD[:-500], length="none")
not_a_zip = functools.partial(send, b"<html>Please log in</html>")
damaged_latest = functools.partial(send, GOOD_LATEST.replace(b"::1::", b"::2::", 1)[:-30])
flipped_latest = functools.partial(send, GOOD_LATEST.replace(b"978300760", b"978300761", 1))
empty = functools.partial(send, b"", length="none")


def closes_early(handler):
    """Close the connection without an answer."""
    handler.close_connection = True


def resets_midway(handler):
    """Send half, and then reset the connection."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(GOOD)))
    handler.end_headers()
    handler.wfile.write(GOOD[: len(GOOD) // 2])
    handler.wfile.flush()
    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.close_connection = True


def status(code):
    return functools.partial(send, b"sorry", status=code)


@pytest.fixture
def server(monkeypatch):
    """Serve the functions in ``server.answers``, the last of them forever."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.paths.append(self.path)
            answers = self.server.answers
            answer = answers[0] if len(answers) == 1 else answers.pop(0)
            with contextlib.suppress(ConnectionError):
                answer(self)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers, server.paths = [], []
    server.url = f"http://127.0.0.1:{server.server_port}/datasets/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(_movielens, "BASE_URL", server.url)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def release(monkeypatch):
    changed = _movielens.RELEASES["1m"]._replace(
        n_ratings=1200, md5=hashlib.md5(GOOD, usedforsecurity=False).hexdigest()
    )
    monkeypatch.setitem(_movielens.RELEASES, "1m", changed)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


fetch = functools.partial(fetch_movielens, "1m", delay=0, progress=False)


def check(found):
    assert repr(found) == "Interactions(40 users x 30 items, 1200 entries, density 100.00%)"
    assert found.item_names[2] == "Film 3 (1999)"


def files(folder):
    """Names of the files and folders but for the hidden list of what was written."""
    return sorted(path.name for path in folder.rglob("*") if path.name[0] != ".")


def test_download_once(server, tmp_path, capfd):
    server.answers = [good]
    check(fetch(data_home=tmp_path / "new" / "folder"))
    assert server.paths == ["/datasets/ml-1m.zip"]
    assert files(tmp_path / "new" / "folder") == ["ml-1m.zip"]
    assert (tmp_path / "new" / "folder" / "ml-1m.zip").read_bytes() == GOOD
    server.answers = [status(500)]
    check(fetch(data_home=tmp_path / "new" / "folder"))
    check(fetch(data_home=tmp_path / "new" / "folder", download_if_missing=False))
    assert len(server.paths) == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_the_archive_gets_the_usual_permissions(server, tmp_path):
    server.answers = [good]
    fetch(data_home=tmp_path)
    (tmp_path / "usual").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "ml-1m.zip")}
    assert len(modes) == 1


@pytest.mark.parametrize(
    "failure",
    [
        *(status(500), status(502), status(503), status(429)),
        *(wrong_checksum, shorter_than_announced, truncated_without_length),
        *(closes_early, resets_midway, not_a_zip, empty),
    ],
)
def test_two_failures_and_then_success(server, tmp_path, failure):
    server.answers = [failure, failure, good]
    check(fetch(data_home=tmp_path, n_retries=2))
    assert len(server.paths) == 3
    assert files(tmp_path) == ["ml-1m.zip"]


@pytest.mark.parametrize(
    ("failure", "n_retries", "n_requests", "reason"),
    [
        (status(503), 3, 4, "503 Server Error"),
        (status(503), 0, 1, "503 Server Error"),
        (status(404), 3, 1, "404 Client Error"),
        (status(403), 3, 1, "403 Client Error"),
        (shorter_than_announced, 1, 2, "IncompleteRead"),
        (truncated_without_length, 1, 2, "its MD5 sum is [0-9a-f]{32} instead of [0-9a-f]{32}"),
        (wrong_checksum, 1, 2, "its MD5 sum is [0-9a-f]{32} instead of [0-9a-f]{32}"),
        (closes_early, 1, 2, "Connection aborted"),
        (resets_midway, 1, 2, "Connection broken|IncompleteRead"),
    ],
)
def test_failure_after_the_last_attempt(server, tmp_path, failure, n_retries, n_requests, reason):
    server.answers = [failure]
    with pytest.raises(OSError) as error:
        fetch(data_home=tmp_path, n_retries=n_retries)
    message = str(error.value)
    assert f"could not download {server.url}ml-1m.zip to {tmp_path / 'ml-1m.zip'}" in message
    assert f"in {n_requests} attempt(s): " in message
    assert re.search(reason, message)
    assert "put the archive there by hand, or pass the data_home=" in message
    assert len(server.paths) == n_requests
    assert files(tmp_path) == []


def test_the_delay_between_attempts(server, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(_base.time, "sleep", waits.append)
    server.answers = [status(503)]
    with pytest.raises(OSError):
        fetch(data_home=tmp_path, n_retries=2, delay=7.5)
    assert waits == [7.5, 7.5]


def test_nobody_listens(tmp_path, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setattr(_movielens, "BASE_URL", f"http://127.0.0.1:{port}/")
    with pytest.raises(OSError, match=r"in 2 attempt\(s\): .*refused"):
        fetch(data_home=tmp_path, n_retries=1)
    (tmp_path / "ml-1m.zip").write_bytes(GOOD)
    check(fetch(data_home=tmp_path))


def test_download_if_missing_false(server, tmp_path):
    server.answers = [good]
    message = (
        f"{tmp_path / 'ml-1m.zip'} is not there, nor is there a folder {tmp_path / 'ml-1m'} with "
        f"ratings.dat and movies.dat; put there what {server.url}ml-1m.zip holds, or pass "
        "download_if_missing=True"
    )
    with pytest.raises(OSError, match=re.escape(message)):
        fetch(data_home=tmp_path, download_if_missing=False)
    assert server.paths == []


@pytest.mark.parametrize("damaged", [OTHER, GOOD[:1000], b""], ids=["other", "truncated", "empty"])
def test_a_damaged_archive_is_replaced_or_refused(server, tmp_path, damaged):
    server.answers = [good]
    archive = tmp_path / "ml-1m.zip"
    archive.write_bytes(damaged)
    with pytest.raises(OSError, match="ml-1m.zip is damaged: its MD5 sum is"):
        fetch(data_home=tmp_path, download_if_missing=False)
    assert archive.read_bytes() == damaged
    with pytest.warns(
        UserWarning, match="downloading .*ml-1m.zip again: its MD5 sum is"
    ) as caught:
        check(fetch(data_home=tmp_path))
    assert caught[0].filename == __file__
    assert archive.read_bytes() == GOOD


def test_a_failed_replacement_leaves_the_archive_as_it_was(server, tmp_path):
    server.answers = [wrong_checksum]
    (tmp_path / "ml-1m.zip").write_bytes(b"mine")
    with pytest.warns(UserWarning, match="again"), pytest.raises(OSError, match="MD5 sum"):
        fetch(data_home=tmp_path)
    assert (tmp_path / "ml-1m.zip").read_bytes() == b"mine"
    assert files(tmp_path) == ["ml-1m.zip"]


# --- latest-small has no fixed checksum ----------------------------------------------------------


@pytest.mark.parametrize(
    "failure", [damaged_latest, flipped_latest, not_a_zip, empty, status(503)]
)
def test_latest_small_must_be_intact(server, tmp_path, failure):
    server.answers = [failure, good_latest]
    check(fetch_movielens(data_home=tmp_path, delay=0))
    assert len(server.paths) == 2
    server.answers = [failure]
    with pytest.raises(OSError, match="intact zip archive|is damaged|503"):
        fetch_movielens(data_home=tmp_path / "other", delay=0, n_retries=1)
    assert files(tmp_path / "other") == []


def test_a_damaged_latest_small_is_noticed(tmp_path):
    (tmp_path / "ml-latest-small.zip").write_bytes(GOOD_LATEST.replace(b"Film 7", b"Film 8"))
    with pytest.raises(OSError, match="member ml-latest-small/movies.csv is damaged"):
        fetch_movielens(data_home=tmp_path, download_if_missing=False)


# --- Interruptions -------------------------------------------------------------------------------


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError, SystemExit])
def test_an_exception_midway_leaves_nothing(server, tmp_path, monkeypatch, interruption):
    def interrupted(self, url, output_file, pooch):
        with open(output_file, "wb") as file:
            file.write(GOOD[:3000])
        raise interruption

    server.answers = [good]
    with monkeypatch.context() as patch:
        patch.setattr(pooch.HTTPDownloader, "__call__", interrupted)
        with pytest.raises(interruption):
            fetch(data_home=tmp_path)
    assert files(tmp_path) == []
    check(fetch(data_home=tmp_path))


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_killed_process_leaves_nothing_to_trust(server, tmp_path, kill):
    released = threading.Event()

    def stalls(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(GOOD)))
        handler.end_headers()
        handler.wfile.write(GOOD[:-1])
        handler.wfile.flush()
        released.wait(30)

    server.answers = [stalls, good]
    code = f"""if True:
        import signal
        signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a job in the foreground
        from skrec.datasets import _movielens, fetch_movielens
        _movielens.BASE_URL = {server.url!r}
        fetch_movielens("1m", data_home={str(tmp_path)!r})
    """
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 30
        while not any(path.is_file() for path in tmp_path.rglob("*")):
            assert time.monotonic() < deadline
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        process.send_signal(kill)
        process.wait(30)
    finally:
        process.kill()
        process.communicate()
        released.set()
    assert process.returncode != 0
    assert not (tmp_path / "ml-1m.zip").exists()
    with pytest.raises(OSError, match="is not there"):
        fetch(data_home=tmp_path, download_if_missing=False)
    check(fetch(data_home=tmp_path))
    assert files(tmp_path) == ["ml-1m.zip"]
    assert (tmp_path / "ml-1m.zip").read_bytes() == GOOD


def test_parallel_downloads(server, tmp_path):
    def slowly(handler):
        time.sleep(0.05)
        good(handler)

    server.answers = [slowly]
    threads = [threading.Thread(target=fetch, kwargs={"data_home": tmp_path}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files(tmp_path) == ["ml-1m.zip"]
    check(fetch(data_home=tmp_path, download_if_missing=False))


# --- Progress ------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("progress", "stderr", "is_shown"),
    [
        ("auto", Terminal, True),
        ("auto", io.StringIO, False),
        (True, io.StringIO, True),
        (False, Terminal, False),
    ],
)
def test_progress(server, tmp_path, monkeypatch, progress, stderr, is_shown):
    server.answers = [good]
    stderr = stderr()
    monkeypatch.setattr(sys, "stderr", stderr)
    check(fetch(data_home=tmp_path, progress=progress))
    assert ("100%" in stderr.getvalue()) == is_shown
    assert bool(stderr.getvalue()) == is_shown


def test_no_standard_error(server, tmp_path, monkeypatch):
    server.answers = [good]
    monkeypatch.setattr(sys, "stderr", None)
    check(fetch(data_home=tmp_path, progress="auto"))


# --- data_home -----------------------------------------------------------------------------------


def test_data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("SKREC_DATA", raising=False)
    assert get_data_home() == tmp_path / "skrec_data"
    assert get_data_home().is_dir()
    monkeypatch.setenv("SKREC_DATA", "")
    assert get_data_home() == tmp_path / "skrec_data"
    monkeypatch.setenv("SKREC_DATA", "~/elsewhere/deep")
    assert get_data_home() == tmp_path / "elsewhere" / "deep"
    assert get_data_home(str(tmp_path / "given")) == tmp_path / "given"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "given", "skrec_data"]


def test_fetch_uses_the_environment(tmp_path, monkeypatch):
    (tmp_path / "ml-1m.zip").write_bytes(GOOD)
    monkeypatch.setenv("SKREC_DATA", str(tmp_path))
    check(fetch())


def test_clear_data_home_deletes_what_was_downloaded(server, tmp_path, caplog):
    server.answers = [good]
    home = tmp_path / "new"
    fetch(data_home=home)
    with caplog.at_level("INFO", "skrec"):
        assert clear_data_home(home) == [home, home / "ml-1m.zip"]
    assert f"deleted {home / 'ml-1m.zip'}" in caplog.text
    assert list(tmp_path.iterdir()) == []
    assert clear_data_home(home) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", ["argument", "environment", "empty", "dot"])
def test_clear_data_home_leaves_what_others_put_there(server, tmp_path, monkeypatch, way):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKREC_DATA", str(tmp_path))
    home = {"argument": tmp_path, "environment": None, "empty": "", "dot": "."}[way]
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "ml-100k").mkdir()
    (tmp_path / "ml-100k" / "u.data").touch()
    (tmp_path / "ml-1m.zip").write_bytes(GOOD)
    (tmp_path / "recs.csv.part-2").mkdir()
    mine = files(tmp_path)
    check(fetch(data_home=home))
    assert clear_data_home(home) == []
    assert files(tmp_path) == mine
    (tmp_path / "ml-1m.zip").unlink()
    server.answers = [good]
    check(fetch(data_home=home))
    assert [path.name for path in clear_data_home(home)] == ["ml-1m.zip"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted({*mine} - {"ml-1m.zip"})


def test_clear_data_home_leaves_an_archive_replaced_by_hand(server, tmp_path):
    server.answers = [good]
    home = tmp_path / "new"
    fetch(data_home=home)
    (home / "ml-1m.zip").unlink()
    (home / "ml-1m.zip").write_bytes(GOOD)
    assert clear_data_home(home) == []
    assert files(home) == ["ml-1m.zip"]
    (home / "ml-1m.zip").unlink()
    assert clear_data_home(home) == [home]


def test_the_bundled_data_needs_no_data_home(monkeypatch):
    monkeypatch.setattr(_movielens, "get_data_home", None)
    assert load_movielens_small().X.nnz == 100836


def test_clear_data_home_through_a_link(tmp_path):
    home = get_data_home(tmp_path / "big")
    (home / "mine.txt").write_text("stays")
    (tmp_path / "home").symlink_to(home)
    assert clear_data_home(tmp_path / "home") == []
    assert (home / "mine.txt").exists()
    (home / "mine.txt").unlink()
    assert clear_data_home(tmp_path / "home") == [home]
