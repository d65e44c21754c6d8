"""Input that is taken for something else: what is stopped, what is warned about, what is not."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array

from skrec import EASE, PMF, Popularity, RatingRegressor
from skrec._model_table import MODELS
from skrec.datasets import load_movielens_small

TABLE = load_movielens_small()


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize(
    "names", [("userId", "movieId", "rating"), ("user", "item"), ("UID", "ASIN")]
)
def test_a_long_frame_is_stopped(frame, names):
    table = frame({name: [1, 2, 3] for name in names})
    with pytest.raises(ValueError, match=r"long table: .*Interactions\.from_frame"):
        EASE().fit(table)


@pytest.mark.parametrize("width", [2, 3, 4])
def test_a_long_array_is_warned_about(width):
    rows = np.repeat(TABLE.user_ids, np.diff(TABLE.indptr))
    columns = [rows, TABLE.item_ids[TABLE.indices], TABLE.data, TABLE.timestamps]
    long = np.stack(columns[:width], axis=1)[:5000]
    with pytest.warns(UserWarning, match=r"looks like a long table.*from_arrays"):
        Popularity().fit(long)


def long_table():
    rows = np.repeat(TABLE.user_ids, np.diff(TABLE.indptr))
    return np.stack([rows, TABLE.item_ids[TABLE.indices], TABLE.data], axis=1)[:5000]


@pytest.mark.parametrize(
    "container",
    [
        lambda table: pd.DataFrame(table, columns=["u", "i", "r"]),
        lambda table: pd.DataFrame(table),
        lambda table: table[np.argsort(table[:, 1], kind="stable")],
        lambda table: np.concatenate([table, table[:20]]),
        lambda table: table[::50].tolist(),
        lambda table: table.astype(str),
    ],
    ids=["other names", "no names", "by item", "repeated", "lists", "texts"],
)
def test_a_long_table_in_other_clothes_is_warned_about(container):
    with pytest.warns(UserWarning, match="looks like a long table"):
        Popularity().fit(container(long_table()))


def test_a_long_frame_of_any_width_is_stopped():
    columns = ["user_id", "song_id", *"abcdef"]
    with pytest.raises(ValueError, match="long table"):
        Popularity().fit(pd.DataFrame(np.ones((3, 8)), columns=columns))


@pytest.mark.parametrize(
    "matrix",
    [
        np.random.default_rng(0).poisson(0.7, (300, 4)),
        np.random.default_rng(0).poisson(30, (300, 3)),
        np.random.default_rng(0).random((300, 3)),
        csr_array(np.random.default_rng(0).integers(0, 6, (300, 3))),
        pd.DataFrame({"user": [0, 1], "manual": [1, 1], "rating": [1, 0]}),
        np.ones((3, 2)),
    ],
)
def test_a_narrow_matrix_is_a_matrix(matrix):
    Popularity().fit(matrix)


def test_stars_are_warned_about_where_choices_are_learned():
    for name in ("EASE", "RP3beta", "MultVAE"):
        with pytest.warns(UserWarning, match=r"ratings from 0\.5 to 5, and .*binarize"):
            MODELS[name].instance(**({"max_iter": 1} if name == "MultVAE" else {})).fit(TABLE[:50])


def test_no_other_entries_are_taken_for_stars():
    rng = np.random.default_rng(0)
    counts = rng.geometric(0.5, TABLE.nnz).clip(max=10).astype(float)
    for data in (counts, np.ones(TABLE.nnz), TABLE.data + 0.01, 20 * TABLE.data, -TABLE.data):
        X = csr_array((data, TABLE.indices, TABLE.indptr), shape=TABLE.shape)[:50]
        EASE().fit(X)
    PMF(n_components=2, max_iter=1).fit(TABLE[:50])
    Popularity().fit(TABLE)
    EASE().fit(TABLE.binarize(3.5)[:50])


@pytest.mark.parametrize("column", [TABLE.data, TABLE.timestamps])
def test_a_third_column_that_is_no_text(column):
    rows = np.repeat(TABLE.user_ids, np.diff(TABLE.indptr))
    pairs = np.stack([rows, TABLE.item_ids[TABLE.indices], column], axis=1)[:200]
    model = RatingRegressor(MODELS["DeepLTRS"].instance(max_iter=1))
    with pytest.warns(UserWarning, match="read as the counts of one term.*leave it out"):
        model.fit(pairs, TABLE.data[:200])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(pairs[:, :2], TABLE.data[:200])
        RatingRegressor(PMF(n_components=2, max_iter=1)).fit(pairs, TABLE.data[:200])
