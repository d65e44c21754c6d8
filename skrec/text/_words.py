"""What models that have read texts say of words."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skrec.utils._docstrings import complete_verbs
from skrec.utils._validation import check_k


@complete_verbs
class TopicsMixin:
    """Words and topics of an estimator with a ``_vocabulary``, or None if it has read no texts.

    The estimator writes ``_topic_word``, an array of shape (n_topics, n_words).

    Parameters
    ----------
    vectorizer : estimator or None
        What makes counts of texts: any scikit-learn text vectorizer, or a Pipeline from texts to
        counts; other non-negative weights than counts will do. It is cloned, and fitted on the
        training texts only. None counts words of two letters or more that are in at least two
        texts and in no more than half of them, the 5000 most frequent. Not used where texts come
        as counts.
    """

    _vocabulary = None

    def topics(self, n_words=10):
        """List the most probable words of each topic.

        Parameters
        ----------
        n_words : int, default=10
            Number of words.

        Returns
        -------
        words : ndarray of shape (n_topics, n_words)
            Elements of ``vocabulary_``, most probable first.
        """
        n_words = self._check_n_words(n_words)
        return self.vocabulary_[np.argsort(-self.topic_word_, axis=1, kind="stable")[:, :n_words]]

    @property
    def topic_word_(self):
        """Probabilities of the words in a text of one topic: (n_topics, n_words).

        Only if there were texts, as the words themselves.
        """
        self._words_for("topic_word_")
        return self._topic_word

    @property
    def vocabulary_(self):
        """The words, an array of shape (n_words,).

        Numbers of columns if texts were counts, or if the vectorizer, or a step of it, does not
        know.
        """
        return self._words_for("vocabulary_").names

    @property
    def vectorizer_(self):
        """The fitted vectorizer; None if texts were counts."""
        return self._words_for("vectorizer_").vectorizer

    def _words_for(self, name):
        if self._vocabulary is None:
            raise AttributeError(f"{name} needs a {type(self).__name__} fitted with reviews")
        return self._vocabulary

    def _check_n_words(self, n_words):
        check_is_fitted(self)
        if self._vocabulary is None:
            raise ValueError(
                f"{type(self).__name__} was fitted without reviews and knows no words: fit it "
                "with reviews."
            )
        return min(check_k(n_words, name="n_words"), len(self._vocabulary))
