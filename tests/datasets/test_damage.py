"""What damaged files lead to: one kind of error, which names the file and the line."""

import json
import re

import numpy as np
import pytest

from skrec import Interactions
from skrec.datasets import (
    _movielens,
    fetch_amazon_fine_foods,
    fetch_amazon_reviews,
    fetch_movielens,
)

N_ROWS = 12
RATINGS = [(k + 1, k % 5 + 1, k % 9 / 2 + 0.5, 978300760 + k) for k in range(N_ROWS)]


def json_line(k, **changes):
    row = {"reviewerID": f"u{k}", "asin": f"p{k % 5}", "overall": 4.0, "unixReviewTime": k}
    return json.dumps({**row, "summary": "Tea", "reviewText": "Léaves, loose", **changes})


def snap(k, **changes):
    row = {"product/productId": f"p{k % 5}", "review/userId": f"u{k}", "review/score": "4.0"}
    row |= {"review/time": str(k), "review/summary": "Tea", "review/text": "Leaves\nloose"}
    return "".join(f"{field}: {value}\n" for field, value in (row | changes).items())


# Of each reader: the file that is damaged, its content, and others beside it.
FILES = {
    "json": (
        "amazon-toys/Toys_5.json",
        "".join(json_line(k) + "\n" for k in range(N_ROWS)),
        {},
    ),
    "snap": ("finefoods.txt", "\n".join(snap(k) for k in range(N_ROWS)), {}),
    "csv": (
        "amazon-fine-foods-subset/AmazonData.csv",
        "User id,Product id,Score,Time,Text\n"
        + "".join(f'u{k},p{k % 5},4,{k},"Tea, \n""loose"""\n' for k in range(N_ROWS)),
        {},
    ),
    "ratings.csv": (
        "ml-latest-small/ratings.csv",
        "userId,movieId,rating,timestamp\r\n"
        + "".join("{},{},{},{}\r\n".format(*row) for row in RATINGS),
        {"ml-latest-small/movies.csv": "movieId,title,genres\r\n1,Tea,Drama\r\n"},
    ),
    "movies.csv": (
        "ml-latest-small/movies.csv",
        "movieId,title,genres\r\n" + "".join(f'{k},"Tea, {k}",Drama\r\n' for k in range(N_ROWS)),
        {"ml-latest-small/ratings.csv": "userId,movieId,rating,timestamp\r\n1,1,3.5,7\r\n"},
    ),
    "ratings.dat": (
        "ml-1m/ratings.dat",
        "".join("{}::{}::{:g}::{}\n".format(*row) for row in RATINGS),
        {"ml-1m/movies.dat": "1::Tea (1999)::Drama\n"},
    ),
    "movies.dat": (
        "ml-1m/movies.dat",
        "".join(f"{k}::Thé {k} (1999)::Drama\n" for k in range(N_ROWS)),
        {"ml-1m/ratings.dat": "1::1::3::7\n"},
    ),
    "u.data": (
        "ml-100k/u.data",
        "".join("{}\t{}\t{:g}\t{}\n".format(*row) for row in RATINGS),
        {"ml-100k/u.item": "1|Tea (1999)|01-Jan-1999||http://x/?1|0|1\n"},
    ),
}


@pytest.fixture(autouse=True)
def any_number_of_ratings(monkeypatch):
    for name, release in _movielens.RELEASES.items():
        monkeypatch.setitem(_movielens.RELEASES, name, release._replace(n_ratings=None))


def read(data_home, kind, content):
    """Write the file with this content, and read the data set."""
    damaged, good, others = FILES[kind]
    for name, text in {**others, damaged: content}.items():
        path = data_home / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode("latin-1") if isinstance(text, str) else text)
    stored = {"data_home": data_home, "download_if_missing": False}
    if kind == "json":
        return fetch_amazon_reviews("Toys", **stored)
    if kind in ("snap", "csv"):
        return fetch_amazon_fine_foods(text="summary" if kind == "csv" else "text", **stored)
    names = {"ml-latest-small": "latest-small", "ml-1m": "1m", "ml-100k": "100k"}
    return fetch_movielens(names[damaged.split("/")[0]], **stored)


def encoded(kind):
    return FILES[kind][1].encode("utf-8" if kind in ("json", "csv", "movies.csv") else "latin-1")


DEEP, LONG = b"[" * 100_000, b"x" * 200_000
PIECES = [b"\0", b"\xff\xfe", b'"', b"\n", b"\r", b"\r\n", b",", b"::", b"\t", b"|", b"{}", b"[]"]
PIECES += [b"9" * 400, b"1e999", b"-1", b"nan", b"1.5", b"null", b"true", DEEP, LONG, b""]


def damage(rng, content):
    """One to three random cuts, copies, bytes or pieces."""
    for _ in range(rng.integers(1, 4)):
        start, stop = sorted(rng.integers(0, len(content) + 1, 2).tolist())
        kind = rng.integers(5)
        if kind == 0:
            content = content[:stop]
        elif kind == 1:
            content = content[:start] + content[start : start + 30] + content[start:]
        elif kind == 2:
            content = content[:start] + rng.bytes(int(rng.integers(1, 9))) + content[start:]
        else:
            # In place of a field or a part of one, more often than of half the file.
            piece = PIECES[rng.integers(len(PIECES))]
            content = content[:start] + piece + content[start + int(rng.integers(0, 9)) :]
    return content


@pytest.mark.parametrize("kind", FILES)
def test_random_damage(tmp_path, kind):
    rng = np.random.default_rng(0)
    good = encoded(kind)
    assert isinstance(read(tmp_path, kind, good), Interactions)
    n_errors = 0
    for _ in range(150):
        try:
            assert isinstance(read(tmp_path, kind, damage(rng, good)), Interactions)
        except OSError as error:
            n_errors += 1
            assert re.match(r"/\S+ does not hold the data as published: .", str(error))
    assert n_errors > 15


@pytest.mark.parametrize(
    ("kind", "old", "new", "parts"),
    [
        ("json", json_line(3), "[" * 100_000, ["line 4: ", "recursion"]),
        ("json", json_line(3), "[1]", ["line 4: ", "no JSON object"]),
        ("json", json_line(3), "\n" + json_line(3)[:-1], ["line 5: ", "delimiter"]),
        ("json", json_line(3), json_line(3, overall=10**400), ["line 4: ", "too large"]),
        ("json", json_line(3), json_line(3, unixReviewTime=10**40), ["line 4: ", "too large"]),
        ("json", json_line(3), json_line(3, overall=1e300), ["line 4: ", "no finite number"]),
        ("json", json_line(3), json_line(3, asin=["p"]), ["line 4: ", "item is no text"]),
        ("json", json_line(3), b"\xff", ["line 4: ", "can't decode"]),
        ("snap", snap(2), snap(2, **{"review/score": "many"}), ["line 17: ", "'many'"]),
        ("snap", snap(11), snap(11, **{"review/userId": ""}), ["line 89: ", "has no user"]),
        ("csv", "u2,p2,4", "u2,p2,four", ["line 6: ", "'four'"]),
        ("csv", "u2,p2,4", "\n\n\nu2,p2", ["line 9: ", "has 4 fields, the header has 5"]),
        ("csv", "u2,p2,4", "x" * 200_000, ["line 6: ", "field larger than field limit"]),
        ("ratings.csv", "\r\n3,3,", "\r\n\r\n3,x,", ["ratings.csv, line 5: ", "'x'"]),
        (
            "ratings.csv",
            "\r\n3,3,",
            "\r\n3333333333,3,",
            ["ratings.csv, line 4: ", "'3333333333'"],
        ),
        ("ratings.dat", "3::3::1.5", "3::3::1e99", ["ratings.dat, line 3: ", "not finite"]),
        ("u.data", "3\t3\t1.5", "3\t3", ["u.data, line 3: ", "4 columns but 3"]),
        ("movies.csv", '2,"Tea', '2.5,"Tea', ["movies.csv, line 4: ", "'2.5'"]),
        ("movies.csv", '2,"Tea', '2,"' + "Tea" * 99999, ["movies.csv, line 4: ", "field limit"]),
        ("movies.dat", "2::Th", "two::Th", ["movies.dat, line 3: ", "'two'"]),
        ("movies.dat", "2::Th\xe9 2 (1999)::Drama", "2", ["movies.dat, line 3: ", "no title: '2"]),
    ],
)
def test_the_message_names_the_file_and_the_line(tmp_path, kind, old, new, parts):
    old, new = (text.encode("latin-1") if isinstance(text, str) else text for text in (old, new))
    assert encoded(kind).count(old) == 1
    with pytest.raises(OSError) as error:
        read(tmp_path, kind, encoded(kind).replace(old, new))
    source = FILES[kind][0]
    source = source.split("/")[0] if source.startswith("ml-") else source
    assert f"{tmp_path / source} does not hold the data as published: " in str(error.value)
    for part in parts:
        assert part in str(error.value)
