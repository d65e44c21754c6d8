"""Memory that large work needs, against what there is."""

from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")


def check_memory(n_bytes, what, fix, available=None):
    """Raise a MemoryError before a large allocation that cannot succeed.

    Parameters
    ----------
    n_bytes : int
        Bytes about to be allocated.
    what : str
        What needs them, for the message.
    fix : str
        Which option needs less, for the message.
    available : int, default=None
        Bytes that can be allocated. None means those of :func:`available_memory`.
    """
    available = available_memory() if available is None else available
    if n_bytes > available:
        raise MemoryError(
            f"{what} needs {n_bytes / 2**30:.3g} GiB, {available / 2**30:.3g} GiB are available: "
            f"{fix}."
        )


def available_memory():
    """Bytes that can still be allocated, by the machine's memory and the container's limit."""
    available = psutil.virtual_memory().available
    try:
        limit, used = ((_CGROUP / name).read_text() for name in ("memory.max", "memory.current"))
        return min(available, int(limit) - int(used))
    except (OSError, ValueError):  # not in a container; "max" stands for no limit
        return available
