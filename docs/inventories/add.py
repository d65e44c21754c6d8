"""Write lines of the inventories beside this file, which links into other documentation go by.

A build fetches nothing, so the inventories hold the names that are used here, in the plain first
version of Sphinx's format. A reference that is missing is a warning of the build, which names it::

    python docs/inventories/add.py sklearn.model_selection.KFold numpy.where
    python docs/inventories/add.py list=library/stdtypes.html

The page of a name follows from where its project puts it; the standard library's is given.
"""

import inspect
import pkgutil
import sys
from pathlib import Path

PAGES = {
    "matplotlib": "api/_as_gen/{name}.html",
    "numpy": "reference/generated/{name}.html",
    "numpy.random": "reference/random/generator.html",
    "numpy.random.RandomState": "reference/random/legacy.html",
    "pandas": "reference/api/{name}.html",
    "scipy": "reference/generated/{name}.html",
    "sklearn": "modules/generated/{name}.html",
}


def line(name):
    """Write the project of a name, and its line."""
    name, _, page = name.partition("=")
    thing = pkgutil.resolve_name(name if "." in name else f"builtins.{name}")
    if page:
        return "python", f"{name} {_kind(thing)} {page}"
    page = PAGES[max((start for start in PAGES if name.startswith(start)), key=len)]
    return name.split(".")[0], f"{name} {_kind(thing)} {page.format(name=name)}"


def _kind(thing):
    if inspect.ismodule(thing):
        return "mod"
    if inspect.isclass(thing):
        return "exception" if issubclass(thing, Exception) else "class"
    return "function" if callable(thing) else "data"


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        project, new = line(argument)
        inventory = Path(__file__).parent / f"{project}.txt"
        lines = inventory.read_text().splitlines()
        names = sorted({*lines[3:], new}, key=str.lower)
        inventory.write_text("\n".join([*lines[:3], *names]) + "\n")
