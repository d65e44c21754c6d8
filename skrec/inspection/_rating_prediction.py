"""Predicted against true ratings."""

import numpy as np

from skrec.inspection._drawing import axes_for, check_columns
from skrec.utils._compat import check_matplotlib_support

_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_MOST_RATINGS = 50


class RatingPredictionDisplay:
    """Distribution of the predictions for each true rating.

    True ratings take few values, so points would lie over each other: instead each rating has a
    box from the lower to the upper quartile of its predictions, with a line at the median, a
    triangle at the mean, and whiskers that reach from the 5 % to the 95 % quantile. A perfect
    model has flat boxes on the diagonal; a cautious one has boxes that rise less than it.

    Make it with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    ratings : ndarray of shape (n_ratings,)
        The different true ratings, in ascending order.
    quantiles : ndarray of shape (n_ratings, 5)
        Quantiles 5 %, 25 %, 50 %, 75 % and 95 % of the predictions for each true rating.
    means : ndarray of shape (n_ratings,)
        Mean of the predictions for each true rating.
    counts : ndarray of int of shape (n_ratings,)
        Number of predictions for each true rating.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    boxes_ : dict of list of matplotlib artists
        As from ``Axes.bxp``.
    line_ : matplotlib Line2D
        The diagonal.

    See Also
    --------
    ErrorByHistoryDisplay : How the error depends on the number of known ratings.
    sklearn.metrics.PredictionErrorDisplay : For targets that are not discrete.

    Examples
    --------
    >>> from skrec.inspection import RatingPredictionDisplay
    >>> display = RatingPredictionDisplay.from_predictions([1, 1, 5], [2.0, 3.0, 4.5])
    >>> display.ratings, display.means
    (array([1., 5.]), array([2.5, 4.5]))
    """

    def __init__(self, *, ratings, quantiles, means, counts):
        self.ratings = ratings
        self.quantiles = quantiles
        self.means = means
        self.counts = counts

    @classmethod
    def from_estimator(cls, estimator, X, y, *, ax=None):
        """Draw what a fitted regressor predicts.

        Parameters
        ----------
        estimator : estimator
            Fitted :class:`~skrec.RatingRegressor` or any other regressor.
        X : {array-like, sparse matrix, dataframe} of shape (n_pairs, n_features)
            Pairs of user and item, which should not be those of the fit.
        y : array-like of shape (n_pairs,)
            Their true ratings.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : RatingPredictionDisplay
            With the numbers and the axes.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        return cls.from_predictions(y, estimator.predict(X), ax=ax)

    @classmethod
    def from_predictions(cls, y_true, y_pred, *, ax=None):
        """Draw given predictions.

        Parameters
        ----------
        y_true : array-like of shape (n_pairs,)
            True ratings, of at most 50 different values.
        y_pred : array-like of shape (n_pairs,)
            Predicted ratings.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : RatingPredictionDisplay
            With the numbers and the axes.
        """
        y_true, y_pred = check_columns(y_true=y_true, y_pred=y_pred)
        ratings, which = np.unique(y_true, return_inverse=True)
        if len(ratings) > _MOST_RATINGS:
            raise ValueError(
                f"y_true must have at most {_MOST_RATINGS} different values, got {len(ratings)}: "
                "round them, or use sklearn.metrics.PredictionErrorDisplay."
            )
        counts = np.bincount(which)
        groups = np.split(y_pred[np.argsort(which, kind="stable")], np.cumsum(counts)[:-1])
        display = cls(
            ratings=ratings,
            quantiles=np.array([np.quantile(group, _LEVELS) for group in groups]),
            means=np.array([group.mean() for group in groups]),
            counts=counts,
        )
        return display.plot(ax)

    def plot(self, ax=None):
        """Draw the boxes and the diagonal.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : RatingPredictionDisplay
            This object.
        """
        ax = axes_for(self, ax)
        names = ("whislo", "q1", "med", "q3", "whishi")
        boxes = [
            {**dict(zip(names, quantiles, strict=True)), "mean": mean, "label": f"{rating:g}"}
            for rating, quantiles, mean in zip(
                self.ratings, self.quantiles, self.means, strict=True
            )
        ]
        step = np.diff(self.ratings).min() if len(self.ratings) > 1 else 1.0
        self.boxes_ = ax.bxp(
            boxes,
            positions=self.ratings,
            widths=0.6 * step,
            showfliers=False,
            showmeans=True,
            patch_artist=True,
            boxprops={"facecolor": "C0", "alpha": 0.4},
            medianprops={"color": "C0"},
            meanprops={"marker": "^", "markerfacecolor": "C1", "markeredgecolor": "none"},
        )
        ends = self.ratings[[0, -1]] + [-step / 2, step / 2]
        (self.line_,) = ax.plot(ends, ends, color="0.4", linestyle="--", label="perfect")
        ax.set(xlabel="True rating", ylabel="Predicted rating", xlim=ends)
        ax.legend()
        return self
