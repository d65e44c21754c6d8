"""Similarities and weightings, written out for one pair and one entry at a time."""

import numpy as np

FORMULAS = [
    {"similarity": "cosine"},
    {"similarity": "cosine", "shrinkage": 7.5},
    {"similarity": "asymmetric", "asymmetry": 0.2, "shrinkage": 3.0},
    {"similarity": "asymmetric", "asymmetry": 1},
    {"similarity": "jaccard"},
    {"similarity": "jaccard", "shrinkage": 4.0},
    {"similarity": "conditional"},
    {"similarity": "conditional", "shrinkage": 2.0},
]


def matrix(seed=0, shape=(40, 15), density=0.3, values=(1, 6)):
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < density) * rng.integers(*values, shape).astype(float)


def similarity_by_hand(c, n, similarity, shrinkage=0.0, asymmetry=None):
    """Of a column `c`, whose neighbours are chosen, and a candidate `n`."""
    inner, of_c, of_n = (
        sum(a * b for a, b in zip(*pair, strict=True)) for pair in ((c, n), (c, c), (n, n))
    )
    if inner <= 0:
        return 0.0
    divisor = {
        "cosine": lambda: np.sqrt(of_c) * np.sqrt(of_n),
        "asymmetric": lambda: of_c ** (1 - asymmetry) * of_n**asymmetry,
        "jaccard": lambda: of_c + of_n - inner,
        "conditional": lambda: of_n,
    }[similarity]()
    return inner / (divisor + shrinkage)


def similarities_by_hand(W, similarity, shrinkage=0.0, asymmetry=None):
    """Entry [n, c] is that of the columns `c` and `n` of a dense array; 0 on the diagonal."""
    S = np.zeros((W.shape[1], W.shape[1]))
    for c in range(W.shape[1]):
        for n in range(W.shape[1]):
            if c != n:
                S[n, c] = similarity_by_hand(W[:, c], W[:, n], similarity, shrinkage, asymmetry)
    return S


def weights_by_hand(documents, weighting, learned_from=None):
    """Weights of the entries of a dense array of documents x terms."""
    training = documents if learned_from is None else learned_from
    if weighting is None:
        return documents
    n_documents, n_terms = training.shape
    lengths = [sum(document) for document in training]
    W = np.zeros_like(documents)
    for d, document in enumerate(documents):
        for t in range(n_terms):
            x, n_with_term = document[t], sum(training[:, t] > 0)
            if x > 0:
                idf = np.log((1 + n_documents) / (1 + n_with_term))
                length = sum(document) / (sum(lengths) / n_documents)
                W[d, t] = {
                    "tf-idf": np.sqrt(x),
                    "bm25": 2.2 * x / (x + 1.2 * (0.25 + 0.75 * length)),
                }[weighting] * idf
    return W
