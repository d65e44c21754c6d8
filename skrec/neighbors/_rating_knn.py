"""RatingKNN: a rating from those of the nearest items, or users."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils.metaestimators import available_if

from skrec.base import BaseRecommender, RatingMixin, SimilarItemsMixin
from skrec.base._ratings import RATING_CONSTRAINTS
from skrec.neighbors._rating_centers import Center, Comparison
from skrec.neighbors._rating_sides import NearestItems, NearestUsers
from skrec.solvers._offsets import fit_offsets
from skrec.solvers._rating_neighbors import KINDS
from skrec.utils._blocks import effective_n_threads
from skrec.utils._compat import Interval, StrOptions


def _compares_items(model):
    # What is fitted counts, if anything is: a parameter that is set later waits for the next fit.
    nearest = getattr(model, "_nearest", None)
    return model.based_on == "item" if nearest is None else isinstance(nearest, NearestItems)


class RatingKNN(RatingMixin, SimilarItemsMixin, BaseRecommender):
    r"""Ratings from the nearest neighbours: KNNBasic, with means, with z-scores, with a baseline.

    The rating of item `i` by user `u` is where their ratings centre, :math:`c_{ui}`, and the
    mean deviation from there of the user's most similar items, weighted by the similarities:

    .. math::
        \hat r_{ui} = c_{ui} + \sigma_i
        \frac{\sum_{j \in N_k(i, u)} s_{ij}\, (r_{uj} - c_{uj}) / \sigma_j}
        {\sum_{j \in N_k(i, u)} s_{ij}}

    where :math:`N_k(i, u)` are at most `k` of the items that `u` has rated, those of the largest
    similarities above 0. With ``based_on="user"`` they are the users most similar to `u` of those
    who have rated `i`, and :math:`\sigma` belongs to users.

    Parameters
    ----------
    n_neighbors : int
        Largest number `k` of neighbours of a rating. Of equally similar ones, those of lower index
        are taken.
    based_on : {"user", "item"}
        Whether neighbours are users or items.
    similarity : {"cosine", "msd", "pearson", "pearson_baseline"}
        What two have in common is compared by, see Notes.
    center : {"none", "mean", "zscore", "baseline"}
        What deviations are taken from: the mean of all ratings; the means of the users, or of the
        items if neighbours are these; the same, over the standard deviation; or the
        offsets of :class:`BiasBaseline`, which are those of users and items alike.
    min_neighbors : int
        With fewer neighbours, a rating is predicted from the centre alone.
    min_support : int
        Two with fewer ratings in common are not similar. With "pearson_baseline" 2 is the least.
    shrinkage : float
        Similarities are multiplied by :math:`(n - 1) / (n - 1 + \text{shrinkage})`, where `n` is
        the number of ratings in common. None: 200 with "pearson_baseline", otherwise 0.
    msd_scale : float
        Unit of the differences of ``similarity="msd"``, in ratings; no other takes one. None: the
        standard deviation of the ratings.
    l2_user : float
        Penalty on the users' offsets in the baseline, as in :class:`BiasBaseline`. Both penalties
        matter with ``center="baseline"`` and ``similarity="pearson_baseline"`` alone.
    l2_item : float
        Penalty on the items' offsets in it.
    n_jobs : int
        Number of threads. None means all cores, less where ``OMP_NUM_THREADS`` or a joblib worker
        says so.

    See Also
    --------
    ItemKNN : Neighbours for rankings.
    BiasBaseline : The baseline alone.
    PMF : Latent factors.

    Notes
    -----
    Of the `n` users who have rated two items (or items that two users have rated), the similarity
    is, with sums and means over these alone,

    - "cosine": :math:`\sum r r' / \sqrt{\sum r^2 \sum r'^2}`;
    - "msd": :math:`1 / (d^2 / t^2 + 1)` with the mean squared difference :math:`d^2` and the
      `msd_scale` `t`;
    - "pearson": the coefficient of correlation, 0 where one of the two does not vary;
    - "pearson_baseline": the cosine of what the baseline leaves of the ratings.

    New users need no refit. Items have similarities, which are stored where they are above 0, and
    of a row only its offset is estimated. Nothing is learned of users: the training rows are
    stored, and the similarities of a row to all of them computed when it is asked. There is no
    ``partial_fit``, as more users change all similarities of items, and the baseline;
    :func:`skrec.update` fits again. With ``based_on="item"`` there is ``similar_items``.

    With ``msd_scale=1``, ``shrinkage=100``, ``l2_user=15`` and ``l2_item=10`` these are the
    answers of Surprise's KNNBasic, KNNWithMeans, KNNWithZScore and KNNBaseline (`center`, in this
    order) to pairs that are not in the training data, but for this. Surprise stops after 10
    sweeps for the baseline, which moves ratings of MovieLens 100K by 0.001 on average; lets
    rounding decide between neighbours that are equally similar, where here their order does; and
    gives an unknown user or item the mean of all ratings, where here the mean of the other one
    may be known.

    References
    ----------
    .. [1] J. L. Herlocker, J. A. Konstan, A. Borchers and J. Riedl, "An Algorithmic Framework for
       Performing Collaborative Filtering", SIGIR 1999. :doi:`10.1145/312624.312682`
    .. [2] Y. Koren, "Factor in the Neighbors: Scalable and Accurate Collaborative Filtering",
       ACM TKDD 4(1), 2010. :doi:`10.1145/1644873.1644874`

    Examples
    --------
    >>> from skrec import RatingKNN
    >>> X = [[5, 4, 1, 0], [4, 5, 2, 1], [1, 2, 5, 4], [2, 1, 4, 5], [5, 5, 0, 1]]
    >>> model = RatingKNN(similarity="pearson", center="mean").fit(X)
    >>> model.predict([[5, 4, 0, 0], [0, 0, 5, 4]]).round(1)
    array([[4.5, 4.5, 3. , 2.8],
           [3.4, 3.4, 4.7, 4.3]])
    """

    _parameter_constraints: dict = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "based_on": [StrOptions({"user", "item"})],
        "similarity": [StrOptions(set(KINDS))],
        "center": [StrOptions({"none", "mean", "zscore", "baseline"})],
        "min_neighbors": [Interval(Integral, 1, None, closed="left")],
        "min_support": [Interval(Integral, 1, None, closed="left")],
        "shrinkage": [Interval(Real, 0, None, closed="left"), None],
        "msd_scale": [Interval(Real, 0, None, closed="neither"), None],
        "l2_user": [Interval(Real, 0, None, closed="neither")],
        "l2_item": [Interval(Real, 0, None, closed="neither")],
        **RATING_CONSTRAINTS,
        "n_jobs": [Integral, None],
    }

    _no_update = None

    def __init__(
        self,
        n_neighbors=40,
        *,
        based_on="item",
        similarity="pearson_baseline",
        center="baseline",
        min_neighbors=1,
        min_support=1,
        shrinkage=None,
        msd_scale=None,
        l2_user=5.0,
        l2_item=3.0,
        clip=True,
        rating_scale=None,
        n_jobs=None,
    ):
        self.n_neighbors = n_neighbors
        self.based_on = based_on
        self.similarity = similarity
        self.center = center
        self.min_neighbors = min_neighbors
        self.min_support = min_support
        self.shrinkage = shrinkage
        self.msd_scale = msd_scale
        self.l2_user = l2_user
        self.l2_item = l2_item
        self.clip = clip
        self.rating_scale = rating_scale
        self.n_jobs = n_jobs

    def _check_training(self, X, reset):
        if self.min_neighbors > self.n_neighbors:
            raise ValueError(
                f"min_neighbors={self.min_neighbors} must be at most n_neighbors="
                f"{self.n_neighbors}, as no more are taken: use a smaller one."
            )
        if self.msd_scale is not None and self.similarity != "msd":
            raise ValueError(
                f"msd_scale={self.msd_scale} has no meaning with similarity={self.similarity!r}: "
                "leave it None, or use similarity='msd'."
            )
        return super()._check_training(X, reset)

    def _in_units(self, X):
        # In single precision rounding would tell similarities apart that are equal.
        return super()._in_units(X.astype(np.float64))

    def _fit(self, X):
        offsets = None
        if self.center == "baseline" or self.similarity == "pearson_baseline":
            offsets = *fit_offsets(X, self.l2_user, self.l2_item), self.l2_user
        shrinkage = self.shrinkage
        if shrinkage is None:
            shrinkage = 200 if self.similarity == "pearson_baseline" else 0
        scale = 1.0 if self.msd_scale is None else self.msd_scale / self.rating_unit_
        self._center = Center(self.center, self.based_on, X, offsets)
        comparison = Comparison(self.similarity, self._center, scale, self.min_support, shrinkage)
        limits = self.n_neighbors, self.min_neighbors
        nearest = NearestUsers if self.based_on == "user" else NearestItems
        n_threads = effective_n_threads(self.n_jobs)
        self._nearest = nearest(X, self._center, comparison, limits, n_threads)

    def _score_rows(self, X):
        means = self._nearest.of_rows(X, effective_n_threads(self.n_jobs))
        return self._center.ratings(X, means)

    def _score_pairs(self, states, users, items):
        asked, users = np.unique(users, return_inverse=True)
        X, n_threads = states[asked], effective_n_threads(self.n_jobs)
        means = self._nearest.of_pairs(X, users, items, n_threads)
        return self._center.ratings(X, means, users, items)

    @available_if(_compares_items)
    def similar_items(self, items, k=10, *, return_scores=False):
        """Find the items most similar to given ones; only with ``based_on="item"``.

        Parameters
        ----------
        items : array-like of int of shape (n_queries,)
            Item indices.
        k : int, default=10
            Number of neighbours.
        return_scores : bool, default=False
            Whether to return the similarities too, of which those below 0 count as 0.

        Returns
        -------
        indices : ndarray of shape (n_queries, k)
            Most similar first, never the item itself; padded with -1.
        scores : ndarray of shape (n_queries, k)
            Only if ``return_scores=True``.
        """
        return super().similar_items(items, k, return_scores=return_scores)

    def _similarities(self, items):
        return self._nearest.similarities[items].toarray()
