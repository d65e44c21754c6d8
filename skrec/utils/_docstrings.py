"""What several docstrings say, written once.

A class documents its own parameters and attributes. The others come from the docstrings of its
base classes, and the defaults from its signature. In the same way a verb documents the parameters
in which it differs: the others are those of `VERB_PARAMETERS`.
"""

import inspect
import re
from textwrap import dedent, indent

ROWS = "{array-like, sparse matrix, dataframe} of shape (n_users, n_items)"

# Type and text; "training" stands for fit and partial_fit, where it differs.
VERB_PARAMETERS = {
    "X": (ROWS, "One row per user, seen in training or not."),
    "y": ("object", "Ignored, present for API consistency."),
    "reviews": ("object", "Ignored: this model reads no text."),
    "user_features": (
        "{array-like, sparse matrix, dataframe} of shape (n_users, n_user_features)",
        "What is known of the users themselves: a row for each of those of `X`. None: nothing.",
    ),
    "sample_weight": (
        "array-like of shape (n_users,)",
        "Non-negative weight of each user; None means 1.",
    ),
    "return_std": ("bool", "Whether to return the standard deviation of each rating too."),
}
TRAINING_ROWS = (
    ROWS,
    "One row per user. Stored entries (dense input: the non-zeros) are the observations.",
)

_SECTION = re.compile(r"^(?P<name>[A-Z][\w ]+)\n-+\n", re.MULTILINE)


def complete_docstrings(cls):
    """Add to a class's docstrings, and to those of its verbs, what they leave to others."""
    if cls.__doc__:
        cls.__doc__ = _complete_class(cls)
    complete_verbs(cls)


def complete_verbs(cls):
    """Add to the docstrings of a class's verbs what they leave to others; decorates mixins."""
    for name, method in vars(cls).items():
        if not inspect.isfunction(method):
            method = getattr(method, "__wrapped__", method)  # behind available_if
        if inspect.isfunction(method) and method.__doc__ and not name.startswith("_"):
            method.__doc__ = _complete_method(method)
    return cls


def _complete_class(cls):
    sections = _split(inspect.cleandoc(cls.__doc__))
    bases = [_split(inspect.cleandoc(base.__doc__)) for base in cls.__mro__[1:] if base.__doc__]
    parameters = [
        parameter
        for parameter in inspect.signature(cls).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    own, *inherited = (_entries(found.get("Parameters", "")) for found in [sections, *bases])
    texts = []
    for parameter in parameters:
        name = parameter.name
        if name in own:
            texts.append(_with_default(own[name], parameter))
            continue
        for documented in inherited:
            if name in documented:
                texts.append(_with_default(_without_default(documented[name]), parameter))
                break
    sections = _put(sections, "Parameters", texts)

    attributes = _entries(sections.get("Attributes", ""))
    for base in bases:
        for name, text in _entries(base.get("Attributes", "")).items():
            attributes.setdefault(name, text)
    return _join(_put(sections, "Attributes", list(attributes.values()), after="Parameters"))


def _complete_method(method):
    sections = _split(inspect.cleandoc(method.__doc__))
    own = _entries(sections.get("Parameters", ""))
    texts = []
    for parameter in inspect.signature(method).parameters.values():
        name = parameter.name
        if name in own:
            texts.append(own[name])
        elif name in VERB_PARAMETERS:
            kind, text = VERB_PARAMETERS[name]
            if name == "X" and method.__name__ in ("fit", "partial_fit", "fit_transform"):
                kind, text = TRAINING_ROWS
            texts.append(_with_default(f"{name} : {kind}\n{indent(text, '    ')}", parameter))
    return _join(_put(sections, "Parameters", texts))


def _without_default(text):
    """Leave out the default of another class."""
    first, *rest = text.split("\n")
    return "\n".join([first.partition(", default=")[0], *rest])


def _with_default(text, parameter):
    """State the default of the signature, unless there is none or one is stated already."""
    first, *rest = text.split("\n")
    if parameter.default is not inspect.Parameter.empty and "default=" not in first:
        default = repr(parameter.default).replace("'", '"')
        first = f"{first}, default={default}"
    return "\n".join([first, *rest])


def _split(doc):
    """Sections of a docstring by name, in order; what stands before them is named ``""``."""
    found = list(_SECTION.finditer(doc))
    starts = [match.start() for match in found] + [len(doc)]
    sections = {"": doc[: starts[0]].rstrip()}
    for match, end in zip(found, starts[1:], strict=True):
        sections[match["name"]] = doc[match.end() : end].rstrip()
    return sections


def _entries(section):
    """Entries of a section of definitions, by name: a line and what is indented below it."""
    entries = {}
    for line in section.split("\n") if section else []:
        if line and not line.startswith(" "):
            names = line.partition(" : ")[0].strip()
            entries[names] = line
        elif entries:
            entries[names] += f"\n{line}"
    return {name: text.rstrip() for names, text in entries.items() for name in names.split(", ")}


def _put(sections, name, entries, after=""):
    """Set a section of definitions, behind another one if it is new."""
    if not entries:
        return sections
    text = "\n".join(dict.fromkeys(entries))  # one entry may be that of several names
    if name in sections:
        return {**sections, name: text}
    names = list(sections)
    place = names.index(after) + 1 if after in sections else 1
    return {
        key: text if key == name else sections[key]
        for key in [*names[:place], name, *names[place:]]
    }


def _join(sections):
    parts = [sections[""]] if sections[""] else []
    parts += [f"{name}\n{'-' * len(name)}\n{text}" for name, text in sections.items() if name]
    return dedent("\n\n".join(parts)) + "\n"
