"""Counts of words, from texts by any scikit-learn vectorizer or as the caller gives them."""

import numpy as np
import torch
from scipy.sparse import csr_array, issparse
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils.validation import check_is_fitted

from skrec.solvers._devices import to_tensor
from skrec.solvers._torch_state import torch_state
from skrec.text._rated_pairs import sum_words
from skrec.utils._blocks import row_blocks
from skrec.utils._validation import check_items, check_k

# How scikit-learn's errors begin where no word is left: of no text, by pruning, by its limits.
NO_WORDS = ("empty vocabulary", "After pruning", "max_df corresponds to < documents than min_df")


def default_vectorizer():
    """Count words of at least two letters, neither singular nor in every second review."""
    return CountVectorizer(
        token_pattern=r"(?u)\b[^\W\d_]{2,}\b", min_df=2, max_df=0.5, max_features=5000
    )


def learn_vocabulary(vectorizer, documents):
    """Fit a vectorizer on texts; counts need none.

    Parameters
    ----------
    vectorizer : estimator or None
        Cloned. None means :func:`default_vectorizer`.
    documents : ndarray of str of shape (n_documents,) or csr_array of shape (n_documents, n_terms)

    Returns
    -------
    fitted : estimator or None
    counts : csr_array of shape (n_documents, n_words)
    """
    if issparse(documents):
        return None, checked_counts(documents, "reviews", "the matrix")
    vectorizer = default_vectorizer() if vectorizer is None else clone(vectorizer)
    try:
        counts = vectorizer.fit_transform(documents)
    except ValueError as error:
        if not str(error).startswith(NO_WORDS):
            raise
        n_empty = sum(not text.strip() for text in documents)
        raise ValueError(
            f"vectorizer={vectorizer!r} finds no words in the {len(documents)} training reviews "
            f"({n_empty} of them are empty): {str(error).rstrip('.')}. Give a vectorizer that "
            "keeps more words, such as vectorizer=CountVectorizer(), or reviews=None."
        ) from error
    return vectorizer, checked_counts(counts, "vectorizer", repr(vectorizer))


def count_words(vectorizer, documents, n_words):
    """Counts of the words that a model knows.

    Parameters
    ----------
    vectorizer : fitted estimator or None
        None where the model was fitted on counts.
    documents : ndarray of str of shape (n_documents,) or csr_array of shape (n_documents, n_terms)
    n_words : int

    Returns
    -------
    counts : csr_array of shape (n_documents, n_words)
    """
    if issparse(documents):
        if documents.shape[1] != n_words:
            raise ValueError(
                f"reviews have {documents.shape[1]} terms, the model was fitted on {n_words}: "
                "count them with the vectorizer that counted the training reviews."
            )
        return checked_counts(documents, "reviews", "the matrix")
    if len(documents) == 0:
        return csr_array((0, n_words), dtype=np.float32)
    if vectorizer is None:
        raise TypeError(
            f"reviews must be a matrix of {n_words} terms, as in fit, got texts: count their "
            "terms with the vectorizer that counted the training reviews."
        )
    return checked_counts(vectorizer.transform(documents), "vectorizer", repr(vectorizer))


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


class ReviewWordsMixin:
    """How a model reads reviews, and what it says about words once it was fitted with them.

    The estimator's module has a ``word_decoder``; its ``_encode_users`` gives offsets, means and
    variances of users.
    """

    def fit_transform(self, X, y=None, *, reviews=None):
        """Learn from users' ratings and reviews, and embed the same users by both.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user. Stored entries (dense input: the non-zeros) are the ratings.
        y : object, default=None
            Ignored, present for API consistency.
        reviews : {Reviews, array-like of str, matrix}, default=None
            What was written with the ratings, as in ``fit``.

        Returns
        -------
        embeddings : ndarray of shape (n_users, n_components)
            Those of ``fit(X, reviews=reviews).transform(X, reviews=reviews)``.
        """
        return self.fit(X, y, reviews=reviews).transform(X, reviews=reviews)

    def predict_words(self, X, items, n_words=10, *, reviews=None):
        """Predict the most probable words of reviews that are not written yet.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user, seen in training or not.
        items : array-like of int or of bool
            The items to write about, as column indices or as a mask over the items.
        n_words : int, default=10
            Number of words.
        reviews : {Reviews, array-like of str, matrix}, default=None
            What the users wrote with their ratings, as in ``fit``.

        Returns
        -------
        words : ndarray of shape (n_users, n_asked_items, n_words)
            Elements of ``vocabulary_``, most probable first; items in ascending order.
        """
        n_words = self._check_n_words(n_words)
        X, read = self._check_input(X, reviews)
        items = check_items(items, X.shape[1])
        decoder = self._scoring_module().word_decoder
        device = decoder.words.weight.device
        _, users, _ = self._encode_users(X, read)
        of_items = to_tensor(self.item_embeddings_[items], device)
        words = np.empty((X.shape[0], len(items), n_words), dtype=self.vocabulary_.dtype)
        for block in row_blocks(X.shape[0], 12 * len(items) * len(self.vocabulary_)):
            of_users = to_tensor(users[block].astype(np.float32), device)
            pairs = torch.cartesian_prod(
                torch.arange(len(of_users), device=device), torch.arange(len(items), device=device)
            ).T
            with torch_state():
                best = decoder(of_users, of_items, pairs).topk(n_words, dim=1).indices
            words[block] = self.vocabulary_[best.cpu().numpy()].reshape(-1, len(items), n_words)
        return words

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
        check_is_fitted(self)
        n_words = self._check_n_words(n_words)
        return self.vocabulary_[np.argsort(-self.topic_word_, axis=1, kind="stable")[:, :n_words]]

    @property
    def topic_word_(self):
        """Probabilities of the words in a review of one topic."""
        if not hasattr(self, "vocabulary_"):
            raise AttributeError("topic_word_ needs a model that was fitted with reviews")
        decoder = self._scoring_module().word_decoder
        with torch_state():
            weight = decoder.words.weight
            n_topics = decoder.topics.out_features
            pure = torch.eye(n_topics, dtype=weight.dtype, device=weight.device)
            return torch.softmax(decoder.logits(pure), dim=1).cpu().numpy()

    def _check_n_words(self, n_words):
        check_is_fitted(self)
        if not hasattr(self, "vocabulary_"):
            raise ValueError(
                "DeepLTRS was fitted without reviews and knows no words: fit it with reviews."
            )
        return min(check_k(n_words, name="n_words"), len(self.vocabulary_))

    def _training_words(self, X, reviews):
        """Learn the vocabulary, unless training goes on, and count words: a row for each entry."""
        if reviews is None:
            vars(self).pop("vectorizer_", None)
            vars(self).pop("vocabulary_", None)
            return None
        if self.warm_start and hasattr(self, "vocabulary_"):
            return self._words_of(X, reviews)
        documents = reviews.aligned_with(X).entry_documents
        self.vectorizer_, words = learn_vocabulary(self.vectorizer, documents)
        self.vocabulary_ = word_names(self.vectorizer_, words.shape[1])
        return words

    def _words_of(self, X, reviews):
        if reviews is None:
            return None
        documents = reviews.aligned_with(X).entry_documents
        return count_words(self.vectorizer_, documents, len(self.vocabulary_))

    def _read_reviews(self, reviews):
        if not hasattr(self, "vocabulary_"):
            raise ValueError(
                "DeepLTRS was fitted without reviews and cannot read any: fit it with reviews, "
                "or leave them out here."
            )
        documents = reviews.entry_documents
        return sum_words(
            reviews.index, count_words(self.vectorizer_, documents, len(self.vocabulary_))
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.recommender_tags.reads_reviews = True
        return tags
