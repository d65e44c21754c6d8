"""Loops that no library has, compiled."""

from functools import partial

import numba


def compiled(function=None, *, any_order=False):
    """Compile a loop over arrays to machine code, which is kept for the next process.

    It runs without the interpreter's lock, so that threads of :func:`map_blocks` share the work.

    Parameters
    ----------
    function : function
    any_order : bool, default=False
        Whether sums may be added up in another order than is written, which vector instructions
        need. It is the same order at each call.
    """
    if function is None:
        return partial(compiled, any_order=any_order)
    options = {"nogil": True, "error_model": "numpy"}
    if any_order:
        options["fastmath"] = {"reassoc", "contract"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that can be written to: compiled again by each process
        return numba.njit(**options)(function)
