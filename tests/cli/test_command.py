"""The command itself: help, exit codes, terminals, Ctrl-C."""

import json
import os
import re
import select
import signal
import subprocess
import sys

import pytest
from command_line import assert_refused, environment, read_rows, run, run_process

import skrec


def test_help_and_version():
    assert run("--version").stdout == f"skrec, version {skrec.__version__}\n"
    for command in ([], ["demo"], ["evaluate"], ["fit"], ["recommend"]):
        result = run(*command, "--help")
        assert result.exit_code == 0 and "Example" in result.stdout
        assert "\n  skrec" in result.stdout or "\n    skrec" in result.stdout
    for default in ("[default: 10; x>=1]", "[default: EASE]", "[default: 300]"):
        assert default in " ".join(run("recommend", "--help").stdout.split())


def test_help_is_quick():
    code = (
        "import sys\n"
        "try:\n    from skrec.__main__ import main; main()\n"
        "except SystemExit:\n    print(sorted(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, env=environment()
    )
    loaded = result.stdout.splitlines()[-1]
    assert "'click'" in loaded
    for heavy in ("polars", "pandas", "pyarrow", "torch", "tqdm", "skrec.linear"):
        assert f"'{heavy}'" not in loaded


def test_wrong_command():
    assert_refused(run("evalute"), "evalute")
    assert_refused(run("--jsn"), "--jsn")
    assert_refused(run("--json", "evaluate", "x.csv"), "--json", "evaluate")


def test_process_exit_codes_and_silence(write):
    result = run_process("recommend", write(), "--k", 2)
    assert result.returncode == 0 and result.stderr == ""
    assert len(read_rows(result.stdout)) == 2 * 40
    result = run_process("evaluate", write(), "--json", "--metric", "ndcg@5", "--model", "EASE")
    assert result.returncode == 0 and result.stderr == ""
    assert len(json.loads(result.stdout)["comparison"]) == 1
    result = run_process("evaluate", "nowhere.csv")
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.count("\n") == 1 and "nowhere.csv" in result.stderr


def test_closed_pipe_is_no_traceback(write):
    process = subprocess.Popen(
        [sys.executable, "-m", "skrec", "recommend", str(write()), "--k", "20"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait()


def read_terminal(leader, until=None):
    """What is written to a terminal up to a text, or up to its end."""
    seen = b""
    while until is None or until not in seen:
        if not select.select([leader], [], [], 60)[0]:
            raise TimeoutError(seen.decode())
        try:
            chunk = os.read(leader, 4096)
        except OSError:  # how Linux says that nobody holds the other end any more
            break
        if not chunk:
            break
        seen += chunk
    return seen.decode()


@pytest.fixture
def on_terminal():
    """Start skrec with standard error on a terminal; returns the process and the terminal."""
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    opened = []

    def start(*args):
        leader, follower = pty.openpty()
        termios.tcsetwinsize(follower, (24, 80))
        process = subprocess.Popen(
            [sys.executable, "-m", "skrec", *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=follower,
            env=environment(),
            # Where the tests run in the background, it is ignored, and would be here, too.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        os.close(follower)
        opened.append((process, leader))
        return process, leader

    yield start
    for process, leader in opened:
        process.kill()
        process.wait()
        process.stdout.close()
        os.close(leader)


def test_progress_on_a_terminal(write, on_terminal):
    process, leader = on_terminal("recommend", write(), "--k", 1, "--tune", "--json")
    shown = read_terminal(leader)
    assert "reading" in shown and re.search(r"tuning on 32 users: .*\d+/24", shown)
    assert json.loads(process.stdout.read())["recommendations"]
    assert process.wait() == 0


def test_ctrl_c(on_terminal):
    process, leader = on_terminal()
    shown = read_terminal(leader, until=b"comparing")
    process.send_signal(signal.SIGINT)
    shown += read_terminal(leader)
    assert process.wait() == 130
    assert "Traceback" not in shown
