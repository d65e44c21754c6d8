"""What Surprise answers on a small matrix, as benchmarks/surprise_answers.py wrote it down."""

import json
from functools import cache
from pathlib import Path


@cache
def surprise_answers():
    """Read the matrix ``X`` and the answers to all pairs, before clipping.

    ``knn`` is a list of settings, named as those of `RatingKNN`, each with its ``ratings``;
    ``slope_one`` and ``baseline`` are ratings.
    """
    return json.loads(Path(__file__).with_suffix(".json").read_text())
