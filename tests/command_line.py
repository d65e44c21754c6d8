"""How tests run the command line."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

import skrec
from skrec._cli import cli


def run(*args):
    """Run a command in this process; an error that is none of click's is raised."""
    result = CliRunner().invoke(cli, [str(arg) for arg in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_process(*args, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "skrec", *map(str, args)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment(),
        **kwargs,
    )


def environment():
    root = str(Path(skrec.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "PYTHONIOENCODING": "utf-8"}


def run_json(*args):
    result = run(*args, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def assert_refused(result, *parts):
    """One line on standard error, exit code 2, nothing on standard output."""
    assert result.exit_code == 2, result.stdout
    assert result.stdout == ""
    assert result.stderr.startswith("skrec: error: ")
    assert result.stderr.count("\n") == 1 and result.stderr.endswith("\n")
    for part in parts:
        assert part in result.stderr, result.stderr


def read_rows(text):
    return list(csv.DictReader(io.StringIO(text)))
