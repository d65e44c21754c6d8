"""mDA-CF: factors of ratings, tied to features of users and items."""

from numbers import Integral, Real

from skrec.base import BaseRecommender, FactorMixin, RatingMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.base._side_features import SideFeaturesMixin
from skrec.factorization._denoising import column_units
from skrec.factorization._tied_sweeps import autoencoders, fold_in, initial_items, sweep_all
from skrec.solvers._alternating import Objective
from skrec.utils._compat import Interval


class MDACF(SideFeaturesMixin, FactorMixin, RatingMixin, BaseRecommender):
    r"""Matrix factorisation with denoising autoencoders of user and item features (mDA-CF).

    The objective of :class:`PMF` for the weights :math:`U` (factors and offsets) of the users and
    of the items, and of each side that has features :math:`X`, a column for each row of U,

    .. math::
        \tfrac{\omega}{2}\, E \|X - W \tilde X\|^2
        + \tfrac{\lambda}{2} \big(\|P U^\top + p 1^\top - W X\|^2 + \|P\|^2 + \|p\|^2\big)

    where each feature is 0 in :math:`\tilde X` with a probability. The autoencoder :math:`W` finds
    what the features have in common, which :math:`P` predicts from the weights: so features tell
    the weights of who has few ratings, or none. Everything has a closed form given the rest, and
    is solved for in turn. The paper has neither :math:`p` nor a penalty on :math:`P`.

    Parameters
    ----------
    n_layers : int, default=1
        Number of autoencoders, each of which reads :math:`\tanh(WX)` of the one before. The last
        is tied to the weights. 1 is mDA-CF, more are mSDA-CF: of the paper's odd number L these
        are the first (L + 1) / 2, as those above the middle one change no prediction. As tanh
        makes features smaller, double weights of the ties suit two layers.
    dropout : float, default=0.1
        Probability that a feature is 0 in the input of its autoencoder.
    user_feature_weight : float, default=1.0
        Weight :math:`\lambda` of the tie between the users' weights and features; 0 leaves the
        features out.
    item_feature_weight : float, default=25.0
        That of the items.
    reconstruction_weight : float, default=300.0
        Weight :math:`\omega` of the autoencoders' errors. The smaller, the more the ratings decide
        what counts of the features.
    l2 : float, default=0.7
        Penalty on squared factors and offsets, as of :class:`PMF`; 1.1 suits without features.
    l2_exponent : float, default=0.5
        How the penalty grows with the number of ratings, as of :class:`PMF`.
    max_iter : int, default=30
        Most sweeps over the users and the items.
    tol : float, default=1e-4
        The sweeps end with one that lowers the objective by less than this share of it.
    random_state : int, RandomState instance or None, default=None
        Controls the first factors of the items, drawn with a deviation of 0.1.
    verbose : int, default=0
        1 shows a progress bar with the objective.

    Attributes
    ----------
    mean_ : float
        Mean of the training ratings.
    item_offsets_ : ndarray of shape (n_items,)
        Those of items without ratings come from their features.
    loss_curve_ : list of float
        Objective after each half of a sweep, users and items. It never rises.
    n_iter_ : int
        Number of sweeps.

    See Also
    --------
    PMF : The same without features, and with standard deviations.
    BayesianPMF : With features of items, and no penalty to tune.

    Notes
    -----
    The penalties act on ratings divided by their standard deviation, the ties on features, of
    which those with a root mean square above 1, such as a year, are divided by it.

    A user is predicted from the row and the features that are given with it; without features,
    from the row alone, by the penalty. A row of zeros stands for a user of whom nothing is known.
    ``score`` and scorers give no features of users.

    References
    ----------
    .. [1] S. Li, J. Kawale and Y. Fu, "Deep Collaborative Filtering via Marginalized Denoising
       Auto-encoder", CIKM 2015. :doi:`10.1145/2806416.2806527`

    Examples
    --------
    >>> from skrec import MDACF
    >>> X = [[5, 5, 1, 0, 0], [5, 0, 1, 1, 0], [1, 1, 0, 5, 0], [0, 1, 5, 5, 0]]
    >>> genres = [[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]]
    >>> model = MDACF(1, l2=0.02, item_feature_weight=10, item_features=genres, random_state=0)
    >>> model.fit(X).predict([[5, 5, 1, 0, 0], [1, 0, 0, 5, 0]]).round(1)
    array([[5. , 5. , 1.1, 1.1, 1.4],
           [1.2, 1.1, 5. , 5. , 5. ]])

    Of the last item nothing is known but its genre.
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "user_feature_weight": [Interval(Real, 0, None, closed="left")],
        "item_feature_weight": [Interval(Real, 0, None, closed="left")],
        "reconstruction_weight": [Interval(Real, 0, None, closed="neither")],
        "l2": [Interval(Real, 0, None, closed="neither")],
        "l2_exponent": [Interval(Real, 0, 1, closed="both")],
        "fit_offsets": ["boolean"],
        "item_features": ["array-like", "sparse matrix", None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        **RATING_CONSTRAINTS,
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=16,
        *,
        n_layers=1,
        dropout=0.1,
        user_feature_weight=1.0,
        item_feature_weight=25.0,
        reconstruction_weight=300.0,
        l2=0.7,
        l2_exponent=0.5,
        fit_offsets=True,
        item_features=None,
        max_iter=30,
        tol=1e-4,
        clip=True,
        rating_scale=None,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.n_layers = n_layers
        self.dropout = dropout
        self.user_feature_weight = user_feature_weight
        self.item_feature_weight = item_feature_weight
        self.reconstruction_weight = reconstruction_weight
        self.l2 = l2
        self.l2_exponent = l2_exponent
        self.fit_offsets = fit_offsets
        self.item_features = item_features
        self.max_iter = max_iter
        self.tol = tol
        self.clip = clip
        self.rating_scale = rating_scale
        self.random_state = random_state
        self.verbose = verbose

    _no_update = "it does not keep the features of its users"

    def _fit(self, X, *features):
        self._objective = Objective(
            float(X.data.mean(dtype="float64")) if X.nnz else 0.0,
            self.l2,
            self.l2_exponent,
            self.fit_offsets,
            None,
        )
        self.mean_ = self._in_ratings(self._objective.intercept)
        items = initial_items(X, self.n_components, self.fit_offsets, self.random_state)
        settings = self.n_layers, self.dropout, self.reconstruction_weight
        weights = self.user_feature_weight, self.item_feature_weight
        units = [None if of_side is None else column_units(of_side) for of_side in features]
        sides = autoencoders(features, units, weights, items.shape[1], *settings)
        items, self.loss_curve_, self.n_iter_ = sweep_all(
            self._objective, X, items, sides, self.max_iter, self.tol, self.verbose
        )
        self._user_prior = None if sides[0] is None else sides[0].prior().of_inputs(units[0])
        self.item_embeddings_ = items[:, : self.n_components].copy()
        self._item_offsets = items[:, self.n_components :].sum(axis=1)
        self.item_offsets_ = self._in_ratings(self._item_offsets)

    def _fold_in(self, X, user_features=None):
        items = self.item_embeddings_, self._item_offsets
        return fold_in(X, self._objective, *items, self._user_prior, user_features)
