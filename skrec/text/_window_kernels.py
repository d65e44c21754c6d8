"""The compiled loop behind convolutions of texts: which windows of three words win."""

import numpy as np

from skrec.solvers._compiled import compiled


@compiled
def best_windows(tables, biases, words, starts, doc_starts, doc_texts, documents):
    """Find the windows of each document to which the filters answer most.

    Parameters
    ----------
    tables : ndarray of shape (3, n_words + 1, n_filters)
        What the first, the middle and the last word of a window add. The word 0 is a gap.
    biases : ndarray of shape (n_filters,)
    words : ndarray of int32
        All texts in one line, gaps between them.
    starts : ndarray of int64 of shape (n_texts + 1,)
        First word of each text.
    doc_starts, doc_texts : ndarray of int64
        The texts of each document, as rows of a csr_array.
    documents : ndarray of int64 of shape (n_documents,)

    Returns
    -------
    first : ndarray of int64 of shape (n_documents, n_filters)
        Middle word of the best window; 0 where none gives more than 0.
    texts : ndarray of int64 of shape (n_documents, n_filters)
        Text in which it stands; -1 if there is none.
    second : ndarray of int64 of shape (n_documents, n_filters)
        Middle word of the best window in all other texts; 0 as in `first`.
    """
    n_filters = tables.shape[2]
    first = np.zeros((len(documents), n_filters), dtype=np.int64)
    second = np.zeros((len(documents), n_filters), dtype=np.int64)
    texts = np.full((len(documents), n_filters), -1, dtype=np.int64)
    best, places = np.empty(n_filters, tables.dtype), np.empty(n_filters, np.int32)
    highest, next_highest = np.empty_like(best), np.empty_like(best)
    for row, document in enumerate(documents):
        highest[:] = -biases
        next_highest[:] = -biases
        for member in range(doc_starts[document], doc_starts[document + 1]):
            text = doc_texts[member]
            best[:] = -biases
            places[:] = 0
            for place in range(starts[text], starts[text + 1] - 1):
                middle = words[place]
                if middle == 0:
                    continue
                left, own, right = (
                    tables[0, words[place - 1]],
                    tables[1, middle],
                    tables[2, words[place + 1]],
                )
                for index in range(n_filters):
                    value = left[index] + own[index] + right[index]
                    is_better = value > best[index]
                    best[index] = value if is_better else best[index]
                    places[index] = np.int32(place) if is_better else places[index]
            for index in range(n_filters):
                value = best[index]
                if value > highest[index]:
                    next_highest[index], second[row, index] = highest[index], first[row, index]
                    highest[index], first[row, index] = value, places[index]
                    texts[row, index] = text
                elif value > next_highest[index]:
                    next_highest[index], second[row, index] = value, places[index]
    return first, texts, second
