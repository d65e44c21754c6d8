"""Texts as sequences of words, which are rows of a sparse matrix and can be joined."""

import numpy as np
from scipy.sparse import csr_array, issparse

from skrec.text._vocabulary import Vocabulary


class SequenceVocabulary:
    """Words of texts in their order, numbered from 1.

    Parameters
    ----------
    vectorizer : fitted estimator
        With ``build_analyzer`` and ``vocabulary_``, as scikit-learn's.
    max_words : int
        What is read of a text: so many of its words that the vectorizer knows.

    Attributes
    ----------
    names : ndarray of str of shape (n_words,)
        The words; the first has the number 1.
    """

    def __init__(self, vectorizer, max_words):
        self.vectorizer, self.max_words = vectorizer, max_words
        numbers = vectorizer.vocabulary_
        self.names = np.array(sorted(numbers, key=numbers.get), dtype=object)

    def __len__(self):
        return len(self.names)

    @classmethod
    def learn(cls, vectorizer, texts, max_words, name="reviews"):
        """Fit a vectorizer on texts.

        Parameters
        ----------
        vectorizer : estimator or None
            Cloned. None means :func:`~skrec.text._vocabulary.default_vectorizer`.
        texts : ndarray of str of shape (n_texts,)
        max_words : int
        name : str, default="reviews"
            What messages call them.
        """
        check_texts(texts, name)
        fitted = Vocabulary.learn(vectorizer, texts, name)[0].vectorizer
        if not (hasattr(fitted, "build_analyzer") and hasattr(fitted, "vocabulary_")):
            raise TypeError(
                f"vectorizer={vectorizer!r} has no build_analyzer and vocabulary_, so it does not "
                "tell the order of the words: give a CountVectorizer or a TfidfVectorizer."
            )
        return cls(fitted, max_words)

    def read(self, texts, name="reviews"):
        """Number the words of texts: a csr_array of int32 of shape (n_texts, max_words).

        Those of a text stand from its first column on, without gaps. Words that the vectorizer
        does not know are left out.
        """
        check_texts(texts, name)
        analyze, numbers = self.vectorizer.build_analyzer(), self.vectorizer.vocabulary_
        rows = [
            [numbers[word] + 1 for word in analyze(text) if word in numbers][: self.max_words]
            for text in texts
        ]
        indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)])
        columns = np.arange(indptr[-1]) - np.repeat(indptr[:-1], np.diff(indptr))
        data = np.fromiter((number for row in rows for number in row), np.int32, indptr[-1])
        return csr_array((data, columns, indptr), shape=(len(rows), self.max_words))


def join_texts(sequences, starts):
    """One document of the texts of each group, a gap of a column between them.

    Parameters
    ----------
    sequences : csr_array of shape (n_texts, max_words)
        Texts without gaps, those of a group side by side.
    starts : ndarray of int of shape (n_groups + 1,)
        First text of each group.

    Returns
    -------
    documents : csr_array of shape (n_groups, longest)
    """
    lengths = np.diff(sequences.indptr)
    before = np.concatenate([[0], np.cumsum(lengths + 1)])  # in all texts, gaps included
    shifts = before[:-1] - np.repeat(before[starts[:-1]], np.diff(starts))
    columns = sequences.indices + np.repeat(shifts, lengths)
    shape = len(starts) - 1, int(columns.max(initial=0)) + 1
    return csr_array((sequences.data, columns, sequences.indptr[starts]), shape=shape)


def in_one_line(documents):
    """The words of all documents in one array, with zeros between them and in their gaps.

    Parameters
    ----------
    documents : csr_array of shape (n_documents, longest)

    Returns
    -------
    words : ndarray of int32
        It begins and ends with a zero.
    starts : ndarray of int64 of shape (n_documents + 1,)
        First word of each document.
    """
    extents = np.zeros(documents.shape[0], dtype=np.int64)
    has_words = np.diff(documents.indptr) > 0
    extents[has_words] = documents.indices[documents.indptr[1:][has_words] - 1] + 1
    starts = np.concatenate([[1], 1 + np.cumsum(extents + 1)])
    words = np.zeros(starts[-1] + 1, dtype=np.int32)
    rows = np.repeat(np.arange(len(extents)), np.diff(documents.indptr))
    words[starts[rows] + documents.indices] = documents.data
    return words, starts


def check_texts(documents, name):
    """Refuse counts of words, of which nobody knows the order."""
    if issparse(documents):
        raise TypeError(
            f"{name} must be texts, as words are read in their order, got a matrix of counts: "
            "give the strings themselves, and what splits them into words as vectorizer=."
        )
