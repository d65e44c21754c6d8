"""CTR: factors of items that are drawn to the topics of their texts."""

from numbers import Real

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import LatentDirichletAllocation

from skrec.base import BaseRecommender
from skrec.text._drawn_estimator import DRAWN_CONSTRAINTS, DrawnFactorsMixin
from skrec.text._words import TopicsMixin
from skrec.utils._compat import HasMethods, Interval


class CTR(DrawnFactorsMixin, TopicsMixin, BaseRecommender):
    r"""Collaborative topic regression: factors of items that are drawn to their texts' topics.

    The document of an item is a mixture of topics, with shares :math:`\theta_i`. The item's
    factors are these and what choices or ratings say beside them:

    .. math::
        \sum_{(u,i)} (y_{ui} - u_u \cdot v_i)^2 + \alpha \sum_{u,i} (u_u \cdot v_i)^2
        + \lambda_u \sum_u \|u_u\|^2 + \lambda_v \sum_i \|v_i - s\,\theta_i\|^2

    with :math:`s` such that the topics' part has factors of mean square 1. An item without
    entries is its text alone, :math:`v_i = s\,\theta_i`. The factors of a user, known or new, are
    the exact solution given the row.

    Parameters
    ----------
    n_components : int, default=50
        Number of topics, and of factors. Those of `topic_model` if that is given, and there are
        texts.
    topic_model : estimator, default=None
        What makes shares of counts: a scikit-learn transformer such as
        ``sklearn.decomposition.NMF``. It is cloned, and fitted on the items' documents.
        None is ``LatentDirichletAllocation`` of `n_components`.
    l2_item : float, default=10.0
        Penalty :math:`\lambda_v` of what items have beside their topics.
    tol : float, default=1e-4
        Training stops after a sweep that lowers the objective by less than this share of it.
    random_state : int, RandomState instance or None, default=None
        Controls the default topic model, and what items' factors begin with beside their topics.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_components)
        Factors of the items.
    item_topics_
    topic_model_ : estimator
        The fitted topic model; None if there were no texts.
    loss_curve_ : list of float
        Objective after each sweep. It never rises.
    n_iter_ : int
        How many sweeps there were.

    See Also
    --------
    IALS : Choices without texts.
    HFT : Topics and ratings learned together.
    EASE : Item features in a linear model.

    Notes
    -----
    The topics are learned first, and stay: to learn them further with the factors gains little,
    as the paper says. Its settings are ``unobserved_weight=0.01, l2=0.01, l2_item=100`` with
    topics that are not scaled. A user is known by choices or ratings; what the user has written
    is read in ``fit`` alone, as part of the items' documents.

    A sweep takes about ``2 * nnz * n_components**2`` multiplications and ``n_components**3 / 3``
    for each user and item.

    References
    ----------
    .. [1] C. Wang and D. M. Blei, "Collaborative Topic Modeling for Recommending Scientific
       Articles", KDD 2011. :doi:`10.1145/2020408.2020480`

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from skrec import CTR
    >>> X = np.kron(np.eye(2), np.ones((10, 3)))
    >>> X[:, 5] = 0  # nobody has chosen the last item
    >>> texts = ["green tea", "tea leaves", "black tea", "dark roast", "roast coffee", "roast"]
    >>> model = CTR(2, item_features=texts, vectorizer=CountVectorizer(), random_state=0).fit(X)
    >>> model.recommend([[0, 0, 0, 1, 0, 0]], k=2)
    array([[4, 5]])
    """

    _no_update = "its topics are those of all texts"

    _parameter_constraints: dict = {
        **DRAWN_CONSTRAINTS,
        "topic_model": [HasMethods(["fit", "transform"]), None],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components=50,
        *,
        feedback="choices",
        topic_model=None,
        vectorizer=None,
        item_features=None,
        unobserved_weight=0.1,
        l2=None,
        l2_item=10.0,
        l2_offset=None,
        max_iter=15,
        tol=1e-4,
        clip=True,
        rating_scale=None,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.feedback = feedback
        self.topic_model = topic_model
        self.vectorizer = vectorizer
        self.item_features = item_features
        self.unobserved_weight = unobserved_weight
        self.l2 = l2
        self.l2_item = l2_item
        self.l2_offset = l2_offset
        self.max_iter = max_iter
        self.tol = tol
        self.clip = clip
        self.rating_scale = rating_scale
        self.random_state = random_state
        self.verbose = verbose

    def _learn_priors(self, X, reviews, rng):
        return self._learn_topics(self._learn_documents(X, reviews), X.shape[1], rng)

    def _alternate(self, rows, items):
        sweeps = {"max_iter": self.max_iter, "tol": self.tol}
        return self._factors.fit(rows, items, **sweeps, name="CTR", verbose=self.verbose)

    def _learn_topics(self, words, n_items, rng):
        """What items' factors are drawn to, an array of shape (n_items, n_components)."""
        self.topic_model_ = None
        if words is None or words.nnz == 0:
            return np.zeros((n_items, self.n_components))
        seed = rng.randint(2**31 - 1)
        model = self.topic_model
        if model is None:
            model = LatentDirichletAllocation(self.n_components, random_state=seed)
        has_words = np.diff(words.indptr) > 0
        self.topic_model_ = clone(model).fit(words[has_words])
        found = self.topic_model_.transform(words[has_words])
        shares = np.zeros((n_items, found.shape[1]))
        shares[has_words] = found
        mean_square = np.square(found).mean()
        return shares / np.sqrt(mean_square) if mean_square > 0 else shares

    @property
    def item_topics_(self):
        """What items' factors are drawn to: (n_items, n_components), zeros without texts."""
        return self._factors.priors

    @property
    def _topic_word(self):
        topics = self.topic_model_.components_
        return topics / topics.sum(axis=1, keepdims=True)
