"""The words that a model knows, from texts by any scikit-learn vectorizer or from counts."""

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer

# How scikit-learn's errors begin where no word is left: of no text, by pruning, by its limits.
NO_WORDS = ("empty vocabulary", "After pruning", "max_df corresponds to < documents than min_df")


def default_vectorizer():
    """Count words of at least two letters, neither singular nor in every second review."""
    return CountVectorizer(
        token_pattern=r"(?u)\b[^\W\d_]{2,}\b", min_df=2, max_df=0.5, max_features=5000
    )


class Vocabulary:
    """Words, and how they are counted.

    Parameters
    ----------
    vectorizer : fitted estimator or None
        None where documents are counts.
    n_words : int

    Attributes
    ----------
    names : ndarray of shape (n_words,)
        The words themselves; where nobody knows them, the numbers of their columns.
    """

    def __init__(self, vectorizer, n_words):
        self.vectorizer = vectorizer
        self.names = word_names(vectorizer, n_words)

    def __len__(self):
        return len(self.names)

    @classmethod
    def learn(cls, vectorizer, documents, name="reviews"):
        """Fit a vectorizer on texts; counts need none.

        Parameters
        ----------
        vectorizer : estimator or None
            Cloned. None means :func:`default_vectorizer`.
        documents : ndarray of str of shape (n_documents,) or csr_array
            Texts, or counts of shape (n_documents, n_words).
        name : str, default="reviews"
            What messages call them.

        Returns
        -------
        vocabulary : Vocabulary
        counts : csr_array of shape (n_documents, n_words)
        """
        if issparse(documents):
            counts = checked_counts(documents, name, "the matrix")
            return cls(None, counts.shape[1]), counts
        vectorizer = default_vectorizer() if vectorizer is None else clone(vectorizer)
        try:
            counts = vectorizer.fit_transform(documents)
        except ValueError as error:
            if not str(error).startswith(NO_WORDS):
                raise
            n_empty = sum(not text.strip() for text in documents)
            raise ValueError(
                f"vectorizer={vectorizer!r} finds no words in the {len(documents)} "
                f"texts of {name} ({n_empty} of them are empty): {str(error).rstrip('.')}. Give a "
                "vectorizer that keeps more words, such as vectorizer=CountVectorizer(), or "
                f"{name}=None."
            ) from error
        counts = checked_counts(counts, "vectorizer", repr(vectorizer))
        return cls(vectorizer, counts.shape[1]), counts

    def count(self, documents):
        """Count the words of documents.

        Parameters
        ----------
        documents : ndarray of str of shape (n_documents,) or csr_array
            Texts, or counts of shape (n_documents, n_words).

        Returns
        -------
        counts : csr_array of shape (n_documents, n_words)
        """
        if issparse(documents):
            if documents.shape[1] != len(self):
                raise ValueError(
                    f"reviews have {documents.shape[1]} terms, the model was fitted on "
                    f"{len(self)}: count them with the vectorizer that counted the training "
                    "reviews."
                )
            return checked_counts(documents, "reviews", "the matrix")
        if len(documents) == 0:
            return csr_array((0, len(self)), dtype=np.float32)
        if self.vectorizer is None:
            raise TypeError(
                f"reviews must be a matrix of {len(self)} terms, as in fit, got texts: count "
                "their terms with the vectorizer that counted the training reviews."
            )
        counts = self.vectorizer.transform(documents)
        return checked_counts(counts, "vectorizer", repr(self.vectorizer))


def checked_counts(counts, name, source):
    """Counts as a csr_array of float32, which must not be negative or infinite."""
    counts = csr_array(counts).astype(np.float32)
    if counts.shape[1] == 0:
        raise ValueError(f"{name} must yield at least one word, got none from {source}.")
    if counts.nnz and not np.isfinite(counts.data).all():
        raise ValueError(f"{name} must yield finite counts, got NaN or infinity from {source}.")
    if counts.nnz and counts.data.min() < 0:
        raise ValueError(
            f"{name} must yield counts or other non-negative weights of words, got "
            f"{counts.data.min():g} from {source}: leave out steps that centre or project, such "
            "as TruncatedSVD, or use alternate_sign=False in a HashingVectorizer."
        )
    counts.sum_duplicates()
    return counts


def word_names(vectorizer, n_words):
    """The words themselves; where nobody knows them, the numbers of their columns."""
    try:
        names = np.asarray(vectorizer.get_feature_names_out(), dtype=object)
    except AttributeError:  # a Pipeline has names only if each of its steps has
        return np.arange(n_words)
    return names if len(names) == n_words else np.arange(n_words)
