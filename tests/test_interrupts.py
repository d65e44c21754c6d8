"""Ctrl-C on the command line, at any time."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import skrec

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
ROOT = str(Path(skrec.__file__).parents[1])


@pytest.mark.parametrize("module", ["lazy_loader", "sklearn", "skrec._cli", "narwhals", "polars"])
@pytest.mark.parametrize("way", ["module", "script"])
def test_ctrl_c_during_imports(tmp_path, module, way):
    (tmp_path / "ratings.csv").write_text("user,item\n1,2\n1,3\n2,3\n")
    # Python runs this before anything else. A shell may have let Ctrl-C be ignored, which is kept.
    (tmp_path / "sitecustomize.py").write_text(f"""if True:
        import os, signal, sys

        signal.signal(signal.SIGINT, signal.default_int_handler)

        class Interrupted:
            def find_spec(self, name, path=None, target=None):
                if name == {module!r}:
                    os.kill(os.getpid(), signal.SIGINT)

        sys.meta_path.insert(0, Interrupted())
    """)
    # In a folder of its own, as that of a script comes first in the path.
    script = tmp_path / "bin" / "skrec"
    script.parent.mkdir()
    script.write_text("from skrec.__main__ import main\nmain()\n")
    result = subprocess.run(
        [
            sys.executable,
            *(["-m", "skrec"] if way == "module" else [str(script)]),
            "recommend",
            str(tmp_path / "ratings.csv"),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), ROOT])},
    )
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")


@pytest.mark.parametrize(
    ("code", "handler"),
    [
        ("import skrec.__main__, skrec.linear", "signal.default_int_handler"),
        ("sys.argv[0] = 'bin/skrec'; import skrec", "skrec._interrupts._end"),
        (
            "sys.argv[0] = 'skrec'; signal.signal(signal.SIGINT, signal.SIG_IGN); import skrec\n"
            "skrec._interrupts.raise_but_in_imports()",
            "signal.SIG_IGN",
        ),
    ],
)
def test_who_handles_ctrl_c(code, handler):
    start = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    end = f"assert signal.getsignal(signal.SIGINT) is {handler}"
    subprocess.run(
        [sys.executable, "-c", "\n".join([start, code, end])],
        check=True,
        env={**os.environ, "PYTHONPATH": ROOT},
    )
    assert signal.getsignal(signal.SIGINT) is not skrec._interrupts._end
