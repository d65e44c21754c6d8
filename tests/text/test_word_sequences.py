"""Texts as sequences of words: numbering, joining, and windows that do not leave their text."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from skrec.text._window_kernels import best_windows
from skrec.text._word_sequences import SequenceVocabulary, in_one_line, join_texts

TEXTS = np.array(["b a unknown b", "", "c", "a b c a"], dtype=object)
WORDS = CountVectorizer(vocabulary=["a", "b", "c"], token_pattern=r"\w+")


def sequences(max_words=3):
    return SequenceVocabulary.learn(WORDS, TEXTS, max_words).read(TEXTS)


def test_words_are_numbered_in_their_order():
    vocabulary = SequenceVocabulary.learn(WORDS, TEXTS, 3)
    assert_array_equal(vocabulary.names, ["a", "b", "c"])
    assert_array_equal(sequences().toarray(), [[2, 1, 2], [0, 0, 0], [3, 0, 0], [1, 2, 3]])
    assert sequences(2).shape == (4, 2)


def test_joined_texts_have_gaps_between_them():
    joined = join_texts(sequences(), np.array([0, 0, 3, 4]))
    assert_array_equal(joined.toarray(), [[0] * 6, [2, 1, 2, 0, 0, 3], [1, 2, 3, 0, 0, 0]])
    words, starts = in_one_line(joined)
    assert_array_equal(words, [0, 0, 2, 1, 2, 0, 0, 3, 0, 1, 2, 3, 0, 0])
    assert_array_equal(starts, [1, 2, 9, 13])


def test_what_has_no_order_is_refused():
    with pytest.raises(TypeError, match="reviews must be texts.* matrix of counts"):
        SequenceVocabulary.learn(WORDS, sparse.csr_array((3, 4)), 3)
    with pytest.raises(TypeError, match="build_analyzer.*CountVectorizer"):
        SequenceVocabulary.learn(make_pipeline(CountVectorizer(), MaxAbsScaler()), TEXTS, 3)


def random_documents(rng):
    texts = [list(rng.integers(1, 5, rng.integers(0, 5))) for _ in range(12)]
    padded = sparse.csr_array(np.array([text + [0] * (4 - len(text)) for text in texts]))
    members = [rng.choice(12, size, replace=False) for size in (0, 1, 3, 6)]
    return texts, padded, members


def brute_force(tables, biases, texts):
    """Largest answers to windows that keep to one text, at least 0."""
    best = np.zeros(len(biases))
    for text in texts:
        padded = [0, *text, 0]
        for place in range(1, len(text) + 1):
            window = padded[place - 1 : place + 2]
            best = np.maximum(best, biases + sum(tables[k, w] for k, w in enumerate(window)))
    return best


def test_the_best_windows_with_and_without_a_text_are_those_of_all():
    rng = np.random.default_rng(0)
    for _ in range(20):
        texts, padded, members = random_documents(rng)
        tables, biases = rng.normal(size=(3, 5, 6)), rng.normal(size=6)
        tables[:, 0] = 0
        words, starts = in_one_line(padded)
        doc_starts = np.cumsum([0, *map(len, members)])
        first, won, second = best_windows(
            tables, biases, words, starts, doc_starts, np.concatenate(members), np.arange(4)
        )

        def answers(places, tables=tables, biases=biases, words=words):
            around = [np.take_along_axis(tables[k], words[places + k - 1], 0) for k in range(3)]
            return np.where(places > 0, biases + sum(around), 0)

        for row, own in enumerate(members):
            expected = brute_force(tables, biases, [texts[text] for text in own])
            np.testing.assert_allclose(answers(first)[row], expected)
            for left_out in own:
                rest = brute_force(tables, biases, [texts[t] for t in own if t != left_out])
                places = np.where(won[row] == left_out, second[row], first[row])
                np.testing.assert_allclose(answers(places[None])[0], rest)
