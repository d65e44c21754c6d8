"""The table of a comparison: printed, as a data frame, and drawn."""

import numpy as np

from skrec.utils._compat import check_matplotlib_support
from skrec.utils._frames import make_frame

COLUMNS = (
    "model",
    "metric",
    "mean",
    "standard_error",
    "difference",
    "p_value",
    "n_users",
    "fit_time",
    "score_time",
)
_FORMATS = ("", "", ".4f", ".4f", ".4f", ".2g", "d", ".2f", ".2f")


class Comparison(dict):
    """Table of :func:`compare_recommenders`: a dict of columns that prints as a table.

    Its columns are described there.

    Attributes
    ----------
    backend : str or None
        Library of the data frames that :meth:`to_frame` makes by default: that of the table that
        the compared :class:`~skrec.Interactions` were read from.

    Examples
    --------
    >>> from skrec import EASE, Popularity
    >>> from skrec.datasets import load_movielens_small
    >>> from skrec.model_selection import compare_recommenders
    >>> models = {"popularity": Popularity(), "EASE": EASE(l2=100)}
    >>> likes = load_movielens_small().binarize(3.5).filter(min_users_per_item=20)
    >>> table = compare_recommenders(models, likes, cv=3, scoring="ndcg@10")
    >>> table.to_frame("pandas")[["model", "metric", "mean"]].round(2)
            model   metric  mean
    0        EASE  ndcg@10  0.30
    1  popularity  ndcg@10  0.15
    """

    backend = None

    def __str__(self):
        return self._as_text("simple")

    __repr__ = __str__

    def _repr_html_(self):
        """Show a table, for notebooks."""
        return self._as_text("html")

    def _as_text(self, style):
        from tabulate import tabulate

        rows = list(zip(*self.values(), strict=True))
        return tabulate(
            [["" if value != value else value for value in row] for row in rows],
            headers=[column.replace("_", " ") for column in self],
            floatfmt=_FORMATS,
            tablefmt=style,
            disable_numparse=[0, 1],
        )

    def to_frame(self, backend=None):
        """Make a data frame with a row for each metric and model.

        Parameters
        ----------
        backend : str, default=None
            Library of the frame, such as "pandas" or "polars"; None means `backend`, or
            the first one that is installed.

        Returns
        -------
        frame : dataframe
        """
        columns = {name: np.asarray(values) for name, values in self.items()}
        for name in ("model", "metric"):
            columns[name] = columns[name].astype(object)
        return make_frame(columns, backend or self.backend)

    def plot(self, metric=None, ax=None):
        """Draw the quality of each model against the time of its fit.

        Parameters
        ----------
        metric : str, default=None
            Which metric to draw; None means the first of the table.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        ax : matplotlib Axes
            With a labelled point for each model, its standard error as a bar, and the mean
            seconds of a fit on a logarithmic axis. The bars say how far a mean may be off for
            want of test users, not whether two models differ: see the p-values.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        metrics = list(dict.fromkeys(np.asarray(self["metric"]).tolist()))
        metric = metrics[0] if metric is None else metric
        if metric not in metrics:
            raise ValueError(f"metric must be one of those compared, {metrics}, got {metric!r}.")
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(layout="constrained")
        rows = np.flatnonzero(np.asarray(self["metric"]) == metric)
        for number, row in enumerate(rows):
            at = self["fit_time"][row], self["mean"][row]
            bar = np.nan_to_num(self["standard_error"][row])
            ax.errorbar(*at, yerr=bar, fmt="o", capsize=3, color=f"C{number}")
            ax.annotate(self["model"][row], at, (6, 4), textcoords="offset points")
        ax.set(
            xscale="log",
            xlabel="Seconds to fit (mean of the folds)",
            ylabel=f"{metric} ± standard error",
        )
        ax.margins(x=0.25, y=0.15)
        return ax
