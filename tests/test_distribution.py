"""What people are told to install is this project: ``skrec`` on the index is another."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WRITTEN = [
    path
    for pattern in ("*.md", "Makefile", "skrec/**/*.py", "docs/*.*", "docs/_extensions/*.py")
    + ("examples/*.py", "benchmarks/*.*")
    for path in ROOT.glob(pattern)
    if path.is_file() and path.name != "CHANGELOG.md"
]
# In quotes or not, with an extra or a version or not, behind options or other projects.
ANOTHER = re.compile(
    r"\bskrec\[|\b(?:pip|uv|conda) +(?:pip +)?(?:install|add)\b[^`\n#]*[ \"']skrec\b"
)
EXTRA = re.compile(r"(?:scikit-recommend|\.)\[([a-z,]+)\]")


def test_what_another_project_looks_like():
    for text in (
        'pip install "skrec[plot]"',
        "pip install skrec",
        "run pip install -U skrec==1.0 now",
        "needs accelerate: skrec[distributed]",
        "uv add skrec",
    ):
        assert ANOTHER.search(text), text
    for text in ('pip install "scikit-recommend[plot]"', "pip install .", "pip install recbole"):
        assert not ANOTHER.search(text), text


def test_nobody_is_told_to_install_another_project():
    assert PROJECT["name"] == "scikit-recommend"
    assert PROJECT["scripts"] == {"skrec": "skrec.__main__:main"}
    texts = {path: path.read_text(encoding="utf-8") for path in WRITTEN}
    wrong = {str(path): ANOTHER.findall(text) for path, text in texts.items()}
    assert {path: found for path, found in wrong.items() if found} == {}
    asked = {
        extra
        for text in texts.values()
        for found in EXTRA.findall(text)
        for extra in found.split(",")
    }
    assert asked and asked <= PROJECT["optional-dependencies"].keys()
