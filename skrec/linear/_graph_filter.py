"""GraphFilter: a user's row, smoothed over the graph of users and items."""

from numbers import Integral, Real

from skrec.base import BaseRecommender, ExplainMixin, FactorMixin
from skrec.linear._graph_parts import GraphPartsMixin
from skrec.utils._compat import Interval, StrOptions

_POWER = Interval(Real, 0, None, closed="left")


class GraphFilter(GraphPartsMixin, ExplainMixin, FactorMixin, BaseRecommender):
    r"""Graph filters in closed form: SGFCF, and with other settings GF-CF and Turbo-CF.

    With the sums of rows and columns in :math:`D_U` and :math:`D_I`, the matrix is normalised to
    :math:`R = D_U^{-a} X D_I^{-b}`. Its largest singular values :math:`\sigma` and their right
    singular vectors `V` are the smoothest signals on the graph of users and items. A user's row
    :math:`x`, as :math:`\tilde x = x D_I^{-b}`, is scored by a spectral part and a linear filter,

    .. math::
        \frac{\tilde x V s^p V^\top}{\text{its sum}} + w \frac{\tilde x P}{\text{its sum}}, \qquad
        s = \sigma / \sigma_1, \quad P = (R^\top R)^{\circ q}

    Parameters
    ----------
    n_components : int or "auto"
        Number of singular vectors, where there are as many. 0: the linear filter alone. "auto":
        150, or a fifth of the number of users if that is less.
    filter : {"sgfcf", "gf-cf"}
        Scales of the parts. "sgfcf": as above. "gf-cf": :math:`x D_I^{-b} V s^p V^\top D_I^b` and
        :math:`w\, x P`. GF-CF proper has powers 0.5, a `spectral_power` of 0, and all neighbours.
    user_power, item_power : float
        Powers `a` and `b` of the sums. More of the second recommends less popular items.
    spectral_power : float
        Power `p` of the singular values: how much less the less smooth signals count. SGFCF
        writes it :math:`2 \beta - 1`.
    linear_weight : float
        Weight `w` of the linear filter. 0: the spectral part alone.
    n_neighbors : int or None
        Number of other items that an item keeps in its column of :math:`P`, those of the largest
        weights. None: all that share a user with it, which may be almost all.
    linear_power : float
        Power `q` of the entries of :math:`P`.
    order : {1, 2, 3}
        2 and 3 put :math:`2P - P^2` and :math:`P + 0.01 (-P^3 + 10 P^2 - 29 P)` in place of
        :math:`P`; they need ``filter="gf-cf"``. Turbo-CF is that without components, with powers
        that sum to 1, and all neighbours.

    Attributes
    ----------
    item_embeddings_ : ndarray of shape (n_items, n_kept)
        :math:`V s^{p/2}`, without signals whose singular value is zero to rounding.
    singular_values_ : ndarray of shape (n_kept,)
        :math:`\sigma`, the largest first.
    coef_ : csr_array of shape (n_items, n_items)
        :math:`P` as it is kept, with its diagonal; empty if its weight is 0.

    See Also
    --------
    EASE : Weights that account for all other items at once.
    RP3beta : Random walks on the same graph.

    Notes
    -----
    Nothing is drawn at random: singular vectors are exact to rounding. ``transform`` returns
    :math:`n^{-a} \tilde x V s^{p/2}`, `n` being the sum of the row; ``similar_items`` scores by
    what is recommended to a user of that item alone. The sum of a spectral part, which is near 0
    or negative for odd rows, counts as no less than its Euclidean norm. SGFCF's sigmoid, which
    keeps the order, is left out; so are its powers by a node's homophily (IGF), which on
    MovieLens 1M gained nothing. There is no ``partial_fit``; :func:`skrec.update` fits again.

    References
    ----------
    .. [1] S. Peng et al., "How Powerful is Graph Filtering for Recommendation", KDD 2024.
       :doi:`10.1145/3637528.3671789`
    .. [2] Y. Shen et al., "How Powerful is Graph Convolution for Recommendation?", CIKM 2021.
       :doi:`10.1145/3459637.3482264`
    .. [3] J.-D. Park et al., "Turbo-CF: Matrix Decomposition-Free Graph Filtering for Fast
       Recommendation", SIGIR 2024. :doi:`10.1145/3626772.3657916`

    Examples
    --------
    >>> from skrec import GraphFilter
    >>> X = [[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]]
    >>> GraphFilter(n_components=2).fit(X).recommend([[0, 0, 1, 0]], k=2)
    array([[3, 1]])
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        "filter": [StrOptions({"sgfcf", "gf-cf"})],
        **dict.fromkeys(["user_power", "item_power", "spectral_power", "linear_weight"], [_POWER]),
        "n_neighbors": [Interval(Integral, 1, None, closed="left"), None],
        "linear_power": [_POWER],
        "order": [Interval(Integral, 1, 3, closed="both")],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_components="auto",
        *,
        filter="sgfcf",
        user_power=0.3,
        item_power=0.3,
        spectral_power=0.5,
        linear_weight=0.25,
        n_neighbors=200,
        linear_power=1.0,
        order=1,
        n_jobs=None,
    ):
        self.n_components = n_components
        self.filter = filter
        self.user_power = user_power
        self.item_power = item_power
        self.spectral_power = spectral_power
        self.linear_weight = linear_weight
        self.n_neighbors = n_neighbors
        self.linear_power = linear_power
        self.order = order
        self.n_jobs = n_jobs
