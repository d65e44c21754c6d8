"""HFT: factors of items that explain ratings, and through topics the words about the items."""

from numbers import Integral, Real

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.utils import check_random_state

from skrec.base import BaseRecommender, FactorMixin, RatingMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.solvers._offsets import fit_offsets, less_offsets, with_data
from skrec.solvers._pair_products import pair_products
from skrec.solvers._sweeps import repeat_sweeps
from skrec.text._drawn_factors import DrawnFactors, choose_penalties
from skrec.text._item_documents import ItemDocumentsMixin
from skrec.text._words import TopicsMixin
from skrec.utils._compat import HasMethods, Interval
from skrec.utils._memory import check_memory

SMALLEST = 1e-300  # probability of a word


class HFT(ItemDocumentsMixin, TopicsMixin, FactorMixin, RatingMixin, BaseRecommender):
    r"""Hidden factors as hidden topics (HFT).

    The factors of an item explain its ratings, and the words about it: a word of its document is
    of topic `k` with the probability :math:`\theta_{ik}`, and then the word `w` with
    :math:`\phi_{kw}`. With the offsets of users and items taken off the ratings,

    .. math::
        \sum_{(u,i)} (r_{ui} - \gamma_u \cdot \gamma_i)^2
        + \lambda \Big(\sum_u \|\gamma_u\|^2 + \sum_i \|\gamma_i\|^2\Big)
        - \mu \frac{n_{ratings}}{n_{words}} \sum_{i,w} n_{iw} \log \sum_k \theta_{ik} \phi_{kw},
        \qquad \theta_i = \operatorname{softmax}(\kappa \gamma_i)

    is minimised over :math:`\gamma, \kappa` and :math:`\phi`. An item without ratings has the
    factors that its document speaks for. The factors of a user, known or new, are the exact
    solution given the row.

    Parameters
    ----------
    n_components : int, default=30
        Number of factors, and of topics.
    text_weight : float, default=1.0
        Weight :math:`\mu` of an average word's log-likelihood, for each rating. 0 leaves the
        texts out.
    l2 : float or None, default=None
        Penalty :math:`\lambda`. None: that of 3, 6, 12, 25, 50, 100 or 400 which, without texts,
        rates a tenth of the ratings best.
    l2_offset : float or None, default=None
        Penalty on the offsets of users and items, in units of ratings. None: the best of 1, 2, 4,
        8, 16 and 32, chosen before `l2` in the same way.
    max_iter : int, default=10
        Rounds, each of all users, and then of items and topics by some steps of L-BFGS.
    n_steps : int, default=20
        Steps at most of a round.
    random_state : int, RandomState instance or None, default=None
        Controls what factors and topics begin with.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_components)
        Factors :math:`\gamma_i` of the items.
    item_topics_ : ndarray of shape (n_items, n_components)
        Shares :math:`\theta_i` of topics in the items' documents.
    peakiness_ : float
        The scale :math:`\kappa`.
    loss_curve_ : list of float
        Objective after each round. It never rises.
    n_iter_ : int
        Rounds that were made.

    See Also
    --------
    CTR : Topics first, factors afterwards.
    DeepLTRS : Words of each review, from both users' and items' latents.

    Notes
    -----
    The topics of words are summed out, where the paper draws them: the objective is smooth, and
    depends on no chain. A step takes time for the distinct words of all documents, times
    `n_components`. A user is known by ratings; what the user has written is read in ``fit``
    alone, as part of the items' documents.

    References
    ----------
    .. [1] J. McAuley and J. Leskovec, "Hidden Factors and Hidden Topics: Understanding Rating
       Dimensions with Review Text", RecSys 2013. :doi:`10.1145/2507157.2507163`

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from skrec import HFT
    >>> X = np.kron([[5, 1], [1, 5]], np.ones((10, 3)))
    >>> X[:, 5] = 0  # nobody has rated the last item
    >>> texts = ["green tea", "tea leaves", "black tea", "dark roast", "roast coffee", "roast"]
    >>> model = HFT(2, item_features=texts, vectorizer=CountVectorizer(), random_state=0).fit(X)
    >>> model.recommend([[0, 0, 0, 5, 0, 0]], k=2)
    array([[4, 5]])
    """

    _no_update = "its topics are those of all texts"

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "text_weight": [Interval(Real, 0, 1e6, closed="left")],
        "vectorizer": [HasMethods(["fit_transform", "transform"]), None],
        "item_features": ["array-like", "sparse matrix", None],
        "l2": [Interval(Real, 1e-6, 1e12, closed="both"), None],
        "l2_offset": [Interval(Real, 0, None, closed="neither"), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        **RATING_CONSTRAINTS,
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=30,
        *,
        text_weight=1.0,
        vectorizer=None,
        item_features=None,
        l2=None,
        l2_offset=None,
        max_iter=10,
        n_steps=20,
        clip=True,
        rating_scale=None,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.text_weight = text_weight
        self.vectorizer = vectorizer
        self.item_features = item_features
        self.l2 = l2
        self.l2_offset = l2_offset
        self.max_iter = max_iter
        self.n_steps = n_steps
        self.clip = clip
        self.rating_scale = rating_scale
        self.random_state = random_state
        self.verbose = verbose

    def _fit(self, X, reviews):
        words, self._vocabulary = None, None
        if self.text_weight:
            words = self._learn_documents(X, reviews)
        n_words = 0 if words is None else words.shape[1]
        check_memory(
            # Both sides, and what L-BFGS remembers of items and topics.
            8 * (X.shape[0] + 30 * (X.shape[1] + n_words)) * self.n_components,
            f"HFT with {self.n_components} components on {X.shape[0]} users x {X.shape[1]} items",
            "use a smaller n_components",
        )
        rng = check_random_state(self.random_state)
        items = 0.1 * rng.standard_normal((X.shape[1], self.n_components))
        priors = np.zeros_like(items)
        l2, unit = choose_penalties(X, priors, items, l2=self.l2, l2_offset=self.l2_offset)
        self._offsets = (*fit_offsets(X, unit, unit), float(unit))
        self._item_offsets = self._offsets[0] + self._offsets[1]
        self._factors = DrawnFactors(priors, 0.0, float(l2), float(l2))
        rows, _ = less_offsets(X, self._offsets)
        objective = ItemObjective(rows, float(l2), words, float(self.text_weight))
        state = objective.start(items, rng)
        losses = []

        def sweep():
            nonlocal state
            users = self._factors.users(rows, objective.parts(state)[0])
            state, loss = objective.improve(state, users, self.n_steps)
            losses.append(loss + l2 * float(np.square(users).sum()))
            before = losses[-2] if len(losses) > 1 else np.inf
            return losses[-1], before - losses[-1] <= 1e-4 * abs(before) < np.inf

        self.n_iter_ = repeat_sweeps(sweep, self.max_iter, "HFT", self.verbose)
        self.loss_curve_ = losses[: self.n_iter_]
        self.item_embeddings_, peakiness, logits = objective.parts(state)
        self.peakiness_ = float(peakiness)
        self.item_topics_ = softmax(peakiness * self.item_embeddings_, axis=1)
        self._topic_word = softmax(logits, axis=1) if logits.size else None

    def _fold_in(self, X):
        rows, offsets = less_offsets(X, self._offsets)
        return self._factors.users(rows, self.item_embeddings_), offsets


class ItemObjective:
    """What items' factors and topics minimise, given the users'.

    Parameters
    ----------
    rows : csr_array of shape (n_users, n_items)
        Ratings less offsets.
    l2 : float
    words : csr_array of shape (n_items, n_words) or None
    text_weight : float
    """

    def __init__(self, rows, l2, words, text_weight):
        self.rows, self.l2 = rows, l2
        self.users = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
        self.words = words
        if words is not None:
            self.words = words = words.astype(np.float64)
            self.documents = np.repeat(np.arange(words.shape[0]), np.diff(words.indptr))
            self.scale = text_weight * max(rows.nnz, 1) / max(float(words.sum()), 1e-30)

    def start(self, items, rng):
        """Topics that are the words' frequencies, but for noise."""
        n_topics, self.n_items = items.shape[1], len(items)
        logits = np.zeros((n_topics, 0))
        if self.words is not None:
            frequencies = np.asarray(self.words.sum(axis=0)) + 0.01
            logits = np.log(frequencies / frequencies.sum())
            logits = logits + 0.1 * rng.standard_normal((n_topics, len(frequencies)))
        return np.concatenate([items.ravel(), [1.0], logits.ravel()])

    def parts(self, state):
        """Factors of the items, the scale of topics, and the topics' logits."""
        n_topics = (len(state) - 1) // (self.n_items + self._n_words)
        items, (scale,), logits = np.split(
            state, [self.n_items * n_topics, self.n_items * n_topics + 1]
        )
        return items.reshape(-1, n_topics), scale, logits.reshape(n_topics, -1)

    @property
    def _n_words(self):
        return 0 if self.words is None else self.words.shape[1]

    def improve(self, state, users, n_steps):
        """Make some steps of L-BFGS; return the state and the objective."""
        options = {"maxiter": n_steps}
        found = minimize(self.value, state, (users,), jac=True, method="L-BFGS-B", options=options)
        return found.x, float(found.fun)

    def value(self, state, users):
        """The objective, less the penalties on users, and its gradient."""
        items, scale, logits = self.parts(state)
        errors = pair_products(users, items, self.users, self.rows.indices) - self.rows.data
        loss = float(errors @ errors) + self.l2 * float(np.square(items).sum())
        of_items = 2 * (with_data(self.rows, errors).T @ users + self.l2 * items)
        if self.words is None:
            return loss, np.concatenate([of_items.ravel(), [0.0], logits.ravel()])
        shares, topics = softmax(scale * items, axis=1), softmax(logits, axis=1)
        by_word = np.ascontiguousarray(topics.T)
        found = pair_products(shares, by_word, self.documents, self.words.indices)
        found = np.maximum(found, SMALLEST)
        loss -= self.scale * float(self.words.data @ np.log(found))
        ratios = with_data(self.words, -self.scale * self.words.data / found)
        of_shares, of_topics = ratios @ by_word, (ratios.T @ shares).T
        of_logits = shares * (of_shares - (shares * of_shares).sum(axis=1, keepdims=True))
        of_items += scale * of_logits
        of_scale = float((items * of_logits).sum())
        of_topics = topics * (of_topics - (topics * of_topics).sum(axis=1, keepdims=True))
        return loss, np.concatenate([of_items.ravel(), [of_scale], of_topics.ravel()])
