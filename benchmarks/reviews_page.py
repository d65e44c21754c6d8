"""The page "Reproducing DeepLTRS", from the files that ``reviews.py`` has written."""

import json
from pathlib import Path
from statistics import mean, stdev

from report_reviews import differences, spread
from rst import list_table, machines

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "reproducing_deepltrs.rst"

HEAD = """\
.. Written by ``benchmarks/reviews.py --render`` from ``benchmarks/results/reviews-*.json``.

Reproducing DeepLTRS
====================

:class:`~skrec.DeepLTRS` comes from a paper [#paper]_ that compares it with four systems on
Amazon Fine Foods, and with itself on simulated data. Here are its experiments with models of
this package, the published figures beside them, and the commands. All errors are those of
predictions that are not rounded.
"""
FINE_FOODS = """\
Table 3: Amazon Fine Foods
--------------------------

The subset of the paper: 1,644 users, 1,733 products, 32,836 ratings, with the reviews' summaries
as texts. 80 % of the ratings to learn from, 10 % to stop by, 10 % for the test, five splits:

.. code-block:: shell

   python benchmarks/reviews.py --data fine-foods
   python benchmarks/reviews.py --data fine-foods --model CTR --out FILE.json
   python benchmarks/reviews.py --render

*Gain* is the mean difference to the offsets of users and products, ``BiasBaseline``, with its
standard error over the splits.
"""
CONSTANT = """\
**The mean of all training ratings has {constant:.3f}.** It beats {beaten} as they are published,
and so do the offsets alone, {offsets:.3f}, which beat all five. Why the published errors are so
large cannot be told from the paper; that of HPF comes from its expected counts, which take
unobserved pairs for zeros. The literal setting of the paper has {literal:.3f} here on the first
split (``--model "DeepLTRS as in the paper" --splits 1``).
"""
DISTINCT = """\
These data repeat themselves: more than half of the ratings belong to one review that is shown at
several variants of a product, with the same text, at the same moment. What tells the variants
(that they have the same words) tells the rating in the test. With one copy of each review:

.. code-block:: shell

   python benchmarks/reviews.py --data fine-foods-distinct
"""
INSTRUMENTS = """\
Musical Instruments
-------------------

Not in the paper: whole reviews, of 90 words on average, by users who have written seven. Ten
splits, measured, as those above, with ``l2_offset=4`` and before latents were shrunk by held-out
ratings:

.. code-block:: shell

   python benchmarks/reviews.py --data musical-instruments
"""
SIMULATION = """\
Figures 3 and 4: simulated data
-------------------------------

750 users and 600 items in two groups each decide the rating and the topic of each review. *Best*
is the error of the rating that the simulation expects, *gain* what texts add to DeepLTRS.
Measured before ratings were divided by their deviation.

.. code-block:: shell

   python benchmarks/reviews.py --data simulation --sparsity 0.9
"""
TAIL = """\
Tables 1 and 2, and Figures 5 and 6
-----------------------------------

Tables 1 and 2 define the simulation: :func:`~skrec.datasets.make_ratings_reviews` follows them.
Figures 5 and 6 are latents of users and products: :class:`~skrec.inspection.LatentSpaceDisplay`
draws them. The topics found match the four texts of the simulation with cosines of 0.93 to 0.97
at a sparsity of 0.5 (``--data simulation --sparsity 0.5 --topics``).

.. [#paper] D. Liang, M. Corneli, C. Bouveyron and P. Latouche, "DeepLTRS: A Deep Latent
   Recommender System based on User Ratings and Reviews", Pattern Recognition Letters 152, 2021.
   https://hal.science/hal-03021362
"""


def render():
    """Write the page from the files that there are."""
    foods, distinct, instruments = (
        json.loads((RESULTS / f"reviews-{name}.json").read_text())
        for name in ("fine-foods", "fine-foods-distinct", "musical-instruments")
    )
    literal = json.loads((RESULTS / "reviews-fine-foods-paper.json").read_text())
    simulation = json.loads((RESULTS / "reviews-simulation.json").read_text())
    errors = {name: mean(measured["rmse"]) for name, measured in foods["splits"].items()}
    published = {name: mean(scores) for name, scores in foods["published"].items()}
    beaten = [name for name, error in published.items() if error > errors["mean"]]
    constant = CONSTANT.format(
        constant=errors["mean"],
        offsets=errors["BiasBaseline"],
        beaten=", ".join(beaten[:-1]) + f" and {beaten[-1]}",
        literal=mean(literal["splits"]["DeepLTRS as in the paper"]["rmse"]),
    )
    parts = [
        *(HEAD, FINE_FOODS, _splits(foods), constant, DISTINCT, _splits(distinct)),
        *(INSTRUMENTS, _splits(instruments), SIMULATION, _simulation(simulation), TAIL),
    ]
    PAGE.write_text("\n".join(parts))


def _splits(result):
    offsets = result["splits"]["BiasBaseline"]["rmse"]
    rows = []
    for name, measured in result["splits"].items():
        gain = "" if name == "BiasBaseline" else differences(offsets, measured["rmse"])
        rows.append((mean(measured["rmse"]), [f"``{name}``", spread(measured["rmse"]), gain]))
    for name, scores in result["published"].items():
        text = f"{mean(scores):.4f} ± {stdev(scores):.4f}"
        rows.append((mean(scores), [f"{name}, published", text, ""]))
    rows = [cells for _, cells in sorted(rows, key=lambda row: row[0])]
    return list_table("Model,RMSE,gain", "40 25 35", rows) + "\n" + machines([result]) + "\n"


def _simulation(result):
    rows = []
    for sparsity, models in sorted(result["simulation"].items()):
        without, read = models["DeepLTRS without texts"], models["DeepLTRS"]
        errors = [
            f"{mean(models[name]):.3f}"
            for name in ("BiasBaseline", "DeepLTRS without texts", "DeepLTRS", "expected rating")
        ]
        rows.append([sparsity, *errors, differences(without, read)])
    header = "Sparsity,offsets,without texts,DeepLTRS,best,gain by texts"
    return list_table(header, "12 12 15 12 12 37", rows) + "\n" + machines([result]) + "\n"
