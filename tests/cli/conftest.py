import csv
import gzip
import io

import numpy as np
import polars as pl
import pytest

from skrec import Interactions

N_USERS, N_ITEMS = 40, 25


@pytest.fixture(scope="session")
def rows():
    """Tuples of user, item, rating, timestamp; every user has between 8 and 16 items."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(N_USERS):
        taste = np.where(np.arange(N_ITEMS) % 2 == user % 2, 4.0, 1.0)
        items = rng.choice(N_ITEMS, rng.integers(8, 17), replace=False, p=taste / taste.sum())
        times = 1000 + 389 * (len(rows) + np.arange(len(items))) % 10_007
        rows += [
            (user + 100, int(item), float(rng.integers(1, 11) / 2), int(time))
            for item, time in zip(items, times, strict=True)
        ]
    return rows


@pytest.fixture(scope="session")
def ratings(rows):
    users, items, values, timestamps = zip(*rows, strict=True)
    return Interactions.from_arrays(users, items, values, timestamps=timestamps)


@pytest.fixture
def write(tmp_path, rows):
    """Write rows under a name, in the format that the name says; returns the path."""

    def write(name="ratings.csv", rows=rows, header=("userId", "movieId", "rating", "timestamp")):
        path = tmp_path / name
        if name.endswith(".parquet"):
            columns = zip(*rows, strict=True)
            frame = pl.DataFrame(dict(zip(header, map(list, columns), strict=True)))
            frame.write_parquet(path)
            return path
        text = io.StringIO()
        delimiter = "\t" if ".tsv" in name else ","
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        writer.writerows([header, *rows] if header else rows)
        content = text.getvalue().encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


@pytest.fixture
def write_ids(tmp_path):
    """Write ids, one a line; returns the path."""

    def write_ids(*ids, name="ids.txt"):
        path = tmp_path / name
        path.write_text("".join(f"{one}\n" for one in ids))
        return path

    return write_ids
