"""Docstrings say what the signatures say: the same parameters, the same defaults."""

import ast
import importlib
import inspect
import re
from collections import defaultdict

import pytest
from numpydoc.docscrape import NumpyDocString

import skrec
from skrec.base import BaseRecommender
from skrec.model_selection import Comparison

PUBLIC_MODULES = [
    "skrec",
    "skrec.autoencoders",
    "skrec.base",
    "skrec.ensemble",
    "skrec.networks",
    "skrec.neighbors",
    "skrec.text",
    "skrec.factorization",
    "skrec.linear",
    "skrec.datasets",
    "skrec.inspection",
    "skrec.metrics",
    "skrec.model_selection",
    "skrec.utils",
    "skrec.utils.estimator_checks",
]


def public_callables():
    found = {}
    for module in map(importlib.import_module, PUBLIC_MODULES):
        for name in module.__all__:
            member = getattr(module, name)
            if inspect.ismodule(member) or member is Comparison:  # which is made as any dict
                continue
            found[f"{member.__module__}.{name}"] = member
            if inspect.isclass(member):
                for method_name, method in vars(member).items():
                    if isinstance(method, classmethod):
                        method = method.__func__
                    if not method_name.startswith("_") and inspect.isfunction(method):
                        found[f"{member.__module__}.{name}.{method_name}"] = method
    return found


CALLABLES = public_callables()


def documented_defaults(member):
    """Default of each documented parameter as written, None where none is stated."""
    defaults = {}
    for parameter in NumpyDocString(inspect.getdoc(member))["Parameters"]:
        _, stated, default = parameter.type.partition("default=")
        for name in parameter.name.split(", "):
            defaults[name] = default if stated else None
    return defaults


@pytest.mark.parametrize("name", sorted(CALLABLES))
def test_parameters_and_defaults(name):
    member = CALLABLES[name]
    if name.endswith("Mixin"):  # it documents what estimators take and have
        return
    signature = {
        key: parameter
        for key, parameter in inspect.signature(member).parameters.items()
        if key not in ("self", "cls", "args", "kwargs")
    }
    documented = documented_defaults(member)
    assert list(documented) == list(signature)
    for key, default in documented.items():
        real = signature[key].default
        if default is None:
            assert real is inspect.Parameter.empty, f"the default of {key} is not documented"
        elif "," not in default:
            assert ast.literal_eval(default) == real, f"the default of {key} is {real!r}"


def test_every_public_callable_is_documented():
    assert len(CALLABLES) > 40
    for name, member in CALLABLES.items():
        assert inspect.getdoc(member), name


# What stands wherever something is documented, its text apart: headings and underlines, a name
# with its type, the directive of a formula, and an example.
FORMAL_LINE = re.compile(
    r"(Parameters|Attributes|Returns|Raises|See Also|Notes|References|Examples|-+)?"
    r"|[a-z]\w*(, [a-z]\w*)* : .+|\.\. math::|>>> .+|array\(.+\)|\*\*kwargs|Parameters of \w+\."
)


def modules_of_estimators():
    members = [getattr(skrec, name) for name in skrec.__all__]
    return {
        member.__module__
        for member in members
        if inspect.isclass(member) and issubclass(member, BaseRecommender)
    }


def test_no_line_stands_in_three_estimators():
    """As it is written: what several say is said by a mixin, or by `VERB_PARAMETERS`."""
    modules = modules_of_estimators()
    assert len(modules) > 12
    found = defaultdict(set)
    for module in modules:
        for node in ast.walk(ast.parse(inspect.getsource(importlib.import_module(module)))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                for line in (ast.get_docstring(node) or "").split("\n"):
                    if not FORMAL_LINE.fullmatch(line.strip()):
                        found[line.strip()].add(module)
    shared = {line: sorted(where) for line, where in found.items() if len(where) > 2}
    assert not shared
