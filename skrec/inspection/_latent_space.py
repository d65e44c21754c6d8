"""Users or items by two of their latent variables."""

from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skrec.inspection._drawing import axes_for, check_columns
from skrec.reviews import reviews_option
from skrec.utils._compat import check_matplotlib_support
from skrec.utils._validation import check_flag, check_interactions

COLORS = {"rating": "mean rating", "activity": "number of ratings"}


class LatentSpaceDisplay:
    """Two latent variables of users or of items, coloured by mean rating or by activity.

    Make it with :meth:`from_estimator` or :meth:`from_embeddings`.

    Parameters
    ----------
    embeddings : ndarray of shape (n_points, 2)
        Where the points are.
    values : ndarray of shape (n_points,)
        What they are coloured by.
    components : tuple of (int, int), default=(0, 1)
        Numbers of the two latent variables, for the labels of the axes.
    label : str, default="value"
        What `values` are, for the colour bar.
    logarithmic : bool, default=False
        Whether colours are on a logarithmic scale.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    points_ : matplotlib PathCollection
        The points.
    colorbar_ : matplotlib Colorbar
        The key to their colours.

    Examples
    --------
    >>> from skrec.inspection import LatentSpaceDisplay
    >>> embeddings, ratings = [[0, 1, 5], [0, 2, 2], [1, 3, 1]], [1, 3, 4]
    >>> LatentSpaceDisplay.from_embeddings(embeddings, ratings, components=(1, 2)).embeddings
    array([[1., 5.],
           [2., 2.],
           [3., 1.]])
    """

    def __init__(self, *, embeddings, values, components=(0, 1), label="value", logarithmic=False):
        self.embeddings = embeddings
        self.values = values
        self.components = components
        self.label = label
        self.logarithmic = logarithmic

    @classmethod
    def from_estimator(
        cls, estimator, X, *, of="users", color="rating", components=None, reviews=None, ax=None
    ):
        """Draw the latent variables of a fitted model.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``transform`` and ``item_embeddings_``.
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            The users to draw, or the ratings of the items to draw. Those without any rating are
            left out.
        of : {"users", "items"}, default="users"
            What a point is.
        color : {"rating", "activity"}, default="rating"
            Whether to colour by the mean rating of a user (or of an item), or by the number of
            ratings, on a logarithmic scale.
        components : tuple of (int, int), default=None
            Numbers of the latent variables. None takes the one that goes best with mean ratings
            (the largest absolute correlation), and of the others the one that goes best with the
            logarithm of the number of ratings.
        reviews : {Reviews, array-like of str, matrix}, default=None
            What the users wrote, for models that read reviews. Not with ``of="items"``.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : LatentSpaceDisplay
            With the numbers and the axes.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        for name, value, known in [("of", of, ("users", "items")), ("color", color, COLORS)]:
            if value not in known:
                raise ValueError(f"{name} must be one of {list(known)}, got {value!r}.")
        if of == "items" and reviews is not None:
            raise ValueError(
                "reviews are read of users only, but got some with of='items': leave them out, "
                "item_embeddings_ are those of the fit."
            )
        rows = check_interactions(X, estimator=estimator)
        if of == "users":
            embeddings = estimator.transform(X, **reviews_option(reviews))
        else:
            embeddings, rows = estimator.item_embeddings_, rows.T.tocsr()
        counts = np.diff(rows.indptr)
        rated = counts > 0
        means = rows.sum(axis=1)[rated] / counts[rated]
        embeddings, counts = embeddings[rated], counts[rated]
        if components is None:
            components = _telling(embeddings, means, np.log(counts))
        return cls.from_embeddings(
            embeddings,
            means if color == "rating" else counts,
            components=components,
            label=COLORS[color],
            logarithmic=color == "activity",
            ax=ax,
        )

    @classmethod
    def from_embeddings(
        cls, embeddings, values, *, components=(0, 1), label="value", logarithmic=False, ax=None
    ):
        """Draw given latent variables.

        Parameters
        ----------
        embeddings : array-like of shape (n_points, n_components)
            Latent variables of users or items.
        values : array-like of shape (n_points,)
            What to colour by.
        components : tuple of (int, int), default=(0, 1)
            Numbers of the latent variables to draw.
        label : str, default="value"
            What `values` are.
        logarithmic : bool, default=False
            Whether to colour on a logarithmic scale.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : LatentSpaceDisplay
            With the numbers and the axes.
        """
        embeddings = np.asarray(embeddings, dtype=float)
        n_components = embeddings.shape[1] if embeddings.ndim == 2 else 0
        components = tuple(components)
        if len(components) != 2 or not all(
            isinstance(number, Integral) and 0 <= number < n_components for number in components
        ):
            raise ValueError(
                f"components must be two numbers of latent variables from 0 to {n_components - 1},"
                f" got {components}."
            )
        x, y, values = check_columns(
            x=embeddings[:, components[0]], y=embeddings[:, components[1]], values=values
        )
        display = cls(
            embeddings=np.c_[x, y],
            values=values,
            components=components,
            label=label,
            logarithmic=check_flag(logarithmic, "logarithmic"),
        )
        return display.plot(ax)

    def plot(self, ax=None):
        """Draw a point for each user or item.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : LatentSpaceDisplay
            This object.
        """
        ax = axes_for(self, ax)
        self.points_ = ax.scatter(
            *self.embeddings.T, c=self.values, s=12, norm="log" if self.logarithmic else None
        )
        self.colorbar_ = self.figure_.colorbar(self.points_, ax=ax, label=self.label)
        first, second = self.components
        ax.set(xlabel=f"Latent variable {first}", ylabel=f"Latent variable {second}")
        return self


def _telling(embeddings, means, activity):
    """Latent variables that go best with mean ratings and with activity."""
    if embeddings.shape[1] < 2:
        raise ValueError("A model with one latent variable has no plane to draw: n_components=1.")
    first = np.argmax(_correlations(embeddings, means))
    by_activity = _correlations(embeddings, activity)
    by_activity[first] = -1
    return int(first), int(np.argmax(by_activity))


def _correlations(embeddings, values):
    """Absolute correlation of each column with `values`, 0 where one of them is constant."""
    columns = embeddings - embeddings.mean(axis=0)
    values = values - values.mean()
    scale = np.linalg.norm(columns, axis=0) * np.linalg.norm(values)
    return np.abs(columns.T @ values) / np.where(scale > 0, scale, np.inf)
