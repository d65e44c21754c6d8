"""Whether predicted standard deviations are as large as the errors."""

from inspect import Parameter, signature

import numpy as np
from scipy.special import ndtri

from skrec.inspection._drawing import axes_for, check_columns
from skrec.utils._compat import check_matplotlib_support

_LEVELS = np.round(np.arange(0.05, 1, 0.05), 2)


class RatingCalibrationDisplay:
    r"""Observed against nominal coverage of the central intervals around predicted ratings.

    The interval of nominal coverage :math:`p` reaches :math:`\Phi^{-1}((1 + p) / 2)` standard
    deviations to either side of the prediction, with :math:`\Phi` the normal distribution
    function. Where the observed share of true ratings within it lies below the diagonal, the
    predicted standard deviations are too small, and above, too large.

    Make it with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    levels : ndarray of shape (n_levels,)
        Nominal coverage.
    coverage : ndarray of shape (n_levels,)
        Share of the true ratings that lie within the interval.
    mean_abs_z : float
        Mean error in standard deviations. It is :math:`\sqrt{2/\pi}`, about 0.80, where the
        errors are normal with the predicted deviations; larger if these are too small.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    line_ : matplotlib Line2D
        The observed coverage.
    diagonal_ : matplotlib Line2D
        Perfect calibration.

    See Also
    --------
    RatingPredictionDisplay : Predicted against true ratings.

    Notes
    -----
    True ratings are discrete, and clipped predictions lie within their range. Both make narrow
    intervals cover in steps; the wide ones, which matter in use, are affected less.

    Examples
    --------
    >>> import numpy as np
    >>> from skrec.inspection import RatingCalibrationDisplay
    >>> rng = np.random.default_rng(0)
    >>> y_pred, y_std = rng.normal(3, 1, 1000), np.full(1000, 0.5)
    >>> y_true = rng.normal(y_pred, y_std)
    >>> display = RatingCalibrationDisplay.from_predictions(y_true, y_pred, y_std)
    >>> round(display.mean_abs_z, 1)
    0.8
    """

    def __init__(self, *, levels, coverage, mean_abs_z):
        self.levels = levels
        self.coverage = coverage
        self.mean_abs_z = mean_abs_z

    @classmethod
    def from_estimator(cls, estimator, X, y, *, levels=None, ax=None):
        """Draw the calibration of a fitted regressor.

        Parameters
        ----------
        estimator : estimator
            Fitted :class:`~skrec.RatingRegressor` or any other regressor whose ``predict`` takes
            ``return_std``, or a search over one.
        X : {array-like, sparse matrix, dataframe} of shape (n_pairs, n_features)
            Pairs of user and item, which should not be those of the fit.
        y : array-like of shape (n_pairs,)
            Their true ratings.
        levels : array-like of shape (n_levels,), default=None
            Nominal coverages between 0 and 1. None means 0.05, 0.1, ..., 0.95.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : RatingCalibrationDisplay
            With the numbers and the axes.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        estimator = getattr(estimator, "best_estimator_", estimator)
        parameters = signature(estimator.predict).parameters
        passes_on = any(one.kind == Parameter.VAR_KEYWORD for one in parameters.values())
        if "return_std" not in parameters and not passes_on:
            raise ValueError(
                f"The calibration needs predict(X, return_std=True), which "
                f"{type(estimator).__name__} does not have: choose a model with standard "
                "deviations, or use from_predictions."
            )
        y_pred, y_std = estimator.predict(X, return_std=True)
        return cls.from_predictions(y, y_pred, y_std, levels=levels, ax=ax)

    @classmethod
    def from_predictions(cls, y_true, y_pred, y_std, *, levels=None, ax=None):
        """Draw the calibration of given predictions.

        Parameters
        ----------
        y_true : array-like of shape (n_pairs,)
            True ratings.
        y_pred : array-like of shape (n_pairs,)
            Predicted ratings.
        y_std : array-like of shape (n_pairs,)
            Their predicted standard deviations, positive.
        levels : array-like of shape (n_levels,), default=None
            Nominal coverages between 0 and 1. None means 0.05, 0.1, ..., 0.95.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : RatingCalibrationDisplay
            With the numbers and the axes.
        """
        y_true, y_pred, y_std = check_columns(y_true=y_true, y_pred=y_pred, y_std=y_std)
        if (y_std <= 0).any():
            raise ValueError(
                f"y_std must be positive, got {y_std.min():g} at row {y_std.argmin()}: a rating "
                "that is certain has no interval."
            )
        levels = _LEVELS if levels is None else np.sort(np.ravel(np.asarray(levels, float)))
        if not levels.size or not (0 < levels[0] <= levels[-1] < 1):
            raise ValueError(f"levels must lie between 0 and 1, both excluded, got {levels}.")
        z = np.sort(np.abs(y_true - y_pred) / y_std)
        inside = np.searchsorted(z, ndtri((1 + levels) / 2), side="right")
        display = cls(levels=levels, coverage=inside / len(z), mean_abs_z=float(z.mean()))
        return display.plot(ax)

    def plot(self, ax=None):
        """Draw the coverage and the diagonal.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : RatingCalibrationDisplay
            This object.
        """
        ax = axes_for(self, ax)
        (self.diagonal_,) = ax.plot([0, 1], [0, 1], color="0.4", linestyle="--", label="perfect")
        label = f"observed, mean |z| = {self.mean_abs_z:.2f} (0.80 is right)"
        (self.line_,) = ax.plot(self.levels, self.coverage, marker="o", label=label)
        ax.set(
            xlabel="Nominal coverage of the interval",
            ylabel="Share of true ratings within it",
            xlim=(0, 1),
            ylim=(0, 1),
        )
        ax.legend()
        return self
