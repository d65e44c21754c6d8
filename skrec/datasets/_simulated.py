"""Simulated ratings with review texts."""

from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import Bunch, check_random_state

from skrec.interactions import Interactions
from skrec.utils._compat import Interval, validate_params

# What the reviews of a user group and an item group draw their words from: group 0 with item
# groups 0 and 1, then group 1.
TEXTS = (
    "The kettle sings before the kitchen is awake. Loose leaves open slowly in a warm pot, and "
    "the cup smells of smoke, honey and orange peel. A spoon of sugar spoils it, a slice of lemon "
    "does not. Black tea wants boiling water, green tea wants patience. Pour twice, drink slowly, "
    "and keep the last biscuit for whoever washes the saucers.",
    "Our train left the station late and climbed toward the mountains in the rain. From the "
    "window we counted tunnels, bridges and sheep. The guard punched every ticket, a stranger "
    "shared a map, and near the border snow covered the tracks. We slept in our seats, missed one "
    "connection, and walked the final miles beside a frozen river with heavy bags.",
    "The orchestra tuned its violins while somebody dimmed the lamps. A cello began alone, almost "
    "too quiet, until brass and drums answered from behind the curtain. The young pianist played "
    "without notes, eyes closed, her left hand chasing the melody. Nobody coughed. After the "
    "finale the audience rose, shouted for an encore, and hummed its rhythm down the stairs.",
    "In April the gardener turns the soil, rakes out stones and buries compost under the beans. "
    "Carrots grow straight in sand, roses sulk in shade, and slugs eat whatever looks expensive. "
    "Water at dawn, prune in autumn, forgive the weeds. By August tomatoes hang ripe on their "
    "stakes, bees crowd the lavender, and the shed needs paint again.",
)
_WORDS = tuple(
    tuple("".join(c for c in word if c.isalpha()).lower() for word in text.split())
    for text in TEXTS
)
_CUTS = (1.5, 2.5, 3.5)


@validate_params(
    {
        "n_users": [Interval(Integral, 1, None, closed="left")],
        "n_items": [Interval(Integral, 1, None, closed="left")],
        "sparsity": [Interval(Real, 0, 1, closed="left")],
        "n_words": [Interval(Integral, 1, None, closed="left")],
        "topic_share": [Interval(Real, 0, 1, closed="both")],
        "return_truth": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_ratings_reviews(
    n_users=750,
    n_items=600,
    *,
    sparsity=0.9,
    n_words=100,
    topic_share=0.8,
    return_truth=False,
    random_state=None,
):
    """Simulate ratings with reviews that depend on a group of users and a group of items.

    Users fall into two equal groups at random, and so do items. A draw of N(2, 1) if both groups
    have the same number, of N(3, 1) otherwise, is cut at 1.5, 2.5 and 3.5 into the ratings 1 to 4.
    Each of the four pairs of groups writes about a topic of its own, in words drawn from a short
    text. Neither users nor items differ in their mean rating: what can be predicted is the
    interaction.

    Parameters
    ----------
    n_users : int, default=750
        Number of users.
    n_items : int, default=600
        Number of items.
    sparsity : float, default=0.9
        Probability that a rating is not observed.
    n_words : int, default=100
        Mean length of a review, which varies by 5% either way.
    topic_share : float, default=0.8
        Probability of a word to be of the review's own topic, instead of one of the other three.
    return_truth : bool, default=False
        Whether to return what the data was made from too.
    random_state : int, RandomState instance or None, default=None
        Controls everything that is drawn.

    Returns
    -------
    interactions : Interactions
        Ratings as values, with reviews. Users and items without any rating are kept.
    truth : Bunch
        Only if ``return_truth=True``. ``user_groups`` of shape (n_users,) and ``item_groups`` of
        shape (n_items,); ``expected_ratings`` of shape (2, 2), for each pair of groups;
        ``topics`` of shape (n_entries,), the topic of each review; ``words``, one array per topic
        of the words it is drawn from, repeated ones as often as they are.

    References
    ----------
    .. [1] D. Liang, M. Corneli, C. Bouveyron and P. Latouche, "DeepLTRS: A Deep Latent Recommender
       System based on User Ratings and Reviews", Pattern Recognition Letters 152, 267-274, 2021.
       https://hal.science/hal-03021362

    Examples
    --------
    >>> from skrec.datasets import make_ratings_reviews
    >>> interactions = make_ratings_reviews(sparsity=0.99, random_state=0)
    >>> interactions
    Interactions(750 users x 600 items, 4516 entries, density 1.00%)
    >>> len(interactions.reviews[0].split())
    97
    """
    rng = check_random_state(random_state)
    user_groups = rng.permutation(n_users) % 2
    item_groups = rng.permutation(n_items) % 2
    rows, cols = np.nonzero(rng.random_sample((n_users, n_items)) >= sparsity)
    means = np.array([[2.0, 3.0], [3.0, 2.0]])
    liking = rng.normal(means[user_groups[rows], item_groups[cols]], 1)
    ratings = 1 + np.searchsorted(_CUTS, liking).astype(np.float32)
    topics = 2 * user_groups[rows] + item_groups[cols]
    indptr = np.append(0, np.cumsum(np.bincount(rows, minlength=n_users)))
    interactions = Interactions(
        csr_array((ratings, cols, indptr), shape=(n_users, n_items)),
        np.arange(n_users),
        np.arange(n_items),
        reviews=[_write(topic, n_words, topic_share, rng) for topic in topics],
    )
    if not return_truth:
        return interactions
    return interactions, Bunch(
        user_groups=user_groups,
        item_groups=item_groups,
        expected_ratings=_expected_ratings(means),
        topics=topics,
        words=[np.array(words) for words in _WORDS],
    )


def _write(topic, n_words, topic_share, rng):
    length = rng.randint(round(0.95 * n_words), round(1.05 * n_words) + 1)
    is_other = rng.random_sample(length) >= topic_share
    shifts = np.where(is_other, rng.randint(1, 4, length), 0)
    draws = rng.random_sample(length)
    words = []
    for text, draw in zip((topic + shifts) % 4, draws, strict=True):
        words.append(_WORDS[text][int(draw * len(_WORDS[text]))])
    return " ".join(words)


def _expected_ratings(means):
    from scipy.stats import norm

    return 1 + sum(norm.sf(cut, means) for cut in _CUTS)
