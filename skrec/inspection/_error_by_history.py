"""The error of predicted ratings by the number of ratings that are known."""

from numbers import Integral

import numpy as np

from skrec.inspection._drawing import axes_for, check_columns
from skrec.utils._columns import encode, locate
from skrec.utils._compat import check_matplotlib_support
from skrec.utils._pair_tables import as_table, read_pairs


class ErrorByHistoryDisplay:
    r"""Root mean squared error by the number of training ratings of the user or the item.

    Make it with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    bins : ndarray of int of shape (n_bins, 2)
        Fewest and most training ratings in each bin.
    rmse : ndarray of shape (n_bins,)
        Root mean squared error of the predictions in each bin.
    standard_error : ndarray of shape (n_bins,)
        Standard error of `rmse`, NaN for a bin with a single prediction.
    counts : ndarray of int of shape (n_bins,)
        Number of predictions in each bin.
    by : {"user", "item"}, default="user"
        Whose training ratings are counted.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    line_ : matplotlib Line2D
        The errors.
    band_ : matplotlib FillBetweenPolyCollection
        One standard error on either side.

    See Also
    --------
    RatingPredictionDisplay : Predicted against true ratings.

    Notes
    -----
    The standard error takes the squared errors in a bin for independent: with :math:`s` their
    standard deviation and :math:`n` their number, it is
    :math:`s / (2 \sqrt{n} \, \mathrm{RMSE})`. Errors of one user are alike to some degree, which
    makes it rather too small.

    Examples
    --------
    >>> from skrec.inspection import ErrorByHistoryDisplay
    >>> display = ErrorByHistoryDisplay.from_predictions([4, 2, 3, 5], [3, 3, 3, 5], [0, 0, 6, 7])
    >>> display.bins, display.rmse
    (array([[0, 0],
           [6, 7]]), array([1., 0.]))
    """

    def __init__(self, *, bins, rmse, standard_error, counts, by="user"):
        self.bins = bins
        self.rmse = rmse
        self.standard_error = standard_error
        self.counts = counts
        self.by = by

    @classmethod
    def from_estimator(cls, estimator, X, y, *, X_train=None, by="user", bins="log", ax=None):
        """Draw the errors of a fitted regressor.

        Parameters
        ----------
        estimator : estimator
            Fitted :class:`~skrec.RatingRegressor` or any other regressor.
        X : {array-like, sparse matrix, dataframe} of shape (n_pairs, n_features)
            Pairs of user and item, their ids in the first two columns; they should not be those
            of the fit.
        y : array-like of shape (n_pairs,)
            Their true ratings.
        X_train : {array-like, sparse matrix, dataframe}, default=None
            The training pairs, whose rows are counted. None means the counts that a
            `RatingRegressor` keeps; any other estimator needs the pairs.
        by : {"user", "item"}, default="user"
            Whose training ratings to count.
        bins : "log" or int, default="log"
            See :meth:`from_predictions`.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : ErrorByHistoryDisplay
            With the numbers and the axes.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if by not in ("user", "item"):
            raise ValueError(f"by must be 'user' or 'item', got {by!r}.")
        column = ("user", "item").index(by)
        asked = read_pairs(as_table(X))[column]
        if X_train is not None:
            codes, known = encode(read_pairs(as_table(X_train))[column])
            counts = np.bincount(codes)
        else:
            known, counts = _kept_counts(estimator, by)
        n_known = np.append(counts, 0)[locate(asked, known, f"{by} id of X", "the training data")]
        return cls.from_predictions(y, estimator.predict(X), n_known, by=by, bins=bins, ax=ax)

    @classmethod
    def from_predictions(cls, y_true, y_pred, n_known, *, by="user", bins="log", ax=None):
        """Draw the errors of given predictions.

        Parameters
        ----------
        y_true : array-like of shape (n_pairs,)
            True ratings.
        y_pred : array-like of shape (n_pairs,)
            Predicted ratings.
        n_known : array-like of int of shape (n_pairs,)
            Number of training ratings of each pair's user (or item).
        by : {"user", "item"}, default="user"
            Whose training ratings these are, for the label of the axis.
        bins : "log" or int, default="log"
            "log" doubles the width from bin to bin: 0, 1, 2-3, 4-7 and so on. A number asks for
            so many bins with about equally many predictions each; where many share one number of
            ratings there are fewer.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : ErrorByHistoryDisplay
            With the numbers and the axes. Bins without a prediction are left out, and `bins` has
            the numbers of training ratings that occur.
        """
        y_true, y_pred, n_known = check_columns(y_true=y_true, y_pred=y_pred, n_known=n_known)
        if (n_known < 0).any() or (n_known != np.trunc(n_known)).any():
            raise ValueError("n_known must be numbers of ratings: whole and not negative.")
        n_known = n_known.astype(np.int64)
        _, which = np.unique(_bin_of(n_known, bins), return_inverse=True)
        squared = np.square(y_pred - y_true)
        counts = np.bincount(which)
        mse = np.bincount(which, squared) / counts
        rmse = np.sqrt(mse)
        variance = np.bincount(which, np.square(squared - mse[which]))
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.sqrt(variance / (counts - 1) / counts) / (2 * rmse)
        error[(rmse == 0) & (counts > 1)] = 0.0
        order = np.lexsort([n_known, which])
        last = np.cumsum(counts) - 1
        display = cls(
            bins=n_known[order][np.c_[last - counts + 1, last]],
            rmse=rmse,
            standard_error=error,
            counts=counts,
            by=by,
        )
        return display.plot(ax)

    def plot(self, ax=None):
        """Draw the errors with a band of one standard error on either side.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : ErrorByHistoryDisplay
            This object.
        """
        ax = axes_for(self, ax)
        at = np.arange(len(self.rmse))
        (self.line_,) = ax.plot(at, self.rmse, marker="o")
        band = self.rmse - self.standard_error, self.rmse + self.standard_error
        self.band_ = ax.fill_between(at, *band, color=self.line_.get_color(), alpha=0.2)
        ax.set_xticks(
            at, [f"{low}" if low == high else f"{low}-{high}" for low, high in self.bins]
        )
        ax.set(xlabel=f"Training ratings of the {self.by}", ylabel="RMSE ± standard error")
        return self


def _kept_counts(estimator, by):
    model = getattr(estimator, "best_estimator_", estimator)
    if not hasattr(model, f"n_{by}_ratings_"):
        raise ValueError(
            "X_train=None needs a fitted RatingRegressor, which keeps the numbers of ratings, but "
            f"got {type(model).__name__}: pass the training pairs as X_train."
        )
    return getattr(model, f"{by}_ids_"), getattr(model, f"n_{by}_ratings_")


def _bin_of(n_known, bins):
    """Number of the bin of each history length; the numbers ascend but may leave gaps."""
    if isinstance(bins, str) and bins == "log":
        return np.frexp(n_known)[1]  # the number of binary digits
    if not isinstance(bins, Integral) or isinstance(bins, bool) or bins < 1:
        raise ValueError(f"bins must be 'log' or a number of bins of at least 1, got {bins!r}.")
    bins = min(bins, len(n_known))  # more only repeat edges
    edges = np.quantile(n_known, np.arange(1, bins) / bins, method="inverted_cdf")
    return np.searchsorted(edges, n_known)
