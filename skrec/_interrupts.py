"""Ctrl-C on the command line: quiet, with exit code 130, also while modules are imported.

The first import of a process takes seconds. A KeyboardInterrupt in it ends in a traceback, or in
the ImportError that some extension modules make of it; so that the process is ended instead.
"""

import os
import signal
import sys


def _is_command():
    """Whether this process is ``skrec`` or ``python -m skrec``, on its way to ``main``."""
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":  # so until the module is found
        return not {"skrec", "-mskrec"}.isdisjoint(sys.orig_argv)
    return os.path.splitext(os.path.basename(program))[0] == "skrec"


def _end(number, frame):
    os._exit(130)


def _end_or_raise(number, frame):
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os._exit(130)
        frame = frame.f_back
    raise KeyboardInterrupt


def raise_but_in_imports():
    """Let Ctrl-C raise KeyboardInterrupt again, but where a module is being imported."""
    if signal.getsignal(signal.SIGINT) in (_end, signal.default_int_handler):
        signal.signal(signal.SIGINT, _end_or_raise)


# Not where Ctrl-C is ignored, as under nohup.
if _is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)
