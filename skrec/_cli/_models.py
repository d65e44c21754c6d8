"""The models that the commands compare, and how they are tuned and explained."""

from sklearn.model_selection import GridSearchCV, KFold, ParameterGrid

from skrec._model_table import MODELS
from skrec.linear import EASE, Popularity
from skrec.utils._answers import largest_shares
from skrec.utils._progress import progress_bar

N_FOLDS = 5


def candidates():
    """Name the models: a calibration row, and EASE without and with dropout."""
    return {
        "Popularity": Popularity(),
        "EASE": EASE(),
        "EASE (dropout 0.5)": EASE(dropout=0.5),
    }


def grid_of(estimator):
    """Find what is tried when a model is tuned: the grid of its row, for others nothing."""
    row = MODELS.get(type(estimator).__name__)
    return row.search if row else {}


def tune(estimator, X, scorer, refit):
    """Search the estimator's grid over users unseen in training.

    Parameters
    ----------
    estimator : BaseRecommender
        One whose row in the table has no grid is only cross-validated.
    X : csr_array of shape (n_users, n_items)
    scorer : scorer of several metrics
    refit : str
        The metric that decides.

    Returns
    -------
    search : GridSearchCV
        Fitted, with the best estimator refitted on all users.
    """
    grid = grid_of(estimator)
    n_fits = N_FOLDS * len(ParameterGrid(grid))
    with progress_bar(
        desc="grid search", total=n_fits, unit="fit", leave=False, disable=None
    ) as bar:

        def scoring(estimator, X, y=None):
            scores = scorer(estimator, X, y)
            bar.update()
            return scores

        return GridSearchCV(
            estimator,
            grid,
            cv=KFold(N_FOLDS, shuffle=True, random_state=0),
            scoring=scoring,
            refit=refit,
            error_score="raise",
        ).fit(X)


def reasons(model, row, items, n_reasons=3):
    """Find the history items that speak most for each recommended one.

    Parameters
    ----------
    model : BaseRecommender
        Fitted.
    row : csr_array of shape (1, n_items)
    items : ndarray of shape (n_explained,)
    n_reasons : int, default=3

    Returns
    -------
    reasons : list of list of (int, float)
        For each item the history items and their shares of all that speaks for it, largest
        first; no reasons if the model has no ``explain``.
    """
    if not hasattr(model, "explain"):
        return [[] for _ in items]
    (contributions,) = model.explain(row, items)
    found = []
    for line in contributions:
        best, shares = largest_shares(line.indices, line.data, n_reasons)
        found.append(list(zip(best.tolist(), shares.tolist(), strict=True)))
    return found
