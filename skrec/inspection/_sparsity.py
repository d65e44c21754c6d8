"""The error of predicted ratings by how few of them are known, with and without texts."""

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.utils import check_random_state

from skrec._rating_regressor import check_predicts_ratings
from skrec.inspection._drawing import axes_for
from skrec.metrics import rmse
from skrec.metrics._predictions import Predictor
from skrec.model_selection import interaction_split
from skrec.reviews import as_reviews, reviews_option
from skrec.utils._compat import check_matplotlib_support
from skrec.utils._validation import check_interactions, check_k, check_share


class SparsityDisplay:
    """Root mean squared error by sparsity, one line for each model, with its spread.

    Make it with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    sparsity : ndarray of shape (n_levels,)
        Shares of the ratings that are not known.
    scores : dict of str to ndarray of shape (n_levels, n_repeats)
        Root mean squared errors, by the name of the model.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    lines_ : list of matplotlib Line2D
        Means over the repeats.
    bands_ : list of matplotlib FillBetweenPolyCollection
        One standard deviation of the repeats on either side.

    Examples
    --------
    >>> from skrec.inspection import SparsityDisplay
    >>> scores = {"with texts": [[0.9, 1.0], [0.9, 1.1]], "without": [[1.0, 1.0], [1.1, 1.3]]}
    >>> display = SparsityDisplay.from_predictions([0.5, 0.9], scores)
    >>> [line.get_ydata().round(2).tolist() for line in display.lines_]
    [[0.95, 1.0], [1.0, 1.2]]
    """

    def __init__(self, *, sparsity, scores):
        self.sparsity = sparsity
        self.scores = scores

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        reviews=None,
        fractions=(0.1, 0.2, 0.5, 1.0),
        n_repeats=5,
        test_size=0.1,
        random_state=None,
        ax=None,
    ):
        """Fit a model to ever fewer ratings, with their texts and without.

        Each time a share of the ratings is held out to be predicted, and a fraction of the others
        is learned from.

        Parameters
        ----------
        estimator : estimator
            It predicts ratings; it is cloned.
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            Ratings.
        reviews : {Reviews, array-like of str, matrix}, default=None
            What was written with them. None draws one line, without texts.
        fractions : array-like of float, default=(0.1, 0.2, 0.5, 1.0)
            Shares of the ratings to learn from, held-out ones not counted.
        n_repeats : int, default=5
            Number of random parts at each fraction, the same for both lines.
        test_size : float, default=0.1
            Share of the ratings to predict.
        random_state : int, RandomState instance or None, default=None
            Controls which ratings are learned from and which are predicted.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : SparsityDisplay
            With the numbers and the axes.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        fractions = np.asarray(fractions, dtype=float)
        if (
            fractions.ndim != 1
            or not len(fractions)
            or not ((fractions > 0) & (fractions <= 1)).all()
        ):
            raise ValueError(f"fractions must be shares in (0, 1], got {fractions.tolist()}.")
        n_repeats = check_k(n_repeats, "n_repeats")
        check_predicts_ratings(estimator)
        ratings = check_interactions(X)
        check_share(fractions.min(), ratings.nnz, "fractions", "entries of X")
        if reviews is not None:
            reviews = as_reviews(reviews, X, ratings)
        rng = check_random_state(random_state)
        names = ["without texts"] if reviews is None else ["with texts", "without texts"]
        scores = {name: np.empty((len(fractions), n_repeats)) for name in names}
        sparsity = np.empty((len(fractions), n_repeats))
        for repeat in range(n_repeats):
            training, test = interaction_split(ratings, test_size, random_state=rng)
            order = rng.permutation(training.nnz)
            for level, fraction in enumerate(fractions):
                part = _entries(training, order[: max(1, round(fraction * training.nnz))])
                sparsity[level, repeat] = 1 - part.nnz / np.prod(part.shape)
                for name in names:
                    read = None if name == "without texts" else reviews.aligned_with(part)
                    model = clone(estimator).fit(part, **reviews_option(read))
                    predicted = Predictor(model, part, read).predict_entries(part, test)
                    scores[name][level, repeat] = rmse(predicted, test)
        return cls.from_predictions(sparsity.mean(axis=1), scores, ax=ax)

    @classmethod
    def from_predictions(cls, sparsity, scores, *, ax=None):
        """Draw errors that were measured elsewhere.

        Parameters
        ----------
        sparsity : array-like of shape (n_levels,)
            Shares of the ratings that are not known.
        scores : dict of str to array-like of shape (n_levels, n_repeats)
            Root mean squared errors, by the name of the model.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : SparsityDisplay
            With the numbers and the axes, in ascending order of sparsity.
        """
        sparsity = np.asarray(sparsity, dtype=float)
        scores = {name: np.asarray(values, dtype=float) for name, values in dict(scores).items()}
        for name, values in scores.items():
            if sparsity.ndim != 1 or values.ndim != 2 or len(values) != len(sparsity):
                raise ValueError(
                    f"scores of {name!r} must have a row for each of the {sparsity.size} levels "
                    f"of sparsity and a column for each repeat, got shape {values.shape}."
                )
        order = np.argsort(sparsity, kind="stable")
        scores = {name: values[order] for name, values in scores.items()}
        return cls(sparsity=sparsity[order], scores=scores).plot(ax)

    def plot(self, ax=None):
        """Draw a line for each model with a band of one standard deviation on either side.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : SparsityDisplay
            This object.
        """
        ax = axes_for(self, ax)
        self.lines_, self.bands_ = [], []
        for name, values in self.scores.items():
            means = values.mean(axis=1)
            spread = values.std(axis=1, ddof=1) if values.shape[1] > 1 else np.zeros(len(means))
            (line,) = ax.plot(self.sparsity, means, marker="o", label=name)
            band = means - spread, means + spread
            self.lines_.append(line)
            self.bands_.append(
                ax.fill_between(self.sparsity, *band, color=line.get_color(), alpha=0.2)
            )
        ax.set(xlabel="Sparsity", ylabel="RMSE ± standard deviation")
        ax.legend()
        return self


def _entries(X, positions):
    """A matrix of some stored entries, given by their positions."""
    positions = np.sort(positions)
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))[positions]
    indptr = np.append(0, np.cumsum(np.bincount(rows, minlength=X.shape[0])))
    return csr_array((X.data[positions], X.indices[positions], indptr), shape=X.shape)
