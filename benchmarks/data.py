"""The matrices that are measured on."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse

from skrec.datasets import (
    fetch_amazon_fine_foods,
    fetch_amazon_reviews,
    fetch_movielens,
    load_movielens_small,
)
from skrec.model_selection import StrongGeneralizationSplit, fold_in_split

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
DATA_HOME = Path(os.environ.get("SKREC_DATA", _BESIDE))


class Data(NamedTuple):
    """What one run needs."""

    train: sparse.csr_array  # (n_train_users, n_items), float32, int32 indices
    users: sparse.csr_array  # rows to recommend to
    test: tuple | None  # (fold-in, held-out) of the test users; None where scores mean nothing


def load(name):
    if name in ("ml-1m", "ml-latest-small"):
        return movielens(name)
    if name == "toy":
        X = popularity_skewed(3_300, 600, 150_000)
        return Data(X[:3_000], X, fold_in_split(X[3_000:], random_state=0))
    # MovieLens 20M under the published protocol: 116,677 training users with 8.5M entries, and
    # 10,000 test users.
    n_users, n_items, n_entries = 126_677, 20_108, 9_230_000
    if name == "ml-20m-shape-5000":
        X = popularity_skewed(5_000, n_items, n_entries * 5_000 // n_users)
        return Data(X, X, None)
    X = popularity_skewed(n_users, n_items, n_entries)
    return Data(X[:116_677], X[116_677:], None)


def movielens(name):
    return without_a_tenth(liked(name))


def load_ratings(name):
    """Ratings of users with at least 5 of them, a tenth of the users held out."""
    if name == "toy":
        X = popularity_skewed(300, 120, 6_000)
        X.data = np.random.default_rng(0).integers(1, 6, X.nnz).astype(np.float32)
        return without_a_tenth(X)
    return without_a_tenth(ratings(name).filter(min_users_per_item=1, min_items_per_user=5).X)


def without_a_tenth(X):
    """A tenth of the users held out."""
    split = StrongGeneralizationSplit(n_validation=0, n_test=0.1, random_state=0)
    parts = split.partition(X)
    test = parts.test_fold_in, parts.test_held_out
    return Data(parts.train, sparse.vstack([parts.train, test[0]], format="csr"), test)


def liked(name):
    """Ratings of at least 4, users with at least 5 of them."""
    return liked_by_id(name).X


def liked_by_id(name):
    """The same with their ids."""
    return ratings(name).binarize(3.5).filter(min_users_per_item=1, min_items_per_user=5)


def ratings(name):
    if name == "ml-latest-small":
        return load_movielens_small()
    stored = {"data_home": DATA_HOME, "download_if_missing": False}
    if name == "fine-foods":
        return fetch_amazon_fine_foods(text="summary", **stored)
    if name == "musical-instruments":
        return fetch_amazon_reviews("Musical_Instruments", **stored)
    return fetch_movielens("1m", **stored)


def partitions(name, n_splits):
    """Training, validation and test users, a tenth each of the latter two, `n_splits` times."""
    X = load(name).users if name == "toy" else liked(name)
    for seed in range(n_splits):
        yield StrongGeneralizationSplit(random_state=seed).partition(X)


def training_rows(parts):
    """Whole rows of the training and the validation users, to fit on before the test."""
    validation = parts.validation_fold_in + parts.validation_held_out
    return sparse.csr_array(sparse.vstack([parts.train, validation], format="csr"))


def popularity_skewed(n_users, n_items, n_entries, seed=0):
    """Random binary matrix whose marginals have the spread of MovieLens 20M's.

    Items' popularity and users' activity are log-normal and independent of each other.
    """
    rng = np.random.default_rng(seed)
    popularity = rng.lognormal(sigma=2.0, size=n_items)
    activity = rng.lognormal(sigma=1.1, size=n_users)
    keys = np.empty(0, np.int64)
    while len(keys) < n_entries:
        users = rng.choice(n_users, n_entries, p=activity / activity.sum())
        items = rng.choice(n_items, n_entries, p=popularity / popularity.sum())
        keys = np.union1d(keys, users * n_items + items)
    rows, columns = np.divmod(np.sort(rng.choice(keys, n_entries, replace=False)), n_items)
    indptr = np.searchsorted(rows, np.arange(n_users + 1)).astype(np.int32)
    entries = np.ones(n_entries, np.float32), columns.astype(np.int32), indptr
    return sparse.csr_array(entries, shape=(n_users, n_items))


def ciao_shape(seed=0):
    """Ratings of the shape of Ciao's: most items have one to three, none has none.

    One rating falls to each item, the others by log-normal popularity; users' activity is
    log-normal. The ratings come from offsets and two factors.
    """
    n_users, n_items, n_entries = 7_375, 105_114, 226_000
    rng = np.random.default_rng(seed)
    activity = rng.lognormal(sigma=1.1, size=n_users)
    popularity = rng.lognormal(sigma=2.0, size=n_items)
    n_others = n_entries - n_items
    items = np.arange(n_items)
    items = np.r_[items, rng.choice(n_items, n_others, p=popularity / popularity.sum())]
    users = rng.choice(n_users, n_entries, p=activity / activity.sum())
    users, items = np.divmod(np.unique(users * n_items + items), n_items)
    user_factors, item_factors = (
        rng.standard_normal((n_users, 2)),
        rng.standard_normal((n_items, 2)),
    )
    ratings = 3.7 + 0.4 * rng.standard_normal(n_users)[users]
    ratings += 0.3 * rng.standard_normal(n_items)[items]
    ratings += 0.2 * (user_factors[users] * item_factors[items]).sum(axis=1)
    ratings += 0.8 * rng.standard_normal(len(users))
    ratings = np.clip(np.rint(ratings), 1, 5).astype(np.float32)
    return sparse.csr_array((ratings, (users, items)), shape=(n_users, n_items))
