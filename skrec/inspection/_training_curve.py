"""How training went, iteration by iteration."""

import numpy as np
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skrec.inspection._drawing import axes_for
from skrec.metrics._predictions import final_estimator
from skrec.utils._compat import check_matplotlib_support

CURVES = {"score": "validation_scores_", "loss": "loss_curve_"}


class TrainingCurveDisplay:
    """The loss or the validation score of a model by epochs or sweeps, and what was kept.

    A dot marks the iteration whose weights were kept by early stopping. Scores of several models
    go into one picture by the same `ax`; losses of different models have different units.

    Make it with :meth:`from_estimator`.

    Parameters
    ----------
    iterations : ndarray of shape (n_values,)
        Epochs or sweeps after which the values hold, from 1; fractions are parts of a sweep.
    values : ndarray of shape (n_values,)
        NaN where nothing was measured.
    best_iteration : int, default=None
        The iteration that was kept; 0, where training started, is not shown.
    label : str, default="Value"
        What `values` are, for the axis.
    name : str, default=None
        Whose they are, for the legend. None means no legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    line_ : matplotlib Line2D
        The curve.
    best_ : matplotlib Line2D or None
        The dot.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Scores by the number of training rows.

    Examples
    --------
    >>> from skrec import PMF
    >>> from skrec.inspection import TrainingCurveDisplay
    >>> model = PMF(2, max_iter=3, tol=0, random_state=0).fit([[5, 3, 0], [4, 0, 1], [0, 2, 5]])
    >>> TrainingCurveDisplay.from_estimator(model).iterations
    array([0.5, 1. , 1.5, 2. , 2.5, 3. ])
    """

    def __init__(self, *, iterations, values, best_iteration=None, label="Value", name=None):
        self.iterations = iterations
        self.values = values
        self.best_iteration = best_iteration
        self.label = label
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, curve=None, name=None, ax=None):
        """Draw how a fitted model was trained.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``loss_curve_``; or a Pipeline, a search or a
            :class:`~skrec.RatingRegressor` around one.
        curve : {"score", "loss"}, default=None
            ``validation_scores_``, which early stopping leaves, or ``loss_curve_``. None takes the
            scores if there are some.
        name : str, default=None
            For the legend. None takes the name of the class.
        ax : matplotlib Axes, default=None
            Where to draw, such as the `ax_` of another display. None makes a new figure.

        Returns
        -------
        display : TrainingCurveDisplay
            With the numbers and the axes.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if curve is not None and curve not in CURVES:
            raise ValueError(f"curve must be one of {list(CURVES)} or None, got {curve!r}.")
        check_is_fitted(estimator)
        model = final_estimator(estimator)
        model = final_estimator(getattr(model, "estimator_", model))  # of a RatingRegressor
        owner = type(model).__name__
        if not hasattr(model, "loss_curve_"):
            raise ValueError(
                f"{owner} has no loss_curve_ to show: models that are trained in epochs or sweeps "
                "have one."
            )
        if curve == "score" and not hasattr(model, "validation_scores_"):
            raise ValueError(
                f"curve='score' needs validation_scores_, which {owner} does not have: fit it "
                "with early_stopping=True, if it takes that, or show curve='loss'."
            )
        if curve is None:
            curve = "score" if hasattr(model, "validation_scores_") else "loss"
        values = np.asarray(getattr(model, CURVES[curve]), dtype=float)
        display = cls(
            iterations=np.arange(1, len(values) + 1) * (model.n_iter_ / len(values)),
            values=values,
            best_iteration=getattr(model, "best_iteration_", None),
            label="Training loss" if curve == "loss" else _name_of_score(model),
            name=owner if name is None else name,
        )
        return display.plot(ax)

    def plot(self, ax=None):
        """Draw the curve, and a dot where the model was best.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : TrainingCurveDisplay
            This object.
        """
        ax = axes_for(self, ax)
        (self.line_,) = ax.plot(self.iterations, self.values, label=self.name)
        self.best_ = None
        if self.best_iteration:
            at = np.searchsorted(self.iterations, self.best_iteration)
            color = self.line_.get_color()
            (self.best_,) = ax.plot(self.iterations[at], self.values[at], "o", color=color)
        ax.set(xlabel="Epoch or sweep", ylabel=self.label)
        if self.name is not None:
            ax.legend()
        return self


def _name_of_score(model):
    tags = getattr(get_tags(model), "recommender_tags", None)
    if tags is None:
        return "Validation score"
    score = "Minus RMSE" if tags.predicts_ratings else "NDCG@100"
    return f"{score} of what was held out"
