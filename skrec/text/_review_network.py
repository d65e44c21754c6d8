"""What networks share that rate by the texts of a user and of an item."""

from copy import deepcopy
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import nn

from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.neural._estimator import BATCH_CONSTRAINTS, LAYER_CONSTRAINTS, TRAINING_CONSTRAINTS
from skrec.neural._layers import init_uniform
from skrec.reviews import as_reviews
from skrec.solvers._offsets import fit_offsets, less_offsets
from skrec.solvers._torch_state import torch_state
from skrec.text._deep_ltrs_module import widest_float
from skrec.text._item_documents import check_item_documents
from skrec.text._rated_pairs import item_rows
from skrec.text._text_network import AskedDocuments, Documents, MachinePart, ReviewedStore
from skrec.text._word_sequences import SequenceVocabulary, check_texts, in_one_line, join_texts
from skrec.utils._compat import HasMethods, Interval
from skrec.utils._docstrings import complete_verbs
from skrec.utils._item_features import without_frame

REVIEW_NETWORK_CONSTRAINTS = {
    **TRAINING_CONSTRAINTS,
    **BATCH_CONSTRAINTS,
    **LAYER_CONSTRAINTS,
    **RATING_CONSTRAINTS,
    "n_filters": [Interval(Integral, 1, None, closed="left")],
    "embedding_size": [Interval(Integral, 1, None, closed="left")],
    "embeddings": ["array-like", None],
    "vectorizer": [HasMethods(["fit_transform", "transform"]), None],
    "item_features": ["array-like", None],
    "max_words": [Interval(Integral, 1, None, closed="left")],
    "offsets": ["boolean"],
    "l2_offset": [Interval(Real, 0, None, closed="neither")],
}


@dataclass(frozen=True)
class ReviewedData:
    """Ratings less their offsets, and the documents of users and items.

    Parameters
    ----------
    ratings : csr_array of shape (n_users, n_items)
    offsets : tuple of (mean, item_offsets, l2)
        As :func:`less_offsets` takes them.
    user_offsets : ndarray of shape (n_users,)
    users, items : Documents
    own_reviews : bool
        Whether the items' documents are of the users' reviews, too.
    reviews : Reviews or None
        All that ``fit`` was given.
    """

    ratings: csr_array
    offsets: tuple
    user_offsets: np.ndarray
    users: Documents
    items: Documents
    own_reviews: bool
    reviews: object

    @property
    def shape(self):
        return self.ratings.shape


@complete_verbs
class ReviewNetworkMixin:
    """A network that reads all that a user wrote, and all that was written about an item.

    It stands before :class:`NeuralRatingMixin`. The module has the vectors ``words`` and offers
    ``codes(side, asked)``. The estimator writes ``_rate_codes(module, codes, users, items)``, what
    is to be added to the offsets of pairs, and ``_fold_in(X, documents)``, vectors of users and
    their offsets.

    Parameters
    ----------
    n_filters : int
        Number of filters of three words for each kind of document.
    embedding_size : int
        Length of a word's vector, if these are learned.
    embeddings : array-like of shape (n_words, embedding_size)
        Vectors of the words, which then stay: a row for each word of the vectorizer, which for
        ``CountVectorizer(vocabulary=words)`` are those of `words` in their order. None: they are
        learned.
    vectorizer : estimator
        What splits texts into words: a :class:`~sklearn.feature_extraction.text.CountVectorizer`,
        or any other with ``build_analyzer`` and ``vocabulary_``. It is cloned, and fitted on the
        training texts only; words that it does not keep are not read. None keeps words as
        :class:`DeepLTRS` does.
    item_features : array-like of str of shape (n_items,)
        A document of each item, in the order of the columns of `X`. Items that nobody has rated
        are rated by theirs. None: the document of an item is all its training reviews.
    max_words : int
        Most words that are read of one review, or of one of `item_features`.
    offsets : bool
        Whether ratings have offsets of users and items, fitted beforehand as in
        :class:`BiasBaseline`; texts then explain what is left.
    l2_offset : float
        Penalty on these, in units of ratings.
    dropout : float
        Probability of dropping a unit of a document's code.
    batch_size : int
        Ratings of an update.

    Attributes
    ----------
    vocabulary_
    """

    _no_update = "its network has read the texts of all users and items"
    _keep_start = True  # offsets alone
    _vocabulary = None

    def fit(self, X, y=None, *, reviews=None):
        """Learn from users' ratings and what was written with them.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_users, n_items)
            One row per user. Stored entries (dense input: the non-zeros) are the ratings.
        reviews : {Reviews, array-like of str}, default=None
            Texts of the ratings: :class:`Reviews`, or one text for each rating in row-major order.
            In cross-validation only :class:`Reviews`, which is cut along with `X`. None: users
            have no documents.

        Returns
        -------
        self : estimator
            Ctrl-C during training keeps the model so far, with a warning.

        Raises
        ------
        TypeError
            If reviews or `item_features` are counts, of which nobody knows the order.
        ValueError
            If the loss is not finite, there is nothing to hold out for early stopping, the reviews
            are not aligned with `X`, or the vectorizer finds no words.
        """
        return super().fit(X, y, reviews=reviews)

    def predict(self, X, *, reviews=None):
        """Predict every user's rating of every item.

        Parameters
        ----------
        reviews : {Reviews, array-like of str}, default=None
            What the users wrote with these ratings, as in ``fit``. None: know them by their
            offsets alone.

        Returns
        -------
        ratings : ndarray of shape (n_users, n_items)
        """
        return super().predict(X, reviews=reviews)

    def transform(self, X, *, reviews=None):
        """Embed users by what they wrote.

        Parameters
        ----------
        reviews : {Reviews, array-like of str}, default=None
            Their texts, as in ``fit``.

        Returns
        -------
        embeddings : ndarray of shape (n_users, n_components)
            float32.
        """
        return self._fold_in(*self._check_input(X, reviews))[0].astype(np.float32)

    def fit_transform(self, X, y=None, *, reviews=None):
        """Learn, and embed the same users.

        Parameters
        ----------
        reviews : {Reviews, array-like of str}, default=None
            Their texts, as in ``fit``.

        Returns
        -------
        embeddings : ndarray of shape (n_users, n_components)
        """
        return self.fit(X, y, reviews=reviews).transform(X, reviews=reviews)

    def _read_reviews(self, reviews):
        if self._vocabulary is None:
            raise ValueError(
                f"{type(self).__name__} was fitted without texts and cannot read any: fit it with "
                "reviews, or leave them out here."
            )
        texts = self._vocabulary.read(reviews.entry_documents)
        return join_texts(texts, reviews.index.indptr)

    def _training_data(self, X, reviews):
        given = self._given_texts(X, reviews)
        goes_on = self.warm_start and self._vocabulary is not None
        if not given:
            self._vocabulary = None
        elif not goes_on:
            self._vocabulary = SequenceVocabulary.learn(
                self.vectorizer, np.concatenate(list(given.values())), self.max_words
            )
        return self._data(X, reviews)

    def _given_texts(self, X, reviews):
        """Texts by what they are called; a dict of arrays of str."""
        given = {}
        if reviews is not None:
            given["reviews"] = reviews.aligned_with(X).entry_documents
        if self.item_features is not None:
            ids = getattr(self, "feature_names_in_", None)
            given["item_features"] = check_item_documents(self.item_features, X.shape[1], ids)
        for name, texts in given.items():
            check_texts(texts, name)
        return given

    def _data(self, X, reviews):
        texts = {
            name: self._vocabulary.read(found)
            for name, found in self._given_texts(X, reviews).items()
        }
        offsets = self._fit_offsets(X)
        residual, user_offsets = less_offsets(X, offsets)
        nothing = csr_array((X.nnz, 1), dtype=np.int32)
        line = in_one_line(texts.get("reviews", nothing))
        entries = np.arange(X.nnz)
        own_reviews = "item_features" not in texts
        return ReviewedData(
            residual,
            offsets,
            user_offsets,
            users=Documents(line, csr_array((entries, X.indices, X.indptr), shape=X.shape)),
            items=Documents(line, item_rows(X, entries))
            if own_reviews
            else Documents(in_one_line(texts["item_features"])),
            own_reviews=own_reviews,
            reviews=reviews,
        )

    def _fit_offsets(self, X):
        if not self.offsets:
            mean = float(X.data.mean(dtype=np.float64))
            return mean, np.zeros(X.shape[1]), np.inf
        return *fit_offsets(X, self.l2_offset, self.l2_offset), self.l2_offset

    def _text_options(self):
        """Options of the module that concern words."""
        n_words = 0 if self._vocabulary is None else len(self._vocabulary)
        given = self.embeddings is not None and n_words > 0
        size = self._given_embeddings(n_words).shape[1] if given else self.embedding_size
        return {"n_words": n_words, "embedding_size": size, "learned": not given}

    def _given_embeddings(self, n_words):
        vectors = np.asarray(self.embeddings, dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != n_words or not np.isfinite(vectors).all():
            raise ValueError(
                f"embeddings must hold a finite vector for each of the {n_words} words that the "
                f"vectorizer keeps, got shape {vectors.shape}: give their words to the "
                "vectorizer, as in CountVectorizer(vocabulary=words)."
            )
        return vectors

    def _init_module(self, module, data, generator):
        init_uniform(module, generator)
        for part in module.modules():
            if isinstance(part, MachinePart):
                nn.init.normal_(part.vectors, std=0.1, generator=generator)
        vectors = module.words.vectors
        if module.words.learned:
            nn.init.normal_(vectors, std=vectors.shape[1] ** -0.5, generator=generator)
        else:
            vectors.copy_(torch.from_numpy(self._given_embeddings(len(vectors))))

    def _store(self, data, device):
        return ReviewedStore(data, device)

    def _rate_held_out(self, module, data, users, items):
        codes = [
            document_codes(module, side, documents)
            for side, documents in (("user", data.users), ("item", data.items))
        ]
        mean, item_offsets, _ = data.offsets
        offsets = mean + data.user_offsets[users] + item_offsets[items]
        return offsets + self._rate_codes(module, codes, users, items)

    def _fitted_state(self, module, X, data):
        data = self._data(X, data.reviews)
        mean, item_offsets, _ = data.offsets
        return {
            "_offsets": data.offsets,
            "_item_codes": document_codes(in_double(module), "item", data.items),
            "mean_": self._in_ratings(mean),
            "item_offsets_": self._in_ratings(item_offsets),
        }

    def _user_codes(self, X, documents=None):
        """Codes of users' documents, and the users' offsets."""
        if documents is None:
            documents = csr_array((X.shape[0], 1), dtype=np.int32)
        _, offsets = less_offsets(X, self._offsets)
        documents = Documents(in_one_line(documents))
        return document_codes(self._double_module(), "user", documents), offsets

    def _double_module(self):
        module = self._scoring_module()
        key = module.words.vectors.device, "double"
        if key not in self._modules:  # two threads may both copy it, which does no harm
            self._modules[key] = in_double(module)
        return self._modules[key]

    def _user_states(self, X, reviews=None):
        if reviews is None:
            return self._fold_in(X)
        return self._fold_in(X, self._read_reviews(as_reviews(reviews, X, X)))

    @property
    def vocabulary_(self):
        """The words, an array of shape (n_words,); empty if there were no texts."""
        return np.array([], dtype=object) if self._vocabulary is None else self._vocabulary.names

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.recommender_tags.reads_reviews = True
        return tags

    def __getstate__(self):
        return {**super().__getstate__(), "item_features": without_frame(self.item_features)}


def document_codes(module, side, documents):
    """Codes of all documents of one side: an array of shape (n_documents, n_outputs)."""
    with torch_state():
        asked = AskedDocuments(documents, np.arange(len(documents)))
        return module.codes(side, asked).cpu().numpy()


def in_double(module):
    """A copy of a module to rate with: in single the last digits depend on the batch."""
    return deepcopy(module).eval().to(widest_float(module.words.vectors.device))
