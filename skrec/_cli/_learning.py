"""What a model learns from, and a model that has learned it."""

import click
from scipy.sparse import csr_array

from skrec._cli._halving import search
from skrec._cli._models import find_row, settings_of
from skrec._cli._options import rated, refusals
from skrec._cli._output import note, status
from skrec._cli._tasks import RANKING_METRICS, check_readable, choices_of, is_choice
from skrec._cli._trials import Clock, Refused, reported_warnings
from skrec.interactions import Interactions
from skrec.metrics import ranking_scorer, rating_scorer

LEAST_TUNED = 5


def setting_of(file, data, min_rating, model_name, params, tuned, budget):
    """Find the model that is asked for, with its parameters, tuned or not.

    Parameters
    ----------
    file : pathlib.Path
    data : Interactions
        What stands in it.
    min_rating : float or None
    model_name : str
    params : list of str
    tuned : bool
    budget : float
        Seconds for tuning.

    Returns
    -------
    setting : Setting
    learned : Interactions
        What the model learns from.
    """
    row = find_row(model_name)
    check_readable(data, min_rating, [row])
    (setting,) = settings_of([row], params, data.X.nnz)
    learned = data
    if row.reads == "choices":
        learned = choices_of(data, min_rating).filter(min_users_per_item=1)
        if not learned.X.nnz:
            raise click.UsageError(f"{file}: nothing is{rated(min_rating)}; lower --min-rating")
    if tuned:
        setting = _tuned(file, setting, learned, budget)
        status(f"tuned: {setting.name}")
    return setting, learned


def _tuned(file, setting, learned, budget):
    free = [name for name in setting.row.search if name not in setting.changes]
    if not free:
        raise click.UsageError(f"{setting.name} has nothing left to tune: leave out --tune")
    # Of a user with one item, nothing can be hidden.
    data = learned.filter(min_items_per_user=2)
    if data.X.shape[0] < LEAST_TUNED:
        raise click.UsageError(
            f"{file}: only {data.X.shape[0]} users have two items or more, too few for --tune, "
            f"which needs {LEAST_TUNED}; set {', '.join(free)} with --param"
        )
    ranks = setting.row.reads == "choices"
    metric = RANKING_METRICS[0] if ranks else "neg_rmse"
    scoring = (ranking_scorer if ranks else rating_scorer)([metric])
    try:
        found = search([setting], data, scoring, metric, Clock(budget))
    except Refused as refused:
        raise click.UsageError(f"{file}: --tune: {refused}") from refused
    if found.is_interrupted:
        note("tuning was stopped by Ctrl-C; the best settings until then are taken")
    return found.best[0].setting


def fit(file, setting, learned):
    """Fit a model.

    Returns
    -------
    model : BaseRecommender
    """
    n_users, n_items = learned.X.shape
    status(f"fitting {setting.name} on {n_users} users x {n_items} items")
    with refusals(f"{file}: {setting.name}"), reported_warnings(setting.row.name):
        return setting.make().fit(learned)


def histories(data, item_ids, min_rating, reads):
    """Bring what users have into a model's columns; items are matched by how they are written.

    Parameters
    ----------
    data : Interactions
    item_ids : ndarray of shape (n_items,)
        Of the columns.
    min_rating : float or None
    reads : {"choices", "ratings", "reviews"}
        If choices, low ratings become stored zeros: they add nothing to a score, but count as
        seen.

    Returns
    -------
    histories : Interactions of shape (n_users, n_items)
    n_unknown : int
        Items that the model does not know.
    """
    X = data.X
    if reads == "choices":
        chosen = is_choice(data, min_rating).astype(X.dtype)
        X = csr_array((chosen, X.indices, X.indptr), shape=X.shape)
    known = {str(item): item for item in item_ids.tolist()}
    ids = [known.get(str(item), item) for item in data.item_ids.tolist()]
    n_unknown = sum(str(item) not in known for item in ids)
    renamed = Interactions(X, data.user_ids, ids, None, data.timestamps, data.reviews)
    return renamed.reindex(item_ids), n_unknown
