"""The words of topics."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skrec.inspection._drawing import axes_for
from skrec.utils._compat import check_matplotlib_support
from skrec.utils._validation import check_k


class TopicDisplay:
    """The most probable words of each topic, shaded by their probability.

    Make it with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    words : ndarray of shape (n_topics, n_words)
        Most probable first.
    probabilities : ndarray of shape (n_topics, n_words)
        Of these words.
    topics : ndarray of int of shape (n_topics,)
        Numbers of the topics.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    image_ : matplotlib AxesImage
        The shades.
    texts_ : list of matplotlib Text
        The words, topic by topic.

    See Also
    --------
    skrec.DeepLTRS.topics : The words alone.

    Examples
    --------
    >>> from skrec.inspection import TopicDisplay
    >>> display = TopicDisplay.from_predictions(
    ...     [[0.7, 0.1, 0.2], [0.0, 0.6, 0.4]], ["tea", "stale", "good"], n_words=2
    ... )
    >>> display.words
    array([['tea', 'good'],
           ['stale', 'good']], dtype=object)
    """

    def __init__(self, *, words, probabilities, topics):
        self.words = words
        self.probabilities = probabilities
        self.topics = topics

    @classmethod
    def from_estimator(cls, estimator, *, n_words=8, topics=None, ax=None):
        """Draw the topics of a fitted model.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``topic_word_`` and ``vocabulary_``.
        n_words : int, default=8
            Number of words of each topic.
        topics : array-like of int, default=None
            Which topics, in this order. None takes up to ten, those first whose words differ most
            from the average of all topics.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : TopicDisplay
            With the numbers and the axes.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        if not hasattr(estimator, "topic_word_"):
            raise ValueError(
                f"{type(estimator).__name__} has no topic_word_: give a model that was fitted "
                "with reviews, such as DeepLTRS().fit(X, reviews=...)."
            )
        return cls.from_predictions(
            estimator.topic_word_, estimator.vocabulary_, n_words=n_words, topics=topics, ax=ax
        )

    @classmethod
    def from_predictions(cls, topic_word, vocabulary, *, n_words=8, topics=None, ax=None):
        """Draw given topics.

        Parameters
        ----------
        topic_word : array-like of shape (n_topics, n_terms)
            Probabilities of words.
        vocabulary : array-like of shape (n_terms,)
            The words.
        n_words : int, default=8
            Number of words of each topic.
        topics : array-like of int, default=None
            Which topics, in this order; see :meth:`from_estimator`.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : TopicDisplay
            With the numbers and the axes.
        """
        table = np.asarray(topic_word, dtype=float)
        vocabulary = np.asarray(vocabulary, dtype=object)
        if table.ndim != 2 or table.shape[1:] != vocabulary.shape or not table.size:
            raise ValueError(
                f"topic_word must have a row for each topic and a column for each of the "
                f"{vocabulary.size} words, got shape {table.shape}."
            )
        if topics is None:
            distance = np.abs(table - table.mean(axis=0)).sum(axis=1)
            topics = np.argsort(-distance, kind="stable")[:10]
        topics = np.asarray(topics)
        if topics.ndim != 1 or topics.dtype.kind not in "iu" or not topics.size:
            raise ValueError(f"topics must be numbers of topics, got {topics!r}.")
        if topics.min() < 0 or topics.max() >= len(table):
            raise ValueError(f"topics must lie in [0, {len(table) - 1}], got {topics.tolist()}.")
        chosen = table[topics]
        best = np.argsort(-chosen, axis=1, kind="stable")[:, : check_k(n_words, "n_words")]
        display = cls(
            words=vocabulary[best],
            probabilities=np.take_along_axis(chosen, best, axis=1),
            topics=topics,
        )
        return display.plot(ax)

    def plot(self, ax=None):
        """Draw a row of words for each topic.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : TopicDisplay
            This object.
        """
        ax = axes_for(self, ax)
        n_topics, n_words = self.words.shape
        self.image_ = ax.imshow(self.probabilities, cmap="Blues", vmin=0, aspect="auto")
        half = self.probabilities.max() / 2
        self.texts_ = [
            ax.text(
                rank,
                row,
                str(self.words[row, rank]),
                ha="center",
                va="center",
                fontsize="small",
                color="white" if self.probabilities[row, rank] > half else "black",
            )
            for row in range(n_topics)
            for rank in range(n_words)
        ]
        ax.set_xticks(range(n_words), range(1, n_words + 1))
        ax.set_yticks(range(n_topics), self.topics)
        ax.set(xlabel="Rank of the word", ylabel="Topic")
        return self
