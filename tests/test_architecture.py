"""Imports run downwards: families, engine, contract, solvers, utils."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import skrec

ROOT = Path(skrec.__file__).parent

# From the ground up. A room may import rooms of lower floors, and files of its own.
FLOORS = [
    {"utils", "_interrupts"},
    {"interactions"},
    {"reviews", "datasets", "solvers"},
    {"metrics"},
    {"model_selection"},
    {"base"},
    {"neural"},
    {"linear", "neighbors", "factorization", "autoencoders", "networks", "text"},
    {"ensemble", "_rating_regressor", "_update"},
    {"inspection", "_model_table"},
    {"_decisions"},
    {"_cli"},
    {"__init__", "__main__"},
]
LARGEST_SHARE = 0.2


def imports():
    """Pairs of (module, module that it imports, be it in a function), as dotted names."""
    for path in ROOT.rglob("*.py"):
        module = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module} has a relative import"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                if name == "skrec" or name.startswith("skrec."):
                    yield module, _module_of(name)


def _module_of(name):
    """The file that a dotted name stands in; the face of the package if it is exported there."""
    parts = name.split(".")
    while not (ROOT.parent.joinpath(*parts).with_suffix(".py").exists()):
        if ROOT.parent.joinpath(*parts).is_dir():
            return ".".join([*parts, "__init__"])
        parts.pop()
    return ".".join(parts)


def _room(module):
    return module.split(".")[1]


def test_every_import_between_rooms_runs_down():
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    new = {_room(module) for module, _ in imports()} - floor.keys()
    assert not new, f"give {new} a place in FLOORS"
    upward = {
        f"{module} -> {imported}"
        for module, imported in imports()
        if _room(module) != _room(imported) and floor[_room(module)] <= floor[_room(imported)]
    }
    assert upward == {"skrec._cli.__init__ -> skrec.__init__"}  # the version


def test_no_circle_of_files():
    graph = {}
    for module, imported in imports():
        graph.setdefault(module, set()).add(imported)
    TopologicalSorter(graph).prepare()  # raises CycleError, naming the files


def test_no_room_holds_more_than_a_fifth():
    lines = {}
    for path in ROOT.rglob("*.py"):
        room = _room(".".join(path.relative_to(ROOT.parent).with_suffix("").parts))
        lines[room] = lines.get(room, 0) + len(path.read_text().splitlines())
    largest = max(lines, key=lines.get)
    assert lines[largest] <= LARGEST_SHARE * sum(lines.values()), (largest, lines)
