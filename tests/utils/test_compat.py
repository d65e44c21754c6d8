import ast
from pathlib import Path

import pytest

import skrec

ROOT = Path(skrec.__file__).parent
COMPAT = ROOT / "utils" / "_compat.py"


def foreign_private_names(source):
    """Private or experimental names that a source imports from other packages or calls there."""
    imported, names = set(), set()
    nodes = list(ast.walk(ast.parse(source)))
    for node in nodes:
        if isinstance(node, ast.Import):
            paths = {alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            paths = {
                alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names
            }
        else:
            continue
        foreign = {name: path for name, path in paths.items() if not path.startswith("skrec.")}
        imported |= foreign.keys()
        names |= {path for path in foreign.values() if is_private(path)}
    for node in nodes:
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in imported:
                names.add(ast.unparse(node))
    return names


def is_private(path):
    return path.startswith("sklearn.callback") or any(
        part.startswith("_") and not part.endswith("__") for part in path.split(".")
    )


@pytest.mark.parametrize(
    "path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_private_names_of_other_packages_stand_in_one_module(path):
    found = foreign_private_names(path.read_text())
    # Python's own os._exit has no other name.
    assert bool(found - {"os._exit"}) == (path == COMPAT), found


def test_private_names_are_found():
    assert foreign_private_names("from sklearn.utils._mask import f\nimport a._b\nc._d") == {
        "sklearn.utils._mask.f",
        "a._b",
    }
    assert foreign_private_names("import torch as t\nt.ops.mkldnn._linear_pointwise(x)") == {
        "t.ops.mkldnn._linear_pointwise"
    }
    assert foreign_private_names("from sklearn.callback import CallbackSupportMixin")
    assert not foreign_private_names("from skrec.base._ratings import a\nself._b\na._c")
