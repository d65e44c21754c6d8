"""Whether this process is a fork of one that had imported skrec, and so may have used torch."""

import os

IS_FORKED = False


def _note_fork():
    global IS_FORKED
    IS_FORKED = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
