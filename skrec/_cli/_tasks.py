"""What data can be used for: choices to rank items by, or ratings to predict."""

from typing import NamedTuple

import click
import numpy as np

from skrec._cli._models import applicable
from skrec._cli._options import refusals

RANKING_METRICS = ("ndcg@100", "recall@20", "recall@50")
_RATING_METRICS = ("rmse", "mae", "neg_rmse", "neg_mae")


class Task(NamedTuple):
    """A comparison that makes sense.

    Parameters
    ----------
    reads : {"choices", "ratings"}
    rows : list of ModelRow
        The models that can be compared.
    metrics : list of str
        The first decides.
    data : Interactions
    min_rating : float or None
    """

    reads: str
    rows: list
    metrics: list
    data: object
    min_rating: float

    @property
    def scoring(self):
        """Make the scorer."""
        from skrec.metrics import ranking_scorer, rating_scorer

        make = ranking_scorer if self.reads == "choices" else rating_scorer
        return make(self.metrics)


def scale_of(data):
    """Tell stars from counts: of counts the smallest is the most frequent, and all are whole.

    Returns
    -------
    scale : {None, "counts", "stars"}
        None if all values are equal.
    """
    values, counts = np.unique(data.X.data, return_counts=True)
    if len(values) < 2:
        return None
    is_whole = (values == np.round(values)).all() and values[0] >= 0
    return "counts" if is_whole and counts.argmax() == 0 else "stars"


def about_ratings(data, min_rating, reads):
    """Say in one line what is done with the ratings."""
    scale = scale_of(data)
    low, high = (f"{value:g}" for value in (data.X.data.min(), data.X.data.max()))
    if scale is None:
        return "Every row counts as a choice."
    if min_rating is not None:
        return (
            f"Ratings, from {low} to {high}: those of {min_rating:g} or more count as choices, "
            "all alike."
        )
    if "ratings" not in reads and scale == "counts":
        return (
            f"Numbers from {low} to {high} look like counts: not used, every row counts as a "
            "choice" + (", but for those of 0." if low == "0" else ".")
        )
    if "ratings" not in reads:
        return (
            f"Ratings, from {low} to {high}: not used, every row counts as a choice; --min-rating "
            "leaves out the low ones."
        )
    if "choices" not in reads:
        return f"Ratings, from {low} to {high}: predicted, in their own units."
    return (
        f"Ratings, from {low} to {high}: used by the models that predict them; for the others "
        "every row counts as a choice (--min-rating leaves out the low ones)."
    )


def choices_of(data, min_rating):
    """Keep what counts as a choice, with the value 1."""
    return data.where(is_choice(data, min_rating)).binarize(-np.inf)


def is_choice(data, min_rating):
    """Mask the entries that count as choices: a rating of 0 is one, a count of 0 is not."""
    values = data.X.data
    if min_rating is None:
        return values > 0 if scale_of(data) == "counts" else np.ones(len(values), dtype=bool)
    # In the precision of the ratings, where 4.1 is 4.1, and 1e300 infinite.
    with np.errstate(over="ignore"):
        return values >= values.dtype.type(min_rating)


def tasks_of(data, min_rating, rows, metrics):
    """Decide what is compared, from what the data have and what is asked for.

    Parameters
    ----------
    data : Interactions
    min_rating : float or None
    rows : list of ModelRow
        Those asked for; without any, all that apply.
    metrics : list of str
        Those asked for.

    Returns
    -------
    tasks : list of Task
        One or two.
    """
    scale = scale_of(data)
    asked = {
        "choices": [name for name in metrics if name not in _RATING_METRICS],
        "ratings": [
            f"neg_{name.removeprefix('neg_')}" for name in metrics if name in _RATING_METRICS
        ],
    }
    if metrics:
        reads = {kind for kind, names in asked.items() if names}
    elif rows:
        reads = {"choices" if row.reads == "choices" else "ratings" for row in rows}
    else:
        reads = {"choices", "ratings"} if scale == "stars" and min_rating is None else {"choices"}
    if "ratings" in reads and asked["ratings"]:
        _check_ratings(scale, min_rating, f"--metric {asked['ratings'][0].removeprefix('neg_')}")
    check_readable(data, min_rating, rows)
    has_reviews = data.reviews is not None
    known = {
        "choices": {"choices"},
        "ratings": {"ratings"} | ({"reviews"} if has_reviews else set()),
    }
    tasks = []
    for kind in ("choices", "ratings"):
        if kind not in reads:
            continue
        able = rows or applicable(known[kind])
        chosen = [row for row in able if (row.reads == "choices") == (kind == "choices")]
        if not chosen:
            raise click.UsageError(
                f"--metric {asked[kind][0].removeprefix('neg_')} judges "
                + ("recommended lists" if kind == "choices" else "predicted ratings")
                + f", which {rows[0].name} does not make; leave out one of them"
            )
        default = RANKING_METRICS if kind == "choices" else ("neg_rmse",)
        task = Task(
            kind,
            chosen,
            asked[kind] or list(default),
            choices_of(data, min_rating) if kind == "choices" else data,
            min_rating,
        )
        with refusals("--metric"):
            task.scoring  # noqa: B018
        tasks.append(task)
    stray = [row.name for row in rows if not any(row in task.rows for task in tasks)]
    if stray:
        raise click.UsageError(
            f"--model {stray[0]} is not judged by --metric {metrics[0]}; leave out one of them"
        )
    return tasks


def check_readable(data, min_rating, rows):
    """Refuse models that ask for what the data have not.

    Parameters
    ----------
    data : Interactions
    min_rating : float or None
    rows : list of ModelRow
    """
    for row in rows:
        if row.reads != "choices":
            _check_ratings(scale_of(data), min_rating, f"--model {row.name}")
        if row.reads == "reviews" and data.reviews is None:
            raise click.UsageError(
                f"--model {row.name} reads reviews, of which the file has no column; name it "
                "with --review"
            )


def _check_ratings(scale, min_rating, what):
    if min_rating is not None:
        raise click.UsageError(
            f"{what} is about ratings, of which --min-rating makes choices; leave out one of them"
        )
    if scale is None:
        raise click.UsageError(
            f"{what} is about ratings, of which the file has none that differ; name their column "
            "with --rating"
        )
