"""Progress bars that leave nothing behind."""

from functools import partial


def progress_bar(*args, silent=False, **options):
    """Make a progress bar, or something that takes the same calls where there is nothing to show.

    tqdm starts a thread to watch over its bars, even over one that is switched off, and that
    thread outlives them all: here none is started.

    Parameters
    ----------
    *args
        Parameters of tqdm.
    silent : bool, default=False
        Whether to show nothing; tqdm is not even imported then.
    **options
        Parameters of tqdm.

    Returns
    -------
    bar : context manager
        With the methods ``update`` and ``set_postfix``, and ``finish`` for what comes to its end
        before the total; a bar that is shown is a ``tqdm.tqdm``.
    """
    if silent:
        return _SilentBar()
    from tqdm.auto import tqdm

    # By these times tqdm before 4.70 closes a bar that Ctrl-C has met while it was made.
    attributes = {"monitor_interval": 0, "last_print_t": -1, "start_t": 0}
    attributes["format_dict"] = property(partial(_facts, tqdm))
    attributes["finish"] = _finish
    return type("ProgressBar", (tqdm,), attributes)(*args, **options)


def _facts(tqdm, bar):
    """What a bar shows; without a start of its own yet, it has taken no time."""
    facts = tqdm.format_dict.fget(bar)
    return facts if "start_t" in vars(bar) else {**facts, "elapsed": 0}


def _finish(bar):
    """Say that no more is to come; a bar that is left as it is goes on naming the time left."""
    bar.total = bar.n
    bar.refresh()


class _SilentBar:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def update(self, n=1):
        pass

    def finish(self):
        pass

    def set_postfix(self, *args, **values):
        pass
