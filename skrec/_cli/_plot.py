"""A picture of comparisons."""

import click

from skrec._cli._output import note
from skrec.utils._files import written_whole


def check_plot(path):
    """Refuse a picture that cannot be written, before any work is done."""
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as error:
        raise click.UsageError(
            '--plot needs matplotlib: pip install "scikit-recommend[plot]"'
        ) from error
    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.lower().removeprefix(".") not in known:
        raise click.UsageError(
            f"--plot {path}: a picture's name must end in one of .{', .'.join(sorted(known))}"
        )
    if not path.absolute().parent.is_dir():
        raise click.UsageError(f"--plot {path}: there is no such folder")


def write_plot(path, judged):
    """Draw quality against time, a panel for each task.

    Parameters
    ----------
    path : pathlib.Path
    judged : list of Judged
    """
    from matplotlib.figure import Figure

    judged = [one for one in judged if one.compared is not None]
    if not judged:
        note(f"--plot {path}: nothing was compared, so that there is no picture")
        return
    figure = Figure(figsize=(7 * len(judged), 5), layout="constrained")
    panels = figure.subplots(1, len(judged), squeeze=False)[0]
    for one, axes in zip(judged, panels, strict=True):
        one.compared.comparison.plot(metric=one.task.metrics[0], ax=axes)
    try:
        with written_whole(path) as part:
            figure.savefig(part)
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror or error}") from error
