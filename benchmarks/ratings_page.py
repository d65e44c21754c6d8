"""The page of rating results, from the figures of ``ratings_table.py`` alone."""

from statistics import mean, median

import numpy as np
from rating_settings import ROWS, published, rows_of
from rst import disturbed, in_seconds, list_table, machines

TITLES = {
    "ml-100k": "MovieLens 100K, the five official folds",
    "ml-1m-90-10": "MovieLens 1M, a random tenth held out",
}

HEAD = """\
.. Written by ``benchmarks/ratings_table.py`` from ``benchmarks/results/ratings-table.json``.

Rating results
==============

Every rating model at its defaults, by :class:`~skrec.RatingRegressor` over pairs of user and
item, and Surprise's beside those that are the like of it. Which one to take is said in
:doc:`which_rating_model`.

Defaults were chosen on ratings held out of training parts, ``random_state`` is 0. One command
measures the rows that have no figures, or those that it is given, and writes this page:

.. code-block:: shell

   python benchmarks/ratings_table.py --data ml-100k
   python benchmarks/ratings_table.py --data ml-1m-90-10 --model PMF --model SVDpp
   python benchmarks/ratings_table.py --data ml-100k --peers --peer-python PEERS/bin/python
"""
QUALITY = """\
Means over the splits, with the standard deviation over them. *Published* is the RMSE (and MAE)
that the papers, or Surprise's own page, print for the same kind of split.
"""
COSTS = """\
Seconds of a fit and of the predictions of the whole test part, medians over the splits. Memory is
what the process grows by at its peak while it fits and predicts: that of our models includes
reading the pairs, as :class:`~skrec.RatingRegressor` does, Surprise's does not.
"""
PEERS = """\
The same folds and the same parameters, or the defaults where ours is another algorithm. Seconds
are those of a fit and the predictions together, of ours and as a share of Surprise's.
"""
MARKED = """\
\\* Measured beside other programs, or not on all cores: these seconds are too high.
"""
NO_USERS = """\
\\+ Without the features of users, which were not there.
"""


def render(table):
    """Turn the figures into reStructuredText."""
    return "\n".join([HEAD, *(_protocol(table, protocol) for protocol in TITLES)])


def _protocol(table, protocol):
    found = {name: table.get(f"{protocol}: {name}") for name in rows_of(protocol)}
    rows = {name: entry for name, entry in found.items() if entry}
    rows = dict(sorted(rows.items(), key=lambda pair: mean(pair[1]["figures"]["rmse"])))
    title = TITLES[protocol]
    lines = [title, "-" * len(title), ""]
    if rows:
        marks = [MARKED] if any(disturbed(row) for row in rows.values()) else []
        marks += [NO_USERS] if any(_lacks_users(*pair) for pair in rows.items()) else []
        lines += [QUALITY, _quality(rows, published(protocol)), COSTS, _costs(rows), *marks]
        lines += [machines(rows.values()), "", *_peers(table, protocol, rows)]
        settings = {name: row["setting"] for name, row in rows.items() if ROWS[name].parameters}
        lines += ["The settings that are not defaults:", ""]
        lines += [*(f"- {name}: ``{setting}``" for name, setting in settings.items()), ""]
    missing = [f"``{name}``" for name in found if name not in rows]
    if missing:
        lines += [f"Not measured yet: {', '.join(missing)}.", ""]
    return "\n".join(lines)


def _lacks_users(name, row):
    return "user" in ROWS[name].features and "user_features" not in row["features"]


def _quality(rows, printed):
    lines = []
    for name, row in rows.items():
        figures = row["figures"]
        covered = figures.get("coverage")
        lines.append(
            [
                f"{name} \\+" if _lacks_users(name, row) else name,
                _with_deviation(figures["rmse"]),
                f"{mean(figures['mae']):.4f}",
                f"{100 * mean(covered):.1f} %" if covered else "",
                printed.get(name, ""),
            ]
        )
    header = "Model,RMSE,MAE,90 % intervals cover,published"
    return list_table(header, "30 18 10 14 28", lines)


def _with_deviation(values):
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{mean(values):.4f} ± {np.std(values, ddof=1):.4f}"


def _costs(rows):
    lines = []
    for name, row in rows.items():
        mark = " \\*" if disturbed(row) else ""
        fit, predict = (in_seconds(median(row["figures"][key])) for key in ("fit", "predict"))
        lines.append([name, fit + mark, predict + mark, _memory(row["peak"])])
    return list_table("Model,fit,predict,memory", "40 20 20 20", lines)


def _memory(peak):
    return "" if peak is None else f"{peak / 2**20:,.0f} MiB"


def _peers(table, protocol, rows):
    lines = []
    for name, row in rows.items():
        theirs = table.get(f"{protocol}: {ROWS[name].peer}")
        if theirs is None:
            continue
        ours, other = row["figures"], theirs["figures"]
        mark = " \\*" if disturbed(row) or disturbed(theirs) else ""
        seconds = [median(np.add(figures["fit"], figures["predict"])) for figures in (ours, other)]
        peaks = row["peak"], max(other["peak"])
        lines.append(
            [
                name,
                f"{ROWS[name].peer} {theirs['version']}",
                f"{mean(ours['rmse']):.4f} / {mean(other['rmse']):.4f}",
                f"{mean(ours['mae']):.4f} / {mean(other['mae']):.4f}",
                f"{in_seconds(seconds[0])}, {seconds[0] / seconds[1]:.3f}{mark}",
                f"{_memory(peaks[0])} / {_memory(peaks[1])}",
            ]
        )
    if not lines:
        return []
    header = "Model,beside,RMSE,MAE,seconds,memory"
    return ["Beside Surprise:", "", PEERS, list_table(header, "24 24 16 16 14 18", lines)]
