"""The MovieLens loaders, on the bundled data and on small files of each release's format."""

import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest

from skrec import Interactions
from skrec.datasets import _movielens, fetch_movielens, load_movielens_small

# Ratings and movies files of each release, all with the same five ratings of three of four movies.
RATINGS = [
    (1, 31, 2.5, 1260759144),
    (1, 1029, 3.0, 1260759179),
    (1, 72998, 5.0, 1260759182),
    (7, 31, 4.0, 851866703),
    (4294, 1029, 0.5, 949810645),
]
TITLES = {
    31: "Dangerous Minds (1995)",
    1029: "Misérables, Les (1995)",
    72998: 'The "Avatar", 2009',
    5: "Unrated: 2 (1995)",
}
CSV_MOVIES = "movieId,title,genres\r\n" + "".join(
    '{},"{}",Drama|Sci-Fi\r\n'.format(movie, title.replace('"', '""'))
    for movie, title in TITLES.items()
)


def csv_ratings(rows):
    return "userId,movieId,rating,timestamp\r\n" + "".join(
        f"{user},{movie},{rating},{stamp}\r\n" for user, movie, rating, stamp in rows
    )


def dat_ratings(rows):
    return "".join(
        f"{user}::{movie}::{rating:g}::{stamp}\n" for user, movie, rating, stamp in rows
    )


def tab_ratings(rows):
    return "".join(
        f"{user}\t{movie}\t{rating:g}\t{stamp}\n" for user, movie, rating, stamp in rows
    )


DAT_MOVIES = "".join(f"{movie}::{title}::Drama|Sci-Fi\n" for movie, title in TITLES.items())
ITEM_MOVIES = "".join(
    f"{movie}|{title}|01-Jan-1995||http://x/?{movie}|0|1\n" for movie, title in TITLES.items()
)
FORMATS = {
    "100k": ("ml-100k", "u.data", "u.item", tab_ratings, ITEM_MOVIES, "latin-1"),
    "1m": ("ml-1m", "ratings.dat", "movies.dat", dat_ratings, DAT_MOVIES, "latin-1"),
    "10m": ("ml-10M100K", "ratings.dat", "movies.dat", dat_ratings, DAT_MOVIES, "utf-8"),
    "20m": ("ml-20m", "ratings.csv", "movies.csv", csv_ratings, CSV_MOVIES, "utf-8"),
    "25m": ("ml-25m", "ratings.csv", "movies.csv", csv_ratings, CSV_MOVIES, "utf-8"),
    "32m": ("ml-32m", "ratings.csv", "movies.csv", csv_ratings, CSV_MOVIES, "utf-8"),
    "latest-small": (
        *("ml-latest-small", "ratings.csv", "movies.csv"),
        *(csv_ratings, CSV_MOVIES, "utf-8"),
    ),
}


def write_folder(data_home, name, rows=RATINGS):
    """Write the small unpacked data set of a release; return its ratings file."""
    folder, ratings, movies, write, titles, encoding = FORMATS[name]
    folder = data_home / folder
    folder.mkdir()
    (folder / movies).write_bytes(titles.encode(encoding))
    (folder / ratings).write_bytes(write(rows).encode(encoding))
    return folder / ratings


def write_archive(data_home, name):
    """Write the small archive of a release, with the names that its real archive has."""
    folder, ratings, movies, write, titles, encoding = FORMATS[name]
    path = data_home / f"ml-{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{folder}/README.txt", "read me")
        archive.writestr(f"{folder}/{ratings}", write(RATINGS).encode(encoding))
        archive.writestr(f"{folder}/{movies}", titles.encode(encoding))
    return path


@pytest.fixture
def small_releases(monkeypatch):
    """Let every release have five ratings, and any intact archive."""
    for name, release in _movielens.RELEASES.items():
        n_ratings = None if release.n_ratings is None else len(RATINGS)
        changed = release._replace(n_ratings=n_ratings, md5=None)
        monkeypatch.setitem(_movielens.RELEASES, name, changed)


def check(found):
    assert isinstance(found, Interactions)
    assert found.user_ids.tolist() == [1, 7, 4294]
    assert found.item_ids.tolist() == [31, 1029, 72998]
    assert found.item_names.tolist() == [TITLES[movie] for movie in found.item_ids]
    assert found.X.toarray().tolist() == [[2.5, 3, 5], [4, 0, 0], [0, 0.5, 0]]
    assert found.X.dtype == np.float32
    assert found.timestamps.dtype == np.int64
    assert found.timestamps.tolist() == [row[3] for row in RATINGS]


# --- The bundled data ----------------------------------------------------------------------------


def test_load_movielens_small():
    found = load_movielens_small()
    assert repr(found) == "Interactions(610 users x 9724 items, 100836 entries, density 1.70%)"
    assert found.user_ids.tolist() == list(range(1, 611))
    assert found.item_names[:2].tolist() == ["Toy Story (1995)", "Jumanji (1995)"]
    assert found.item_names[found.item_ids == 73].item() == "Misérables, Les (1995)"
    assert found.item_names[found.item_ids == 11].item() == "American President, The (1995)"
    # The first line of the file: user 1 gave movie 1 four stars at 964982703.
    assert (found.X[0, 0], found.timestamps[0]) == (4, 964982703)
    assert np.unique(found.X.data).tolist() == [k / 2 for k in range(1, 11)]


def test_the_bundled_data_is_latest_small(shared_data):
    bundled, fetched = load_movielens_small(), fetch_movielens(data_home=shared_data)
    np.testing.assert_array_equal(bundled.X.data, fetched.X.data)
    np.testing.assert_array_equal(bundled.X.indices, fetched.X.indices)
    np.testing.assert_array_equal(bundled.timestamps, fetched.timestamps)
    np.testing.assert_array_equal(bundled.item_names, fetched.item_names)


def test_needs_no_data_frame_library():
    # scikit-learn itself imports pandas where it is installed, hence the block.
    code = """if True:
        import sys
        class Absent:
            def find_spec(self, name, path=None, target=None):
                if name in {"pandas", "polars", "pyarrow", "pooch", "matplotlib", "torch"}:
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Absent())
        from skrec.datasets import load_movielens_small
        assert load_movielens_small().X.nnz == 100836
    """
    subprocess.run([sys.executable, "-c", code], check=True)


# --- Real data -----------------------------------------------------------------------------------


def slow_reader(lines, separator):
    for line in lines:
        user, movie, rating, stamp = line.split(separator)
        yield int(user), int(movie), float(rating), int(stamp)


@pytest.mark.parametrize(
    ("name", "path", "separator", "shape", "title"),
    [
        ("100k", "ml-100k/u.data", "\t", (943, 1682), "GoldenEye (1995)"),
        ("1m", "ml-1m/ratings.dat", "::", (6040, 3706), "Jumanji (1995)"),
    ],
)
def test_against_a_slow_reader(shared_data, name, path, separator, shape, title):
    found = fetch_movielens(name, data_home=shared_data, download_if_missing=False)
    assert found.X.shape == shape
    assert found.item_names[1] == title
    with open(shared_data / path) as file:
        rows = sorted(slow_reader(file, separator))
    users = np.repeat(found.user_ids, np.diff(found.X.indptr))
    movies = found.item_ids[found.X.indices]
    for column, values in enumerate([users, movies, found.X.data, found.timestamps]):
        np.testing.assert_array_equal(values, [row[column] for row in rows])


def test_every_rated_movie_of_1m_has_a_title(shared_data):
    found = fetch_movielens("1m", data_home=shared_data)
    assert not any(name.isdigit() for name in found.item_names)
    assert any("é" in name for name in found.item_names)


# --- Folders and archives in data_home -----------------------------------------------------------


@pytest.mark.usefixtures("small_releases")
@pytest.mark.parametrize("write", [write_folder, write_archive])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format(tmp_path, name, write):
    write(tmp_path, name)
    check(fetch_movielens(name, data_home=str(tmp_path), download_if_missing=False))


@pytest.mark.usefixtures("small_releases")
@pytest.mark.parametrize("name", ["100k", "10m", "32m"])
def test_chunks_end_with_whole_lines(tmp_path, monkeypatch, name):
    write_folder(tmp_path, name)
    for size in range(1, 120):
        monkeypatch.setattr(_movielens, "_CHUNK", size)
        check(fetch_movielens(name, data_home=tmp_path))


@pytest.mark.usefixtures("small_releases")
def test_no_newline_at_the_end(tmp_path):
    ratings = write_folder(tmp_path, "1m")
    ratings.write_bytes(ratings.read_bytes().rstrip())
    check(fetch_movielens("1m", data_home=tmp_path))


@pytest.mark.usefixtures("small_releases")
def test_the_folder_is_used_before_the_archive(tmp_path):
    write_folder(tmp_path, "1m")
    (tmp_path / "ml-1m.zip").write_bytes(b"never opened")
    check(fetch_movielens("1m", data_home=tmp_path))


@pytest.mark.usefixtures("small_releases")
@pytest.mark.parametrize("missing", ["ratings.dat", "movies.dat"])
def test_an_incomplete_folder_is_not_used(tmp_path, missing):
    write_folder(tmp_path, "1m")
    (tmp_path / "ml-1m" / missing).unlink()
    with pytest.raises(OSError, match="is not there, nor is there a folder"):
        fetch_movielens("1m", data_home=tmp_path, download_if_missing=False)
    write_archive(tmp_path, "1m")
    check(fetch_movielens("1m", data_home=tmp_path, download_if_missing=False))


@pytest.mark.usefixtures("small_releases")
@pytest.mark.parametrize("name", ["100k", "1m", "20m"])
@pytest.mark.parametrize("rows", [RATINGS[:-1], RATINGS + [(9, 9, 1.0, 9)]])
def test_a_wrong_number_of_ratings(tmp_path, name, rows):
    path = write_folder(tmp_path, name, rows)
    message = f"{path.parent.name} .*: {path.name} has {len(rows)} ratings instead of 5; delete it"
    with pytest.raises(OSError, match=message):
        fetch_movielens(name, data_home=tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no ratings"),
        ("userId,movieId,rating,timestamp\r\n", "no ratings"),
        ("userId,movieId,rating,timestamp\r\n1,31,2.5\r\n", "4 columns"),
        ("userId,movieId,rating,timestamp\r\n1,31,x,9\r\n", "'x'"),
        ("userId,movieId,rating,timestamp\r\n1,,2.5,9\r\n", "4 columns"),
        ("userId,movieId,rating,timestamp\r\n1,31,nan,9\r\n", "finite"),
        ("userId,movieId,rating,timestamp\r\n1,31,2.5,9\r\n1,31,3.5,9\r\n", "several rows"),
    ],
)
def test_damaged_ratings(tmp_path, text, message):
    write_folder(tmp_path, "latest-small").write_text(text)
    with pytest.raises(
        OSError, match=f"ml-latest-small does not hold .*{message}.* fetch it again"
    ):
        fetch_movielens("latest-small", data_home=tmp_path)


@pytest.mark.parametrize("text", ["", "movieId,title,genres\r\nx,y,z\r\n", "movieId\r\n31\r\n"])
def test_damaged_titles(tmp_path, text):
    write_folder(tmp_path, "latest-small").with_name("movies.csv").write_text(text)
    if text:
        with pytest.raises(OSError, match="ml-latest-small does not hold the data as published"):
            fetch_movielens("latest-small", data_home=tmp_path)
    else:
        # A movie without a title is named by its id.
        found = fetch_movielens("latest-small", data_home=tmp_path)
        assert found.item_names.tolist() == ["31", "1029", "72998"]


def test_an_intact_archive_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "ml-latest-small.zip", "w") as archive:
        archive.writestr("other.txt", "text")
    with pytest.raises(OSError, match="does not hold the data as published.*movies.csv"):
        fetch_movielens("latest-small", data_home=tmp_path)


def test_memory_is_a_small_multiple_of_the_result(tmp_path, small_releases, monkeypatch):
    import tracemalloc

    n = 100_000
    rows = np.stack([np.arange(n) // 50 + 1, np.arange(n) % 50 * 7 + 1], axis=1)
    path = write_folder(tmp_path, "32m", [])
    with open(path, "ab") as file:
        file.writelines(b"%d,%d,4.0,1260759144\r\n" % (user, movie) for user, movie in rows)
    release = _movielens.RELEASES["32m"]._replace(n_ratings=n)
    monkeypatch.setitem(_movielens.RELEASES, "32m", release)
    tracemalloc.start()
    try:
        found = fetch_movielens("32m", data_home=tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.X.shape == (n // 50, 50)
    # 32 million ratings then take 32e6 * 110 = 3.5 GB at the most.
    assert peak < 110 * n


# --- Wrong arguments -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(name="1M"), "'name' parameter of fetch_movielens must be .*'latest-small'.*'1M'"),
        (dict(data_home=3), "'data_home' parameter"),
        (dict(download_if_missing="yes"), "'download_if_missing' parameter"),
        (dict(n_retries=-1), "'n_retries' parameter"),
        (dict(delay=-0.5), "'delay' parameter"),
        (dict(progress="always"), "'progress' parameter"),
    ],
)
def test_wrong_arguments(arguments, message):
    with warnings.catch_warnings(), pytest.raises(ValueError, match=message):
        fetch_movielens(**arguments)
