"""Loops that no library has, compiled."""

import numba


def compiled(function):
    """Compile a loop over arrays to machine code, which is kept for the next process.

    It runs without the interpreter's lock, so that threads of :func:`map_blocks` share the work.
    """
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder that can be written to: compiled again by each process
        return numba.njit(nogil=True)(function)
