"""The page of results, from the figures of ``results_board.py`` alone."""

from statistics import mean, median

import numpy as np
from rst import disturbed, in_seconds, list_table, machines
from settings import PEERS, PUBLISHED, SPLITS, WRITTEN, on_board

import skrec
from skrec.metrics import standard_error

TITLES = {"ml-1m": "MovieLens 1M", "ml-latest-small": "MovieLens latest-small"}
REACHED = 0.001  # as much less counts as equal: half the error of a paired difference

HEAD = """\
.. Written by ``benchmarks/results_board.py`` from ``benchmarks/results/board.json``.

Results
=======

Every ranker at the setting that did best on validation users. Which one to take is said in
:doc:`which_model`, what is computed in :doc:`metrics`.

Users who are unseen in training are shown with four fifths of their likes (ratings of at least
4), and the lists are scored by the other fifth. A tenth of the users is for validation and a tenth
for the test; models are fitted to training users and the whole rows of validation users. Settings
were chosen on the validation users of the first split; of networks, on the users that early
stopping holds out, with ``validation_fraction=1/9``. Some of them are test users of other splits,
which flatters all tuned rows a little. ``random_state`` is 0. What is not named has
its default.

One command measures the rows that have no figures at their present setting, or those that it is
given, and writes this page:

.. code-block:: shell

   python benchmarks/results_board.py --data ml-1m
   python benchmarks/results_board.py --data ml-latest-small --model EASE --model RecVAE
   python benchmarks/results_board.py --data ml-1m --peers --peer-python PEERS/bin/python
"""
QUALITY = """\
The first column is NDCG@100, the mean over the splits, with the standard error over the users
of one. *Beside EASE* is the mean difference to the row ``EASE`` for the same users, with its error
on one split: a difference of two models is known better than the figure of either. Coverage, of
the catalogue, and novelty, in bits, are those of lists of ten.
"""
COSTS = """\
Seconds of a fit and lists of 100 a second are medians over the splits; memory is that of the
whole process at its peak, Python, its libraries and the data included; the file is the pickled
model.
"""
MARKED = """\
\\* Measured beside other programs, or not on all cores: these seconds are too high.
"""
OTHERS = f"""\
Other libraries at the settings of ``benchmarks/peers.py``, and formulas and loops written
without any, on the same splits. A figure is reached by at most {REACHED} less. Why neighbours and
walks differ so much is said in :doc:`linear`.
"""
ELSEWHERE = """\
Published elsewhere
-------------------

NDCG@100 on MovieLens 20M as printed, on the split of Liang et al. where no other is named. It is
no target for the rows above: other data, other users, another split. Of MovieLens latest-small,
see :doc:`autoencoders`.
"""


def render(board):
    """Turn the figures into reStructuredText."""
    published = [
        [f":class:`~skrec.{name}`", f"{figure:.3f}", source]
        for name, (figure, source) in PUBLISHED.items()
        if name in skrec.__all__
    ]
    lines = [HEAD, *(_data_set(board, data) for data in TITLES), ELSEWHERE]
    return "\n".join([*lines, list_table("Model,NDCG@100,In", "20 15 65", published)])


def ndcg_100(entry):
    """NDCG@100 of a row or of another library, the mean over the splits."""
    by_split = entry["figures"]["ndcg@100"]
    return mean(float(np.nanmean(np.array(values, float))) for values in by_split)


def _data_set(board, data):
    there = {
        name: board[f"{data}: {name}"] for name in on_board(data) if f"{data}: {name}" in board
    }
    rows = dict(sorted(there.items(), key=lambda pair: -ndcg_100(pair[1])))
    missing = [f"``{name}``" for name in on_board(data) if name not in rows]
    title = f"{TITLES[data]}, {SPLITS[data]} splits"
    lines = [title, "-" * len(title), "", *([QUALITY] if rows else [])]
    if rows:
        lines += [
            _quality(rows),
            COSTS,
            _costs(rows),
            *_machines(rows),
            OTHERS,
            *_others(board, data, rows),
        ]
        lines += [
            "The settings:",
            "",
            *(f"- {name}: ``{row['setting']}``" for name, row in rows.items()),
            "",
        ]
    if missing:
        lines += [f"Not measured yet: {', '.join(missing)}.", ""]
    return "\n".join(lines)


def _quality(rows):
    lines = []
    for name, row in rows.items():
        by_split = [np.array(values, float) for values in row["figures"]["ndcg@100"]]
        error = mean(standard_error(values) for values in by_split)
        others = [mean(row["figures"][key]) for key in ("ndcg@10", "recall@20", "recall@50")]
        lists = [mean(row["figures"][key]) for key in ("coverage@10", "novelty@10")]
        lines.append(
            [name, f"{ndcg_100(row):.4f} ± {error:.4f}", _beside(name, by_split, rows)]
            + [f"{value:.3f}" for value in others]
            + [f"{100 * lists[0]:.1f} %", f"{lists[1]:.1f}"]
        )
    header = "Model,NDCG@100,beside EASE,NDCG@10,recall@20,recall@50,coverage,novelty"
    return list_table(header, "22 16 18 9 9 9 9 8", lines)


def _beside(name, by_split, rows):
    """Mean difference to EASE of the same users, and the mean of its error on one split."""
    if name == "EASE" or "EASE" not in rows:
        return ""
    theirs = rows["EASE"]["figures"]["ndcg@100"]
    pairs = zip(by_split, theirs, strict=True)
    differences = [ours - np.array(values, float) for ours, values in pairs]
    error = mean(standard_error(values) for values in differences)
    return f"{mean(float(np.nanmean(values)) for values in differences):+.4f} ± {error:.4f}"


def _costs(rows):
    lines = []
    for name, row in rows.items():
        mark = " \\*" if disturbed(row) else ""
        fit, lists, size = (median(row["figures"][key]) for key in ("fit", "lists", "size"))
        peak = "" if row["peak"] is None else f"{row['peak']:,.0f} MiB"
        lines.append(
            [name, f"{in_seconds(fit)}{mark}", f"{lists:,.0f}{mark}", peak, f"{size:,.1f} MiB"]
        )
    return list_table("Model,fit,lists a second,memory,file", "32 17 17 17 17", lines)


def _machines(rows):
    marked = [MARKED] if any(disturbed(row) for row in rows.values()) else []
    return [*marked, machines(rows.values()), ""]


def _others(board, data, rows):
    """What each row is compared with on the same splits, and whether it reaches that."""
    found = [(row, figure, whose) for row, (figure, whose) in WRITTEN[data].items()]
    for peer, row in PEERS[data].items():
        entry = board.get(f"{data}: {peer}")
        if entry is not None:
            found.append((row, ndcg_100(entry), f"{peer} ({entry['version']})"))
    lines = []
    for name in rows:
        for row, figure, whose in found:
            if row == name:
                ours = ndcg_100(rows[name])
                verdict = (
                    "reached" if ours >= figure - REACHED else f"missed by {figure - ours:.4f}"
                )
                lines.append([name, f"{ours:.4f}", whose, f"{figure:.4f}", verdict])
    alone = [f"``{name}``" for name in rows if name not in {row for row, *_ in found}]
    header = "Model,NDCG@100,beside,its NDCG@100,"
    table = [list_table(header, "22 14 34 14 16", lines)] if lines else []
    return [*table, f"Without a figure on these splits: {', '.join(alone)}.", ""]
