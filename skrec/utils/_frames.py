"""Data frames of whichever library the user works with."""

from html import escape
from importlib.util import find_spec

import numpy as np

LIBRARIES = ("pandas", "polars", "pyarrow")


def make_frame(columns, backend=None):
    """Make a native data frame.

    Parameters
    ----------
    columns : dict of str to array-like
    backend : str, default=None
        Name of the library, as narwhals calls it, such as "pandas", "polars" or "pyarrow". None
        means the first of these that is installed.

    Returns
    -------
    frame : dataframe
    """
    import narwhals as nw

    if backend is None:
        backend = next(name for name in LIBRARIES if find_spec(name))  # polars always is
    # As lists, objects become columns of the type that they have in common.
    columns = {
        name: values.tolist() if getattr(values, "dtype", None) == np.object_ else values
        for name, values in columns.items()
    }
    try:
        return nw.from_dict(columns, backend=backend).to_native()
    except (TypeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{backend} cannot hold these columns, such as ids of several types ({reason}): give "
            "ids of one type, such as strings, or work with pandas."
        ) from error


def as_backend(frame):
    """Name of the library of a narwhals frame, for `make_frame`; None of anything else."""
    implementation = getattr(frame, "implementation", None)
    return None if implementation is None else implementation.name.lower()


def as_html_table(caption, facts):
    """Make an HTML table of names and values, one pair in a line."""
    align = "style='text-align: left'"
    lines = "".join(
        f"<tr><th {align}>{escape(name)}</th><td {align}>{escape(value)}</td></tr>"
        for name, value in facts.items()
    )
    return f"<table><caption>{escape(caption)}</caption>{lines}</table>"
