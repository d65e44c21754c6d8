"""What MovieLens tells of movies and users: frames, matrices, missing and damaged files."""

import re
import warnings
import zipfile

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

from skrec import EASE
from skrec.datasets import _movielens, _movielens_features, fetch_movielens, load_movielens_small

# By movie the title and the genres; nobody has rated 2.
MOVIES = {
    1: ("Night (1955) (1959)", "Drama|War"),
    2: ("Unrated (1995)", "Western"),
    3: ("Thé (2001–2003) (V)", ""),
    4: ("1984", "Drama"),
}
RATINGS = [(1, 1, 4, 7), (1, 3, 2, 8), (5, 4, 3, 9), (2, 4, 5, 9)]
FLAGS = ["", *_movielens_features._FLAGS[1:]]


def flags(genres):
    marked = genres.split("|") if genres else [""]
    return "|".join(str(int(genre in marked)) for genre in FLAGS)


PUBLISHED = _movielens.RELEASES["100k"]
FILES = {
    "100k": {
        "u.data": "".join("{}\t{}\t{}\t{}\n".format(*row) for row in RATINGS),
        "u.item": "".join(
            f"{movie}|{title}|01-Jan-1990||http://x|{flags(genres)}\n"
            for movie, (title, genres) in MOVIES.items()
        ).replace("–", "-"),
        "u.user": "1|17|F|student|02139\n2|18|M|none|T8H1N\n5|56|M|student|00000\n9|3|F|x|y\n",
    },
    "1m": {
        "ratings.dat": "".join("{}::{}::{}::{}\n".format(*row) for row in RATINGS),
        "movies.dat": "".join(
            f"{movie}::{title}::{genres}\n" for movie, (title, genres) in MOVIES.items()
        ).replace("–", "-"),
        "users.dat": "1::F::1::10::02139\n2::M::18::0::T8H1N\n5::M::56::20::00000\n",
    },
    "32m": {
        "ratings.csv": "userId,movieId,rating,timestamp\r\n"
        + "".join("{},{},{},{}\r\n".format(*row) for row in RATINGS),
        "movies.csv": "movieId,title,genres\r\n"
        + "".join(
            f'{movie},"{title}",{genres or "(no genres listed)"}\r\n'
            for movie, (title, genres) in MOVIES.items()
        ),
    },
}
ITEM_NAMES = ["genre_Drama", "genre_War", "decade_1950", "decade_2000"]
ITEM_FEATURES = [[1, 1, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]]


@pytest.fixture(autouse=True)
def small_releases(monkeypatch):
    for name in FILES:
        changed = _movielens.RELEASES[name]._replace(n_ratings=len(RATINGS), md5=None)
        monkeypatch.setitem(_movielens.RELEASES, name, changed)


def write(data_home, name, **changes):
    """Write the small unpacked release, with other texts of some files, without those of None."""
    release = _movielens.RELEASES[name]
    folder = data_home / release.folder
    folder.mkdir()
    for file, text in (FILES[name] | changes).items():
        if text is not None:
            (folder / file).write_text(text, encoding=release.encoding, newline="")
    return folder


def fetch(data_home, name):
    return fetch_movielens(
        name, data_home=data_home, download_if_missing=False, return_features=True
    )


@pytest.mark.parametrize("name", FILES)
def test_movies(tmp_path, name):
    write(tmp_path, name)
    films, features = fetch(tmp_path, name)
    assert films.item_ids.tolist() == [1, 3, 4]
    frame = features.item_frame
    assert isinstance(frame, pd.DataFrame)
    assert frame.columns.tolist() == ["item", "title", "year", "genres"]
    assert frame["item"].tolist() == [1, 3, 4]
    assert frame["title"].tolist() == films.item_names.tolist()
    np.testing.assert_array_equal(frame["year"], [1959, 2001, np.nan])
    assert frame["genres"].tolist() == ["Drama|War", "", "Drama"]
    assert features.item_feature_names == ITEM_NAMES
    assert isinstance(features.item_features, sparse.csr_array)
    assert features.item_features.dtype == np.float64
    assert features.item_features.toarray().tolist() == ITEM_FEATURES


@pytest.mark.parametrize(
    ("name", "ages", "occupations"),
    [
        ("100k", [17, 18, 56], ["student", "none", "student"]),
        ("1m", [1, 18, 56], ["K-12 student", "other", "writer"]),
    ],
)
def test_users(tmp_path, name, ages, occupations):
    write(tmp_path, name)
    films, features = fetch(tmp_path, name)
    frame = features.user_frame
    assert frame.columns.tolist() == ["user", "age", "gender", "occupation", "zip_code"]
    assert frame["user"].tolist() == films.user_ids.tolist() == [1, 2, 5]
    assert frame["age"].tolist() == ages
    assert frame["gender"].tolist() == ["F", "M", "M"]
    assert frame["occupation"].tolist() == occupations
    assert frame["zip_code"].tolist() == ["02139", "T8H1N", "00000"]
    groups = ["under 18", "18-24", "25-34", "35-44", "45-49", "50-55", "56+"]
    names = ["gender_F", "gender_M", *(f"age_{group}" for group in groups)]
    labels = sorted(set(occupations))
    assert features.user_feature_names == names + [f"occupation_{label}" for label in labels]
    matrix = features.user_features
    assert isinstance(matrix, sparse.csr_array)
    assert matrix.dtype == np.float64
    expected = np.zeros((3, 9))
    expected[[0, 1, 2, 0, 1, 2], [0, 1, 1, 2, 3, 8]] = 1
    np.testing.assert_array_equal(matrix.toarray()[:, :9], expected)
    codes = [labels.index(label) for label in occupations]
    np.testing.assert_array_equal(matrix.toarray()[:, 9:], np.eye(len(labels))[codes])


def test_a_release_that_knows_no_users(tmp_path):
    write(tmp_path, "32m")
    _, features = fetch(tmp_path, "32m")
    assert features.user_frame is None
    assert features.user_features is None
    assert features.user_feature_names is None


@pytest.mark.parametrize(("name", "file"), [("100k", "u.user"), ("1m", "users.dat")])
def test_a_folder_without_the_file_of_users(tmp_path, name, file):
    folder = write(tmp_path, name, **{file: None})
    with pytest.warns(UserWarning, match=f"{folder.name} has no {file}.*user_frame is None"):
        _, features = fetch(tmp_path, name)
    assert features.user_frame is None
    assert features.item_features.toarray().tolist() == ITEM_FEATURES
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fetch_movielens(name, data_home=tmp_path)


def test_an_archive(tmp_path):
    for name, text in (("whole", FILES["100k"]["u.user"]), ("part", None)):
        (tmp_path / name).mkdir()
        with zipfile.ZipFile(tmp_path / name / "ml-100k.zip", "w") as archive:
            for file, content in (FILES["100k"] | {"u.user": text}).items():
                if content is not None:
                    archive.writestr(f"ml-100k/{file}", content.encode("latin-1"))
    _, features = fetch(tmp_path / "whole", "100k")
    assert features.user_frame["age"].tolist() == [17, 18, 56]
    with pytest.raises(OSError, match=r"ml-100k.zip does not hold .* no item named .*u\.user"):
        fetch(tmp_path / "part", "100k")


def test_without_pandas(tmp_path, monkeypatch):
    monkeypatch.setattr("skrec.utils._frames.find_spec", lambda name: name == "polars" or None)
    write(tmp_path, "100k")
    _, features = fetch(tmp_path, "100k")
    assert isinstance(features.item_frame, pl.DataFrame)
    assert features.item_frame["year"].to_list() == [1959, 2001, None]
    assert features.user_frame["user"].to_list() == [1, 2, 5]


def test_a_movie_without_a_line_has_no_features(tmp_path):
    write(tmp_path, "32m", **{"movies.csv": "movieId,title,genres\r\n1,Night (1959),Drama\r\n"})
    films, features = fetch(tmp_path, "32m")
    assert films.item_names.tolist() == ["Night (1959)", "3", "4"]
    assert features.item_frame["genres"].tolist() == ["Drama", "", ""]
    assert features.item_features.toarray().tolist() == [[1, 1], [0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "parts"),
    [
        ("100k", "u.item", "|1|0\n", "|1\n", ["u.item: movie 1 ", "19 genres", "'0|0|"]),
        ("100k", "u.item", "|1|0\n", "|1|2\n", ["u.item: movie 1 ", "by 0 or 1"]),
        ("1m", "movies.dat", "1984::Drama", "1984", ["movies.dat: movie 4 has no genres"]),
        ("32m", "movies.csv", '"1984",Drama', '"1984"', ["movies.csv: movie 4 has no genres"]),
        ("100k", "u.user", "|17|", "|-1|", ["u.user, line 1: ", "an age must be", "'-1'"]),
        ("100k", "u.user", "|17|", "|1700|", ["u.user, line 1: ", "an age must be", "'1700'"]),
        ("100k", "u.user", "18|M", "18|X", ["u.user, line 2: ", "F or M, got 'X'"]),
        ("100k", "u.user", "|none", "", ["u.user, line 2: ", "5 fields, got 4: '2'"]),
        ("100k", "u.user", "5|56", "five|56", ["u.user, line 3: ", "'five'"]),
        ("100k", "u.user", "5|56", "6|56", ["u.user: it does not have user 5"]),
        ("1m", "users.dat", "::10::", "::21::", ["users.dat, line 1: ", "0 to 20, got '21'"]),
        ("1m", "users.dat", "::10::", "::-1::", ["users.dat, line 1: ", "0 to 20, got '-1'"]),
        ("1m", "users.dat", "2::M", "2::\xff", ["users.dat, line 2: ", "F or M, got 'ÿ'"]),
    ],
)
def test_damage(tmp_path, name, file, old, new, parts):
    text = FILES[name][file]
    before, found, after = text.rpartition(old)
    assert found
    folder = write(tmp_path, name, **{file: before + new + after})
    with pytest.raises(OSError) as error:
        fetch(tmp_path, name)
    assert f"{folder} does not hold the data as published: " in str(error.value)
    for part in parts:
        assert part in str(error.value)


def test_random_damage_of_users(tmp_path):
    rng = np.random.default_rng(0)
    n_errors = 0
    folder = write(tmp_path, "100k")
    good = (folder / "u.user").read_bytes()
    for _ in range(100):
        start, stop = sorted(rng.integers(0, len(good) + 1, 2).tolist())
        changed = good[:start] + rng.bytes(3) + good[min(stop, start + 5) :]
        (folder / "u.user").write_bytes(changed)
        try:
            assert len(fetch(tmp_path, "100k")[1].user_frame) == 3
        except OSError as error:
            n_errors += 1
            assert "does not hold the data as published: u.user" in str(error)
    assert n_errors > 15


def test_a_genre_that_is_named_twice(tmp_path):
    movies = FILES["32m"]["movies.csv"].replace("Drama|War", "Drama|Drama|War")
    write(tmp_path, "32m", **{"movies.csv": movies})
    _, features = fetch(tmp_path, "32m")
    assert features.item_features.toarray().tolist() == ITEM_FEATURES


def test_bundled_data():
    films, features = load_movielens_small(return_features=True)
    assert films.X.nnz == 100836
    frame = features.item_frame
    row = films.item_ids.tolist().index(260)
    assert frame["title"][row] == "Star Wars: Episode IV - A New Hope (1977)"
    assert frame["genres"][row] == "Action|Adventure|Sci-Fi"
    names = features.item_feature_names
    found = [names[column] for column in features.item_features[[row]].indices]
    assert found == ["genre_Action", "genre_Adventure", "genre_Sci-Fi", "decade_1970"]
    assert (features.item_features.sum(axis=1) == 0).sum() == 8  # neither genre nor year
    assert features.user_features is None


def test_published_data(shared_data, monkeypatch):
    monkeypatch.setitem(_movielens.RELEASES, "100k", PUBLISHED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # u.user is not there everywhere
        films, features = fetch_movielens("100k", data_home=shared_data, return_features=True)
    assert features.item_features.shape == (1682, 26)
    assert features.item_features[:, :18].sum() == 2891
    assert features.item_frame["year"].isna().sum() == 1
    stars = films.item_names.tolist().index("Star Wars (1977)")
    assert features.item_frame["genres"][stars] == "Action|Adventure|Romance|Sci-Fi|War"
    if features.user_frame is not None:
        assert features.user_features.shape == (943, 30)
        assert (features.user_features.sum(axis=1) == 3).all()
        assert features.user_frame["gender"].value_counts().to_dict() == {"M": 670, "F": 273}
        assert features.user_frame["age"].mean() == pytest.approx(34.05, abs=0.005)


def test_codes_are_those_of_the_published_files(shared_data):
    lines = (shared_data / "ml-100k" / "u.genre").read_text().split()
    flags = [line.partition("|")[0] for line in lines]
    assert flags == ["unknown", *_movielens_features._FLAGS[1:]]
    readme = (shared_data / "ml-1m" / "README").read_text()
    codes = re.findall(r'\*\s+(\d+):\s+"(.*?)"', readme)
    groups = [(int(code), group.lower()) for code, group in codes[:7]]
    limits = 1, *_movielens_features._AGE_LIMITS
    assert groups == list(zip(limits, _movielens_features._AGE_GROUPS, strict=True))
    occupations = list(enumerate(_movielens_features._OCCUPATIONS))
    assert [(int(code), name) for code, name in codes[7:]] == occupations


def test_the_matrix_goes_with_the_interactions(tmp_path):
    write(tmp_path, "1m")
    films, features = fetch(tmp_path, "1m")
    model = EASE(l2=1.0, item_features=features.item_features).fit(films)
    assert model.n_features_in_ == 3


@pytest.mark.parametrize("load", [load_movielens_small, fetch_movielens])
def test_wrong_argument(load):
    with pytest.raises(ValueError, match=f"'return_features' parameter of {load.__name__}"):
        load(return_features="yes")
