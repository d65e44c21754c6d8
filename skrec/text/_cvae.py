"""CVAE: factors of items that are drawn to the codes of their texts, learned with them."""

from itertools import pairwise
from numbers import Integral, Real

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import nn

from skrec.base import BaseRecommender
from skrec.neural._batches import RowStore
from skrec.neural._divergences import draw_gaussian, standard_normal_kl
from skrec.neural._estimator import TERM_WEIGHT, check_hidden_layer_sizes, draw_seed
from skrec.neural._layers import SparseLinear, init_glorot, linear
from skrec.neural._trainer import Progress, Trainer
from skrec.solvers._devices import place, to_tensor
from skrec.solvers._torch_state import torch_state
from skrec.text._drawn_estimator import DRAWN_CONSTRAINTS, DrawnFactorsMixin
from skrec.text._item_documents import check_item_documents
from skrec.utils._compat import Interval
from skrec.utils._progress import progress_bar


class TextVAE(nn.Module):
    """Codes of documents, which factors of items draw to themselves.

    Parameters
    ----------
    n_words : int
    hidden_layer_sizes : list of int
    n_components : int
    beta : float
        Weight of the divergence from the prior.
    counts : bool
        Whether documents are shares of words between 0 and 1, and not vectors of any numbers.
    """

    def __init__(self, n_words, hidden_layer_sizes, n_components, *, beta, counts):
        super().__init__()
        self.beta, self.counts = beta, counts
        self.first = SparseLinear(n_words, hidden_layer_sizes[0])
        self.others = nn.ModuleList(linear(*sizes) for sizes in pairwise(hidden_layer_sizes))
        self.mean = linear(hidden_layer_sizes[-1], n_components)
        self.log_var = linear(hidden_layer_sizes[-1], n_components)
        self.widen = linear(n_components, hidden_layer_sizes[-1])
        sizes = [*hidden_layer_sizes[-2::-1], n_words]
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(size)) for size in sizes)
        self.factors, self.pull = None, 0.0

    def encode(self, batch):
        """Means and log variances of codes, tensors of shape (n_rows, n_components)."""
        hidden = torch.tanh(self.first(batch))
        for layer in self.others:
            hidden = torch.tanh(layer(hidden))
        return self.mean(hidden), self.log_var(hidden)

    def decode(self, codes):
        """Logits of words, or vectors: the layers of the encoder, transposed."""
        hidden = torch.tanh(self.widen(codes))
        weights = [*(layer.weight for layer in reversed(self.others)), self.first.weight.t()]
        *inner, last = zip(weights, self.biases, strict=True)
        for weight, bias in inner:
            hidden = torch.tanh(hidden @ weight + bias)
        return hidden @ last[0] + last[1]

    def forward(self, batch, generator, progress):  # -> (n_rows,)
        """Negative lower bound of each document, and half of what its factors add."""
        mean, log_var = self.encode(batch)
        codes = draw_gaussian(mean, log_var, generator)
        found = self.decode(codes)
        at_entries = batch.sum_rows(batch.values * found[batch.rows, batch.items])
        normaliser = nn.functional.softplus(found) if self.counts else found.square() / 2
        nll = normaliser.sum(dim=1) - at_entries
        if not self.counts:
            nll = nll + batch.sum_rows(batch.values.square()) / 2
        if self.factors is not None:
            apart = (self.factors[batch.users] - codes).square().sum(dim=1)
            nll = nll + self.pull / 2 * apart
        return nll + self.beta * standard_normal_kl(mean, log_var)


class CVAE(DrawnFactorsMixin, BaseRecommender):
    r"""Collaborative variational autoencoder: factors of items that are drawn to texts' codes.

    An autoencoder learns a code :math:`z_i` of the text :math:`x_i` of each item, and alternates
    with regressions of users and items, whose factors are drawn to the codes as the codes are to
    them:

    .. math::
        \tfrac12 \sum_{(u,i)} (y_{ui} - u_u \cdot v_i)^2
        + \tfrac\alpha2 \sum_{u,i} (u_u \cdot v_i)^2
        + \tfrac{\lambda_u}2 \sum_u \|u_u\|^2
        + \sum_i \mathbb{E}_q \Big[\tfrac{\lambda_v}2 \|v_i - z_i\|^2
        - \log p(x_i \mid z_i)\Big] + \beta \, KL(q(z_i) \,\|\, N(0, I))

    An item without entries is its text alone: :math:`v_i` is the mean of its code. The factors
    of a user, known or new, are the exact solution given the row.

    Parameters
    ----------
    n_components : int, default=50
        Length of codes and factors.
    hidden_layer_sizes : array-like of int, default=(200, 100)
        Widths of the encoder's layers, at least one. The decoder has them transposed.
    vectorizer : estimator, default=None
        What makes counts of texts, as for :class:`CTR`.
    item_features : {array-like, sparse matrix, dataframe}, default=None
        A document of each item, in the order of the columns of `X`: texts, counts of words, or
        with negative numbers among them vectors such as sentence embeddings. None: all training
        reviews of an item together, if ``fit`` gets any.
    l2_item : float, default=10.0
        Penalty :math:`\lambda_v` of what items have beside their codes.
    beta : float, default=0.01
        Weight of the divergence. 1 is the lower bound of the paper, under which codes of short
        texts say nothing.
    learning_rate : float, default=0.001
        Step size of Adam, for the texts.
    batch_size : int, default=128
        Documents of an update.
    n_text_epochs : int, default=200
        Epochs of the autoencoder alone, before there are factors.
    max_iter : int, default=15
        Number of sweeps over users and items. Before each but the first the autoencoder makes an
        epoch.
    device : str, default="auto"
        Where texts are learned: "cpu", "cuda" (or "cuda:1", ...), or "auto", which takes a CUDA
        GPU if there is one.
    random_state : int, RandomState instance or None, default=None
        Controls the weights, the order of the documents, the noise, and what items' factors begin
        with beside their codes.

    Attributes
    ----------
    item_codes_
    loss_curve_ : list of float
        The factors' part of twice the objective after each sweep.
    text_loss_curve_ : list of float
        The texts' part per document, by epoch. Empty if there were no texts.
    n_iter_ : int
        Number of rounds that were made.

    See Also
    --------
    CTR : Topics, which are learned beforehand, in place of codes.
    IALS : Choices without texts.

    Notes
    -----
    Counts are divided by the largest of their document, and are each taken for the probability of
    a word, as in the paper; vectors are standardised by column, with a normal error. The paper's
    settings are ``unobserved_weight=0.01, l2=0.1, beta=1``; its layers are logistic ones, which
    learned more slowly and rated worse than hyperbolic tangents.

    An epoch takes about ``6 * n_items * n_words * hidden_layer_sizes[0]`` multiplications: what is
    decoded is dense, a batch at a time.

    References
    ----------
    .. [1] X. Li and J. She, "Collaborative Variational Autoencoder for Recommender Systems",
       KDD 2017. :doi:`10.1145/3097983.3098077`

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from skrec import CVAE
    >>> X = np.kron(np.eye(2), np.ones((10, 3)))
    >>> X[:, 5] = 0  # nobody has chosen the last item
    >>> texts = ["green tea", "tea leaves", "black tea", "dark roast", "roast coffee", "roast"]
    >>> options = {"vectorizer": CountVectorizer(), "learning_rate": 0.01, "random_state": 0}
    >>> model = CVAE(2, hidden_layer_sizes=(8,), item_features=texts, **options).fit(X)
    >>> model.recommend([[0, 0, 0, 1, 0, 0]], k=2)
    array([[4, 5]])
    """

    _no_update = "its codes are learned from all texts together"

    _parameter_constraints: dict = {
        **DRAWN_CONSTRAINTS,
        "hidden_layer_sizes": ["array-like"],
        "beta": [TERM_WEIGHT],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_text_epochs": [Interval(Integral, 0, None, closed="left")],
        "device": [str],
    }

    def __init__(
        self,
        n_components=50,
        *,
        feedback="choices",
        hidden_layer_sizes=(200, 100),
        vectorizer=None,
        item_features=None,
        unobserved_weight=0.1,
        l2=None,
        l2_item=10.0,
        l2_offset=None,
        beta=0.01,
        learning_rate=0.001,
        batch_size=128,
        n_text_epochs=200,
        max_iter=15,
        clip=True,
        rating_scale=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.feedback = feedback
        self.hidden_layer_sizes = hidden_layer_sizes
        self.vectorizer = vectorizer
        self.item_features = item_features
        self.unobserved_weight = unobserved_weight
        self.l2 = l2
        self.l2_item = l2_item
        self.l2_offset = l2_offset
        self.beta = beta
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_text_epochs = n_text_epochs
        self.max_iter = max_iter
        self.clip = clip
        self.rating_scale = rating_scale
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @torch_state(training=True)
    def _fit(self, X, reviews):
        super()._fit(X, reviews)
        del self._texts

    def _learn_priors(self, X, reviews, rng):
        documents, counts = self._read_documents(X, reviews)
        self._texts = None
        codes = np.zeros((X.shape[1], self.n_components))
        if documents is not None:
            sizes = check_hidden_layer_sizes(self.hidden_layer_sizes, at_least=1)
            vae = TextVAE(
                documents.shape[1], sizes, self.n_components, beta=self.beta, counts=counts
            )
            self._texts = TextTraining(self, vae, documents, rng)
            self._texts.train(self.n_text_epochs)
            codes = self._texts.codes()
        self.text_loss_curve_ = [] if self._texts is None else self._texts.losses
        return codes

    def _read_documents(self, X, reviews):
        """A row for each item, of shares of words or of any numbers, and which of the two."""
        if self.item_features is not None:
            ids = getattr(self, "feature_names_in_", None)
            given = check_item_documents(self.item_features, X.shape[1], ids)
            if given.ndim == 2 and given.nnz and given.data.min() < 0:
                self._vocabulary = None
                return standardised(given.toarray()), False
        words = self._learn_documents(X, reviews)
        return (None if words is None else shares(words)), True

    def _alternate(self, rows, items):
        texts, factors = self._texts, self._factors
        losses = []
        bar = progress_bar(total=self.max_iter, desc="CVAE", unit="sweep", silent=not self.verbose)
        with bar:
            for sweep in range(self.max_iter):
                if sweep and texts is not None:
                    texts.train(1, items, factors.l2_item)
                    factors.priors = texts.codes()
                items, [loss] = factors.fit(rows, items, 1, 0.0)
                losses.append(loss)
                bar.set_postfix({"loss": f"{loss:.4g}"})
                bar.update()
        return items, losses

    @property
    def item_codes_(self):
        """Means of the codes of items' texts: (n_items, n_components), zeros without texts."""
        return self._factors.priors


class TextTraining:
    """An autoencoder, and the documents that it learns from.

    Parameters
    ----------
    model : CVAE
    vae : TextVAE
    documents : csr_array of shape (n_items, n_words)
    rng : RandomState

    Attributes
    ----------
    losses : list of float
        By epoch.
    """

    def __init__(self, model, vae, documents, rng):
        self.documents = documents
        self.read = np.flatnonzero(np.diff(documents.indptr))
        placement = place(model.device)
        init_glorot(vae, torch.Generator().manual_seed(draw_seed(rng)))
        self.trainer = placement.make_trainer(
            Trainer,
            vae,
            rng=np.random.default_rng(draw_seed(rng)),
            generator=torch.Generator(placement.device).manual_seed(draw_seed(rng)),
            start=Progress(0, 0),
            lr=model.learning_rate,
            batch_size=model.batch_size,
            callbacks=[],
            verbose=0,
        )
        self.store = RowStore(documents[self.read], placement.device)
        self.losses = []

    def train(self, n_epochs, factors=None, l2=0.0):
        """Make epochs, in which codes are drawn to these factors of all items, if any."""
        if n_epochs == 0 or len(self.read) == 0:
            return
        module = self.trainer.module
        if factors is not None:
            factors = to_tensor(factors[self.read].astype(np.float32), self.store.device)
        module.factors, module.pull = factors, l2
        self.trainer.max_epochs = n_epochs
        self.trainer.partial_fit(self.store)
        self.losses.extend(record["train_loss"] for record in self.trainer.history[-n_epochs:])

    def codes(self):
        """Means of the codes, zeros where there is no text: (n_items, n_components)."""
        module = self.trainer.module
        found = np.zeros((self.documents.shape[0], module.mean.out_features))
        with torch.no_grad():
            mean, _ = module.encode(self.store.cut())
        found[self.read] = mean.cpu().numpy()
        return found


def shares(words):
    """Counts of words, divided by the largest of each document."""
    largest = np.maximum(words.max(axis=1).toarray().ravel(), np.finfo(np.float32).tiny)
    scaled = words.data / np.repeat(largest, np.diff(words.indptr))
    return csr_array((scaled, words.indices, words.indptr), shape=words.shape)


def standardised(vectors):
    """Columns with mean 0 and deviation 1; those of one value are left at 0."""
    largest = np.abs(vectors).max(axis=0)
    vectors = vectors / np.where(largest > 0, largest, 1)
    vectors = vectors - vectors.mean(axis=0)
    deviation = vectors.std(axis=0)
    scaled = np.where(deviation > 1e-9, vectors / np.maximum(deviation, 1e-9), 0)
    return csr_array(scaled.astype(np.float32))
